"""How far experiments are: what is recorded, where, and how long the rest will take."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from .experiment import Experiment, run_name
from .queue import UNFINISHED
from .reading import read_files


class Status(NamedTuple):
    """What :func:`status` finds.

    Args:
        runs: one row a run of an experiment: ``experiment``, ``variant``, ``run`` (its name),
            ``device`` (of its record, NaN without one), ``recorded``, and the ``seconds`` it will
            still take: 0 for one that is recorded, NaN where no record of the experiment tells.
        problems: files that are no records, and why.
        unfinished: names of the runs that were begun.
    """

    runs: pd.DataFrame
    problems: dict[Path, str]
    unfinished: list[str]


def status(
    experiments: Iterable[Experiment], folder: str | os.PathLike[str] | None = None
) -> Status:
    """How far experiments are, with the records of ``folder`` added to those of the course.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    records, problems = read_files(folder)
    runs = pd.DataFrame(
        [
            (experiment.name, variant.name, run_name(run))
            for experiment in experiments
            for variant, run in experiment.runs()
        ],
        columns=["experiment", "variant", "run"],
    )
    runs["device"] = runs["run"].map({n: r["sessions"][-1]["device"] for n, r in records.items()})
    took = runs["run"].map({n: sum(e["seconds"] for e in r["epochs"]) for n, r in records.items()})
    runs["recorded"] = took.notna()
    # A missing run will take as long as the experiment's others.
    mean = took.groupby(runs["experiment"]).transform("mean")
    runs["seconds"] = mean.mask(runs["recorded"], 0.0)
    begun = () if folder is None else Path(folder, UNFINISHED).glob("*/checkpoint.pt")
    return Status(runs, problems, sorted(path.parent.name for path in begun))
