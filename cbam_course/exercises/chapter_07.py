"""The exercises of chapter 7, what attention costs."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import product

from torch import Tensor, nn

from cbam_course import cost
from cbam_course.attention import CBAM

from .errors import NotSolved, Wrong, learners_functions
from .framework import exercise
from .predictions import number
from .trial import Trial


@exercise("7.1", "Count by hand")
def count_by_hand(trial: Trial, depthwise, pointwise, mlp, spatial, parameters) -> None:
    stride = "`{}`: after the stride of 2 the map has 14 x 14 places."
    weights = "`{}`: that is how many weights there are. How often is each one used?"
    found = [
        number(
            depthwise,
            112_896,
            "depthwise",
            {
                7_225_344: "`depthwise`: with 64 groups each output reads one channel, not 64.",
                28_901_376: "`depthwise`: with 64 groups each output reads one channel, not 64.",
                451_584: stride.format("depthwise"),
                576: weights.format("depthwise"),
                12_544: "`depthwise`: each output is a sum of nine products.",
            },
        ),
        number(
            pointwise,
            1_605_632,
            "pointwise",
            {
                6_422_528: stride.format("pointwise"),
                8_192: weights.format("pointwise"),
                14_450_688: "`pointwise`: its kernel is 1x1.",
                802_816: "`pointwise`: it has 128 outputs at each place, not 64.",
                25_088: "`pointwise`: each output reads 64 channels.",
            },
        ),
        number(
            mlp,
            4_096,
            "mlp",
            {
                2_048: "`mlp`: it runs twice, for the averages and for the maxima.",
                1_024: "`mlp`: it has two layers, and runs twice.",
                4_368: "`mlp`: this one has no biases, and the rule counts none.",
                401_408: "`mlp`: it reads one vector, not one for each place.",
                802_816: "`mlp`: it reads one vector, not one for each place.",
            },
        ),
        number(
            spatial,
            19_208,
            "spatial",
            {
                9_604: "`spatial`: the convolution reads two maps.",
                38_416: "`spatial`: the convolution runs once, over two maps, and writes one.",
                76_832: stride.format("spatial"),
                98: weights.format("spatial"),
                1_229_312: "`spatial`: the convolution reads two maps, not 128 channels.",
            },
        ),
        number(
            parameters,
            10_914,
            "parameters",
            {
                12_962: "`parameters`: the MLP runs twice, but it is there once.",
                11_050: "`parameters`: this MLP has no biases.",
                47_202: "`parameters`: a depthwise filter has 3 x 3 weights, for one channel.",
                2_146: "`parameters`: that is CBAM. The two convolutions have some, too.",
                8_768: "`parameters`: those are the two convolutions. And CBAM?",
                1_741_832: "`parameters`: those are the multiply-accumulates.",
            },
        ),
    ]
    trial.stamp("Stamp of your five numbers", *found)


@exercise("7.2", "Read the layers")
def read_the_layers(trial: Trial, side, groups, hidden, calls, kernel_size, fc_macs) -> None:
    side = number(
        side,
        24,
        "side",
        {
            48: "`side`: 864 weights, each used at 48 x 48 places, would be 1,990,656.",
            576: "`side`: 576 places. How many in a row?",
            12: "`side`: 864 weights, each used at 12 x 12 places, would be 124,416.",
        },
    )
    groups = number(
        groups,
        4,
        "groups",
        {
            1: "`groups`: in one group `conv` would have 18,432 weights.",
            32: "`groups`: in 32 groups `conv` would have 576 weights.",
            8: "`groups`: each output reads 8 channels. How many groups of 8 are in 32?",
            16: "`groups`: each group writes 16 channels. How many groups of 16 are in 64?",
        },
    )
    hidden = number(
        hidden,
        8,
        "hidden",
        {
            16: "`hidden`: 64 times 16 is 1,024. Read the parameters, not the MACs.",
            4: "`hidden`: 64 times 4 is 256.",
        },
    )
    calls = number(
        calls, 2, "calls", {1: "`calls`: 512 weights take 512 MACs in one run. There are 1,024."}
    )
    kernel_size = number(
        kernel_size,
        5,
        "kernel_size",
        {
            7: "`kernel_size`: with two maps and a kernel of 7 there are 98 weights.",
            3: "`kernel_size`: with two maps and a kernel of 3 there are 18 weights.",
            25: "`kernel_size`: 25 weights a map. How many in a row?",
            50: "`kernel_size`: 50 weights for two maps.",
        },
    )
    fc_macs = number(
        fc_macs,
        640,
        "fc_macs",
        {
            650: "`fc_macs`: ten of the 650 parameters are biases, which multiply nothing.",
            1_280: "`fc_macs`: a multiply-accumulate is one, not two.",
            1_300: "`fc_macs`: a multiply-accumulate is one, not two.",
        },
    )
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
    networks = networks_to_count(trial)
    found, runs = {}, {}
    for name, (network, x) in networks.items():
        found[name] = integer(trial.call(count_macs, network, x), "`count_macs`")
        runs[name] = watched(network, x)
    right = {name: cost.count(network, inputs=x).macs for name, (network, x) in networks.items()}
    if found == right:
        for name, (network, x) in networks.items():
            again = integer(trial.call(count_macs, network, x), "`count_macs`")
            trial.expect(
                again == found[name],
                f"Asked for a second time, {name} takes {again:,} and no longer {found[name]:,}.",
            )
            left = learners_functions(lambda network=network, x=x: network(x))
            trial.expect(
                not left,
                f"Your `{left and left[0]}` still runs whenever {name} runs, long after the count: "
                "every hook has to be removed.",
            )
            trial.show(f"{name[0].upper()}{name[1:]}", [again])
        return
    for bugs in product((False, True), repeat=len(SYMPTOMS)):
        if found == {name: with_bugs(runs[name], bugs) for name in runs}:
            if all(bugs):
                raise NotSolved("The counter counts what it did when it came.")
            left = [text for text, there in zip(SYMPTOMS, bugs, strict=True) if there]
            raise Wrong(" ".join(left))
    for known, message in (
        ({name: 2 * macs for name, macs in right.items()}, TWICE),
        ({n: right[n] + sum(run.biases for run in runs[n]) for n in right}, BIASES),
        ({name: sum(run.weights for run in runs[name]) for name in right}, WEIGHTS),
    ):
        if found == known:
            raise Wrong(message)
    name = next(name for name in right if found[name] != right[name])
    raise Wrong(
        f"{name[0].upper()}{name[1:]}: you count {found[name]:,}; there are {right[name]:,}."
    )


SYMPTOMS = (
    "A convolution with a stride counts the places of its input, not those of its output.",
    "A convolution in groups counts as if there were one group.",
    "A layer that runs twice counts once.",
    "A convolution along the channels, a `Conv1d`, costs nothing.",
)
TWICE = "Your counts are twice the right ones: a multiply-accumulate is one, not two."
BIASES = "You count the biases, too. The rule counts products."
WEIGHTS = "You count each weight once. It is used at every place of the output."


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


def networks_to_count(trial: Trial) -> dict[str, tuple[nn.Module, Tensor]]:
    """Small networks, each with an input of one example."""

    def size(low: int = 5) -> tuple[int, int]:
        height = trial.integer(low, 9)
        return height, height + trial.integer(1, 3)

    c, d = 4 * trial.integer(1, 3), 4 * trial.integer(2, 5)
    networks = {
        "a plain network": (
            nn.Sequential(nn.Conv2d(c, d, 3, padding=1), nn.ReLU(), nn.Conv2d(d, 3, 1)),
            trial.features(1, c, *size()),
        ),
        "a convolution with stride 2": (
            nn.Conv2d(c, d, 3, stride=2, padding=1),
            trial.features(1, c, *size()),
        ),
        "a convolution without padding, kernel 3 x 5": (
            nn.Conv2d(c, d, (3, 5), bias=False),
            trial.features(1, c, *size()),
        ),
        "a convolution in four groups": (
            nn.Conv2d(c, d, 3, padding=1, groups=4),
            trial.features(1, c, *size()),
        ),
        "a depthwise convolution with dilation": (
            nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=c),
            trial.features(1, c, *size()),
        ),
        "a CBAM": (CBAM(d, reduction=4), trial.features(1, d, *size())),
        "a CBAM in mode conv": (CBAM(d, mode="conv"), trial.features(1, d, *size())),
        "a convolution that runs twice": (Twice(c), trial.features(1, c, *size())),
        "a network without weights": (nn.ReLU(), trial.features(1, c, *size())),
    }
    return {name: (trial.fill(network), x) for name, (network, x) in networks.items()}


class Run:
    """What one run of a layer takes."""

    def __init__(self, layer: nn.Module, x: Tensor, out: Tensor) -> None:
        self.layer = layer
        self.weights = layer.weight.numel()
        self.biases = 0 if layer.bias is None else out.numel()
        self.groups = getattr(layer, "groups", 1)
        self.before, self.after = math.prod(x.shape[2:]), math.prod(out.shape[2:])


def watched(network: nn.Module, x: Tensor) -> list[Run]:
    """Every run of a convolution or a linear layer, in order."""
    runs: list[Run] = []
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    hooks = [
        layer.register_forward_hook(
            lambda layer, inputs, out: runs.append(Run(layer, *inputs, out))
        )
        for layer in layers
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return runs


def with_bugs(runs: Iterable[Run], bugs: tuple[bool, ...]) -> int:
    """The count of a counter that has some of the bugs of the given one."""
    input_places, no_groups, once, no_conv1d = bugs
    counts: dict[nn.Module, int] = {}
    for run in runs:
        if no_conv1d and isinstance(run.layer, nn.Conv1d):
            continue
        macs = run.weights * (run.before if input_places else run.after)
        macs *= run.groups if no_groups else 1
        counts[run.layer] = macs if once else counts.get(run.layer, 0) + macs
    return sum(counts.values())


def integer(value: object, name: str) -> int:
    """The learner's number as Python's own integer."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Wrong(f"{name} should return a number; it returns {value!r}.") from None


