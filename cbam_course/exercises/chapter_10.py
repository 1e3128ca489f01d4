"""The exercises of chapter 10, seeing attention."""

import torch
from torch import Tensor

from cbam_course.attention import CBAM

from .framework import exercise
from .trial import Trial, close
from .values import number, same_numbers


@exercise("10.1", "Keep score")
def keep_score(trial: Trial, hit, energy, flat_hit, share) -> None:
    percent = "Give it in percent."
    marked = "The largest value of the map is 0.6. Is that position marked?"
    number(hit, 0, "hit", {100: marked})
    mistakes = {0.35: percent, 70: "0.7 lies on the object. Out of how much?"}
    number(energy, 35, "energy", mistakes)
    all_largest = "All positions are largest, and some of them are on the object."
    number(flat_hit, 25, "flat_hit", {0.25: percent, 0: all_largest, 100: all_largest})
    mistakes = {0.8: percent, 20: "That is the share within the classes."}
    number(share, 80, "share", mistakes)
    trial.stamp("Stamp of your answers", 1, energy, flat_hit, share)


@exercise("10.2", "The map behind the score")
def map_behind_score(trial: Trial, activation_maps) -> None:
    for batch, channels, height, width, count in (
        (8, 6, 5, 4, 7),
        (2, 9, 3, 3, 2),
        (1, 1, 1, 1, 1),
    ):
        features = trial.features(batch, channels, height, width)
        weight = trial.randn(count, channels)
        classes = torch.tensor([trial.integer(0, count - 1) for _ in range(batch)])

        def maps(weights: Tensor, features: Tensor = features) -> Tensor:
            return torch.einsum("bc,bchw->bhw", weights.expand(len(features), -1), features)

        chosen = weight[classes]
        right = maps(chosen)
        mistakes = [
            (right.relu(), "All signs are wanted: leave the ReLU to whoever draws the maps."),
            (right / channels, "Add up the channels; do not average them."),
            (
                torch.einsum("kc,bchw->bkhw", weight, features),
                "These are the maps of all classes: each image wants that of its own.",
            ),
            (maps(chosen[:1]), "Each image has a class of its own: take its row of `weight`."),
        ]
        got = trial.call(activation_maps, features, weight, classes)
        trial.show("Maps", trial.compare(got, right, "Your result", mistakes))


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
        right = hits(maps, shares)
        mistakes = [
            ((right > 0).double(), "A score is a share of pixels, not only 0 or 1."),
            (right * down * across, "A share lies between 0 and 1: divide by a position's pixels."),
        ]
        got = trial.call(points, maps, masks)
        trial.show("Scores", trial.compare(got, right, "Your result", mistakes))


@exercise("10.4", "Somebody else's channels")
def somebody_elses_channels(trial: Trial, swapped) -> None:
    for sizes, reduction, kernel_size in (((8, 12, 5, 6), 4, 3), ((3, 8, 7, 4), 2, 7)):
        block = trial.fill(CBAM(sizes[1], reduction, kernel_size))
        x = trial.features(*sizes)
        spatial = block.spatial_attention
        with torch.no_grad():
            own = block.channel_attention.attention_map(x)
            refined, (_, own_positions) = block(x, return_map=True)
            mixed = x * own.roll(-1, dims=0)
            moved = block.channel_attention(x.roll(-1, dims=0))
            mistakes = [
                (refined, "That is the block as it is: each image still has its own channel map."),
                (
                    mixed * own_positions,
                    "The spatial half has to compute its map from what reaches it.",
                ),
                (
                    mixed * own_positions.roll(-1, dims=0),
                    "The spatial map is that of the next image: it is to be computed as always.",
                ),
                (
                    spatial(x * own.roll(1, dims=0)),
                    "Each image has the map of the one before it: the next one's is wanted.",
                ),
                (spatial(moved), "You have moved the features, too: only the maps change places."),
            ]
            got = trial.call(swapped, block, x)
            got = trial.compare(got, spatial(mixed), "Your result", mistakes)
            trial.expect(
                close(block(x), refined),
                "The block computes something else afterwards; it should be left as it is. Was a "
                "hook left in it, or a weight changed?",
            )
        trial.show("Features", got)


@exercise("10.5", "Too good to be true")
def too_good_to_be_true(trial: Trial, hit_rate) -> None:
    cases = [maps_and_masks(trial, 8, 6, 6) for _ in range(4)]
    # One position, one object, no signs: only the position can be wrong.
    for row, column in ((0, 1), (1, 0), (0, 2)):
        one = torch.zeros(1, 2, 3, dtype=torch.float64)
        one[0, row, column] = 1
        name = f"A map is 1 in row {row} of 2 and column {column} of 3, as the object. `hit_rate`"
        mistakes = [([0], "Are positions counted row by row, or column by column?")]
        same_numbers(trial.call(hit_rate, one, one > 0), [1], name, mistakes)
    shared = torch.ones(2, 3, 4, dtype=torch.bool)
    got = trial.call(hit_rate, trial.rand(2, 3, 4), shared)
    same_numbers(got, [1], "Two of two maps hit, since the objects fill the images. `hit_rate`")
    cases += [maps_and_masks(trial, *s) for s in ((8, 6, 6), (9, 4, 7), (7, 5, 3), (1, 2, 2))]
    for k, (maps, masks) in enumerate(cases):
        if k == 5:
            maps = maps - maps.amax(dim=(1, 2), keepdim=True) - 1  # negative everywhere
        against = "A map far below zero speaks against the class: its largest value is not there."
        mistakes = [
            (hits(maps.abs(), masks).mean(), against),
            (hits(maps.relu(), masks).mean(), "A map can be negative everywhere: leave ReLU out."),
        ]
        got = trial.call(hit_rate, maps, masks)
        got = trial.compare(got, hits(maps, masks).mean(), "Your rate", mistakes)
        if k > 3:
            trial.show("Hit rate", got)


def maps_and_masks(trial: Trial, batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Maps of either sign, and objects of which about half are hit."""
    maps = trial.randn(batch, height, width) - 0.5
    return maps, trial.rand(batch, height, width) < 0.5


def hits(maps: Tensor, masks: Tensor) -> Tensor:
    """Of each image what the mask, or the shares, are at the largest value of the map."""
    largest = maps.flatten(1).argmax(dim=1, keepdim=True)
    return masks.flatten(1).gather(1, largest).squeeze(1).double()
