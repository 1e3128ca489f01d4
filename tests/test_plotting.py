"""The pictures: one style and palette, figures that draw what they are given, legible drawings."""

import inspect
from functools import cache
from io import BytesIO
from itertools import combinations
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch  # noqa: E402
from matplotlib.path import Path  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from cbam_course import diagrams, plotting  # noqa: E402
from cbam_course.attention import ATTENTION_NAMES  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(f"error::{category}")
    for category in ("UserWarning", "RuntimeWarning", "matplotlib.MatplotlibDeprecationWarning")
]

DRAWINGS = {
    "squeeze_excitation": lambda: diagrams.squeeze_excitation(),
    "channel_attention": lambda: diagrams.channel_attention(),
    "channel_attention_conv": lambda: diagrams.channel_attention("conv"),
    "spatial_attention": lambda: diagrams.spatial_attention(),
    "cbam": lambda: diagrams.cbam(),
    "cbam_spatial_channel": lambda: diagrams.cbam("spatial-channel"),
    "cbam_parallel": lambda: diagrams.cbam("parallel"),
    "residual_block": lambda: diagrams.residual_block(),
}


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        plotting.use_course_style()
        yield
    plt.close("all")


def on_canvas(figure):
    """The canvas of a figure that pyplot no longer holds, with everything drawn on it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def pictures(figure):
    """The arrays of a figure's images, without its color scale."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


# The style and the palette


def test_style_is_opaque_crisp_and_silent(capsys):
    plotting.use_course_style()
    figure = plotting.show_photo(torch.zeros(3, 4, 6))
    assert capsys.readouterr() == ("", "")
    assert figure.get_dpi() >= 150 and plt.rcParams["font.size"] >= 11
    canvas = on_canvas(figure)
    assert tuple(np.asarray(canvas.buffer_rgba())[0, 0]) == (255, 255, 255, 255)
    assert plt.rcParams["savefig.facecolor"] == "white"
    assert not plt.rcParams["savefig.transparent"]
    assert not plt.rcParams["axes.spines.top"]


def test_text_is_set_in_the_font_that_comes_with_matplotlib():
    figure = plotting.show_weights([0.5, 0.2], ["red", "green"])
    on_canvas(figure)
    fonts = {text.get_fontproperties().get_name() for text in figure.findobj(Text)}
    assert fonts == {"DejaVu Sans"}


@pytest.mark.parametrize("table", ["COLORS", "LABELS", "MARKERS", "LINESTYLES"])
def test_every_attention_name_has_its_color_label_marker_and_line(table):
    assert tuple(getattr(plotting, table)) == ATTENTION_NAMES


def test_what_is_no_method_has_no_color_of_a_method():
    (axes,) = plotting.show_weights({"flower": [0.5], "se": [0.5], "temple": [0.5]}).axes
    flower, method, temple = (to_hex(bar.get_facecolor()).upper() for bar in axes.patches)
    assert method == plotting.COLORS["se"]
    assert [flower, temple] == list(plotting.OTHER_COLORS[:2])
    (axes,) = plotting.show_curves({"seed 1": [0.1]}).axes
    assert axes.lines[0].get_color() == plotting.OTHER_COLORS[0]
    assert not set(plotting.OTHER_COLORS) & set(plotting.COLORS.values())


def test_labels_markers_and_colors_differ():
    for table in (plotting.COLORS, plotting.LABELS, plotting.MARKERS):
        assert len(set(table.values())) == len(ATTENTION_NAMES)


