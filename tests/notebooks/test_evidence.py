"""Numbers of recorded runs that stand in prose away from the cell that prints them."""

import nbformat
import pytest

from cbam_course import records
from cbam_course.detector import results
from tests.support.notebook_rules import markdown
from tests.support.project import ROOT, chapters

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
PAGES |= {path.stem: markdown(nbformat.read(path, as_version=4)) for path in chapters()}
PAGES = {name: " ".join(text.split()) for name, text in PAGES.items()}


def row(experiment, variant):
    """What a variant gained, as prose has it, and the accuracy without attention."""
    found = records.summary(records.table(experiment))
    about = found.loc[variant]
    names = {"gain": "difference", "low": "difference_low", "high": "difference_high"}
    told = {name: f"{about[column]:.2f}".replace("-", "−") for name, column in names.items()}
    plain = found["accuracy"].get("no attention", float("nan"))
    return told | {"seeds": f"{about['seeds']:.0f}", "accuracy": f"{plain:.0f}"}


@pytest.mark.parametrize(
    "page, said",
    [
        ("intro", "CBAM gained {gain} points in a ResNet-20 (fifteen seeds, 95 % interval {low} to "
         "{high}), at {accuracy} % accuracy"),
        ("which_block", "CBAM gained {gain} points with fifteen seeds, 95 % interval {low} to "
         "{high}."),
        ("copy_this", "gained {gain} points in fifteen pairs of short runs (95 % interval {low} to "
         "{high}, at {accuracy} % accuracy)"),
    ],
)  # fmt: skip
def test_what_cbam_gained(page, said):
    told = row("small-replication", "CBAM (FC)")
    assert told["seeds"] == "15" and said.format(**told) in PAGES[page]


def test_what_a_constant_gate_gained():
    told = row("small-resnet-controls", "constant gate")
    assert told["seeds"] == "15"
    assert "gained {gain} ({low} to {high})".format(**told) in PAGES["intro"]
    assert "gained {gain} there ({low} to {high})".format(**told) in PAGES["which_block"]


def test_without_shortcuts_cbam_loses_and_from_the_identity_no_loss_shows():
    """As the welcome page and the page on the choice say in words."""
    start = records.summary(records.table("small-start"))
    assert start.loc["plain + CBAM", "difference_high"] < 0
    assert start.loc["plain + CBAM, from the identity", "difference"] > 0


def test_chapter_3_tells_the_kernels_of_eca():
    found = records.summary(records.table("small-eca-kernel"))["difference"]
    gains = [f"{found[f'k = {k}']:.2f}" for k in (1, 3, 5, 7, 9)]
    said = f"the kernels 1, 3, 5, 7 and 9 gained {', '.join(gains[:4])} and {gains[4]} points"
    assert said in PAGES["03_channel_attention"]


@pytest.mark.parametrize(
    "experiment, variant, said",
    [
        ("small-order", "channel, then spatial", "@ with the channels first"),
        ("small-order", "spatial, then channel", "@ with the positions first"),
        ("small-order", "in parallel", "@ in parallel"),
        ("small-resnet-controls", "CBAM (FC)", "| @ | {seeds} |"),
        ("small-resnet-controls", "constant gate", "| @ | {seeds} |"),
        ("small-resnet-controls", "wider, no attention", "| @ | {seeds} |"),
        ("small-backbone", "plain + CBAM", "| @ | {seeds} |"),
        ("small-blocks", "CBAM (FC)", "| @ | {seeds} |"),
    ],
)
def test_chapter_5_tells_the_orders_and_the_controls(experiment, variant, said):
    said = said.replace("@", "{gain} ({low} to {high})")
    assert said.format(**row(experiment, variant)) in PAGES["05_cbam"]


def test_the_detector_is_told_as_it_was_recorded():
    found = records.summary(results()).loc["CBAM, body"]
    low, high = found["difference_low"], found["difference_high"]
    for page in ("13_in_a_detector", "which_block"):
        assert f"{found['difference']:.2f} points" in PAGES[page]
        assert (
            f"({low:.2f} to {high:.2f}" in PAGES[page] and f"{found['p_holm']:.2f}" in PAGES[page]
        )
    finer = records.summary(results(metric="map")).loc["CBAM, body", "p_holm"]
    assert f"{finer:.2f}" in PAGES["13_in_a_detector"]


def test_the_page_on_the_choice_counts_the_pairs_and_the_blocks():
    assert f"draws all {len(records.imagenet_pairs())} pairs" in PAGES["which_block"]
    blocks = records.summary(records.table("small-blocks")).drop(index="no attention")
    said = "no block of seven beat the network without attention, with five seeds each"
    assert said in PAGES["which_block"] and len(blocks) == 7
    assert (blocks["seeds"] == 5).all() and (blocks["difference_low"] < 0).all()


def test_the_welcome_page_tells_of_public_pairs():
    se = records.imagenet_pairs().query("block == 'SE'")["difference"]
    said = f"{(se > 0).sum()} of {len(se)} public pairs, each trained by one recipe"
    assert f"{said}, {se.median():+.1f} points in the median" in PAGES["intro"]


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
    assert said in PAGES["intro"]
