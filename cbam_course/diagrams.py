"""The drawings of the attention blocks, made by code: one function a figure.

Everything is placed in inches on a canvas as wide as the page. The feature maps are toy numbers on
which the blocks' steps were really computed, and a darker cell always means a larger value.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from .plotting import (
    AVERAGE_COLOR,
    CHANNEL_COLOR,
    FEATURE_COLOR,
    INK,
    MAXIMUM_COLOR,
    PAGE_WIDTH,
    SPATIAL_COLOR,
    course_style,
    shown_as_value,
)

ALT = {
    "squeeze_excitation": (
        "A feature map F, drawn as a stack of six channels, is averaged to one number per "
        "channel, z. A bottleneck of two fully connected layers and a sigmoid turn z into six "
        "channel weights, which multiply F; in the output F' the channels with small weights have "
        "faded."
    ),
    "channel_attention": (
        "The average and the maximum of each channel of F form two vectors. Both go through one "
        "shared MLP, drawn as a bottleneck from C to C/r to C; the two results are added, and a "
        "sigmoid makes the channel attention map, one weight per channel."
    ),
    "channel_attention_conv": (
        "The average and the maximum of each channel of F form two vectors. One shared convolution "
        "slides a window of k neighboring channels along each of them; the two results are added, "
        "and a sigmoid makes the channel attention map, one weight per channel."
    ),
    "spatial_attention": (
        "The average and the maximum over the channels of F' are two maps of places. Laid one "
        "behind the other they go through a 7 x 7 convolution, whose window is drawn, and a "
        "sigmoid; the spatial attention map is dark green, for high weights, at the object."
    ),
    "cbam": (
        "The feature map F goes to the channel attention module, whose map of one weight "
        "per channel multiplies F to give F'. F' goes to the spatial attention module, whose map "
        "of one weight per place multiplies F' to give F'': first whole channels fade, then the "
        "places around the object."
    ),
    "cbam_spatial_channel": (
        "The feature map F goes to the spatial attention module, whose map of one weight per place "
        "multiplies F to give F'. F' goes to the channel attention module, whose map of one weight "
        "a channel multiplies F' to give F''."
    ),
    "cbam_parallel": (
        "The feature map F goes to the channel attention module above and to the spatial attention "
        "module below. Both maps multiply F, one after the other, to give F''."
    ),
    "residual_block": (
        "The input x goes through two 3 x 3 convolutions, then through channel attention and "
        "spatial attention, and is added to the shortcut that carries x past all of them; a ReLU "
        "follows. CBAM sits at the end of the residual branch, before the addition."
    ),
}
"""What each drawing shows, in words, by the name of its function.

An option is added to the name: ``channel_attention_conv`` is ``channel_attention("conv")``.
"""

_QUIET = "#56636F"
_NEUTRAL = "#8795A1"
_RADIUS = 0.17


def _toy() -> dict[str, np.ndarray]:
    """The numbers that are drawn: six channels of 12 x 12 places with an object, upper right.

    The channel weights are chosen; everything else is computed as CBAM computes it, with a
    convolution that averages, and scores stretched to [0, 1].
    """
    row, column = np.mgrid[-1:1:12j, -1:1:12j]
    thing = np.exp(-3 * ((row + 0.2) ** 2 + (column - 0.2) ** 2))
    random = np.random.RandomState(3)
    features = np.stack(
        [
            loud * (0.25 + 0.27 * random.rand(12, 12) + share * thing)
            for loud, share in zip(
                (0.95, 1.0, 0.95, 1.0, 0.95, 1.0), (0.5, 0.0, 0.45, 0.0, 0.5, 0.35), strict=True
            )
        ]
    )
    channel = np.array([0.95, 0.35, 0.85, 0.10, 0.92, 0.60])
    logits = np.log(channel / (1 - channel))
    refined = features * channel[:, None, None]
    average, maximum = refined.mean(axis=0), refined.max(axis=0)
    padded = np.pad(average + maximum, 3, mode="edge")
    sums = sum(padded[i : i + 12, j : j + 12] for i in range(7) for j in range(7))
    scores = (sums - sums.min()) / (sums.max() - sums.min())
    return {
        "features": features,
        "channel_average": features.mean(axis=(1, 2)),
        "channel_maximum": features.max(axis=(1, 2)),
        "channel_scores": (logits - logits.min()) / (logits.max() - logits.min()),
        "channel": channel,
        "refined": refined,
        "average": average,
        "maximum": maximum,
        "scores": scores,
        "spatial": 1 / (1 + np.exp(-9 * (scores - 0.6))),
    }


def _drawing(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the course's style, whether or not the notebook has set it."""

    @wraps(draw)
    def styled(*args: str, **kwargs: str) -> Figure:
        with course_style():
            return draw(*args, **kwargs)

    return styled


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        return (self.bottom + self.top) / 2


