"""The course's pictures: one style, one color for each method, and the few figures chapters share.

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
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from .point_labels import label_points

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

LABELS = {
    "none": "no attention",
    "se": "SE",
    "eca": "ECA",
    "channel-fc": "channel (FC)",
    "channel-conv": "channel (Conv)",
    "spatial": "spatial",
    "cbam-fc": "CBAM (FC)",
    "cbam-conv": "CBAM (Conv)",
}
"""How a legend or a table calls each attention name."""

MARKERS = {
    "none": "o",
    "se": "s",
    "eca": "D",
    "channel-fc": "^",
    "channel-conv": "v",
    "spatial": "P",
    "cbam-fc": "X",
    "cbam-conv": "*",
}
"""One marker for each attention name: color is never the only difference between two curves."""

LINESTYLES = {
    "none": (0, (1, 1)),
    "se": "-",
    "eca": "--",
    "channel-fc": "-",
    "channel-conv": "--",
    "spatial": "-.",
    "cbam-fc": "-",
    "cbam-conv": "--",
}
"""Solid where an MLP weighs the channels, dashed where a convolution does."""

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
    "figure.facecolor": "white",
    "figure.edgecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    "savefig.edgecolor": "white",
    "savefig.transparent": False,
    # The one family that comes with matplotlib, so that pictures agree between machines.
    "font.family": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "figure.titlesize": 13,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDE2E7",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 7,
    "axes.prop_cycle": plt.cycler(color=OTHER_COLORS),
    "image.cmap": FEATURE_COLORMAP,
    "image.interpolation": "nearest",
}


def use_course_style() -> None:
    """Set matplotlib's defaults for this course; call it once, in a notebook's import cell."""
    plt.rcParams.update(STYLE)


def shown_as_value(figure: Figure) -> Figure:
    """Take a new figure out of pyplot's hands, which would show it at the end of the cell as well.

    So a notebook shows it where it is a cell's last value, once, and a loop over many leaves no
    open figures behind.
    """
    plt.close(figure)
    return figure


@contextmanager
def course_style() -> Iterator[None]:
    """Draw in the course's style, whether or not the notebook has set it."""
    with plt.rc_context(STYLE):
        yield
        interactive = plt.isinteractive()
    # A notebook's first figure loads the backend, which switches interactive mode on. Leaving the
    # context would switch it off again, and no later cell would show its figure.
    (plt.ion if interactive else plt.ioff)()


def show_photo(image: Any, title: str | None = None) -> Figure:
    """Draw one photograph.

    Args:
        image: bytes, or floats in [0, 1], of shape ``[3, H, W]``, ``[H, W, 3]``, ``[1, H, W]`` or
            ``[H, W]``.
        title: text above it.

    Returns:
        The figure, with one axes.

    Raises:
        ValueError: if ``image`` is not an image.
    """
    return show_images([image], None if title is None else [title], columns=1)


