"""Images on the device: crops, flips, sizes and batches, against one image at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cbam_course import training
from cbam_course.training import DeviceImages
from cbam_course.training.images import PADDING
from cbam_course.training.loop import seed_epoch
from tests.support.runs import TINY, train_quietly


def on_device(images, **options):
    return DeviceImages(images.x_train, np.arange(40), images.mean, images.std, **options)


def slow_cut(image, top, left, mirrored):
    """Pad one image with black, cut a window, mirror it: one image at a time."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * PADDING, width + 2 * PADDING, channels), np.uint8)
    padded[PADDING : PADDING + height, PADDING : PADDING + width] = image
    window = padded[top : top + height, left : left + width]
    return window[:, ::-1].copy() if mirrored else window


@pytest.mark.parametrize(("crop", "flip"), [(True, True), (False, True), (True, False)])
def test_batches_of_an_epoch_against_one_image_at_a_time(images, crop, flip):
    generator = seed_epoch(7, 1)
    order = torch.randperm(40, generator=generator)
    corners = torch.randint(9, (40, 2), generator=generator)  # 4, 4 is the image itself
    corners = corners if crop else torch.full((40, 2), 4)
    mirrored = (torch.rand(40, generator=generator) < 0.5) & flip
    options = {"crop": crop, "flip": flip}
    batches = list(on_device(images).shuffled_batches(16, seed_epoch(7, 1), **options))
    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    assert torch.equal(torch.cat([labels for _, labels in batches]), order)
    shown = torch.cat([x for x, _ in batches])
    for i, x in enumerate(shown):
        cut = slow_cut(images.x_train[order[i]], *corners[i].tolist(), bool(mirrored[i]))
        expected = (cut / 255 - np.array(images.mean)) / np.array(images.std)
        np.testing.assert_allclose(x.permute(1, 2, 0).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [20, 48])
def test_resized_as_by_pillow(images, size):
    """Bilinear, and smoothed before it becomes smaller."""
    ((x, _),) = on_device(images, image_size=size).batches(40)
    assert x.shape == (40, 3, size, size)
    x = x[:5].permute(0, 2, 3, 1).numpy() * images.std + images.mean
    for ours, image in zip(x, images.x_train, strict=False):
        pillows = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(ours * 255, np.asarray(pillows), atol=1.01)


def test_channels_are_last_but_on_apples_gpu(images):
    kinds = [training.device.memory_format(torch.device(name)) for name in ("cpu", "cuda", "mps")]
    assert kinds == [torch.channels_last, torch.channels_last, torch.contiguous_format]
    ((x, _),) = on_device(images).batches(40)
    assert x.is_contiguous(memory_format=torch.channels_last)
    ((x, _),) = on_device(images, layout=torch.contiguous_format).batches(40)
    assert x.is_contiguous()


def test_the_callers_default_device_does_not_matter(images):
    store = on_device(images)
    expected = list(store.shuffled_batches(16, seed_epoch(0, 1)))
    with torch.device("meta"):
        batches = list(store.shuffled_batches(16, seed_epoch(0, 1)))
    torch.testing.assert_close(batches, expected, rtol=0, atol=0)


def test_refused_images(images):
    x = images.x_train.copy()
    x[..., 1] = 7
    with pytest.raises(ValueError, match="a channel is constant, std is"):
        train_quietly(TINY, replace(images, x_train=x))
    with pytest.raises(ValueError, match=r"uint8 \[N, H, W, C\], got float64 \[2, 4, 4, 3\]"):
        DeviceImages(np.zeros((2, 4, 4, 3)), [0, 0], (0, 0, 0), (1, 1, 1))
