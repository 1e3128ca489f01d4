"""Figures drawn from records. Each tells from how many seeds it is, and from which device."""

import os
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cbam_course import plotting

from .definitions import find
from .experiment import Experiment
from .statistics import mean_interval, paired_differences
from .tables import curves, describe, number, table

Compared = tuple[pd.DataFrame, pd.Series]
"""The runs of a variant, and how each differs from its baseline's."""

PALE = "#9AA3AB"
"""Of a baseline's curves, behind those of a variant."""


@plotting.course_style()
def show_differences(
    *experiments: str | Experiment, folder: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw how much better or worse than its baseline each variant is: one row per variant.

    A dot is the difference of two runs of one seed; the large marker is their mean, its line the
    95 % interval, with an arrow where it is longer than the figure. What is right of zero is
    better than the baseline.

    Args:
        experiments: as for :func:`table`; each has its own axes.
        folder: as for :func:`table`.

    Raises:
        ValueError: for an unknown experiment, if nothing is recorded, or if no variant has a seed
            in common with its baseline.
    """
    questions = {each.name: each.question for each in map(find, experiments)}
    runs = _recorded(*experiments, folder=folder)
    groups = {
        name: variants
        for name, own in runs.groupby("experiment", sort=False)
        if (variants := compared(own))
    }
    if not groups:
        raise ValueError("there is nothing to compare: no variant has a seed with its baseline")
    counts = [len(variants) for variants in groups.values()]
    height = 0.36 * sum(counts) + 0.45 * len(counts) + 0.9
    figure, grid = plotting.page(len(groups), 1, height, sharex=True, height_ratios=counts)
    limits = axis_limits([*groups.values()])
    for axes, (name, variants) in zip(grid.flat, groups.items(), strict=True):
        draw_differences(axes, variants, limits)
        axes.set_title(questions[name], loc="left")
    shown = pd.concat([own for group in groups.values() for own, _ in group])
    baselines = shown["baseline"].unique()
    than = f"“{baselines[0]}”" if len(baselines) == 1 else "the baseline"
    grid[-1, 0].set_xlabel(f"test accuracy above that of {than}, percentage points")
    comparisons = number([sum(counts)], "comparison")
    note = f"dots: one seed each; lines: 95 % intervals, not corrected for {comparisons}"
    figure.supxlabel(f"{note}\n{describe(shown)}", fontsize=10)
    return figure


@plotting.course_style()
def show_curves(
    experiment: str | Experiment, folder: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw the test accuracy after each epoch: one panel a variant, its baseline in gray behind.

    Thin lines are single seeds, a thick line is their mean, and the band its 95 % interval.

    Args:
        experiment: its name, or an experiment of your own.
        folder: as for :func:`table`.

    Raises:
        ValueError: for an unknown experiment, or if nothing is recorded.
    """
    runs = _recorded(experiment, folder=folder)
    epochs = curves(experiment, folder=folder)
    of_variant = dict(list(epochs.groupby("variant")))
    panels = runs.drop_duplicates("variant")
    if (panels["baseline"] != "").any():
        panels = panels[panels["baseline"] != ""]  # a baseline is in the panels of the others
    # Two columns for a few panels; for more, three or four, whichever leave less room empty.
    few = len(panels) <= 4
    columns = min(len(panels), 2) if few else min((3, 4), key=lambda n: -len(panels) % n)
    rows = ceil(len(panels) / columns)
    figure, grid = plotting.page(rows, columns, 2.1 * rows + 1.2, sharex=True, sharey=True)
    shown, empty = grid.flat[: len(panels)], grid.flat[len(panels) :]
    for axes in empty:
        axes.remove()
    for axes, panel in zip(shown, panels.itertuples(), strict=True):
        if panel.baseline in of_variant:
            _draw_curves(axes, of_variant[panel.baseline], PALE)
        _draw_curves(axes, of_variant[panel.variant], plotting.method_color(panel.attention))
        axes.set_title(panel.variant, fontsize=11)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    # The intervals of two seeds may be far longer than what the seeds did.
    low, high = epochs["test_accuracy"].min(), epochs["test_accuracy"].max()
    room = 0.06 * (high - low) or 0.1
    grid[0, 0].set_ylim(low - room, high + room)
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy")
    for axes in shown[-columns:]:
        axes.set_xlabel("epoch")  # the lowest of each column
        axes.tick_params(labelbottom=True)
    gray = [name for name in panels["baseline"].unique() if name]
    behind = f"; gray: {gray[0] if len(gray) == 1 else 'baseline'}" if gray else ""
    note = f"thin: one seed each; thick: mean, with its 95 % interval{behind}"
    figure.supxlabel(f"{note}\n{describe(runs)}", fontsize=10)
    return figure


def _recorded(
    *experiments: str | Experiment, folder: str | os.PathLike[str] | None
) -> pd.DataFrame:
    runs = table(*experiments, folder=folder)
    if runs.empty:
        raise ValueError("there is nothing to draw: no run of these experiments is recorded yet")
    return runs


def compared(runs: pd.DataFrame) -> list[Compared]:
    """The variants of an experiment that have a baseline."""
    compared = [
        (own, paired_differences(runs, own)) for _, own in runs.groupby("variant", sort=False)
    ]
    return [(own, differences) for own, differences in compared if len(differences)]


def axis_limits(groups: list[list[Compared]]) -> tuple[float, float]:
    """Of the axis of differences: two seeds can have an interval many times as long as the rest."""
    dots = np.concatenate([differences for group in groups for _, differences in group])
    ends = [end for group in groups for _, d in group for end in mean_interval(d)[1:]]
    low, high = min(0.0, dots.min()), max(0.0, dots.max())
    room = max(high - low, 0.1)
    longest = np.nan_to_num([*ends, *dots, 0.0])
    low, high = max(longest.min(), low - room), min(longest.max(), high + room)
    return low - 0.05 * room, high + 0.05 * room


def draw_differences(axes: Axes, variants: list[Compared], limits: tuple[float, float]) -> None:
    for row, (own, differences) in enumerate(variants):
        method = own["attention"].iloc[0]
        color = plotting.method_color(method)
        mean, low, high = mean_interval(differences)
        # Below the line, and each seed a little lower: dots at one height would look like one.
        heights = row + np.linspace(0.2, 0.34, len(differences))
        axes.plot(differences, heights, "o", color=color, markersize=4, alpha=0.45, zorder=2)
        axes.plot([low, high], [row, row], color=color, zorder=3)
        for beyond, limit, arrow in zip(
            (low < limits[0], high > limits[1]), limits, "<>", strict=True
        ):
            if beyond:
                axes.plot(limit, row, arrow, color=color, markersize=6, clip_on=False)
        marker = plotting.MARKERS[method]
        axes.plot(mean, row, marker, color=color, markeredgecolor="white", markersize=9, zorder=4)
        numbers = f"{mean:+.2f}"
        if np.isfinite(low):
            numbers += f"  [{low:+.2f}, {high:+.2f}]"
        axes.annotate(
            numbers.replace("-", "−"), (1, row), xycoords=("axes fraction", "data"),
            xytext=(6, 0), textcoords="offset points", va="center", fontsize=10,
        )  # fmt: skip
    axes.axvline(0, color=plotting.INK, linewidth=1, zorder=1)
    names = [own["variant"].iloc[0] for own, _ in variants]
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axes.set_xlim(limits)
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    axes.grid(axis="x")


def _draw_curves(axes: Axes, epochs: pd.DataFrame, color: str) -> None:
    by_seed = epochs.pivot(index="epoch", columns="seed", values="test_accuracy")
    axes.plot(by_seed.index, by_seed, color=color, linewidth=0.7, alpha=0.5)
    means = [mean_interval(row.dropna()) for _, row in by_seed.iterrows()]
    mean, low, high = np.array(means).T
    axes.fill_between(by_seed.index, low, high, color=color, alpha=0.2, linewidth=0)
    # A single epoch would be no line at all.
    axes.plot(by_seed.index, mean, color=color, marker="o" if len(mean) == 1 else None)
