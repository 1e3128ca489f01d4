"""The exercises as the course has them, and an answer put into one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cbam_course

from .cells import read_cells

PACKAGE = Path(cbam_course.__file__).resolve().parent
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: such as ``"3.1"``.
        title: its heading.
        given: the code cells that stand before it: set-up, imports.
        stub: the answer cell as learners get it.
        check: the code of the check cell.
        solution: what could stand in the answer cell.
    """

    number: str
    title: str
    given: tuple[str, ...]
    stub: str
    check: str
    solution: str

    @property
    def chapter(self) -> str:
        """The chapter's number."""
        return self.number.partition(".")[0]


def default_folder() -> Path:
    """Return the repository's folder of exercises, next to the package.

    Raises:
        ValueError: if it is not there, as when the package was installed without the repository.
    """
    folder = PACKAGE.parent / "notebooks" / "exercises"
    if not folder.is_dir():
        raise ValueError(
            "the exercises to grade against are not next to the package; they are in the "
            "repository's notebooks/exercises: name that folder with --exercises"
        )
    return folder


def load_exercises(
    folder: Path | None = None, chapters: Iterable[str | int] = ()
) -> list[Exercise]:
    """Read the exercises of a folder of pristine notebooks, in the order of their numbers.

    Args:
        folder: where they are, :func:`default_folder` if it is None.
        chapters: the numbers of the chapters that are wanted, all if it is empty.

    Raises:
        ValueError: if there are none, or one of them lacks a part or is there twice.
    """
    folder = default_folder() if folder is None else Path(folder)
    found: dict[str, Exercise] = {}
    for path in sorted(folder.glob("[!.]*.ipynb")):
        try:
            for exercise in _read(path):
                if exercise.number in found:
                    raise ValueError(f"exercise {exercise.number} is in another notebook too")
                found[exercise.number] = exercise
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(f"there are no exercises in {folder}")
    wanted = {str(chapter) for chapter in chapters}
    if unknown := wanted - {exercise.chapter for exercise in found.values()}:
        raise ValueError(f"{folder} has no exercises of chapter {', '.join(sorted(unknown))}")
    chosen = [e for e in found.values() if not wanted or e.chapter in wanted]
    return sorted(chosen, key=lambda e: [int(part) for part in e.number.split(".")])


def _read(path: Path) -> Iterator[Exercise]:
    cells = read_cells(path)
    parts = {(cell.exercise, cell.role): cell.source for cell in cells if cell.role}
    headings = {cell.id: cell.source for cell in cells}
    given: list[str] = []
    for cell in cells:
        if cell.kind == "code" and not cell.role and cell.id != "summary":
            given.append(cell.source)
        if cell.role != "answer":
            continue
        number = cell.exercise
        if (number, "check") not in parts:
            raise ValueError(f"exercise {number} has no check cell")
        solution = CODE.search(parts.get((number, "solution"), ""))
        if not solution:
            raise ValueError(f"exercise {number} has no solution cell with a ```python block")
        heading = headings.get(f"exercise-{number.replace('.', '-')}", "")
        title = re.match(rf"##\s*{re.escape(number)}\s+(.+)", heading)
        yield Exercise(
            number,
            title.group(1).strip() if title else "",
            tuple(given),
            cell.source,
            parts[number, "check"],
            solution.group(1).rstrip(),
        )
