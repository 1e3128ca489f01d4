"""The exercises of chapter 4, spatial attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cbam_course.attention import SpatialAttention

from .errors import NotSolved, Wrong
from .framework import exercise
from .matching import count_parameters, match
from .predictions import number, shape
from .trial import Trial, close, difference


@exercise("4.1", "Count and reach")
def count_and_reach(trial: Trial, map_shape, with_norm, with_squeeze, touched) -> None:
    map_shape = shape(
        map_shape,
        (2, 1, 20, 30),
        "map_shape",
        {
            (2, 20, 30): "`map_shape`: keep an axis of size 1, or the map does not multiply `x`.",
            (1, 1, 20, 30): "`map_shape`: each picture of the batch has a map of its own.",
            (2, 96, 1, 1): "`map_shape`: that is a channel attention map.",
            (2, 2, 20, 30): "`map_shape`: two maps go into the convolution. How many come out?",
            (2, 96, 20, 30): "`map_shape`: one weight per place, whatever the channel.",
            (2, 1, 16, 26): "`map_shape`: the convolution is padded, so that no place is lost.",
        },
    )
    with_norm = number(
        with_norm,
        53,
        "with_norm",
        {
            50: "`with_norm`: the bias and the BatchNorm have parameters too.",
            51: "`with_norm`: BatchNorm has parameters too.",
            52: "`with_norm`: BatchNorm learns a scale and a shift, and there is a bias.",
            55: "`with_norm`: the stored mean and variance are no parameters: nobody learns them.",
            28: "`with_norm`: the convolution reads two maps.",
        },
    )
    with_squeeze = number(
        with_squeeze,
        171,
        "with_squeeze",
        {
            121: "`with_squeeze`: average and maximum are there too: three maps.",
            146: "`with_squeeze`: the convolution reads three maps, with a slice for each.",
            75: "`with_squeeze`: the squeeze has weights of its own.",
            172: "`with_squeeze`: neither convolution has a bias.",
            173: "`with_squeeze`: neither convolution has a bias.",
        },
    )
    touched = number(
        touched,
        12,
        "touched",
        {
            25: "`touched`: the place lies at the border. Part of the 25 does not exist.",
            15: "`touched`: from row 1 there is only one row above.",
            20: "`touched`: left of column 0 there is nothing.",
            9: "`touched`: that would be right for the corner. This is row 1.",
            24: "`touched`: the pictures of a batch do not see each other.",
            6: "`touched`: the kernel reaches two places in each direction, not one.",
            1: "`touched`: the convolution reads a window of 5x5 around each place.",
        },
    )
    block = trial.fill(SpatialAttention(5))
    batch, _, height, width = map_shape
    attention = block.attention_map(trial.features(batch, 4, height, width))
    trial.show("Weights of a block for a map of your shape", attention)
    trial.stamp("Stamp of your answers", *map_shape, with_norm, with_squeeze, touched)


@exercise("4.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    for k in (3, 5, 1):
        outputs = match_spatial(trial, trial.call(Block, k), k)
        trial.show(f"Kernel size {k}", outputs[0])
    outputs = match_spatial(trial, trial.call(Block), 7)
    trial.show("Default kernel size", outputs[0])
    for k in (4, 2):
        even = f"{k} is even. `Block({k})`"
        try:
            trial.call(Block, k)
        except ValueError:
            continue
        except Exception as error:
            raise Wrong(
                f"{even} raises {type(error).__name__}; it should raise a ValueError that says so."
            ) from None
        raise Wrong(f"{even} is made without an error. Raise a ValueError where the block is made.")


@exercise("4.3", "It trained without complaint")
def trained_without_complaint(trial: Trial, Repaired) -> None:
    block = trial.call(Repaired, 3)
    open_, closed = (mean_weight(trial, block, value) for value in (0.0, -10.0))
    together = pictures_together(trial, block)
    if together and open_ > 0.6 and closed > 0.6:
        raise NotSolved("The block does what it did when it came: all three bugs are there.")
    trial.expect(
        abs(open_ - 0.5) < 1e-4,
        f"With all parameters zero each weight should be one half; yours is {open_:.3g}. "
        + (
            "How often do the scores go through a sigmoid?"
            if abs(open_ - 0.62246) < 1e-3
            else "Where is the sigmoid?"
            if abs(open_) < 1e-3
            else "One sigmoid, then the product: what else happens to the scores?"
        ),
    )
    trial.expect(
        closed < 0.01,
        "With all parameters at -10 and positive features the block should close; its weights are "
        f"{closed:.3g} on average. What happens to the negative scores?",
    )
    trial.expect(
        not together,
        "What a picture gets depends on the other pictures of its batch. Follow the averages and "
        "the maxima of one picture into `pooled`.",
    )
    for k in (5, 3):
        outputs = match_spatial(trial, trial.call(Repaired, k), k)
        trial.show(f"Kernel size {k}", outputs[0])
    outputs = match_spatial(trial, trial.call(Repaired), 7)
    trial.show("Default kernel size", outputs[0])


def mean_weight(trial: Trial, block: nn.Module, value: float) -> float:
    """The average weight of the places if all parameters of the block are ``value``."""
    x = trial.features(2, 5, 6, 4).abs() + 1
    count_parameters(trial, block, x)
    for parameter in block.parameters():
        parameter.data.fill_(value)
    got = trial.tensor(trial.call(block.eval(), x), "Your block's output")
    trial.expect(got.shape == x.shape, f"Your block's output {difference(got, x)}")
    return float((got / x).mean())


def pictures_together(trial: Trial, block: nn.Module) -> bool:
    """Whether the output for a picture depends on the others in its batch."""
    x = trial.features(3, 5, 6, 4)
    for parameter in block.parameters():
        parameter.data = trial.randn(*parameter.shape) / 3
    outputs = [trial.tensor(trial.call(block, part), "Your block's output") for part in (x, x[:1])]
    return not close(outputs[0][:1], outputs[1])


class OneKernel(nn.Module):
    """A learner's block, as if its weights were those of one convolution that reads both maps.

    They may as well be two convolutions, one for each map, or a matrix that multiplies windows.
    """

    def __init__(self, block: nn.Module, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 2, kernel_size, kernel_size))
        self.learners = [block.double()]  # in a list: its parameters are not to be found

    def forward(self, x: Tensor) -> Tensor:
        (block,) = self.learners
        parameters = list(block.parameters())
        sizes = [parameter.numel() for parameter in parameters]
        values = self.weight.detach().flatten().split(sizes)
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data.copy_(value.reshape(parameter.shape))
        return block(x)


def match_spatial(trial: Trial, block: nn.Module, k: int) -> list[Tensor]:
    """Match a learner's block with the course's of kernel size ``k``, without a bias."""
    inputs = [trial.features(*s) for s in ((4, 6, 9, 8), (3, 1, 4, 7), (1, 5, 1, 1))]
    if isinstance(block, nn.Module):
        count = count_parameters(trial, block, inputs[0])
        trial.expect(
            count != 2 * 49**2,
            f"Your block has {count} parameters: its kernel is 49x49, wanted is {k}x{k}.",
        )
        if count == 2 * k**2:
            block = OneKernel(block.eval(), k)
    return match(
        trial,
        block,
        SpatialAttention(k),
        inputs,
        hint=f"A kernel of {k}x{k} reads two maps, without a bias.",
        flips={"conv.weight": 1},
        mistakes=mistakes_of_spatial,
    )


def mistakes_of_spatial(truth: SpatialAttention, x: Tensor) -> list[tuple[Tensor, str]]:
    """Outputs of blocks with one mistake each, and what to say of it."""
    k = truth.kernel_size
    average, maximum = x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)

    def scores_of(one: Tensor, other: Tensor) -> Tensor:
        return truth.conv(torch.cat([one, other], dim=1))

    scores = scores_of(average, maximum)
    right = scores.sigmoid()
    everyone = x.mean(dim=(0, 1), keepdim=True), x.amax(dim=(0, 1), keepdim=True)
    shared = [value.expand_as(average) for value in everyone]
    mixed = torch.stack([average[:, 0], maximum[:, 0]]).reshape(len(x), 2, *x.shape[2:])
    padded = F.pad(torch.cat([average, maximum], dim=1), [k // 2] * 4, mode="replicate")
    whole = [
        value.expand_as(average) for value in (x.mean((1, 2, 3), True), x.amax((1, 2, 3), True))
    ]
    alone = "The two pools should run over the channels of one picture, not over the batch."
    returned = "Your block returns the map. Did you multiply the feature map by it?"
    no_maximum = "Your weights do not change with the maximum. Does the second map arrive?"
    return [
        (right, returned),
        (right.expand_as(x), returned),
        (x * scores, "Your weights are not between 0 and 1: where is the sigmoid?"),
        (x * right.sigmoid(), "The sigmoid is applied twice: no weight can be below one half."),
        (x * scores.relu().sigmoid(), "No weight is below one half: what cuts the scores off?"),
        (x + x * right, "Your block adds its input to the result: there is no residual inside it."),
        (x + right, "Your block adds the weights. A weight multiplies."),
        (x * (1 - right), "Your weights are upside down: 1 minus the right ones."),
        (x * scores.relu(), "The last function is a ReLU: the weights need a sigmoid."),
        (x * scores.tanh(), "The last function is a tanh: the weights need a sigmoid."),
        (
            x * scores.flatten(1).softmax(dim=1).view_as(scores),
            "A softmax lets the places compete: use a sigmoid for each.",
        ),
        (x * scores_of(average, average).sigmoid(), no_maximum),
        (x * scores_of(maximum, maximum).sigmoid(), "The average map does not arrive."),
        (x * scores_of(*shared).sigmoid(), alone),
        (x * scores_of(shared[0], maximum).sigmoid(), alone),
        (x * scores_of(average, shared[1]).sigmoid(), alone),
        (x * truth.conv(mixed).sigmoid(), "Pictures and pools are mixed up: which is which axis?"),
        (x * scores_of(*whole).sigmoid(), "Your pools run over the places too: one value a map."),
        (x * scores_of(x.sum(1, True), maximum).sigmoid(), "One map is the sum, not the average."),
        (
            x * scores_of(average, x.amin(1, True)).sigmoid(),
            "One map is the smallest value of a place, not the largest.",
        ),
        (
            x * F.conv2d(padded, truth.conv.weight).sigmoid(),
            "At the border your numbers differ: outside the map there should be zeros.",
        ),
    ]


@exercise("4.4", "Fold the BatchNorm away")
def move_in(trial: Trial, convert) -> None:
    for k in (3, 7, 1, 5):
        official = SpatialAttention(k, pools=("max", "avg"), batch_norm=True)
        trial.fill(official)
        bn = official.bn
        bn.running_mean, bn.running_var = trial.randn(1), 0.3 + trial.rand(1)
        bn.weight.data = trial.choice([-1, 1]) * (0.6 + trial.rand(1))
        bn.eps = 0.1 * trial.integer(1, 4)  # large, so that it is missed where it is forgotten
        given = official.conv.weight, bn.weight, bn.bias, bn.running_mean, bn.running_var
        weight, *numbers = (value.detach() for value in given)
        got = trial.call(convert, weight, *numbers, bn.eps)
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("`convert` should return a pair, the weight and the bias.")
        kernel, bias = (
            trial.tensor(value, name) for value, name in zip(got, KERNEL_AND_BIAS, strict=True)
        )
        trial.expect(
            kernel.shape == weight.shape, f"{KERNEL_AND_BIAS[0]} {difference(kernel, weight)}"
        )
        trial.expect(
            bias.numel() == 1, f"{KERNEL_AND_BIAS[1]} has {bias.numel()} numbers, expected one."
        )
        inputs = [trial.features(2, 6, 8, 9), trial.features(1, 3, 2, 4)]
        for x in inputs:
            with torch.no_grad():
                expected = official.attention_map(x)
                mistakes = [
                    (plain_map(*wrong, x), message)
                    for wrong, message in mistakes_of_converting(weight, *numbers, bn.eps)
                ]
                mine = plain_map(kernel, bias, x)
            trial.compare(mine, expected, "The map of a block with your weights", mistakes)
        trial.show(f"Kernel size {k}: your kernel", kernel)
        trial.show(f"Kernel size {k}: your bias", bias)


KERNEL_AND_BIAS = ("Your weight", "Your bias")


def plain_map(kernel: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """The map of a block without BatchNorm that has this kernel and this bias."""
    block = SpatialAttention(kernel.shape[-1], bias=True).double()
    block.conv.weight.data, block.conv.bias.data = kernel, bias.reshape(1)
    return block.attention_map(x).detach()


def mistakes_of_converting(
    weight: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> list[tuple[tuple[Tensor, Tensor], str]]:
    """Pairs of a kernel and a bias with one mistake each, and what to say of it."""
    swapped = weight.flip(1)
    scale = gamma / (var + eps).sqrt()
    bias = beta - mean * scale
    no_eps, squared = gamma / var.sqrt(), gamma / (var + eps)
    outside = gamma / (var.sqrt() + eps)
    turned = "The slices are not in the order of the new block's maps: average first."
    return [
        ((weight * scale, bias), turned),
        ((weight.flip(1, 2, 3) * scale, bias), "Swap the two slices; leave the places in them."),
        ((weight.flip(2) * scale, bias), turned),
        ((weight.flip(3) * scale, bias), turned),
        ((swapped, bias), "The kernel is not scaled: the scores come out too small or too large."),
        ((swapped * gamma, beta - mean * gamma), "Where does the variance go?"),
        ((swapped * gamma, bias), "The kernel is not divided by the standard deviation."),
        ((swapped * scale / gamma, bias), "The kernel lacks gamma."),
        ((swapped, beta), "Only the slices are swapped: where do gamma, mean and variance go?"),
        (
            (swapped * scale, beta - mean * gamma),
            "In your bias the mean is not divided by the standard deviation.",
        ),
        ((swapped * no_eps, beta - mean * no_eps), "Something is missing under the root."),
        ((swapped * outside, beta - mean * outside), "The number eps belongs under the root."),
        (
            (swapped * squared, beta - mean * squared),
            "Divide by a standard deviation, not by a variance.",
        ),
        ((swapped * scale, beta), "The mean does not arrive in your bias."),
        ((swapped * scale, beta - mean), "The mean is subtracted before the scores are scaled."),
        ((swapped * scale, beta + mean * scale), "The mean is subtracted, not added."),
        ((swapped * scale, -mean * scale), "Your bias lacks beta."),
        ((swapped * scale, (beta - mean) * scale), "Beta is added after the scaling."),
        ((swapped * scale, beta * scale - mean), "Beta is added last, and is not scaled."),
        ((swapped * scale, 0 * bias), "Your bias is zero: what do mean and beta leave over?"),
    ]
