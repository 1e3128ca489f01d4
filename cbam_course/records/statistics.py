"""Statistics of recorded runs: means, intervals, and differences between runs of one seed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # scipy.stats takes seconds to load

LEVEL = 0.95
"""Of the intervals: so often does such an interval contain the true mean."""

COLUMNS = (
    "seeds", "parameters", "accuracy", "sd", "low", "high", "pairs", "difference",
    "difference_low", "difference_high", "p",
)  # fmt: skip


class Interval(NamedTuple):
    """A mean, and the limits between which the true mean probably is."""

    mean: float
    low: float
    high: float


def summary(table: pd.DataFrame) -> pd.DataFrame:
    r"""What the runs of each variant have in common, and how they differ from the baseline's.

    A mean has the interval of Student's t distribution,

    .. math:: \bar{a} \pm t_{0.975,\,n-1} \frac{s}{\sqrt{n}}

    for n seeds and their standard deviation s. A difference is taken between two runs of the same
    seed, the variant's and its baseline's: they have the same images in the same order, and what
    chance gave to both is not in it. Its interval and its p value (two-sided, of the paired t test)
    come from the differences, over the seeds that both have.

    Args:
        table: as :func:`cbam_course.records.table` gives it.

    Returns:
        One row per variant, in the table's order, with the columns

        - ``seeds`` (how many), ``parameters``, ``accuracy`` (the mean over the seeds, in percent),
          ``sd``, and ``low`` and ``high``, the 95 % interval of the mean;
        - ``pairs`` (how many seeds both have), ``difference`` (the mean, in percentage points),
          ``difference_low`` and ``difference_high``, its 95 % interval, and ``p``;
        - ``p_holm``, the p value with Holm's correction for ``comparisons``, the number of p values
          in this summary: among many comparisons some are below 0.05 by chance.

        The index is the variant, or, for several experiments, the experiment and the variant. What
        cannot be told is NaN: the interval and the p value of a single seed, or of values that are
        all the same, and what a baseline has no baseline for.
    """
    keys, rows = ["experiment", "variant"], []
    for key, runs in table.groupby(keys, sort=False):
        accuracies, differences = runs["test_accuracy"], paired_differences(table, runs)
        (mean, low, high), (difference, p) = mean_interval(accuracies), _estimate(differences)
        own = len(runs), runs["parameters"].iloc[0], mean, accuracies.std(), low, high
        rows.append((*key, *own, len(differences), *difference, p))
    result = pd.DataFrame(rows, columns=[*keys, *COLUMNS]).set_index(keys)
    result["p_holm"] = holm(result["p"].to_numpy(float))
    result["comparisons"] = int(result["p"].notna().sum())
    return result if table["experiment"].nunique() > 1 else result.droplevel("experiment")


def paired_differences(table: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """The accuracies of a variant's runs less those of its baseline's, by the seeds both have."""
    experiment, name = runs["experiment"].iloc[0], runs["baseline"].iloc[0]
    chosen = (table["experiment"] == experiment) & (table["variant"] == name)
    baseline = table[chosen].set_index("seed")["test_accuracy"]
    own = runs.set_index("seed")["test_accuracy"]
    # Accuracies are shares of so many images; what is left of them in the 10th digit is rounding.
    return (own - baseline).dropna().sort_index().round(6)


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean, and the interval of Student's t distribution: NaN if the values have no spread."""
    return _estimate(values)[0]


def holm(p: np.ndarray) -> np.ndarray:
    """P values with Holm's correction for their number; NaN stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    # The smallest is multiplied by the number of all, the next by one less, and none may become
    # smaller than the one before.
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _estimate(values: Sequence[float]) -> tuple[Interval, float]:
    """A mean with its interval, and the p value of the two-sided t test that it is 0."""
    values = np.asarray(values, dtype=float)
    mean = float(values.mean()) if len(values) else np.nan
    # Two seeds with the same difference, which happens on few images, do not tell the spread.
    if len(values) < 2 or np.ptp(values) == 0:
        return Interval(mean, np.nan, np.nan), np.nan
    freedom = len(values) - 1
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error))
    return Interval(mean, mean - reach, mean + reach), p
