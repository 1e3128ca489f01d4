"""The exercises of chapter 5, CBAM."""

from collections.abc import Callable

import torch
from torch import Tensor

from cbam_course.attention import CBAM

from .framework import exercise
from .matching import expect_parameters, match
from .trial import Mistakes, Trial, with_bugs
from .values import numbers

FLIPS = {"spatial_attention.conv.weight": 1}  # the plane of the maxima may come first


@exercise("5.1", "What changes what")
def what_changes_what(trial: Trial, channel_map, spatial_map, spatial_map_of_f) -> None:
    found = []
    for name, answer, right, hint in (
        ("channel_map", channel_map, (1, 2, 6), "It does not see where a value stands."),
        ("spatial_map", spatial_map, (6,), "It is made from F', behind the channel map."),
        ("spatial_map_of_f", spatial_map_of_f, (3, 4, 6), "It does not see in which channel."),
    ):
        found += (rows := numbers(answer, right, name, hint))
        trial.show(f"Sum of the numbers drawn for `{name}`", trial.rand(7)[[*rows]].sum())
    trial.stamp("Stamp of your answers", *found)


@exercise("5.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    block_like_the_course(trial, Block, mistakes_of_cbam)
    one_unit = trial.call(Block, 16, 16, 1).double()
    trial.call(one_unit, trial.features(1, 16, 1, 2))
    trial.refused(Block, 8, 16, 7, why="8 channels with reduction 16 leave no hidden unit")
    trial.refused(Block, 16, 2, 4, why="A kernel of 4 x 4 has no middle")


def block_like_the_course(trial: Trial, Block, mistakes: Callable) -> None:
    """The answer is CBAM in mode "fc" without biases, for any channels, reduction and kernel."""
    cases = (
        # Small maps come apart: on one position, or where all is padding, mistakes look alike.
        ((24, 4, 3), ((8, 5, 6), (3, 7, 4))),
        ((20, 10, 7), ((4, 9, 8), (2, 4, 5))),
        ((24, 4, 5), ((2, 1, 1), (1, 2, 3))),
    )
    for (channels, reduction, kernel_size), sizes in cases:
        outputs = match(
            trial,
            trial.call(Block, channels, reduction, kernel_size),
            CBAM(channels, reduction, kernel_size),
            [trial.features(batch, channels, *size) for batch, *size in sizes],
            hint=(
                f"With {channels} channels, reduction {reduction} and kernel size {kernel_size} "
                f"there are {channels // reduction} hidden units, two maps go into the "
                "convolution, and nothing has a bias."
            ),
            flips=FLIPS,
            mistakes=mistakes,
        )
        trial.show(f"{channels} channels, {kernel_size} x {kernel_size} kernel", outputs[0])
    # 240 // 16 is 15, and no other ratio gives that; 30 / 4 is no integer.
    hint = (
        "unless they are given, `reduction` is 16 and `kernel_size` 7, and there are channels // "
        "reduction hidden units."
    )
    for arguments, right in (((240,), 2 * 240 * 15 + 98), ((30, 4, 3), 2 * 30 * 7 + 18)):
        expect_parameters(trial, Block, arguments, right, hint)


class Parts:
    """The pieces of a CBAM block on one feature map, to put together wrongly."""

    def __init__(self, truth: CBAM, x: Tensor) -> None:
        self.truth, self.x = truth, x
        self.average = self.excite(x.mean(dim=(2, 3), keepdim=True))
        self.maximum = self.excite(x.amax(dim=(2, 3), keepdim=True))
        self.refined = x * (self.average + self.maximum).sigmoid()  # F'
        self.Ms = self.spatial_scores(self.refined).sigmoid()

    def excite(self, z: Tensor) -> Tensor:
        return self.truth.channel_attention.mlp(z)

    def spatial_scores(self, x: Tensor) -> Tensor:
        pooled = [x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)]
        return self.truth.spatial_attention.conv(torch.cat(pooled, dim=1))

    def second_half(self, x: Tensor) -> Tensor:
        """What the spatial half makes of ``x``."""
        return x * self.spatial_scores(x).sigmoid()


