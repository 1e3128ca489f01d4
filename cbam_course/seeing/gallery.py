"""The figures of the chapter on seeing attention, in the course's style."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cbam_course.plotting import (
    ATTENTION_COLORMAP,
    INK,
    OTHER_COLORS,
    PAGE_WIDTH,
    course_style,
    page,
    without_frame,
)
from cbam_course.records.statistics import Interval, mean_interval


@course_style()
def show_gallery(rows: Mapping[str, Sequence[Any]], titles: Sequence[str] = ()) -> Figure:
    """Draw images and maps in rows: one column for each image, one row for each kind of map.

    Args:
        rows: from label to images, ``[H, W, 3]`` bytes, or to maps, ``[h, w]``. The maps of one
            row share one scale from black (their smallest value) to bright (their largest); the
            two are printed under the row's label.
        titles: one above each column.

    Raises:
        ValueError: if rows and titles are not equally long.
    """
    columns = max(map(len, rows.values()))
    side = (PAGE_WIDTH - 1.3) / columns
    height = len(rows) * (side + 0.04) + (0.3 if titles else 0.05)
    figure, grid = page(len(rows), columns, height)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for cells, (label, images) in zip(grid, rows.items(), strict=True):
        arrays = [np.asarray(image) for image in images]
        low, high = min(map(np.min, arrays)), max(map(np.max, arrays))
        for axes, array in zip(cells, arrays, strict=True):
            axes.imshow(array, cmap=ATTENTION_COLORMAP, vmin=low, vmax=high)
            without_frame(axes)
        text = f"{label}\n{low:.2f} to {high:.2f}" if arrays[0].ndim == 2 else label
        cells[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=11, labelpad=6)
    for axes, title in zip(grid[0], titles, strict=bool(titles)):
        axes.set_title(title, fontsize=11)
    return figure


@course_style()
def show_weights_by_class(weights: Mapping[str, Any], classes: Sequence[str]) -> Figure:
    """Draw mean channel weights: a row for each class, a column for each channel.

    Args:
        weights: from the title of a block to ``[classes, channels]``, values in [0, 1].
        classes: names of the classes.

    Returns:
        The figure: one panel for each block and the scale.
    """
    planes = {title: np.asarray(plane) for title, plane in weights.items()}
    # As wide as its channels are many, but never too narrow for its title.
    ratios = [max(plane.shape[1], 14) for plane in planes.values()]
    figure, grid = page(1, len(planes), 3.3, width_ratios=ratios)
    for axes, (title, plane) in zip(grid[0], planes.items(), strict=True):
        drawn = axes.imshow(plane, aspect="auto", cmap=ATTENTION_COLORMAP, vmin=0, vmax=1)
        without_frame(axes)
        axes.set_title(title, fontsize=11)
        axes.set(xticks=[0, plane.shape[1] - 1], xlabel="channel")
    grid[0, 0].set_yticks(range(len(classes)), classes)
    figure.colorbar(drawn, ax=grid[0].tolist(), fraction=0.04, pad=0.01, label="mean weight")
    return figure


@course_style()
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
            label to values, of which the mean and its interval are drawn, or to a mean with its
            interval. Lines of one label stand together.
        xlabel: what is measured.
        reference: where to draw a vertical line.
        colors: from labels to colors, for a single series.
        limits: of the axis.
    """
    labels = list(dict.fromkeys(label for lines in series.values() for label in lines))
    figure, ((axes,),) = page(1, 1, 0.95 + 0.36 * len(labels))
    if reference is not None:
        axes.axvline(reference, color=INK, linewidth=0.8, zorder=0)
    shifts = np.linspace(-0.16, 0.16, len(series)) if len(series) > 1 else [0]
    for (name, lines), shift, marker, other in zip(
        series.items(), shifts, "oDs^", OTHER_COLORS, strict=False
    ):
        for label, values in lines.items():
            color = (colors or {}).get(label, other)
            _draw_estimate(axes, labels.index(label) + shift, values, color, marker)
        axes.plot([], [], marker, color=other, label=name)
    axes.set(xlabel=xlabel, yticks=range(len(labels)), yticklabels=labels, xlim=limits)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    if len(series) > 1:
        figure.legend(loc="outside upper center", ncols=len(series))
    return figure


def _draw_estimate(axes: Axes, height: float, values: Any, color: str, marker: str) -> None:
    estimate = values if isinstance(values, Interval) else mean_interval(values)
    axes.plot(estimate[1:], [height, height], color=color, linewidth=2.5, solid_capstyle="butt")
    if not isinstance(values, Interval) and len(values) > 1:
        # Above the line, and hollow, so that the line does not hide them.
        dots = {"markerfacecolor": "white", "markeredgecolor": color, "markersize": 4.5}
        axes.plot(values, np.full(len(values), height), "o", markeredgewidth=1.2, **dots)
    axes.plot(estimate.mean, height, marker, color=color, markersize=8)
