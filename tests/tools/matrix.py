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
from pathlib import Path

from tests.support.project import ROOT, chapters
from tests.tools import environment

EXERCISES = ROOT / "notebooks" / "exercises"
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
ROW = "{:11}  {:9}  {:7}  {:10}  {}"


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


def prepare(python: str, folder: Path, constraints: Path | None, wanted: list[str]) -> str:
    """Make an environment of `wanted` with `python`, unless it is there; return its interpreter."""
    code = (
        "import sys; from tests.tools import environment; "
        "environment.make(sys.argv[1], sys.argv[3:], sys.argv[2])"
    )
    print(f"Setting up {folder.name} ...", flush=True)
    arguments = [str(folder), str(constraints or os.devnull), *wanted]
    subprocess.run([python, "-c", code, *arguments], cwd=ROOT, check=True)
    return environment.python_of(str(folder))


def run(python: str, capability: str, threads: int, notebooks: list[Path]) -> tuple[str, str]:
    """Run the notebooks once; return "passed", "failed" or "not run", and how or why."""
    if reason := cannot_run(capability):
        return "not run", reason
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
            [*command, *map(str, solved(notebooks, python, Path(folder)))],
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


def cannot_run(capability: str) -> str:
    """Say why this processor cannot run by an instruction set; nothing if it can."""
    return "" if capability in ("default", *_processor()) else f"this processor has no {capability}"


def _processor() -> list[str]:
    """The words that describe this processor, its instruction sets among them."""
    try:
        return Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return []


def exit_code(outcomes: set[str]) -> int:
    """Return 1 after a failure, 2 if something did not run, and 0 if everything passed."""
    return 1 if "failed" in outcomes else 0 if outcomes == {"passed"} else 2


def main(arguments: list[str]) -> int:
    """Run what the command line selects, print a row for each run, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", action="append", choices=ENVIRONMENTS, help="again for another")
    parser.add_argument("--processor", action="append", choices=CAPABILITIES)
    parser.add_argument("--threads", action="append", type=int, choices=THREADS)
    parser.add_argument("--list", action="store_true", help="say what would run, and stop")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all without a name")
    options = parser.parse_args(arguments)
    notebooks = [path.resolve() for path in options.notebooks] or every_notebook()
    rows = []
    for name in options.env or ENVIRONMENTS:
        version, constraints = ENVIRONMENTS[name]
        python, interpreter = find_python(version), None
        told = ("not run", "" if python else f"there is no Python {version} here")
        if python and not options.list:
            try:
                folder, wanted = ROOT / f".venv-matrix-{name}", environment.requirements("test")
                interpreter = prepare(python, folder, constraints, wanted)
            except subprocess.CalledProcessError:
                told = ("failed", "set-up")
        for choice in itertools.product(
            options.processor or CAPABILITIES, options.threads or THREADS
        ):
            outcome = run(interpreter, *choice, notebooks) if interpreter else told
            if options.list:
                reason = told[1] or cannot_run(choice[0])
                outcome = ("cannot run", reason) if reason else ("would run", "")
            rows.append((name, *choice, *outcome))
            if interpreter:
                print(ROW.format(*rows[-1]), flush=True)
    print("\n" + ROW.format("environment", "processor", "threads", "outcome", "").rstrip())
    print("\n".join(ROW.format(*row).rstrip() for row in rows))
    return 0 if options.list else exit_code({row[3] for row in rows})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
