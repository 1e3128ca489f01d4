"""The exercises of chapter 9, does it help?"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import optimize, stats

from .framework import exercise
from .intervals import Mistakes, limits, mistakes_of_intervals
from .trial import Trial, with_bugs
from .values import alike, number, numbers, returned_numbers, same_numbers


@exercise("9.1", "Pairs of runs")
def pairs_of_runs(trial: Trial, mean_a, mean_b, runs_apart, differences_apart, settled) -> None:
    hint = "66 is the mean accuracy with A. How much is it above the runs without?"
    number(mean_a, 3, "mean_a", {66: hint})
    mistakes = {
        1: "The mean without a block has a run in it that B has no partner for.",
        1.5: "A seed that was not run is no difference of 0.",
    }
    number(mean_b, 2, "mean_b", mistakes)
    number(runs_apart, 11, "runs_apart", {12: "Asked are the runs without a block."})
    hint = "4 is the largest difference. How far is it from the smallest?"
    number(differences_apart, 2, "differences_apart", {4: hint})
    hint = "An interval reaches t s / sqrt(n) to each side of its mean. Does it contain 0?"
    settled = numbers(settled, (2, 4), "settled", hint)
    drawn = trial.rand(7)[[*settled]].sum()
    trial.show("Sum of the numbers drawn for results that you call settled", drawn)
    answers = (mean_a, mean_b, runs_apart, differences_apart)
    trial.stamp("Stamp of your answers", *answers, *settled)


@exercise("9.2", "The interval")
def the_interval(trial: Trial, interval) -> None:
    for count, level in ((3, None), (8, 0.95), (5, 0.9), (30, 0.99), (2, None), (1, None)):
        middle, spread = 2 * trial.randn(1), 0.5 + trial.rand(1)
        # Their mean is not their median, and their intervals need not contain 0.
        d = (middle + spread * (trial.randn(count) + trial.randn(count) ** 2)).numpy()
        arguments = () if level is None else (level,)
        got = trial.call(interval, d.copy(), *arguments)
        level = level or 0.95
        name = f"For n = {count} and a level of {level:.0%}, `interval`"
        got = same_numbers(got, limits(d, level), name, mistakes_of_intervals(d, level))
        label = f"{count} differences, {level:.0%}" if count > 1 else "A single difference"
        trial.show(label, got if count > 1 else got[:1])


VARIANT, BASELINE = "CBAM (FC)", "no attention"
LEFT = (
    "It takes the best epoch of each run: the test images have chosen it.",
    "It pairs runs by their position in the table, whatever their seeds are.",
    "It leaves the worst pair out.",
)


@exercise("9.3", "A gain in every table")
def gain_in_every_table(trial: Trial, gain) -> None:
    tables = [
        epochs_of(trial, count, lacking, order)
        for count, lacking, order in (
            (5, ((), ()), "sorted"),
            (6, ((1,), (4,)), "sorted"),
            (5, ((), ()), "runs"),
            (7, ((0, 5), (2,)), "rows"),
            (2, ((0,), ()), "runs"),
        )
    ]
    *several, single = tables  # of the last one the given code leaves nothing
    found = []
    for table in several:
        got = trial.call(gain, table.copy(), VARIANT, BASELINE)
        found.append(returned_numbers(got, 2, "`gain`"))
    for wrong, said in with_bugs(lambda *bugs: [gain_of(t, *bugs) for t in several], *LEFT):
        trial.expect(not all(map(alike, found, wrong)), said)
    found.append(trial.call(gain, single.copy(), VARIANT, BASELINE))
    for k, (got, table) in enumerate(zip(found, tables, strict=True), 1):
        name = f"For table {k}, `gain`, as (mean, pairs),"
        mean, pairs = same_numbers(got, gain_of(table), name, mistakes_of_pairs(table))
        if k < 5:
            trial.show(f"Table {k}: mean difference and pairs", [mean, int(pairs)])


def gain_of(
    table: pd.DataFrame, best: bool = False, by_row: bool = False, worst_out: bool = False
) -> tuple[float, int]:
    """The mean difference and the number of pairs, with these bugs."""
    runs = table.groupby(["variant", "seed"], sort=False)
    last = table.loc[runs["epoch"].idxmax()].set_index(["variant", "seed"])["test_accuracy"]
    accuracy = runs["test_accuracy"].max() if best else last
    ours, theirs = accuracy[VARIANT], accuracy[BASELINE]
    if by_row:
        ours, theirs = (side.reset_index(drop=True) for side in (ours, theirs))
    differences = (ours - theirs).dropna().sort_values()[int(worst_out) :]
    return differences.mean(), len(differences)


def mistakes_of_pairs(table: pd.DataFrame) -> Mistakes:
    """What mistakes of a repaired function give, and what to say of them."""
    mean, pairs = gain_of(table)
    runs = table.groupby(["variant", "seed"], sort=False)
    last_row = runs["test_accuracy"].last()
    end = table.loc[runs["epoch"].idxmax()].set_index(["variant", "seed"])["test_accuracy"]
    all_seeds = end[VARIANT].index.union(end[BASELINE].index)
    as_it_stands = (last_row[VARIANT] - last_row[BASELINE]).dropna()
    apart = end[VARIANT].mean() - end[BASELINE].mean()
    return [
        ([mean, len(all_seeds)], "A seed without a partner is no pair."),
        ([as_it_stands.mean(), pairs], "The last row of a run need not be its last epoch."),
        ([apart, pairs], "These are the means of all runs: take differences of pairs first."),
    ]


def epochs_of(trial: Trial, count: int, lacking: tuple, order: str) -> pd.DataFrame:
    """A table as ``records.curves`` gives it: "sorted", or its "runs" or "rows" in any order.

    ``lacking`` says which seeds of the variant and of the baseline are missing.
    """
    seeds = seeds_of(trial, count)
    epochs = trial.integer(4, 6)
    luck = 60 + 3 * trial.randn(count)
    tables = []
    variants = ((BASELINE, 0.0, lacking[1]), ("SE", 5.0, ()), (VARIANT, 0.5, lacking[0]))
    for variant, extra, missing in variants:
        for k, seed in enumerate(seeds):
            end = float(luck[k] + extra + trial.randn())
            better = end + 0.5 + 2 * float(trial.rand())
            before = end * (0.5 + 0.4 * trial.rand(epochs - 2).sort().values)
            run = {"variant": variant, "seed": seed, "epoch": range(1, epochs + 1)}
            run["test_accuracy"] = [*before.tolist(), better, end]
            if k not in missing:
                tables.append(pd.DataFrame(run))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "experiment", "made up")
    table["train_accuracy"] = table["test_accuracy"] + (5 + trial.rand(len(table))).numpy()
    if order == "runs":
        keys = trial.rand(3 * count).numpy()[table.index // epochs]
    elif order == "rows":
        keys = trial.rand(len(table)).numpy()
    else:
        keys = table.index
    return table.iloc[np.argsort(keys, kind="stable")]


def seeds_of(trial: Trial, count: int) -> list[int]:
    """So many seeds, with gaps between them."""
    return [3 * k + trial.integer(0, 2) for k in range(count)]


CONTROLS = (BASELINE, VARIANT, "wider, no attention", "constant gate", "frozen random CBAM")


@exercise("9.4", "Another baseline")
def another_baseline(trial: Trial, against) -> None:
    for count, lacking, variant, control in (
        (6, {}, VARIANT, "wider, no attention"),
        (5, {}, "wider, no attention", BASELINE),
        (8, {BASELINE: 5, "constant gate": 2, VARIANT: 0}, VARIANT, "constant gate"),
        (7, {"frozen random CBAM": 6}, "frozen random CBAM", VARIANT),
        (3, {VARIANT: 0, "constant gate": 2}, VARIANT, "constant gate"),
    ):
        table = controls(trial, count, lacking)
        got = trial.call(against, table.copy(), variant, control)
        name = f"For {variant!r} against {control!r} and {count} seeds, `against`"
        sides = [accuracies(table, name) for name in (variant, control, BASELINE)]
        right = limits((sides[0] - sides[1]).dropna().to_numpy())
        got = same_numbers(got, right, name, mistakes_of_controls(*sides))
        trial.show(f"{variant} against {control}", got[:1] if math.isnan(got[1]) else got)


def controls(trial: Trial, count: int, lacking: Mapping[str, int]) -> pd.DataFrame:
    """A table as ``records.table("small-controls")`` gives it, with its rows in any order.

    ``lacking`` says which run of a variant is missing.
    """
    seeds = seeds_of(trial, count)
    luck = 60 + 3 * trial.randn(count)
    rows = []
    for variant in CONTROLS:
        values = (luck + trial.randn(count) + 2 * trial.randn(1)).tolist()
        for k, (seed, value) in enumerate(zip(seeds, values, strict=True)):
            off, train = value - 10 - 5 * float(trial.rand()), value + 5 * float(trial.rand())
            row = {"experiment": "made up", "variant": variant, "seed": seed, "epochs": 6}
            row |= {"baseline": "" if variant == BASELINE else BASELINE, "parameters": 73_178}
            row |= {"test_accuracy": value, "train_accuracy": train, "test_loss": 1 / value}
            row |= {"test_accuracy_attention_off": off if "CBAM" in variant else math.nan}
            if lacking.get(variant) != k:
                rows.append(row)
    return pd.DataFrame(rows).iloc[trial.rand(len(rows)).argsort().numpy()]


def accuracies(table: pd.DataFrame, variant: str) -> pd.Series:
    """The accuracies of a variant's runs by seed, in the order of the rows."""
    return table[table["variant"] == variant].set_index("seed")["test_accuracy"]


