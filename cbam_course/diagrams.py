"""The drawings of the attention blocks, made by code: one function a figure.

All coordinates are inches on a canvas as wide as the page, or less. The feature maps are toy
numbers on which the blocks' steps were really computed, and a darker cell always means a larger
value.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
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

_QUIET = "#56636F"
_NEUTRAL = "#8795A1"
_RADIUS = 0.17  # of the circle around an operator
_GAP = 0.04  # between an arrow and what it comes from or points at

# Title, question, color, symbol and shape of CBAM's two modules.
_CHANNEL = ("Channel attention", "which channels?", CHANNEL_COLOR, "$M_c$", "[B, C, 1, 1]")
_SPATIAL = ("Spatial attention", "which positions?", SPATIAL_COLOR, "$M_s$", "[B, 1, H, W]")


@cache
def _toy() -> dict[str, np.ndarray]:
    """The numbers that are drawn: six channels of 12 x 12 positions, with an object upper right.

    The channel weights are chosen; everything else is computed as CBAM computes it, with a
    convolution that averages, and scores stretched to [0, 1].
    """
    row, column = np.mgrid[-1:1:12j, -1:1:12j]
    thing = np.exp(-3 * ((row + 0.2) ** 2 + (column - 0.2) ** 2))
    noise = np.random.RandomState(3).rand(6, 12, 12)
    size = np.array([0.95, 1.0, 0.95, 1.0, 0.95, 1.0])[:, None, None]
    share = np.array([0.5, 0.0, 0.45, 0.0, 0.5, 0.35])[:, None, None]
    features = size * (0.25 + 0.27 * noise + share * thing)
    channel = np.array([0.95, 0.35, 0.85, 0.10, 0.92, 0.60])
    logits = np.log(channel / (1 - channel))
    refined = features * channel[:, None, None]
    average, maximum = refined.mean(axis=0), refined.max(axis=0)
    padded = np.pad(average + maximum, 3, mode="edge")
    sums = sum(padded[i : i + 12, j : j + 12] for i in range(7) for j in range(7))
    scores = (sums - sums.min()) / np.ptp(sums)
    return {
        "features": features,
        "channel average": features.mean(axis=(1, 2)),
        "channel maximum": features.max(axis=(1, 2)),
        "channel scores": (logits - logits.min()) / np.ptp(logits),
        "channel": channel,
        "refined": refined,
        "average": average / maximum.max(),
        "maximum": maximum / maximum.max(),
        "scores": scores,
        "spatial": 1 / (1 + np.exp(-9 * (scores - 0.6))),
    }


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


def _shades(color: str) -> LinearSegmentedColormap:
    """From a breath of ``color``, so that a cell of value 0 is still seen, to ``color`` itself."""
    pale = tuple(0.92 + 0.08 * part for part in to_rgb(color))
    return LinearSegmentedColormap.from_list("shades", [pale, color])


class _Canvas:
    """A white page, and the parts that the drawings are made of."""

    def __init__(self, height: float, width: float = PAGE_WIDTH) -> None:
        # An engine that leaves everything where it is. With none at all, matplotlib would put the
        # notebook's default engine to work once the figure has been saved.
        still = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
        self.figure = shown_as_value(plt.figure(figsize=(width, height), layout=still))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
        self.axes.set_axis_off()

    def add(self, patch: type, *args: object, color: str, **options: object) -> None:
        self.axes.add_patch(patch(*args, ec=color, **options))

    def text(
        self, x: float, y: float, text: str, size: float = 11, color: str = INK, **options: str
    ) -> None:
        # One line hangs on its baseline, so that F, F' and neighboring texts stand level.
        one_line = "\n" not in text
        align = {"ha": "center", "va": "baseline" if one_line else "center"} | options
        low = y - (0.36 * size / 72 if one_line else 0)
        self.axes.text(x, low, text, size=size, color=color, zorder=6, linespacing=1.25, **align)

    def named(self, box: _Box, symbol: str, shape: str, color: str = INK) -> None:
        """The symbol of a map above it, and its shape below it."""
        self.text(box.x, box.top + 0.2, symbol, 15, color)
        self.text(box.x, box.bottom - 0.18, shape, 10.5, _QUIET)

    def stack(
        self,
        x: float,
        y: float,
        maps: np.ndarray,
        colors: Sequence[str] = (FEATURE_COLOR,) * 6,
        size: float = 0.82,
        step: tuple[float, float] = (0.1, 0.08),
    ) -> _Box:
        """Maps as square sheets one behind the other, from ``x`` rightward, around height ``y``."""
        depth = len(maps) - 1
        bottom = y - (size + depth * step[1]) / 2
        edges = np.linspace(0, size, maps.shape[-1] + 1)
        for number in reversed(range(len(maps))):
            left, low = x + number * step[0], bottom + number * step[1]
            shades, order = _shades(colors[number]), 3 - 0.01 * number
            self.axes.pcolormesh(
                left + edges, low + edges, maps[number][::-1], cmap=shades, vmin=0, vmax=1,
                edgecolors="white", linewidth=0.25, zorder=order,
            )  # fmt: skip
            # A channel that has faded fades with its outline.
            edge = shades(0.3 + 0.7 * min(1.0, float(maps[number].max()) / 0.6))
            sheet = {"color": edge, "fill": False, "lw": 1.1, "zorder": order + 0.005}
            self.add(Rectangle, (left, low), size, size, **sheet)
        return _Box(x, bottom, x + size + depth * step[0], bottom + size + depth * step[1])

    def vector(
        self, x: float, y: float, values: np.ndarray, color: str, cell: float = 0.17
    ) -> _Box:
        """A channel vector as a column of cells around ``x``, ``y``, channel 0 on top."""
        half, shades = len(values) * cell / 2, _shades(color)
        for number, value in enumerate(values, start=1):
            corner, face = (x - cell / 2, y + half - number * cell), shades(float(value))
            self.add(Rectangle, corner, cell, cell, color=color, fc=face, lw=1.0, zorder=3)
        return _Box(x - cell / 2, y - half, x + cell / 2, y + half)

    def operator(self, x: float, y: float, symbol: str, color: str = INK) -> _Box:
        """A product, a sum or a sigmoid in a circle."""
        self.add(Circle, (x, y), _RADIUS, color=color, fc="white", lw=1.6, zorder=4)
        self.text(x, y, r"$\sigma$" if symbol == "σ" else symbol, 15, color, weight="bold")
        inside = _RADIUS - _GAP
        return _Box(x - inside, y - inside, x + inside, y + inside)

    def chain(self, y: float, *boxes: _Box, color: str = INK) -> None:
        """An arrow from each box to the next, at the height ``y``."""
        for one, other in pairwise(boxes):
            self.arrow((one.right + _GAP, y), (other.left - _GAP, y), color=color)

    def arrow(self, *points: tuple[float, float], color: str = INK, head: bool = True) -> None:
        """A line through ``points`` with rounded corners, and an arrow head at its end."""
        corners = np.array(points, dtype=float)
        vertices, codes = [corners[0]], [Path.MOVETO]
        for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
            vertices += [_toward(corner, before), corner, _toward(corner, after)]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        path = Path([*vertices, corners[-1]], [*codes, Path.LINETO])
        style = "-|>" if head else "-"
        line = FancyArrowPatch(path=path, arrowstyle=style, mutation_scale=13, color=color, lw=1.5)
        line.set(fill=head, capstyle="butt", zorder=2.5, gid="arrow")
        self.axes.add_patch(line)

    def fork(self, x: float, y: float) -> None:
        """The dot where one line becomes two."""
        self.add(Circle, (x, y), 0.045, color=INK, fc=INK, zorder=4)

    def panel(self, box: _Box, color: str, title: str = "") -> None:
        """A tinted, rounded background for the parts of one module, with the module's name."""
        tint = tuple(0.90 + 0.10 * part for part in to_rgb(color))
        corner = box.left + 0.08, box.bottom + 0.08
        size = box.right - box.left - 0.16, box.top - box.bottom - 0.16
        rounded = {"boxstyle": "round,pad=0.08", "fc": tint, "lw": 1.2, "zorder": 1}
        self.add(FancyBboxPatch, corner, *size, color=color, **rounded)
        if title:
            self.text(box.x, box.top - 0.2, title, 12.5, color, weight="bold")

    def bottleneck(self, columns: Sequence[float], y: float, color: str, ends: bool) -> None:
        """Two fully connected layers: every cell of a column is joined to all of the next."""
        layers = [
            [(x, y + (number - (count - 1) / 2) * pitch) for number in range(count)]
            for x, count, pitch in zip(columns, (6, 2, 6), (0.17, 0.34, 0.17), strict=True)
        ]
        outer, hidden, last = layers
        for left, right in ((outer, hidden), (hidden, last)):
            for start in left:
                for end in right:
                    line = {"color": color, "lw": 0.6, "alpha": 0.55, "zorder": 2}
                    self.axes.plot(*zip(start, end, strict=True), **line)
        for cells, radius in ((hidden, 0.085), ((*outer, *last) if ends else (), 0.06)):
            for cell in cells:
                self.add(Circle, cell, radius, color=color, fc="white", lw=1.2, zorder=3)


