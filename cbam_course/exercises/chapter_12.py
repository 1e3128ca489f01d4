"""The exercises of chapter 12, relatives of CBAM."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import Wrong
from .framework import exercise
from .trial import AS_IT_CAME, Trial, close
from .values import number


@exercise("12.1", "Before you count")
def before_you_count(trial: Trial, coordinate, triplet, hidden_v3, hidden_b0, moved) -> None:
    mistakes = {
        12_288: "The batch normalization has two numbers for each of its channels.",
        8_224: "Rows and columns share the first layer. Does each have a layer back?",
    }
    number(coordinate, 12_320, "coordinate", mistakes)
    mistakes = {
        100: "That is one of the three.",
        294: "Each batch normalization has a weight and a bias.",
        153: "Each convolution reads two maps.",
    }
    number(triplet, 300, "triplet", mistakes)
    swapped = "Which channels are divided by 4, those of the input or those that are gated?"
    number(hidden_v3, 120, "hidden_v3", {20: swapped})
    number(hidden_b0, 20, "hidden_b0", {120: swapped})
    mistakes = {
        9_834_496: "That is one of the two: queries with keys, then weights with values.",
        100_352: "Every position looks at every position.",
    }
    number(moved, 19_668_992, "moved", mistakes)
    trial.stamp("Stamp of your answers", coordinate, triplet, hidden_v3, hidden_b0, moved)


@exercise("12.2", "One pool for two")
def one_pool_for_two(trial: Trial, soft_pool) -> None:
    for shape, sharpness in (
        ((2, 5, 4, 3), 0.0),
        ((3, 4, 3, 5), 0.8),
        ((2, 3, 1, 6), -1.5),
        ((1, 6, 4, 4), 4.0),
        ((2, 4, 5, 2), 4000.0),
    ):
        x = trial.features(*shape)
        right = pooled(x, (sharpness * x).flatten(2).softmax(dim=2))
        mean = x.mean(dim=(2, 3), keepdim=True)
        mistakes = [
            (mean, "That is the average. `sharpness` has no effect."),
            (pooled(x, x.flatten(2).softmax(dim=2)), "`sharpness` multiplies the scores."),
            (
                pooled(x, (sharpness * x).softmax(dim=1).flatten(2)),
                "The softmax runs over the channels. It has to run over the positions.",
            ),
            (right / x[0, 0].numel(), "The weights add up to 1 already: sum, and do not average."),
        ]
        got = trial.call(soft_pool, x, sharpness)
        if sharpness > 1000 and not trial.tensor(got).isfinite().all():
            raise Wrong(
                f"With the sharpness {sharpness:.0f} there are values that are not finite: `exp` "
                "of a large number overflows. `softmax` takes off the largest score first."
            )
        name = f"With the sharpness {sharpness}, your result"
        trial.show(f"Sharpness {sharpness}", trial.compare(got, right, name, mistakes))


def pooled(x: Tensor, weights: Tensor) -> Tensor:
    """The sum over the positions with these weights: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``."""
    return (x.flatten(2) * weights).sum(dim=2)[:, :, None, None]


@exercise("12.3", "A gate that costs nothing")
def gate_that_costs_nothing(trial: Trial, fold) -> None:
    for inputs, outputs, kernel, bias in ((6, 4, 1, False), (5, 5, 3, True), (4, 7, 1, True)):
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        conv = trial.fill(conv)
        gate = 0.1 + trial.rand(1, inputs, 1, 1)
        x = trial.features(2, inputs, 5, 4)
        before = deepcopy(conv.state_dict())
        folded = trial.call(fold, conv, gate)
        live = gate.clone()
        later = fold(conv, live)  # `call` hands over a copy
        live.zero_()
        with torch.no_grad():
            right, *mistakes = what_fold_may_give(conv, gate, x, before)
            trial.expect(
                all(torch.equal(value, before[name]) for name, value in conv.state_dict().items()),
                "The convolution that was handed over has changed: other code may use it. Work "
                "on a copy, such as `copy.deepcopy(conv)`.",
            )
            name = "What your convolution makes of x"
            got = trial.compare(applied(trial, folded, x), right, name, mistakes)
            trial.expect(
                close(applied(trial, later, x), right),
                "The values are right, but they change when `gate` changes after `fold`. Multiply "
                "it into the weights once and for all.",
            )
        trial.show(f"{inputs} to {outputs} channels", got)


def applied(trial: Trial, folded: object, x: Tensor) -> Tensor:
    """What a module of any dtype, or a function, makes of ``x``."""
    folded = folded.double() if isinstance(folded, nn.Module) else folded
    return trial.tensor(trial.call(folded, x), "What your convolution makes of x")


def what_fold_may_give(conv: nn.Conv2d, gate: Tensor, x: Tensor, given: dict) -> list:
    """The right features, then pairs of wrong ones and a message."""
    weight, bias = given["weight"], given.get("bias")

    def made(weight: Tensor, bias: Tensor | None = bias) -> Tensor:
        return F.conv2d(x, weight, bias, padding=conv.padding)

    mistakes = [
        (made(weight * gate, None), "The bias has got lost."),
    ]
    if len(weight) == gate.numel():
        turned = made(weight * gate.transpose(0, 1))
        axis = "The gate weighs the inputs, and so axis 1 of the weights `[C_out, C_in, k, k]`."
        scaled = made(weight * gate, bias * gate.flatten())
        mistakes += [(turned, axis), (scaled, "The bias is added behind the gate: leave it alone.")]
    return [made(weight * gate), *mistakes]


BOTH_AXES = (
    "2 bugs are left. The norm is one of each channel, over its positions, and the mean is one of "
    "the norms of all channels: both run over other axes."
)
ONE_AXIS = "`n` is 1 for all channels: the norm or the mean still runs over the wrong axis."
IDENTITY = "With `gamma` and `beta` zero, the block should be the identity."


@exercise("12.4", "A norm over what?")
def norm_over_what(trial: Trial, grn) -> None:
    # In features as small as the last the 1e-6 counts.
    for shape, scale in (((2, 5, 4, 3), 1), ((3, 4, 6, 6), 1), ((1, 6, 2, 5), 1e-6)):
        x = scale * trial.features(*shape)
        gamma, beta = trial.randn(shape[1]) / scale, trial.randn(shape[1])
        weight, shift = gamma.view(1, -1, 1, 1), beta.view(1, -1, 1, 1)

        def given(
            columns: bool, same: bool, bare: bool, x: Tensor = x, w: Tensor = weight,
            s: Tensor = shift,
        ) -> Tensor:  # fmt: skip
            norm = x.norm(dim=(1, 2) if columns else (2, 3), keepdim=True)
            n = norm / (norm.mean(dim=-1 if same else 1, keepdim=True) + 1e-6)
            return w * n * x + s + (0 if bare else x)

        right = given(False, False, False)
        norms = x.norm(dim=(2, 3), keepdim=True)
        shared_mean = x + weight * norms / (norms.mean() + 1e-6) * x + shift
        mistakes = [
            (given(True, True, True), AS_IT_CAME),
            (given(True, True, False), BOTH_AXES),
            (given(True, False, False), ONE_AXIS),
            (given(True, False, True), f"2 bugs are left. {ONE_AXIS} {IDENTITY}"),
            (given(False, False, True), IDENTITY),
            (shared_mean, "The mean runs over the images of the batch too: each has its own."),
        ]
        got = trial.call(grn, x, gamma, beta)
        got = trial.compare(got, right, "Your result", mistakes)
        zero = torch.zeros_like(gamma)
        trial.expect(close(trial.tensor(trial.call(grn, x, zero, zero)), x), IDENTITY)
        trial.show("Features", got)
