"""Labels beside the points of a plot, where they cover nothing."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import Bbox

DISTANCES = range(6, 60, 6)
"""How far a label may be from its point, in points of 1/72 inch."""

ANGLES = np.radians(range(90, 450, 15))
"""Directions from the point to its label; above is the first choice."""


def label_points(axes: Axes, points: Mapping[str, Sequence[float]], color: str) -> None:
    """Write labels near their points and join them by thin lines.

    Of many places the best is taken for one label after another, from the top down: within the
    axes, on no marker, line, patch, legend or label, with its thin line across as few of them as
    can be, and near. What is drawn later may lie under a label.

    Args:
        axes: the axes, with everything else drawn.
        points: from the label to the data coordinates of its point.
        color: color of the thin lines.
    """
    # The layout, and with it the place of everything in pixels, is known when all has been drawn.
    axes.figure.draw_without_rendering()
    scale = axes.figure.dpi / 72
    paths = [axes.transData.transform_path(line.get_path()) for line in axes.lines]
    boxes = [Bbox([spot - 6 * scale, spot + 6 * scale]) for path in paths for spot in path.vertices]
    legend = [] if axes.get_legend() is None else [axes.get_legend()]
    boxes += [artist.get_window_extent() for artist in (*axes.patches, *legend)]
    joined = [
        path for line, path in zip(axes.lines, paths, strict=True) if line.get_linestyle() == "-"
    ]
    labels: list[Bbox] = []

    def hidden(box: Bbox) -> int:
        return (
            (not all(axes.bbox.contains(*corner) for corner in box.get_points()))
            + sum(box.overlaps(other) for other in (*boxes, *labels))
            + sum(line.intersects_bbox(box, filled=False) for line in joined)
        )

    def crossed(leader: Path) -> int:
        return (
            20 * sum(leader.intersects_bbox(other) for other in labels)
            + 2 * sum(leader.intersects_path(line, filled=False) for line in joined)
            + sum(leader.intersects_bbox(other) for other in boxes)
        )

    for label, point in sorted(points.items(), key=lambda item: -item[1][1]):
        start = axes.transData.transform(point)
        text = axes.annotate(
            label,
            point,
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=10,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkB": 4},
        )
        text.set_in_layout(False)  # the places found here must stay where they are
        half = text.get_window_extent().size / 2 + 2 * scale
        best = None
        for distance, angle in product(DISTANCES, ANGLES):
            center = start + (distance * scale + half) * (np.cos(angle), np.sin(angle))
            box, leader = Bbox([center - half, center + half]), Path([start, center])
            score = distance + 1000 * hidden(box)
            if best is not None and score >= best[0]:
                continue  # no need to look at the line, which takes longer
            score += 50 * crossed(leader)
            if best is None or score < best[0]:
                best = score, center, box, leader
        _, center, box, leader = best
        text.set_position((center - start) / scale)
        labels.append(box)
        joined.append(leader)
