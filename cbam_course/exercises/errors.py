"""What a check says of an answer that does not pass: one message, no page of traceback."""

import re
import sysconfig
import traceback
from pathlib import Path

import torch

# Code in these folders is not the learner's. A notebook's cell lies in none of them.
_LIBRARIES = (
    str(Path(__file__).resolve().parent.parent),
    str(Path(torch.__file__).resolve().parent.parent),
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<frozen ",
)
_MOST_LINES = 6  # of a traceback: a function that calls itself for ever has a thousand


class ExerciseError(AssertionError):
    """An answer that does not pass; the text says why.

    Attributes:
        exercise: the exercise's number, such as ``"2.1"``.
    """

    headline = "Exercise {} has not passed"

    def __init__(self, message: str, exercise: str = "") -> None:
        super().__init__(message)
        self.exercise = exercise

    def _render_traceback_(self) -> list[str]:
        # Jupyter, Colab and nbval ask an exception for these lines and show them as they are.
        return [f"{type(self).__name__}: {self.headline.format(self.exercise)}.", str(self)]


class Wrong(ExerciseError):
    """A wrong answer; the text says what is wrong and what to look at."""

    headline = "Exercise {} is not right yet"


class NotSolved(ExerciseError):
    """An answer with a part of it still open."""

    headline = "Exercise {} is not solved yet"


class Stopped(ExerciseError):
    """The learner's own code raised an error; the text shows where."""

    headline = "Exercise {} stopped: your code raised an error"


def story(error: BaseException) -> str:
    """The learner's part of the traceback of ``error``, and the error itself."""
    lines = []
    steps = traceback.extract_tb(error.__traceback__)
    for step in [s for s in steps if not s.filename.startswith(_LIBRARIES)][-_MOST_LINES:]:
        lines += [
            f"  line {step.lineno}, in {step.name}",
            *([f"    {step.line}"] if step.line else []),
        ]
    lines.append(f"{type(error).__name__}: {error}".removesuffix(": "))
    if re.search("dtype|scalar type", str(error)):
        lines.append("The check's tensors are in float64; let your code keep their dtype.")
    return "\n".join(lines)
