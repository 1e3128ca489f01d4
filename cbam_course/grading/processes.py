"""Processes of the submissions: to be found, measured and ended.

psutil comes with the grader's requirements, not with the course's, and so is imported late.
"""

import ctypes
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

SET_DUMPABLE, SET_CHILD_SUBREAPER = 4, 36
LONGEST_END = 5.0
"""Seconds that processes have to be gone after they were killed."""


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


def end_all(processes: "Iterable[psutil.Process]") -> None:
    """Kill processes and all that they have started or start meanwhile."""
    import psutil

    family = set(processes)
    deadline = time.monotonic() + LONGEST_END
    while family and time.monotonic() < deadline:
        # Stopped before killed: what stands still starts no other, and its children are still its
        # own, while those of a killed one are nobody's.
        stopped: set[psutil.Process] = set()
        while (running := family - stopped) and time.monotonic() < deadline:
            for process in running:
                with suppress(psutil.Error):
                    process.suspend()
            time.sleep(0.01)  # a signal takes a moment
            stopped |= running
            for process in list(family):
                with suppress(psutil.Error):
                    family.update(process.children(recursive=True))
        for process in family:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)
        family = set(filter(is_alive, family))


def is_alive(process: "psutil.Process") -> bool:
    """Return whether a process is still there and has not ended."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Family:
    """A process with all descendants that were ever seen of it.

    Args:
        number: the process's id.
        kernel: what the command line of the kernel among its children has in it.
    """

    def __init__(self, number: int, kernel: str) -> None:
        import psutil

        self._error = psutil.Error
        self._parent: psutil.Process | None = None
        with suppress(psutil.Error):
            self._parent = psutil.Process(number)
        self._kernel_name = kernel
        self._kernel: psutil.Process | None = None
        self._seen: set[psutil.Process] = set()

    def look(self) -> tuple[int, int]:
        """Return the bytes of memory that all hold together, and how many they are."""
        memory = count = 0
        if self._parent is None:
            return memory, count
        with suppress(self._error):
            children = self._parent.children(recursive=True)
            self._seen.update(children)
            for member in [self._parent, *children]:
                with suppress(self._error):
                    memory += member.memory_info().rss
                    count += 1
                    if self._kernel is None and self._kernel_name in member.cmdline():
                        self._kernel = member
        return memory, count

    def has_lost_kernel(self) -> bool:
        """Return whether there was a kernel and it has ended."""
        return self._kernel is not None and not is_alive(self._kernel)

    def end(self) -> None:
        """End all of them that are still there."""
        end_all(filter(is_alive, {*filter(None, [self._parent]), *self._seen}))