def _canvas(height: float) -> Axes:
    # An engine that leaves everything where it is. With none at all, matplotlib would put the
    # notebook's default engine to work once the figure has been saved.
    still = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    figure = shown_as_value(plt.figure(figsize=(PAGE_WIDTH, height), layout=still))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, PAGE_WIDTH), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    return axes


def _shades(color: str) -> LinearSegmentedColormap:
    """From a breath of ``color``, so that a cell of value 0 is still seen, to ``color`` itself."""
    pale = tuple(0.92 + 0.08 * part for part in to_rgb(color))
    return LinearSegmentedColormap.from_list("shades", [pale, color])


def _stack(
    axes: Axes,
    x: float,
    y: float,
    maps: np.ndarray,
    colors: str | Sequence[str],
    size: float = 0.82,
    step: tuple[float, float] = (0.1, 0.08),
) -> _Box:
    """Maps as square sheets one behind the other, from ``x`` rightward, around the height ``y``."""
    depth = len(maps) - 1
    bottom = y - (size + depth * step[1]) / 2
    colors = [colors] * len(maps) if isinstance(colors, str) else colors
    edges = np.linspace(0, size, maps.shape[-1] + 1)
    for number in reversed(range(len(maps))):
        left, low = x + number * step[0], bottom + number * step[1]
        order = 3 - 0.01 * number
        axes.pcolormesh(
            left + edges,
            low + edges,
            maps[number][::-1],
            cmap=_shades(colors[number]),
            vmin=0,
            vmax=1,
            edgecolors="white",
            linewidth=0.25,
            zorder=order,
        )
        # A channel that has faded fades with its outline.
        edge = _shades(colors[number])(0.3 + 0.7 * min(1.0, float(maps[number].max()) / 0.6))
        outline = Rectangle((left, low), size, size, fill=False, ec=edge, lw=1.1)
        outline.set_zorder(order + 0.005)
        axes.add_patch(outline)
    return _Box(x, bottom, x + size + depth * step[0], bottom + size + depth * step[1])


def _vector(
    axes: Axes,
    x: float,
    y: float,
    values: np.ndarray,
    color: str,
    cell: float = 0.17,
    lying: bool = False,
) -> _Box:
    """A channel vector as a column (or row) of cells around ``x``, ``y``, channel 0 first."""
    shades, half = _shades(color), len(values) * cell / 2
    for number, value in enumerate(values):
        along = number * cell
        corner = (
            (x - half + along, y - cell / 2) if lying else (x - cell / 2, y + half - along - cell)
        )
        face = shades(float(value))
        axes.add_patch(Rectangle(corner, cell, cell, fc=face, ec=color, lw=1.0, zorder=3))
    wide, high = (half, cell / 2) if lying else (cell / 2, half)
    return _Box(x - wide, y - high, x + wide, y + high)


def _node(axes: Axes, x: float, y: float, symbol: str, color: str = INK) -> None:
    """An operator in a circle: a product, a sum, a sigmoid."""
    axes.add_patch(Circle((x, y), _RADIUS, fc="white", ec=color, lw=1.6, zorder=4))
    if symbol in "×+":
        reach = _RADIUS * 0.5
        lean = reach * 0.75
        ends = {
            "×": (((-lean, -lean), (lean, lean)), ((-lean, lean), (lean, -lean))),
            "+": (((-reach, 0), (reach, 0)), ((0, -reach), (0, reach))),
        }
        for (x1, y1), (x2, y2) in ends[symbol]:
            axes.plot([x + x1, x + x2], [y + y1, y + y2], color=color, lw=1.8, zorder=5)
    else:
        _label(axes, x, y, symbol, 13, color)