def _toward(start: np.ndarray, end: np.ndarray, radius: float = 0.09) -> np.ndarray:
    way = end - start
    length = float(np.hypot(*way))
    return start + way * min(radius, length / 2) / length


@course_style()
def squeeze_excitation() -> Figure:
    """Squeeze-and-excitation: F, its averages, the bottleneck, the weights, and F'."""
    toy, draw = _toy(), _Canvas(3.5)
    y, skip, equation = 2.05, 0.74, 0.27
    draw.panel(_Box(1.85, 0.98, 2.85, 3.4), AVERAGE_COLOR, "Squeeze")
    draw.panel(_Box(2.95, 0.98, 5.68, 3.4), CHANNEL_COLOR, "Excitation")
    hidden_x, scores_x, sigmoid_x, gates_x, product_x = 3.5, 4.22, 4.7, 5.17, 6.05
    features = draw.stack(0.1, y, toy["features"])
    squeezed = draw.vector(2.4, y, toy["channel average"], AVERAGE_COLOR)
    scores = draw.vector(scores_x, y, toy["channel scores"], _NEUTRAL)
    gates = draw.vector(gates_x, y, toy["channel"], CHANNEL_COLOR)
    refined = draw.stack(6.58, y, toy["refined"])
    draw.bottleneck((squeezed.right, hidden_x, scores.left), y, _NEUTRAL, ends=False)

    fork = features.right + 0.2
    draw.fork(fork, y)
    draw.arrow((fork, y), (fork, skip), (product_x, skip), (product_x, y - _RADIUS))
    sigmoid = draw.operator(sigmoid_x, y, "σ", CHANNEL_COLOR)
    product = draw.operator(product_x, y, "×")
    draw.chain(y, features, squeezed)
    draw.chain(y, scores, sigmoid, gates)
    draw.chain(y, gates, product, color=CHANNEL_COLOR)
    draw.chain(y, product, refined)

    draw.named(features, "$F$", "[B, C, H, W]")
    draw.named(refined, "$F'$", "[B, C, H, W]")
    draw.named(squeezed, "$z$", "[B, C]", AVERAGE_COLOR)
    draw.named(gates, "$M_c$", "[B, C, 1, 1]", CHANNEL_COLOR)
    for x, shape in ((hidden_x, "[B, C/r]"), (scores_x, "[B, C]")):
        draw.text(x, squeezed.bottom - 0.18, shape, 10.5, _QUIET)
    draw.text(hidden_x, y + 0.43, "ReLU", 10.5, _QUIET)
    for x, weights in ((3.2, "$W_1$"), (3.86, "$W_2$")):
        draw.text(x, squeezed.top + 0.2, weights, 13, _QUIET)
    draw.text(2.1, equation, r"$z_c=\frac{1}{HW}\sum_{i,j}\,F_{c,i,j}$", 13)
    draw.text(4.45, equation, r"$M_c=\sigma(W_2\,\mathrm{ReLU}(W_1 z))$", 13)
    draw.text(6.85, equation, r"$F'=M_c\otimes F$", 13)
    return draw.figure