BILLIONS = (10**9, 2**30)
RESNET50 = {"v1": 3_857_973_248, "v1.5": 4_089_184_256}


@exercise("7.4", "What they counted")
def what_did_they_count(trial: Trial, readings) -> None:
    cases = [(printed, RESNET50) for printed in ("3.86", "7.6", "4", "8", "5.0", "4.10")]
    cases += [drawn(trial, digits) for digits in (0, 1, 1, 2, 3)]
    cases += [with_zero_at_the_end(trial), *one_count_in_many_ways(trial)]
    answers = [returned(trial, readings, *case) for case in cases]
    if answers != [fits(*case) for case in cases]:
        raise Wrong(what_is_wrong(cases, answers))
    for (printed, counts), found in list(zip(cases, answers, strict=True))[:12]:
        total = sum(_number(reading, counts) for reading in sorted(found))
        trial.show(f'Readings of "{printed}", and their sum', [len(found), float(total)])


def fits(
    printed: str,
    counts: Mapping[str, int],
    *,
    digits: int | None = None,
    operations: Iterable[int] = (1, 2),
    billions: Iterable[int] = BILLIONS,
    cut: bool = False,
) -> set[tuple[str, int, int]]:
    """The readings that give what is printed; with the mistakes that one can make."""
    digits = len(printed.partition(".")[2]) if digits is None else digits
    found = set()
    for reading in product(counts, operations, billions):
        value = _number(reading, counts) * 10**digits
        whole = math.floor(value) if cut else math.floor(value + 0.5)
        if whole == round(float(printed) * 10**digits):
            found.add(reading)
    return found


