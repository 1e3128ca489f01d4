"""The exercises of chapter 9, does it help?"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import optimize, special, stats
from torch import Tensor

from cbam_course.records.statistics import mean_interval
from cbam_course.records.tables import COLUMNS

from .errors import NotSolved, Wrong
from .framework import exercise
from .predictions import number, numbers
from .trial import Trial, close

TRIPLE = "should return three numbers, (mean, low, high)"


@exercise("9.1", "Pairs of runs")
def pairs_of_runs(trial: Trial, mean_a, mean_b, runs_apart, differences_apart, settled) -> None:
    mean_a = number(
        mean_a,
        3,
        "mean_a",
        {
            66: "`mean_a`: 66 is the mean accuracy with A. How much is it above the runs without?",
            12: "`mean_a`: 12 is the sum of the differences.",
            -3: "`mean_a`: the difference is positive where the block has done better.",
        },
    )
    mean_b = number(
        mean_b,
        2,
        "mean_b",
        {
            1: "`mean_b`: the mean without a block has a run in it that B has no partner for.",
            6: "`mean_b`: 6 is the sum of the differences.",
            1.5: "`mean_b`: a seed that was not run is no difference of 0.",
            64: "`mean_b`: 64 is the mean accuracy with B.",
            -2: "`mean_b`: the difference is positive where the block has done better.",
        },
    )
    runs_apart = number(
        runs_apart,
        11,
        "runs_apart",
        {
            12: "`runs_apart`: the runs with A lie 12 points apart. Asked are those without.",
            5: "`runs_apart`: the first and the last are 5 points apart. The best and the worst?",
        },
    )
    differences_apart = number(
        differences_apart,
        2,
        "differences_apart",
        {
            4: "`differences_apart`: 4 is the largest difference. How far is it from the smallest?",
            1: "`differences_apart`: the first and the last are 1 apart. The largest and smallest?",
            12: "`differences_apart`: the runs with A lie 12 points apart. Subtract pair by pair.",
        },
    )
    settled = numbers(
        settled,
        (2, 4),
        "settled",
        "To each side of its mean an interval reaches t times s, divided by the square root of n. "
        "Does it contain 0?",
    )
    weights = trial.rand(7)
    trial.show(
        "Sum of the numbers drawn for results that you call settled", weights[[*settled]].sum()
    )
    answers = (mean_a, mean_b, runs_apart, differences_apart)
    trial.stamp("Stamp of your answers", *answers, *settled)


# 9.2 The interval.


@exercise("9.2", "The interval")
def the_interval(trial: Trial, interval) -> None:
    for count, level in ((3, None), (8, 0.95), (5, 0.9), (30, 0.99), (2, None)):
        differences = some_differences(trial, count)
        arguments = () if level is None else (level,)
        got = trial.call(interval, differences.copy(), *arguments)
        got = read_limits(got, "`interval`")
        expected = limits(differences, level or 0.95)
        about = f"For {count} differences at a level of {level or 0.95:.0%}"
        mistakes = partial(mistakes_of_intervals, differences, level or 0.95)
        compare_limits(trial, got, expected, about, mistakes)
        trial.show(f"{count} differences, {level or 0.95:.0%}", got)
    one = some_differences(trial, 1)
    got = read_limits(trial.call(interval, one.copy()), "`interval`")
    compare_limits(trial, got, limits(one, 0.95), "For a single difference")
    trial.show("A single difference", got[:1])


def some_differences(trial: Trial, count: int) -> np.ndarray:
    """Differences whose mean is not their median, and whose intervals need not contain 0."""
    middle, spread = 2 * trial.randn(1), 0.5 + trial.rand(1)
    return (middle + spread * (trial.randn(count) + trial.randn(count) ** 2)).numpy()


def limits(differences: np.ndarray, level: float = 0.95, quantile: float | None = None) -> Tensor:
    """The mean and the limits: NaN if there is one difference only."""
    n = len(differences)
    mean = differences.mean()
    if n < 2:
        return torch.tensor([mean, math.nan, math.nan], dtype=torch.float64)
    half = stats.t.ppf((1 + level) / 2, n - 1) * differences.std(ddof=1) / n**0.5
    return around(mean, half)


def around(mean: float, half: float) -> Tensor:
    return torch.tensor([mean, mean - half, mean + half], dtype=torch.float64)


def mistakes_of_intervals(d: np.ndarray, level: float) -> list[tuple[Tensor, str]]:
    """What mistakes give, and what to say of them."""
    n, mean, s = len(d), d.mean(), d.std(ddof=1)
    error, tail = s / n**0.5, (1 + level) / 2
    t = stats.t.ppf(tail, n - 1)
    z = stats.norm.ppf(tail)
    normal = "That is the interval of the normal distribution. For few seeds t is larger."
    other_level = "The interval of 95 % comes out whatever the `level`."
    right = around(mean, t * error)
    return [
        (around(mean, z * error), normal),
        (around(mean, round(z, 2) * error), normal),
        (around(mean, 2 * error), "Two standard errors are a rule for many seeds. Where is t?"),
        (
            around(mean, t * d.std() / n**0.5),
            "The squares are divided by n. Of n differences, n - 1 are free to scatter.",
        ),
        (around(mean, t * s), "So far single differences scatter. How far does their mean?"),
        (
            around(mean, stats.t.ppf(level, n - 1) * error),
            f"The chance of {1 - level:.0%} outside is shared by two sides. Which part lies below "
            "the upper limit?",
        ),
        (around(mean, stats.t.ppf(tail, n) * error), "t has n - 1 degrees of freedom, not n."),
        (around(mean, stats.t.ppf(0.975, n - 1) * error), other_level),
        (around(mean, error), "That is the standard error alone. The interval takes t of them."),
        (around(mean, t * s**2 / n**0.5), "Take the square root of the variance."),
        (around(mean, t * s / n), "Divide s by the square root of n."),
        (around(mean, t * s / (n - 1) ** 0.5), "Divide s by the square root of n, not of n - 1."),
        (around(mean, t * error / 2), "The interval reaches t standard errors to *each* side."),
        (right[[0, 2, 1]], "The lower limit comes before the upper one."),
        (right[[1, 0, 2]], "The mean comes first, then the limits."),
        (right[[1, 2, 0]], "The mean comes first, then the limits."),
        (right - torch.tensor([0, mean, mean]), "The limits lie around the mean, not around 0."),
        (
            torch.tensor([mean, t * error, t * error], dtype=torch.float64),
            "The limits are the mean less and plus half the width.",
        ),
        (right + np.median(d) - mean, "The middle is the median. Take the mean."),
    ]


def read_limits(got: object, name: str) -> Tensor:
    """The learner's mean and limits, whatever they came in."""
    try:
        values = [as_float(value) for value in got]
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{name} {TRIPLE}. A limit that there is none of is `float('nan')`.") from None
    if len(values) != 3:
        raise Wrong(f"{name} {TRIPLE}; it returns {len(values)}.")
    return torch.tensor(values, dtype=torch.float64)


