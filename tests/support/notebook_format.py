"""How the course stores a notebook: its outputs, and nothing that differs between machines."""

from pathlib import Path

import nbformat

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
# What a cell may say about itself; editors add folding, timing and more.
CELL_METADATA = {"cbam_course", "mystnb", "tags"}


def normalize(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip from `notebook` what says nothing about the chapter; return it."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for cell in notebook.cells:
        for key in set(cell.metadata) - CELL_METADATA:
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