@course_style()
def channel_attention(mode: str = "fc") -> Figure:
    """CBAM's channel attention map, by the shared MLP or by a convolution along the channels.

    Args:
        mode: ``"fc"`` for the MLP, ``"conv"`` for the convolution.

    Raises:
        ValueError: for any other mode.
    """
    if mode not in ("fc", "conv"):
        raise ValueError(f"mode must be 'fc' or 'conv', got {mode!r}")
    toy, draw = _toy(), _Canvas(3.75)
    y = 2.2
    features = draw.stack(0.1, y, toy["features"])
    box = _Box(3.3, y - 1.25, 5.3, y + 1.25)
    fork, pooled_x, sum_x, sigmoid_x = features.right + 0.25, 2.75, 5.85, 6.5
    draw.arrow((features.right + 0.06, y), (fork, y), head=False)
    draw.fork(fork, y)
    for sign, word, short, color in (
        (1, "average", "avg", AVERAGE_COLOR),
        (-1, "maximum", "max", MAXIMUM_COLOR),
    ):
        level = y + 0.72 * sign
        pooled = draw.vector(pooled_x, level, toy[f"channel {word}"], color, cell=0.15)
        draw.arrow((fork, y), (fork, level), (pooled.left - 0.04, level), color=color)
        draw.text((fork + pooled.left) / 2, level + 0.17, word, 11.5, color)
        draw.text(pooled_x, pooled.top + 0.18, rf"$F_\mathrm{{{short}}}$", 14, color)
        draw.arrow((pooled.right + 0.05, level), (box.left, level), color=color)
        draw.arrow((box.right, level), (sum_x, level), (sum_x, y + sign * _RADIUS), color=color)
    draw.text(pooled_x, pooled.bottom - 0.18, "[B, C]", 10.5, _QUIET)

    gates = draw.vector(7.3, y, toy["channel"], CHANNEL_COLOR)
    both, sigmoid = draw.operator(sum_x, y, "+"), draw.operator(sigmoid_x, y, "σ", CHANNEL_COLOR)
    draw.chain(y, both, sigmoid, gates)
    draw.named(features, "$F$", "[B, C, H, W]")
    draw.named(gates, "$M_c(F)$", "[B, C, 1, 1]", CHANNEL_COLOR)

    if mode == "fc":
        title, layer = "Shared MLP", r"\mathrm{MLP}"
        big, small = (r"$C \to C/r \to C$", 13), "ReLU after the first"
        draw.bottleneck((box.x - 0.6, box.x, box.x + 0.6), y + 0.16, INK, ends=True)
    else:
        title, layer = "Shared 1D conv", r"\mathrm{conv}_k"
        big, small = ("window of $k$ channels", 11.5), "slides along C"
        _draw_window(draw, box.x, y + 0.16)
    draw.panel(box, CHANNEL_COLOR, title)
    draw.text(box.x, box.bottom + 0.52, *big)
    draw.text(box.x, box.bottom + 0.23, small, 10.5, _QUIET)
    equation = rf"$M_c(F)=\sigma\,({layer}(F_\mathrm{{avg}})+{layer}(F_\mathrm{{max}}))$"
    draw.text(PAGE_WIDTH / 2, 0.3, equation, 14)
    return draw.figure