def as_float(value: object) -> float:
    """A number of the learner's as Python's own; words are none.

    Raises:
        TypeError, ValueError, RuntimeError: if it is no number.
    """
    if isinstance(value, str):
        raise TypeError("a word is no number")
    return float(value)


def compare_limits(
    trial: Trial,
    got: Tensor,
    expected: Tensor,
    about: str,
    mistakes: Callable[[], list[tuple[Tensor, str]]] = list,
) -> None:
    """Raise :class:`Wrong` if a mean or its limits are not the right ones."""
    told = ", ".join(f"{value:.4g}" for value in got.tolist())
    case = f"{about} you return {told}. "
    if expected.isnan().any():
        trial.expect(
            close(got[:1], expected[:1]), f"{case}The mean of a single difference is itself."
        )
        trial.expect(
            got[1:].isnan().all(),
            f"{case}One number says nothing about its own scatter: both limits are NaN.",
        )
        return
    if close(got, expected):
        return
    for wrong, message in mistakes():
        if not close(wrong, expected) and close(got, wrong):
            raise Wrong(case + message)
    right = ", ".join(f"{value:.4g}" for value in expected.tolist())
    if close(got[:1], expected[:1]):
        raise Wrong(f"{case}The mean is right; the whole should be {right}.")
    raise Wrong(f"{case}It should be {right}.")


