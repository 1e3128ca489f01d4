"""Ten kinds of drawn shapes in cluttered scenes: a set that needs no download and knows its masks.

The drawing uses nothing but the raw bits of a PCG64 generator and additions, multiplications,
divisions, square roots and comparisons of float32, operations that every machine rounds alike. One
seed therefore gives the same bytes under every version of Python and NumPy. (Sines, powers, sums
and matrix products may differ in their last bit from one processor to the next.)
"""

import math

import numpy as np

from .image_set import IMAGE_SIZE, ImageSet
from .outlines import OUTLINES, length

SHAPES_CLASSES = tuple(OUTLINES)

# Scenes are drawn in blocks that each have their own generator. Image number i hence does not
# depend on how many are asked for, and a block's arrays stay in the processor's cache.
BLOCK = 250

# Pixel centers, [1, 32] and [32, 1].
_X = np.arange(IMAGE_SIZE, dtype=np.float32)[None, :] + 0.5
_Y = _X.T

# Rounded, because the last bit of a cosine depends on the machine.
_COSINES = np.array([round(math.cos(math.radians(d)), 6) for d in range(360)], np.float32)


def shapes(train: int = 4000, test: int = 1000, seed: int = 0) -> ImageSet:
    """Draw scenes of 32 x 32 pixels, each with one shape of ten kinds among clutter.

    The shape's position, size (9 to 20 pixels across), angle, color and shading are random and tell
    nothing about its kind. Behind it are an uneven background, lines, spots and cut-off pieces of
    shapes; a line may run across it; light and noise go over everything. Asking for more images
    extends a set: its first images stay the same.

    Args:
        train: Number of training images.
        test: Number of test images, drawn independently of the training images.
        seed: Which set, 0 or more.

    Returns:
        The set with its object masks: True where a pixel shows the shape and nothing before it.
        Every run of ten images holds every class once.

    Raises:
        ValueError: A count or the seed is negative.
        TypeError: One of them is no integer.
    """
    (x_train, y_train, masks_train), (x_test, y_test, masks_test) = (
        _draw_split(count, [seed, split]) for split, count in enumerate((train, test))
    )
    return ImageSet(
        "shapes", x_train, y_train, x_test, y_test, SHAPES_CLASSES, masks_train, masks_test
    )


def _draw_split(count: int, seeds: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    labels = np.empty(count, np.uint8)
    masks = np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.bool_)
    for block, start in enumerate(range(0, count, BLOCK)):
        drawn = _draw_block(_Draw([*seeds, block]))
        for whole, part in zip((images, labels, masks), drawn, strict=True):
            whole[start : start + BLOCK] = part[: count - start]
    return images, labels, masks


