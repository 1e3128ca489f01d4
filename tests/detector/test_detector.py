"""The small detector: its scenes, its variants, its measure and its recorded runs."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cbam_course import detector
from cbam_course.cli import main
from cbam_course.detector import VARIANTS, experiment, make_detector, scenes
from cbam_course.detector.experiment import RECIPE, SHIPPED, do_run, run_all, run_name, train
from cbam_course.detector.scenes import box_of

RECORDS = sorted(SHIPPED.glob("*.json"))
TINY = RECIPE | {"train_scenes": 16, "test_scenes": 4, "epochs": 1}

pytestmark = pytest.mark.usefixtures("one_thread")


# Scenes.


def test_a_box_is_the_smallest_around_its_mask():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 1:6] = True
    assert box_of(mask) == (1, 2, 6, 4)
    for target in scenes(40, 3).targets:
        for box, shape in zip(target["boxes"].int().tolist(), target["masks"], strict=True):
            left, top, right, bottom = box
            assert shape[top:bottom, left:right].sum() == shape.sum() > 20
            inside = shape[top:bottom, left:right]
            edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
            assert all(edge.any() for edge in edges)


def test_scenes_hold_one_to_three_shapes_whose_boxes_lie_apart():
    drawn = scenes(60, 3)
    assert {len(target["boxes"]) for target in drawn.targets} == {1, 2, 3}
    assert {label for t in drawn.targets for label in t["labels"].tolist()} == {1, 2, 3}
    for target in drawn.targets:
        assert (target["masks"].sum(0) <= 1).all()
    assert drawn.images.shape == (60, 3, 48, 48) and 0 <= drawn.images.min() < 0.1
    assert torch.equal(drawn.images[:2], scenes(2, 3).images)  # whatever their number
    assert scenes(2, 1).checksum() != scenes(2, 2).checksum()


# The network and its variants.


@pytest.mark.parametrize("name", list(VARIANTS))
def test_variants_of_a_seed_share_their_weights(name):
    plain, other = (make_detector(each, 5).state_dict() for each in ("plain", name))
    if name == "wider body":
        assert {key: value.dim() for key, value in plain.items()} == {
            key: value.dim() for key, value in other.items()
        }
        return
    assert plain.keys() <= other.keys()
    assert all(torch.equal(value, other[key]) for key, value in plain.items())
    assert all(".attention." in key for key in other.keys() - plain.keys())


def test_all_variants_of_a_seed_see_the_scenes_in_one_order():
    data = scenes(32, 0)
    one_step = TINY | {"batch_size": 16}
    first, second = (
        train(make_detector(name, 1), scenes(16, 0), 1, one_step)
        for name in ("plain", "CBAM, neck, identity")
    )
    assert first == second  # the loss of the first step, before a weight has moved
    assert train(make_detector("plain", 1), data, 2, one_step) != train(
        make_detector("plain", 1), data, 3, one_step
    )


# The measure.


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_average_precision_of_two_hits_and_a_false_alarm():
    pytest.importorskip("torchmetrics")
    pytest.importorskip("pycocotools")
    targets = [{"boxes": boxes([0, 0, 9, 9], [20, 20, 30, 30]), "labels": torch.tensor([1, 1])}]
    found = [
        {
            "boxes": boxes([0, 0, 9, 9], [30, 0, 40, 9], [20, 20, 30, 30]),
            "scores": torch.tensor([0.9, 0.8, 0.7]),
            "labels": torch.tensor([1, 1, 1]),
        }
    ]
    # Precision 1 up to a recall of 1/2, then 2/3: at 51 and 50 of the 101 recalls 0, 0.01, ... 1.
    right = (51 + 50 * 2 / 3) / 101
    metrics = detector.mean_average_precision(found, targets)
    assert metrics == pytest.approx({"map50": right, "map": right}, abs=1e-6)


# Runs and records.


def test_a_run_gives_a_record():
    pytest.importorskip("torchmetrics")
    pytest.importorskip("pycocotools")
    record = json.loads(json.dumps(do_run("constant gate, body", 3, TINY)))
    assert record["config"]["variant"] == "constant gate, body" and record["config"]["seed"] == 3
    assert len(record["losses"]) == 1 and record["losses"][0] > 0
    assert 0 <= record["metrics"]["map"] <= record["metrics"]["map50"] <= 1
    assert {"torch", "torchmetrics", "pycocotools"} <= record["versions"].keys()
    assert record["seconds"] > 0 and record["device"].startswith("cpu")


def test_the_queue_does_what_lacks_a_record_a_seed_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(experiment, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(experiment, "VARIANTS", dict.fromkeys(("plain", "CBAM, neck")))
    monkeypatch.setattr(experiment, "SEEDS", range(2))
    monkeypatch.setattr(experiment, "do_run", lambda variant, seed: {"of": [variant, seed]})
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "cbam-neck-seed0.json").touch()
    assert list(run_all(tmp_path, budget=0)) == []
    done = [name for name, _ in run_all(tmp_path)]
    assert done == ["plain-seed0", "plain-seed1", "cbam-neck-seed1"]
    assert json.loads((tmp_path / "plain-seed1.json").read_text()) == {"of": ["plain", 1]}
    assert list(run_all(tmp_path)) == []


def test_the_command_tells_each_run(monkeypatch, tmp_path):
    record = {"metrics": {"map50": 0.5, "map": 0.25}, "seconds": 3.0}
    monkeypatch.setattr(detector, "run_all", lambda out, budget: [("plain-seed0", record)])
    out = str(tmp_path / "new")
    result = CliRunner().invoke(main, ["experiments", "detector", "--out", out, "--budget", "1m"])
    assert result.output == "plain-seed0: mAP@0.5 0.500, mAP 0.250, 3 s\n" and not result.exit_code


def test_shipped_records_are_of_planned_runs_on_the_scenes_of_today():
    built = {name: sum(p.numel() for p in make_detector(name, 0).parameters()) for name in VARIANTS}
    data = {"train": scenes(500, 0).checksum(), "test": scenes(200, 1).checksum()}
    for path in RECORDS:
        record = json.loads(path.read_text(encoding="utf-8"))
        variant, seed = record["config"]["variant"], record["config"]["seed"]
        assert path.stem == run_name(variant, seed) and seed in detector.SEEDS
        planned = {"variant": variant, "seed": seed, **VARIANTS[variant]._asdict(), **RECIPE}
        assert record["config"] == json.loads(json.dumps(planned))
        losses = record["losses"]
        assert len(losses) == RECIPE["epochs"] and losses[-1] < losses[0]
        assert 0 < record["metrics"]["map"] < record["metrics"]["map50"] < 1
        assert len(record["commit"]) == 40  # and not "-dirty"
        assert record["parameters"] == built[variant] and record["data"] == data


def test_results_are_in_percent_and_in_the_order_of_the_variants():
    runs = detector.results()
    assert len(runs) == len(RECORDS) and list(runs["variant"].unique()) == list(VARIANTS)
    first = json.loads((SHIPPED / "plain-seed0.json").read_text())["metrics"]
    assert runs["test_accuracy"].iloc[0] == pytest.approx(100 * first["map50"])
    assert detector.results(metric="map")["test_accuracy"].iloc[0] == pytest.approx(
        100 * first["map"]
    )
    assert set(runs.query("variant != 'plain'")["baseline"]) == {"plain"}


def test_results_of_nothing_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no records in"):
        detector.results(tmp_path)