# 9.3 A gain in every table.


class Run(NamedTuple):
    """A run of a table of epochs: its accuracies in the order of the rows, and by epoch."""

    seed: int
    rows: list[float]
    epochs: list[float]


Runs = dict[str, list[Run]]  # by variant, in the order of the rows


@exercise("9.3", "A gain in every table")
def gain_in_every_table(trial: Trial, gain) -> None:
    tables = [
        epochs_of(trial, count, lacking, order)
        for count, lacking, order in (
            (5, ((), ()), "sorted"),
            (6, ((1,), (4,)), "sorted"),
            (5, ((), ()), "runs"),
            (7, ((0, 5), (2,)), "rows"),
        )
    ]
    found = [mean_and_pairs(trial, gain, table) for table in tables]
    runs = [runs_of(table) for table in tables]
    right = [with_mistakes(each) for each in runs]
    if not same(found, right):
        raise_what_is_wrong(found, runs)
    single = epochs_of(trial, 2, ((0,), ()), "runs")
    got = mean_and_pairs(trial, gain, single)
    expected = with_mistakes(runs_of(single))
    trial.expect(
        same([got], [expected]),
        f"For a table with a single pair you return {told(got)}; it should be {told(expected)}.",
    )
    for k, (mean, pairs) in enumerate(found, 1):
        trial.show(f"Table {k}: mean difference and pairs", [mean, int(pairs)])


VARIANT, BASELINE, OTHER = "CBAM (FC)", "no attention", "SE"


def epochs_of(trial: Trial, count: int, lacking: tuple, order: str) -> pd.DataFrame:
    """A table as ``records.curves`` gives it.

    Args:
        trial: draws its numbers.
        count: how many seeds there are in all.
        lacking: of the variant and of the baseline, which of them are missing.
        order: "sorted", the "runs" in any order, or even the "rows".
    """
    seeds = sorted({3 * k + trial.integer(0, 2) for k in range(count)})
    epochs = trial.integer(4, 6)
    luck = (60 + 3 * trial.randn(count)).tolist()
    rows = []
    for variant, extra, missing in (
        (BASELINE, 0.0, lacking[1]),
        (OTHER, 5.0, ()),
        (VARIANT, 0.5, lacking[0]),
    ):
        for k, seed in enumerate(seeds):
            end = luck[k] + extra + float(trial.randn())
            better = end + 0.5 + 2 * float(trial.rand())
            accuracies = [*(end * (trial.rand(epochs - 2).sort().values * 0.4 + 0.5)).tolist()]
            accuracies += [better, end]
            if k not in missing:
                rows += [
                    {"variant": variant, "seed": seed, "epoch": epoch, "test_accuracy": accuracy}
                    for epoch, accuracy in enumerate(accuracies, 1)
                ]
    table = pd.DataFrame(rows)
    table.insert(0, "experiment", "made up")
    table["train_accuracy"] = table["test_accuracy"] + (5 + trial.rand(len(table))).numpy()
    if order == "runs":
        places = trial.rand(3, len(seeds)).argsort().argsort().tolist()
        place = dict(zip(product((BASELINE, OTHER, VARIANT), seeds), sum(places, []), strict=True))
        which = [place[run] for run in zip(table["variant"], table["seed"], strict=True)]
        table = table.iloc[np.argsort(which, kind="stable")].reset_index(drop=True)
    if order == "rows":
        table = table.iloc[trial.rand(len(table)).argsort().numpy()]
    return table


