"""The drawings of the blocks: legible, opaque, and shown once in a notebook."""

from io import BytesIO
from itertools import combinations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle  # noqa: E402
from matplotlib.path import Path  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from cbam_course import diagrams, plotting  # noqa: E402

DRAWINGS = {
    "squeeze_excitation": diagrams.squeeze_excitation,
    "channel_attention": diagrams.channel_attention,
    "channel_attention_conv": lambda: diagrams.channel_attention("conv"),
    "spatial_attention": diagrams.spatial_attention,
    "cbam": diagrams.cbam,
    "cbam_stacked": lambda: diagrams.cbam(stacked=True),
    "residual_block": diagrams.residual_block,
}


def drawn(name):
    """One drawing, its texts with their boxes, its arrows and lines, and its frames, in pixels."""
    with matplotlib.rc_context({"figure.facecolor": "black", "savefig.facecolor": "none"}):
        figure = DRAWINGS[name]()
    FigureCanvasAgg(figure).draw()
    boxes = [(t, t.get_window_extent()) for t in figure.findobj(Text) if t.get_text()]
    lines, frames = (
        [
            Path(points)
            for artist in figure.findobj(lambda artist, kinds=kinds: isinstance(artist, kinds))
            for points in artist.get_transform()
            .transform_path(artist.get_path())
            .to_polygons(closed_only=False)
        ]
        for kinds in ((FancyArrowPatch, Line2D), (FancyBboxPatch, Circle))
    )
    return figure, boxes, lines, frames


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_are_legible(name):
    """No text touches another or a line, leaves the drawing or lies across a frame."""
    figure, boxes, lines, frames = drawn(name)
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert figure.get_figwidth() == (4.85 if name == "cbam_stacked" else plotting.PAGE_WIDTH)
    assert len(boxes) > 8 and len(lines) >= 12 and len(frames) >= 2
    for text, box in boxes:
        assert text.get_fontsize() >= 9
        assert box.x0 > 0 and box.y0 > 0, text
        assert box.x1 < figure.bbox.width and box.y1 < figure.bbox.height, text
        for line in (*lines, *frames):
            assert not line.intersects_bbox(box, filled=False), text.get_text()
    for (one, box), (other, second) in combinations(boxes, 2):
        assert not box.overlaps(second), (one.get_text(), other.get_text())


def test_steps_show_the_numbers_that_they_are_given():
    named = {
        "$F$": [[[1.0, 3.0], [5.0, 7.0]]],
        "two\nlines": [-1 / 3, -0.0001],
        "$F'$": [[[0.0474]]],
    }
    figure = diagrams.steps(named)
    FigureCanvasAgg(figure).draw()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    numbers = [text.get_text() for text in texts if text.get_text() not in named]
    assert numbers == ["1", "3", "5", "7", "-0.333", "0", "0.047"]
    assert all(name in [text.get_text() for text in texts] for name in named)
    cells = [cell.get_window_extent() for cell in figure.findobj(Rectangle) if cell.get_width() < 1]
    for text in texts:
        box = text.get_window_extent()
        assert any(box.x0 > c.x0 and box.x1 < c.x1 for c in cells) or text.get_text() in named


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="'fc' or 'conv'.*'linear'"):
        diagrams.channel_attention("linear")


def test_a_drawing_saved_twice_stays_the_same():
    figure = diagrams.cbam()
    first, second = BytesIO(), BytesIO()
    for file in (first, second):
        figure.savefig(file, bbox_inches="tight", metadata={"Software": None})
    assert first.getvalue() == second.getvalue()


def test_a_drawing_is_shown_once_and_later_figures_are_shown():
    """The first figure of a notebook loads its backend, which switches interactive mode on."""
    diagrams.steps({"z": [1.0]})
    assert plt.get_fignums() == []  # pyplot would show it at the end of the cell, as its value too
    with plt.ioff():
        with plotting.course_style():
            plt.ion()
        assert plt.isinteractive()
