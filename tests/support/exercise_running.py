"""Run answers to exercises in this process: no kernel, a few milliseconds each."""

import contextlib
import io
import linecache
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import nbformat

from cbam_course import exercises
from tests.support.exercise_cells import SEED, ExerciseCells, exercise_cells, exercise_notebooks


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Attributes:
        kind: "passed", or the name of the error's class.
        text: what was printed, or the error's message.
    """

    kind: str
    text: str


@cache
def read(path: Path) -> nbformat.NotebookNode:
    """Return the notebook at `path`; nobody may change it."""
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


@cache
def all_exercises() -> dict[str, tuple[Path, ExerciseCells]]:
    """Return the exercises of all notebooks by number, each with its notebook's path."""
    return {
        number: (path, cells)
        for path in exercise_notebooks()
        for number, cells in exercise_cells(read(path)).items()
    }


@cache
def _imported(path: Path) -> dict:
    """What the imports cell of the notebook at `path` defines."""
    (cell,) = (cell for cell in read(path).cells if cell.id == "imports")
    namespace = {"__name__": "__main__"}
    exec(compile(cell.source, f"<imports of {path.stem}>", "exec"), namespace)
    return namespace


def answered(number: str, code: str) -> dict:
    """Run `code` in a fresh answer cell of the exercise, and return all that is defined then."""
    namespace = dict(_imported(all_exercises()[number][0]))
    name = f"<answer {number}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    exec(compile(code, name, "exec"), namespace)
    return namespace


def run(number: str, code: str, seed: int | None = None) -> Outcome:
    """Run `code` in a fresh answer cell of the exercise, then its check; None is no seed at all.

    Errors of the answer cell itself are outcomes too; those that are no errors of exercises are
    named by their class and told by their message.
    """
    cells = all_exercises()[number][1]
    printed = io.StringIO()
    with patch.dict(os.environ):
        os.environ.pop(SEED, None)
        if seed is not None:
            os.environ[SEED] = str(seed)
        try:
            namespace = answered(number, code)
            with contextlib.redirect_stdout(printed):
                exec(compile(cells.check.source, f"<check {number}>", "exec"), namespace)
        except exercises.ExerciseError as error:
            return Outcome(type(error).__name__, "\n".join(error._render_traceback_()))
        except Exception as error:
            return Outcome(type(error).__name__, str(error))
    return Outcome("passed", printed.getvalue())
