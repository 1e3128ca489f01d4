"""The outlines of the ten shapes, as distances in the plane.

Each function takes coordinates (x to the right, y down) in which the shape fits the unit circle,
and gives a number per point that is negative inside, positive outside and grows about as fast as
the distance from the outline. As in :mod:`cbam_course.data.shapes`, only operations are used
that every machine rounds alike.
"""

from collections.abc import Callable

import numpy as np

Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]


def length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y)


def _box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _side(x: np.ndarray, y: np.ndarray, normal: tuple[float, float], offset: float) -> np.ndarray:
    """Signed distance from a straight line; ``normal`` has length 1 and points outside."""
    return x * normal[0] + y * normal[1] - offset


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points that lie within at least four of the five lines of a pentagram."""
    # The normals' angles are 72 degrees apart; cosines and sines to six digits.
    normals = (
        (0.0, 1.0), (0.951057, 0.309017), (0.587785, -0.809017),
        (-0.587785, -0.809017), (-0.951057, 0.309017),
    )  # fmt: skip
    sides = np.stack([_side(x, y, normal, 0.309) for normal in normals])
    return np.partition(sides, 3, axis=0)[3]


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two round lobes, and below their middle a wedge whose sides touch them."""
    x = np.abs(x)
    lobe = length(x - 0.4, y + 0.3) - 0.49
    wedge = np.maximum(_side(x, y, (0.788, 0.6157), 0.6155), -0.05 - y)
    return np.minimum(lobe, wedge)


def _arrow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    head = np.maximum(_side(np.abs(x), y, (0.766044, -0.642788), 0.642788), y - 0.05)
    return np.minimum(head, _box(x, y - 0.45, 0.24, 0.5))


#: The classes' names in the order of their labels, with their outlines.
OUTLINES: dict[str, Outline] = {
    "disc": lambda x, y: length(x, y) - 0.85,
    "ring": lambda x, y: np.abs(length(x, y) - 0.74) - 0.24,
    "square": lambda x, y: _box(x, y, 0.72, 0.72),
    "triangle": lambda x, y: np.maximum(_side(np.abs(x), y, (0.866025, -0.5), 0.5), y - 0.5),
    "cross": lambda x, y: np.minimum(_box(x, y, 0.95, 0.28), _box(x, y, 0.28, 0.95)),
    "star": _star,
    "crescent": lambda x, y: np.maximum(length(x, y) - 1, 0.8 - length(x - 0.5, y)),
    "heart": _heart,
    "arrow": _arrow,
    "hourglass": lambda x, y: np.maximum(
        _side(np.abs(x), np.abs(y), (0.8, -0.6), 0.08), np.abs(y) - 0.765
    ),
}
