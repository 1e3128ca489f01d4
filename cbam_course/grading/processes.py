"""Processes of the submissions: to be found, hidden from and ended.

psutil comes with the grader's requirements, not with the course's, and so is imported late.
"""

import ctypes
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

SET_DUMPABLE, SET_CHILD_SUBREAPER = 4, 36
LONGEST_END = 20.0
"""Seconds that processes have to be gone; a thousand of them need some."""


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        zero = ctypes.c_ulong(0)
        library.prctl(option, ctypes.c_ulong(value), zero, zero, zero)


def hide_memory() -> None:
    """Deny other processes of this user the memory of this one (Linux; macOS does so anyway)."""
    _prctl(SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind (Linux)."""
    _prctl(SET_CHILD_SUBREAPER, 1)


def tasks_of_this_user() -> int:
    """Return how many processes and threads this user has: what RLIMIT_NPROC counts."""
    import psutil

    count = 0
    for number in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(number)
            if process.uids().real == os.getuid():
                count += process.num_threads()
    return count


def family(processes: "Iterable[psutil.Process]") -> "set[psutil.Process]":
    """Return processes and all that descend from them, in one look at the system."""
    import psutil

    children = defaultdict(list)
    for number in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(number)
            children[process.ppid()].append(process)
    found, waiting = set(), list(processes)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += children[process.pid]
    return found


def end_all(processes: "Iterable[psutil.Process]") -> None:
    """Kill processes and all that they have started or start meanwhile."""
    import psutil

    left = set(filter(is_alive, processes))
    deadline = time.monotonic() + LONGEST_END
    while left and time.monotonic() < deadline:
        # Stopped before killed: what stands still starts no other, and its children are still its
        # own, while those of a killed one are nobody's.
        left = family(left)
        stopped: set[psutil.Process] = set()
        while (running := left - stopped) and time.monotonic() < deadline:
            for process in running:
                with suppress(psutil.Error):
                    process.suspend()
            stopped |= running
            time.sleep(0.01)  # a signal takes a moment
            left = family(left)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)
        left = set(filter(is_alive, left))


def is_alive(process: "psutil.Process") -> bool:
    """Return whether a process is still there and has not ended."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
