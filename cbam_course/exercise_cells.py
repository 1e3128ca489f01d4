"""What an exercise notebook is made of: page, answer, check and solution of each exercise.

Notebooks are taken as nbformat reads them, or as ``json.load`` does. Standard library only: the
grader reads submissions with it before any of their code runs.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]

KEY = "cbam_course"
ROLES = ("answer", "check", "solution")
MARKER = "# Answer {}"
"""The first line of an answer cell, for notebooks whose editor lost the cell's metadata."""

_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class ExerciseCells:
    """The cells of one exercise.

    Attributes:
        number: chapter and place in it, such as ``"2.1"``.
        page: the Markdown that says what to do.
        answer: the code cell that the learner fills in.
        check: the code cell that checks it.
        solution: the Markdown with the worked solution.
    """

    number: str
    page: Cell
    answer: Cell
    check: Cell
    solution: Cell

    @property
    def title(self) -> str:
        """The title, as it stands over the exercise."""
        return source(self.page).splitlines()[0].removeprefix(f"## {self.number} ")

    @property
    def stub(self) -> str:
        """The code of the answer cell."""
        return source(self.answer)

    @property
    def solution_code(self) -> str:
        """The solution's code, as it stands in the answer cell of a solved notebook.

        Raises:
            ValueError: if the solution holds no block of Python, or several.
        """
        blocks = _CODE.findall(source(self.solution))
        if len(blocks) != 1:
            raise ValueError(f"solution {self.number} has {len(blocks)} blocks of Python, not one")
        return f"{MARKER.format(self.number)}\n{blocks[0].rstrip()}"


def source(cell: Mapping[str, Any]) -> str:
    """The text of a cell, which a file may hold as a list of lines."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def exercise_cells(notebook: Mapping[str, Any]) -> dict[str, ExerciseCells]:
    """The exercises of a notebook as this course publishes it, by number, in order.

    Raises:
        ValueError: if an exercise lacks one of its cells or has one twice.
    """
    found: dict[str, dict[str, Cell]] = {}
    pages = {cell.get("id"): cell for cell in notebook["cells"]}
    for cell in notebook["cells"]:
        about = cell.get("metadata", {}).get(KEY)
        if not about:
            continue
        number, role = about["exercise"], about["role"]
        cells = found.setdefault(number, {})
        if role in cells or role not in ROLES:
            raise ValueError(f"exercise {number} has the cell {role!r} twice, or has no use for it")
        cells[role] = cell
    exercises = {}
    for number, cells in found.items():
        cells["page"] = pages.get(f"exercise-{number.replace('.', '-')}")
        if missing := [role for role in ("page", *ROLES) if not cells.get(role)]:
            raise ValueError(f"exercise {number} lacks its {' and '.join(missing)}")
        exercises[number] = ExerciseCells(number, **cells)
    return exercises


def with_answers(notebook: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, Any]:
    """A copy of ``notebook`` whose answer cells hold these texts; the other cells stay."""
    filled = copy.deepcopy(notebook)
    for number, cells in exercise_cells(filled).items():
        if number in answers:
            cells.answer["source"] = answers[number]
    return filled


def solved(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``notebook`` with every solution in its answer cell."""
    exercises = exercise_cells(notebook).items()
    return with_answers(notebook, {number: cells.solution_code for number, cells in exercises})
