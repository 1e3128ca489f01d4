"""Channels of noise, images of another size, and what attention on the input makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cbam_course import data, training
from cbam_course.attention import CBAM, ChannelAttention, SpatialAttention
from cbam_course.training import DeviceImages, TrainConfig, train
from cbam_course.training.input_weights import mean_input_weights
from cbam_course.training.loop import seed_epoch

pytestmark = pytest.mark.usefixtures("one_thread")

NOISY = TrainConfig(
    model="mobilenet-v2",
    model_options={"where": "first"},
    attention="channel-fc",
    attention_options={"reduction": 1},
    image_size=40,
    noise_channels=3,
    epochs=2,
    batch_size=20,
    device="cpu",
)


@pytest.fixture(scope="module")
def images():
    return data.shapes(train=40, test=20)


def pictures(images, part="train", **options):
    x, y = getattr(images, f"x_{part}"), getattr(images, f"y_{part}")
    return DeviceImages(x, y, images.mean, images.std, **options)


def shown(pictures, seed=0, epoch=1):
    return torch.cat([x for x, _ in pictures.shuffled_batches(16, seed_epoch(seed, epoch))])


# Noise


def test_noise_is_behind_the_colors_and_changes_nothing_else(images):
    plain, noisy = shown(pictures(images)), shown(pictures(images, noise_channels=2))
    assert noisy.shape == (40, 5, 32, 32)
    assert torch.equal(noisy[:, :3], plain)
    assert noisy.is_contiguous(memory_format=torch.channels_last)


def test_noise_is_normalized_and_independent(images):
    noise = shown(pictures(images, noise_channels=2))[:, 3:].transpose(0, 1).flatten(1)
    torch.testing.assert_close(noise.mean(1), torch.zeros(2), atol=0.02, rtol=0)
    torch.testing.assert_close(noise.std(1), torch.ones(2), atol=0.02, rtol=0)
    assert abs(torch.corrcoef(noise)[0, 1]) < 0.02
    assert abs(torch.corrcoef(torch.stack([noise[0, 1:], noise[0, :-1]]))[0, 1]) < 0.02
    # A byte, so many times as there are pixels: all 256 values occur.
    assert len(torch.unique(noise)) == 256


def test_noise_comes_from_the_seed_and_is_new_in_every_epoch(images):
    one, other = (pictures(images, noise_channels=1) for _ in range(2))

    def noise_of(pictures, seed, epoch):
        """What lies behind the images, whatever their order and the crops."""
        shown(pictures, seed, epoch)
        return pictures.padded[..., 3:].clone()

    first = noise_of(one, 3, 1)
    assert not torch.equal(noise_of(one, 3, 2), first)
    assert not torch.equal(noise_of(one, 4, 1), first)
    assert torch.equal(noise_of(other, 3, 1), first)
    assert torch.equal(noise_of(one, 3, 1), first)
    assert torch.equal(shown(one, 3, 1), shown(other, 3, 1))


def test_test_images_have_one_noise_whatever_the_batches(images):
    testing = pictures(images, "test", noise_channels=3)
    ((whole, _),) = testing.batches(20)
    parts = torch.cat([x for x, _ in testing.batches(7)])
    assert torch.equal(parts, whole)
    assert torch.equal(testing.example(), whole[:1])
    ((again, _),) = pictures(images, "test", noise_channels=3).batches(20)
    assert torch.equal(again, whole)


# Size


@pytest.mark.parametrize("size", [20, 48])
def test_resized_as_by_pillow(images, size):
    """Bilinear, and smoothed before it becomes smaller."""
    from PIL import Image

    ((x, _),) = pictures(images, image_size=size).batches(40)
    assert x.shape == (40, 3, size, size)
    assert x.is_contiguous(memory_format=torch.channels_last)
    x = x[:5].permute(0, 2, 3, 1).numpy() * images.std + images.mean
    for ours, image in zip(x, images.x_train, strict=False):
        picture = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(ours * 255, np.asarray(picture), atol=1.01)


def test_its_own_size_changes_nothing(images):
    ((x, _),), ((y, _),) = pictures(images).batches(40), pictures(images, image_size=32).batches(40)
    torch.testing.assert_close(x, y)


def test_large_batches_are_smaller_for_larger_images(images):
    assert pictures(images).large_batch == 100
    on_gpu = pictures(images)
    on_gpu.labels = torch.empty(0, device="meta")
    assert on_gpu.large_batch == 2048
    on_gpu.image_size = 64
    assert on_gpu.large_batch == 512


# Runs


def test_a_run_with_noise_and_its_record(images, tmp_path):
    run = train(NOISY, images, folder=tmp_path, progress=False)
    weights = run.history.final["mean_input_weights"]
    assert len(weights) == 6 and all(0 < weight < 1 for weight in weights)
    testing = pictures(images, "test", image_size=40, noise_channels=3)
    ((x, y),) = testing.batches(20)
    with torch.no_grad():
        expected = run.model.first.attention_map(x).mean(dim=(0, 2, 3))
        accuracy = (run.model(x).argmax(1) == y).float().mean().item()
    assert weights == pytest.approx(expected.tolist())
    assert run.history.final["test_accuracy"] == pytest.approx(accuracy)

    model, history = training.load_run(tmp_path)
    assert history == run.history
    assert model.features[0][0].in_channels == 6
    again = train(NOISY, images, progress=False)
    assert again.history.iteration_loss == run.history.iteration_loss


def test_a_continued_run_with_noise_is_the_same(images, tmp_path):
    config = replace(
        NOISY, model="cifar-cnn", model_options={}, widths=(4, 8), attention="none",
        attention_options={}, image_size=None,
    )  # fmt: skip
    whole = train(config, images, progress=False)

    class Stop(Exception):
        pass

    def stop(history):
        raise Stop

    with pytest.raises(Stop):
        train(config, images, folder=tmp_path, progress=False, on_epoch=stop)
    parts = train(config, images, folder=tmp_path, progress=False, resume=True)
    assert parts.history.iteration_loss == whole.history.iteration_loss
    assert parts.history.final == whole.history.final
    assert "mean_input_weights" not in whole.history.final


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_channels": -1}, "noise_channels must be an integer of at least 0, got -1"),
        ({"noise_channels": 1.0}, "noise_channels must be .* got 1.0"),
        ({"image_size": 0}, "image_size must be an integer of at least 1, got 0"),
        ({"image_size": (40, 40)}, r"image_size must be .* got \(40, 40\)"),
    ],
)
def test_config_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(NOISY, **changes)


# The weights of the input


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (nn.Sequential(ChannelAttention(3, reduction=1), nn.Flatten()), 3),
        (nn.Sequential(CBAM(3, reduction=1), nn.Flatten()), 3),
        (nn.Sequential(nn.ReLU(), ChannelAttention(3, reduction=1)), None),
        (nn.Sequential(SpatialAttention(), nn.Flatten()), None),
        (nn.Sequential(CBAM(3, order="spatial"), nn.Flatten()), None),
        (nn.Flatten(), None),
    ],
    ids=["channel", "cbam", "later", "spatial", "spatial half", "none"],
)
def test_weights_of_the_input(images, network, channels):
    weights = mean_input_weights(network, pictures(images, "test"))
    assert channels == (None if weights is None else len(weights))
    assert not any(module._forward_hooks for module in network.modules())
    if weights is not None:
        ((x, _),) = pictures(images, "test").batches(20)
        maps = network[0].attention_map(x)
        maps = getattr(maps, "channel", maps)
        assert weights == pytest.approx(maps.mean(dim=(0, 2, 3)).tolist())
