"""Records as tables: one row per run, or one row per epoch."""

import os
from collections.abc import Iterable, Iterator
from math import isnan, nan
from typing import Any

import pandas as pd

from .definitions import find
from .experiment import Experiment, Variant, run_name
from .reading import Record, read

COLUMNS = (
    "experiment", "variant", "baseline", "attention", "seed", "parameters", "test_accuracy",
    "test_accuracy_attention_off", "train_accuracy", "test_loss", "epochs", "seconds", "device",
    "commit", "run",
)  # fmt: skip
"""Of a table of runs."""

CURVES = (
    "experiment", "variant", "seed", "epoch", "learning_rate", "train_loss", "train_accuracy",
    "validation_loss", "validation_accuracy", "peek_loss", "peek_accuracy", "test_loss",
    "test_accuracy", "seconds",
)  # fmt: skip
"""Of a table of epochs."""

ENOUGH = 5
"""Seeds of each variant that let an experiment be shown rather than its small version."""


def table(
    *experiments: str | Experiment,
    folder: str | os.PathLike[str] | None = None,
    attention_off: bool = False,
) -> pd.DataFrame:
    """The recorded runs of experiments, one row per run.

    Args:
        experiments: names that ``cbam-course experiments list`` shows, or experiments of your own.
        folder: a folder whose records are added to those that come with the course.
        attention_off: give each run with attention a second row: the same trained network with
            every gate set to 1. Its variant is called ``"..., switched off"``, and its baseline is
            the network as it was trained.

    Returns:
        The rows in the order of the experiments, variants and seeds, with the columns

        - ``experiment``, ``variant``, ``baseline`` (the variant it is compared with, empty for a
          baseline), ``attention`` and ``seed``;
        - ``parameters``, ``test_accuracy``, ``test_accuracy_attention_off`` and ``train_accuracy``
          (in percent, after the last epoch), ``test_loss``, ``epochs`` and ``seconds``;
        - ``device``, ``commit`` and ``run``, the name of the record.

    Raises:
        ValueError: for an unknown experiment, or if two runs that are to be compared have not
            learned from, or were not tested on, the same images.
    """
    rows = []
    for experiment, variant, found in _recorded(experiments, folder):
        own = [_row(experiment, variant, record) for record in found]
        with_attention = [row for row in own if not isnan(row["test_accuracy_attention_off"])]
        rows += own + [_switched_off(row) for row in with_attention if attention_off]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_seed(table: pd.DataFrame) -> pd.DataFrame:
    """The accuracies of a table of runs: a row for each seed, a column for each variant.

    Args:
        table: as :func:`table` gives it, of one experiment.
    """
    return table.pivot(index="seed", columns="variant", values="test_accuracy")