def _draw_window(draw: _Canvas, x: float, y: float) -> None:
    """A window of three channels that slides along a vector, one output cell for each position."""
    cell, reach = 0.17, 0.55
    source = draw.vector(x - reach, y, np.full(6, 0.35), _NEUTRAL)
    target = draw.vector(x + reach, y, np.array([0, 0.9, 0, 0, 0, 0]), CHANNEL_COLOR)
    for first, width, dashes, grow in ((1, 1.2, (0, (3, 2)), 0), (0, 2.2, "-", 0.02)):
        low = source.top - (first + 3) * cell
        corner, size = (source.left - 0.05, low - grow), (cell + 0.1, 3 * cell + 2 * grow)
        line = {"color": CHANNEL_COLOR, "ls": dashes}
        draw.add(Rectangle, corner, *size, fill=False, lw=width, zorder=4, **line)
        end = target.top - (first + 1.5) * cell
        for number in range(3):
            along = [low + (number + 0.5) * cell, end]
            across = [source.right + 0.05, target.left]
            draw.axes.plot(across, along, lw=0.7 * width, zorder=2, **line)
    track = source.left - 0.19
    draw.arrow((track, source.top - 1.5 * cell), (track, source.bottom), color=CHANNEL_COLOR)


@course_style()
def spatial_attention() -> Figure:
    """CBAM's spatial attention map: two maps of positions, a convolution, a sigmoid."""
    toy, draw = _toy(), _Canvas(3.55)
    y = 2.1
    features = draw.stack(0.1, y, toy["refined"])
    fork = features.right + 0.2
    draw.arrow((features.right + 0.06, y), (fork, y), head=False)
    draw.fork(fork, y)
    both = np.stack([toy["average"], toy["maximum"]])
    pair = draw.stack(3.9, y, both, (AVERAGE_COLOR, MAXIMUM_COLOR), 0.84, (0.16, 0.13))
    join = pair.left - 0.32
    for sign, word, color in ((1, "average", AVERAGE_COLOR), (-1, "maximum", MAXIMUM_COLOR)):
        level = y + 0.72 * sign
        pooled = draw.stack(2.55, level, toy[word][None], (color,), 0.78)
        draw.arrow((fork, y), (fork, level), (pooled.left - 0.04, level), color=color)
        draw.text((fork + pooled.left) / 2, level + 0.17, word, 11.5, color)
        draw.arrow((pooled.right, level), (join, level), (join, y), color=color, head=False)
    draw.fork(join, y)
    draw.arrow((join, y), (pair.left - 0.04, y))
    scores = draw.stack(5.4, y, toy["scores"][None], (_NEUTRAL,), 0.78)
    attention = draw.stack(7.05, y, toy["spatial"][None], (SPATIAL_COLOR,), 0.84)
    sigmoid_x = (scores.right + attention.left) / 2
    draw.chain(y, scores, draw.operator(sigmoid_x, y, "σ", SPATIAL_COLOR), attention)

    # The window of 7 x 7 of the 12 x 12 positions, and the one that its products add up to.
    cell, step = 0.84 / 12, 0.78 / 12
    frame = {"color": INK, "fill": False, "zorder": 5}
    corner = pair.left + 3 * cell, pair.bottom + 3 * cell
    draw.add(Rectangle, corner, 7 * cell, 7 * cell, lw=2.2, **frame)
    corner = scores.left + 6 * step, scores.bottom + 6 * step
    draw.add(Rectangle, corner, step, step, lw=2.0, **frame)
    for start, end in ((3, 6), (10, 7)):
        across = [pair.left + 10 * cell, scores.left + 6 * step]
        along = [pair.bottom + start * cell, scores.bottom + end * step]
        draw.axes.plot(across, along, color=INK, lw=1.2, zorder=4.5)

    draw.named(features, "$F'$", "[B, C, H, W]")
    draw.text(pooled.x, pooled.bottom - 0.18, "[B, 1, H, W]", 10.5, _QUIET)
    for box, above, size, color, shape in (
        (pair, "concatenate", 11.5, INK, "[B, 2, H, W]"),
        (scores, r"conv $7\times 7$", 11.5, INK, "[B, 1, H, W]"),
        (attention, "$M_s(F')$", 15, SPATIAL_COLOR, "[B, 1, H, W]"),
    ):
        draw.text(box.x, pair.top + 0.2, above, size, color)
        draw.text(box.x, pair.bottom - 0.18, shape, 10.5, _QUIET)
    pools = r"[\mathrm{AvgPool}(F');\ \mathrm{MaxPool}(F')]"
    draw.text(PAGE_WIDTH / 2, 0.3, rf"$M_s(F')=\sigma\,(f^{{7\times 7}}({pools}))$", 14)
    return draw.figure


