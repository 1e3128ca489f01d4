"""The queue: doing the runs that still lack a record, and keeping each record as it is finished."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock, Timeout

from cbam_course import training
from cbam_course.training import History, TrainConfig

from .experiment import Experiment, run_name

if TYPE_CHECKING:
    from cbam_course.data import ImageSet

UNFINISHED = ".unfinished"
"""Folder, beside the records, of the runs that are being computed or were interrupted."""


def find_records(folders: Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """The records in some folders: their files by the names of their runs."""
    return {path.stem: path for folder in folders for path in sorted(Path(folder).glob("*.json"))}


def pending(
    experiments: Iterable[Experiment], folders: Iterable[str | os.PathLike[str]]
) -> list[TrainConfig]:
    """The runs without a record, the most valuable first, each once.

    The experiments are taken in their order; in each, all variants with the first seed come before
    any with the second, because only runs with the same seed can be compared.

    Args:
        experiments: whose runs.
        folders: where records may be.
    """
    wanted = {run_name(run): run for experiment in experiments for run in experiment.runs()}
    recorded = find_records(folders)
    return [run for name, run in wanted.items() if name not in recorded]


class OutOfTime(Exception):
    """The budget was spent in the middle of a run, which can be continued."""


@dataclass
class Worker:
    """Does one run after the other.

    Several workers, in processes of their own, may share a folder: each run is done by one of them.

    Args:
        out: where the records go.
        deadline: when to stop, on the clock of ``time.monotonic``; ``None`` for never.
        device: where to train, as in :class:`~cbam_course.training.TrainConfig`.
        data_folder: where CIFAR-10 is or is to be kept.
        on_record: called with every record that is finished.
    """

    out: Path
    deadline: float | None = None
    device: str = "auto"
    data_folder: str | os.PathLike[str] | None = None
    on_record: Callable[[Path, History], None] = lambda path, history: None

    def work(self, runs: Iterable[TrainConfig]) -> None:
        """Do the runs in their order, until all are done or the time is over."""
        slowest: dict[tuple, float] = {}
        for run in runs:
            kind = (run.model, run.widths, run.dataset, run.train_size, run.epochs)
            if self._left() <= slowest.get(kind, 0.0):
                continue  # it would not be finished; a shorter one may
            started = time.monotonic()
            try:
                if self.do(run):
                    slowest[kind] = max(slowest.get(kind, 0.0), time.monotonic() - started)
            except OutOfTime:
                return

    def do(self, run: TrainConfig) -> bool:
        """Do one run, or go on with it, unless it is recorded or another worker is at it.

        Returns:
            Whether this worker has made its record.
        """
        path = self.out / f"{run_name(run)}.json"
        folder = self.out / UNFINISHED / path.stem
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f"{path.stem}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        try:
            if path.exists():
                return False
            history = training.train(
                replace(run, device=self.device),
                self._data(run),
                folder=folder,
                resume=True,
                progress=False,
                on_epoch=self._stop_in_time,
            ).history
            record = replace(history, config=run, iteration_loss=[])
            record.to_json(path)
            self.on_record(path, record)
            shutil.rmtree(folder, ignore_errors=True)
            return True
        finally:
            lock.release()

    def _left(self) -> float:
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    def _stop_in_time(self, history: History) -> None:
        if self._left() <= 0 and len(history.epochs) < history.config.epochs:
            raise OutOfTime

    def _data(self, run: TrainConfig) -> "ImageSet":
        # Read once by each worker, not once a run.
        if not hasattr(self, "_whole"):
            from cbam_course import data

            self._whole = data.cifar10(self.data_folder)
        return self._whole


def run_queue(
    runs: list[TrainConfig],
    out: str | os.PathLike[str],
    *,
    budget: float | None = None,
    jobs: int = 1,
    device: str = "auto",
    data_folder: str | os.PathLike[str] | None = None,
    on_record: Callable[[Path, History], None] = lambda path, history: None,
) -> None:
    """Do runs until all are recorded or the time is over.

    Args:
        runs: what to do, in this order.
        out: where the records go, one JSON file a run, written whole when the run is finished.
        budget: seconds; ``None`` for no limit. A run that is interrupted by the end of the time, or
            by the death of the process, is continued the next time.
        jobs: runs at a time. Each has a process of its own, and its share of the CPU's cores.
        device: where to train.
        data_folder: where CIFAR-10 is or is to be kept.
        on_record: called with the path and the record of every run that is finished.
    """
    deadline = None if budget is None else time.monotonic() + budget
    worker = Worker(Path(out), deadline, device, data_folder, on_record)
    if jobs == 1:
        worker.work(runs)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = torch.multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_work_apart, args=(worker, runs, threads)) for _ in range(jobs)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _work_apart(worker: Worker, runs: list[TrainConfig], threads: int) -> None:
    torch.set_num_threads(threads)
    worker.work(runs)
