"""What an exercise notebook is made of: page, answer, check and solution of each exercise.

For the course's own notebooks, whose form is tested. What learners hand in may be anything, and
cbam_course.grading reads it.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from tests.support.project import ROOT

FOLDER = ROOT / "notebooks" / "exercises"
SEED = "CBAM_COURSE_SEED"
KEY = "cbam_course"
# The first line of an answer cell, for notebooks whose editor lost the cell's metadata.
MARKER = "# Answer {}"

_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class ExerciseCells:
    """The cells of one exercise.

    Attributes:
        number: chapter and place in it, such as "2.1".
        page: the Markdown that says what to do.
        answer: the code cell that the learner fills in.
        check: the code cell that checks it.
        solution: the Markdown with the worked solution.
    """

    number: str
    page: NotebookNode
    answer: NotebookNode
    check: NotebookNode
    solution: NotebookNode

    @property
    def title(self) -> str:
        """The title, as it stands over the exercise."""
        return self.page.source.splitlines()[0].removeprefix(f"## {self.number} ")

    @property
    def stub(self) -> str:
        """The code of the answer cell."""
        return self.answer.source

    @property
    def solution_code(self) -> str:
        """The solution's code, as it stands in the answer cell of a solved notebook."""
        (block,) = _CODE.findall(self.solution.source)
        return f"{MARKER.format(self.number)}\n{block.rstrip()}"


def exercise_notebooks(folder: Path = FOLDER) -> list[Path]:
    """Return the exercise notebooks, in the order of their names."""
    return sorted(folder.glob("*.ipynb"))


def exercise_cells(notebook: NotebookNode) -> dict[str, ExerciseCells]:
    """Return the exercises of a notebook by number, in order."""
    pages = {cell.id: cell for cell in notebook.cells}
    found: dict[str, dict[str, NotebookNode]] = {}
    for cell in notebook.cells:
        if about := cell.metadata.get(KEY):
            number = about["exercise"]
            page = pages[f"exercise-{number.replace('.', '-')}"]
            found.setdefault(number, {"page": page})[about["role"]] = cell
    return {number: ExerciseCells(number, **cells) for number, cells in found.items()}


def with_answers(notebook: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """Return a copy of `notebook` whose answer cells hold these texts."""
    filled = copy.deepcopy(notebook)
    for number, cells in exercise_cells(filled).items():
        if number in answers:
            cells.answer.source = answers[number]
    return filled


def solved(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of `notebook` with every solution in its answer cell."""
    exercises = exercise_cells(notebook).items()
    return with_answers(notebook, {number: cells.solution_code for number, cells in exercises})
