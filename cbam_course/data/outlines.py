"""The outlines of the ten shapes, as distances in the plane.

Each function takes coordinates (x to the right, y down) in which the shape fits the unit circle,
and gives a number per point that is negative inside, positive outside and grows about as fast as
the distance from the outline. As in :mod:`cbam_course.data.shapes`, only operations are used
that every machine rounds alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y)


def _box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    return np.maximum(np.abs(x) - np.float32(half_width), np.abs(y) - np.float32(half_height))


def _side(x: np.ndarray, y: np.ndarray, normal: tuple[float, float], offset: float) -> np.ndarray:
    """Signed distance from a straight line; ``normal`` has length 1 and points outside."""
    return x * np.float32(normal[0]) + y * np.float32(normal[1]) - np.float32(offset)


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _length(x, y) - np.float32(0.85)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(_length(x, y) - np.float32(0.74)) - np.float32(0.24)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _box(x, y, 0.72, 0.72)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    slanted = _side(np.abs(x), y, (0.866025, -0.5), 0.5)
    return np.maximum(slanted, y - np.float32(0.5))


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y, 0.95, 0.28), _box(x, y, 0.28, 0.95))


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points that lie within at least four of the five lines of a pentagram."""
    # The normals' angles are 72 degrees apart; cosines and sines to six places.
    normals = (
        (0.0, 1.0), (0.951057, 0.309017), (0.587785, -0.809017),
        (-0.587785, -0.809017), (-0.951057, 0.309017),
    )  # fmt: skip
    largest = second = None
    for normal in normals:
        side = _side(x, y, normal, 0.309)
        if largest is None:
            largest, second = side, np.full_like(side, -np.inf)
        else:
            second = np.maximum(second, np.minimum(largest, side))
            largest = np.maximum(largest, side)
    return second


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    outer = _length(x, y) - np.float32(1)
    bite = np.float32(0.8) - _length(x - np.float32(0.5), y)
    return np.maximum(outer, bite)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two round lobes, and below their middle a wedge whose sides touch them."""
    x = np.abs(x)
    lobe = _length(x - np.float32(0.4), y + np.float32(0.3)) - np.float32(0.49)
    wedge = np.maximum(_side(x, y, (0.788, 0.6157), 0.6155), np.float32(-0.05) - y)
    return np.minimum(lobe, wedge)


def _arrow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    head = np.maximum(_side(np.abs(x), y, (0.766044, -0.642788), 0.642788), y - np.float32(0.05))
    shaft = _box(x, y - np.float32(0.45), 0.24, 0.5)
    return np.minimum(head, shaft)


def _hourglass(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(_side(x, y, (0.8, -0.6), 0.08), y - np.float32(0.765))


#: The classes' names in the order of their labels, with their outlines.
OUTLINES: dict[str, Outline] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "heart": _heart,
    "arrow": _arrow,
    "hourglass": _hourglass,
}
