"""What does one run of an experiment, or goes on with it, and keeps its record."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from cbam_course import training
from cbam_course.training import History, TrainConfig

from .experiment import run_name

if TYPE_CHECKING:
    from cbam_course.data import ImageSet

UNFINISHED = ".unfinished"
"""Folder, beside the records, of the runs that are being computed or were interrupted."""


@dataclass(frozen=True)
class Event:
    """Something that a worker has to tell.

    Args:
        run: name of the run.
        kind: ``"epoch"`` (one more is finished), ``"recorded"`` (the run is finished, its record
            written), ``"stopped"`` (the time is over; it can be continued), ``"elsewhere"``
            (another process does it or has done it) or ``"failed"``.
        images: training images of the epoch.
        test_accuracy: of the finished epoch, or of the finished run; from 0 to 1.
        seconds: that the epoch or the run took.
        device: where the run was computed.
        error: why it failed.
    """

    run: str
    kind: str
    images: int = 0
    test_accuracy: float = float("nan")
    seconds: float = 0.0
    device: str = ""
    error: str = ""


class _OutOfTime(Exception):
    """The time is over in the middle of a run, which can be continued."""


@dataclass
class Worker:
    """Does one run after the other.

    Several workers, in processes of their own or even on several computers, may share a folder:
    each run is done by one of them.

    Args:
        out: where the records go.
        deadline: when to stop, on the clock of ``time.monotonic``; ``None`` for never.
        device: where to train, as in :class:`~cbam_course.training.TrainConfig`.
        data_folder: where CIFAR-10 is or is to be kept.
    """

    out: Path
    deadline: float | None = None
    device: str = "auto"
    data_folder: str | os.PathLike[str] | None = None
    _data: dict[tuple, "ImageSet"] = field(default_factory=dict, init=False, repr=False)
    _epoch_seconds: float = field(default=0.0, init=False, repr=False)

    def do(self, run: TrainConfig, tell: Callable[[Event], None]) -> Event:
        """Do a run, or go on with it.

        The record is written whole, when the run is finished, and never over another file. Up to
        then the run is kept after each epoch, so that it can be continued whatever happens.

        Args:
            run: what to do.
            tell: called after every epoch.

        Returns:
            How it ended. An error is such an end, too: the other runs can still be done.
        """
        name = run_name(run)
        record = self.out / f"{name}.json"
        try:
            self._check_time()
            with _alone(self.out / UNFINISHED / f"{name}.lock", record):
                return self._do(run, record, tell)
        except Timeout:
            return Event(name, "elsewhere")
        except _OutOfTime:
            return Event(name, "stopped")
        except Exception as error:
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            return Event(name, "failed", error=f"{type(error).__name__}: {reason}")

    def load_data(self, run: TrainConfig) -> "ImageSet":
        """The images of a run, which are read or drawn anew only if the last run had others."""
        sizes = {} if run.dataset == "shapes" else {"train_size": None, "test_size": None}
        # Of a set that is read, train takes as much as the run wants.
        whole = replace(run, **sizes)
        key = (whole.dataset, whole.train_size, whole.test_size)
        if key not in self._data:
            self._data.clear()
            self._data[key] = training.load_data(whole, self.data_folder)
        return self._data[key]

    def _do(self, run: TrainConfig, record: Path, tell: Callable[[Event], None]) -> Event:
        name, folder = record.stem, self.out / UNFINISHED / record.stem
        if record.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by one killed right after the record
            return Event(name, "elsewhere")

        def after_epoch(history: History) -> None:
            row = history.last
            self._epoch_seconds = row["seconds"]
            accuracy, images = row["test_accuracy"], history.data["train"]
            tell(Event(name, "epoch", images, accuracy, row["seconds"]))
            if row["epoch"] < run.epochs:
                self._check_time()

        history = training.train(
            replace(run, device=self.device),
            self.load_data(run),
            folder=folder,
            resume=True,
            progress=False,
            on_epoch=after_epoch,
        ).history
        # The losses of all steps would be most of the file.
        replace(history, config=run, iteration_loss=[]).to_json(record)
        shutil.rmtree(folder, ignore_errors=True)
        device, accuracy = history.sessions[-1]["device"], history.final["test_accuracy"]
        return Event(name, "recorded", 0, accuracy, history.seconds, device)

    def _check_time(self) -> None:
        """Stop if one more epoch, as long as the last one, would not be finished in time."""
        if self.deadline is None:
            return
        if time.monotonic() + self._epoch_seconds >= self.deadline:
            raise _OutOfTime


@contextmanager
def _alone(lock: Path, record: Path) -> Iterator[None]:
    """Keep other workers from a run meanwhile.

    Raises:
        Timeout: if another one is at it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    with suppress(NotImplementedError):  # some network drives have no locks
        held.acquire(timeout=0)
    try:
        yield
    finally:
        held.release()
        # From now on the record keeps the others away.
        if record.exists():
            with suppress(OSError):
                lock.unlink()
