"""Run the cells of an exercise in a sandbox made by bubblewrap, within limits.

The sandbox has its own processes, users, network and files: Python, its libraries and the course's
package, read-only, and empty folders in memory. Nothing outside can be seen in it, so that an
answer reaches neither the grader nor another answer, and all its processes end with it.
"""

import json
import os
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from .pristine import PACKAGE

HOME, COURSE = "/answer", "/course"
"""Folders of the sandbox: the one to write into, and the one with the course's package."""
DISK = 200 * 2**20
"""Bytes that an answer may write into each of its folders."""
MOST_PROCESSES = 50
LONGEST_RESULT = 10_000_000
POLL = 0.2
"""Seconds between two looks at the processes of a run."""
SYSTEM = (
    "/usr /bin /sbin /lib /lib32 /lib64 /nix/store /gnu/store /etc/alternatives /etc/fonts "
    "/etc/ld.so.cache /etc/localtime"
).split()
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ")
"""Environment variables that an answer sees. What else is set is nobody's business there."""
OR_TRUST = "; or add --trusted, if you trust those who wrote the answers"


@dataclass(frozen=True)
class Run:
    """How a run went.

    Attributes:
        printed: what each cell that was run printed; None if the process was ended before.
        raised: the name, the message and the traceback of the error in the last of these cells.
        stopped: which limit ended it, in words; empty if none did.
        errors: why it never began, in the words of the system; empty if it did.
    """

    printed: list[str] | None = None
    raised: tuple[str, str, str] | None = None
    stopped: str = ""
    errors: str = ""


def why_no_sandbox() -> str:
    """Try the sandbox; return in one line why there is none here and what to do, or nothing."""
    if sys.platform != "linux":
        return f"only Linux can lock answers in: grade in a virtual machine{OR_TRUST}"
    if shutil.which("bwrap") is None:
        return f"bubblewrap is needed to lock answers in: apt-get install bubblewrap{OR_TRUST}"
    trial = subprocess.run(
        [*_bubblewrap([]), sys.executable, "-c", "pass"], capture_output=True, text=True
    )
    if trial.returncode == 0:
        return ""
    said = (trial.stderr.strip() or f"it ended with {trial.returncode}").splitlines()[-1]
    where = '"Where bubblewrap is refused" in book/teaching.md'
    return f"bubblewrap cannot lock answers in here ({said}): see {where}{OR_TRUST}"


def _bubblewrap(hidden: Sequence[Path]) -> list[str]:
    """Return the beginning of a command that runs the rest of it in a sandbox.

    Args:
        hidden: folders that are empty in it, though they may lie among Python's own.
    """
    names = [sys.prefix, sys.base_prefix, os.path.dirname(sys.executable), _user_packages()]
    python = dict.fromkeys(str(p) for name in names for p in (Path(name), Path(name).resolve()))
    command = "bwrap --unshare-all --unshare-user --disable-userns --die-with-parent".split()
    command += "--cap-drop ALL --new-session --proc /proc --dev /dev".split()
    # A folder above Python's could be renamed by the answer if it were in a writable one.
    writable = [HOME, "/dev/shm", *(["/tmp"] if not any("/tmp/" in p for p in python) else [])]
    for folder in writable:
        command += ["--size", str(DISK), "--tmpfs", folder]
    for path in (*SYSTEM, *python):
        command += ["--ro-bind-try", path, path]
    command += ["--ro-bind", str(PACKAGE), f"{COURSE}/{PACKAGE.name}"]
    for path in hidden:
        command += ["--tmpfs", str(path.resolve()), "--remount-ro", str(path.resolve())]
    # The folders in which all this is mounted lie in memory, and can be written to until now; and
    # root could write to the files of /proc that steer the machine.
    for folder in ("/dev", "/proc", "/"):
        command += ["--remount-ro", folder]
    return [*command, "--chdir", HOME]


def _user_packages() -> str:
    """Return the folder of packages that were installed for this user alone, or a known one."""
    return (site.ENABLE_USER_SITE and site.getusersitepackages()) or sys.prefix


def run_cells(
    cells: Sequence[str],
    *,
    seconds: float,
    memory: int,
    hidden: Sequence[Path] = (),
    trusted: bool = False,
    cancelled: Event | None = None,
) -> Run:
    """Run the cells of a notebook, in a folder and a process of their own, until one fails.

    Args:
        cells: their code.
        seconds: how long it may take, the start of Python included.
        memory: bytes that all its processes together may hold.
        hidden: folders that it may not see.
        trusted: whether to do without a sandbox; then only the time is limited.
        cancelled: ends the run when it is set.

    Raises:
        OSError: if the machine is short of something.
    """
    end = time.monotonic() + seconds
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(seconds) + 1,
        # What a process allocates. RLIMIT_AS would count the libraries that are mapped too, and
        # those of PyTorch alone are gigabytes that nobody uses.
        "RLIMIT_DATA": memory,
        "RLIMIT_FSIZE": DISK,
        "RLIMIT_NPROC": 10 * MOST_PROCESSES,  # threads count
    }
    order = {"cells": list(cells), "limits": {} if trusted else limits}
    with (
        tempfile.TemporaryDirectory(prefix="cbam-grade-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as result,
        tempfile.TemporaryFile() as errors,
    ):
        home, course = (folder, str(PACKAGE.parent)) if trusted else (HOME, COURSE)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            "CUDA_VISIBLE_DEVICES": "",
            "HOME": home,
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([course, _user_packages()]),
            "PYTHONUTF8": "1",
            "TMPDIR": home,
            "USER": "learner",
        }
        process = subprocess.Popen(
            [*([] if trusted else _bubblewrap(hidden)), sys.executable, "-P", "-B"]
            + ["-m", f"{__package__}.inside"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=result,
            stderr=errors,
            start_new_session=True,
        )
        stopped = ""
        try:
            with suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(json.dumps(order).encode())
            while not stopped:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
                    break
                if time.monotonic() > end:
                    stopped = f"it took more than {seconds:g} s"
                elif cancelled and cancelled.is_set():
                    stopped = "cancelled"
                elif not trusted:
                    stopped = _excess(process.pid, memory)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        result.seek(0)
        errors.seek(0)
        begun, _, told = result.read(LONGEST_RESULT).partition(b"\n")
        said = errors.read(LONGEST_RESULT)[-2000:].decode("utf-8", "replace")
    if not begun:
        return Run(stopped=stopped, errors=said or f"it ended with {process.returncode}")
    return Run(stopped=stopped) if stopped else _read(told)


def _read(told: bytes) -> Run:
    """What is told of a run: the answer may have ended it, or have written anything there."""
    try:
        printed, raised = json.loads(told)
        name, message, lines = raised or ("", "", "")
        error = (str(name), str(message), str(lines)) if raised else None
        return Run([*map(str, printed)], error)
    except Exception:
        return Run()


def _excess(root: int, memory: int) -> str:
    """Return in words what a process and all that it started use too much of, or nothing."""
    import psutil

    family, used = [], 0
    with suppress(psutil.NoSuchProcess):
        family = [process := psutil.Process(root), *process.children(recursive=True)]
    for process in family:
        with suppress(psutil.Error):
            used += process.memory_info().rss
    if len(family) > MOST_PROCESSES:
        return f"it started more than {MOST_PROCESSES} processes"
    return f"it used more than {memory / 2**30:.2g} GB of memory" if used > memory else ""