def _arrow(axes: Axes, *points: tuple[float, float], color: str = INK, head: bool = True) -> None:
    """A line through ``points`` with rounded corners, and an arrow head at its end."""
    corners = np.array(points, dtype=float)
    vertices, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        for point, code in (
            (corner + _toward(corner, before), Path.LINETO),
            (corner, Path.CURVE3),
            (corner + _toward(corner, after), Path.CURVE3),
        ):
            vertices.append(point)
            codes.append(code)
    path = Path([*vertices, corners[-1]], [*codes, Path.LINETO])
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>" if head else "-",
            mutation_scale=13,
            color=color,
            lw=1.5,
            fill=head,
            capstyle="butt",
            zorder=2.5,
            gid="arrow",
        )
    )


def _toward(start: np.ndarray, end: np.ndarray, radius: float = 0.09) -> np.ndarray:
    way = end - start
    length = float(np.hypot(*way))
    return way * min(radius, length / 2) / length


def _fork(axes: Axes, x: float, y: float, color: str = INK) -> None:
    """The dot where one line becomes two."""
    axes.add_patch(Circle((x, y), 0.045, color=color, zorder=4))


def _label(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float = 11,
    color: str = INK,
    *,
    bold: bool = False,
    ha: str = "center",
) -> None:
    # One line hangs on its baseline, so that F, F' and neighboring labels stand level.
    one_line = "\n" not in text
    axes.text(
        x,
        y - (0.36 * size / 72 if one_line else 0),
        text,
        size=size,
        color=color,
        weight="bold" if bold else "normal",
        ha=ha,
        va="baseline" if one_line else "center",
        zorder=6,
        linespacing=1.25,
    )


def _name(axes: Axes, box: _Box, symbol: str, shape: str, color: str = INK) -> None:
    """The symbol of a map above it, and its shape below it."""
    _label(axes, box.x, box.top + 0.2, symbol, 15, color)
    _label(axes, box.x, box.bottom - 0.18, shape, 10.5, _QUIET)


def _panel(axes: Axes, box: _Box, title: str, color: str) -> None:
    """A tinted, rounded background for the parts of one module, with the module's name."""
    tint = tuple(0.90 + 0.10 * part for part in to_rgb(color))
    axes.add_patch(
        FancyBboxPatch(
            (box.left + 0.08, box.bottom + 0.08),
            box.right - box.left - 0.16,
            box.top - box.bottom - 0.16,
            boxstyle="round,pad=0.08",
            fc=tint,
            ec=color,
            lw=1.2,
            zorder=1,
        )
    )
    if title:
        _label(axes, box.x, box.top - 0.2, title, 12.5, color, bold=True)


def _bottleneck(axes: Axes, x: Sequence[float], y: float, color: str, ends: bool = True) -> None:
    """Two fully connected layers: every cell of a column is joined to every cell of the next."""
    columns = [
        [(at, y + (number - (count - 1) / 2) * pitch) for number in range(count)]
        for at, count, pitch in zip(x, (6, 2, 6), (0.17, 0.34, 0.17), strict=True)
    ]
    for left, right in zip(columns, columns[1:], strict=False):
        for x1, y1 in left:
            for x2, y2 in right:
                axes.plot([x1, x2], [y1, y2], color=color, lw=0.6, alpha=0.55, zorder=2)
    for number, column in enumerate(columns):
        if number == 1 or ends:
            for point in column:
                radius = 0.085 if number == 1 else 0.06
                axes.add_patch(Circle(point, radius, fc="white", ec=color, lw=1.2, zorder=3))