@course_style()
def cbam(stacked: bool = False) -> Figure:
    """CBAM from F to F'': channel attention, then spatial attention, and a product after each.

    Args:
        stacked: one half below the other, for a page that is narrow.
    """
    toy = _toy()
    stages = (toy["features"], toy["refined"], toy["refined"] * toy["spatial"])
    draw = _Canvas(8.3, width=4.85) if stacked else _Canvas(4.2)
    for number, module in enumerate((_CHANNEL, _SPATIAL)):
        x, y = (0.15, 5.5 - 4.1 * number) if stacked else (0.15 + 3.19 * number, 1.4)
        before, after = (draw.stack(x + 3.19 * n, y, stages[number + n]) for n in (0, 1))
        primes = "'" * number
        if stacked or module is _CHANNEL:
            draw.named(before, f"$F{primes}$", "[B, C, H, W]")
        draw.named(after, f"$F{primes}'$", "[B, C, H, W]")
        _draw_half(draw, before, after, module, primes)
    return draw.figure


def _draw_half(
    draw: _Canvas, before: _Box, after: _Box, module: tuple[str, ...], primes: str
) -> None:
    """One half of CBAM between two stacks: the module, its map, and the product."""
    title, question, color, symbol, shape = module
    y, fork, product = before.y, before.right + 0.25, before.right + 1.2
    box = _Box(fork - 0.4, y + 1.9, product + 0.65, y + 2.7)
    draw.panel(box, color)
    draw.text(box.x, box.y + 0.14, title, 12.5, color, weight="bold")
    draw.text(box.x, box.y - 0.15, question, 11.5)
    drawn = _draw_weights(draw, product, y + 1.26, module)
    draw.fork(fork, y)
    draw.arrow((fork, y), (fork, box.bottom))
    draw.arrow((product, box.bottom), (product, drawn.top + 0.03), color=color)
    draw.arrow((product, drawn.bottom - 0.03), (product, y + _RADIUS), color=color)
    draw.text(drawn.right + 0.1, y + 1.38, symbol, 15, color, ha="left")
    draw.text(drawn.right + 0.1, y + 1.13, shape, 10.5, _QUIET, ha="left")
    draw.chain(y, before, draw.operator(product, y, "×"), after)
    equation = rf"$F{primes}'={symbol[1:-1]}(F{primes})\otimes F{primes}$"
    draw.text(product, y - 1.12, equation, 14)


