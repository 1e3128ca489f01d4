"""The exercises of chapter 1, what and where."""

import torch
from torch import Tensor

from .errors import NotSolved, Wrong
from .framework import exercise
from .predictions import number, shape
from .trial import Trial, close


@exercise("1.1", "From pictures to weights")
def from_pictures_to_weights(trial: Trial, feature_map, channel_map, spatial_map, saved) -> None:
    own = "each picture of the batch has a map of its own."
    feature_map = shape(
        feature_map,
        (4, 16, 28, 44),
        "feature_map",
        {
            (
                4,
                16,
                32,
                48,
            ): "`feature_map`: without padding a filter of 5 does not fit everywhere.",
            (4, 16, 27, 43): "`feature_map`: a filter of 3 fits into a row of 4 twice, not once.",
            (
                4,
                16,
                30,
                46,
            ): "`feature_map`: a filter of 5 loses two places on each side, four in all.",
            (4, 3, 28, 44): "`feature_map`: each filter makes one channel.",
            (4, 48, 28, 44): "`feature_map`: a filter adds up the colors: one channel a filter.",
            (16, 28, 44): "`feature_map`: where are the four pictures?",
            (4, 16, 44, 28): "`feature_map`: the height comes before the width.",
        },
    )
    channel_map = shape(
        channel_map,
        (4, 16, 1, 1),
        "channel_map",
        {
            (
                4,
                16,
            ): "`channel_map`: keep two axes of size 1, or it does not multiply the features.",
            (1, 16, 1, 1): f"`channel_map`: {own}",
            (16, 1, 1): f"`channel_map`: {own}",
            (4, 3, 1, 1): "`channel_map`: it weighs the channels of the feature map, not colors.",
            (4, 1, 28, 44): "`channel_map`: that one weighs places.",
        },
    )
    spatial_map = shape(
        spatial_map,
        (4, 1, 28, 44),
        "spatial_map",
        {
            (4, 28, 44): "`spatial_map`: keep an axis of size 1 for the channels.",
            (1, 1, 28, 44): f"`spatial_map`: {own}",
            (
                4,
                28,
                44,
                1,
            ): "`spatial_map`: the axis of size 1 stands for the channels, so it is axis 1.",
            (4, 1, 32, 48): "`spatial_map`: it weighs places of the feature map, not pixels.",
            (4, 16, 1, 1): "`spatial_map`: that one weighs channels.",
        },
    )
    saved = number(
        saved,
        18464,
        "saved",
        {
            73856: "`saved`: that is for four pictures. One is asked for.",
            19712: "`saved`: that is the full map. Take away the numbers of the two small ones.",
            18480: "`saved`: you took away the numbers of the spatial map only.",
            19696: "`saved`: you took away the numbers of the channel map only.",
            1248: "`saved`: that is what the two small maps have. How many do they save?",
            0: "`saved`: the small maps have C and HW numbers; they are not multiplied.",
            -18464: "`saved`: subtract the small maps from the full one, not the other way around.",
        },
    )
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
        expected = x * what[..., None, None] * where[:, None]
        got = trial.call(weigh, x, what, where)
        mistakes = mistakes_of_weighing(x, what, where) if batch == channels else ()
        got = trial.compare(got, expected, "Your result", mistakes)
        trial.show(f"Weighted, {batch} x {channels} x {height} x {width}", got)


def mistakes_of_weighing(x: Tensor, what: Tensor, where: Tensor) -> list[tuple[Tensor, str]]:
    """Results with one mistake each, for a feature map whose four axes have one size."""
    by_channel, by_place = what[..., None, None], where[:, None]
    on_places = "`what`, as it comes, lands on the last two axes, the places. It has [B, C]."
    on_channels = (
        "`where`, as it comes, lands on the last three axes: its pictures meet the channels of x."
    )
    first = "of `what` lands on the channels, so that all pictures share their weights"
    return [
        (x * what * where, "`what` and `where` land on the wrong axes: broadcasting aligns last."),
        (x * what * by_place, on_places),
        (x * by_channel * where, on_channels),
        (x * by_channel, "The places have no weights: is `where` used?"),
        (x * by_place, "The channels have no weights: is `what` used?"),
        (x * (by_channel + by_place), "The two weights are added; multiply by one and the other."),
        (
            x * by_channel + x * by_place,
            "Two weighted feature maps are added; multiply one by both.",
        ),
        (x + by_channel * by_place, "The weights are added to x; a weight multiplies."),
        (by_channel * by_place, "That is the product of the two maps. Did you multiply x by it?"),
        (x * what.T[..., None, None] * by_place, "`what` is transposed: it is [B, C] already."),
        (x * by_channel * by_place.mT, "Rows and columns of `where` are exchanged."),
        (x * by_channel * where[:, :, None], "The rows of `where` meet the channels of x."),
        (x * by_channel * where[..., None], "`where` is one axis too far to the left."),
        (x * what[:, None, :, None] * by_place, "`what` meets the rows of x, not its channels."),
        (x * what[:, None, None] * by_place, "`what` meets the columns of x, not its channels."),
        (x * what[:1, :, None, None] * by_place, f"The first row {first}."),
        (x * by_channel * where[:1, None], "All pictures share the places of the first one."),
        (x * by_channel**2 * by_place, "`what` is multiplied twice."),
        (x * by_channel * by_place**2, "`where` is multiplied twice."),
    ]