def show_images(
    images: Iterable[Any] | Mapping[str, Any],
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw several photographs side by side.

    Args:
        images: images as :func:`show_photo` takes them, in a list, a batch ``[N, 3, H, W]``, or a
            dictionary from title to image.
        titles: one title for each image.
        columns: images in a row.

    Returns:
        The figure, with one axes for each image.

    Raises:
        ValueError: if there is no image, one is not an image, or the titles are not as many.
    """
    if isinstance(images, Mapping):
        titles, images = list(images) if titles is None else titles, images.values()
    pictures = [_image(image) for image in images]
    labels = _names(titles, len(pictures), "")
    figure, cells = _grid(len(pictures), columns, pictures, lines=titles is not None)
    for axes, picture, title in zip(cells, pictures, labels, strict=True):
        # Bytes are drawn as they are; a single channel is gray between its own limits 0 and 1.
        top = 255 if picture.dtype == np.uint8 else 1
        axes.imshow(picture, cmap="gray", vmin=0, vmax=top)
        axes.set_title(title)
    return figure


def show_channels(
    maps: Any,
    names: Sequence[str] | None = None,
    *,
    weights: Any = None,
    values: Any = None,
    columns: int = 4,
) -> Figure:
    """Draw the channels of one feature map as small gray pictures on one shared scale.

    Args:
        maps: ``[1, C, H, W]`` or ``[C, H, W]``, or a feature bank with ``maps`` and ``names``.
        names: one name for each channel; those of the bank, or the channel numbers, if ``None``.
        weights: C channel weights in [0, 1], as ``[C]`` or ``[1, C, 1, 1]``. Each is printed under
            its channel's name, and the channel is drawn multiplied by it: F' = Mc(F) * F.
        values: C numbers to print under the names; the channels are drawn as they are.
        columns: channels in a row.

    Returns:
        The figure, with one axes for each channel and one for the scale.

    Raises:
        ValueError: if a shape does not fit, a weight is outside [0, 1], or both ``weights`` and
            ``values`` are given.
    """
    maps, names = _feature_map(maps, names)
    if weights is not None and values is not None:
        raise ValueError("give weights (printed and multiplied) or values (printed), not both")
    # The scale is that of the maps before they are weighed: dimmed channels must look dimmer.
    low, high = _limits(maps)
    notes = [""] * len(maps)
    if weights is not None:
        weights = _unit_interval("weights", _vector("weights", weights, len(maps)))
        maps = maps * weights[:, None, None]
        notes = [f"\n× {weight:.2f}" for weight in weights]
    elif values is not None:
        notes = [f"\n{value:.2f}" for value in _vector("values", values, len(maps))]

    figure, cells = _grid(len(maps), columns, maps, lines=1 + (notes[0] != ""), bar=True)
    for axes, channel, name, note in zip(cells, maps, names, notes, strict=True):
        drawn = axes.imshow(channel, cmap=FEATURE_COLORMAP, vmin=low, vmax=high)
        axes.set_title(name + note, fontsize=11)
    _scale(figure, drawn)
    return figure


def show_before_after(
    before: Any, after: Any, names: Sequence[str] | None = None, *, columns: int = 4
) -> Figure:
    """Draw the channels of a feature map above the same channels after a block, on one scale.

    Args:
        before, after: feature maps of the same shape, as :func:`show_channels` takes them.
        names: one name for each channel.
        columns: channels in a row; each row of "before" has its row of "after" below it.

    Returns:
        The figure, with two axes for each channel and one for the scale.

    Raises:
        ValueError: if the shapes do not fit.
    """
    before, names = _feature_map(before, names)
    after, _ = _feature_map(after, names)
    if before.shape != after.shape:
        raise ValueError(
            f"before and after must have one shape, got {before.shape} and {after.shape}"
        )
    low, high = _limits(np.stack([before, after]))
    columns = min(_positive("columns", columns), len(before))
    bands = ceil(len(before) / columns)
    picture = (PAGE_WIDTH - 1.2) / columns * _aspect(before)
    figure, grid = _subplots(2 * bands, columns, bands * (2 * picture + 0.45), "compressed")
    for axes in grid.flat:
        _frame(axes)
    for number, name in enumerate(names):
        band, column = divmod(number, columns)
        for row, maps, word in ((2 * band, before, "before"), (2 * band + 1, after, "after")):
            axes = grid[row, column]
            drawn = axes.imshow(maps[number], cmap=FEATURE_COLORMAP, vmin=low, vmax=high)
            if column == 0:
                axes.set_ylabel(word)
        grid[2 * band, column].set_title(name, fontsize=11)
    for axes in grid.flat:
        if not axes.images:
            axes.remove()
    _scale(figure, drawn)
    return figure


def show_weights(
    weights: Any, names: Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draw channel weights as bars, for one block or for several side by side.

    Args:
        weights: C weights in [0, 1], as ``[C]`` or ``[1, C, 1, 1]``; or a dictionary to such
            weights from an attention name (which has its color) or from any other label.
        names: one name for each channel. With names the bars lie, so that the names can be read;
            without, they stand over the channel numbers.
        title: text above the bars.

    Returns:
        The figure, with one axes.

    Raises:
        ValueError: if there are no weights, a weight is outside [0, 1], or the lengths do not fit.
    """
    groups = dict(weights) if isinstance(weights, Mapping) else {None: weights}
    if not groups:
        raise ValueError("weights must hold the weights of at least one block, got none")
    vectors = {
        key: _unit_interval("weights", _vector("weights", w, None)) for key, w in groups.items()
    }
    count = len(next(iter(vectors.values())))
    for key, vector in vectors.items():
        if len(vector) != count:
            raise ValueError(f"weights differ in length: {count} and {len(vector)} ({key!r})")
    labels = _names(names, count, "")
    places, thickness = np.arange(count), 0.8 / len(vectors)

    height = 0.9 + count * max(0.32, 0.2 * len(vectors)) if names is not None else 3.2
    figure, grid = _subplots(1, 1, height)
    axes = grid[0, 0]
    spare = cycle(OTHER_COLORS)
    for number, (key, vector) in enumerate(vectors.items()):
        shift = (number - (len(vectors) - 1) / 2) * thickness
        color = CHANNEL_COLOR if key is None else COLORS.get(key) or next(spare)
        draw = axes.barh if names is not None else axes.bar
        draw(places + shift, vector, thickness * 0.92, color=color, label=LABELS.get(key, key))
    if names is not None:
        axes.set(xlim=(0, 1), xlabel="channel weight", yticks=places, yticklabels=labels)
        axes.invert_yaxis()
        axes.grid(axis="x")
    else:
        axes.set(ylim=(0, 1), ylabel="channel weight", xlabel="channel", xlim=(-0.6, count - 0.4))
        axes.grid(axis="y")
    if None not in vectors:
        figure.legend(loc="outside upper center", ncols=min(4, len(vectors)))
    if title is not None:
        axes.set_title(title)
    return figure


def show_map(spatial_map: Any, image: Any = None, *, title: str | None = None) -> Figure:
    """Draw a spatial attention map, beside its photograph and laid over it if there is one.

    Args:
        spatial_map: ``[1, 1, H, W]``, ``[1, H, W]`` or ``[H, W]``, values in [0, 1].
        image: the photograph; it may be larger than the map, which is then stretched over it.
        title: text above the map, "attention map" if ``None``.

    Returns:
        The figure: the map and its scale; with an image three pictures and the scale.

    Raises:
        ValueError: if the map is no map of values in [0, 1], or ``image`` is not an image.
    """
    attention = _unit_interval("spatial_map", _plane("spatial_map", spatial_map))
    title = "attention map" if title is None else title
    colors = {"cmap": ATTENTION_COLORMAP, "vmin": 0, "vmax": 1}
    if image is None:
        figure, (axes,) = _grid(1, 1, [attention], lines=1, bar=True)
        drawn = axes.imshow(attention, **colors)
        axes.set_title(title)
        _scale(figure, drawn)
        return figure

    picture = _image(image)
    extent = (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
    figure, cells = _grid(3, 3, [picture], lines=1, bar=True)
    for axes, text in zip(cells, ("photograph", title, "map over photograph"), strict=True):
        axes.set_title(text)
    top = 255 if picture.dtype == np.uint8 else 1
    cells[0].imshow(picture, cmap="gray", vmin=0, vmax=top)
    # The colors of the map are read more easily over a gray photograph.
    gray = picture if picture.ndim == 2 else picture @ np.float32([0.299, 0.587, 0.114])
    cells[2].imshow(gray, cmap="gray", vmin=0, vmax=top)
    drawn = cells[1].imshow(attention, extent=extent, **colors)
    cells[2].imshow(attention, extent=extent, alpha=0.55, **colors)
    _scale(figure, drawn)
    return figure


def show_maps(
    maps: Mapping[str, Any], *, columns: int = 3, scale: tuple[float, float] | None = (0.0, 1.0)
) -> Figure:
    """Draw several maps of places side by side on one shared scale.

    Args:
        maps: from title to map, each ``[1, 1, H, W]``, ``[1, H, W]`` or ``[H, W]``.
        columns: maps in a row.
        scale: smallest and largest value of the color scale; (0, 1) fits attention maps. ``None``
            takes the limits of the maps, in gray like features: for averages, maxima, scores.

    Returns:
        The figure, with one axes for each map and one for the scale.

    Raises:
        ValueError: if there are no maps, or one is not a map.
    """
    planes = [_plane(f"maps[{name!r}]", plane) for name, plane in maps.items()]
    figure, cells = _grid(len(planes), columns, planes, lines=1, bar=True)
    if scale is None:
        low, high = _limits(np.concatenate([plane.ravel() for plane in planes]))
    else:
        low, high = scale
    colormap = FEATURE_COLORMAP if scale is None else ATTENTION_COLORMAP
    for axes, plane, name in zip(cells, planes, maps, strict=True):
        drawn = axes.imshow(plane, cmap=colormap, vmin=low, vmax=high)
        axes.set_title(name)
    _scale(figure, drawn)
    return figure


def show_matrix(
    matrix: Any,
    title: str | None = None,
    row_label: str = "output channel",
    column_label: str = "input channel",
) -> Figure:
    """Draw a matrix as a picture, or several side by side on one shared scale.

    The picture of which channel listens to which: row i, column j holds how much output i depends
    on input j. Values of both signs get a scale with white at zero.

    Args:
        matrix: shape ``[rows, columns]``, or a dictionary from title to such matrices.
        title: text above a single matrix.
        row_label, column_label: what the rows and the columns are.

    Returns:
        The figure, with one axes for each matrix and one for the scale.

    Raises:
        ValueError: if a matrix has not two axes, or holds a value that is not finite.
    """
    named = matrix if isinstance(matrix, Mapping) else {"" if title is None else title: matrix}
    planes = [_matrix(plane) for plane in named.values()]
    figure, cells = _grid(len(planes), 3, planes, lines=3, bar=True, ticks=True)
    size = max(float(np.abs(plane).max()) for plane in planes) or 1.0
    signed = any(plane.min() < 0 for plane in planes)
    for axes, plane, name in zip(cells, planes, named, strict=True):
        drawn = axes.imshow(
            plane,
            cmap="RdBu_r" if signed else _white_to(CHANNEL_COLOR),
            vmin=-size if signed else 0,
            vmax=size,
        )
        axes.set(title=name, xlabel=column_label)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
    cells[0].set_ylabel(row_label)
    _scale(figure, drawn)
    return figure


def show_curves(
    curves: Mapping[str, Sequence[float]],
    *,
    xlabel: str = "epoch",
    ylabel: str = "",
    title: str | None = None,
    start: int = 1,
) -> Figure:
    """Draw one curve for each method, in its color, line style and marker.

    Args:
        curves: from attention name (or any other label) to the values, one for each step.
        xlabel, ylabel, title: texts of the axes.
        start: number of the first step.

    Returns:
        The figure, with one axes.

    Raises:
        ValueError: if there is no curve, or one has no values.
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    figure, grid = _subplots(1, 1, 4.0)
    axes = grid[0, 0]
    for name, values in curves.items():
        values = _vector(f"curves[{name!r}]", values, None)
        known = name in COLORS
        axes.plot(
            range(start, start + len(values)),
            values,
            color=COLORS[name] if known else None,
            linestyle=LINESTYLES[name] if known else "-",
            marker=MARKERS[name] if known else "o",
            markevery=max(1, len(values) // 10),
            label=LABELS.get(name, name),
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y")
    if title is not None:
        axes.set_title(title)
    axes.legend()
    return figure


def show_costs(table: Any, *, zoom: Sequence[float] | None = None) -> Figure:
    """Draw networks by what they cost: parameters to the right, multiply-accumulates upward.

    A network is one label and a marker for each attention it comes with, joined by a line: where
    the attention moves the network.

    Args:
        table: a pandas table or a dictionary of columns: ``network`` (the label), ``attention`` (a
            name in ``COLORS``), ``parameters`` and ``macs`` (plain counts).
        zoom: a crowded part to draw once more, larger, with the labels of its networks:
            ``(left, right, bottom, top)``, in millions and in 10⁹.

    Returns:
        The figure, with one axes, or two with ``zoom``.

    Raises:
        ValueError: if a column is missing, empty or not as long as the others, an attention has no
            color, a count is not a positive number, or ``zoom`` is no such part.
    """
    names, methods, points = _costs(table)
    part = None if zoom is None else _part(zoom)
    figure, grid = _subplots(1, 1, 4.4) if part is None else _subplots(2, 1, 6.6)
    figure.supylabel("multiply-accumulates (10⁹)", fontsize=12)
    for axes in grid.flat:
        axes.grid()
        axes.margins(0.07, 0.1)
        _draw_costs(axes, names, methods, points)
    all_of_it, enlarged = grid[0, 0], grid[-1, 0]
    all_of_it.legend(loc="lower right")
    enlarged.set_xlabel("parameters (millions)")
    starts = {name: points[names.index(name)] for name in names}
    inside = {} if part is None else {n: p for n, p in starts.items() if part.contains(*p)}
    if part is not None:
        all_of_it.get_gridspec().set_height_ratios((3, 2))
        frame = Rectangle(part.min, part.width, part.height, fill=False, color=INK, linewidth=0.8)
        all_of_it.add_patch(frame)
        enlarged.set(xlim=part.intervalx, ylim=part.intervaly)
        enlarged.set_title("the frame, enlarged", loc="left", fontsize=11)
        label_points(enlarged, inside, INK)
    label_points(all_of_it, {n: p for n, p in starts.items() if n not in inside}, INK)
    return figure


def _array(value: Any) -> np.ndarray:
    """A numpy array of bytes or 32-bit floats, from a tensor on any device or any array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # numpy has no bfloat16.
        value = (value.float() if value.is_floating_point() else value).numpy()
    value = np.asarray(value)
    return value if value.dtype == np.uint8 else value.astype(np.float32)


def _image(value: Any) -> np.ndarray:
    """An image as matplotlib takes it: ``[H, W, 3]`` or ``[H, W]``."""
    image = _array(value)
    shape = list(image.shape)
    if image.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.size == 0 or not (image.ndim == 2 or image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(
            f"an image has the shape [3, H, W], [H, W, 3], [1, H, W] or [H, W]; got {shape}"
        )
    if image.dtype != np.uint8 and not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            "an image of floats holds values in [0, 1]; "
            f"got values between {image.min():.3g} and {image.max():.3g}"
        )
    return image


def _feature_map(maps: Any, names: Sequence[str] | None) -> tuple[np.ndarray, Sequence[str]]:
    if hasattr(maps, "maps") and hasattr(maps, "names"):
        maps, names = maps.maps, maps.names if names is None else names
    array = _array(maps)
    shape = list(array.shape)
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(
            f"maps must be the feature map of one image, [1, C, H, W] or [C, H, W]; got {shape}"
        )
    return array.astype(np.float32), _names(names, len(array), "channel {}")


def _plane(name: str, value: Any) -> np.ndarray:
    array = _array(value)
    if not 2 <= array.ndim <= 4 or array.size == 0 or any(n != 1 for n in array.shape[:-2]):
        raise ValueError(
            f"{name} must be one map, [1, 1, H, W], [1, H, W] or [H, W]; got {list(array.shape)}"
        )
    return array.reshape(array.shape[-2:])


def _matrix(value: Any) -> np.ndarray:
    array = _array(value)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"a matrix has the shape [rows, columns]; got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError("a matrix to draw must be finite; got NaN or infinity")
    return array.astype(np.float32)


def _vector(name: str, value: Any, length: int | None) -> np.ndarray:
    array = _array(value)
    shape = list(array.shape)
    if array.size == 0 or array.size != max(shape, default=0):
        raise ValueError(f"{name} must be a vector, such as [C] or [1, C, 1, 1]; got shape {shape}")
    if length is not None and array.size != length:
        raise ValueError(f"{name} must hold {length} numbers, one per channel; got {array.size}")
    return array.reshape(-1)


def _unit_interval(name: str, array: np.ndarray) -> np.ndarray:
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} must lie in [0, 1], got values between {array.min():.3g} and {array.max():.3g}"
        )
    return array