def returned(trial: Trial, readings: Callable, printed: str, counts: Mapping) -> set[tuple]:
    """Call the learner's function and return its readings."""
    got = trial.call(readings, printed, dict(counts))
    try:
        found = {(name, per, unit) for name, per, unit in got}
        for name, per, unit in found:
            if name not in counts or per not in (1, 2) or unit not in BILLIONS:
                raise Wrong(
                    f"{_case(printed, counts)} you return {_told((name, per, unit))}, which is "
                    "none of the readings."
                )
    except (TypeError, ValueError):
        raise Wrong(
            f"`readings` should return a list of tuples of three, such as ('v1.5', 2, 2**30); it "
            f"returns {got!r}."
        ) from None
    return found


def what_is_wrong(cases: list[tuple[str, dict]], answers: list[set[tuple]]) -> str:
    """A mistake that explains all answers, else what is wrong with the first wrong one."""
    for mistake, message in (
        ({"cut": True}, "Printed numbers are rounded, not cut."),
        ({"billions": BILLIONS[:1]}, "You never try a billion of 2**30."),
        ({"billions": BILLIONS[1:]}, "You never try a billion of 10**9."),
        ({"operations": (1,)}, "You never try two operations for one MAC."),
        ({"operations": (2,)}, "You never try one operation for one MAC."),
        ({"digits": 1}, "You round to one digit, whatever is printed."),
        ({"digits": 2}, "You round to two digits, whatever is printed."),
        ({"digits": 3}, "You round to three digits, whatever is printed."),
    ):
        if answers == [fits(*case, **mistake) for case in cases]:
            return message
    of_float = [len(repr(float(printed)).partition(".")[2]) for printed, _ in cases]
    pairs = zip(cases, of_float, strict=True)
    if answers == [fits(*case, digits=digits) for case, digits in pairs]:
        return "Count the digits in the string: a float keeps no 0 at the end."
    case, found = next(
        pair for pair in zip(cases, answers, strict=True) if pair[1] != fits(*pair[0])
    )
    if missing := sorted(fits(*case) - found):
        also = ", too" if found else ""
        return f"{_case(*case)} {_told(missing[0])} fits{also}. You do not return it."
    extra = min(found - fits(*case))
    digits = len(case[0].partition(".")[2]) + 2
    value = _number(extra, case[1])
    return f"{_case(*case)} you return {_told(extra)}, which gives {value:.{digits}f}."


