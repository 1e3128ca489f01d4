"""The exercises of chapter 7, what attention costs."""

from collections.abc import Mapping
from itertools import product

from torch import Tensor, nn

from cbam_course import cost
from cbam_course.attention import CBAM

from .errors import Wrong
from .framework import exercise
from .trial import Trial
from .values import number, returned_numbers


@exercise("7.1", "Count by hand")
def count_by_hand(trial: Trial, depthwise, pointwise, mlp, spatial, parameters) -> None:
    stride = "After the stride of 2 the map has 14 x 14 positions."
    weights = "That is how many weights there are. How often is each one used?"
    groups = "With 64 groups each output reads one channel, not 64."
    twice = "It runs twice, for the averages and for the maxima."
    once = "The MLP runs twice, but it is there once."
    number(depthwise, 112_896, "depthwise", {7_225_344: groups, 451_584: stride, 576: weights})
    number(pointwise, 1_605_632, "pointwise", {6_422_528: stride, 8_192: weights})
    number(mlp, 4_096, "mlp", {2_048: twice})
    number(spatial, 19_208, "spatial", {9_604: "The convolution reads two maps.", 98: weights})
    number(parameters, 10_914, "parameters", {12_962: once})
    found = (depthwise, pointwise, mlp, spatial, parameters)
    trial.stamp("Stamp of your five numbers", *found)


@exercise("7.2", "Read the layers")
def read_the_layers(trial: Trial, side, groups, hidden, calls, kernel_size, fc_macs) -> None:
    side = number(side, 24, "side", {576: "There are 576 positions. How many in a row?"})
    mistakes = {8: "Each output reads 8 channels. How many groups of 8 are in 32?"}
    groups = number(groups, 4, "groups", mistakes)
    hidden = number(hidden, 8, "hidden", {16: "Read the parameters, not the MACs."})
    calls = number(calls, 2, "calls", {1: "512 weights take 512 MACs in one run."})
    mistakes = {25: "There are 25 weights a map. How many in a row?"}
    kernel_size = number(kernel_size, 5, "kernel_size", mistakes)
    mistakes = {650: "Ten of the 650 parameters are biases, which multiply nothing."}
    fc_macs = number(fc_macs, 640, "fc_macs", mistakes)
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(32, 64, 3, stride=2, padding=1, groups=groups, bias=False),
        CBAM(64, reduction=64 // hidden, kernel_size=kernel_size),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, fc_macs // 64),
    )
    scores = trial.fill(network)(trial.features(2, 3, 2 * side, 2 * side))
    trial.show("Scores of a network made from your numbers", scores)
    trial.stamp("Stamp of your six answers", side, groups, hidden, calls, kernel_size, fc_macs)


@exercise("7.3", "A counter that was tried on one network")
def counter_of_macs(trial: Trial, count_macs) -> None:
    for name, network, x, hint in networks_to_count(trial):
        right = cost.count(network, x.shape[1:]).macs
        found, again = (
            returned_numbers(trial.call(count_macs, network, x), 1, "`count_macs`")[0]
            for _ in range(2)
        )
        message = f"{name}: you count {found:,.0f}; there are {right:,}. {hint}"
        trial.expect(found == right, message)
        left = any(module._forward_hooks for module in network.modules())
        trial.expect(
            again == found and not left,
            f"{name} is not as it was: a hook is left in it, or a second count gives another "
            "number. Every hook has to be removed.",
        )
        trial.show(name, [int(found)])


class Twice(nn.Module):
    """One convolution on a map, and again on what came out; then a linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d((2, 3))
        self.linear = nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, 3]``."""
        x = self.pool(self.convolution(x))
        return self.linear(self.convolution(x).mean(dim=(2, 3)))


