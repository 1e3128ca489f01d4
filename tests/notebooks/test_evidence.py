"""Numbers of recorded runs that stand in prose away from the cell that prints them."""

import nbformat
import pytest

from cbam_course import records
from cbam_course.detector import results
from cbam_course.records import experiments
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
        ("intro", "CBAM gained {gain} points in a narrow ResNet-20 (fifteen seeds, 95 % interval "
         "{low} to {high}), at {accuracy} % accuracy"),
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


def test_the_welcome_page_and_chapter_7_tell_what_a_block_takes():
    passes = records.speed("networks").set_index(["network", "block"])
    passes = passes[["training", "inference", "kept"]]
    more = passes / passes.xs("none", level="block") - 1
    large, small = (
        [f"{share:.0%}".replace("%", " %") for share in more.loc[(name, "course")]]
        for name in ("resnet50", "cifar_resnet")
    )
    said = (
        f"it added {large[0]} to the training of a ResNet-50 and {large[1]} to its forward pass "
        f"alone; to those of a ResNet-20 of the usual width, {small[0]} and {small[1]}."
    )
    assert said in PAGES["intro"]
    said = f"took {large[0]} more time in training and {large[2]} more memory for the backward pass"
    assert said in PAGES["07_cost"]


@pytest.mark.parametrize(
    "experiment, variant, page, said",
    [
        ("small-replication", "ECA, k = 3", "03_channel_attention",
         "With fifteen fresh seeds $k = 3$ gained {gain} (95 % interval {low} to {high};"),
        ("small-replication", "CBAM (FC)", "08_cifar10",
         "CBAM gained {gain} points ({low} to {high}, fifteen seeds)"),
        ("small-resnet-controls", "constant gate", "08_cifar10",
         "a constant gate, which cannot look at the image, gained {gain} ({low} to {high})"),
        ("small-replication", "CBAM (FC)", "09_does_it_help",
         "CBAM gained {gain} points with fifteen seeds ({low} to {high})"),
        ("small-resnet-controls", "constant gate", "09_does_it_help",
         "a constant gate {gain} ({low} to {high})"),
        ("small-placement", "first stage", "which_block",
         "in the first alone it gained {gain} ({low} to {high})"),
    ],
)  # fmt: skip
def test_a_gain_that_stands_away_from_its_table(experiment, variant, page, said):
    assert said.format(**row(experiment, variant)) in PAGES[page]


def test_the_losses_are_told_as_they_were_recorded():
    """A loss is told without its sign, and its interval from the near end to the far one."""
    last = records.summary(records.table("small-placement")).loc["last stage"]
    lost, near, far = (
        f"{-last[name]:.2f}" for name in ("difference", "difference_high", "difference_low")
    )
    assert (
        f"In the last stage alone CBAM lost {lost} points there ({near} to {far}, five seeds)"
        in (PAGES["which_block"])
    )
    assert f"there alone CBAM lost {lost} points" in PAGES["09_does_it_help"]
    one, other = (
        f"{-records.summary(records.table(name)).loc[variant, 'difference']:.2f}"
        for name, variant in (("small-backbone", "plain + CBAM"), ("small-blocks", "CBAM (FC)"))
    )
    said = (
        f"CBAM lost {one} points by one recipe, and {other}, which chance may explain, by another"
    )
    assert said in PAGES["which_block"]


@pytest.mark.parametrize(
    "experiment, said",
    [
        ("small-channel-pools", "from {low} to {high}, and each interval contains zero"),
        ("small-spatial", "Every interval contains zero (the means are {low} to {high})"),
    ],
)
def test_means_that_chapter_9_draws_and_does_not_print(experiment, said):
    found = records.summary(records.table(experiment)).dropna(subset=["difference"])
    assert (found["difference_low"] < 0).all() and (found["difference_high"] > 0).all()
    low, high = (
        f"{value:.2f}".replace("-", "−")
        for value in (found["difference"].min(), found["difference"].max())
    )
    assert said.format(low=low, high=high) in PAGES["09_does_it_help"]


def test_chapter_9_tells_what_half_the_learning_rate_does():
    runs = records.by_seed(records.table("small-resnet-controls"))
    plain, cbam = (
        f"{(runs[f'{name}, half the rate'] - runs[name]).mean():.1f}"
        for name in ("no attention", "CBAM (FC)")
    )
    said = (
        f"half that learning rate turned out {plain} points better for the ResNet-20 without "
        f"attention, and {cbam} better with CBAM"
    )
    assert said in PAGES["09_does_it_help"]


def test_the_recipes_of_the_small_networks_are_told_right():
    """What the pages name for the two small networks: images, epochs, learning rates."""
    grid = experiments()
    for name, numbers in (("small-blocks", (8000, 6, 2000)), ("small-order", (4000, 5, 2000))):
        for variant in grid[name].variants:
            config = variant.config
            assert (config.train_size, config.epochs, config.test_size) == numbers
    cnn, resnet = (
        f"{grid[name].variants[0].config.learning_rate:g}"
        for name in ("small-blocks", "small-order")
    )
    said = f"its peak at {cnn} for the tutorial's network and at {resnet} for the ResNet-20"
    assert said in PAGES["09_does_it_help"]
    assert "8,000 images for six epochs" in PAGES["09_does_it_help"]
    assert "4,000 images for five epochs" in PAGES["09_does_it_help"]
    assert "after six epochs with 8,000 images" in PAGES["03_channel_attention"]
    assert "after five epochs with 4,000 images" in PAGES["02_squeeze_and_excitation"]