@_drawing
def squeeze_excitation() -> Figure:
    """Squeeze-and-excitation: F, its averages, the bottleneck, the weights, and F'."""
    toy = _toy()
    axes = _canvas(3.5)
    y, skip, equation = 2.05, 0.74, 0.27

    _panel(axes, _Box(1.85, 0.98, 2.85, 3.4), "Squeeze", AVERAGE_COLOR)
    _panel(axes, _Box(2.95, 0.98, 5.68, 3.4), "Excitation", CHANNEL_COLOR)
    hidden_x, scores_x, sigmoid_x, gates_x, product_x = 3.5, 4.22, 4.7, 5.17, 6.05
    features = _stack(axes, 0.1, y, toy["features"], FEATURE_COLOR)
    squeezed = _vector(axes, 2.4, y, toy["channel_average"], AVERAGE_COLOR)
    scores = _vector(axes, scores_x, y, toy["channel_scores"], _NEUTRAL)
    gates = _vector(axes, gates_x, y, toy["channel"], CHANNEL_COLOR)
    refined = _stack(axes, 6.58, y, toy["refined"], FEATURE_COLOR)
    _bottleneck(axes, (squeezed.right, hidden_x, scores.left), y, _NEUTRAL, ends=False)

    fork = features.right + 0.2
    _arrow(axes, (features.right + 0.06, y), (squeezed.left - 0.04, y))
    _fork(axes, fork, y)
    _arrow(axes, (fork, y), (fork, skip), (product_x, skip), (product_x, y - _RADIUS))
    _arrow(axes, (scores.right + 0.03, y), (sigmoid_x - _RADIUS, y))
    _arrow(axes, (sigmoid_x + _RADIUS, y), (gates.left - 0.03, y))
    _node(axes, sigmoid_x, y, r"$\sigma$", CHANNEL_COLOR)
    _arrow(axes, (gates.right + 0.05, y), (product_x - _RADIUS, y), color=CHANNEL_COLOR)
    _node(axes, product_x, y, "×")
    _arrow(axes, (product_x + _RADIUS, y), (refined.left - 0.04, y))

    _name(axes, features, "$F$", "[B, C, H, W]")
    _name(axes, refined, "$F'$", "[B, C, H, W]")
    _name(axes, squeezed, "$z$", "[B, C]", AVERAGE_COLOR)
    _label(axes, hidden_x, squeezed.bottom - 0.18, "[B, C/r]", 10.5, _QUIET)
    _label(axes, scores_x, squeezed.bottom - 0.18, "[B, C]", 10.5, _QUIET)
    _name(axes, gates, "$M_c$", "[B, C, 1, 1]", CHANNEL_COLOR)
    _label(axes, hidden_x, y + 0.43, "ReLU", 10.5, _QUIET)
    _label(axes, 3.2, squeezed.top + 0.2, "$W_1$", 13, _QUIET)
    _label(axes, 3.86, squeezed.top + 0.2, "$W_2$", 13, _QUIET)
    _label(axes, 2.1, equation, r"$z_c=\frac{1}{HW}\sum_{i,j}\,F_{c,i,j}$", 13)
    _label(axes, 4.45, equation, r"$M_c=\sigma(W_2\,\mathrm{ReLU}(W_1 z))$", 13)
    _label(axes, 6.85, equation, r"$F'=M_c\otimes F$", 13)
    return axes.figure


