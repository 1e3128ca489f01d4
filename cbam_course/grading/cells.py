"""Reading cells from files that may be anything."""

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST_FILE = 100 * 2**20
"""Bytes. Notebooks whose outputs were kept are large. What is larger than this is none, and could
need more memory than there is: JSON takes up to twenty times its size."""


class Unreadable(ValueError):
    """A file that is no notebook; the text says why, in a few words."""


@dataclass(frozen=True)
class Cell:
    """One cell, without its outputs.

    Attributes:
        kind: ``"code"``, ``"markdown"`` or something else.
        source: its text.
        id: what nbformat 4.5 calls so; empty in older files.
        exercise: such as ``"3.1"``, from the course's metadata; empty without.
        role: ``"answer"``, ``"check"``, ``"solution"``, from the same place.
    """

    kind: str
    source: str
    id: str = ""
    exercise: str = ""
    role: str = ""


@dataclass(frozen=True)
class Notebook:
    """The cells of a file, and what was odd about it."""

    cells: tuple[Cell, ...]
    remarks: tuple[str, ...] = ()


def read_notebook(path: Path) -> Notebook:
    """Read the cells of a notebook of any format, as far as there are any.

    Raises:
        Unreadable: if it is no notebook.
    """
    try:
        # Opening something else, as a named pipe, may wait forever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise Unreadable("not a file")
            if about.st_size > LARGEST_FILE:
                raise Unreadable(
                    f"{about.st_size / 2**20:.0f} MB: too large for a notebook, clear its outputs"
                )
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    return parse_notebook(data)


def parse_notebook(data: bytes) -> Notebook:
    """Do the same from the bytes of a file."""
    remarks = []
    if not data.strip():
        raise Unreadable("not a notebook: the file is empty")
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        remarks.append("some bytes are not UTF-8; they were replaced")
    try:
        content = json.loads(text.removeprefix("\N{BYTE ORDER MARK}"))
    except RecursionError:
        raise Unreadable("not a notebook: its JSON is nested too deeply") from None
    except ValueError as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"not a notebook: not JSON{where}") from None

    if not isinstance(content, dict):
        raise Unreadable("not a notebook: its JSON is no object")
    cells = content.get("cells")
    if cells is None and isinstance(content.get("worksheets"), list):  # nbformat 3
        sheets = [s for s in content["worksheets"] if isinstance(s, dict)]
        cells = [c for s in sheets if isinstance(s.get("cells"), list) for c in s["cells"]]
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: it has no list of cells")
    version = content.get("nbformat")
    if version != 4:
        remarks.append(f"notebook format {_short(version)} instead of 4; read all the same")
    found = [_cell(cell) for cell in cells if isinstance(cell, dict)]
    if len(found) < len(cells):
        remarks.append(f"{len(cells) - len(found)} of its cells are no cells; passed over")
    return Notebook(tuple(found), tuple(remarks))


def _short(value: Any) -> str:
    return re.sub(r"\s+", " ", repr(value)[:20])


def _cell(cell: dict[str, Any]) -> Cell:
    about = cell.get("metadata")
    about = about.get("cbam_course") if isinstance(about, dict) else None
    about = about if isinstance(about, dict) else {}
    return Cell(
        kind=_text(cell.get("cell_type")),
        source=_text(cell.get("source", cell.get("input"))),  # input is nbformat 3
        id=_text(cell.get("id")),
        exercise=_text(about.get("exercise")),
        role=_text(about.get("role")),
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    # JSON can hold halves of characters that no file can.
    return value.encode("utf-8", "replace").decode("utf-8")
