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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbam_course

from . import kernel
from .processes import tasks_of_this_user
from .watch import Limits, Watch

PACKAGE = Path(cbam_course.__file__).resolve().parent
POLL = 0.1
"""Seconds between two looks at the processes of a run."""
SPARE_TASKS = 1000
"""Processes and threads that this user may start during a run, with all answers together. No answer
needs so many; it is there for those that multiply faster than anybody can look."""
LONGEST_RESULTS = 5_000_000
RESULT = ("cell", "when", "clean", "message", "outputs")
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TZ", "VIRTUAL_ENV")
"""Environment variables that a submission sees. What else is set is nobody's business there."""


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
        "tasks": tasks_of_this_user() + SPARE_TASKS,
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
    watch = Watch(process.pid, folder / "work", limits)
    output = process.stdout.fileno()
    texts = {results: bytearray(), output: bytearray()}
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
                # What was told last is that a cell is ready to run.
                last = texts[results].rstrip().rpartition(b"\n")[2]
                run.stopped = watch.excess(in_cell=b'"when": "setup"' in last)
            # The results of a process that ended by itself may still be in the pipe.
            watch.end()
            process.wait()
            _read(selector, texts)
    finally:
        watch.end()
        process.wait()
        run.memory = watch.most_memory
        process.stdout.close()
        os.close(results)
    run.returncode = process.returncode
    run.errors = texts[output].decode("utf-8", "replace")[-2000:]
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


def _remove(folder: Path) -> None:
    """Remove a run's folder, also where the submission has made that hard."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        # Folders that are closed, or deeper than Python or a path can reach.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, os.fspath(folder)], capture_output=True, check=False)