@_drawing
def channel_attention(mode: str = "fc") -> Figure:
    """CBAM's channel attention map, by the shared MLP or by a convolution along the channels.

    Args:
        mode: ``"fc"`` for the MLP, ``"conv"`` for the convolution.

    Raises:
        ValueError: for any other mode.
    """
    if mode not in ("fc", "conv"):
        raise ValueError(f"mode must be 'fc' or 'conv', got {mode!r}")
    toy = _toy()
    axes = _canvas(3.75)
    y, spread = 2.2, 0.72

    features = _stack(axes, 0.1, y, toy["features"], FEATURE_COLOR)
    box = _Box(3.3, y - 1.25, 5.3, y + 1.25)
    fork, pooled_x, sum_x, sigmoid_x = features.right + 0.25, 2.75, 5.85, 6.5
    _arrow(axes, (features.right + 0.06, y), (fork, y), head=False)
    _fork(axes, fork, y)
    for sign, values, color, word, symbol in (
        (1, toy["channel_average"], AVERAGE_COLOR, "average", r"$F_\mathrm{avg}$"),
        (-1, toy["channel_maximum"], MAXIMUM_COLOR, "maximum", r"$F_\mathrm{max}$"),
    ):
        level = y + sign * spread
        pooled = _vector(axes, pooled_x, level, values, color, cell=0.15)
        _arrow(axes, (fork, y), (fork, level), (pooled.left - 0.04, level), color=color)
        _label(axes, (fork + pooled.left) / 2, level + 0.17, word, 11.5, color)
        _label(axes, pooled_x, pooled.top + 0.18, symbol, 14, color)
        _arrow(axes, (pooled.right + 0.05, level), (box.left, level), color=color)
        end = sum_x, y + sign * _RADIUS
        _arrow(axes, (box.right, level), (sum_x, level), end, color=color)
    _label(axes, pooled_x, pooled.bottom - 0.18, "[B, C]", 10.5, _QUIET)

    gates = _vector(axes, 7.3, y, toy["channel"], CHANNEL_COLOR)
    _arrow(axes, (sum_x + _RADIUS, y), (sigmoid_x - _RADIUS, y))
    _arrow(axes, (sigmoid_x + _RADIUS, y), (gates.left - 0.04, y))
    _node(axes, sum_x, y, "+")
    _node(axes, sigmoid_x, y, r"$\sigma$", CHANNEL_COLOR)
    _name(axes, features, "$F$", "[B, C, H, W]")
    _name(axes, gates, "$M_c(F)$", "[B, C, 1, 1]", CHANNEL_COLOR)

    middle = y + 0.16
    if mode == "fc":
        _panel(axes, box, "Shared MLP", CHANNEL_COLOR)
        _bottleneck(axes, (box.x - 0.6, box.x, box.x + 0.6), middle, INK)
        _label(axes, box.x, box.bottom + 0.52, r"$C \to C/r \to C$", 13)
        _label(axes, box.x, box.bottom + 0.23, "ReLU after the first", 10.5, _QUIET)
        layer = r"\mathrm{MLP}"
    else:
        _panel(axes, box, "Shared 1D conv", CHANNEL_COLOR)
        _window(axes, box.x, middle)
        _label(axes, box.x, box.bottom + 0.52, "window of $k$ channels", 11.5)
        _label(axes, box.x, box.bottom + 0.23, "slides along C", 10.5, _QUIET)
        layer = r"\mathrm{conv}_k"
    equation = rf"$M_c(F)=\sigma\,({layer}(F_\mathrm{{avg}})+{layer}(F_\mathrm{{max}}))$"
    _label(axes, PAGE_WIDTH / 2, 0.3, equation, 14)
    return axes.figure


def _window(axes: Axes, x: float, y: float) -> None:
    """A window of three channels that slides along a vector, one output cell for each position."""
    cell, reach = 0.17, 0.55
    source = _vector(axes, x - reach, y, np.full(6, 0.35), _NEUTRAL, cell)
    target = _vector(axes, x + reach, y, np.array([0, 0.9, 0, 0, 0, 0]), CHANNEL_COLOR, cell)
    dashed = (0, (3, 2))
    for first, width, dashes, grow in ((1, 1.2, dashed, 0), (0, 2.2, "-", 0.02)):
        low = source.top - (first + 3) * cell
        frame = Rectangle((source.left - 0.05, low - grow), cell + 0.1, 3 * cell + 2 * grow)
        frame.set(fill=False, ec=CHANNEL_COLOR, lw=width, ls=dashes, zorder=4)
        axes.add_patch(frame)
        end = target.top - (first + 1.5) * cell
        for number in range(3):
            axes.plot(
                [source.right + 0.05, target.left],
                [low + (number + 0.5) * cell, end],
                color=CHANNEL_COLOR,
                lw=0.7 * width,
                ls=dashes,
                zorder=2,
            )
    track = source.left - 0.19
    _arrow(axes, (track, source.top - 1.5 * cell), (track, source.bottom), color=CHANNEL_COLOR)