def mistakes_of_controls(ours: pd.Series, theirs: pd.Series, plain: pd.Series) -> Mistakes:
    """What mistakes give, and what to say of them."""
    d = (ours - theirs).dropna().to_numpy()
    by_row = (ours.reset_index(drop=True) - theirs.reset_index(drop=True)).dropna().to_numpy()
    gain = limits((ours - plain).dropna().to_numpy())
    others = limits((theirs - plain).dropna().to_numpy())
    unpaired = [
        stats.ttest_ind(ours, theirs, equal_var=equal).confidence_interval()
        for equal in (False, True)
    ]
    mean, low, high = limits(d)
    return [
        (gain, f"That is the difference from {BASELINE!r}, whatever the control."),
        (limits(by_row), "Rows in the same position are no pairs: look at their seeds."),
        *(
            ([ours.mean() - theirs.mean(), *each], "These are two means: where are the pairs?")
            for each in unpaired
        ),
        (
            [one - other for one, other in zip(gain, others, strict=True)],
            f"Both were compared with {BASELINE!r} first. Limits of two intervals do not subtract.",
        ),
        ([-mean, -high, -low], "The variant minus the control, not the other way round."),
        *mistakes_of_intervals(d, 0.95),
    ]


# 9.5 How many seeds?

NEAR = 0.025  # 20,000 tries miss the true share by less


