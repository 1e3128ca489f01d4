"""A mean with the interval in which the true one lies, most of the time."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class MeanInterval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def mean_interval(values: Any, level: float = 0.95) -> MeanInterval:
    r"""The mean of independent values with Student's interval.

    .. math:: \bar v \pm t_{n-1} \, \frac{s}{\sqrt n}

    The values may be images (n in the hundreds) or trained networks (n = 5, say); the interval
    speaks of what would come out with other images, or other seeds, respectively.

    Args:
        values: at least two numbers.
        level: how often such an interval holds the true mean.

    Raises:
        ValueError: if there are fewer than two values, one is not finite, or the level is not
            between 0 and 1.
    """
    values = np.asarray(values, dtype=float).ravel()
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite numbers")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    mean = float(values.mean())
    return MeanInterval(mean, mean - float(half), mean + float(half))
