"""Channels of noise behind the colors of a set of images."""

from dataclasses import replace

import numpy as np

from .image_set import ImageSet


def with_noise(images: ImageSet, channels: int = 3, seed: int = 0) -> ImageSet:
    """Put channels of uniform noise behind the channels of every image.

    Every image has noise of its own, which says nothing about it; it is drawn once, as the image.

    Args:
        images: The set.
        channels: How many channels of noise; 0 leaves the images as they are.
        seed: Of the noise.

    Returns:
        A set with images of shape [N, 32, 32, C + channels].

    Raises:
        ValueError: The number of channels is negative.
    """
    changes = {}
    for number, split in enumerate(("x_train", "x_test")):
        old = getattr(images, split)
        bits = np.random.PCG64(np.random.SeedSequence([seed, number]))
        count = old[..., 0].size * channels
        # Raw bits, eight bytes a word: the same on every machine and with every version.
        words = bits.random_raw(-(-count // 8)).astype("<u8")
        noise = words.view(np.uint8)[:count].reshape(*old.shape[:3], channels)
        changes[split] = np.concatenate([old, noise], axis=-1)
    return replace(images, name=f"{images.name} with {channels} noise channels", **changes)
