"""The networks, gates and measurements that come with the package, and their records."""

import pytest
import torch

from cbam_course import seeing
from cbam_course.data import shapes, with_noise
from cbam_course.models import read_weights
from cbam_course.seeing.shipped import FOLDER
from cbam_course.training.history import describe_data, describe_model
from tests.support.provenance import gaps

KINDS = ("cifar10", "noise-gated", "noise-plain", "noise-rgb", "shapes")


def test_what_is_shipped():
    assert set(seeing.shipped_seeds("shapes")) == set(range(5))
    for arm in seeing.NOISE_ARMS:
        assert set(seeing.shipped_seeds(f"noise-{arm}")) == set(range(5))
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2e6
    weights = {path.stem for path in files if path.suffix == ".safetensors"}
    assert weights <= {path.stem for path in files if path.suffix == ".json"}
    assert {path.suffix for path in files} == {".json", ".safetensors"}


def whole(images):
    """What a record says of a set that was used whole."""
    groups = {
        "train": (images.x_train, images.y_train),
        "test": (images.x_test, images.y_test),
    }
    return describe_data(images, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_provenance_is_complete(kind):
    for seed in seeing.shipped_seeds(kind):
        record = seeing.shipped_record(kind, seed)
        assert record.config.seed == seed and len(record.data["classes"]) == 10
        assert gaps(record.to_dict()) == []


def test_records_of_the_noise_experiment_are_of_its_images():
    plain, noisy = (whole(with_noise(shapes(), channels)) for channels in (0, 3))
    for arm, found in (("rgb", plain), ("plain", noisy), ("gated", noisy)):
        for seed in range(5):
            assert seeing.shipped_record(f"noise-{arm}", seed).data == found


def test_networks_are_those_of_their_records():
    """The weights give the accuracy that the record has, on the images that the record has."""
    images = shapes()
    x, labels = seeing.image_tensors(images)
    for seed in seeing.shipped_seeds("shapes"):
        model, record = seeing.shipped_run("shapes", seed)
        assert not model.training
        assert describe_model(model) == record.model
        assert whole(images) == record.data
    right = seeing.predict(model, x).argmax(dim=1) == labels
    # Elsewhere sums are taken in another order: an image or two may tip over.
    assert float(right.double().mean()) == pytest.approx(record.final["test_accuracy"], abs=0.003)


def test_the_last_spatial_map_is_next_to_a_constant():
    x, _ = seeing.image_tensors(shapes(), 500)
    for seed in seeing.shipped_seeds("shapes"):
        *_, last = seeing.read_maps(seeing.shipped_run("shapes", seed).model, x).values()
        assert last.shape == (500, 1, 8, 8)
        assert (last > 0.99).float().mean() > 0.95 and last.std(dim=0).mean() < 0.005


def test_measurements_are_of_the_shipped_networks():
    measured = seeing.shipped_measurements()
    assert set(measured) == set(seeing.shipped_seeds("cifar10"))
    for seed, found in measured.items():
        model, record = seeing.shipped_run("cifar10", seed)
        assert describe_model(model) == record.model
        assert found["images"] == record.data["test"] == 10_000
        assert found["accuracy"] == pytest.approx(record.final["test_accuracy"], abs=0.001)
        off = found["changes"]["both set to 1"]
        change = (off["gained"] - off["lost"]) / found["images"]
        known = record.final["test_accuracy_attention_off"] - record.final["test_accuracy"]
        assert change == pytest.approx(known, abs=0.002)
        assert len(found["changes"]) == 12


def test_gates():
    for seed in seeing.shipped_seeds("noise-gated"):
        gate = seeing.shipped_gate(seed)
        assert not gate.training
        stored = read_weights(FOLDER / f"noise-gated-{seed}.safetensors")
        assert all(torch.equal(value, stored[name]) for name, value in gate.state_dict().items())
        assert gate.attention_map(torch.randn(2, 6, 8, 8)).shape == (2, 6, 1, 1)


def test_refusals():
    with pytest.raises(ValueError, match="'cifar10', 'noise-gated'.*got 'imagenet'"):
        seeing.shipped_seeds("imagenet")
    with pytest.raises(ValueError, match="has the seeds 0, 1, 2, 3, 4; got 7"):
        seeing.shipped_record("shapes", 7)
    with pytest.raises(ValueError, match="records are shipped, not the networks"):
        seeing.shipped_run("noise-gated")
