"""The exercises of chapter 1, what and where."""

import torch
from torch import Tensor

from .errors import Wrong
from .framework import exercise
from .trial import Mistakes, Trial, close, with_bugs
from .values import number, shape


@exercise("1.1", "From images to weights")
def from_images_to_weights(trial: Trial, feature_map, channel_map, spatial_map, saved) -> None:
    mistakes = {
        (4, 16, 32, 48): "Without padding a filter of 5 does not fit everywhere.",
        (4, 48, 28, 44): "A filter adds up the colors: one channel a filter.",
        (4, 3, 28, 44): "Each filter makes a channel, whatever the colors.",
        (4, 16, 27, 43): "At how many positions of a row of 6 can a filter of 5 begin?",
    }
    feature_map = shape(feature_map, (4, 16, 28, 44), "feature_map", mistakes)
    keep = "Keep the axes of size 1, or it does not multiply the features."
    own = "Each image has a map of its own."
    mistakes = {(4, 16): keep, (1, 16, 1, 1): own}
    channel_map = shape(channel_map, (4, 16, 1, 1), "channel_map", mistakes)
    mistakes = {(4, 28, 44): keep, (1, 1, 28, 44): own}
    spatial_map = shape(spatial_map, (4, 1, 28, 44), "spatial_map", mistakes)
    mistakes = {
        73856: "That is for four images. One is asked for.",
        1248: "That is what the two small maps have. How many do they save?",
    }
    saved = number(saved, 18464, "saved", mistakes)
    x = trial.features(*feature_map)
    weighted = x * trial.rand(*channel_map) * trial.rand(*spatial_map)
    trial.show("Features weighted with two maps of your shapes", weighted)
    trial.stamp("Stamp of your answers", *feature_map, *channel_map, *spatial_map, saved)


@exercise("1.2", "Weigh a batch")
def weigh_a_batch(trial: Trial, weigh) -> None:
    # In the first shape weights on the wrong axes raise no error, and can be named.
    for batch, channels, height, width in ((4, 4, 4, 4), (3, 6, 5, 4), (1, 2, 1, 3), (2, 1, 3, 3)):
        x = trial.features(batch, channels, height, width)
        what, where = trial.rand(batch, channels), trial.rand(batch, height, width)
        by_channel, by_position = what[..., None, None], where[:, None]
        mistakes = [
            (x * by_channel, "The positions have no weights: is `where` used?"),
            (x * by_position, "The channels have no weights: is `what` used?"),
        ]
        if batch == channels:
            lands = "Without axes of size 1 `what` lands on the positions, `where` on the channels."
            mistakes += [(x * what * where, lands), (x * by_channel * where, lands)]
        got = trial.call(weigh, x, what, where)
        got = trial.compare(got, x * by_channel * by_position, "Your result", mistakes)
        trial.show(f"Weighted, {batch} x {channels} x {height} x {width}", got)


@exercise("1.3", "Right for one image")
def right_for_one_image(trial: Trial, spotlight) -> None:
    # As many images as channels: the code as it came runs, and its mistakes can be named.
    for batch, channels, height, width in ((4, 4, 5, 3), (3, 5, 4, 6), (1, 3, 2, 7), (2, 1, 1, 4)):
        x = trial.features(batch, channels, height, width).abs() + 0.1
        got = trial.call(spotlight, x)
        given = x.clone()
        spotlight(given)  # `call` hands over a copy
        written = not close(given, x)
        mean = x.mean(dim=1, keepdim=True)
        where = mean / mean.amax(dim=(2, 3), keepdim=True)
        mistakes = bugs_of_the_spotlight(x, mean) if batch == channels else ()
        got = trial.compare(got, x * where, mistakes=mistakes)
        trial.expect(
            not written,
            "The result is right, but the features that were handed over have changed. Which line "
            "writes into x?",
        )
        trial.show(f"Weighted, {batch} x {channels} x {height} x {width}", got)