@exercise("1.3", "Right for one picture")
def right_for_one_picture(trial: Trial, spotlight) -> None:
    trial.expect(callable(spotlight), "`spotlight` should be a function.")
    # As many pictures as channels: the code as it came runs, and its mistakes can be named.
    for batch, channels, height, width in ((4, 4, 5, 3), (3, 5, 4, 6), (1, 3, 2, 7), (2, 1, 1, 4)):
        x = trial.features(batch, channels, height, width).abs() + 0.1
        given = x.clone()

        def answer(given: Tensor = given) -> object:  # `call` hands over copies of its arguments
            return spotlight(given)

        answer.__name__ = getattr(spotlight, "__name__", "spotlight")
        got = trial.tensor(trial.call(answer))
        written = not close(given, x)
        loudness = x.mean(dim=1, keepdim=True)
        mistakes = mistakes_of_the_spotlight(x) if batch == channels else []
        if mistakes and written and close(got, mistakes[0][0]):
            raise NotSolved("The function does what it did when it came.")
        got = trial.compare(
            got, x * (loudness / loudness.amax(dim=(2, 3), keepdim=True)), mistakes=mistakes
        )
        trial.expect(
            not written,
            "The result is right, but the features that were handed over have "
            "changed. Which line writes into x?",
        )
        trial.show(f"Weighted, {batch} x {channels} x {height} x {width}", got)


def mistakes_of_the_spotlight(x: Tensor) -> list[tuple[Tensor, str]]:
    """Results with some of the bugs left or a new one; the first is that of the given code."""
    loudness = x.mean(dim=1, keepdim=True)
    where = loudness / loudness.amax(dim=(2, 3), keepdim=True)
    shared = loudness / loudness.max()
    across = (
        "The map of one picture weighs one channel of all pictures: on which axes does it land?"
    )
    scale = "The loudest picture sets the scale for all: the largest weight of the others is not 1."
    over_batch = x.mean(dim=0, keepdim=True)
    largest = x.amax(dim=1, keepdim=True)
    return [
        (x * shared[:, 0], f"Two things are wrong. {across} And look at the largest weights."),
        (x * where[:, 0], across),
        (x * shared, scale),
        (x * loudness, "The largest weight of a picture is not 1."),
        (where, "That is the map alone. Did you multiply the features by it?"),
        (x * over_batch / over_batch.amax(), "The average runs over the batch, not the channels."),
        (x * x / x.amax(dim=(2, 3), keepdim=True), "Each channel has a map of its own."),
        (x * largest / largest.amax((2, 3), True), "The loudness is the average, not the maximum."),
        (x * loudness / x.amax((1, 2, 3), True), "Divide by the largest loudness, not feature."),
        (x * loudness / loudness.amax(2, True), "Each column has a loudest place of its own."),
        (x * loudness / loudness.amax(3, True), "Each row has a loudest place of its own."),
        (x * loudness / loudness.amax(0, True), "Divide by the loudest place of the same picture."),
        (
            x * loudness / loudness.sum((2, 3), True),
            "The weights of a picture add up to 1; its largest should be 1.",
        ),
        (x + x * where, "x is added to the result."),
    ]


