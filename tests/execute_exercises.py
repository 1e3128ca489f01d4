"""Run the exercise notebooks with their solutions, and store the outputs in the unsolved ones.

`python tests/execute_exercises.py` runs all of them, with names those that are named. The answer
cells stay as they are: what is stored below the checks is what right answers print.
"""

import os
import sys
import time
from pathlib import Path

import execute
import nbformat
from exercise_cells import KEY, solved
from project import ROOT

FOLDER = ROOT / "notebooks" / "exercises"
SEED = "CBAM_COURSE_SEED"
CELL_METADATA = {*execute.CELL_METADATA, KEY}


def exercise_notebooks(folder: Path = FOLDER) -> list[Path]:
    """Return the exercise notebooks, in the order of their names."""
    return sorted(folder.glob("*.ipynb"))


def store(path: Path) -> None:
    """Run a solved copy of the notebook at `path` and store its outputs there."""
    notebook = nbformat.read(path, as_version=4)
    copy = solved(notebook)
    execute.run(copy, path.parent)
    for cell, executed in zip(notebook.cells, copy.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    execute.write(execute.normalize(notebook, keep=CELL_METADATA), path)


def main(arguments: list[str]) -> int:
    """Store the outputs of the notebooks that the command line names, or of all."""
    os.environ.pop("MPLBACKEND", None)
    os.environ.pop(SEED, None)
    for path in [Path(name).resolve() for name in arguments] or exercise_notebooks():
        start = time.perf_counter()
        print(f"{path.relative_to(ROOT)} ...", end=" ", flush=True)
        store(path)
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