@_drawing
def spatial_attention() -> Figure:
    """CBAM's spatial attention map: two maps of places, a convolution, a sigmoid."""
    toy = _toy()
    axes = _canvas(3.55)
    y, spread = 2.1, 0.72
    features = _stack(axes, 0.1, y, toy["refined"], FEATURE_COLOR)
    fork = features.right + 0.2
    _arrow(axes, (features.right + 0.06, y), (fork, y), head=False)
    _fork(axes, fork, y)

    both = np.stack([toy["average"], toy["maximum"]]) / toy["maximum"].max()
    pair = _stack(axes, 3.9, y, both, (AVERAGE_COLOR, MAXIMUM_COLOR), 0.84, (0.16, 0.13))
    join = pair.left - 0.32
    for sign, values, color, word in (
        (1, both[0], AVERAGE_COLOR, "average"),
        (-1, both[1], MAXIMUM_COLOR, "maximum"),
    ):
        level = y + sign * spread
        pooled = _stack(axes, 2.55, level, values[None], color, 0.78)
        _arrow(axes, (fork, y), (fork, level), (pooled.left - 0.04, level), color=color)
        _label(axes, (fork + pooled.left) / 2, level + 0.17, word, 11.5, color)
        start = pooled.right, level
        _arrow(axes, start, (join, level), (join, y), color=color, head=False)
    _fork(axes, join, y)
    _arrow(axes, (join, y), (pair.left - 0.04, y))
    scores = _stack(axes, 5.4, y, toy["scores"][None], _NEUTRAL, 0.78)
    attention = _stack(axes, 7.05, y, toy["spatial"][None], SPATIAL_COLOR, 0.84)
    sigmoid_x = (scores.right + attention.left) / 2
    _arrow(axes, (scores.right + 0.04, y), (sigmoid_x - _RADIUS, y))
    _arrow(axes, (sigmoid_x + _RADIUS, y), (attention.left - 0.04, y))
    _node(axes, sigmoid_x, y, r"$\sigma$", SPATIAL_COLOR)

    # The window of 7 x 7 of the 12 x 12 places, and the one place that its products add up to.
    place, step = 0.84 / 12, 0.78 / 12
    window = Rectangle((pair.left + 3 * place, pair.bottom + 3 * place), 7 * place, 7 * place)
    window.set(fill=False, ec=INK, lw=2.2, zorder=5)
    axes.add_patch(window)
    cell = Rectangle((scores.left + 6 * step, scores.bottom + 6 * step), step, step)
    cell.set(fill=False, ec=INK, lw=2.0, zorder=5)
    axes.add_patch(cell)
    for corner, end in ((3, 6), (10, 7)):
        across = [pair.left + 10 * place, scores.left + 6 * step]
        along = [pair.bottom + corner * place, scores.bottom + end * step]
        axes.plot(across, along, color=INK, lw=1.2, zorder=4.5)

    head, foot = pair.top + 0.2, pair.bottom - 0.18
    _name(axes, features, "$F'$", "[B, C, H, W]")
    _label(axes, pooled.x, pooled.bottom - 0.18, "[B, 1, H, W]", 10.5, _QUIET)
    _label(axes, pair.x, head, "concatenate", 11.5)
    _label(axes, pair.x, foot, "[B, 2, H, W]", 10.5, _QUIET)
    _label(axes, scores.x, head, r"conv $7\times 7$", 11.5)
    _label(axes, scores.x, foot, "[B, 1, H, W]", 10.5, _QUIET)
    _label(axes, attention.x, head, "$M_s(F')$", 15, SPATIAL_COLOR)
    _label(axes, attention.x, foot, "[B, 1, H, W]", 10.5, _QUIET)
    pools = r"[\mathrm{AvgPool}(F');\ \mathrm{MaxPool}(F')]"
    _label(axes, PAGE_WIDTH / 2, 0.3, rf"$M_s(F')=\sigma\,(f^{{7\times 7}}({pools}))$", 14)
    return axes.figure


class _Module(NamedTuple):
    title: str
    question: str
    color: str
    symbol: str
    shape: str