def _draw_weights(draw: _Canvas, x: float, y: float, module: tuple[str, ...]) -> _Box:
    """The map of a module: a row of channel weights, or one sheet of positions."""
    if module is _SPATIAL:
        return draw.stack(x - 0.3, y, _toy()["spatial"][None], (SPATIAL_COLOR,), 0.6)
    for number, weight in enumerate(_toy()["channel"]):
        draw.vector(x + (number - 2.5) * 0.15, y, np.array([weight]), CHANNEL_COLOR, cell=0.15)
    return _Box(x - 0.45, y - 0.075, x + 0.45, y + 0.075)


@course_style()
def residual_block() -> Figure:
    """Where CBAM sits in a residual block: at the end of the branch, before the addition."""
    draw = _Canvas(3.3)
    y, skip, fork, add = 1.45, 0.72, 0.42, 6.55
    draw.arrow((0.1, y), (0.66, y))
    draw.fork(fork, y)
    first, second = _Box(0.66, y - 0.48, 1.6, y + 0.48), _Box(1.8, y - 0.48, 2.74, y + 0.48)
    block, last = _Box(3.05, y - 0.48, 6.02, 3.2), _Box(6.88, y - 0.26, 7.5, y + 0.26)
    layers = {"conv 3×3\nBN\nReLU": first, "conv 3×3\nBN": second, "ReLU": last}
    for text, box in layers.items():
        draw.panel(box, FEATURE_COLOR)
        draw.text(box.x, box.y, text)
    draw.panel(block, INK, "CBAM")

    path = [first, second]
    for (title, _, color, symbol, _), enter in ((_CHANNEL, 3.38), (_SPATIAL, 4.78)):
        product = enter + 0.8
        box = _Box(enter - 0.2, 2.1, product + 0.2, 2.75)
        draw.panel(box, color)
        draw.text(box.x, box.y, title.replace(" ", "\n"), 11.5, color, weight="bold")
        draw.fork(enter, y)
        draw.arrow((enter, y), (enter, box.bottom))
        draw.arrow((product, box.bottom), (product, y + _RADIUS), color=color)
        draw.text(product + 0.1, y + 0.4, symbol, 13, color, ha="left")
        path.append(draw.operator(product, y, "×"))
    draw.chain(y, *path, draw.operator(add, y, "+"), last)
    draw.arrow((last.right, y), (7.92, y))
    draw.arrow((fork, y), (fork, skip), (add, skip), (add, y - _RADIUS))

    between = (second.right + block.left) / 2, (block.right + add - _RADIUS) / 2
    for x, symbol in zip((0.22, *between, 7.72), ("$x$", "$F$", "$F''$", "$y$"), strict=True):
        draw.text(x, y + 0.22, symbol, 15)
    draw.text(1.7, skip - 0.19, "shortcut", 11.5)
    draw.text(PAGE_WIDTH / 2, 0.28, r"$y=\mathrm{ReLU}(x+F'')$", 14)
    return draw.figure


