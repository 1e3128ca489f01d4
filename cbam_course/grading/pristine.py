"""The exercises as the course has them, and an answer put into one."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cbam_course

from .cells import Cell, Unreadable, parse_notebook

PACKAGE = Path(cbam_course.__file__).resolve().parent


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: such as ``"3.1"``.
        title: its heading.
        notebook: the name of its notebook, without folder and ending.
        given: the code cells that stand before it: set-up, imports.
        stub: the answer cell as learners get it.
        check: the code of the check cell.
        solution: what could stand in the answer cell.
    """

    number: str
    title: str
    notebook: str
    given: tuple[str, ...]
    stub: str
    check: str
    solution: str

    @property
    def chapter(self) -> str:
        """The chapter's number."""
        return self.number.partition(".")[0]

    def fingerprint(self) -> str:
        """Return a text that changes with anything in the exercise."""
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()


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
    folder: Path | BinaryIO | None = None, chapters: Iterable[str | int] = ()
) -> list[Exercise]:
    """Read the exercises of a folder of pristine notebooks.

    Args:
        folder: where they are, :func:`default_folder` if it is None; or an open tar archive of the
            notebooks, so that the solutions need not lie on the disk.
        chapters: the numbers of the chapters that are wanted, all if it is empty.

    Raises:
        ValueError: if there are none, or one of them lacks a part.
    """
    folder = default_folder() if folder is None else folder
    if isinstance(folder, Path):
        where = str(folder)
        files = [path for path in folder.glob("*.ipynb") if not _is_hidden(path.name)]
        notebooks = {path.name: path.read_bytes() for path in files}
    else:
        where = "the archive"
        notebooks = _of_archive(folder)
    exercises: dict[str, Exercise] = {}
    for name, data in sorted(notebooks.items()):
        try:
            cells = parse_notebook(data).cells
        except Unreadable as error:
            raise ValueError(f"{name}: {error}") from None
        for exercise in _of_notebook(name, cells):
            if exercise.number in exercises:
                other = exercises[exercise.number].notebook
                raise ValueError(f"exercise {exercise.number} is in {other} and in {name}")
            exercises[exercise.number] = exercise
    if not exercises:
        raise ValueError(f"there are no exercises in {where}")
    wanted = {str(chapter) for chapter in chapters}
    unknown = wanted - {e.chapter for e in exercises.values()}
    if unknown:
        raise ValueError(f"{where} has no exercises of chapter {', '.join(sorted(unknown))}")
    found = [e for e in exercises.values() if not wanted or e.chapter in wanted]
    return sorted(found, key=lambda e: [int(part) for part in e.number.split(".")])


def _is_hidden(name: str) -> bool:
    """Return whether a file is a copy that Jupyter or a file system keeps."""
    return any(part.startswith(".") for part in Path(name).parts)


def _of_archive(stream: BinaryIO) -> dict[str, bytes]:
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            return {
                Path(member.name).name: archive.extractfile(member).read()
                for member in archive
                if member.isfile()
                and member.name.endswith(".ipynb")
                and not _is_hidden(member.name)
            }
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"the exercises are no tar archive: {error}") from None


def _of_notebook(name: str, cells: tuple[Cell, ...]) -> Iterable[Exercise]:
    roles = {(cell.exercise, cell.role): cell for cell in cells if cell.role}
    given: list[str] = []
    for cell in cells:
        if cell.kind == "code" and not cell.role and cell.id != "summary":
            given.append(cell.source)
        if cell.role != "answer":
            continue
        number = cell.exercise
        if not re.fullmatch(r"\d+\.\d+", number):
            raise ValueError(f"{name}: {number!r} is no exercise; a number is such as 3.1")
        for role in ("check", "solution"):
            if (number, role) not in roles:
                raise ValueError(f"{name}: exercise {number} has no {role} cell")
        block = re.search(
            r"^```python\n(.*?)^```", roles[number, "solution"].source, re.DOTALL | re.MULTILINE
        )
        if not block:
            raise ValueError(f"{name}: the solution of exercise {number} has no ```python block")
        heading = next(
            (c.source for c in cells if c.id == f"exercise-{number.replace('.', '-')}"), ""
        )
        title = re.match(rf"##\s*{re.escape(number)}\s+(.+)", heading)
        yield Exercise(
            number=number,
            title=title.group(1).strip() if title else "",
            notebook=Path(name).stem,
            given=tuple(given),
            stub=cell.source,
            check=roles[number, "check"].source,
            solution=block.group(1).rstrip(),
        )


@dataclass(frozen=True)
class Assembled:
    """A notebook to run.

    Attributes:
        text: its JSON.
        count: how many code cells it has.
        answer: which of them, from 0, holds the answer.
        check: which of them is the check.
    """

    text: str
    count: int
    answer: int
    check: int


def assemble(exercise: Exercise, answer: str, *, also: tuple[str, ...] = ()) -> Assembled:
    """Make the notebook of one exercise: what is given, the answer, the check.

    Only the check's outputs are compared. They are no part of the notebook.

    Args:
        exercise: the pristine exercise.
        answer: code for the answer cell.
        also: code of more cells after the check.
    """
    before = [*exercise.given, answer]
    sources = [*before, exercise.check, *also]
    check = len(before)
    cells = [_cell(n, source, compared=n == check) for n, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return Assembled(json.dumps(notebook), len(cells), check - 1, check)


def _cell(number: int, source: str, *, compared: bool) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": f"cell-{number}",
        "metadata": {"tags": [] if compared else ["nbval-ignore-output"]},
        "outputs": [],
        "source": source,
    }


def package_fingerprint() -> str:
    """Return a text that changes with the code of the course, which holds the checks."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