_CHANNEL = _Module("Channel attention", "which channels?", CHANNEL_COLOR, "M_c", "[B, C, 1, 1]")
_SPATIAL = _Module("Spatial attention", "which places?", SPATIAL_COLOR, "M_s", "[B, 1, H, W]")


@_drawing
def cbam(order: str = "channel-spatial") -> Figure:
    """CBAM from F to F'': two modules, two products.

    Args:
        order: ``"channel-spatial"``, ``"spatial-channel"`` or ``"parallel"``.

    Raises:
        ValueError: for any other order.
    """
    orders = ("channel-spatial", "spatial-channel", "parallel")
    if order not in orders:
        raise ValueError(f"order must be one of {', '.join(map(repr, orders))}; got {order!r}")
    if order == "parallel":
        return _parallel()
    modules = (_CHANNEL, _SPATIAL) if order == "channel-spatial" else (_SPATIAL, _CHANNEL)
    toy = _toy()
    axes = _canvas(4.2)
    y, near, far = 1.4, 3.3, 4.1
    maps, product = toy["features"], 0.0
    for number, primes in enumerate(("", "'", "''")):
        stack = _stack(axes, 0.15 + 3.19 * number, y, maps, FEATURE_COLOR)
        _name(axes, stack, f"$F{primes}$", "[B, C, H, W]")
        if number:
            _arrow(axes, (product + _RADIUS, y), (stack.left - 0.04, y))
        if number == 2:
            break

        module = modules[number]
        fork, product = stack.right + 0.25, stack.right + 1.2
        box = _Box(fork - 0.4, near, product + 0.65, far)
        _title(axes, box, module)
        drawn = _module_map(axes, product, 2.66, toy, module)
        _fork(axes, fork, y)
        _arrow(axes, (fork, y), (fork, near))
        _arrow(axes, (product, near), (product, drawn.top + 0.03), color=module.color)
        _arrow(axes, (product, drawn.bottom - 0.03), (product, y + _RADIUS), color=module.color)
        _label(axes, drawn.right + 0.1, 2.78, f"${module.symbol}$", 15, module.color, ha="left")
        _label(axes, drawn.right + 0.1, 2.53, module.shape, 10.5, _QUIET, ha="left")
        _arrow(axes, (stack.right + 0.06, y), (product - _RADIUS, y))
        _node(axes, product, y, "×")
        equation = rf"$F{primes}'={module.symbol}(F{primes})\otimes F{primes}$"
        _label(axes, product, 0.28, equation, 14)
        maps = maps * _weights(toy, module)
    return axes.figure


def _parallel() -> Figure:
    """Both modules look at F; both maps multiply it."""
    toy = _toy()
    axes = _canvas(4.0)
    y, fork, sides = 2.25, 1.75, ((_CHANNEL, 1, 5.1), (_SPATIAL, -1, 5.65))
    features = _stack(axes, 0.1, y, toy["features"], FEATURE_COLOR)
    maps = toy["features"]
    _fork(axes, fork, y)
    for module, side, product in sides:
        level = y + side * 1.15
        box = _Box(2.02, level - 0.4, 4.02, level + 0.4)
        _title(axes, box, module)
        drawn = _module_map(axes, 4.6, level, toy, module, lying=False)
        _arrow(axes, (fork, y), (fork, level), (box.left, level))
        _arrow(axes, (box.right, level), (drawn.left - 0.04, level), color=module.color)
        end = product, y + side * _RADIUS
        _arrow(axes, (drawn.right + 0.04, level), (product, level), end, color=module.color)
        _node(axes, product, y, "×")
        _label(
            axes, product + 0.15, level + 0.13, f"${module.symbol}$", 15, module.color, ha="left"
        )
        _label(axes, product + 0.15, level - 0.13, module.shape, 10.5, _QUIET, ha="left")
        maps = maps * _weights(toy, module)
    refined = _stack(axes, 6.45, y, maps, FEATURE_COLOR)
    _arrow(axes, (features.right + 0.06, y), (5.1 - _RADIUS, y))
    _arrow(axes, (5.1 + _RADIUS, y), (5.65 - _RADIUS, y))
    _arrow(axes, (5.65 + _RADIUS, y), (refined.left - 0.04, y))
    _name(axes, features, "$F$", "[B, C, H, W]")
    _name(axes, refined, "$F''$", "[B, C, H, W]")
    _label(axes, PAGE_WIDTH / 2, 0.28, r"$F''=M_s(F)\otimes M_c(F)\otimes F$", 14)
    return axes.figure


