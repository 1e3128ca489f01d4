"""The queue: doing the runs that still lack a record, one after the other or several at once."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from cbam_course.training import TrainConfig

from .experiment import Experiment, run_name
from .worker import Event, Worker


def find_records(folders: Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """The files of records in some folders, by the names of their runs."""
    return {path.stem: path for folder in folders for path in sorted(Path(folder).glob("*.json"))}


def pending(
    experiments: Iterable[Experiment], folders: Iterable[str | os.PathLike[str]]
) -> list[TrainConfig]:
    """The runs without a record, the most valuable first, each once.

    The experiments are taken in their order; in each, all variants with the first seed come before
    any with the second, because only runs with the same seed can be compared.

    Args:
        experiments: whose runs.
        folders: where records may be. A damaged file counts, too: it is not ours to overwrite.
    """
    wanted: dict[str, TrainConfig] = {}
    for experiment in experiments:
        for run in experiment.runs():
            wanted.setdefault(run_name(run), run)
    recorded = find_records(folders)
    return [run for name, run in wanted.items() if name not in recorded]


def run_queue(
    runs: Iterable[TrainConfig],
    out: str | os.PathLike[str],
    *,
    budget: float | None = None,
    jobs: int = 1,
    device: str = "auto",
    data_folder: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> None:
    """Do runs until each is recorded, has failed or is done elsewhere, or the time is over.

    Args:
        runs: what to do, in this order.
        out: where the records go, one JSON file a run, written whole when the run is finished.
        budget: seconds; ``None`` for no limit. A run that is interrupted by the end of the time, or
            by the death of the process, is continued the next time.
        jobs: runs at a time. Each has a process of its own, and its share of the CPU's threads.
        device: where to train.
        data_folder: where CIFAR-10 is or is to be kept.
        on_event: called after every epoch, and when a run ends. A run that fails is told of, and
            the others go on.

    Raises:
        DatasetUnavailable: if CIFAR-10 is wanted, not there, and cannot be downloaded.
        RuntimeError: if a process cannot be started.
    """
    deadline = None if budget is None else time.monotonic() + budget
    runs = deque(runs)
    worker = Worker(Path(out), deadline, device, data_folder)
    if downloaded := [run for run in runs if run.dataset == "cifar10"]:
        # Without it they would all fail, and of several workers only one should download it.
        worker.load_data(downloaded[0])
    if jobs > 1 and len(runs) > 1:
        worker = Worker(Path(out), deadline, device, data_folder)  # each reads its data itself
        threads = max(1, torch.get_num_threads() // jobs)
        _Team(worker, threads, runs, on_event).work(min(jobs, len(runs)))
        return
    while runs:
        event = worker.do(runs.popleft(), on_event)
        on_event(event)
        if event.kind == "stopped":
            return


@dataclass
class _Member:
    """A process that does runs, and what it is doing."""

    process: BaseProcess
    connection: Connection
    run: str | None = None


class _Team:
    """Processes that do runs, each the next one when it is ready for it.

    Each has a pipe of its own: one that is killed in the middle of a word disturbs no other.
    """

    def __init__(
        self,
        worker: Worker,
        threads: int,
        runs: deque[TrainConfig],
        on_event: Callable[[Event], None],
    ) -> None:
        self.worker, self.threads, self.runs, self.on_event = worker, threads, runs, on_event
        self.members: dict[Connection, _Member] = {}

    def work(self, size: int) -> None:
        try:
            for _ in range(size):
                self._hire()
            while self.members:
                for connection in wait(list(self.members)):
                    self._listen(self.members[connection])
        finally:
            # Whatever they are at has been kept up to its last epoch.
            for member in self.members.values():
                member.process.terminate()
            for member in self.members.values():
                member.process.join()

    def _hire(self) -> None:
        context = process_context()
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.worker, self.threads, theirs))
        process.start()
        theirs.close()  # so that its end is the end of the pipe
        self.members[ours] = _Member(process, ours)

    def _listen(self, member: _Member) -> None:
        try:
            event = member.connection.recv()
        except (EOFError, OSError):
            return self._replace_dead(member)
        if event is not None:
            self.on_event(event)
        if event is None or event.kind in ("recorded", "elsewhere"):
            return self._give(member)
        if event.kind in ("stopped", "failed"):
            # After an error on a GPU nothing works any more in the process that made it.
            self._dismiss(member)
            if event.kind == "failed" and self.runs:
                self._hire()

    def _give(self, member: _Member) -> None:
        if not self.runs:
            return self._dismiss(member)
        run = self.runs.popleft()
        member.run = run_name(run)
        try:
            member.connection.send(run)
        except OSError:
            self._replace_dead(member)

    def _dismiss(self, member: _Member) -> None:
        del self.members[member.connection]
        member.connection.close()
        member.process.join()

    def _replace_dead(self, member: _Member) -> None:
        self._dismiss(member)
        code = member.process.exitcode
        if member.run is None:
            raise RuntimeError(f"a process for the runs could not be started (exit code {code})")
        self.on_event(Event(member.run, "failed", error=f"its process ended with exit code {code}"))
        if self.runs:
            self._hire()


def process_context() -> BaseContext:
    """How processes are started: not by a fork of this one, which CUDA would not survive."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # PyTorch is loaded once, by the server that is forked, and not by each process.
    context.set_forkserver_preload([__name__])
    return context


def _work(worker: Worker, threads: int, connection: Connection) -> None:
    """What a process does: it says that it is ready, and then one run after the other."""
    # Ctrl-C reaches all processes of a terminal; this one ends when the first one says so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)

    def tell(event: Event | None) -> None:
        try:
            connection.send(event)
        except OSError:
            raise SystemExit from None  # nobody listens: the first process was killed

    tell(None)
    while True:
        try:
            run = connection.recv()
        except (EOFError, OSError):
            return
        tell(worker.do(run, tell))