def curves(
    *experiments: str | Experiment, folder: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """The epochs of the recorded runs of experiments, one row per epoch.

    Args:
        experiments, folder: as for :func:`table`.

    Returns:
        The columns ``experiment``, ``variant``, ``seed``, ``epoch`` (from 1), ``learning_rate``,
        ``train_loss``, ``train_accuracy``, ``validation_loss``, ``validation_accuracy`` (NaN where
        no images were held out), ``test_loss``, ``test_accuracy`` (all three accuracies in percent)
        and ``seconds``; the same of ``peek``, the test images set apart to be peeked at.

    Raises:
        ValueError: for an unknown experiment.
    """
    rows = [
        {
            "experiment": experiment.name,
            "variant": variant.name,
            "seed": record["config"]["seed"],
            **{k: _percent(v) if k.endswith("accuracy") else v for k, v in epoch.items()},
        }
        for experiment, variant, found in _recorded(experiments, folder)
        for record in found
        for epoch in record["epochs"]
    ]
    return pd.DataFrame(rows, columns=list(CURVES))


def largest(experiment: str, folder: str | os.PathLike[str] | None = None) -> str:
    """The larger version of an experiment that has been recorded.

    Args:
        experiment: name of an experiment that has a small version, such as ``"blocks"``.
        folder: as for :func:`table`.

    Returns:
        The name itself, if 5 seeds or more of each variant are recorded; else that of the small
        version, ``"small-blocks"``.

    Raises:
        ValueError: if there is no experiment of that name.
    """
    seeds = table(experiment, folder=folder).groupby("variant")["seed"].nunique()
    variants = [variant.name for variant in find(experiment).variants]
    enough = seeds.reindex(variants, fill_value=0).min() >= ENOUGH
    return experiment if enough else f"small-{experiment}"


def describe(table: pd.DataFrame) -> str:
    """One line that tells from how many seeds a table's numbers come, and from which device.

    If the records come from several commits of the course, it says so.

    Args:
        table: as :func:`table` gives it.
    """
    if table.empty:
        return "no record yet"
    seeds = number(table.groupby(["experiment", "variant"])["seed"].nunique(), "seed")
    commits = table.groupby("experiment")["commit"].nunique().max()
    mixed = f", from {commits} commits" if commits > 1 else ""
    return f"{seeds}, recorded on {' and on '.join(table['device'].unique())}{mixed}"


def number(counts: Iterable[int], what: str) -> str:
    """``"5 seeds"``, or ``"3 to 5 seeds"`` if the counts differ."""
    least, most = min(counts), max(counts)
    return f"{least if least == most else f'{least} to {most}'} {what}{'' if most == 1 else 's'}"


def _recorded(
    sources: tuple[str | Experiment, ...], folder: str | os.PathLike[str] | None
) -> Iterator[tuple[Experiment, Variant, list[Record]]]:
    """The variants of experiments and the records of each, in the order of its seeds."""
    records = read(folder)
    for experiment in map(find, sources):
        found: dict[str | None, dict[int, Record]] = {each.name: {} for each in experiment.variants}
        for variant, run in experiment.runs():
            if (name := run_name(run)) in records:
                found[variant.name][run.seed] = records[name]
        for variant in experiment.variants:
            own, others = found[variant.name], found.get(variant.baseline, {})
            for seed in own.keys() & others.keys():
                _check_pair(experiment.name, own[seed], others[seed])
            yield experiment, variant, list(own.values())


def _check_pair(experiment: str, own: Record, other: Record) -> None:
    """Raise a ``ValueError`` if two runs that are to be compared have seen other images."""
    sums, its_sums = own["data"]["sha256"], other["data"]["sha256"]
    for group, did in (("train", "learned from"), ("test", "was tested on")):
        if sums[group] != its_sums[group]:
            raise ValueError(
                f"{experiment}: {run_name(own['config'])} cannot be compared with its baseline, "
                f"which {did} other images ({other['data'][group]} of {other['data']['name']}, "
                f"checksum {its_sums[group][:8]} instead of {sums[group][:8]})"
            )


def _row(experiment: Experiment, variant: Variant, record: Record) -> dict[str, Any]:
    final, epochs = record["final"], record["epochs"]
    # What the sessions say, each thing once: a run may have moved.
    where = {
        name: ", then ".join(dict.fromkeys(str(session[name]) for session in record["sessions"]))
        for name in ("device", "commit")
    }
    return {
        "experiment": experiment.name,
        "variant": variant.name,
        "baseline": variant.baseline or "",
        "attention": variant.config.attention,
        "seed": record["config"]["seed"],
        "parameters": record["model"]["parameters"],
        "test_accuracy": _percent(final["test_accuracy"]),
        "test_accuracy_attention_off": _percent(final.get("test_accuracy_attention_off", nan)),
        "train_accuracy": _percent(epochs[-1]["train_accuracy"]),
        "test_loss": final["test_loss"],
        "epochs": len(epochs),
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        **where,
        "run": run_name(record["config"]),
    }


def _switched_off(row: dict[str, Any]) -> dict[str, Any]:
    # Neither its training accuracy nor its loss was measured with the gates set to 1.
    return row | {
        "variant": f"{row['variant']}, switched off",
        "baseline": row["variant"],
        "test_accuracy": row["test_accuracy_attention_off"],
        "train_accuracy": nan,
        "test_loss": nan,
    }


def _percent(share: float) -> float:
    return round(100 * share, 6)
