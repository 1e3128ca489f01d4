"""The cells of a file that may be anything, and text from strangers made fit to be shown."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
LARGEST_FILE = 10 * 2**20
"""Bytes. Notebooks whose figures were kept have a few million; a file with nothing but ``{},``
takes a hundred times its size of memory to read."""


class Unreadable(ValueError):
    """A file that is no notebook; the text says why, in a few words."""


@dataclass(frozen=True)
class Cell:
    """One cell, without its outputs.

    Attributes:
        kind: ``"code"``, ``"markdown"`` or something else.
        source: its text.
        id: what nbformat 4.5 calls so; empty in older files, as Colab writes them.
        exercise: such as ``"3.1"``, from the course's metadata; empty without.
        role: ``"answer"``, ``"check"`` or ``"solution"``, from the same place.
    """

    kind: str
    source: str
    id: str = ""
    exercise: str = ""
    role: str = ""


def read_cells(path: Path) -> list[Cell]:
    """Read the cells of a notebook, as far as there are any.

    Raises:
        Unreadable: if it is no notebook, or larger than notebooks are.
    """
    try:
        if not path.is_file():  # reading a named pipe would wait for ever
            raise Unreadable("not a file")
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise Unreadable(f"{size / 2**20:.0f} MB: too large for a notebook, clear its outputs")
        return parse_cells(path.read_bytes())
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None


def parse_cells(data: bytes) -> list[Cell]:
    """Read the cells from the bytes of a file."""
    try:
        content = json.loads(data.decode(json.detect_encoding(data), "replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a notebook: not JSON ({one_line(str(error), 80)})") from None
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: it has no list of cells")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(cell: dict[str, Any]) -> Cell:
    metadata = cell.get("metadata")
    about = metadata.get("cbam_course") if isinstance(metadata, dict) else None
    about = about if isinstance(about, dict) else {}
    values = [cell.get(name) for name in ("cell_type", "source", "id")]
    return Cell(*map(_text, [*values, about.get("exercise"), about.get("role")]))


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    # JSON can hold halves of characters that no file can.
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def printable(text: str) -> str:
    """Return `text` without what steers a terminal, turns the reading direction or is no character.

    Line breaks and tabs stay.
    """
    text = ANSI.sub("", text)
    text = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    # Names of files may hold bytes that are no UTF-8, as halves of characters.
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str, longest: int = 300) -> str:
    """Return the beginning of `text` on one line."""
    words = " ".join(printable(text).split())
    return words if len(words) <= longest else words[: longest - 4].rstrip() + " ..."
