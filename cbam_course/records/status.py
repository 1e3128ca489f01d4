"""How far experiments are: what is recorded, where, and how long the rest will take."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cbam_course.experiments import Experiment, run_name
from cbam_course.experiments.queue import find_records
from cbam_course.experiments.worker import UNFINISHED

from .provenance import gaps
from .reading import places, read_folder
from .tables import definitions

COLUMNS = (
    "experiment", "variants", "seeds", "recorded", "wanted", "device", "seconds_left",
)  # fmt: skip


class Status(NamedTuple):
    """What :func:`status` finds.

    Args:
        table: one row an experiment: ``variants``, ``seeds``, ``recorded`` and ``wanted`` (runs),
            ``device`` (of the records) and ``seconds_left`` (NaN if no record tells), with one run
            done at a time.
        recorded, wanted: the same of all the experiments, where a run that several of them want
            counts once.
        seconds_left: of the missing runs whose kind some record tells.
        unknown: how many missing runs are of another kind.
        strangers: records of runs that no experiment wants any more.
        problems: files that are no records, and why.
        gaps: what is missing in the provenance of records, and in how many.
        unfinished: names of the runs that were begun.
    """

    table: pd.DataFrame
    recorded: int
    wanted: int
    seconds_left: float
    unknown: int
    strangers: list[Path]
    problems: dict[Path, str]
    gaps: dict[str, int]
    unfinished: list[str]


def status(
    experiments: Iterable[Experiment], folder: str | os.PathLike[str] | None = None
) -> Status:
    """How far experiments are.

    Args:
        experiments: whose runs are wanted.
        folder: a folder whose records are added to those that come with the course.
    """
    records: dict[str, dict[str, Any]] = {}
    problems: dict[Path, str] = {}
    for place in places(folder):
        found = read_folder(place)
        records = found.records | records
        problems |= found.problems
    seconds = {name: sum(row["seconds"] for row in r["epochs"]) for name, r in records.items()}

    rows, left, wanted = [], {}, set()
    for experiment in experiments:
        names = [run_name(run) for run in experiment.runs()]
        missing = _estimate(experiment, names, seconds)
        # The same run may be estimated in one experiment and unknown in another.
        left |= {n: s for n, s in missing.items() if n not in left or left[n] != left[n]}
        wanted |= set(names)
        devices = {
            records[name]["sessions"][-1]["device"]: None for name in names if name in seconds
        }
        rows.append(
            {
                "experiment": experiment.name,
                "variants": len(experiment.variants),
                "seeds": len(experiment.seeds),
                "recorded": len(set(names) & records.keys()),
                "wanted": len(set(names)),
                "device": " and ".join(devices),
                "seconds_left": float(sum(missing.values())),
            }
        )

    known = wanted | {run_name(run) for e in definitions().values() for run in e.runs()}
    strangers = [path for name, path in find_records(places(folder)).items() if name not in known]
    begun = () if folder is None else Path(folder, UNFINISHED).glob("*/checkpoint.pt")
    return Status(
        pd.DataFrame(rows, columns=list(COLUMNS)).set_index("experiment"),
        len(wanted & records.keys()),
        len(wanted),
        float(sum(s for s in left.values() if s == s)),
        sum(s != s for s in left.values()),
        [path for path in strangers if path not in problems],
        problems,
        dict(Counter(gap for record in records.values() for gap in gaps(record))),
        sorted(path.parent.name for path in begun),
    )


def _estimate(
    experiment: Experiment, names: list[str], seconds: dict[str, float]
) -> dict[str, float]:
    """How long each missing run will take: as the variant's others, or the experiment's."""
    count = len(experiment.variants)
    of_all = [seconds[name] for name in names if name in seconds]
    left = {}
    for number, name in enumerate(names):
        if name not in seconds:
            same = [seconds[n] for n in names[number % count :: count] if n in seconds] or of_all
            left[name] = sum(same) / len(same) if same else float("nan")
    return left
