"""The limits of a run, and a look from outside at whether it keeps to them."""

import math
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import kernel
from .processes import end_all, is_alive

DISK_POLL = 1.0
LONGEST_GOODBYE = 3.0
"""Seconds in which the comparing process should notice by itself that its kernel has ended."""
MOST_FILES = 10_000
DEEPEST_FOLDER = 30


@dataclass(frozen=True)
class Limits:
    """What the answer to one exercise may use.

    Args:
        cell: seconds for one cell.
        total: seconds for all, the start of Python included.
        memory: bytes that all its processes together may hold.
        disk: bytes that it may write.
        processes: how many it may have at a time.
    """

    cell: float = 60.0
    total: float = 180.0
    memory: int = 3 * 2**30
    disk: int = 200 * 2**20
    processes: int = 50

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < math.inf:
                raise ValueError(f"the limit {name} must be a number above 0, got {value}")


class Watch:
    """Looks at a run's processes and files, and says when they are too much.

    Args:
        number: the id of the process that compares. The others descend from it.
        work: the folder in which they may write.
        limits: what they may use.
    """

    def __init__(self, number: int, work: Path, limits: Limits) -> None:
        import psutil

        self._error = psutil.Error
        self._root = psutil.Process(number)
        self._kernel: psutil.Process | None = None
        self._seen = {self._root}
        self._work = work
        self._limits = limits
        self._start = self._disk_looked = self._kernel_seen = time.monotonic()
        self.most_memory = 0

    def excess(self, *, in_cell: bool) -> str:
        """Return in words which limit is passed, or nothing.

        Args:
            in_cell: whether a cell is running, so that there must be a kernel.
        """
        now = time.monotonic()
        limits = self._limits
        if now - self._start > limits.total:
            return f"it took more than {limits.total:g} s"
        memory, count = self._look()
        self.most_memory = max(self.most_memory, memory)
        if memory > limits.memory:
            return f"it used more than {limits.memory / 2**30:.2g} GB of memory"
        if count > limits.processes:
            return f"it started more than {limits.processes} processes"
        if now - self._disk_looked > DISK_POLL:
            self._disk_looked = now
            if excess := _disk_excess(self._work, limits.disk):
                return excess
        if not in_cell or self._kernel is None or is_alive(self._kernel):
            self._kernel_seen = now
        elif now - self._kernel_seen > LONGEST_GOODBYE:
            # The comparison would wait for an answer until the cell's time is over.
            return "its kernel ended before the cell did"
        return ""

    def _look(self) -> tuple[int, int]:
        """Return the bytes of memory that all processes hold together, and how many they are."""
        memory = count = 0
        with suppress(self._error):
            children = self._root.children(recursive=True)
            self._seen.update(children)
            for member in [self._root, *children]:
                with suppress(self._error):
                    memory += member.memory_info().rss
                    count += 1
                    if self._kernel is None and kernel.__name__ in member.cmdline():
                        self._kernel = member
        return memory, count

    def end(self) -> None:
        """End all processes that are still there."""
        end_all(self._seen)


def _disk_excess(folder: Path, limit: int) -> str:
    """Return in words what is too much of the files in a folder, or nothing."""
    total = count = 0
    waiting = [(os.fspath(folder), 0)]
    while waiting:
        parent, depth = waiting.pop()
        if depth > DEEPEST_FOLDER:
            return f"it made folders more than {DEEPEST_FOLDER} deep"
        with suppress(OSError), os.scandir(parent) as entries:  # files come and go meanwhile
            for entry in entries:
                count += 1
                if count > MOST_FILES:
                    return f"it made more than {MOST_FILES} files"
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
    return f"it wrote more than {limit / 2**20:g} MB" if total > limit else ""
