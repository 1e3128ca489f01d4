"""The figures: one style and palette, and figures that draw what they are given."""

from itertools import combinations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import to_hex, to_rgb  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from cbam_course import plotting  # noqa: E402
from cbam_course.attention import ATTENTION_NAMES  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(f"error::{category}")
    for category in ("UserWarning", "RuntimeWarning", "matplotlib.MatplotlibDeprecationWarning")
]


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


def images(figure):
    """The arrays of a figure's images, without its color scale."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def limits(figure):
    return {axes.images[0].get_clim() for axes in figure.axes if axes.images}


# The style and the palette


def test_style_is_opaque_crisp_and_silent(capsys):
    plotting.use_course_style()
    figure = plotting.show_images([torch.zeros(3, 4, 6)], ["a title"])
    assert capsys.readouterr() == ("", "")
    canvas = on_canvas(figure)
    assert tuple(np.asarray(canvas.buffer_rgba())[0, 0]) == (255, 255, 255, 255)
    # The one font that comes with matplotlib.
    fonts = {text.get_fontproperties().get_name() for text in figure.findobj(Text)}
    assert fonts == {"DejaVu Sans"}


@pytest.mark.parametrize("table", ["COLORS", "LABELS", "MARKERS"])
def test_every_attention_name_has_a_color_label_and_marker_of_its_own(table):
    values = getattr(plotting, table)
    assert tuple(values) == ATTENTION_NAMES
    assert len(set(values.values())) == len(ATTENTION_NAMES)


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


DRAWN = [f"{part}_COLOR" for part in ("CHANNEL", "SPATIAL", "FEATURE", "AVERAGE", "MAXIMUM")]


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    ("colors", "least"),
    [
        (tuple(plotting.COLORS.values()), 15),
        (plotting.OTHER_COLORS, 15),
        ([getattr(plotting, name) for name in DRAWN], 12),
    ],
    ids=["methods", "others", "drawings"],
)
def test_any_two_colors_can_be_told_apart(colors, least, vision):
    for pair in combinations(colors, 2):
        one, other = (seen(color, vision) for color in pair)
        assert np.linalg.norm(one - other) > least, pair


# Photographs, channels, weights, maps


def test_images_are_drawn_as_they_are():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    for given in (image, torch.from_numpy(image).permute(2, 0, 1)):
        np.testing.assert_array_equal(images(plotting.show_images([given]))[0], image)
    batch = torch.rand(2, 3, 4, 6)
    np.testing.assert_array_equal(images(plotting.show_images(batch))[1], batch[1].permute(1, 2, 0))
    figure = plotting.show_images({"one": batch[0], "gray": batch[1, :1]})
    assert [axes.get_title() for axes in figure.axes] == ["one", "gray"]
    np.testing.assert_array_equal(images(figure)[1][:, :, 2], batch[1, 0])


def test_channels_are_drawn_on_one_scale_with_their_values():
    maps = torch.rand(1, 3, 4, 5) * 3
    figure = plotting.show_channels(maps, values=maps.mean(dim=(2, 3)), columns=2)
    assert len(figure.axes) == 3 + 1
    assert figure.axes[1].get_title() == f"channel 1\n{maps[0, 1].mean():.2f}"
    for drawn, channel in zip(images(figure), maps[0], strict=True):
        np.testing.assert_array_equal(drawn, channel)
    assert limits(figure) == {(0.0, float(maps.max()))}
    half = torch.rand(1, 2, 4, 4, requires_grad=True).to(torch.bfloat16)
    titles = [axes.get_title() for axes in plotting.show_channels(half, ["red", "green"]).axes]
    assert titles == ["red", "green", ""]


def test_weights_have_the_colors_of_their_methods_and_their_lengths():
    weights = {
        "se": torch.tensor([0.2, 0.9]),
        "flower": [0.1, 0.3],
        "eca": torch.tensor([[[[0.5]], [[0.4]]]]),
    }
    (axes,) = plotting.show_weights(weights, ["red", "green"]).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(
        [0.2, 0.9, 0.1, 0.3, 0.5, 0.4]
    )
    colors = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches[::2]]
    assert colors == [plotting.COLORS["se"], plotting.OTHER_COLORS[0], plotting.COLORS["eca"]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["red", "green"]


def test_a_map_lies_over_its_photograph():
    attention, photo = torch.rand(1, 1, 4, 6), torch.rand(3, 16, 24)
    figure = plotting.show_map(attention, photo)
    assert len(figure.axes) == 4
    np.testing.assert_array_equal(images(figure)[0], photo.permute(1, 2, 0))
    np.testing.assert_array_equal(images(figure)[1], attention[0, 0])
    gray, over = figure.axes[2].images
    assert gray.get_extent() == over.get_extent() == pytest.approx((-0.5, 23.5, 15.5, -0.5))
    np.testing.assert_array_equal(over.get_array(), attention[0, 0])
    assert over.get_clim() == (0, 1) and np.ptp(np.asarray(gray.get_array()), axis=2).max() == 0


def test_maps_share_their_scale():
    maps = {"average": torch.rand(1, 1, 4, 4), "maximum": 1 + torch.rand(4, 4)}
    figure = plotting.show_maps(maps, scale=None)
    assert len(figure.axes) == 3 and limits(figure) == {(0.0, float(maps["maximum"].max()))}
    assert limits(plotting.show_maps(maps)) == {(0.0, 1.0)}


def test_matrices_and_their_signs():
    matrix = torch.eye(4)
    figure = plotting.show_matrices({"one": matrix}, "output", "input")
    np.testing.assert_array_equal(images(figure)[0], matrix)
    axes = figure.axes[0]
    assert (axes.get_title(), axes.get_ylabel(), axes.get_xlabel()) == ("one", "output", "input")
    assert limits(figure) == {(0, 1)}
    figure = plotting.show_matrices({"one": matrix, "two": -2 * matrix}, "output", "input")
    assert len(figure.axes) == 3 and limits(figure) == {(-2, 2)}


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        ("show_images", [[torch.full((3, 4, 6), 1.5)]], "must lie in .*between 1.5 and 1.5"),
        ("show_images", [torch.rand(2, 3, 4, 4), ["one"]], "zip"),
        ("show_channels", [torch.rand(2, 2, 4, 4)], r"maps must have the shape \[C, H, W\]"),
        ("show_weights", [{"se": [0.5, float("nan")]}, "ab"], r"weights\['se'\] must lie in"),
        ("show_map", [torch.rand(1, 2, 4, 4), torch.rand(3, 4, 4)], "spatial_map must have"),
        ("show_map", [torch.rand(4, 4) + 1, torch.rand(3, 4, 4)], "spatial_map must lie in"),
        ("show_maps", [{"one": torch.rand(4)}], r"maps\['one'\] must have the shape \[H, W\]"),
        ("show_matrices", [{"": torch.rand(2, 2, 2)}, "", ""], "rows, columns"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(plotting, draw)(*arguments)


# Networks by their costs: millions of parameters, 10^9 multiply-accumulates; alone, SE, CBAM.
NETWORKS = {
    "MobileNet": ((4.232, 0.569), (5.072, 0.570), (5.075, 0.576)),
    "ResNet34": ((21.798, 3.664), (21.959, 3.664), (21.960, 3.665)),
    "ResNet50": ((25.557, 3.858), (28.088, 3.860), (28.090, 3.864)),
    "WideResNet18 (widen=1.5)": ((25.876, 3.866), (26.075, 3.867), (26.076, 3.868)),
    "ResNeXt50 (32x4d)": ((25.029, 3.768), (27.560, 3.771), (27.561, 3.774)),
    "ResNet101": ((44.549, 7.570), (49.327, 7.575), (49.330, 7.581)),
    "ResNeXt101 (32x4d)": ((44.178, 7.508), (48.955, 7.512), (48.959, 7.519)),
}
METHODS = ("none", "se", "cbam-fc")


@pytest.fixture
def costs():
    rows = [
        (network, attention, parameters * 1e6, macs * 1e9)
        for network, points in NETWORKS.items()
        for attention, (parameters, macs) in zip(METHODS, points, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["network", "attention", "parameters", "macs"])
    return plotting.show_costs(table, zoom=(21, 29, 3.6, 3.92))


def test_costs_have_the_marker_of_their_attention_and_a_line_for_each_network(costs):
    for axes in costs.axes:
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        for line, points in zip(lines, NETWORKS.values(), strict=True):
            np.testing.assert_allclose(line.get_xydata(), points)
        others = [line for line in axes.lines if line not in lines]
        for number, (line, name) in enumerate(zip(others, METHODS, strict=True)):
            assert line.get_label() == plotting.LABELS[name]
            assert line.get_color() == plotting.COLORS[name]
            assert line.get_marker() == plotting.MARKERS[name]
            np.testing.assert_allclose(line.get_xydata(), [p[number] for p in NETWORKS.values()])
    whole, part = costs.axes
    assert len(whole.get_legend().get_texts()) == 3
    assert (part.get_xlim(), part.get_ylim()) == ((21, 29), (3.6, 3.92))
    assert whole.patches[0].get_bbox().bounds == pytest.approx((21, 3.6, 8, 0.32))


def test_labels_of_networks_cover_nothing(costs):
    renderer = on_canvas(costs).get_renderer()
    whole, part = costs.axes
    assert {text.get_text() for text in part.texts} == set(list(NETWORKS)[1:5])
    assert {text.get_text() for text in (*whole.texts, *part.texts)} == set(NETWORKS)
    for axes in costs.axes:
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
