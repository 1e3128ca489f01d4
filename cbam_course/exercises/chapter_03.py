"""The exercises of chapter 3, channel attention in its two modes."""

import torch
from torch import Tensor

from cbam_course.attention import ECA, ChannelAttention

from .framework import exercise
from .matching import count_parameters, match
from .trial import Mistakes, Trial, close, difference
from .values import weights

BOTH = ("avg", "max")


@exercise("3.1", "At a distance")
def at_a_distance(trial: Trial, W1, W2) -> None:
    W1, W2 = weights(W1, (2, 8), "W1"), weights(W2, (8, 2), "W2")
    x = trial.features(4, 8, 5, 3)
    z = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))])
    apart = torch.zeros_like(z)
    apart[:, 0] = z[:, 6] - z[:, 7]
    too_late = torch.zeros_like(z)
    too_late[:, 0] = z[:, 6].relu() - z[:, 7].relu()
    one_unit = "One unit is not enough: a ReLU makes the difference 0 where it is negative."
    mistakes = [
        (apart, "The score of channel 0 is negative where channel 7 is larger."),
        (apart.relu(), one_unit),
        ((-apart).relu(), one_unit),
        (
            apart.abs()[:, :1].expand_as(apart),
            "The other channels get the score of channel 0 too. Which rows of `W2` should be zero?",
        ),
        (
            too_late,
            "Each unit reads one channel: a ReLU of a difference is wanted, not the reverse.",
        ),
    ]
    scores = (z @ W1.T).relu() @ W2.T
    scores = trial.compare(scores, apart.abs(), "Scores, [vector, channel]: yours", mistakes)
    trial.show("Gates of channel 0", (scores[:4] + scores[4:]).sigmoid()[:, 0])


@exercise("3.2", "Write the map")
def write_the_map(trial: Trial, channel_map) -> None:
    cases = ((8, 12, 3, 5, 4), (1, 6, 6, 3, 3), (3, 8, 2, 1, 6))
    for batch, channels, hidden, height, width in cases:
        truth = ChannelAttention(channels, channels // hidden, layer="linear")
        trial.fill(truth)
        x = trial.features(batch, channels, height, width)
        weights = truth.mlp[0].weight.detach(), truth.mlp[2].weight.detach()
        got = trial.call(channel_map, x, *weights)
        expected = truth.attention_map(x)
        got = trial.compare(got, expected, "Your map", mistakes_of_the_map(truth, x))
        trial.show(f"Map of {channels} channels", got)


def mistakes_of_the_map(truth: ChannelAttention, x: Tensor) -> Mistakes:
    """Maps with one mistake each, and what to say of it."""
    average, maximum = x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
    a, m = truth.mlp(average), truth.mlp(maximum)
    first, _, second = truth.mlp
    known = [
        (truth.mlp(average + maximum).sigmoid(), "You add averages and maxima before the MLP."),
        ((a + a).sigmoid(), "Your map does not change with the maxima."),
        (second(first(average + maximum)).sigmoid(), "No ReLU is between the two layers."),
        (a.sigmoid() + m.sigmoid(), "Add first, then take the sigmoid: one for the sum."),
    ]
    return [(wrong[:, :, None, None], message) for wrong, message in known]


@exercise("3.3", "Right where it was tried")
def right_where_it_was_tried(trial: Trial, Repaired) -> None:
    x = trial.features(2, 64, 14, 14)
    kernel_size = count_parameters(trial, trial.call(Repaired, 64, 9), x)
    trial.expect(
        kernel_size == 9,
        f"Made for 64 channels with kernel_size=9, the block has {kernel_size} parameters. Who "
        "obeys the argument? There is one kernel, no bias.",
    )
    # Maps that a window of 7 fits into come first: on them its mistake can be named.
    for sizes in ((14, 14), (9, 16)), ((3, 2), (7, 7)):
        for channels, asked in ((24, 5), (128, None), (6, 1), (40, None)):
            outputs = match(
                trial,
                trial.call(Repaired, channels, asked),
                ECA(channels, asked, pools=BOTH),
                [trial.features(2, channels, *size) for size in sizes],
                hint=f"With kernel_size={asked} and {channels} channels one kernel, and no bias.",
                flips={"conv.weight": 2},
                mistakes=mistakes_of_conv,
            )
            if sizes[0] == (14, 14):
                trial.show(f"{channels} channels, kernel_size={asked}", outputs[0])


def mistakes_of_conv(truth: ECA, x: Tensor) -> Mistakes:
    """Outputs of Conv blocks with one mistake each, and what to say of it."""
    average, corner = x.mean((2, 3)), x[:, :, :7, :7].amax((2, 3))

    def attention_map(one: Tensor, other: Tensor) -> Tensor:
        scores = truth.conv(one[:, None]) + truth.conv(other[:, None])
        return scores.sigmoid()[:, 0, :, None, None]

    of_a_corner = "The maximum is looked for in the first 7 x 7 positions of each map only."
    return [
        (x * attention_map(average, corner), of_a_corner),
        (x * attention_map(average, average), "The maximum does not arrive any more."),
    ]


@exercise("3.4", "Twins")
def twins(trial: Trial, twin) -> None:
    for channels, height, width in ((6, 5, 4), (9, 1, 2), (4, 3, 3)):
        x = trial.features(1, channels, height, width)
        conv = trial.fill(ECA(channels, 3, pools=BOTH))
        # One draw of weights may leave FC blind too: where all hidden units are above 0 for both.
        fcs = [trial.fill(ChannelAttention(channels, reduction=1)) for _ in range(20)]
        got = trial.tensor(trial.call(twin, x), "Your twin")
        trial.expect(got.shape == x.shape, f"Your twin {difference(got, x)}")
        trial.expect(not close(got, x), "Your twin is x itself. It should be another feature map.")
        right, sums = (f.mean(dim=(2, 3)) + f.amax(dim=(2, 3)) for f in (x, got))
        channel = int((sums - right).abs().argmax())
        trial.expect(
            close(sums, right),
            f"Conv tells them apart. Of channel {channel} it reads {right[0, channel]:.4g} in x "
            f"and {sums[0, channel]:.4g} in your twin: average plus maximum should stay.",
        )
        trial.expect(
            not close(got.mean(dim=(2, 3)), x.mean(dim=(2, 3))),
            "Your twin has the averages and the maxima of x: FC cannot tell them apart either.",
        )
        with torch.no_grad():
            gates = conv.attention_map(got)
            apart = max((fc.attention_map(got) - fc.attention_map(x)).abs().max() for fc in fcs)
        trial.expect(
            apart > 1e-4,
            "FC hardly tells them apart: with twenty random MLPs its map changes by less than "
            "0.0001. Change averages and maxima more.",
        )
        trial.show("Average plus maximum of your twin's channels", sums)
        trial.show("Conv's gates, made from your twin", gates)