def runs_of(table: pd.DataFrame) -> Runs:
    """The runs of a variant and its baseline, in the order in which they first appear."""
    found: Runs = {}
    for variant in (VARIANT, BASELINE):
        rows = table[table["variant"] == variant]
        found[variant] = [
            Run(
                int(seed),
                run["test_accuracy"].tolist(),
                run.sort_values("epoch")["test_accuracy"].tolist(),
            )
            for seed, run in rows.groupby("seed", sort=False)
        ]
    return found


EPOCHS: dict[str, Callable[[Run], float]] = {
    "": lambda run: run.epochs[-1],
    "It takes the best epoch of each run: the test pictures have chosen it.": lambda run: max(
        run.epochs
    ),
    "It takes the last row of each run, which need not be its last epoch.": lambda run: run.rows[
        -1
    ],
    "It takes the first epoch of each run.": lambda run: run.epochs[0],
    "It averages the epochs of each run. What counts is the network as it is in the end.": (
        lambda run: sum(run.epochs) / len(run.epochs)
    ),
}
BY_SEED = ""
BY_PLACE = "It pairs runs by their place in the table, whatever their seeds are."
BY_RANK = "It pairs the runs in the order of their seeds, although some seeds are missing."
BY_VALUE = "It pairs the best run with the best, and the worst with the worst."
NOT_PAIRED = "It subtracts two means, and runs without a partner are in them."
PAIRINGS = (BY_SEED, BY_PLACE, BY_RANK, BY_VALUE, NOT_PAIRED)
DROPS: dict[str, Callable[[list[float]], list[float]]] = {
    "": lambda differences: differences,
    "It leaves the worst pair out.": lambda differences: differences[1:],
    "It leaves the best and the worst pair out. Who has said that they are wrong?": (
        lambda differences: differences[1:-1]
    ),
    "It leaves the best pair out.": lambda differences: differences[:-1],
}
BEST, WORST_OUT = list(EPOCHS)[1], list(DROPS)[1]
UNTOUCHED = (BEST, BY_PLACE, WORST_OUT)


def with_mistakes(
    runs: Runs, epoch: str = "", pairing: str = BY_SEED, drop: str = ""
) -> tuple[float, float]:
    """The mean difference and the number of pairs, with the mistakes that are named."""
    sides = [[(run.seed, EPOCHS[epoch](run)) for run in runs[v]] for v in (VARIANT, BASELINE)]
    if pairing == NOT_PAIRED:
        ours, theirs = ([value for _, value in side] for side in sides)
        fewer = min(len(ours), len(theirs))
        return sum(ours) / len(ours) - sum(theirs) / len(theirs), fewer
    if pairing == BY_SEED:
        baseline = dict(sides[1])
        pairs = [(value, baseline[seed]) for seed, value in sides[0] if seed in baseline]
    else:
        keys = {BY_PLACE: None, BY_RANK: lambda run: run[0], BY_VALUE: lambda run: run[1]}
        if keys[pairing]:
            sides = [sorted(side, key=keys[pairing]) for side in sides]
        pairs = [(one, other) for (_, one), (_, other) in zip(*sides, strict=False)]
    kept = DROPS[drop](sorted(one - other for one, other in pairs))
    return (sum(kept) / len(kept) if kept else math.nan), len(kept)


def mean_and_pairs(trial: Trial, gain: Callable, table: pd.DataFrame) -> tuple[float, float]:
    """The learner's mean difference and number of pairs."""
    got = trial.call(gain, table.copy(), VARIANT, BASELINE)
    try:
        mean, pairs = (as_float(value) for value in got)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("`gain` should return two numbers, (mean, pairs).") from None
    return mean, pairs


