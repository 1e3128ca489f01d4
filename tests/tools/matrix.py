"""Run every notebook under other Pythons, versions, processors and thread counts, and compare.

Each environment is made once, in .venv-matrix-NAME, and each run is `pytest --nbval` over the
chapters and over solved copies of the exercises, with their stored outputs. The exit code is 0
if everything ran and passed, 1 if something failed, 2 if nothing failed but something selected
could not run here.
"""

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import ROOT, chapters
from tests.tools import environment

EXERCISES = ROOT / "notebooks" / "exercises"
CONSTRAINTS = ROOT / "constraints.txt"
CAPABILITIES = ("default", "avx2")
THREADS = (1, 2)


@dataclass(frozen=True)
class Environment:
    """A Python and the versions in it: without constraints, the newest there are."""

    name: str
    python: str
    constraints: Path | None


ENVIRONMENTS = (
    Environment("py3.11", "3.11", CONSTRAINTS),
    Environment("py3.12", "3.12", CONSTRAINTS),
    Environment("py3.13", "3.13", CONSTRAINTS),
    Environment("newest", "3.13", None),
    Environment("colab", "3.13", ROOT / "tests" / "tools" / "colab-constraints.txt"),
    Environment("lowest", "3.11", ROOT / "tests" / "tools" / "lowest-constraints.txt"),
)


@dataclass(frozen=True)
class Result:
    """What one run came to: "passed", "failed" or "not run", and why."""

    environment: str
    capability: str
    threads: int
    outcome: str
    note: str = ""


def every_notebook() -> list[Path]:
    """Return the chapters, then their exercises."""
    return [*chapters(), *sorted(EXERCISES.glob("*.ipynb"))]


def solved(notebooks: list[Path], python: Path | str, folder: Path) -> list[Path]:
    """Return `notebooks` with a solved copy, made in `folder`, in the place of each exercise."""
    unsolved = [path for path in notebooks if path.parent == EXERCISES]
    if unsolved:  # nbformat, which reads them, is in the environment and maybe not here
        module = "tests.support.exercise_cells"
        subprocess.run([python, "-m", module, folder, *unsolved], cwd=ROOT, check=True)
    return [folder / path.name if path in unsolved else path for path in notebooks]


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


def has_capability(capability: str) -> bool:
    """Return whether this processor can run torch's code for `capability`."""
    if capability == "default":
        return True
    try:
        return capability in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False


def prepare(wanted: Environment, python: str) -> Path:
    """Make the environment, unless it is there; return its interpreter."""
    folder = ROOT / f".venv-matrix-{wanted.name}"
    constraints = wanted.constraints or os.devnull
    code = (
        "import sys; from tests.tools import environment; "
        "environment.make(sys.argv[1], environment.requirements('test'), sys.argv[2])"
    )
    print(f"Setting up {folder.name} ...", flush=True)
    subprocess.run([python, "-c", code, str(folder), str(constraints)], cwd=ROOT, check=True)
    return Path(environment.python_of(str(folder)))


def run(wanted: Environment, python: Path, capability: str, threads: int, notebooks) -> Result:
    """Run the notebooks once and say how it went."""
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
        command += solved(notebooks, python, Path(folder))
        pytest = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    last = pytest.stdout.strip().splitlines()[-1:] or [""]
    seconds = f"{time.perf_counter() - start:.0f} s"
    if pytest.returncode == 0 and re.search(r"\d+ passed", last[0]):
        outcome = "passed"
    else:
        outcome = "failed"
        print(pytest.stdout, flush=True)
    count = re.sub(r" in .*", "", last[0].strip("= "))
    return Result(wanted.name, capability, threads, outcome, f"{count}, {seconds}")


def table(results: list[Result]) -> str:
    """Return the results as a table of text."""
    rows = [("environment", "processor", "threads", "outcome", "")]
    rows += [(r.environment, r.capability, str(r.threads), r.outcome, r.note) for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def exit_code(results: list[Result]) -> int:
    """Return 1 after a failure, 2 if something did not run, and 0 if everything passed."""
    outcomes = {result.outcome for result in results}
    if "failed" in outcomes:
        return 1
    return 0 if outcomes == {"passed"} else 2


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [e.name for e in ENVIRONMENTS]
    parser.add_argument("--env", action="append", choices=names, help="an environment (again...)")
    parser.add_argument("--processor", action="append", choices=CAPABILITIES)
    parser.add_argument("--threads", action="append", type=int, choices=THREADS)
    parser.add_argument("--list", action="store_true", help="say what would run, and stop")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all without a name")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run what the command line selects, print the table, return the exit code."""
    options = parse(arguments)
    notebooks = [path.resolve() for path in options.notebooks] or every_notebook()
    results = []
    for wanted in ENVIRONMENTS:
        if options.env and wanted.name not in options.env:
            continue
        combinations = list(
            itertools.product(options.processor or CAPABILITIES, options.threads or THREADS)
        )
        python = find_python(wanted.python)
        missing = "" if python else f"there is no Python {wanted.python} here"
        if options.list or missing:
            results += [Result(wanted.name, *c, "not run", missing) for c in combinations]
            continue
        try:
            interpreter = prepare(wanted, python)
        except subprocess.CalledProcessError:
            results += [Result(wanted.name, *c, "failed", "set-up") for c in combinations]
            continue
        for capability, threads in combinations:
            if has_capability(capability):
                result = run(wanted, interpreter, capability, threads, notebooks)
            else:
                note = f"this processor has no {capability}"
                result = Result(wanted.name, capability, threads, "not run", note)
            print(table([result]).splitlines()[1], flush=True)
            results.append(result)
    print("\n" + table(results))
    return 0 if options.list else exit_code(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
