"""The pictures of the chapter on seeing attention, in the course's style."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from cbam_course.plotting import (
    ATTENTION_COLORMAP,
    INK,
    OTHER_COLORS,
    PAGE_WIDTH,
    course_style,
    shown_as_value,
)
from cbam_course.records.statistics import Interval, mean_interval


def show_gallery(rows: Mapping[str, Sequence[Any]], titles: Sequence[str] | None = None) -> Figure:
    """Draw pictures and maps in rows: one column for each image, one row for each kind of map.

    Args:
        rows: from label to pictures, ``[H, W, 3]`` bytes, or to maps, ``[h, w]``. The maps of one
            row share one scale from black (their smallest value) to bright (their largest); the
            two are printed under the row's label.
        titles: one above each column.

    Returns:
        The figure, with one axes for each picture.

    Raises:
        ValueError: if there are no rows, or they are not equally long.
    """
    lengths = {len(pictures) for pictures in rows.values()} | ({len(titles)} if titles else set())
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"rows and titles must have one length, at least 1; got {sorted(lengths)}")
    columns = lengths.pop()
    side = (PAGE_WIDTH - 1.3) / columns
    with course_style():
        figure, grid = plt.subplots(
            len(rows),
            columns,
            figsize=(PAGE_WIDTH, len(rows) * (side + 0.04) + (0.3 if titles else 0.05)),
            squeeze=False,
            layout="constrained",
        )
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
        for number, (label, pictures) in enumerate(rows.items()):
            _draw_row(grid[number], label, [np.asarray(picture) for picture in pictures])
        for axes, title in zip(grid[0], titles or (), strict=False):
            axes.set_title(title, fontsize=11)
    return shown_as_value(figure)


def _draw_row(cells: Sequence[Any], label: str, pictures: list[np.ndarray]) -> None:
    maps = pictures[0].ndim == 2
    low = min(float(p.min()) for p in pictures)
    high = max(float(p.max()) for p in pictures)
    for axes, picture in zip(cells, pictures, strict=True):
        if maps:
            axes.imshow(picture, cmap=ATTENTION_COLORMAP, vmin=low, vmax=high)
        else:
            axes.imshow(picture)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    text = f"{label}\n{low:.2f} to {high:.2f}" if maps else label
    cells[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=11, labelpad=6)


def show_weights_by_class(weights: Mapping[str, Any], classes: Sequence[str]) -> Figure:
    """Draw mean channel weights: a row for each class, a column for each channel.

    Args:
        weights: from the title of a block to ``[classes, channels]``, values in [0, 1].
        classes: names of the classes.

    Returns:
        The figure: one panel for each block and the scale.

    Raises:
        ValueError: if there are no weights, or not one row for each class.
    """
    planes = {title: np.asarray(plane, dtype=float) for title, plane in weights.items()}
    if not planes or any(p.ndim != 2 or len(p) != len(classes) for p in planes.values()):
        shapes = [list(p.shape) for p in planes.values()]
        raise ValueError(f"weights must be [{len(classes)}, channels] for each block, got {shapes}")
    # As wide as its channels are many, but never too narrow for its title.
    ratios = [max(plane.shape[1], 14) for plane in planes.values()]
    with course_style():
        figure, grid = plt.subplots(
            1,
            len(planes),
            figsize=(PAGE_WIDTH, 3.3),
            squeeze=False,
            layout="constrained",
            width_ratios=ratios,
        )
        for axes, (title, plane) in zip(grid[0], planes.items(), strict=True):
            drawn = axes.imshow(plane, aspect="auto", cmap=ATTENTION_COLORMAP, vmin=0, vmax=1)
            axes.set_title(title, fontsize=11)
            axes.set(xticks=[0, plane.shape[1] - 1], yticks=[], xlabel="channel")
            axes.spines[:].set_visible(False)
        grid[0, 0].set_yticks(range(len(classes)), classes)
        figure.colorbar(drawn, ax=grid[0].tolist(), fraction=0.04, pad=0.01, label="mean weight")
    return shown_as_value(figure)


def show_estimates(
    series: Mapping[str, Mapping[str, Any]],
    *,
    xlabel: str,
    reference: float | None = None,
    colors: Mapping[str, str] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw means with their 95 % intervals, one line for each, and every single value as a dot.

    Args:
        series: from the name of a series (of the legend, if there are several) to its lines: from
            label to values, of which the mean and its interval are drawn, or to a
            mean with its interval. Lines of one label share a place.
        xlabel: what is measured.
        reference: where to draw a vertical line.
        colors: from labels to colors, for a single series.
        limits: of the axis.

    Returns:
        The figure, with one axes.

    Raises:
        ValueError: if there is nothing to draw.
    """
    labels = list(dict.fromkeys(label for lines in series.values() for label in lines))
    if not labels:
        raise ValueError("there is nothing to draw: expected at least one line, got none")
    with course_style():
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 0.95 + 0.36 * len(labels)))
        if reference is not None:
            axes.axvline(reference, color=INK, linewidth=0.8, zorder=0)
        shift = 0.32 / max(1, len(series) - 1) if len(series) > 1 else 0
        for number, (name, lines) in enumerate(series.items()):
            for label, values in lines.items():
                color = (colors or {}).get(label) or OTHER_COLORS[number]
                place = labels.index(label) + shift * (number - (len(series) - 1) / 2)
                _draw_estimate(axes, place, values, color, "oDs^"[number % 4])
            axes.plot([], [], "oDs^"[number % 4], color=OTHER_COLORS[number], label=name)
        axes.set(xlabel=xlabel, yticks=range(len(labels)), yticklabels=labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        if limits is not None:
            axes.set_xlim(limits)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=len(series))
    return shown_as_value(figure)


def _draw_estimate(axes: Any, place: float, values: Any, color: str, marker: str) -> None:
    estimate = values if isinstance(values, Interval) else mean_interval(values)
    axes.plot(estimate[1:], [place, place], color=color, linewidth=2.5, solid_capstyle="butt")
    if not isinstance(values, Interval) and len(values) > 1:
        # Above the line, and hollow, so that the line does not hide them.
        dots = {"markerfacecolor": "white", "markeredgecolor": color, "markersize": 4.5}
        axes.plot(values, np.full(len(values), place), "o", markeredgewidth=1.2, **dots)
    axes.plot(estimate.mean, place, marker, color=color, markersize=8)