def same(found: Sequence[tuple], expected: Sequence[tuple]) -> bool:
    """Whether all means, to six digits, and all numbers of pairs are those expected."""
    return all(
        abs(a[0] - b[0]) < 1e-4 and a[1] == b[1] for a, b in zip(found, expected, strict=True)
    )


def raise_what_is_wrong(found: list[tuple], runs: list[Runs]) -> None:
    """Name the mistakes that explain all results, else the first wrong one."""
    for mistakes in product(EPOCHS, PAIRINGS, DROPS):
        if any(mistakes) and same(found, [with_mistakes(each, *mistakes) for each in runs]):
            if mistakes == UNTOUCHED:
                raise NotSolved("The function does what it did when it came.")
            left = [message for message in mistakes if message]
            raise Wrong(f"Mistakes left: {len(left)}. " + " ".join(left))
    right = [with_mistakes(each) for each in runs]
    if same(found, [(-mean, pairs) for mean, pairs in right]):
        raise Wrong("The mean should be positive where the variant has done better.")
    if same(found, [(mean / 100, pairs) for mean, pairs in right]):
        raise Wrong("The accuracies are in percent. Leave their differences in points.")
    for k, (got, expected) in enumerate(zip(found, right, strict=True), 1):
        if not same([got], [expected]):
            raise Wrong(f"For table {k} you return {told(got)}; it should be {told(expected)}.")


def told(result: tuple[float, float]) -> str:
    return f"a mean of {result[0]:.4g} from {result[1]:g} pairs"


# 9.4 Another baseline.


@exercise("9.4", "Another baseline")
def another_baseline(trial: Trial, against) -> None:
    for count, lacking, variant, control in (
        (6, {}, "CBAM (FC)", "wider, no attention"),
        (5, {}, "wider, no attention", "no attention"),
        (8, {"no attention": 5, "constant gate": 2, "CBAM (FC)": 0}, "CBAM (FC)", "constant gate"),
        (7, {"frozen random CBAM": 6}, "frozen random CBAM", "CBAM (FC)"),
        (3, {"CBAM (FC)": 0, "constant gate": 2}, "CBAM (FC)", "constant gate"),
    ):
        table = controls(trial, count, lacking)
        got = trial.call(against, table.copy(), variant, control)
        got = read_limits(got, "`against`")
        about = f"For {variant!r} against {control!r}, a table of {count} seeds,"
        ours, theirs = (accuracies(table, name) for name in (variant, control))
        expected = interval_of((ours - theirs).dropna())
        mistakes = partial(mistakes_of_controls, table, variant, control)
        compare_limits(trial, got, expected, about, mistakes)
        label = f"{variant} against {control}"
        trial.show(label, got[:1] if expected.isnan().any() else got)


CONTROLS = ("no attention", "CBAM (FC)", "wider, no attention", "constant gate")
CONTROLS += ("frozen random CBAM",)


def controls(trial: Trial, count: int, lacking: dict[str, int]) -> pd.DataFrame:
    """A table as ``records.table("small-controls")`` gives it, with its rows in any order.

    Args:
        trial: draws its numbers.
        count: how many seeds there are.
        lacking: of some variants, which one of their runs is missing.
    """
    seeds = sorted({3 * k + trial.integer(0, 2) for k in range(count)})
    luck = 60 + 3 * trial.randn(count)
    rows = []
    for variant in CONTROLS:
        values = luck + trial.randn(count) + 2 * trial.randn(1)
        for k, (seed, value) in enumerate(zip(seeds, values.tolist(), strict=True)):
            off = value - 10 - 5 * float(trial.rand())
            row = {"experiment": "made up", "variant": variant, "seed": seed}
            row |= {"baseline": "" if variant == CONTROLS[0] else CONTROLS[0]}
            row |= {"parameters": 73_178, "epochs": 6, "test_accuracy": value}
            row |= {"test_accuracy_attention_off": off if "CBAM" in variant else math.nan}
            row |= {"train_accuracy": value + 5 * float(trial.rand()), "test_loss": 1 / value}
            if lacking.get(variant) != k:
                rows.append(row)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.iloc[trial.rand(len(table)).argsort().numpy()]