NO_MAXIMUM = "The maximum does not arrive in the channel half."
FROM_F = "The spatial map is computed from F. What should it see?"
TWICE = "Features are multiplied by features: the output grows with the square of the input."


def diagnosed(p: Parts) -> dict[str, Tensor]:
    """What CBAM returns, and blocks with each of the mistakes of exercise 5.4."""
    right = p.refined * p.Ms
    return {
        "right": right,
        "residual": p.x + right,
        "twice": p.x * right,
        "no maximum": p.second_half(p.x * (p.average + p.average).sigmoid()),
        "unrefined": p.refined * p.spatial_scores(p.x).sigmoid(),
    }


def mistakes_of_cbam(truth: CBAM, x: Tensor) -> Mistakes:
    """Outputs of blocks with one mistake each, and what to say of it."""
    p = Parts(truth, x)
    outputs = diagnosed(p)
    added = p.excite(x.mean(dim=(2, 3), keepdim=True) + x.amax(dim=(2, 3), keepdim=True))
    return [
        (outputs["unrefined"], FROM_F),
        (outputs["twice"], TWICE),
        (outputs["no maximum"], NO_MAXIMUM),
        (outputs["residual"], "Your block adds its input: there is no residual inside it."),
        (p.second_half(x * added.sigmoid()), "You add averages and maxima before the MLP."),
    ]


@exercise("5.3", "The shape is right")
def the_shape_is_right(trial: Trial, Repaired) -> None:
    block_like_the_course(trial, Repaired, mistakes_left)


def mistakes_left(truth: CBAM, x: Tensor) -> Mistakes:
    """Outputs with any of the three bugs left, then those of other mistakes."""
    p = Parts(truth, x)

    def given(deaf: bool, squared: bool, unrefined: bool) -> Tensor:
        features = x * (p.average + (p.average if deaf else p.maximum)).sigmoid()
        spatial = p.spatial_scores(x if unrefined else features).sigmoid()
        return (x * features if squared else features) * spatial

    return [*with_bugs(given, NO_MAXIMUM, TWICE, FROM_F), *mistakes_of_cbam(truth, x)]


@exercise("5.4", "A diagnosis from outside")
def diagnosis(trial: Trial, diagnose) -> None:
    cases = [word for word in SIGNS for _ in range(3)]
    order = sorted(range(len(cases)), key=trial.rand(len(cases)).tolist().__getitem__)
    rows = []
    for word in (cases[k] for k in order):
        said = str(trial.call(diagnose, black_box(lively(trial), word))).strip().lower()
        trial.expect(said in SIGNS, f"`diagnose` says {said!r}; the words are {list(SIGNS)}.")
        trial.expect(
            said == word, f"`diagnose` says {said!r} of a block that is {word!r}. {SIGNS[word]}"
        )
        rows.append(1 + list(SIGNS).index(word))
    trial.show("Your diagnoses, by their rows in the table", rows)


SIGNS = {
    "right": "Which of your tests calls it ill? Look at its inputs and its tolerance.",
    "residual": "What is the largest factor by which CBAM can multiply a number?",
    "twice": "What happens to the sign of a negative number?",
    "no maximum": "Its channel map stays the same if only maxima change.",
    "unrefined": "Its spatial map stays the same if the channels are put into another order.",
}


def lively(trial: Trial) -> CBAM:
    """A random block for 8 channels whose maps are never flat.

    The hidden units come in pairs with opposite weights, so that the ReLU makes only one of two 0.
    """
    block = trial.fill(CBAM(8, 1)).requires_grad_(False)
    first, _, last = block.channel_attention.mlp
    first.weight[4:] = -first.weight[:4]
    last.weight *= 2
    block.spatial_attention.conv.weight *= 3
    return block


def black_box(truth: CBAM, word: str) -> Callable[[Tensor], Tensor]:
    """A function that does what the block does, or what it would do with a mistake."""

    def block(x: Tensor) -> Tensor:
        return diagnosed(Parts(truth, x.double()))[word].to(x.dtype)

    return block
