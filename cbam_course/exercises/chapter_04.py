"""The exercises of chapter 4, spatial attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbam_course.attention import SpatialAttention

from .framework import exercise
from .matching import match
from .trial import Mistakes, Trial, difference, with_bugs
from .values import weights


@exercise("4.1", "Where something ends")
def where_something_ends(trial: Trial, kernel) -> None:
    kernel = weights(kernel, (1, 2, 3, 3), "kernel")
    right = torch.zeros_like(kernel)
    right[0, 0], right[0, 1, 1, 1], right[0, 1, 1, 2] = -1 / 9, 4, -4
    block = SpatialAttention(3).double()
    block.conv.weight.data = kernel
    for size in ((2, 5, 4, 6), (1, 3, 1, 4)):
        x = trial.features(*size)
        pooled = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
        summed, added, once = (right.clone() for _ in range(3))
        summed[0, 0] *= 9
        added[0, 0] *= -1
        once[0, 1] /= 4
        turned = right.flip(1), right.flip(3), right.transpose(2, 3)
        scores, *wrong = (
            F.conv2d(pooled, each, padding=1) for each in (right, *turned, summed, added, once)
        )
        said = (
            "The slices are exchanged: the block reads the average map first.",
            "Left and right are exchanged: the last column of a slice reads the right neighbor.",
            "Rows and columns are exchanged: the last axis runs from left to right.",
            "The averages are added up, and not divided by their number.",
            "The mean of the averages is to be taken off, and yours is added.",
            "The difference of the maxima counts four times.",
        )
        mistakes = zip(wrong, said, strict=True)
        trial.compare(block.conv(pooled), scores, "The score map of your kernel", mistakes)
        trial.show(f"Weights of {size[2]} x {size[3]} positions", block.attention_map(x))


@exercise("4.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    block_like_the_course(trial, Block, (3, 5, 1))
    for k in (4, 2):
        trial.refused(Block, k, why=f"The kernel size {k} is even")


def block_like_the_course(trial: Trial, Block, kernel_sizes: tuple[int, ...]) -> None:
    """The answer is spatial attention without a bias, with a kernel of 7 unless it is given."""
    for arguments, k in [*(((k,), k) for k in kernel_sizes), ((), 7)]:
        inputs = [trial.features(*s) for s in ((4, 6, 9, 8), (3, 1, 4, 7), (1, 5, 1, 1))]
        outputs = match_spatial(trial, trial.call(Block, *arguments), k, inputs)
        trial.show(f"Kernel size {k}" if arguments else "Default kernel size", outputs[0])


def match_spatial(trial: Trial, block: nn.Module, k: int, inputs: list[Tensor]) -> list[Tensor]:
    return match(
        trial,
        block,
        SpatialAttention(k),
        inputs,
        hint=f"A kernel of {k}x{k} reads two maps, without a bias.",
        flips={"conv.weight": 1},
        mistakes=mistakes_of_spatial,
    )


def mistakes_of_spatial(truth: SpatialAttention, x: Tensor) -> Mistakes:
    """Outputs of blocks with one mistake each, and what to say of it."""
    average, maximum = x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)

    def given(forced: bool, cut_off: bool, twice: bool) -> Tensor:
        pooled = torch.stack([average[:, 0], maximum[:, 0]])
        pooled = pooled.reshape(len(x), 2, *x.shape[2:]) if forced else pooled.transpose(0, 1)
        scores = truth.conv(pooled)
        weights = (scores.relu() if cut_off else scores).sigmoid()
        return x * (weights.sigmoid() if twice else weights)

    scores = truth.conv(torch.cat([average, maximum], dim=1))
    right = scores.sigmoid()
    return [
        *with_bugs(
            given,
            "An image gets averages and maxima of other images: what does `reshape` hand to whom?",
            "No weight is below one half: what happens to negative scores?",
            "The sigmoid is applied twice.",
        ),
        (right, "Your block returns the map. Did you multiply the feature map by it?"),
        (x * scores, "Your weights are not between 0 and 1: where is the sigmoid?"),
        (
            x * truth.conv(torch.cat([average, average], dim=1)).sigmoid(),
            "The maximum does not arrive: the convolution reads the average twice.",
        ),
    ]


@exercise("4.3", "It trained without complaint")
def trained_without_complaint(trial: Trial, Repaired) -> None:
    inputs = [trial.features(batch, 5, 6, 4) for batch in (2, 2, 3)]
    match_spatial(trial, trial.call(Repaired, 3), 3, inputs)
    block_like_the_course(trial, Repaired, (5, 3))


@exercise("4.4", "Fold the BatchNorm away")
def move_in(trial: Trial, convert) -> None:
    for k in (3, 7, 1, 5):
        official = SpatialAttention(k, pools=("max", "avg"), batch_norm=True)
        trial.fill(official)
        bn = official.bn
        bn.weight.data = trial.choice([-1, 1]) * (0.6 + trial.rand(1))
        bn.eps = 0.1 * trial.integer(1, 4)  # large, so that it is missed where it is forgotten
        given = official.conv.weight, bn.weight, bn.bias, bn.running_mean, bn.running_var
        weight, *numbers = (value.detach() for value in given)
        got = trial.call(convert, weight, *numbers, bn.eps)
        pair = isinstance(got, tuple | list) and len(got) == 2
        trial.expect(pair, "`convert` should return a pair, the weight and the bias.")
        kernel, bias = trial.tensor(got[0], "Your weight"), trial.tensor(got[1], "Your bias")
        trial.expect(kernel.shape == weight.shape, f"Your weight {difference(kernel, weight)}")
        trial.expect(bias.numel() == 1, f"Your bias has {bias.numel()} numbers, expected one.")
        known = mistakes_of_converting(weight, *numbers, bn.eps)
        for x in (trial.features(2, 6, 8, 9), trial.features(1, 3, 2, 4)):
            mistakes = [(plain_map(*wrong, x), message) for wrong, message in known]
            mine, right = plain_map(kernel, bias, x), official.attention_map(x)
            trial.compare(mine, right, "The map of a block with your weights", mistakes)
        trial.show(f"Kernel size {k}: your kernel", kernel)
        trial.show(f"Kernel size {k}: your bias", bias)


def plain_map(kernel: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """The map of a block without BatchNorm that has this kernel and this bias."""
    block = SpatialAttention(kernel.shape[-1], bias=True).double()
    block.conv.weight.data, block.conv.bias.data = kernel, bias.reshape(1)
    return block.attention_map(x).detach()


def mistakes_of_converting(
    weight: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> list[tuple[tuple[Tensor, Tensor], str]]:
    """Pairs of a kernel and a bias with one mistake each, and what to say of it."""
    swapped, scale = weight.flip(1), gamma / (var + eps).sqrt()
    right = beta - mean * scale
    return [
        ((weight * scale, right), "The slices are not in the order of the new block's maps."),
        ((swapped, right), "The kernel is not scaled: the scores come out too small or too large."),
        ((swapped * scale, beta), "The mean does not arrive in your bias."),
        ((swapped * scale, beta - mean), "The scale multiplies the mean too."),
        *(
            ((swapped * other, beta - mean * other), said)
            for other, said in (
                (gamma / (var + eps), "v + eps is a variance: where is its root?"),
                (gamma / var.sqrt(), "The number eps does not arrive in your scale."),
                (gamma / (var.sqrt() + eps), "eps belongs under the root."),
            )
        ),
    ]