def accuracies(table: pd.DataFrame, variant: str, column: str = "test_accuracy") -> pd.Series:
    """The accuracies of a variant's runs by seed."""
    return table[table["variant"] == variant].set_index("seed")[column].sort_index()


def interval_of(differences: pd.Series) -> Tensor:
    return torch.tensor(mean_interval(differences), dtype=torch.float64)


def mistakes_of_controls(
    table: pd.DataFrame, variant: str, control: str
) -> list[tuple[Tensor, str]]:
    """What mistakes give, and what to say of them."""
    ours, theirs, plain = (accuracies(table, name) for name in (variant, control, CONTROLS[0]))
    off = accuracies(table, variant, "test_accuracy_attention_off")
    train = [accuracies(table, name, "train_accuracy") for name in (variant, control)]
    d = (ours - theirs).dropna()
    n, mean, both = len(d), d.mean(), [ours - plain, theirs - plain]
    found = [
        (interval_of((ours - plain).dropna()), "That is the difference from the baseline's runs."),
        (interval_of((theirs - plain).dropna()), "That is the control against the baseline."),
        (-interval_of(d)[[0, 2, 1]], "The mean is positive if `variant` has done better."),
        (interval_of((off - theirs).dropna()), "Those are the accuracies with the gates at 1."),
        (interval_of((train[0] - train[1]).dropna()), "Those are training accuracies."),
        (
            interval_of((both[0] - both[1]).dropna()),
            "A pair does not need a run of the baseline: the two runs of a seed are enough.",
        ),
    ]
    fewer = min(len(ours), len(theirs))
    by_rank = ours.to_numpy()[:fewer] - theirs.to_numpy()[:fewer]
    rows = [
        table.loc[table["variant"] == v, "test_accuracy"].to_numpy() for v in (variant, control)
    ]
    found += [
        (limits(by_rank), "Runs of different seeds are no pairs."),
        (limits(rows[0][:fewer] - rows[1][:fewer]), "Rows in the same place are no pairs."),
    ]
    seeds = len((ours - theirs).index)
    if n > 1:
        half = stats.t.ppf(0.975, seeds - 1) * d.std() / seeds**0.5
        alone = "A seed that only one of the two has is no pair: do not count it in n."
        found.append((around(mean, half), alone))
    apart = ours.mean() - theirs.mean()
    halves = [float(interval_of(side)[2]) - side.mean() for side in (ours, theirs)]
    to_plain = [interval_of(side.dropna()) for side in both]
    halves_of_gains = [float(side[2] - side[0]) for side in to_plain]
    of_gains = float(to_plain[0][0] - to_plain[1][0])
    for middle, pair, message in (
        (apart, halves, "Those are made from the intervals of the two means: where are the pairs?"),
        (
            of_gains,
            halves_of_gains,
            "Two intervals of differences do not say how far the differences scatter *together*.",
        ),
        (mean, halves, "The mean is right, but the limits are not those of the pairs."),
        (mean, halves_of_gains, "The mean is right, but the limits are not those of the pairs."),
    ):
        found += [
            (around(middle, sum(pair)), message),
            (around(middle, math.hypot(*pair)), message),
        ]
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    student = stats.ttest_ind(ours, theirs).confidence_interval()
    unpaired = "That compares two means and has forgotten the pairs."
    for low, high in (welch, student):
        found.append((torch.tensor([apart, low, high], dtype=torch.float64), unpaired))
    if n > 1:
        found += mistakes_of_intervals(d.to_numpy(), 0.95)
    return found


# 9.5 How many seeds?


@exercise("9.5", "How many seeds?")
def how_many_seeds(trial: Trial, pairs, power) -> None:
    check_pairs(trial, pairs)
    check_power(trial, power)


