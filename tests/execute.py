"""Run the chapters from top to bottom and store their outputs, without what differs by machine.

`python tests/execute.py` runs every chapter, `python tests/execute.py notebooks/05_cbam.ipynb`
those that are named. Cell ids stay as they are; times, kernel names and Python versions go.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from project import ROOT, chapters

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
# What a cell may say about itself; editors add folding, timing and more.
CELL_METADATA = {"mystnb", "tags"}


def normalize(notebook: nbformat.NotebookNode, keep=CELL_METADATA) -> nbformat.NotebookNode:
    """Strip from `notebook` what says nothing about the chapter; return it."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for cell in notebook.cells:
        for key in set(cell.metadata) - keep:
            del cell.metadata[key]
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a normalized notebook, one space of indentation and a final line break."""
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run `notebook` in `folder`; it then holds its outputs."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()


def execute(path: Path) -> None:
    """Run the notebook at `path` in its folder and store its outputs."""
    notebook = nbformat.read(path, as_version=4)
    run(notebook, path.parent)
    write(normalize(notebook), path)


def main(arguments: list[str]) -> int:
    """Execute the notebooks that the command line names, or all chapters."""
    # A backend chosen outside, as in containers, would store chapters without their pictures.
    os.environ.pop("MPLBACKEND", None)
    for path in [Path(name).resolve() for name in arguments] or chapters():
        start = time.perf_counter()
        print(f"{path.relative_to(ROOT)} ...", end=" ", flush=True)
        execute(path)
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