@exercise("1.4", "The cheapest weights")
def cheapest_weights(trial: Trial, cheapest) -> None:
    for k in range(1, 5):
        about = trial.choice(list(MAKERS))
        full = MAKERS[about](trial, *some_shape(trial))
        numbers = cheapest_way(trial, cheapest, full, about)
        trial.show(f"Made-up map {k}: its numbers, and those of your way", [full.numel(), numbers])
    spent = []
    for about, maker in MAKERS.items():
        # One channel, one place, C = HW, C > HW, and a product that costs as much as the full map.
        edges = ((1, 3, 4), (5, 1, 1), (6, 2, 3), (7, 2, 3), (2, 2, 1))
        for sizes in (some_shape(trial), *edges):
            spent.append(cheapest_way(trial, cheapest, maker(trial, *sizes), about))
    trial.show(f"The numbers of your ways for {len(spent)} more maps, together", sum(spent))


WAYS = ("channels", "places", "both", "full")


def cheapest_way(trial: Trial, cheapest, full: Tensor, about: str) -> int:
    """Call the learner's function and return its number, if its way is the right one."""
    got = trial.call(cheapest, full)
    try:
        way, numbers = got
        way, numbers = str(way).strip().lower(), float(numbers)
    except (TypeError, ValueError):
        raise Wrong(f"`cheapest` should return a way and a number; it returns {got!r}.") from None
    trial.expect(way in WAYS, f"The way {way!r} is none of {', '.join(map(repr, WAYS))}.")
    C, H, W = full.shape
    prices = dict(zip(WAYS, (C, H * W, C + H * W, C * H * W), strict=True))
    table = full.flatten(1)
    possible = {
        "channels": close(table, table[:, :1].expand_as(table)),
        "places": close(table, table[:1].expand_as(table)),
        "both": int(torch.linalg.matrix_rank(table, atol=1e-9)) <= 1,
        "full": True,
    }
    right = min((w for w in WAYS if possible[w]), key=prices.get)
    case = f"For a map of shape {[C, H, W]}, {about},"
    if not possible[way]:
        raise Wrong(f"{case} you choose {way!r}, which cannot make it.")
    if prices[way] > prices[right]:
        raise Wrong(
            f"{case} you choose {way!r} with {prices[way]} numbers. It makes the map, but "
            "another way does it with fewer."
        )
    if way != right:
        raise Wrong(
            f"{case} you choose {way!r}. Another way needs just as many numbers and is above "
            "it in the table."
        )
    trial.expect(
        numbers == prices[way],
        f"{case} {way!r} is right, and needs {prices[way]} numbers, not {numbers:.12g}.",
    )
    return prices[way]


def some_shape(trial: Trial) -> tuple[int, int, int]:
    """Numbers of channels, rows and columns, all different."""
    return trial.integer(2, 4), trial.integer(5, 7), trial.integer(8, 9)


def of_channels(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (0.1 + 0.9 * trial.rand(C, 1, 1)).expand(C, H, W)


def of_places(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (0.1 + 0.9 * trial.rand(1, H, W)).expand(C, H, W)


def of_both(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return of_channels(trial, C, H, W) * of_places(trial, C, H, W)


def with_silence(trial: Trial, C: int, H: int, W: int) -> Tensor:
    """A product whose first channel and first place are 0."""
    what, where = of_channels(trial, C, H, W).clone(), of_places(trial, C, H, W).clone()
    what[0], where[:, 0, 0] = 0, 0
    return what * where


def flat(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (0.1 + 0.9 * trial.rand(1, 1, 1)).expand(C, H, W)


def silent(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return 0 * trial.rand(C, H, W)


def with_one_change(trial: Trial, C: int, H: int, W: int) -> Tensor:
    """A product but for one place of the last channel."""
    full = of_both(trial, C, H, W).clone()
    full[-1, -1, -1] = (full[-1, -1, -1] + 0.5) % 1
    return full


def left_and_right(trial: Trial, C: int, H: int, W: int) -> Tensor:
    """The first channel in the first column, the others elsewhere: the classic of the chapter."""
    full = of_places(trial, C, H, W).clone()
    full[0, :, 1:] = 0
    full[1:, :, :1] = 0
    return full


def of_sums(trial: Trial, C: int, H: int, W: int) -> Tensor:
    return (of_channels(trial, C, H, W) + of_places(trial, C, H, W)) / 2


MAKERS = {
    "the same at all places": of_channels,
    "the same in all channels": of_places,
    "a product": of_both,
    "a product with a silent channel and a dark place": with_silence,
    "the same everywhere": flat,
    "0 everywhere": silent,
    "a product but for one entry": with_one_change,
    "the first channel on the left, the others on the right": left_and_right,
    "half the sum of two maps": of_sums,
}
