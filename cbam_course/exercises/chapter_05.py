"""The exercises of chapter 5, CBAM."""

from collections.abc import Callable

from torch import Tensor

from cbam_course.attention import CBAM

from .framework import exercise
from .matching import expect_parameters, match
from .trial import Mistakes, Trial, with_bugs
from .values import numbers


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
    block_like_the_course(trial, Block)
    one_unit = trial.call(Block, 16, 16, 1).double()
    trial.call(one_unit, trial.features(1, 16, 1, 2))
    trial.refused(Block, 8, 16, 7, why="8 channels with reduction 16 leave no hidden unit")
    trial.refused(Block, 16, 2, 4, why="A kernel of 4 x 4 has no middle")


def block_like_the_course(trial: Trial, Block) -> None:
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
            flips={"spatial_attention.conv.weight": 1},  # the maxima may come first
            mistakes=mistakes_of_cbam,
        )
        trial.show(f"{channels} channels, {kernel_size} x {kernel_size} kernel", outputs[0])
    # 240 // 16 is 15, and no other ratio gives that; 30 / 4 is no integer.
    hint = (
        "unless they are given, `reduction` is 16 and `kernel_size` 7, and there are channels // "
        "reduction hidden units."
    )
    for arguments, right in (((240,), 2 * 240 * 15 + 98), ((30, 4, 3), 2 * 30 * 7 + 18)):
        expect_parameters(trial, Block, arguments, right, hint)


def cbam(
    truth: CBAM, x: Tensor, deaf: bool = False, squared: bool = False, unrefined: bool = False
) -> Tensor:
    """What CBAM returns, or what it would with some of the bugs of exercise 5.3."""
    excite = truth.channel_attention.mlp
    average = excite(x.mean(dim=(2, 3), keepdim=True))
    maximum = average if deaf else excite(x.amax(dim=(2, 3), keepdim=True))
    refined = x * (average + maximum).sigmoid()
    spatial = truth.spatial_attention.attention_map(x if unrefined else refined)
    return (x * refined if squared else refined) * spatial


BUGS = (
    "The maximum does not arrive in the channel half.",
    "Features are multiplied by features: the output grows with the square of the input.",
    "The spatial map is computed from F. What should it see?",
)


def diagnosed(truth: CBAM, x: Tensor) -> dict[str, Tensor]:
    """What CBAM returns, and blocks with each of the mistakes of exercise 5.4."""
    return {
        "right": cbam(truth, x),
        "residual": x + cbam(truth, x),
        "twice": cbam(truth, x, squared=True),
        "no maximum": cbam(truth, x, deaf=True),
        "unrefined": cbam(truth, x, unrefined=True),
    }


def mistakes_of_cbam(truth: CBAM, x: Tensor) -> Mistakes:
    """Outputs of blocks with mistakes, and what to say of them."""
    excite, spatial = truth.channel_attention.mlp, truth.spatial_attention
    average, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    refined = truth.channel_attention(x)
    scores = spatial.attention_map(refined).logit()
    one_each = excite(average).sigmoid() + excite(maximum).sigmoid()
    return [
        *with_bugs(lambda *bugs: cbam(truth, x, *bugs), *BUGS),
        (x + cbam(truth, x), "Your block adds its input: there is no residual inside it."),
        (spatial(x * excite(average + maximum).sigmoid()), "You add the pools before the MLP."),
        (spatial(x * one_each), "Add the scores first, then take the sigmoid: one for the sum."),
        (spatial.attention_map(refined), "Your block returns the map. Multiply F' by it."),
        (truth.channel_attention(spatial(x)), "You weigh the positions first; CBAM the channels."),
        (refined * scores, "Your spatial map is not between 0 and 1: where is its sigmoid?"),
        (
            spatial(x * (excite(average) + excite(maximum))),
            "Your channel map is not between 0 and 1: where is its sigmoid?",
        ),
    ]


@exercise("5.3", "The shape is right")
def the_shape_is_right(trial: Trial, Repaired) -> None:
    block_like_the_course(trial, Repaired)


@exercise("5.4", "A diagnosis from outside")
def diagnosis(trial: Trial, diagnose) -> None:
    cases = [word for word in SIGNS for _ in range(3)]
    order = sorted(range(len(cases)), key=trial.rand(len(cases)).tolist().__getitem__)
    rows = []
    for word in (cases[k] for k in order):
        said = str(trial.call(diagnose, black_box(lively(trial), word))).strip().lower()
        trial.expect(said in SIGNS, f"`diagnose` says {said!r:.200}; the words are {list(SIGNS)}.")
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
        return diagnosed(truth, x.double())[word].to(x.dtype)

    return block
