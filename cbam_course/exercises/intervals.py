"""Student's interval around a mean difference, and the mistakes that are made with it."""

import math

import numpy as np
from scipy import stats

Mistakes = list[tuple[list[float], str]]


def limits(d: np.ndarray, level: float = 0.95) -> list[float]:
    """The mean, and Student's limits around it: NaN for one difference alone."""
    if len(d) < 2:
        return [d.mean(), math.nan, math.nan]
    return around(d.mean(), stats.t.ppf((1 + level) / 2, len(d) - 1) * stats.sem(d))


def around(mean: float, half: float) -> list[float]:
    """The mean, and the ends of an interval that reaches so far to each side."""
    return [mean, mean - half, mean + half]


def mistakes_of_intervals(d: np.ndarray, level: float = 0.95) -> Mistakes:
    """What mistakes give instead of :func:`limits`, and what to say of them."""
    n, mean = len(d), d.mean()
    if n < 2:
        return [([mean] * 3, "One number says nothing about its own scatter: the limits are NaN.")]
    t, z = stats.t.ppf((1 + level) / 2, n - 1), round(stats.norm.ppf((1 + level) / 2), 2)
    one_sided = "The share that `level` leaves out lies on both sides, half of it on each."
    freedom = "n differences have n - 1 degrees of freedom."
    normal = f"{z} is of the normal distribution, for many differences. For few t is larger."
    return [
        (around(mean, z * stats.sem(d)), normal),
        (around(mean, t * stats.sem(d, ddof=0)), "Divide the squares by n - 1, not by n."),
        (around(mean, t * d.std(ddof=1)), "So far single differences scatter. And their mean?"),
        (limits(d), "The interval of 95 % comes out whatever the `level`."),
        (around(mean, stats.t.ppf(level, n - 1) * stats.sem(d)), one_sided),
        (around(mean, stats.t.ppf((1 + level) / 2, n) * stats.sem(d)), freedom),
    ]