def _title(axes: Axes, box: _Box, module: _Module) -> None:
    _panel(axes, box, "", module.color)
    _label(axes, box.x, box.y + 0.14, module.title, 12.5, module.color, bold=True)
    _label(axes, box.x, box.y - 0.15, module.question, 11.5)


def _module_map(
    axes: Axes,
    x: float,
    y: float,
    toy: dict[str, np.ndarray],
    module: _Module,
    lying: bool = True,
) -> _Box:
    if module is _CHANNEL:
        return _vector(axes, x, y, toy["channel"], module.color, 0.15, lying)
    return _stack(axes, x - 0.3, y, toy["spatial"][None], module.color, 0.6)


def _weights(toy: dict[str, np.ndarray], module: _Module) -> np.ndarray:
    return toy["channel"][:, None, None] if module is _CHANNEL else toy["spatial"]


@_drawing
def residual_block() -> Figure:
    """Where CBAM sits in a residual block: at the end of the branch, before the addition."""
    axes = _canvas(3.3)
    y, skip = 1.45, 0.72
    fork, add = 0.42, 6.55
    _arrow(axes, (0.1, y), (0.66, y))
    _fork(axes, fork, y)
    first, second = _Box(0.66, y - 0.48, 1.6, y + 0.48), _Box(1.8, y - 0.48, 2.74, y + 0.48)
    cbam_box, last = _Box(3.05, y - 0.48, 6.02, 3.2), _Box(6.88, y - 0.26, 7.5, y + 0.26)
    for box, text in (
        (first, "conv 3×3\nBN\nReLU"),
        (second, "conv 3×3\nBN"),
        (last, "ReLU"),
    ):
        _panel(axes, box, "", FEATURE_COLOR)
        _label(axes, box.x, box.y, text, 11)
    _arrow(axes, (first.right, y), (second.left, y))
    _panel(axes, cbam_box, "CBAM", INK)

    start = second.right
    for module, enter, product in ((_CHANNEL, 3.38, 4.18), (_SPATIAL, 4.78, 5.58)):
        box = _Box(enter - 0.2, 2.1, product + 0.2, 2.75)
        _panel(axes, box, "", module.color)
        _label(axes, box.x, box.y, module.title.replace(" ", "\n"), 11.5, module.color, bold=True)
        _fork(axes, enter, y)
        _arrow(axes, (enter, y), (enter, box.bottom))
        _arrow(axes, (product, box.bottom), (product, y + _RADIUS), color=module.color)
        label = f"${module.symbol}$"
        _label(axes, product + 0.1, y + 0.4, label, 13, module.color, ha="left")
        _arrow(axes, (start, y), (product - _RADIUS, y))
        _node(axes, product, y, "×")
        start = product + _RADIUS
    _arrow(axes, (start, y), (add - _RADIUS, y))
    _node(axes, add, y, "+")
    _arrow(axes, (add + _RADIUS, y), (last.left, y))
    _arrow(axes, (last.right, y), (7.92, y))
    _arrow(axes, (fork, y), (fork, skip), (add, skip), (add, y - _RADIUS))

    _label(axes, 0.22, y + 0.22, "$x$", 15)
    _label(axes, (second.right + cbam_box.left) / 2, y + 0.22, "$F$", 15)
    _label(axes, (cbam_box.right + add - _RADIUS) / 2, y + 0.22, "$F''$", 15)
    _label(axes, 7.72, y + 0.22, "$y$", 15)
    _label(axes, 1.7, skip - 0.19, "shortcut", 11.5)
    _label(axes, PAGE_WIDTH / 2, 0.28, r"$y=\mathrm{ReLU}(x+F'')$", 14)
    return axes.figure
