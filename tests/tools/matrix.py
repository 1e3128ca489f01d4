"""Run every notebook under other Pythons, versions, processors and thread counts, and compare.

Each environment is made once, in .venv-matrix-NAME, and each run is `pytest --nbval` over the
chapters and over solved copies of the exercises, with their stored outputs. The command line may
name environments and notebooks: all without a name. The exit code is 0 if everything ran and
passed, 1 if something failed, 2 if nothing failed but something selected could not run here.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tests.support import exercise_cells
from tests.support.project import ROOT, chapters
from tests.tools import environment

PINNED, TOOLS = ROOT / "constraints.txt", ROOT / "tests" / "tools"
CAPABILITIES = ("default", "avx2")
THREADS = (1, 2)
# A Python, and the versions in it: without constraints, the newest there are.
ENVIRONMENTS: dict[str, tuple[str, Path | None]] = {
    "py3.11": ("3.11", PINNED),
    "py3.12": ("3.12", PINNED),
    "py3.13": ("3.13", PINNED),
    "newest": ("3.13", None),
    "colab": ("3.13", TOOLS / "colab-constraints.txt"),
    "lowest": ("3.11", TOOLS / "lowest-constraints.txt"),
}
ROW = "{:11}  {:9}  {:7}  {:7}  {}"


def selected(arguments: list[str]) -> list[Path]:
    """Return the notebooks that the command line names, or the chapters, then their exercises."""
    named = [Path(name).resolve() for name in arguments]
    if missing := [path for path in named if not path.is_file()]:
        sys.exit(f"there is no notebook {missing[0]}")
    return named or [*chapters(), *exercise_cells.exercise_notebooks()]


def copied(path: Path, folder: Path) -> Path:
    """Return a solved copy of an exercise notebook, made in `folder`; a chapter as it is."""
    if path.parent != exercise_cells.FOLDER:
        return path
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.write(exercise_cells.solved(notebook), folder / path.name)
    return folder / path.name


def find_python(wanted: str) -> str | None:
    """Return an interpreter of version `wanted` that starts, or None."""
    candidates = [sys.executable, shutil.which(f"python{wanted}")]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(versions.glob(f"{wanted}.*/bin/python"))]
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        run = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
        if run.returncode == 0 and run.stdout.strip() == wanted:
            return candidate
    return None


def prepare(python: str, folder: Path, constraints: Path | None, wanted: list[str]) -> str:
    """Make an environment of `wanted` with `python`, unless it is there; return its interpreter."""
    code = (
        "import sys; from tests.tools import environment; "
        "environment.make(sys.argv[1], sys.argv[3:], sys.argv[2])"
    )
    arguments = [str(folder), str(constraints or os.devnull), *wanted]
    subprocess.run([python, "-c", code, *arguments], cwd=ROOT, check=True)
    return environment.python_of(str(folder))


def run(python: str, capability: str, threads: int, notebooks: list[Path]) -> tuple[str, str]:
    """Run the notebooks once; return "passed", "failed" or "not run", and how or why."""
    cpu = Path("/proc/cpuinfo")
    if capability not in ("default", *(cpu.read_text().split() if cpu.is_file() else ())):
        return "not run", f"this processor has no {capability}"
    variables = os.environ | {
        "ATEN_CPU_CAPABILITY": capability,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    workers = max(1, (os.cpu_count() or 1) // threads)
    start = time.perf_counter()
    # Outside the repository pytest would call the cells of all copies by the same names.
    with tempfile.TemporaryDirectory(prefix=".venv-matrix-exercises-", dir=ROOT) as folder:
        command = [python, "-m", "pytest", "-q", "--nbval", "-n", str(workers)]
        pytest = subprocess.run(
            [*command, *(copied(path, Path(folder)) for path in notebooks)],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    last = (pytest.stdout.strip().splitlines() or [""])[-1].strip("= ")
    note = f"{re.sub(' in .*', '', last)}, {time.perf_counter() - start:.0f} s"
    if pytest.returncode == 0 and re.search(r"\d+ passed", last):
        return "passed", note
    print(pytest.stdout, flush=True)
    return "failed", note


def runs(name: str, notebooks: list[Path]) -> Iterator[tuple]:
    """Make an environment and run the notebooks in it, by each instruction set and thread count."""
    version, constraints = ENVIRONMENTS[name]
    if not (python := find_python(version)):
        yield name, "", "", "not run", f"there is no Python {version} here"
        return
    try:
        wanted = environment.requirements("test")
        interpreter = prepare(python, ROOT / f".venv-matrix-{name}", constraints, wanted)
    except subprocess.CalledProcessError:
        yield name, "", "", "failed", "set-up"
        return
    for choice in itertools.product(CAPABILITIES, THREADS):
        yield name, *choice, *run(interpreter, *choice, notebooks)


def exit_code(outcomes: set[str]) -> int:
    """Return 1 after a failure, 2 if something did not run, and 0 if everything passed."""
    return 1 if "failed" in outcomes else 0 if outcomes == {"passed"} else 2


def main(arguments: list[str]) -> int:
    """Run what the command line selects, print a row for each run, return the exit code."""
    notebooks = selected([name for name in arguments if name not in ENVIRONMENTS])
    rows = [("environment", "processor", "threads", "outcome", "")]
    for name in [name for name in ENVIRONMENTS if name in arguments] or ENVIRONMENTS:
        for row in runs(name, notebooks):
            print(ROW.format(*row), flush=True)
            rows.append(row)
    print("", *(ROW.format(*row).rstrip() for row in rows), sep="\n")
    return exit_code({row[3] for row in rows[1:]})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
