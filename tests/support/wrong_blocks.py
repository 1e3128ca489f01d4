"""Wrong attention blocks, each of which differs from a right one in a line or two.

``WRONG`` names for each how it is made, and the code of the finding that has to name the mistake.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F


class Right(nn.Module):
    """A right CBAM, in parts that the wrong ones replace."""

    def __init__(self, channels, reduction=16, kernel_size=7):
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(),
            nn.Linear(hidden, channels, bias=False),
        )  # fmt: skip
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def average(self, x):
        return x.mean((2, 3))

    def maximum(self, x):
        return x.amax((2, 3))

    def channel_scores(self, x):
        return self.mlp(self.average(x)) + self.mlp(self.maximum(x))

    def channel_gate(self, scores):
        return scores.sigmoid()

    def channel(self, x):
        return self.channel_gate(self.channel_scores(x))[:, :, None, None]

    def planes(self, x):
        return torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)

    def spatial_gate(self, scores):
        return scores.sigmoid()

    def spatial(self, x):
        return self.spatial_gate(self.conv(self.planes(x)))

    def forward(self, x):
        x = x * self.channel(x)
        return x * self.spatial(x)


def wrong(**parts):
    """A class like :class:`Right` with some of its methods replaced."""
    return type("Wrong", (Right,), parts)


class RatioIgnored(Right):
    def __init__(self, channels, ratio=16):
        super().__init__(channels, 16)


class Unshared(Right):
    def __init__(self, channels, reduction=16):
        super().__init__(channels, reduction)
        self.other = Right(channels, reduction).mlp

    def channel_scores(self, x):
        return self.mlp(self.average(x)) + self.other(self.maximum(x))


class Joined(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.mlp[0] = nn.Linear(2 * channels, channels // 16, bias=False)

    def channel_scores(self, x):
        return self.mlp(torch.cat([self.average(x), self.maximum(x)], 1))


def layers(*kept):
    """A CBAM whose MLP consists of these layers of linear, ReLU, linear: 0, 1, 2."""

    def make(channels):
        block = Right(channels)
        block.mlp = nn.Sequential(*(block.mlp[one] for one in kept))
        return block

    return make


class InAList(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.kept = [self.mlp]
        del self.mlp

    def channel_scores(self, x):
        mlp = self.kept[0].to(x)
        return mlp(self.average(x)) + mlp(self.maximum(x))


class PlainTensors(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.first, self.second = (self.mlp[n].weight.detach().clone() for n in (0, 2))
        del self.mlp

    def mlp_of(self, v):
        return F.linear(F.relu(F.linear(v, self.first.to(v))), self.second.to(v))

    def channel_scores(self, x):
        return self.mlp_of(self.average(x)) + self.mlp_of(self.maximum(x))


class Unused(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = nn.Parameter(torch.ones(1))


class BatchStatistics(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)

    def spatial(self, x):
        return self.norm(self.conv(self.planes(x))).sigmoid()


class EvenKernel(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv = nn.Conv2d(2, 1, 4, padding="same", bias=False)


class OnePlane(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv = nn.Conv2d(1, 1, 7, padding=3, bias=False)

    def planes(self, x):
        return x.mean(1, keepdim=True) + x.amax(1, keepdim=True)


class EcaTwice(nn.Module):
    def __init__(self, channels, k_size=3):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, k_size, padding=k_size // 2, bias=False)

    def forward(self, x):
        y = self.conv(x.mean((2, 3))[:, None]) + self.conv(x.mean((2, 3))[:, None])
        return x * y.transpose(1, 2)[..., None].sigmoid()


class EcaKernelIgnored(nn.Module):
    def __init__(self, channels, kernel_size=3):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        return x * self.conv(x.mean((2, 3))[:, None]).transpose(1, 2)[..., None].sigmoid()


class KernelIgnored(EcaKernelIgnored):
    """The kernel is the only argument."""

    def __init__(self, kernel_size):
        super().__init__(None)


class Blended(Right):
    def __init__(self, channels):
        super().__init__(channels)
        self.share = nn.Parameter(torch.tensor(0.5))

    def channel_scores(self, x):
        mean, top = self.mlp(self.average(x)), self.mlp(self.maximum(x))
        return self.share * mean + (1 - self.share) * top


class NewLayerEachCall(Right):
    def channel_scores(self, x):
        mlp = Right(x.shape[1]).mlp.to(x)
        return mlp(self.average(x)) + mlp(self.maximum(x))


def mean_of_batch(self, x):
    return x.mean((0, 2, 3)).expand(len(x), -1)


def window(self, x):
    return x[:, :, :4, :4].amax((2, 3))


def sum_of_maps(self, x):
    return x * self.channel(x) + x * self.spatial(x)


def in_place(self, x):
    x *= self.channel(x)
    return x * self.spatial(x)


def by_row(self, x):
    rows = x.mean(2).mT, x.amax(2).mT
    return (self.mlp(rows[0]) + self.mlp(rows[1])).mT


def by_row_forward(self, x):
    x = x * self.channel_scores(x).sigmoid()[:, :, None]
    return x * self.spatial(x)


def sigmoids(self, x):
    return self.mlp(self.average(x)).sigmoid(), self.mlp(self.maximum(x)).sigmoid()


def overwritten(self, x):
    x = self.conv(self.planes(x))
    return x * x.sigmoid()


def spatial_last(self, x):
    return self.spatial(x * self.channel(x))


def no_grad_channel(self, x):
    with torch.no_grad():
        return Right.channel(self, x)


def _(function):
    return lambda self, x: function(x)


WRONG = {
    # The channel half.
    "ratio ignored": (RatioIgnored, "ignored-argument"),
    "average added twice": (
        wrong(channel_scores=lambda s, x: s.mlp(s.average(x)) + s.mlp(s.average(x))),
        "max-missing",
    ),
    "maximum added twice": (wrong(average=Right.maximum), "avg-missing"),
    "two MLPs": (Unshared, "unshared-mlp"),
    "pools added before the MLP": (
        wrong(channel_scores=lambda s, x: s.mlp(s.average(x) + s.maximum(x))),
        "pools-before-mlp",
    ),
    "pools joined in one MLP": (Joined, "pools-joined"),
    "scores multiplied": (
        wrong(channel_scores=lambda s, x: s.mlp(s.average(x)) * s.mlp(s.maximum(x))),
        "scores-multiplied",
    ),
    "scores with different weights": (Blended, "unshared-mlp"),
    "no ReLU": (layers(0, 2), "no-relu"),
    "ReLU first": (layers(1, 0, 2), "relu-first"),
    "ReLU last": (layers(0, 1, 2, 1), "relu-last"),
    "no sigmoid on the channel map": (wrong(channel_gate=_(lambda x: x)), "no-sigmoid"),
    "tanh on the channel map": (wrong(channel_gate=_(torch.tanh)), "tanh"),
    "1 + tanh": (wrong(channel_gate=_(lambda x: 1 + x.tanh())), "gate-range"),
    "softmax over channels": (wrong(channel_gate=_(lambda x: x.softmax(1))), "softmax"),
    "two sigmoids on the channel map": (
        wrong(channel_gate=_(lambda x: x.sigmoid().sigmoid())), "two-sigmoids",
    ),
    "a sigmoid on each score": (
        wrong(
            channel_scores=lambda s, x: sum(sigmoids(s, x)),
            channel_gate=_(lambda x: x),
        ),
        "gate-range",
    ),
    "a sigmoid on each score and one on their sum": (
        wrong(channel_scores=lambda s, x: sum(sigmoids(s, x))), "two-sigmoids",
    ),
    "product of two sigmoids": (
        wrong(
            channel_scores=lambda s, x: torch.mul(*sigmoids(s, x)),
            channel_gate=_(lambda x: x),
        ),
        "product-twice",
    ),
    "twice the sigmoid": (wrong(channel_gate=_(lambda x: 2 * x.sigmoid())), "gate-range"),
    "average over the batch": (wrong(average=mean_of_batch), "batch"),
    "sum instead of average": (wrong(average=_(lambda x: x.sum((2, 3)))), "sum-pool"),
    "maximum of a window": (wrong(maximum=window), "not-global"),
    "a map for each column": (wrong(channel_scores=by_row, forward=by_row_forward), "wrong-axis"),
    "standard deviation": (
        wrong(maximum=_(lambda x: x.std((2, 3), correction=0))), "other-statistic",
    ),
    "no hidden unit": (partial(Right, reduction=128), "constant-gate"),
    # The spatial half.
    "average to both planes": (
        wrong(planes=_(lambda x: x.mean(1, keepdim=True).repeat(1, 2, 1, 1))), "max-missing",
    ),
    "maximum to both planes": (
        wrong(planes=_(lambda x: x.amax(1, keepdim=True).repeat(1, 2, 1, 1))), "avg-missing",
    ),
    "planes added": (OnePlane, "pools-added"),
    "no sigmoid on the spatial map": (wrong(spatial_gate=_(lambda x: x)), "no-sigmoid"),
    "score times its own sigmoid": (
        wrong(spatial=overwritten, forward=spatial_last), "own-score",
    ),
    "two sigmoids on the spatial map": (
        wrong(spatial_gate=_(lambda x: x.sigmoid().sigmoid())), "two-sigmoids",
    ),
    "softmax over positions": (
        wrong(spatial_gate=_(lambda x: x.flatten(2).softmax(2).view_as(x))), "softmax",
    ),
    "ReLU before the spatial sigmoid": (
        wrong(spatial_gate=_(lambda x: x.relu().sigmoid())), "relu-last",
    ),
    "kernel of 49": (partial(Right, kernel_size=49), "kernel-too-large"),
    "even kernel": (EvenKernel, "off-center"),
    "squares of the features": (
        wrong(planes=_(lambda x: torch.cat([x.square().mean(1, True), x.amax(1, True)], 1))),
        "other-statistic",
    ),
    # The products.
    "residual": (wrong(forward=lambda s, x: x + Right.forward(s, x)), "residual"),
    "map added to the features": (
        wrong(forward=lambda s, x: x + s.spatial(x * s.channel(x))), "map-added",
    ),
    "channel product missing": (
        wrong(forward=lambda s, x: x * s.spatial(x * s.channel(x))), "product-missing",
    ),
    "spatial product missing": (
        wrong(forward=lambda s, x: x * s.channel(x) + 0 * s.spatial(x)), "no-gradient",
    ),
    "channel product twice": (
        wrong(forward=lambda s, x: x * s.channel(x) ** 2 * s.spatial(x * s.channel(x))),
        "product-twice",
    ),
    "features twice": (
        wrong(forward=lambda s, x: x * Right.forward(s, x)), "features-twice",
    ),
    "maps added": (wrong(forward=sum_of_maps), "sum-of-maps"),
    "spatial map from the sum of both": (
        wrong(forward=lambda s, x: x * s.channel(x) * s.spatial(x + x * s.channel(x))),
        "composition",
    ),
    "spatial map from the channel map": (
        wrong(forward=lambda s, x: x * s.channel(x) * s.spatial(s.channel(x).expand_as(x))),
        "constant-gate",
    ),
    # The module.
    "layers in a list": (InAList, "hidden-weights"),
    "plain tensors": (PlainTensors, "hidden-weights"),
    "unused parameter": (Unused, "no-gradient"),
    "channel map without gradient": (wrong(channel=no_grad_channel), "no-gradient"),
    "detached map": (
        wrong(channel_scores=lambda s, x: Right.channel_scores(s, x.detach())),
        "gradient",
    ),
    "dropout always on": (
        wrong(channel_gate=_(lambda x: F.dropout(x.sigmoid(), 0.5))), "random",
    ),
    "a new layer on each call": (NewLayerEachCall, "random"),
    "input changed in place": (wrong(forward=in_place), "changes-input"),
    "statistics of the batch": (BatchStatistics, "batch"),
    # Relatives.
    "ECA of the average twice": (EcaTwice, "max-missing"),
    "ECA's kernel ignored": (partial(EcaKernelIgnored, kernel_size=9), "ignored-argument"),
    "ECA's only argument ignored": (partial(KernelIgnored, kernel_size=9), "ignored-argument"),
}  # fmt: skip