def _names(names: Sequence[str] | None, count: int, template: str) -> Sequence[str]:
    if names is None:
        return [template.format(number) for number in range(count)]
    if isinstance(names, str) or len(names) != count:
        raise ValueError(f"expected {count} names, one each; got {names!r}")
    return names


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return value


def _limits(array: np.ndarray) -> tuple[float, float]:
    """The color scale of features: from 0, or from the smallest value if that is negative."""
    low, high = min(0.0, float(array.min())), float(array.max())
    return (low, high) if high > low else (low, low + 1.0)


def _aspect(pictures: Iterable[np.ndarray]) -> float:
    """Height over width of the tallest picture."""
    return max(picture.shape[0] / picture.shape[1] for picture in pictures)


def _white_to(color: str) -> Any:
    return LinearSegmentedColormap.from_list("course", ["white", color])


def _subplots(
    rows: int, columns: int, height: float, layout: str = "constrained"
) -> tuple[Figure, np.ndarray]:
    figure, grid = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, height), squeeze=False, layout=layout
    )
    shown_as_value(figure)
    # A notebook crops its figures. This unseen line keeps them as wide as the page, and so text
    # has the same size in all of them.
    figure.add_artist(Line2D((0, 1), (0.5, 0.5), alpha=0, gid="page width"))
    return figure, grid


