"""Numbers of recorded runs that stand in prose away from the cell that prints them."""

import nbformat
import pytest

from cbam_course import records
from cbam_course.detector import results
from tests.support.notebook_rules import markdown
from tests.support.project import ROOT


def chapter(name):
    """All Markdown of a chapter, on one line."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    return " ".join(markdown(notebook).split())


def told(row):
    """A difference and its interval, as prose has them."""
    columns = ("difference", "difference_low", "difference_high")
    numbers = [f"{row[column]:.2f}".replace("-", "−") for column in columns]
    return "{} ({} to {}".format(*numbers)


@pytest.fixture(scope="module")
def controls():
    return records.summary(records.table("small-resnet-controls"))


def test_chapter_3_tells_the_kernels_of_eca():
    found = records.summary(records.table("small-eca-kernel"))["difference"]
    gains = [f"{found[f'k = {k}']:.2f}" for k in (1, 3, 5, 7, 9)]
    said = f"the kernels 1, 3, 5, 7 and 9 gained {', '.join(gains[:4])} and {gains[4]} points"
    assert said in chapter("03_channel_attention")


def test_chapter_5_tells_the_orders_and_the_controls(controls):
    text = chapter("05_cbam")
    orders = records.summary(records.table("small-order"))
    for name, said in (
        ("channel, then spatial", "with the channels first"),
        ("spatial, then channel", "with the positions first"),
        ("in parallel", "in parallel"),
    ):
        assert f"{told(orders.loc[name])}) {said}" in text
    rows = [controls.loc[name] for name in ("CBAM (FC)", "constant gate", "wider, no attention")]
    rows.append(records.summary(records.table("small-backbone")).loc["plain + CBAM"])
    rows.append(records.summary(records.table("small-blocks")).loc["CBAM (FC)"])
    for row in rows:
        assert f"| {told(row)}) | {row['seeds']:.0f} |" in text


def test_the_detector_is_told_as_it_was_recorded():
    found = records.summary(results()).loc["CBAM, body"]
    page = (ROOT / "book" / "which_block.md").read_text(encoding="utf-8")
    gain = f"{found['difference']:.2f} points"
    interval = told(found).partition(" ")[2]
    for text in (chapter("13_in_a_detector"), page):
        assert gain in text and interval in text and f"{found['p_holm']:.2f}" in text
    assert f"{records.summary(results(metric='map')).loc['CBAM, body', 'p_holm']:.2f}" in chapter(
        "13_in_a_detector"
    )


def test_the_welcome_page_tells_what_a_block_takes():
    passes = records.speed("networks").set_index(["network", "block"])[["training", "inference"]]
    more = passes / passes.xs("none", level="block") - 1
    large, small = (
        [f"{share:.0%}".replace("%", " %") for share in more.loc[name, "course"]]
        for name in ("resnet50", "cifar_resnet")
    )
    said = (
        f"it added {large[0]} to the training of a ResNet-50 and {large[1]} to its forward pass "
        f"alone; to those of the small ResNet-20, {small[0]} and {small[1]}."
    )
    page = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert said in " ".join(page.split())
