"""Run one notebook under nbval, in processes that are limited, watched and ended."""

import json
import os
import selectors
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cbam_course

from . import kernel
from .processes import Family

PACKAGE = Path(cbam_course.__file__).resolve().parent
POLL = 0.1
"""Seconds between two looks at the processes of a run."""
DISK_POLL = 1.0
LONGEST_GOODBYE = 3.0
"""Seconds in which the comparing process should be through after its kernel has ended."""
MOST_FILES = 10_000
DEEPEST_FOLDER = 30
LONGEST_RESULTS = 5_000_000
RESULT = ("cell", "when", "clean", "message", "outputs")
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ", "VIRTUAL_ENV")
"""Environment variables that a submission sees. What else is set is nobody's business there."""


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
            if value <= 0:
                raise ValueError(f"the limit {name} must be above 0, got {value}")


class Cancelled(Exception):
    """Nobody wants to know any more how the run would have gone."""


@dataclass
class Run:
    """How a run went.

    Attributes:
        cells: one dictionary per cell and phase, as :mod:`.inside` sends them.
        exit: pytest's own word on how it ended, None if it could not give it.
        returncode: of the process.
        stopped: why the run was ended from outside, in words; empty if it was not.
        errors: what the process wrote before the notebook began.
        seconds: how long it took.
        memory: the most that all its processes held, in bytes.
    """

    cells: list[dict[str, Any]] = field(default_factory=list)
    exit: int | None = None
    returncode: int | None = None
    stopped: str = ""
    errors: str = ""
    seconds: float = 0.0
    memory: int = 0

    def clean(self, cells: int) -> bool:
        """Return whether `cells` cells passed without any ado, and nothing else happened."""
        passed = {(c["cell"], c["when"]) for c in self.cells if c["clean"]}
        return (
            self.exit == self.returncode == 0
            and not self.stopped
            and len(self.cells) == len(passed) == 3 * cells
        )


def sandbox_folders(hidden: Path | None) -> dict[str, list[str]]:
    """Return what a kernel may read: what Python and its libraries need, and the course's package.

    Args:
        hidden: the folder with the solutions, if there is one.

    Raises:
        ValueError: if it lies in one of the folders that must be readable.
    """
    system = "/usr /lib /lib32 /lib64 /bin /sbin /etc /proc /sys /nix/store /gnu/store".split()
    python = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *_user_packages()]
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders = sorted({Path(name).resolve() for name in (*system, *python, *libraries) if name})
    for folder in (*folders, PACKAGE):
        if hidden and hidden.resolve().is_relative_to(folder):
            raise ValueError(
                f"the exercises with their solutions are in {folder}, which answers can read; put "
                "them elsewhere, or let answers read everything with --no-sandbox"
            )
    return {
        "readable": [*map(str, folders), str(PACKAGE)],
        # Python looks for the package in its parent, and so must see its name there.
        "listable": [str(PACKAGE.parent)],
    }


def _user_packages() -> list[str]:
    """Return the folder of packages that were installed for this user alone, if there is one."""
    folder = site.getusersitepackages()
    return [folder] if site.ENABLE_USER_SITE and os.path.isdir(folder) else []


def run_notebook(
    notebook: str,
    *,
    expected: dict[int, list],
    seed: int,
    limits: Limits,
    sandbox: dict[str, list[str]] | None,
    wants_outputs: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Run:
    """Run a notebook once, in a folder and a kernel of its own, and compare its outputs.

    Args:
        notebook: its JSON.
        expected: the outputs to compare with, by the number of the code cell. They are handed over
            in a pipe, so that they lie nowhere.
        seed: what the kernel finds in ``CBAM_COURSE_SEED``.
        limits: what it may use.
        sandbox: from :func:`sandbox_folders`, or None where there is no Landlock.
        wants_outputs: whether the outputs of cells that pass are wanted too.
        cancelled: asked now and then whether to give up.

    Raises:
        Cancelled: if `cancelled` said so.
        OSError: if the machine is short of something.
    """
    run = Run()
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="cbam-grade-")).resolve()
    try:
        arguments, environment = _prepare(folder, notebook, seed, limits, sandbox)
        order = {"expected": expected, "wants_outputs": wants_outputs}
        _watch(run, arguments, environment, order, folder, limits, cancelled)
    finally:
        _remove(folder)
        run.seconds = time.monotonic() - start
    return run