@exercise("9.5", "How many seeds?")
def how_many_seeds(trial: Trial, pairs, power) -> None:
    found = []
    for k in range(6):
        # What is rounded up lies far from whole numbers, whichever digits of 1.96 one takes.
        whole = (0, 3, trial.integer(4, 9), *(trial.integer(10, 40) for _ in range(3)))[k]
        part = (0.6 if k % 2 else 0.1) + 0.3 * float(trial.rand())
        s = 0.3 + 2 * float(trial.rand())
        delta = 2.8 * s / (whole + part) ** 0.5
        name = f"For s = {s:.4g} and delta = {delta:.4g}, where the formula gives "
        name += f"{whole + part:.3f} and no part of a pair can be trained, `pairs`"
        found += same_numbers(trial.call(pairs, s, delta), [whole + 1], name)
    trial.show("Numbers of pairs", [int(n) for n in found])
    cases = []
    for n, sign in ((3, 1), (4, 0), (5, -1), (8, 1), (20, 1)):
        s = 0.4 + float(trial.rand())
        # So that estimates, too, are rounded to the tenth that is meant.
        share = trial.integer(3, 9) / 10 + 0.01 * (2 * float(trial.rand()) - 1)
        delta = optimize.brentq(lambda x, n=n, share=share: sum(seen(n, x)) - share, 0.0, 30.0)
        cases.append((n, s, sign * s * delta))
    shares = [share_of_tries(trial, power, *case) for case in cases]
    trial.show("Tenths of the tries that see it", shares[:1] + shares[2:], digits=1)


def share_of_tries(trial: Trial, power: Callable, n: int, s: float, delta: float) -> float:
    """The share that the learner's function returns, if it is near the exact one."""
    (found,) = returned_numbers(trial.call(power, n, s, delta), 1, "`power`")
    right = sum(seen(n, delta / s))
    # At delta = 0 shares are small, and estimates of them lie nearer.
    near = NEAR if delta else NEAR / 2
    hints = {
        sum(seen(n, delta / s, 1.96)): " 1.96 is for very many differences, and t is larger.",
        seen(n, delta / s)[0]: " An interval below 0 does not contain 0, either.",
    }
    hint = next((said for share, said in hints.items() if abs(share - found) < near), "")
    hint = hint if 0 <= found <= 1 else " A share lies between 0 and 1."
    case = f"For n = {n}, s = {s:.3f} and delta = {delta:.3f} the share is {right:.3f}"
    trial.expect(abs(found - right) < near, f"{case}; `power` returns {found:.3f}.{hint}")
    return found


def seen(n: int, delta: float, t: float | None = None) -> tuple[float, float]:
    """The shares of tries whose mean is more than t errors above and below 0, exactly; s is 1."""
    t = stats.t.ppf(0.975, n - 1) if t is None else t
    # Estimates of a standard deviation of 1, each as likely as the others.
    deviations = np.sqrt(stats.chi2.ppf((np.arange(500) + 0.5) / 500, n - 1) / (n - 1))
    above, below = (
        stats.norm.cdf(side * delta * n**0.5 - t * deviations).mean() for side in (1, -1)
    )
    return float(above), float(below)
