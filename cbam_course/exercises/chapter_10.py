"""The exercises of chapter 10, seeing attention."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cbam_course.attention import CBAM

from .errors import NotSolved, Wrong
from .framework import exercise
from .predictions import number
from .trial import Trial, close


@exercise("10.1", "Keep score")
def keep_score(trial: Trial, hit, energy, flat_hit, share) -> None:
    hit = number(
        hit,
        0,
        "hit",
        {
            100: "`hit`: the largest value of the map is 0.6. Is that place marked?",
            1: "`hit`: the largest value of the map is 0.6. Is that place marked?",
            25: "`hit`: the game looks at the largest place only, and only one is largest.",
            35: "`hit`: that is another measure. The game looks at one place only.",
        },
    )
    energy = number(
        energy,
        35,
        "energy",
        {
            0.35: "`energy`: give it in percent.",
            70: "`energy`: 0.7 lies on the object. Out of how much?",
            0.7: "`energy`: 0.7 lies on the object. Out of how much?",
            25: "`energy`: that is the area of the object. The map is not even.",
            30: "`energy`: all four marked places count, also the one with 0.1.",
            65: "`energy`: that is the share outside.",
        },
    )
    flat_hit = number(
        flat_hit,
        25,
        "flat_hit",
        {
            0.25: "`flat_hit`: give it in percent.",
            0: "`flat_hit`: all places are largest, and some of them are on the object.",
            100: "`flat_hit`: all places are largest, and only some of them are on the object.",
            40: "`flat_hit`: it does not matter how high the map is, if it is flat.",
            10: "`flat_hit`: it does not matter how high the map is, if it is flat.",
        },
    )
    share = number(
        share,
        80,
        "share",
        {
            0.8: "`share`: give it in percent.",
            20: "`share`: that is the share within the classes.",
            40: "`share`: count the mean of a class once for each of its images.",
            16: "`share`: 0.16 lies between the classes. Out of how much in all?",
            400: "`share`: between the classes there is less than in all. Divide by the whole.",
        },
    )
    trial.stamp("Stamp of your answers", hit + 1, energy, flat_hit, share)


@exercise("10.2", "The map behind the score")
def map_behind_score(trial: Trial, activation_maps) -> None:
    for sizes in ((8, 6, 5, 4, 7), (2, 9, 3, 3, 2), (1, 1, 1, 1, 1)):
        batch, channels, height, width, count = sizes
        features = trial.features(batch, channels, height, width)
        weight = trial.randn(count, channels)
        classes = torch.tensor([trial.integer(0, count - 1) for _ in range(batch)])
        chosen = weight[classes]
        right = torch.einsum("bc,bchw->bhw", chosen, features)
        got = trial.compare(
            trial.call(activation_maps, features, weight, classes),
            right,
            "Your result",
            [
                (right.relu(), "All signs are wanted: leave the ReLU to whoever draws the maps."),
                (right / (height * width), "The mean over the places is the score, not the sum."),
                (right / channels, "Add up the channels; do not average them."),
                (right[:, None], "The maps have the shape [B, H, W]: no axis for the channels."),
                (
                    torch.einsum("c,bchw->bhw", chosen[0], features),
                    "Each image has a class of its own: take its row of `weight`.",
                ),
                (
                    torch.einsum("bc,bchw->bhw", chosen.abs(), features),
                    "A negative weight is evidence against the class: keep its sign.",
                ),
                (
                    torch.einsum("bc,bchw->bhw", chosen.sigmoid(), features),
                    "The weights of the linear layer go in as they are, without a sigmoid.",
                ),
                (
                    torch.einsum("bc,bchw->bhw", chosen.softmax(dim=1), features),
                    "The weights of the linear layer go in as they are, without a softmax.",
                ),
                (chosen[:, :, None, None] * features, "Add up the channels."),
            ],
        )
        trial.show("Maps", got)


@exercise("10.3", "Point with a coarse map")
def point_with_coarse_map(trial: Trial, points) -> None:
    for batch, height, width, down, across in (
        (8, 4, 4, 4, 4),
        (8, 3, 5, 4, 2),
        (3, 2, 3, 1, 1),
        (1, 1, 1, 3, 2),
    ):
        maps = trial.randn(batch, height, width)
        masks = trial.rand(batch, height * down, width * across) < 0.6
        shares = masks.reshape(batch, height, down, width, across).double().mean(dim=(2, 4))
        flat = maps.flatten(1)

        def at(places: Tensor, shares: Tensor = shares, batch: int = batch) -> Tensor:
            return shares.flatten(1)[torch.arange(batch), places]

        right = at(flat.argmax(dim=1))
        largest = (maps == maps.amax(dim=(1, 2), keepdim=True)).repeat_interleave(down, 1)
        pointed = largest.repeat_interleave(across, 2) & masks
        fine = F.interpolate(maps[:, None], masks.shape[1:], mode="bilinear")
        hits = masks.flatten(1)[torch.arange(batch), fine.flatten(1).argmax(dim=1)]
        got = trial.compare(
            trial.call(points, maps, masks),
            right,
            "Your result",
            [
                ((right > 0).double(), "A score is a share of pixels, not only 0 or 1."),
                ((right > 0.5).double(), "A score is a share of pixels, not only 0 or 1."),
                (right.round(), "A score is a share of pixels, not only 0 or 1."),
                (
                    pointed.sum(dim=(1, 2)).double(),
                    "A share lies between 0 and 1: divide by the number of pixels of a place.",
                ),
                (
                    pointed.sum(dim=(1, 2)) / masks.sum(dim=(1, 2)),
                    "The share is of the pixels pointed at, not of the object's.",
                ),
                (right.mean(), "One score for each image is wanted, not their mean."),
                (at(flat.argmin(dim=1)), "That is where the map is smallest."),
                (
                    at(flat.abs().argmax(dim=1)),
                    "A large negative value is small: leave `abs` out.",
                ),
                (
                    at(flat.argmax().remainder(height * width).expand(batch)),
                    "Each image has a largest place of its own.",
                ),
                (masks.double().mean(dim=(1, 2)), "That is the area of the object."),
                (
                    hits.double(),
                    "That is the chapter's way to keep score: a hit or a miss by one pixel of "
                    "the stretched map. Here all pixels of the largest place count.",
                ),
            ],
        )
        trial.show("Scores", got)


@exercise("10.4", "Somebody else's channels")
def somebody_elses_channels(trial: Trial, swapped) -> None:
    for sizes, reduction, kernel_size in (((8, 12, 5, 6), 4, 3), ((3, 8, 7, 4), 2, 7)):
        block = trial.fill(CBAM(sizes[1], reduction, kernel_size))
        before = {name: value.clone() for name, value in block.state_dict().items()}
        x = trial.features(*sizes)
        channel, spatial = block.channel_attention, block.spatial_attention
        with torch.no_grad():
            own = channel.attention_map(x)
            refined, (_, own_places) = block(x, return_map=True)
            mixed = x * own.roll(-1, dims=0)
            right = spatial(mixed)
            mistakes = [
                (refined, "That is the block as it is: each image still has its own channel map."),
                (
                    spatial(x * own.roll(1, dims=0)),
                    "Each image has got the map of the one before it, not of the next one.",
                ),
                (
                    mixed * own_places,
                    "The spatial half has to compute its map from what reaches it.",
                ),
                (mixed, "The spatial half is missing."),
                (
                    mixed * spatial.attention_map(x),
                    "The spatial half has looked at F; it should look at what the first half left.",
                ),
                (
                    mixed * spatial.attention_map(mixed).roll(-1, dims=0),
                    "The spatial map should stay with its image.",
                ),
                (
                    refined.roll(-1, dims=0),
                    "The images have changed places, not only their channel maps.",
                ),
                (
                    spatial(x * own.flip(0)),
                    "Every image takes the map of the next one; yours count from the end.",
                ),
                (
                    spatial(channel(x) * own.roll(-1, dims=0)),
                    "The images are weighted by their own map too.",
                ),
                (
                    spatial.attention_map(mixed),
                    "That is the spatial map: the refined features are wanted.",
                ),
            ]
            got = trial.compare(trial.call(swapped, block, x), right, mistakes=mistakes)
        same = all(torch.equal(value, before[n]) for n, value in block.state_dict().items())
        trial.expect(same, "The block's weights have changed. It should be left as it is.")
        with torch.no_grad():
            kept = close(block(x), refined)
        trial.expect(kept, "The block computes something else afterwards. Was a hook left in it?")
        trial.show("Features", got)


@exercise("10.5", "Too good to be true")
def too_good_to_be_true(trial: Trial, hit_rate) -> None:
    untouched = True
    for _ in range(4):  # one rate of many images alone may be right by chance
        maps, masks = _maps_and_masks(trial, 8, 6, 6)
        got = trial.tensor(trial.call(hit_rate, maps, masks), "Your rate")
        came = _rate(maps.abs(), masks.mT, per_row=True, rows_of=masks)
        untouched = untouched and close(got, came)
    if untouched:
        raise NotSolved("The function is as it came: the same numbers, with all three mistakes.")
    # One place, one object, no signs: only the place can be wrong.
    for row, column in ((0, 2), (1, 0), (1, 1)):
        one = torch.zeros(1, 2, 3, dtype=torch.float64)
        one[0, row, column] = 1
        try:
            got = trial.tensor(trial.call(hit_rate, one, one > 0), "Your rate")
        except IndexError:
            raise Wrong(
                "With 2 by 3 places the function looks for a row or a column that is not there. "
                "Are places counted row by row, or column by column?"
            ) from None
        trial.expect(
            got.shape == () and float(got) == 1,
            f"A map of 2 by 3 places is 1 in row {row} and column {column} and 0 elsewhere, and "
            f"the object is that one place: a hit. Your rate is {_told(got)}.",
        )
    shared = torch.ones(2, 3, 4, dtype=torch.bool)
    got = trial.tensor(trial.call(hit_rate, trial.rand(2, 3, 4), shared), "Your rate")
    trial.expect(
        got.shape == () and close(got, torch.ones(())),
        "Two objects fill their pictures, so both maps must hit, and the rate is 1. Yours is "
        f"{_told(got)}: by what are the hits divided?",
    )
    for batch, height, width in ((8, 6, 6), (9, 4, 7), (7, 5, 3), (1, 2, 2)):
        maps, masks = _maps_and_masks(trial, batch, height, width)
        if batch == 9:
            maps = maps - maps.amax(dim=(1, 2), keepdim=True) - 1  # negative everywhere
        right = _rate(maps, masks)
        got = trial.compare(
            trial.call(hit_rate, maps, masks),
            right,
            "Your rate",
            [
                (
                    _rate(maps.abs(), masks),
                    "Where a map is far below zero it speaks against the class. Your function "
                    "takes such places for the largest.",
                ),
                (_rate(-maps, masks), "Your function looks at the smallest value."),
                (
                    _rate(maps.relu(), masks),
                    "A map can be negative everywhere. A ReLU leaves nothing of it to choose from.",
                ),
                (1 - right, "That is the share of misses."),
                (right * batch, "A rate lies between 0 and 1; that is the number of hits."),
            ],
        )
        trial.show("Hit rate", got)


def _maps_and_masks(trial: Trial, batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Maps of either sign, and objects of which about half are hit."""
    maps = trial.randn(batch, height, width) - 0.5
    return maps, trial.rand(batch, height, width) < 0.5


def _rate(
    maps: Tensor, masks: Tensor, *, per_row: bool = False, rows_of: Tensor | None = None
) -> Tensor:
    places = maps.flatten(1).argmax(dim=1)
    hits = masks.flatten(1)[torch.arange(len(maps)), places].double()
    return hits.sum() / rows_of.any(dim=2).sum() if per_row else hits.mean()


def _told(rate: Tensor) -> str:
    if rate.shape == ():
        return f"{float(rate):.3g}"
    return f"of shape {list(rate.shape)}; it should be one number, a tensor without axes"
