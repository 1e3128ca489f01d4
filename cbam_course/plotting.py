"""The course's figures: one style, one color for each method, and the few figures chapters share.

Call :func:`use_course_style` once in a notebook. Every ``show_...`` function takes torch tensors or
numpy arrays, draws one figure as wide as the page and returns it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from math import ceil
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .labels import LABELS

COLORS = {
    "none": "#4D4D4D",
    "se": "#EBA000",
    "eca": "#8C2D04",
    "channel-fc": "#D55E00",
    "channel-conv": "#CF74AA",
    "spatial": "#009E73",
    "cbam-fc": "#0B5FA5",
    "cbam-conv": "#56B4E9",
}
"""One color for each attention name, the same in every chapter; after Okabe and Ito's palette."""

MARKERS = dict(zip(COLORS, "osD^vPX*", strict=True))
"""One marker for each attention name: color is never the only difference between two methods."""

OTHER_COLORS = ("#23405C", "#B59A72", "#7B68B5", "#8FA9BF", "#7A8B3C")
"""For bars and curves that stand for no method, such as photographs or seeds."""

INK = "#26323D"
FEATURE_COLOR = "#4F6D8A"
CHANNEL_COLOR = COLORS["channel-fc"]
SPATIAL_COLOR = COLORS["spatial"]
AVERAGE_COLOR = "#2E86C9"
MAXIMUM_COLOR = "#7A3B94"

FEATURE_COLORMAP = "gray"
ATTENTION_COLORMAP = "inferno"

PAGE_WIDTH = 8.0
"""Width of every figure in inches, so that a point of text has the same size in all of them."""

STYLE: dict[str, Any] = {
    "figure.figsize": (PAGE_WIDTH, 4.5),
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    **{f"{part}.facecolor": "white" for part in ("figure", "savefig", "axes")},
    **{f"{part}.edgecolor": "white" for part in ("figure", "savefig")},
    "savefig.dpi": "figure",
    "savefig.transparent": False,
    # The one family that comes with matplotlib, so that figures agree between machines.
    "font.family": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 12),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 11),
    "figure.titlesize": 13,
    **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": plt.cycler(color=OTHER_COLORS),
    "grid.color": "#DDE2E7",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 7,
    "image.cmap": FEATURE_COLORMAP,
    "image.interpolation": "nearest",
}


def use_course_style() -> None:
    """Set matplotlib's defaults for this course; call it once, in a notebook's import cell."""
    plt.rcParams.update(STYLE)


@contextmanager
def course_style() -> Iterator[None]:
    """Draw in the course's style, whether or not the notebook has set it; also as a decorator."""
    with plt.rc_context(STYLE):
        yield
        interactive = plt.isinteractive()
    # A notebook's first figure loads the backend, which switches interactive mode on. Leaving the
    # context would switch it off again, and no later cell would show its figure.
    (plt.ion if interactive else plt.ioff)()


def shown_as_value(figure: Figure) -> Figure:
    """Take a new figure out of pyplot's hands, which would show it at the end of the cell as well.

    So a notebook shows it where it is a cell's last value, once, and a loop over many leaves no
    open figures behind.
    """
    plt.close(figure)
    return figure


