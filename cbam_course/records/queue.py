"""The queue: doing the runs that still lack a record, one after the other."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Event:
    """Something that the queue has to tell.

    Args:
        run: name of the run.
        kind: ``"epoch"`` (one more is finished), ``"recorded"`` (the run is finished, its record
            written), ``"stopped"`` (the time is over; it can be continued), ``"elsewhere"``
            (another process does it or has done it) or ``"failed"``.
        epochs: how many epochs are finished.
        test_accuracy: of the last epoch; from 0 to 1.
        seconds: that the epoch or the run took.
        device: where the run was computed.
        error: why it failed.
    """

    run: str
    kind: str
    epochs: int = 0
    test_accuracy: float = float("nan")
    seconds: float = 0.0
    device: str = ""
    error: str = ""


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
    on_event: Callable[[Event], object] = lambda event: None,
) -> None:
    """Do runs until each is recorded, has failed or is done elsewhere, or the time is over.

    Args:
        runs: what to do, in this order.
        out: where the records go, one JSON file a run, written whole when the run is finished.
            Several queues, even on several computers, may share a folder: each run is done by one.
        budget: seconds; ``None`` for no limit. An epoch that would not fit, judged by the one
            before, is not begun; the run is kept and continued the next time.
        device: where to train.
        data_folder: where CIFAR-10 is or is to be kept.
        on_event: called after every epoch and when a run ends. A run that fails is told of, and
            the others go on.

    Raises:
        DatasetUnavailable: if CIFAR-10 is wanted, not there, and cannot be downloaded.
    """
    deadline = inf if budget is None else time.time() + budget
    runs = list(runs)
    # A set that is downloaded is read once, and first: without it its runs would all fail.
    names = {run.dataset for run in runs} - {"shapes"}
    sets = {name: training.load_data(TrainConfig(dataset=name), data_folder) for name in names}
    for run in runs:
        event = _do(run, sets.get(run.dataset), Path(out), deadline, device, on_event)
        on_event(event)
        if event.kind == "stopped":
            return


def _do(
    run: TrainConfig,
    images: ImageSet | None,
    out: Path,
    deadline: float,
    device: str,
    tell: Callable[[Event], object],
) -> Event:
    """Do a run, or go on with it. An error is an end, too: the other runs can still be done."""
    name = run_name(run)
    record, folder = out / f"{name}.json", out / UNFINISHED / name

    def on_epoch(history: History) -> None:
        row = history.last
        tell(Event(name, "epoch", row["epoch"], row["test_accuracy"], row["seconds"]))
        if row["epoch"] < run.epochs and time.time() + row["seconds"] > deadline:
            raise _TimeIsOver

    if time.time() >= deadline:
        return Event(name, "stopped")
    options = {"folder": folder, "resume": True, "progress": False, "on_epoch": on_epoch}
    try:
        # Not the lock that training holds: until the record is there, the run is ours.
        with locked(folder / "queue"):
            if record.exists():
                shutil.rmtree(folder, ignore_errors=True)  # its own, or left by one just killed
                return Event(name, "elsewhere")
            history = training.train(replace(run, device=device), images, **options).history
            # The losses of all steps would be most of the file.
            replace(history, config=run, iteration_loss=[]).to_json(record)
            shutil.rmtree(folder, ignore_errors=True)
    except Busy:
        return Event(name, "elsewhere")
    except _TimeIsOver:
        return Event(name, "stopped")
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        return Event(name, "failed", error=f"{type(error).__name__}: {reason}")
    accuracy, where = history.final["test_accuracy"], history.sessions[-1]["device"]
    return Event(name, "recorded", len(history.epochs), accuracy, history.seconds, where)
