"""The queue: doing the runs that still lack a record, one after the other."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf
from pathlib import Path

from cbam_course import training
from cbam_course.data import ImageSet
from cbam_course.files import Busy, locked
from cbam_course.training import History, TrainConfig

from .experiment import Experiment, run_name
from .reading import find_files

UNFINISHED = ".unfinished"
"""Folder, beside the records, of the runs that are being computed or were interrupted."""


class _TimeIsOver(Exception):
    """Ends a run after an epoch, which is kept."""


def pending(
    experiments: Iterable[Experiment], folder: str | os.PathLike[str] | None = None
) -> list[TrainConfig]:
    """The runs without a record, the most valuable first, each once.

    The experiments are taken in their order; in each, all variants with the first seed come before
    any with the second, because only runs with the same seed can be compared.

    Args:
        experiments: whose runs.
        folder: a folder whose records are added to those that come with the course. A damaged file
            counts, too: it is not ours to overwrite.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    wanted: dict[str, TrainConfig] = {}
    for experiment in experiments:
        for _, run in experiment.runs():
            wanted.setdefault(run_name(run), run)
    recorded = {path.stem for path in find_files(folder)}
    return [run for name, run in wanted.items() if name not in recorded]


def run_queue(
    runs: Iterable[TrainConfig],
    out: str | os.PathLike[str],
    *,
    budget: float | None = None,
    device: str = "auto",
    data_folder: str | os.PathLike[str] | None = None,
    say: Callable[[str], object] = print,
) -> Counter[str]:
    """Do runs until each is recorded, has failed or is done elsewhere, or the time is over.

    Args:
        runs: what to do, in this order.
        out: where the records go, one JSON file a run, written whole when the run is finished.
            Several queues, even on several computers, may share a folder: each run is done by one.
        budget: seconds; ``None`` for no limit. An epoch that would not fit, judged by the one
            before, is not begun; the run is kept and continued the next time.
        device: where to train.
        data_folder: where CIFAR-10 is or is to be kept.
        say: gets a line after every epoch, and when a run is recorded or has failed.

    Returns:
        How many runs are ``"recorded"``, ``"failed"`` (the others went on) and done
        ``"elsewhere"``, by another process. For what is left there was no time.

    Raises:
        DatasetUnavailable: if CIFAR-10 is wanted, not there, and cannot be downloaded.
    """
    deadline = inf if budget is None else time.time() + budget
    runs, ends = list(runs), Counter()
    # A set that is downloaded is read once, and first: without it its runs would all fail.
    names = {run.dataset for run in runs} - {"shapes"}
    sets = {name: training.load_data(TrainConfig(dataset=name), data_folder) for name in names}
    for number, run in enumerate(runs, start=1):

        def tell(line: str, begin: str = f"[{number}/{len(runs)}] {run_name(run)}") -> None:
            say(begin + line)

        try:
            ends[_do(run, sets.get(run.dataset), Path(out), deadline, device, tell)] += 1
        except _TimeIsOver:
            break
    return ends


def _do(
    run: TrainConfig,
    images: ImageSet | None,
    out: Path,
    deadline: float,
    device: str,
    tell: Callable[[str], object],
) -> str:
    """Do a run, or go on with it. An error is an end, too: the other runs can still be done."""
    name = run_name(run)
    record, folder = out / f"{name}.json", out / UNFINISHED / name

    def on_epoch(history: History) -> None:
        row = history.last
        result = f"{row['test_accuracy']:.2%} in {row['seconds']:.0f} s"
        tell(f": epoch {row['epoch']}, {result}")
        if row["epoch"] < run.epochs and time.time() + row["seconds"] > deadline:
            raise _TimeIsOver

    if time.time() >= deadline:
        raise _TimeIsOver
    options = {"folder": folder, "resume": True, "progress": False, "on_epoch": on_epoch}
    try:
        # Not the lock that training holds: until the record is there, the run is ours.
        with locked(folder / "queue"):
            if record.exists():
                shutil.rmtree(folder, ignore_errors=True)  # its own, or left by one just killed
                return "elsewhere"
            history = training.train(replace(run, device=device), images, **options).history
            # The losses of all steps would be most of the file.
            replace(history, config=run, iteration_loss=[]).to_json(record)
            shutil.rmtree(folder, ignore_errors=True)
    except Busy:
        return "elsewhere"
    except _TimeIsOver:
        raise
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        tell(f" failed: {type(error).__name__}: {reason}")
        return "failed"
    result = f"{history.final['test_accuracy']:.2%} in {history.seconds:.0f} s"
    tell(f" recorded: {result} on {history.sessions[-1]['device']}")
    return "recorded"
