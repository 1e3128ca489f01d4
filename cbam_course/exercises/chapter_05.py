"""The exercises of chapter 5, CBAM."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from cbam_course.attention import CBAM

from .errors import NotSolved, Wrong
from .framework import exercise
from .matching import count_parameters, match
from .predictions import choice, number
from .trial import Trial

FLIPS = {"spatial_attention.conv.weight": 1}  # the maximum's plane may come first


@exercise("5.1", "Price tags")
def price_tags(trial: Trial, reduction_a, kernel_size_b, along_the_channels_c, reduction_d) -> None:
    reduction_a = number(
        reduction_a,
        16,
        "reduction_a",
        prices("reduction_a", "A", lambda hidden: 192 * hidden + 98)
        | {
            6: "`reduction_a`: 6 is the number of hidden units. By what is 96 divided to get it?",
            12: "`reduction_a`: C times 12 is the weights of both layers together.",
            8: "`reduction_a`: the MLP has two layers of C times C/r weights.",
        },
    )
    kernel_size_b = number(
        kernel_size_b,
        5,
        "kernel_size_b",
        {
            7: "`kernel_size_b`: 7 would cost 98. The MLP leaves 50.",
            25: "`kernel_size_b`: 25 weights for each of two maps. How long is a side?",
            50: "`kernel_size_b`: 50 is all weights of the convolution. How long is a side?",
        },
    )
    along_the_channels_c = number(
        along_the_channels_c,
        5,
        "along_the_channels_c",
        {
            3: "`along_the_channels_c`: 3 is the adaptive size. Does it add up to 103?",
            7: "`along_the_channels_c`: 7 is the kernel of the spatial half.",
            103: "`along_the_channels_c`: take off the weights of the spatial half.",
            54: "`along_the_channels_c`: the 7x7 kernel reads two maps.",
        },
    )
    reduction_d = number(
        reduction_d,
        12,
        "reduction_d",
        prices("reduction_d", "D", lambda hidden: 193 * hidden + 96 + 100)
        | {8: "`reduction_d`: 8 is the number of hidden units. By what is 96 divided to get it?"},
    )
    authors = {
        "channel_options": {"bias": True, "layer": "linear"},
        "spatial_options": {"pools": ("max", "avg"), "batch_norm": True},
    }
    along = {"channel_options": {"kernel_size": along_the_channels_c}}
    blocks = {
        "A": CBAM(96, reduction_a),
        "B": CBAM(96, 8, kernel_size_b),
        "C": CBAM(96, mode="conv", **along),
        "D": CBAM(96, reduction_d, **authors),
    }
    x = trial.features(1, 96, 4, 3)
    for name, block in blocks.items():
        with torch.no_grad():
            trial.show(f"Sum of what block {name} returns", trial.fill(block)(x).sum())
    trial.stamp(
        "Stamp of your answers", reduction_a, kernel_size_b, along_the_channels_c, reduction_d
    )


def prices(name: str, block: str, parameters: Callable[[int], int]) -> dict[int, str]:
    """What to say of each reduction ratio: what such a block for 96 channels would cost."""
    return {
        r: f"`{name}`: with r = {r}, block {block} would have {parameters(96 // r):,} parameters."
        if 96 % r == 0
        else f"`{name}`: the ratio should divide 96."
        for r in range(1, 97)
    }


@exercise("5.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    block_like_the_course(trial, Block, mistakes_of_cbam)
    trial.call(trial.call(Block, 16, 16, 1).double(), trial.features(1, 16, 1, 2))
    refused(
        trial,
        Block,
        (8, 16, 7),
        "8 channels with reduction 16 leave no hidden unit",
    )
    refused(trial, Block, (16, 2, 4), "A kernel of 4 x 4 has no middle")


def refused(trial: Trial, Block, arguments: tuple[int, ...], reason: str) -> None:
    """Raise :class:`Wrong` unless the block refuses these arguments by a ValueError."""
    made = f"`Block{arguments}`"
    try:
        trial.call(Block, *arguments)
    except ValueError:
        return
    except Exception as error:
        raise Wrong(
            f"{reason}. {made} raises {type(error).__name__}; it should raise a ValueError that "
            "says so."
        ) from None
    raise Wrong(
        f"{reason}, and {made} is made without complaint. Raise a ValueError where the block is "
        "made."
    )


def block_like_the_course(trial: Trial, Block, mistakes: Callable) -> None:
    """The answer is CBAM in mode "fc" without biases, for any channels, reduction and kernel."""
    cases = (
        # Small maps come apart: on one place, or where all is padding, mistakes look alike.
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
    # 240 // 16 is 15, and no other ratio gives that.
    x = trial.features(1, 240, 2, 2)
    default = count_parameters(trial, trial.call(Block, 240), x)
    trial.expect(
        default == 2 * 240 * 15 + 98,
        f"`{Block.__name__}(240)` has {default} parameters: the default reduction should be 16, "
        "and the default kernel size 7.",
    )
    uneven = count_parameters(trial, trial.call(Block, 30, 4, 3), trial.features(1, 30, 2, 2))
    trial.expect(
        uneven == 2 * 30 * 7 + 18,
        f"`{Block.__name__}(30, 4, 3)` has {uneven} parameters; with 30 // 4 = 7 hidden units "
        f"there are {2 * 30 * 7 + 18}.",
    )


class Parts:
    """The pieces of a CBAM block on one feature map, to put together wrongly."""

    def __init__(self, truth: CBAM, x: Tensor) -> None:
        self.truth, self.x = truth, x
        self.average = self.excite(x.mean(dim=(2, 3)))
        self.maximum = self.excite(x.amax(dim=(2, 3)))
        self.Mc = (self.average + self.maximum).sigmoid()
        self.refined = x * self.Mc  # F'
        self.Ms = self.spatial_scores(self.refined).sigmoid()

    def excite(self, z: Tensor) -> Tensor:
        return self.truth.channel_attention.mlp(z[:, :, None, None])

    def spatial_scores(self, x: Tensor) -> Tensor:
        return self.truth.spatial_attention.conv(
            torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        )

    def second_half(self, x: Tensor) -> Tensor:
        """What the spatial half makes of ``x``."""
        return x * self.spatial_scores(x).sigmoid()


NO_MAXIMUM = "The maximum does not arrive in the channel half."
NO_AVERAGE = "The average does not arrive in the channel half."
FROM_F = "The spatial map is computed from F. What should it see?"
TWICE = "Features are multiplied by features: the output grows with the square of the input."


def mistakes_of_cbam(truth: CBAM, x: Tensor) -> list[tuple[Tensor, str]]:
    """Outputs of blocks with one mistake each, and what to say of it."""
    p = Parts(truth, x)
    right = p.refined * p.Ms
    second, scores = p.second_half, p.spatial_scores(p.refined)
    first_layer, _, last_layer = truth.channel_attention.mlp

    def unbent(z: Tensor) -> Tensor:
        return last_layer(first_layer(z[:, :, None, None]))

    def pooled(average: Tensor, maximum: Tensor) -> Tensor:
        return truth.spatial_attention.conv(torch.cat([average, maximum], dim=1)).sigmoid()

    average, maximum = p.refined.mean(1, keepdim=True), p.refined.amax(1, keepdim=True)
    spatial_first = second(x)
    after = Parts(truth, spatial_first)
    linear = (unbent(x.mean(dim=(2, 3))) + unbent(x.amax(dim=(2, 3)))).sigmoid()
    both = p.excite(x.mean(dim=(2, 3)) + x.amax(dim=(2, 3))).sigmoid()
    map_returned = "Your block returns a map. Did you multiply the features by it?"
    residual = "Your block adds its input to the result: there is no residual inside it."
    return [
        (x * p.Mc * p.spatial_scores(x).sigmoid(), FROM_F),
        (after.refined, "Your spatial half comes first. In CBAM the channels come first."),
        (p.refined, "Only the channels are weighted. Where is the second product?"),
        (spatial_first, "Only the places are weighted. Where is the first product?"),
        (x * p.Ms, "The spatial map multiplies F. Which features are left after the first half?"),
        (p.Mc.expand_as(x) * p.Ms, map_returned),
        (p.Ms, map_returned),
        (p.Ms.expand_as(x), map_returned),
        (x + right, residual),
        (p.refined + right, residual),
        (second(x + p.refined), residual),
        (second(p.refined + x) + p.refined + x, residual),
        (x * right, TWICE),
        (p.refined * right, TWICE),
        (second(x * p.refined), TWICE),
        (second(x * p.average.sigmoid()), NO_MAXIMUM),
        (second(x * (p.average + p.average).sigmoid()), NO_MAXIMUM),
        (second(x * p.maximum.sigmoid()), NO_AVERAGE),
        (second(x * (p.maximum + p.maximum).sigmoid()), NO_AVERAGE),
        (second(x * both), "You add averages and maxima before the MLP. Add its two results."),
        (second(x * linear), "There is no ReLU between the two layers of the MLP."),
        (
            second(x * (p.average.sigmoid() + p.maximum.sigmoid())),
            "In the channel half, add first, then take the sigmoid: one for the sum.",
        ),
        (
            second(x * (p.average + p.maximum)),
            "The channel map is not between 0 and 1: where is its sigmoid?",
        ),
        (second(x * p.Mc.sigmoid()), "The channel map has gone through two sigmoids."),
        (p.refined * scores, "The spatial map is not between 0 and 1: where is its sigmoid?"),
        (p.refined * p.Ms.sigmoid(), "The spatial map has gone through two sigmoids."),
        (p.refined * pooled(average, average), "The maximum does not arrive in the spatial half."),
        (p.refined * pooled(maximum, maximum), "The average does not arrive in the spatial half."),
    ]


@exercise("5.3", "The shape is right")
def the_shape_is_right(trial: Trial, Repaired) -> None:
    try:
        block_like_the_course(trial, Repaired, mistakes_left)
    except Wrong as wrong:
        if str(wrong) == UNTOUCHED:
            raise NotSolved(UNTOUCHED) from None
        raise


UNTOUCHED = "The block does what it did when it came: all three bugs are there."


def mistakes_left(truth: CBAM, x: Tensor) -> list[tuple[Tensor, str]]:
    """Outputs with any of the three bugs left, then those of other mistakes."""
    p = Parts(truth, x)
    known = []
    for deaf, squared, unrefined in product((False, True), repeat=3):
        gates = (p.average + (p.average if deaf else p.maximum)).sigmoid()
        features = x * gates
        seen = x if unrefined else x * features if squared else features
        output = (x * features if squared else features) * p.spatial_scores(seen).sigmoid()
        left = [
            message
            for message, there in ((NO_MAXIMUM, deaf), (TWICE, squared), (FROM_F, unrefined))
            if there
        ]
        count = "Two bugs are left. " if len(left) == 2 else ""
        message = UNTOUCHED if len(left) == 3 else count + " ".join(left)
        known.append((output, message))
        if squared and not unrefined:  # multiplied at the end, after the spatial map was made
            late = x * features * p.spatial_scores(features).sigmoid()
            known.append((late, message))
    return [*known[1:], *mistakes_of_cbam(truth, x)]


@exercise("5.4", "A diagnosis from outside")
def diagnosis(trial: Trial, diagnose) -> None:
    cases = [word for word in WORDS for _ in range(3)]
    order = sorted(range(len(cases)), key=trial.rand(len(cases)).tolist().__getitem__)
    found = []
    for place in order:
        word = cases[place]
        answer = trial.call(diagnose, black_box(lively(trial), word))
        mistakes = {
            other: f"`diagnose` says {other!r} of a block that is {word!r}. {SIGNS[word]}"
            for other in WORDS
        }
        found.append(WORDS.index(choice(answer, word, "diagnose", WORDS, mistakes)))
    trial.show("Your diagnoses, by their rows in the table", [row + 1 for row in found])


WORDS = ("right", "residual", "twice", "no maximum", "unrefined")
SIGNS = {
    "right": "Which of your tests calls it ill? Look at its inputs and its tolerance.",
    "residual": "What is the largest factor by which CBAM can multiply a number?",
    "twice": "What happens to the sign of a negative number?",
    "no maximum": "Its channel map stays the same if only maxima change.",
    "unrefined": "Its spatial map stays the same if the channels change places.",
}


def lively(trial: Trial) -> CBAM:
    """A random block for 8 channels whose maps are never flat.

    The hidden units come in pairs with opposite weights, so that the ReLU silences only one of two.
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
        p = Parts(truth, x.double())
        output = p.refined * p.Ms
        if word == "residual":
            output = p.x + output
        elif word == "twice":
            output = p.x * output
        elif word == "no maximum":
            output = p.second_half(p.x * (p.average + p.average).sigmoid())
        elif word == "unrefined":
            output = p.refined * p.spatial_scores(p.x).sigmoid()
        return output.to(x.dtype)

    return block