class _Draw:
    """Uniform random numbers of one block, from bits that NumPy promises never to change."""

    def __init__(self, seeds: list[int]) -> None:
        self.bits = np.random.PCG64(np.random.SeedSequence(seeds))

    def uniform(self, *shape: int, low: float = 0, high: float = 1) -> np.ndarray:
        """Float32 in [low, high), of shape [BLOCK, *shape]."""
        raw = self.bits.random_raw((BLOCK, *shape)) >> np.uint64(40)
        return low + (high - low) * (raw.astype(np.float32) * 2**-24)

    def direction(self) -> tuple[np.ndarray, np.ndarray]:
        """Cosine and sine of random angles, [BLOCK, 1, 1] each."""
        degrees = (self.uniform(1, 1) * 360).astype(np.int64)
        return _COSINES[degrees], _COSINES[degrees - 90]

    def center(self, margin: np.ndarray | float = 0) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of all pixels seen from a random center, that far from the border."""
        room = IMAGE_SIZE - 2 * margin
        return _X - (margin + room * self.uniform(1, 1)), _Y - (margin + room * self.uniform(1, 1))

    def color(self) -> np.ndarray:
        """A vivid color of any hue, [BLOCK, 3, 1, 1]; the background's colors are duller."""
        hue = self.uniform(1, 1, 1, high=6) + np.array([0, 2, 4], np.float32)[:, None, None]
        hue -= 6 * (hue >= 6).astype(np.float32)
        pure = np.clip(np.abs(hue - 3) - 1, 0, 1)
        darkest = self.uniform(1, 1, 1, high=0.25)
        return darkest + (self.uniform(1, 1, 1, low=0.7, high=1) - darkest) * pure

    def ramp(self, strength: float) -> np.ndarray:
        """A slope in a random direction, from about -strength to strength, [BLOCK, 32, 32]."""
        cos, sin = self.direction()
        half = IMAGE_SIZE / 2
        slope = self.uniform(1, 1, high=strength) / half
        return slope * ((_X - half) * cos + (_Y - half) * sin)

    def noise(self) -> np.ndarray:
        """Noise of triangular distribution in (-1, 1), of shape [BLOCK, 3, 32, 32]."""
        words = self.bits.random_raw((2, BLOCK, 3 * IMAGE_SIZE * IMAGE_SIZE // 8)).astype("<u8")
        first, second = words.view(np.uint8).reshape(2, BLOCK, 3, IMAGE_SIZE, IMAGE_SIZE)
        return (first.astype(np.float32) - second) * (1 / 256)


def _draw_block(draw: _Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one block of scenes: uint8 images, labels and masks."""
    # Classes in runs of ten, so that any first N images are balanced.
    keys = draw.uniform().reshape(-1, len(OUTLINES))
    labels = np.argsort(keys, axis=1, kind="stable").astype(np.uint8).reshape(-1)

    canvas = _background(draw)
    for part in (_stroke, _stroke, _spot, _spot, _fragment):
        _paint(canvas, part(draw), draw.color())
    cover = _object(draw, labels)
    _paint(canvas, cover, draw.color() + draw.ramp(0.2)[:, None])
    across = _stroke(draw, thickest=0.9) * (draw.uniform(1, 1) < 0.4)
    _paint(canvas, across, draw.color())
    mask = (cover > 0.5) & (across <= 0.5)

    canvas *= 1 + draw.ramp(0.3)[:, None]
    canvas += draw.noise() * draw.uniform(1, 1, 1, low=0.02, high=0.12)
    images = np.clip(canvas, 0, 1) * 255 + 0.5
    # Color came first so far: NumPy is slow where the last axis is short.
    return images.astype(np.uint8).transpose(0, 2, 3, 1), labels, mask


def _paint(canvas: np.ndarray, cover: np.ndarray, color: np.ndarray) -> None:
    """Lay a color over the canvas where ``cover`` [N, 32, 32], from 0 to 1, says so."""
    canvas += cover[:, None] * (color - canvas)


def _soft(distance: np.ndarray) -> np.ndarray:
    """Turn signed distances in pixels (inside negative) into cover with a soft edge."""
    return np.clip(0.5 - distance, 0, 1)


def _background(draw: _Draw) -> np.ndarray:
    """Dull clouds in two sizes with faint stripes, [N, 3, 32, 32]."""
    gray = draw.uniform(1, 1, 1, low=0.2, high=0.8)
    canvas = np.broadcast_to(gray, (BLOCK, 3, IMAGE_SIZE, IMAGE_SIZE)).copy()
    for cells, strength in ((2, 0.4), (8, 0.2)):
        clouds = draw.uniform(3, cells + 1, cells + 1, low=-0.5, high=0.5)
        canvas += _enlarge(clouds) * draw.uniform(1, 1, 1, high=strength)
    across, along = draw.direction()
    turns = (_X * across + _Y * along) * draw.uniform(1, 1, low=0.08, high=0.3)
    wave = np.abs(turns - np.floor(turns) - 0.5)[:, None]
    return canvas + wave * draw.uniform(3, 1, 1, low=-0.2, high=0.2)


def _enlarge(values: np.ndarray) -> np.ndarray:
    """Interpolate coarse grids [N, 3, c+1, c+1] linearly to [N, 3, 32, 32]."""
    position = _X[0] * ((values.shape[-1] - 1) / IMAGE_SIZE)
    first = position.astype(np.int64)
    part = position - first.astype(np.float32)
    values = values[..., first] * (1 - part) + values[..., first + 1] * part
    part = part[:, None]
    return values[..., first, :] * (1 - part) + values[..., first + 1, :] * part


def _stroke(draw: _Draw, thickest: float = 1.2) -> np.ndarray:
    """A straight line with round ends, 8 to 24 pixels long."""
    x, y = draw.center()
    cos, sin = draw.direction()
    half = draw.uniform(1, 1, low=4, high=12)
    along = x * cos + y * sin
    beyond = along - np.clip(along, -half, half)
    beside = y * cos - x * sin
    return _soft(length(beyond, beside) - draw.uniform(1, 1, low=0.5, high=thickest))


def _spot(draw: _Draw) -> np.ndarray:
    """A small round spot."""
    return _soft(length(*draw.center()) - draw.uniform(1, 1, low=0.7, high=2.2))


def _object(draw: _Draw, kinds: np.ndarray) -> np.ndarray:
    """The shape itself, wholly within the image."""
    radius = draw.uniform(1, 1, low=4.5, high=10)
    x, y = draw.center(radius)
    return _soft(_outline(draw, kinds, x / radius, y / radius) * radius)


def _fragment(draw: _Draw) -> np.ndarray:
    """A piece of a shape of any kind, cut off along a straight line."""
    kinds = (draw.uniform() * len(OUTLINES)).astype(np.uint8)
    radius = draw.uniform(1, 1, low=3, high=6)
    x, y = draw.center()
    cos, sin = draw.direction()
    cut = x * cos + y * sin + radius * 0.2
    return _soft(np.maximum(_outline(draw, kinds, x / radius, y / radius) * radius, cut))


def _outline(draw: _Draw, kinds: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from the turned shapes' outlines, in units of their radius."""
    cos, sin = draw.direction()
    across, down = x * cos + y * sin, y * cos - x * sin
    distance = np.empty_like(across)
    for kind, outline in enumerate(OUTLINES.values()):
        chosen = kinds == kind
        distance[chosen] = outline(across[chosen], down[chosen])
    return distance