EIGHTY, TWO_SIDED = 0.84, 1.96


def check_pairs(trial: Trial, pairs: Callable) -> None:
    """Compare numbers of pairs with those of the formula."""
    cases, found = [], []
    for k in range(6):
        # What is rounded up lies far from whole numbers, whichever digits of 1.96 one takes.
        whole = (0, 3, trial.integer(4, 9), *(trial.integer(10, 40) for _ in range(3)))[k]
        part = (0.6 if k % 2 else 0.1) + 0.3 * float(trial.rand())
        s = 0.3 + 2 * float(trial.rand())
        cases.append((s, 2.8 * s / (whole + part) ** 0.5))
        got = trial.call(pairs, *cases[-1])
        try:
            found.append(as_float(got))
        except (TypeError, ValueError, RuntimeError):
            raise Wrong("`pairs` should return one number.") from None

    def raw(factor: float = TWO_SIDED + EIGHTY) -> list[float]:
        return [(factor * s / delta) ** 2 for s, delta in cases]

    right = [math.ceil(n) for n in raw()]
    if found != right:
        for wrong, message in (
            ([math.floor(n) for n in raw()], "You round down, and stay below four of five tries."),
            ([round(n) for n in raw()], "You round to the nearest number: some are too few."),
            (raw(), "Nobody can train a part of a pair: round up."),
            (
                [math.ceil(n**0.5) for n in raw()],
                "The scatter of a mean shrinks with the root of n.",
            ),
            ([math.ceil(n) for n in raw(1.96)], "With 1.96 alone one in two tries sees it."),
            ([math.ceil(n) for n in raw(1.645 + 0.84)], "1.645 leaves 5 % on one side."),
            ([math.ceil(n) for n in raw(1.96 + 1.28)], "1.28 is for nine of ten tries."),
            ([math.ceil(2 * n) for n in raw()], "Twice as many are for runs that are no pairs."),
            ([2 * math.ceil(n) for n in raw()], "Count pairs, not runs."),
            ([math.ceil(7.84 / n * 7.84) for n in raw()], "You divide by s and not by delta."),
        ):
            if np.allclose(found, wrong, rtol=2e-3):
                raise Wrong(message)
        k = next(k for k in range(len(cases)) if found[k] != right[k])
        s, delta = cases[k]
        raise Wrong(
            f"For s = {s:.4g} and delta = {delta:.4g}, `pairs` returns {found[k]:.6g}; the formula "
            f"gives {raw()[k]:.3f}, rounded up."
        )
    trial.show("Numbers of pairs", [int(n) for n in found])


NEAR = 0.025  # 20,000 tries miss the true share by less


def check_power(trial: Trial, power: Callable) -> None:
    """Compare shares with the exact ones; only their tenths are printed."""
    cases = []
    for n, sign in ((3, 1), (4, 0), (5, -1), (8, 1), (20, 1)):
        s = 0.4 + float(trial.rand())
        # So that estimates, too, are rounded to the tenth that is meant.
        share = trial.integer(3, 9) / 10 + 0.01 * (2 * float(trial.rand()) - 1)
        delta = optimize.brentq(lambda x, n=n, share=share: seen(n, 1.0, x) - share, 0.0, 30.0)
        cases.append((n, s, sign * s * delta))
    found = []
    for case in cases:
        got = trial.call(power, *case)
        try:
            found.append(as_float(got))
        except (TypeError, ValueError, RuntimeError):
            raise Wrong("`power` should return one number.") from None
    right = [seen(*case) for case in cases]

    def distance(expected: Iterable[float]) -> float:
        return max(abs(a - b) for a, b in zip(found, expected, strict=True))

    # At delta = 0 shares are small, and estimates of them lie nearer.
    if not (distance(right) < NEAR and abs(found[1] - right[1]) < NEAR / 2):
        # Two mistakes can give much the same share: the nearer one is told.
        far = {
            message: distance(change(*case) for case in cases) for message, change in POWERS.items()
        }
        nearest = min(far, key=far.get)
        if far[nearest] < NEAR:
            raise Wrong(nearest)
        if distance(100 * share for share in right) < 100 * NEAR:
            raise Wrong("You return a percentage. Return a fraction.")
        off = [abs(a - b) for a, b in zip(found, right, strict=True)]
        k = 1 if distance(right) < NEAR else int(np.argmax(off))
        n, s, delta = cases[k]
        raise Wrong(
            f"For n = {n}, s = {s:.3f} and delta = {delta:.3f}, `power` returns {found[k]:.3f}. Of "
            f"very many tries, {right[k]:.3f} would see it."
        )
    trial.show("Tenths of the tries that see it", found[:1] + found[2:], digits=1)