def _grid(
    count: int,
    columns: int,
    pictures: Iterable[np.ndarray],
    *,
    lines: int = 0,
    bar: bool = False,
    ticks: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with ``count`` frames for pictures of such a shape."""
    _positive("columns", columns)
    if count == 0:
        raise ValueError("there is nothing to draw: expected at least one picture, got none")
    columns = min(columns, count)
    rows = ceil(count / columns)
    width = (PAGE_WIDTH - 0.9 * bar) / columns - 0.1 - 0.6 * ticks
    # A single picture as wide as the page would fill more than a screen.
    height = min(width * _aspect(pictures), 3.6)
    figure, grid = _subplots(rows, columns, rows * (height + 0.22 * lines + 0.1), "compressed")
    cells = list(grid.flat)
    for axes in cells[count:]:
        axes.remove()
    if not ticks:
        for axes in cells[:count]:
            _frame(axes)
    return figure, cells[:count]


def _frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _scale(figure: Figure, drawn: AxesImage) -> None:
    bar = figure.colorbar(drawn, ax=figure.axes, fraction=0.05, aspect=25, pad=0.02)
    bar.locator = MaxNLocator(4 if figure.get_figheight() > 2.5 else 2)
    bar.update_ticks()


def _costs(table: Any) -> tuple[list[str], list[str], np.ndarray]:
    """Networks, attentions, and points in millions of parameters and 10⁹ multiply-accumulates."""
    columns = {}
    for key in ("network", "attention", "parameters", "macs"):
        if key not in table:
            raise ValueError(f"a table of costs has a column {key!r}; got {list(table)}")
        columns[key] = list(table[key])
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise ValueError(f"the columns must have one length, at least 1; got {sorted(lengths)}")
    for name in columns["attention"]:
        if name not in COLORS:
            raise ValueError(f"attention must be one of {', '.join(COLORS)}; got {name!r}")
    counts = np.array([columns["parameters"], columns["macs"]], dtype=float)
    if not (np.isfinite(counts).all() and counts.min() > 0):
        raise ValueError("parameters and macs must be positive numbers")
    return columns["network"], columns["attention"], counts.T / (1e6, 1e9)


def _part(zoom: Sequence[float]) -> Bbox:
    limits = np.asarray(zoom, dtype=float)
    if limits.shape != (4,) or not (limits[0] < limits[1] and limits[2] < limits[3]):
        raise ValueError(f"zoom must be (left, right, bottom, top), got {zoom!r}")
    return Bbox([limits[::2], limits[1::2]])


def _draw_costs(
    axes: Axes, names: Sequence[str], methods: Sequence[str], points: np.ndarray
) -> None:
    for network in dict.fromkeys(names):
        axes.plot(*points[[name == network for name in names]].T, color=INK, linewidth=1)
    for method in (name for name in COLORS if name in methods):
        # SE and CBAM have almost the same cost: a frame leaves the marker inside it to be seen.
        frame = MARKERS[method] in "sD^v"
        axes.plot(
            *points[[name == method for name in methods]].T,
            color=COLORS[method],
            linestyle="none",
            marker=MARKERS[method],
            markersize=9 if frame else 6,
            fillstyle="none" if frame else "full",
            markeredgewidth=1.5 if frame else 0,
            label=LABELS[method],
        )
