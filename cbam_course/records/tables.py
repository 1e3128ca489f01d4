"""Records as tables: one row per run, or one row per epoch."""

import os
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import pandas as pd

from .definitions import experiments
from .experiment import Experiment, Variant, run_name
from .reading import read

Source = str | Experiment | pd.DataFrame
"""What a figure may be drawn from: an experiment, its name, or a table of its runs."""

NUMBERS = {
    "seed": "int64",
    "parameters": "int64",
    "test_accuracy": "float64",
    "test_accuracy_attention_off": "float64",
    "train_accuracy": "float64",
    "test_loss": "float64",
    "epochs": "int64",
    "seconds": "float64",
}
"""The types of the table's columns that hold numbers, however many rows there are."""

COLUMNS = (
    "experiment", "variant", "baseline", "attention", *NUMBERS, "device", "precision", "torch",
    "commit", "learned_from", "tested_on", "run",
)  # fmt: skip

OFF = "switched off"

ENOUGH = 5
"""Seeds of each variant that let an experiment be shown rather than its small version."""


class _Recorded(NamedTuple):
    experiment: str
    variant: Variant
    seed: int
    name: str
    record: dict[str, Any]


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
        - ``device``, ``precision``, ``torch``, ``commit``, ``learned_from`` and ``tested_on``
          (checksums of the images) and ``run``, the name of the record.

    Raises:
        ValueError: for an unknown experiment, or if two runs that are to be compared have not
            learned from, or were not tested on, the same images.
    """
    rows = []
    for recorded in _recorded(experiments, folder):
        rows.append(_row(recorded))
        if attention_off and "test_accuracy_attention_off" in recorded.record["final"]:
            rows.append(_switched_off(rows[-1]))
    if attention_off:  # all seeds of a variant, then all of the same variant switched off
        rows.sort(key=_order(rows))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(NUMBERS)


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
    kinds = ("train", "validation", "peek", "test")
    accuracies = [f"{kind}_accuracy" for kind in kinds]
    of_kinds = [f"{kind}_{measure}" for kind in kinds for measure in ("loss", "accuracy")]
    measured = ["learning_rate", *of_kinds, "seconds"]
    rows = [
        {
            "experiment": recorded.experiment,
            "variant": recorded.variant.name,
            "seed": recorded.seed,
            **epoch,
            **{name: _percent(epoch[name]) for name in accuracies if name in epoch},
        }
        for recorded in _recorded(experiments, folder)
        for epoch in recorded.record["epochs"]
    ]
    columns = ["experiment", "variant", "seed", "epoch", *measured]
    types = {"seed": "int64", "epoch": "int64", **dict.fromkeys(measured, "float64")}
    return pd.DataFrame(rows, columns=columns).astype(types)


def largest(experiment: str, folder: str | os.PathLike[str] | None = None) -> str:
    """The larger version of an experiment that has been recorded.

    Args:
        experiment: name of an experiment that has a small version, such as ``"blocks"``.
        folder: as for :func:`table`.

    Returns:
        The name itself, if 5 seeds or more of each variant are recorded; else that of the small
        version, ``"small-blocks"``.

    Raises:
        ValueError: if there is no experiment of that name, or it has no small version.
    """
    small = f"small-{find(experiment).name}"
    if small not in definitions():
        raise ValueError(f"experiment must have a small version, got {experiment!r}")
    seeds = table(experiment, folder=folder).groupby("variant")["seed"].nunique()
    variants = [variant.name for variant in find(experiment).variants]
    return experiment if seeds.reindex(variants, fill_value=0).min() >= ENOUGH else small


def describe(table: pd.DataFrame) -> str:
    """One line that tells from how many seeds a table's numbers come, and from which device.

    If the records come from several commits of the course, it says so.

    Args:
        table: as :func:`table` gives it.
    """
    if table.empty:
        return "no record yet"
    counts = table.groupby(["experiment", "variant"])["seed"].nunique()
    seeds = number(counts, "seed")
    commits = table.groupby("experiment")["commit"].nunique().max()
    mixed = f", from {commits} commits" if commits > 1 else ""
    return f"{seeds}, recorded on {' and on '.join(dict.fromkeys(table['device']))}{mixed}"


def number(counts: Iterable[int], what: str) -> str:
    """``"5 seeds"``, or ``"3 to 5 seeds"`` if the counts differ."""
    least, most = min(counts), max(counts)
    return f"{least if least == most else f'{least} to {most}'} {what}{'' if most == 1 else 's'}"


def find(experiment: str | Experiment) -> Experiment:
    """An experiment by its name.

    Raises:
        ValueError: if there is none of that name.
    """
    if isinstance(experiment, Experiment):
        return experiment
    if experiment not in definitions():
        raise ValueError(
            f"experiment must be one of {', '.join(definitions())}; got {experiment!r}"
        )
    return definitions()[experiment]


@cache
def definitions() -> dict[str, Experiment]:
    """The experiments of the course, made once: each configuration is checked, which takes time."""
    return experiments()


def as_table(
    sources: tuple[Source, ...], folder: str | os.PathLike[str] | None, **options: bool
) -> pd.DataFrame:
    """One table of the runs that a figure is to be drawn from.

    Raises:
        ValueError: if there are no sources, an experiment is unknown, or nothing is recorded.
    """
    if not sources:
        raise ValueError("name at least one experiment, or give a table of runs")
    tables = [
        source if isinstance(source, pd.DataFrame) else table(source, folder=folder, **options)
        for source in sources
    ]
    runs = pd.concat([rows for rows in tables if len(rows)] or tables, ignore_index=True)
    if runs.empty:
        raise ValueError("there is nothing to draw: no run of these experiments is recorded yet")
    return runs.drop_duplicates(["experiment", "variant", "seed"], ignore_index=True)


def _recorded(
    sources: tuple[str | Experiment, ...], folder: str | os.PathLike[str] | None
) -> Iterator[_Recorded]:
    records = read(folder)
    for experiment in map(find, sources):
        names = {(variant.name, run.seed): run_name(run) for variant, run in experiment.runs()}
        for variant in experiment.variants:
            for seed in experiment.seeds:
                name = names[variant.name, seed]
                if name not in records:
                    continue
                baseline = names.get((variant.baseline, seed))
                if baseline in records:
                    _check_pair(experiment.name, name, records[name], records[baseline])
                yield _Recorded(experiment.name, variant, seed, name, records[name])


def _check_pair(experiment: str, name: str, own: dict[str, Any], other: dict[str, Any]) -> None:
    """Two runs of one seed are compared only if what they have in common is really the same.

    Raises:
        ValueError: if their images differ; or if they differ in nothing but which loss steers the
            learning rate, and their epochs differ before either has halved it.
    """
    for group, did in (("train", "learned from"), ("test", "was tested on")):
        if own["data"]["sha256"][group] != other["data"]["sha256"][group]:
            raise ValueError(
                f"{experiment}: {name} cannot be compared with its baseline, which {did} other "
                f"images ({other['data'][group]} of {other['data']['name']}, checksum "
                f"{other['data']['sha256'][group][:8]} instead of "
                f"{own['data']['sha256'][group][:8]})"
            )
    configs = own["config"], other["config"]
    if all({**config, "watch": None} == {**configs[0], "watch": None} for config in configs):
        for row, its in zip(own["epochs"], other["epochs"], strict=True):
            if row["learning_rate"] != its["learning_rate"]:
                break
            if row | {"seconds": 0} != its | {"seconds": 0}:
                raise ValueError(
                    f"{experiment}: epoch {row['epoch']} of {name} and of its baseline differ, "
                    "although nothing had set them apart yet"
                )


def _row(recorded: _Recorded) -> dict[str, Any]:
    record, variant = recorded.record, recorded.variant
    final, epochs, sessions = record["final"], record["epochs"], record["sessions"]
    off = final.get("test_accuracy_attention_off", float("nan"))
    return {
        "experiment": recorded.experiment,
        "variant": variant.name,
        "baseline": variant.baseline or "",
        "attention": variant.config.attention,
        "seed": recorded.seed,
        "parameters": record["model"]["parameters"],
        "test_accuracy": _percent(final["test_accuracy"]),
        "test_accuracy_attention_off": _percent(off),
        "train_accuracy": _percent(epochs[-1]["train_accuracy"]),
        "test_loss": final["test_loss"],
        "epochs": len(epochs),
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        "device": _each(session["device"] for session in sessions),
        "precision": _each(session["precision"] for session in sessions),
        "torch": _each(session["versions"]["torch"] for session in sessions),
        "commit": _each(session["commit"] for session in sessions),
        "learned_from": record["data"]["sha256"]["train"][:8],
        "tested_on": record["data"]["sha256"]["test"][:8],
        "run": recorded.name,
    }


def _switched_off(row: dict[str, Any]) -> dict[str, Any]:
    nothing = float("nan")  # neither of these was measured with the gates set to 1
    return row | {
        "variant": f"{row['variant']}, {OFF}",
        "baseline": row["variant"],
        "test_accuracy": row["test_accuracy_attention_off"],
        "train_accuracy": nothing,
        "test_loss": nothing,
    }


def _order(rows: list[dict[str, Any]]) -> Any:
    """Sorts rows by experiment and variant, in the order in which they first appear."""
    first = {}
    for row in rows:
        first.setdefault((row["experiment"], row["variant"]), len(first))
    return lambda row: first[row["experiment"], row["variant"]]


def _percent(share: float) -> float:
    return round(100 * share, 6)


def _each(values: Iterator[str | None]) -> str:
    """What the sessions of one run say, each thing once: a run may have moved."""
    return ", then ".join(dict.fromkeys(str(value) for value in values))
