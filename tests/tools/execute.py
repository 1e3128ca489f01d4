"""Run notebooks from top to bottom and store their outputs, without what differs by machine.

`python -m tests.tools.execute` runs every chapter, `--exercises` every exercise notebook, and
with paths it runs those. Cell ids stay as they are; times, kernel names and Python versions go.
Exercises run as solved copies, and their answer cells stay as they are: what is stored below the
checks is what right answers print.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.support import exercise_cells, notebook_format
from tests.support.project import ROOT, chapters


def execute(path: Path) -> None:
    """Run the notebook at `path`, an exercise solved, in its folder and store its outputs."""
    notebook = nbformat.read(path, as_version=4)
    ran = exercise_cells.solved(notebook) if path.parent == exercise_cells.FOLDER else notebook
    client = NotebookClient(
        ran,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    for cell, executed in zip(notebook.cells, ran.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    notebook_format.write(notebook_format.normalize(notebook), path)


def main(arguments: list[str]) -> int:
    """Execute the notebooks that the command line names, or all chapters, or all exercises."""
    # A backend chosen outside, as in containers, would store chapters without their figures.
    os.environ.pop("MPLBACKEND", None)
    os.environ.pop(exercise_cells.SEED, None)
    paths = [Path(name).resolve() for name in arguments if name != "--exercises"]
    if "--exercises" in arguments:
        paths += exercise_cells.exercise_notebooks()
    for path in paths or chapters():
        start = time.perf_counter()
        print(f"{path.relative_to(ROOT)} ...", end=" ", flush=True)
        execute(path)
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
