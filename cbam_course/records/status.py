"""How far experiments are: what is recorded, where, and how long the rest will take."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from .experiment import Experiment, run_name
from .queue import UNFINISHED, find_records
from .reading import folders, read_folder
from .tables import definitions


class Status(NamedTuple):
    """What :func:`status` finds.

    Args:
        table: one row an experiment: ``variants``, ``seeds``, ``recorded`` and ``wanted`` (runs),
            ``device`` (of the records) and ``seconds_left`` (NaN if no record tells), with one run
            done at a time.
        wanted: how many different runs the experiments want.
        left: seconds that each missing run will take, NaN where no record tells; a run that several
            experiments want counts once.
        strangers: records of runs that no experiment wants any more.
        problems: files that are no records, and why.
        unfinished: names of the runs that were begun.
    """

    table: pd.DataFrame
    wanted: int
    left: dict[str, float]
    strangers: list[Path]
    problems: dict[Path, str]
    unfinished: list[str]


def status(
    experiments: Iterable[Experiment], folder: str | os.PathLike[str] | None = None
) -> Status:
    """How far experiments are.

    Args:
        experiments: whose runs are wanted.
        folder: a folder whose records are added to those that come with the course.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    records, problems = {}, {}
    for each in folders(folder):
        found = read_folder(each)
        records = found.records | records
        problems |= found.problems
    seconds = {name: sum(e["seconds"] for e in r["epochs"]) for name, r in records.items()}
    rows, left, wanted = [], {}, set()
    for experiment in experiments:
        runs = pd.DataFrame(
            [(variant.name, run_name(run)) for variant, run in experiment.runs()],
            columns=["variant", "run"],
        )
        wanted |= set(runs["run"])
        took = runs["run"].map(seconds)
        # A missing run will take as long as the variant's others, or the experiment's.
        estimate = took.groupby(runs["variant"]).transform("mean").fillna(took.mean())
        missing = dict(zip(runs["run"][took.isna()], estimate[took.isna()], strict=True))
        left |= {n: s for n, s in missing.items() if n not in left or left[n] != left[n]}
        devices = [records[n]["sessions"][-1]["device"] for n in runs["run"] if n in records]
        rows.append(
            {
                "experiment": experiment.name,
                "variants": len(experiment.variants),
                "seeds": len(experiment.seeds),
                "recorded": int(took.notna().sum()),
                "wanted": len(runs),
                "device": " and ".join(dict.fromkeys(devices)),
                "seconds_left": float(sum(missing.values())),
            }
        )
    known = wanted | {run_name(run) for each in definitions().values() for _, run in each.runs()}
    strangers = [path for name, path in find_records(folders(folder)).items() if name not in known]
    begun = () if folder is None else Path(folder, UNFINISHED).glob("*/checkpoint.pt")
    return Status(
        pd.DataFrame(rows).set_index("experiment"),
        len(wanted),
        left,
        [path for path in strangers if path not in problems],
        problems,
        sorted(path.parent.name for path in begun),
    )
