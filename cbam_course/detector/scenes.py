"""Scenes of several drawn shapes, with the box and the mask of each: a set for a small detector."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cbam_course.data.outlines import OUTLINES

SIZE = 48
"""Height and width of a scene, in pixels."""

CLASSES = ("disc", "square", "triangle")
"""The kinds of shapes, in the order of their labels from 1 on; 0 is the background."""

MOST = 3
"""A scene holds 1 to 3 shapes, and no two boxes of them overlap."""

_X = np.arange(SIZE, dtype=np.float32)[None, :] + 0.5
_Y = _X.T


@dataclass(frozen=True)
class Scenes:
    """Images, and what is to be found in them.

    Attributes:
        images: ``[N, 3, 48, 48]``, from 0 to 1.
        targets: for each image a dictionary as torchvision's detectors want it: ``boxes``
            ``[n, 4]`` (left, top, right, bottom, in pixels from the upper left corner; the right
            and the lower edge lie behind the last pixel), ``labels`` ``[n]`` from 1, and ``masks``
            ``[n, 48, 48]``, True inside the shape.
    """

    images: Tensor
    targets: list[dict[str, Tensor]]

    def __len__(self) -> int:
        return len(self.images)

    def checksum(self) -> str:
        """The SHA-256 sum of the images in 256 steps, with their boxes and labels."""
        digest = hashlib.sha256((self.images * 255).round().to(torch.uint8).numpy().tobytes())
        for target in self.targets:
            digest.update(target["boxes"].numpy().astype("<f4").tobytes())
            digest.update(target["labels"].numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def scenes(count: int, seed: int = 0) -> Scenes:
    """Draw scenes with 1 to 3 upright shapes on an uneven background with spots and noise.

    Kind, position, size (a radius of 5 to 10 pixels) and color of a shape are random. Its mask is
    what lies within its true outline, and its box the smallest one around the mask.

    Args:
        count: number of scenes, at least 1; the first ones are the same for every count.
        seed: which set, 0 or more.

    Example:
        >>> scenes(1).targets[0]["boxes"].shape
        torch.Size([2, 4])
    """
    drawn = [_scene(np.random.default_rng([seed, number])) for number in range(count)]
    images, targets = zip(*drawn, strict=True)
    return Scenes(torch.from_numpy(np.stack(images)), list(targets))


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around a mask ``[H, W]`` that is True somewhere."""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _scene(random: np.random.Generator) -> tuple[np.ndarray, dict[str, Tensor]]:
    canvas = _background(random)
    boxes, labels, masks = [], [], []
    for _ in range(random.integers(1, MOST + 1)):
        label = int(random.integers(len(CLASSES)))
        distance = _shape(random, CLASSES[label])
        box = box_of(distance < 0)
        if any(_overlap(box, other) for other in boxes):
            continue  # the first shape is always kept
        _paint(canvas, distance, _color(random))
        boxes.append(box)
        labels.append(label + 1)
        masks.append(distance < 0)
    canvas += random.normal(0, random.uniform(0.02, 0.06), canvas.shape)
    pixels = np.floor(np.clip(canvas, 0, 1) * 255 + 0.5) / 255
    return pixels.astype(np.float32), {
        "boxes": torch.tensor(boxes, dtype=torch.float32),
        "labels": torch.tensor(labels),
        "masks": torch.from_numpy(np.stack(masks)),
    }


def _background(random: np.random.Generator) -> np.ndarray:
    """A slope of dull colors with four small spots, ``[3, 48, 48]``."""
    start = random.uniform(0.3, 0.7, (3, 1, 1))
    across, down = random.uniform(-0.3, 0.3, (2, 3, 1, 1))
    canvas = start + across * (_X / SIZE - 0.5) + down * (_Y / SIZE - 0.5)
    for _ in range(4):
        x, y = random.uniform(0, SIZE, 2)
        distance = np.hypot(_X - x, _Y - y) - random.uniform(1, 2.5)
        _paint(canvas, distance, _color(random))
    return canvas


def _shape(random: np.random.Generator, kind: str) -> np.ndarray:
    """The distance of each pixel from the outline of a shape that lies within the scene."""
    radius = random.uniform(5, 10)
    x, y = random.uniform(radius, SIZE - radius, 2)
    return OUTLINES[kind]((_X - x) / radius, (_Y - y) / radius) * radius


def _color(random: np.random.Generator) -> np.ndarray:
    """One of the colors near the eight corners of the color cube; the background is duller."""
    return np.abs(random.integers(0, 2, 3) - random.uniform(0, 0.25, 3))


def _paint(canvas: np.ndarray, distance: np.ndarray, color: np.ndarray) -> None:
    """Color what lies inside, with an edge one pixel soft."""
    canvas += np.clip(0.5 - distance, 0, 1) * (color[:, None, None] - canvas)


def _overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > 0 and down > 0