def _prepare(
    folder: Path,
    notebook: str,
    seed: int,
    limits: Limits,
    sandbox: dict[str, list[str]] | None,
) -> tuple[list[str], dict[str, str]]:
    """Fill the run's folder; return the command and its environment."""
    work, runtime = folder / "work", folder / "runtime"
    spec = folder / "jupyter" / "kernels" / "grading"
    for made in (work, runtime, spec):
        made.mkdir(parents=True, mode=0o700)
    python = [sys.executable, "-P", "-s", "-B"]
    (spec / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [*python, "-m", kernel.__name__, "-f", "{connection_file}"]
                + ["--HistoryManager.enabled=False"],
                # What the comparing process reads of its home, the kernel cannot write.
                "env": {
                    "HOME": str(work),
                    "IPYTHONDIR": str(work / ".ipython"),
                    "MPLCONFIGDIR": str(work / ".matplotlib"),
                    "TMPDIR": str(work),
                },
                "display_name": "grading",
                "language": "python",
            }
        )
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    path = work / "exercise.ipynb"
    path.write_text(notebook, encoding="utf-8")

    if sandbox is not None:
        devices = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]
        sandbox = {
            "readable": [*sandbox["readable"], str(runtime)],
            "listable": sandbox["listable"],
            "writable": [*devices, str(work)],
        }
    settings = {
        "memory": limits.memory,
        "file": limits.disk,
        "cpu": int(limits.total) + 1,
        "sandbox": sandbox,
    }
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {
        kernel.VARIABLE: json.dumps(settings),
        "CBAM_COURSE_SEED": str(seed),
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": str(runtime),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *_user_packages()]),
        "PYTHONUTF8": "1",
        "TMPDIR": str(runtime),
    }
    options = (
        "-p nbval.plugin -p cbam_course.grading.inside -p no:cacheprovider -p no:assertion "
        "--noconftest --capture=no --color=no --exitfirst --quiet --nbval "
        "--nbval-kernel-name=grading"
    ).split()
    arguments = [
        *python, "-m", "pytest", *options, f"--nbval-cell-timeout={limits.cell}",
        "-c", str(folder / "pytest.ini"), "--rootdir", str(folder), str(path),
    ]  # fmt: skip
    return arguments, environment


def _watch(
    run: Run,
    arguments: list[str],
    environment: dict[str, str],
    order: dict[str, Any],
    folder: Path,
    limits: Limits,
    cancelled: Callable[[], bool],
) -> None:
    """Start the process, read what it tells, and end it and all it started, in time."""
    results, end = os.pipe()
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[end],
            start_new_session=True,
        )
    except BaseException:
        os.close(results)
        raise
    finally:
        os.close(end)
    watch = _Watch(process, folder / "work", limits)
    texts = {results: bytearray(), process.stdout.fileno(): bytearray()}
    try:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps({**order, "results": end}).encode())
        with selectors.DefaultSelector() as selector:
            for descriptor in texts:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            # Pipes may be closed before the process ends, or kept open by what it leaves behind:
            # only the process itself is waited for.
            while process.poll() is None and not run.stopped:
                _read(selector, texts)
                if cancelled():
                    raise Cancelled
                run.stopped = watch.excess()
            # The results of a process that ended by itself may still be in the pipe.
            watch.family.end()
            process.wait()
            _read(selector, texts)
    finally:
        watch.family.end()
        process.wait()
        run.memory = watch.most_memory
        process.stdout.close()
        os.close(results)
    run.returncode = process.returncode
    run.errors = texts.popitem()[1].decode("utf-8", "replace")[-2000:]
    for line in texts[results].decode("utf-8", "replace").splitlines():
        with suppress(ValueError, TypeError, KeyError):
            result = json.loads(line)
            if "exit" in result:
                run.exit = result["exit"]
            else:
                run.cells.append({name: result[name] for name in RESULT})


def _read(selector: selectors.BaseSelector, texts: dict[int, bytearray]) -> None:
    """Read what is there now, or comes within a moment."""
    for key, _ in selector.select(POLL):
        with suppress(BlockingIOError):
            while block := os.read(key.fd, 65536):
                if len(texts[key.fd]) < LONGEST_RESULTS:
                    texts[key.fd] += block
            selector.unregister(key.fd)


class _Watch:
    """Looks at a run's processes and files, and says when they are too much."""

    def __init__(self, process: subprocess.Popen, work: Path, limits: Limits) -> None:
        self.family = Family(process.pid, kernel.__name__)
        self.work = work
        self.limits = limits
        self.start = self.disk_looked = self.kernel_seen = time.monotonic()
        self.most_memory = 0

    def excess(self) -> str:
        """Return in words which limit is passed, or nothing."""
        now = time.monotonic()
        limits = self.limits
        if now - self.start > limits.total:
            return f"it took more than {limits.total:g} s"
        memory, count = self.family.look()
        self.most_memory = max(self.most_memory, memory)
        if memory > limits.memory:
            return f"it used more than {limits.memory / 2**30:g} GB of memory"
        if count > limits.processes:
            return f"it started more than {limits.processes} processes"
        if now - self.disk_looked > DISK_POLL:
            self.disk_looked = now
            if excess := _disk_excess(self.work, limits.disk):
                return excess
        if not self.family.has_lost_kernel():
            self.kernel_seen = now
        elif now - self.kernel_seen > LONGEST_GOODBYE:
            # The comparison would wait for an answer until the cell's time is over.
            return "its kernel ended before the cell did"
        return ""


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


def _remove(folder: Path) -> None:
    """Remove a run's folder, also where the submission has made that hard."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        # Folders that are closed, or deeper than Python or a path can reach.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, os.fspath(folder)], capture_output=True, check=False)