def page(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure as wide as the page, and its grid of axes ``[rows, columns]``.

    Args:
        rows, columns: how many axes.
        height: of the figure, in inches.
        options: for ``matplotlib.pyplot.subplots``.
    """
    size = (PAGE_WIDTH, height)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    # A notebook crops its figures. This unseen line keeps them as wide as the page, and so text
    # has the same size in all of them.
    figure.add_artist(Line2D((0, 1), (0.5, 0.5), alpha=0, gid="page width"))
    return shown_as_value(figure), grid


def method_color(name: str) -> str:
    """The color of an attention block by its name; blocks of other libraries share one."""
    return COLORS.get(name, OTHER_COLORS[2])


def without_frame(axes: Axes) -> None:
    """Leave an image without ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_images(
    images: Iterable[Any] | Mapping[str, Any],
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw photographs side by side.

    Args:
        images: a list, a batch ``[N, 3, H, W]``, or a dictionary from title to image. Each is bytes
            or floats in [0, 1] of shape ``[3, H, W]``, ``[H, W, 3]``, ``[1, H, W]`` or ``[H, W]``.
        titles: one title for each image.
        columns: images in a row.

    Raises:
        ValueError: if the titles are not as many, or floats are outside [0, 1].
    """
    if isinstance(images, Mapping):
        titles, images = list(images) if titles is None else titles, images.values()
    drawn = [_image(image) for image in images]
    lines = 0 if titles is None else 1
    return _panels(drawn, titles or [""] * len(drawn), columns, lines=lines, bar=False)


def show_channels(
    maps: Any, names: Sequence[str] | None = None, *, values: Any = None, columns: int = 4
) -> Figure:
    """Draw the channels of one feature map as small gray images on one shared scale.

    Args:
        maps: ``[1, C, H, W]`` or ``[C, H, W]``.
        names: one name for each channel; the channel numbers if ``None``.
        values: C numbers to print under the names, as ``[C]`` or ``[1, C, 1, 1]``.
        columns: channels in a row.

    Raises:
        ValueError: if ``maps`` are not those of one image, or names or values are not C.
    """
    maps = _shaped("maps", maps, "C", "H", "W")
    titles = [f"channel {number}" for number in range(len(maps))] if names is None else names
    if values is not None:
        numbers = _array(values).flatten()
        titles = [f"{name}\n{number:.2f}" for name, number in zip(titles, numbers, strict=True)]
    lines = 1 if values is None else 2
    return _panels(maps, titles, columns, lines=lines, fontsize=11, **_gray_scale(maps))


def show_weights(weights: Mapping[str, Any], names: Sequence[str]) -> Figure:
    """Draw channel weights as bars, for several blocks or images side by side.

    Args:
        weights: from an attention name (which has its color) or any other label to C weights in
            [0, 1], as ``[C]`` or ``[1, C, 1, 1]``.
        names: one name for each channel.

    Raises:
        ValueError: if a weight is outside [0, 1], or the lengths do not fit.
    """
    height = 0.9 + len(names) * max(0.32, 0.2 * len(weights))
    figure, ((axes,),) = page(1, 1, height)
    rows, thickness = np.arange(len(names)), 0.8 / len(weights)
    spare = cycle(OTHER_COLORS)
    for number, (key, values) in enumerate(weights.items()):
        values = _unit_interval(f"weights[{key!r}]", _array(values).flatten())
        shift = (number - (len(weights) - 1) / 2) * thickness
        color = COLORS.get(key) or next(spare)
        label = LABELS.get(key, key)
        axes.barh(rows + shift, values, thickness * 0.92, color=color, label=label)
    axes.set(xlim=(0, 1), xlabel="channel weight", yticks=rows, yticklabels=names)
    axes.invert_yaxis()
    axes.grid(axis="x")
    figure.legend(loc="outside upper center", ncols=min(4, len(weights)))
    return figure


def show_map(spatial_map: Any, image: Any) -> Figure:
    """Draw a spatial attention map beside its photograph, and laid over it.

    Args:
        spatial_map: ``[1, 1, H, W]``, ``[1, H, W]`` or ``[H, W]``, values in [0, 1].
        image: the photograph, as one of :func:`show_images`; it may be larger than the map, which
            is then stretched over it.

    Returns:
        The figure: photograph, map, map over photograph, and the scale.

    Raises:
        ValueError: if the map is no map of values in [0, 1].
    """
    attention = _unit_interval("spatial_map", _shaped("spatial_map", spatial_map, "H", "W"))
    photo = _image(image)
    # The colors of the map are read more easily over a gray photograph.
    gray = photo @ np.float32([0.299, 0.587, 0.114]) / (255 if photo.dtype == np.uint8 else 1)
    height, width = gray.shape
    titles = ("photograph", "attention map", "map over photograph")
    colors = {"cmap": ATTENTION_COLORMAP, "vmin": 0, "vmax": 1}
    colors["extent"] = (-0.5, width - 0.5, height - 0.5, -0.5)
    figure = _panels([photo, attention, np.dstack([gray] * 3)], titles, 3, **colors)
    figure.axes[2].imshow(attention, alpha=0.55, **colors)
    return figure


def show_maps(
    maps: Mapping[str, Any], *, columns: int = 3, scale: tuple[float, float] | None = (0.0, 1.0)
) -> Figure:
    """Draw several maps of positions side by side on one shared scale.

    Args:
        maps: from title to map, each ``[1, 1, H, W]``, ``[1, H, W]`` or ``[H, W]``.
        columns: maps in a row.
        scale: smallest and largest value of the color scale; (0, 1) fits attention maps. ``None``
            takes the limits of the maps, in gray like features: for averages, maxima, scores.

    Raises:
        ValueError: if one is not a map.
    """
    planes = [_shaped(f"maps[{name!r}]", plane, "H", "W") for name, plane in maps.items()]
    if scale is None:
        colors = _gray_scale(np.concatenate([plane.ravel() for plane in planes]))
    else:
        colors = {"cmap": ATTENTION_COLORMAP, "vmin": scale[0], "vmax": scale[1]}
    return _panels(planes, list(maps), columns, **colors)


def show_matrices(matrices: Mapping[str, Any], row_label: str, column_label: str) -> Figure:
    """Draw matrices as images, side by side on one shared scale.

    Values of both signs get a scale with white at zero.

    Args:
        matrices: from title to matrix, ``[rows, columns]``.
        row_label, column_label: what the rows and the columns are.

    Raises:
        ValueError: if a matrix has not two axes.
    """
    planes = [_shaped("a matrix", plane, "rows", "columns") for plane in matrices.values()]
    size = max(float(np.abs(plane).max()) for plane in planes) or 1.0
    signed = any(plane.min() < 0 for plane in planes)
    plain = LinearSegmentedColormap.from_list("course", ["white", CHANNEL_COLOR])
    colors = {"cmap": "RdBu_r" if signed else plain, "vmin": -size if signed else 0, "vmax": size}
    figure = _panels(planes, list(matrices), 3, lines=3, ticks=True, **colors)
    for axes in figure.axes[: len(planes)]:
        axes.set_xlabel(column_label)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
    figure.axes[0].set_ylabel(row_label)
    return figure


def show_costs(table: Any, *, zoom: tuple[float, float, float, float]) -> Figure:
    """Draw networks by what they cost: parameters to the right, multiply-accumulates upward.

    A network is one label and a marker for each attention it comes with, joined by a line: where
    the attention moves the network.

    Args:
        table: a pandas table with columns ``network`` (the label), ``attention`` (a name in
            ``COLORS``), ``parameters`` and ``macs`` (plain counts).
        zoom: a crowded part to draw once more, larger, with the labels of its networks:
            ``(left, right, bottom, top)``, in millions and in 10⁹.
    """
    networks, methods = table["network"].to_numpy(), table["attention"].to_numpy()
    points = table[["parameters", "macs"]].to_numpy() / (1e6, 1e9)
    left, right, bottom, top = zoom
    figure, ((whole,), (part,)) = page(2, 1, 6.6, height_ratios=(3, 2))
    figure.supylabel("multiply-accumulates (10⁹)", fontsize=12)
    for axes in (whole, part):
        axes.grid()
        axes.margins(0.07, 0.1)
        for network in dict.fromkeys(networks):
            axes.plot(*points[networks == network].T, color=INK, linewidth=1)
        for name in dict.fromkeys(methods):
            # SE and CBAM have almost the same cost: a frame leaves the marker inside it to be seen.
            frame = MARKERS[name] in "sD^v"
            axes.plot(
                *points[methods == name].T, MARKERS[name], color=COLORS[name], label=LABELS[name],
                markersize=9 if frame else 6, fillstyle="none" if frame else "full",
                markeredgewidth=1.5 if frame else 0,
            )  # fmt: skip
    whole.legend(loc="lower right")
    frame = Rectangle((left, bottom), right - left, top - bottom, fill=False, ec=INK, lw=0.8)
    whole.add_patch(frame)
    part.set(xlim=(left, right), ylim=(bottom, top), xlabel="parameters (millions)")
    part.set_title("the frame, enlarged", loc="left", fontsize=11)
    # A name stands beside its network, on the side with more room, and makes way for a near one.
    starts, ends = ({name: points[networks == name][n] for name in networks} for n in (0, -1))
    for name, at in starts.items():
        axes = part if frame.get_bbox().contains(*at) else whole
        size = np.ptp([axes.get_xlim(), axes.get_ylim()], axis=1)
        near = [other - at for other in starts.values() if (abs(other - at) < size / 12).all()]
        rank = sum(np.sign(-distance[1]) for distance in near)
        toward_left = at[0] > np.mean(axes.get_xlim())
        place = {"ha": "right", "x": -7} if toward_left else {"ha": "left", "x": 9}
        _label(axes, name, at if toward_left else ends[name], y=7 * rank, va="center", **place)
    return figure


def show_roofline(points: Mapping[str, Sequence[float]], peak: float, bandwidth: float) -> Figure:
    """Draw layers under the two limits of a computer, on logarithmic axes.

    Args:
        points: from the name of a layer to its multiply-accumulates per byte, and the speed at
            which it ran, in 10⁹ multiply-accumulates per second.
        peak: the most multiply-accumulates per second, in 10⁹.
        bandwidth: the most bytes per second, in 10⁹.
    """
    figure, ((axes,),) = page(1, 1, 4.2)
    ridge, intensities = peak / bandwidth, [intensity for intensity, _ in points.values()]
    ends = np.array([min(*intensities, ridge) / 4, ridge, 16 * max(*intensities, ridge)])
    axes.loglog(ends, np.minimum(peak, bandwidth * ends), color=INK, linewidth=1.5)
    axes.plot(*zip(*points.values(), strict=True), "o", color=FEATURE_COLOR, markersize=8)
    axes.grid()
    axes.margins(0.05, 0.2)
    axes.set(xlabel="multiply-accumulates per byte", ylabel="10⁹ multiply-accumulates per second")
    middle = (ends[0] * ridge) ** 0.5
    _label(axes, "limit: memory", (middle, bandwidth * middle), y=8, ha="right")
    _label(axes, "limit: arithmetic", (ends[2], peak), y=8, ha="right")
    for name, point in points.items():
        # Lower where the next point, and its label, are near.
        near = any(1 < other / point[0] < 12 for other in intensities)
        _label(axes, name, point, x=5, y=-26 if near else -14, ha="left")
    return figure


def _label(
    axes: Axes, text: str, point: Sequence[float], x: float = 0, y: float = 0, **align: str
) -> None:
    """A text so many points to the right of a point in the data, and above it."""
    axes.annotate(text, point, (x, y), textcoords="offset points", fontsize=10, **align)


def _panels(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int,
    *,
    lines: int = 1,
    bar: bool = True,
    ticks: bool = False,
    fontsize: float = 12,
    **colors: Any,
) -> Figure:
    """Images in rows, with room for titles of so many lines, and one scale for all of them."""
    columns = min(columns, len(images))
    rows = ceil(len(images) / columns)
    width = (PAGE_WIDTH - 0.9 * bar) / columns - 0.1 - 0.6 * ticks
    # A single image as wide as the page would fill more than a screen.
    height = min(width * max(image.shape[0] / image.shape[1] for image in images), 3.6)
    figure, grid = page(rows, columns, rows * (height + 0.22 * lines + 0.1), layout="compressed")
    for axes in grid.flat[len(images) :]:
        axes.remove()
    for axes, image, title in zip(figure.axes, images, titles, strict=True):
        drawn = axes.imshow(image, **colors)
        axes.set_title(title, fontsize=fontsize)
        if not ticks:
            without_frame(axes)
    if bar:
        scale = figure.colorbar(drawn, ax=figure.axes, fraction=0.05, aspect=25, pad=0.02)
        scale.locator = MaxNLocator(4 if figure.get_figheight() > 2.5 else 2)
        scale.update_ticks()
    return figure


def _gray_scale(values: np.ndarray) -> dict[str, Any]:
    """The color scale of features: from 0, or from the smallest value if that is negative."""
    low, high = min(0.0, float(values.min())), float(values.max())
    return {"cmap": FEATURE_COLORMAP, "vmin": low, "vmax": high if high > low else low + 1.0}


def _array(value: Any) -> np.ndarray:
    """A numpy array of bytes or 32-bit floats, from a tensor on any device or any array."""
    array = torch.as_tensor(value).detach().cpu()
    return (array if array.dtype == torch.uint8 else array.float()).numpy()


def _shaped(name: str, value: Any, *axes: str) -> np.ndarray:
    """``value`` with these axes; those before them, if any, must have length 1."""
    array = _array(value)
    before, last = array.shape[: -len(axes)], array.shape[-len(axes) :]
    if array.ndim < len(axes) or array.size == 0 or any(length != 1 for length in before):
        wanted = ", ".join(axes)
        raise ValueError(
            f"{name} must have the shape [{wanted}] or [1, {wanted}]; got {list(array.shape)}"
        )
    return array.reshape(last).astype(np.float32)


def _unit_interval(name: str, array: np.ndarray) -> np.ndarray:
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} must lie in [0, 1], got values between {array.min():.3g} and {array.max():.3g}"
        )
    return array


def _image(value: Any) -> np.ndarray:
    """An image as matplotlib takes it: ``[H, W, 3]``, bytes or floats in [0, 1]."""
    image = _array(value)
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
        image = image.transpose(1, 2, 0)
    if image.ndim == 2 or image.ndim == 3 and image.shape[2] == 1:
        image = np.dstack([image] * 3)
    return image if image.dtype == np.uint8 else _unit_interval("an image of floats", image)