# Color vision without the middle- or the long-wave cones, on linear RGB: Machado, Oliveira and
# Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009.
VISION = {
    "full": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def seen(color, vision):
    """CIE Lab coordinates of a color, in which a distance of 2 is barely visible."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / (0.9505, 1, 1.089), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_any_two_methods_can_be_told_apart(vision):
    for one, other in combinations(ATTENTION_NAMES, 2):
        colors = plotting.COLORS[one], plotting.COLORS[other]
        distance = np.linalg.norm(seen(colors[0], vision) - seen(colors[1], vision))
        assert distance > 15, (one, other)


@pytest.mark.parametrize("vision", VISION)
def test_any_two_other_colors_can_be_told_apart(vision):
    for pair in combinations(plotting.OTHER_COLORS, 2):
        one, other = (seen(color, vision) for color in pair)
        assert np.linalg.norm(one - other) > 15, pair


@pytest.mark.parametrize("vision", VISION)
def test_the_colors_of_the_drawings_can_be_told_apart(vision):
    colors = ("CHANNEL", "SPATIAL", "FEATURE", "AVERAGE", "MAXIMUM")
    for one, other in combinations(colors, 2):
        pair = [seen(getattr(plotting, f"{name}_COLOR"), vision) for name in (one, other)]
        assert np.linalg.norm(pair[0] - pair[1]) > 12, (one, other)


# Photographs, channels, weights, maps


def test_photographs_are_drawn_as_they_are():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    for given in (image, torch.from_numpy(image).permute(2, 0, 1)):
        figure = plotting.show_photo(given, "a title")
        np.testing.assert_array_equal(pictures(figure)[0], image)
        assert len(figure.axes) == 1 and figure.axes[0].get_title() == "a title"


def test_images_from_a_list_a_batch_or_a_dictionary():
    batch = torch.rand(5, 3, 4, 6)
    assert len(plotting.show_images(list(batch), columns=3).axes) == 5
    figure = plotting.show_images(batch)
    np.testing.assert_array_equal(pictures(figure)[4], batch[4].permute(1, 2, 0))
    figure = plotting.show_images({"one": batch[0], "gray": batch[1, :1]})
    assert [axes.get_title() for axes in figure.axes] == ["one", "gray"]
    assert pictures(figure)[1].shape == (4, 6)


@pytest.mark.parametrize(
    "image", [torch.rand(2, 4, 6), torch.rand(1, 3, 4, 6), torch.full((3, 4, 6), 1.5)]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="an image"):
        plotting.show_photo(image)


def test_channels_are_drawn_on_one_scale():
    maps = torch.rand(1, 6, 4, 5) * 3
    figure = plotting.show_channels(maps, columns=3)
    assert len(figure.axes) == 6 + 1
    for drawn, channel in zip(pictures(figure), maps[0], strict=True):
        np.testing.assert_array_equal(drawn, channel)
    assert {axes.images[0].get_clim() for axes in figure.axes if axes.images} == {
        (0.0, float(maps.max()))
    }


def test_channel_weights_are_printed_and_dim_the_channels():
    maps, weights = torch.rand(1, 2, 4, 4), torch.tensor([1.0, 0.25])
    figure = plotting.show_channels(maps, ["red", "green"], weights=weights[None, :, None, None])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["red\n× 1.00", "green\n× 0.25"]
    np.testing.assert_allclose(pictures(figure)[1], maps[0, 1] * 0.25)
    assert figure.axes[1].images[0].get_clim() == (0.0, float(maps.max()))


def test_values_are_printed_and_leave_the_channels_alone():
    bank = SimpleNamespace(maps=torch.rand(1, 2, 4, 4), names=("red", "green"))
    figure = plotting.show_channels(bank, values=bank.maps.mean(dim=(2, 3)))
    assert figure.axes[0].get_title() == f"red\n{bank.maps[0, 0].mean():.2f}"
    np.testing.assert_array_equal(pictures(figure)[1], bank.maps[0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maps": torch.rand(2, 2, 4, 4)}, "one image"),
        ({"names": ["red"]}, "expected 2 names"),
        ({"names": "ab"}, "expected 2 names"),
        ({"weights": [0.1, 0.2, 0.3]}, "2 numbers"),
        ({"weights": [0.1, 1.2]}, r"in \[0, 1\]"),
        ({"weights": [0.1, float("nan")]}, r"in \[0, 1\]"),
        ({"weights": [0.1, 0.2], "values": [1.0, 2.0]}, "not both"),
        ({"columns": 0}, "columns"),
    ],
)
def test_channels_refuse_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.show_channels(**{"maps": torch.rand(1, 2, 4, 4), **arguments})


def test_before_and_after_stand_one_above_the_other():
    before = torch.rand(1, 5, 4, 4)
    figure = plotting.show_before_after(before, before / 2, list("abcde"), columns=3)
    assert len(figure.axes) == 2 * 5 + 1
    above = [axes for axes in figure.axes if axes.get_title() == "d"][0]
    below = [
        axes
        for axes in figure.axes
        if axes.images and np.array_equal(axes.images[0].get_array(), before[0, 3] / 2)
    ][0]
    on_canvas(figure)
    assert above.get_position().x0 == pytest.approx(below.get_position().x0)
    assert above.get_position().y0 > below.get_position().y0
    with pytest.raises(ValueError, match="one shape"):
        plotting.show_before_after(before, before[:, :, :2])


def test_weights_of_several_methods_have_their_colors_and_lengths():
    weights = {"se": torch.tensor([0.2, 0.9]), "eca": torch.tensor([[[[0.5]], [[0.4]]]])}
    (axes,) = plotting.show_weights(weights, ["red", "green"]).axes
    assert len(axes.patches) == 4
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.2, 0.9, 0.5, 0.4])
    assert axes.patches[0].get_facecolor()[:3] == pytest.approx(to_rgb(plotting.COLORS["se"]))
    (axes,) = plotting.show_weights(torch.rand(64)).axes
    assert len(axes.patches) == 64 and axes.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "at least one"),
        ([0.5, -0.1], r"in \[0, 1\]"),
        (torch.rand(2, 3), "must be a vector"),
        ({"se": [0.1, 0.2], "eca": [0.1]}, "differ in length"),
    ],
)
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        plotting.show_weights(weights)


def test_a_map_alone_and_over_its_photograph():
    attention, photo = torch.rand(1, 1, 4, 6), torch.rand(3, 16, 24)
    figure = plotting.show_map(attention)
    assert len(figure.axes) == 2
    np.testing.assert_array_equal(pictures(figure)[0], attention[0, 0])
    figure = plotting.show_map(attention, photo)
    assert len(figure.axes) == 4
    np.testing.assert_array_equal(pictures(figure)[0], photo.permute(1, 2, 0))
    over = figure.axes[2].images
    assert over[0].get_extent() == pytest.approx(over[1].get_extent())
    np.testing.assert_array_equal(over[1].get_array(), attention[0, 0])
    assert over[1].get_clim() == (0, 1)


def test_maps_share_their_scale():
    maps = {"average": torch.rand(1, 1, 4, 4), "maximum": 1 + torch.rand(4, 4)}
    figure = plotting.show_maps(maps, scale=None)
    assert len(figure.axes) == 3
    top = float(maps["maximum"].max())
    assert [axes.images[0].get_clim() for axes in figure.axes[:2]] == [(0.0, top)] * 2
    assert plotting.show_maps(maps).axes[0].images[0].get_clim() == (0.0, 1.0)


@pytest.mark.parametrize("bad", [torch.rand(1, 2, 4, 4), torch.rand(4), torch.rand(4, 4) + 1])
def test_what_is_no_attention_map_is_refused(bad):
    with pytest.raises(ValueError, match="spatial_map must"):
        plotting.show_map(bad)


def test_a_matrix_and_its_sign():
    matrix = torch.eye(4)
    figure = plotting.show_matrix(matrix, "who listens to whom", "listener", "speaker")
    np.testing.assert_array_equal(pictures(figure)[0], matrix)
    axes = figure.axes[0]
    assert (axes.get_title(), axes.get_ylabel()) == ("who listens to whom", "listener")
    assert axes.images[0].get_clim() == (0, 1)
    figure = plotting.show_matrix({"one": matrix, "two": -2 * matrix})
    assert len(figure.axes) == 3 and figure.axes[0].images[0].get_clim() == (-2, 2)
    with pytest.raises(ValueError, match="rows, columns"):
        plotting.show_matrix(torch.rand(2, 2, 2))
    with pytest.raises(ValueError, match="finite"):
        plotting.show_matrix(torch.tensor([[float("nan")]]))


def test_curves_have_the_style_of_their_method():
    (axes,) = plotting.show_curves({"cbam-fc": [0.1, 0.2, 0.4], "other": [0.3]}).axes
    line = axes.lines[0]
    assert line.get_color() == plotting.COLORS["cbam-fc"]
    assert line.get_marker() == plotting.MARKERS["cbam-fc"]
    assert line.get_label() == plotting.LABELS["cbam-fc"]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.1), (2, 0.2), (3, 0.4)], rtol=1e-6)
    with pytest.raises(ValueError, match="at least one curve"):
        plotting.show_curves({})


# Networks by their costs: millions of parameters, 10^9 multiply-accumulates; alone, SE, CBAM.
NETWORKS = {
    "MobileNet alpha=0.7": ((2.299, 0.283), (2.705, 0.283), (2.707, 0.289)),
    "MobileNet": ((4.232, 0.569), (5.072, 0.570), (5.075, 0.576)),
    "ResNet18": ((11.690, 1.814), (11.779, 1.814), (11.779, 1.815)),
    "ResNet34": ((21.798, 3.664), (21.959, 3.664), (21.960, 3.665)),
    "ResNet50": ((25.557, 3.858), (28.088, 3.860), (28.090, 3.864)),
    "WideResNet18 (widen=1.5)": ((25.876, 3.866), (26.075, 3.867), (26.076, 3.868)),
    "ResNeXt50 (32x4d)": ((25.029, 3.768), (27.560, 3.771), (27.561, 3.774)),
    "ResNet101": ((44.549, 7.570), (49.327, 7.575), (49.330, 7.581)),
    "WideResNet18 (widen=2.0)": ((45.618, 6.696), (45.970, 6.696), (45.971, 6.697)),
    "ResNeXt101 (32x4d)": ((44.178, 7.508), (48.955, 7.512), (48.959, 7.519)),
}
CROWD = (21, 29, 3.6, 3.92)


def costs():
    rows = [
        (network, attention, parameters * 1e6, macs * 1e9)
        for network, points in NETWORKS.items()
        for attention, (parameters, macs) in zip(("none", "se", "cbam-fc"), points, strict=True)
    ]
    columns = ("network", "attention", "parameters", "macs")
    return dict(zip(columns, zip(*rows, strict=True), strict=True))


@pytest.mark.parametrize("zoom", [None, CROWD])
def test_costs_have_the_marker_of_their_attention_and_a_line_for_each_network(zoom):
    figure = plotting.show_costs(costs(), zoom=zoom)
    assert len(figure.axes) == (1 if zoom is None else 2)
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        assert len(lines) == len(NETWORKS)
        for line, points in zip(lines, NETWORKS.values(), strict=True):
            np.testing.assert_allclose(line.get_xydata(), points)
        methods = {line.get_label(): line for line in axes.lines if line not in lines}
        for place, name in enumerate(("none", "se", "cbam-fc")):
            line = methods.pop(plotting.LABELS[name])
            assert (line.get_color(), line.get_marker()) == (
                plotting.COLORS[name],
                plotting.MARKERS[name],
            )
            np.testing.assert_allclose(line.get_xydata(), [p[place] for p in NETWORKS.values()])
        assert not methods
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["no attention", "SE", "CBAM (FC)"]


@pytest.mark.parametrize("zoom", [None, CROWD])
def test_labels_of_networks_cover_nothing(zoom):
    figure = plotting.show_costs(costs(), zoom=zoom)
    renderer = on_canvas(figure).get_renderer()
    found = [text for axes in figure.axes for text in axes.texts]
    assert sorted(text.get_text() for text in found) == sorted(NETWORKS)
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 9
    for axes in figure.axes:
        # The text alone: the extent of an annotation takes in its line.
        boxes = [(t.get_text(), Text.get_window_extent(t, renderer)) for t in axes.texts]
        if axes.get_legend() is not None:
            boxes.append(("legend", axes.get_legend().get_window_extent(renderer)))
        for (one, box), (other, second) in combinations(boxes, 2):
            assert not box.overlaps(second), (one, other)
        for name, box in boxes:
            assert axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max), name
            for line in axes.lines:
                path = axes.transData.transform_path(line.get_path())
                assert not any(box.contains(*spot) for spot in path.vertices), name
                if line.get_linestyle() == "-":
                    assert not path.intersects_bbox(box, filled=False), name


def test_the_part_enlarged_has_the_labels_of_its_networks():
    figure = plotting.show_costs(costs(), zoom=CROWD)
    whole, part = figure.axes
    assert (part.get_xlim(), part.get_ylim()) == ((21, 29), (3.6, 3.92))
    assert {text.get_text() for text in part.texts} == {
        "ResNet34", "ResNet50", "WideResNet18 (widen=1.5)", "ResNeXt50 (32x4d)",
    }  # fmt: skip
    (frame,) = whole.patches
    assert frame.get_bbox().bounds == pytest.approx((21, 3.6, 8, 0.32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"macs": None}, "has a column 'macs'; got \\['network', 'attention', 'parameters'\\]"),
        ({"attention": ["senet"]}, "attention must be one of none, se.*got 'senet'"),
        ({"parameters": [0]}, "positive numbers"),
        ({"macs": [float("nan")]}, "positive numbers"),
        ({"macs": [1, 2]}, "one length"),
        (dict.fromkeys(("network", "attention", "parameters", "macs"), []), "at least 1"),
    ],
)
def test_costs_refuse_what_does_not_fit(change, message):
    table = {"network": ["a"], "attention": ["se"], "parameters": [1e6], "macs": [1e9], **change}
    table = {key: value for key, value in table.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        plotting.show_costs(table)


@pytest.mark.parametrize("zoom", [(1, 2, 3), (2, 1, 0, 1), (0, 1, 1, 1), 3])
def test_what_is_no_part_of_the_plane_is_refused(zoom):
    with pytest.raises(ValueError, match="zoom must be"):
        plotting.show_costs(costs(), zoom=zoom)


def test_half_precision_and_gradients_are_no_hindrance():
    maps = torch.rand(1, 2, 4, 4, requires_grad=True).to(torch.bfloat16)
    assert len(plotting.show_channels(maps).axes) == 3


def test_nothing_to_draw_is_an_error():
    for draw in (plotting.show_images, lambda _: plotting.show_maps({})):
        with pytest.raises(ValueError, match="at least one|nothing to draw"):
            draw([])


def test_figures_are_as_wide_as_the_page_after_cropping():
    figures = (
        plotting.show_matrix(torch.eye(4)),
        plotting.show_photo(torch.rand(3, 9, 3)),
        plotting.show_costs(costs(), zoom=CROWD),
    )
    for figure in figures:
        crop = figure.get_tightbbox(on_canvas(figure).get_renderer())
        assert crop.width == pytest.approx(plotting.PAGE_WIDTH, abs=0.05)


# The drawings


@cache
def drawn(name):
    """One drawing, what its texts say and where, and its arrows, lines and frames in pixels."""
    figure = DRAWINGS[name]()
    on_canvas(figure)
    boxes = [(t, t.get_window_extent()) for t in figure.findobj(Text) if t.get_text()]
    lines = [
        line
        for artist in figure.findobj(lambda artist: isinstance(artist, FancyArrowPatch | Line2D))
        for line in polygons(artist)
        if len(artist.get_path().vertices) > 0
    ]
    frames = [
        frame
        for artist in figure.findobj(lambda artist: isinstance(artist, FancyBboxPatch | Circle))
        for frame in polygons(artist)
    ]
    return figure, boxes, lines, frames


def polygons(artist):
    path = artist.get_transform().transform_path(artist.get_path())
    return [Path(points) for points in path.to_polygons(closed_only=False)]


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_touches_another_or_leaves_the_drawing(name):
    figure, boxes, _, _ = drawn(name)
    assert len(boxes) > 8
    for text, box in boxes:
        assert text.get_fontsize() >= 9
        assert box.x0 > 0 and box.y0 > 0, text
        assert box.x1 < figure.bbox.width and box.y1 < figure.bbox.height, text
    for (one, box), (other, second) in combinations(boxes, 2):
        assert not box.overlaps(second), (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_arrow_or_line_runs_through_a_text(name):
    _, boxes, lines, _ = drawn(name)
    assert len(lines) >= 12
    for text, box in boxes:
        for line in lines:
            assert not line.intersects_bbox(box, filled=False), text.get_text()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_text_is_inside_a_frame_or_outside(name):
    _, boxes, _, frames = drawn(name)
    assert len(frames) >= 2
    for text, box in boxes:
        for frame in frames:
            assert not frame.intersects_bbox(box, filled=False), text.get_text()


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_opaque_and_fit_the_page(name):
    with matplotlib.rc_context({"figure.facecolor": "black", "savefig.facecolor": "none"}):
        figure = DRAWINGS[name]()
    assert figure.get_figwidth() == plotting.PAGE_WIDTH
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_a_drawing_saved_twice_stays_the_same():
    figure = diagrams.cbam()
    first, second = BytesIO(), BytesIO()
    for file in (first, second):
        figure.savefig(file, bbox_inches="tight", metadata={"Software": None})
    assert first.getvalue() == second.getvalue()


def test_every_drawing_has_its_words():
    assert set(diagrams.ALT) == set(DRAWINGS)
    functions = {
        name
        for name, value in vars(diagrams).items()
        if inspect.isfunction(value) and value.__module__ == diagrams.__name__ and name[0] != "_"
    }
    assert functions <= set(diagrams.ALT)
    for alt in diagrams.ALT.values():
        assert 80 < len(alt) < 400 and alt.endswith(".") and "  " not in alt


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="'fc' or 'conv'.*'linear'"):
        diagrams.channel_attention("linear")
    with pytest.raises(ValueError, match="order must be one of.*'sideways'"):
        diagrams.cbam("sideways")