def networks_to_count(trial: Trial) -> list[tuple[str, nn.Module, Tensor, str]]:
    """Names, networks, an input of one example for each, and what a wrong count may mean.

    The given counter is right for the first and for the last one only.
    """
    c, d = 4 * trial.integer(1, 3), 4 * trial.integer(2, 5)
    positions = "The positions are those of the output, not of the input."
    groups = "With groups each output reads some of the channels."
    runs = "A layer that runs twice counts twice."
    along = "It has a convolution along the channels, a `Conv1d`, that runs twice."
    plain = nn.Sequential(nn.Conv2d(c, d, 3, padding=1), nn.ReLU(), nn.Conv2d(d, 3, 1))
    depthwise = nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=c)
    rows = (
        ("A plain network", plain, "Products count: one for each weight at each position."),
        ("A convolution with stride 2", nn.Conv2d(c, d, 3, stride=2, padding=1), positions),
        ("A convolution without padding, kernel 3 x 5", nn.Conv2d(c, d, (3, 5)), positions),
        ("A convolution in four groups", nn.Conv2d(c, d, 3, padding=1, groups=4), groups),
        ("A depthwise convolution with dilation", depthwise, groups),
        ("A CBAM", CBAM(d, reduction=4), runs),
        ("A CBAM in mode conv", CBAM(d, mode="conv"), along),
        ("A convolution that runs twice", Twice(c), runs),
        ("A network without weights", nn.ReLU(), ""),
    )
    found = []
    for name, network, hint in rows:
        height = trial.integer(5, 9)
        channels = d if "CBAM" in name else c
        x = trial.features(1, channels, height, height + trial.integer(1, 3))
        found.append((name, network.double().eval(), x, hint))
    return found


BILLIONS = (10**9, 2**30)
RESNET50 = {"v1": 3_857_973_248, "v1.5": 4_089_184_256}
Reading = tuple[str, int, int]


@exercise("7.4", "What they counted")
def what_did_they_count(trial: Trial, readings) -> None:
    cases = [(printed, RESNET50) for printed in ("3.86", "7.6", "4", "8", "5.0", "4.10")]
    cases += [drawn(trial, digits) for digits in (0, 1, 1, 2, 3)]
    cases.append(with_zero_at_the_end(trial))
    cases += [(f"{number_of(each, RESNET50):.2f}", RESNET50) for each in readings_of(RESNET50)]
    cases += [(printed, RESNET50) for printed in ("1.93", "2.04", "11.57", "16.36")]
    for k, (printed, counts) in enumerate(cases):
        got = trial.call(readings, printed, dict(counts))
        try:
            found = {(name, operations, billion) for name, operations, billion in got}
        except (TypeError, ValueError):
            raise Wrong(
                "`readings` should return a list of tuples of three, such as ('v1.5', 2, 2**30)."
            ) from None
        about = f'For "{printed}" and {counts}:'
        right = {reading for reading in readings_of(counts) if fits(printed, reading, counts)}
        if missing := right - found:
            raise Wrong(f"{about} {min(missing)} fits, and you do not return it.")
        for reading in found - right:
            raise Wrong(f"{about} {reading} does not fit, and you return it.")
        if k < 12:
            total = sum(number_of(reading, counts) for reading in sorted(found))
            trial.show(f'Readings of "{printed}", and their sum', [len(found), float(total)])


def readings_of(counts: Mapping[str, int]) -> list[Reading]:
    """All readings there are of these counts, whatever is printed."""
    return list(product(counts, (1, 2), BILLIONS))


def number_of(reading: Reading, counts: Mapping[str, int]) -> float:
    """The number of billions that a reading gives."""
    name, operations, billion = reading
    return counts[name] * operations / billion


def fits(printed: str, reading: Reading, counts: Mapping[str, int]) -> bool:
    """Whether a reading gives what is printed, rounded to as many digits."""
    digits = len(printed.partition(".")[2])
    return f"{number_of(reading, counts):.{digits}f}" == printed


def drawn(trial: Trial, digits: int) -> tuple[str, dict[str, int]]:
    """A made-up network, and one of its readings as printed with so many digits."""
    counts = {name: trial.integer(3 * 10**8, 2 * 10**10) for name in ("v1", "v1.5")}
    if trial.integer(0, 1):
        counts["v2"] = trial.integer(3 * 10**8, 2 * 10**10)
    return f"{number_of(trial.choice(readings_of(counts)), counts):.{digits}f}", counts


def with_zero_at_the_end(trial: Trial) -> tuple[str, dict[str, int]]:
    """A number such as "4.20", and a network that would be "4.2" but is "4.23"."""
    tenths = trial.integer(11, 95)
    macs = tenths * 10**8 + trial.integer(0, 3 * 10**6)
    return f"{tenths / 10:.2f}", {"v1": macs + 3 * 10**7, "v1.5": macs}