def seen(n: int, s: float, delta: float, critical: float | None = None) -> float:
    """The share of tries whose interval does not contain 0, exactly."""
    critical = _t(n) if critical is None else critical
    shift = abs(delta) * n**0.5 / s
    return _above(n, critical, shift) + _above(n, critical, -shift)


@cache
def _deviations(n: int) -> np.ndarray:
    """Standard deviations of n numbers, as often as they are estimated for a true one of 1."""
    shares = (np.arange(500) + 0.5) / 500
    return np.sqrt(stats.chi2.ppf(shares, n - 1) / (n - 1))


def _above(n: int, critical: float, shift: float) -> float:
    """The share of noncentral t above the critical number."""
    return float(special.ndtr(shift - critical * _deviations(n)).mean())


def _t(n: int, tail: float = 0.975) -> float:
    return stats.t.ppf(tail, n - 1)


def _one_sided(n: int, s: float, delta: float, tail: float) -> float:
    return _above(n, _t(n, tail), delta * n**0.5 / s)


def _known(n: int, s: float, delta: float, critical: float = TWO_SIDED) -> float:
    shift = abs(delta) * n**0.5 / s
    return float(special.ndtr(shift - critical) + special.ndtr(-shift - critical))


POWERS: dict[str, Callable[[int, float, float], float]] = {
    "You count the tries that do *not* see it.": lambda n, s, d: 1 - seen(n, s, d),
    "A normal distribution's 1.96 is too small for so few differences.": lambda n, s, d: seen(
        n, s, d, 1.96
    ),
    "That is the share if s were known. Each try has to estimate it from its own differences.": (
        _known
    ),
    "Each try has to estimate the standard deviation from its own differences.": (
        lambda n, s, d: _known(n, s, d, _t(n))
    ),
    "You count intervals above 0. One below 0 does not contain 0, either.": (
        lambda n, s, d: _one_sided(n, s, d, 0.975)
    ),
    "The 5 % of false alarms are shared by two sides.": lambda n, s, d: seen(n, s, d, _t(n, 0.95)),
    "The false alarms are on one side only, and so is what you count.": (
        lambda n, s, d: _one_sided(n, s, d, 0.95)
    ),
    "The squares are divided by n, not by n - 1.": lambda n, s, d: seen(
        n, s, d, _t(n) * ((n - 1) / n) ** 0.5
    ),
    "t has n - 1 degrees of freedom, not n.": lambda n, s, d: seen(n, s, d, _t(n + 1)),
    "So far single differences scatter. How far does their mean?": lambda n, s, d: seen(
        n, s, d, _t(n) * n**0.5
    ),
    "The interval's half width is divided by n: take the square root.": lambda n, s, d: seen(
        n, s, d, _t(n) / n**0.5
    ),
    "So many intervals contain delta. The question is how many do not contain 0.": (
        lambda n, s, d: 0.95
    ),
    "Your tries know nothing of `s`.": lambda n, s, d: seen(n, 1.0, d),
    "Your tries know nothing of `delta`.": lambda n, s, d: 0.05,
}