def drawn(trial: Trial, digits: int) -> tuple[str, dict[str, int]]:
    """A made-up network, and one of its readings as printed with so many digits."""
    while True:
        counts = {name: trial.integer(3 * 10**8, 2 * 10**10) for name in ("v1", "v1.5")}
        if trial.integer(0, 1):
            counts["v2"] = trial.integer(3 * 10**8, 2 * 10**10)
        reading = trial.choice(list(product(counts, (1, 2), BILLIONS)))
        if _far_from_ties(counts, digits):
            return f"{_number(reading, counts):.{digits}f}", counts


def with_zero_at_the_end(trial: Trial) -> tuple[str, dict[str, int]]:
    """A number such as "4.20", and a network that would be "4.2" but is "4.23"."""
    tenths = trial.integer(11, 95)
    macs = tenths * 10**8 + trial.integer(0, 3 * 10**6)
    return f"{tenths / 10:.2f}", {"v1": macs + 3 * 10**7, "v1.5": macs}


def one_count_in_many_ways(trial: Trial) -> list[tuple[str, dict[str, int]]]:
    """Every reading of one network, printed with two digits, and some numbers that are none."""
    while True:
        counts = {name: trial.integer(10**9, 9 * 10**9) for name in ("v1", "v1.5")}
        if _far_from_ties(counts, 2):
            break
    numbers = [_number(reading, counts) for reading in product(counts, (1, 2), BILLIONS)]
    numbers += [counts[name] * factor / 10**9 for name in counts for factor in (0.5, 3, 4)]
    numbers += [counts[name] / (2**10 * 10**6) for name in counts]
    return [(f"{value:.2f}", counts) for value in numbers]


def _number(reading: tuple[str, int, int], counts: Mapping[str, int]) -> float:
    name, operations, billion = reading
    return counts[name] * operations / billion


def _far_from_ties(counts: Mapping[str, int], digits: int) -> bool:
    """Whether every way of rounding gives the same for all readings."""
    values = (_number(r, counts) * 10**digits for r in product(counts, (1, 2), BILLIONS))
    return all(abs(value % 1 - 0.5) > 1e-4 for value in values)


def _case(printed: str, counts: Mapping[str, int]) -> str:
    return f'For "{printed}" and {counts}'


def _told(reading: tuple[str, int, int]) -> str:
    name, operations, billion = reading
    unit = {10**9: "10**9", 2**30: "2**30"}.get(billion, billion)
    return f"({name!r}, {operations}, {unit})"