def bugs_of_the_spotlight(x: Tensor, mean: Tensor) -> Mistakes:
    """Results with one or two of the bugs left."""

    def given(across: bool, shared: bool) -> Tensor:
        where = mean / (mean.max() if shared else mean.amax(dim=(2, 3), keepdim=True))
        return x * (where[:, 0] if across else where)

    return with_bugs(
        given,
        "The map of one image weighs one channel of all images: on which axes does it land?",
        "The brightest image sets the scale for all of the batch.",
    )


WAYS = ("channels", "positions", "both", "full")


@exercise("1.4", "The cheapest weights")
def cheapest_weights(trial: Trial, cheapest) -> None:
    for k in range(1, 5):
        about = trial.choice(list(MAKERS))
        full = MAKERS[about](trial, *some_shape(trial))
        numbers = cheapest_way(trial, cheapest, full, about)
        trial.show(f"Made-up map {k}: its numbers, and those of your way", [full.numel(), numbers])
    spent = []
    for about, maker in MAKERS.items():
        # One channel, one position, C = HW, C > HW, a product that costs as much as the full map.
        edges = ((1, 3, 4), (5, 1, 1), (6, 2, 3), (7, 2, 3), (2, 2, 1))
        for sizes in (some_shape(trial), *edges):
            spent.append(cheapest_way(trial, cheapest, maker(trial, *sizes), about))
    trial.show(f"The numbers of your ways for {len(spent)} more maps, together", sum(spent))


def cheapest_way(trial: Trial, cheapest, full: Tensor, about: str) -> int:
    """Call the learner's function and return its number, if its way is the right one."""
    got = trial.call(cheapest, full)
    C, H, W = full.shape
    prices = dict(zip(WAYS, (C, H * W, C + H * W, C * H * W), strict=True))
    table = full.flatten(1)
    possible = {
        "channels": close(table, table[:, :1].expand_as(table)),
        "positions": close(table, table[:1].expand_as(table)),
        "both": int(torch.linalg.matrix_rank(table, atol=1e-9)) <= 1,
        "full": True,
    }
    right = min((way for way in WAYS if possible[way]), key=prices.get)
    case = f"For a map of shape {[C, H, W]}, {about}, `cheapest` returns {got!r:.200}"
    try:
        way, numbers = str(got[0]).strip().lower(), float(got[1])
        trial.expect(possible[way], f"{case}. That way cannot make it.")
    except (TypeError, ValueError, LookupError):
        ways = ", ".join(map(repr, WAYS))
        raise Wrong(f"{case}; it should be one of {ways}, and a number.") from None
    trial.expect(
        way == right,
        f"{case}. Another way makes it with fewer numbers than {prices[way]}, or stands above it "
        "in the table and needs just as many.",
    )
    trial.expect(numbers == prices[way], f"{case}. The way is right; it needs {prices[way]}.")
    return prices[way]


def some_shape(trial: Trial) -> tuple[int, int, int]:
    """Numbers of channels, rows and columns, all different."""
    return trial.integer(2, 4), trial.integer(5, 7), trial.integer(8, 9)


def of_channels(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (0.1 + 0.9 * trial.rand(C, 1, 1)).repeat(1, H, W)


def of_positions(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (0.1 + 0.9 * trial.rand(1, H, W)).repeat(C, 1, 1)


def of_both(trial: Trial, *sizes: int) -> Tensor:
    return of_channels(trial, *sizes) * of_positions(trial, *sizes)


def with_one_change(trial: Trial, *sizes: int) -> Tensor:
    full = of_both(trial, *sizes)
    full[-1, -1, -1] = (full[-1, -1, -1] + 0.5) % 1
    return full


MAKERS = {
    "the same at all positions": of_channels,
    "the same in all channels": of_positions,
    "a product": of_both,
    "the same everywhere": lambda trial, *sizes: (0.1 + 0.9 * trial.rand(1, 1, 1)).expand(sizes),
    "0 everywhere": lambda trial, *sizes: 0 * trial.rand(*sizes),
    "a product but for one entry": with_one_change,
}