@course_style()
def steps(named: Mapping[str, Any], digits: int = 3) -> Figure:
    """A computation on a few numbers, from left to right: one step, one group of cells.

    Args:
        named: from the name of a step, which is written above it, to its numbers: a vector
            ``[C]`` is drawn as a column of cells, ``[C, H, W]`` as a column of grids, channel 0
            on top.
        digits: decimal places; zeros at the end are left out.
    """
    height, between, gap = 0.3, 0.16, 0.31  # of a cell; from grid to grid, from step to step
    grids = {}
    for name, values in named.items():
        array = np.asarray(values, dtype=float)
        grids[name] = array.reshape(len(array), 1, 1) if array.ndim == 1 else array
    labels = [_number(value, digits) for grid in grids.values() for value in grid.flat]
    width = 0.06 + 0.077 * max(5, *map(len, labels))  # of a cell
    total = sum(grid.shape[2] * width for grid in grids.values()) + gap * (len(grids) - 1)
    tall = {
        name: len(grid) * grid.shape[1] * height + (len(grid) - 1) * between
        for name, grid in grids.items()
    }
    tallest = max(tall.values())
    draw = _Canvas(tallest + 0.85)
    left, middle = (PAGE_WIDTH - total) / 2, tallest / 2 + 0.15
    for name, grid in grids.items():
        if left > (PAGE_WIDTH - total) / 2:
            draw.arrow((left - gap + 0.06, middle), (left - 0.06, middle))
        top = middle + tall[name] / 2
        for channel in grid:
            for (i, j), value in np.ndenumerate(channel):
                corner = left + j * width, top - (i + 1) * height
                draw.add(Rectangle, corner, width, height, color=FEATURE_COLOR, fill=False, lw=1.0)
                number = _number(value, digits)
                draw.text(corner[0] + width / 2, corner[1] + height / 2, number, 9.5)
            top -= len(channel) * height + between
        draw.text(left + grid.shape[2] * width / 2, tallest + 0.5, name, 10.5)
        left += grid.shape[2] * width + gap
    return draw.figure


def _number(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0:g}"  # adding 0 turns -0 into 0
