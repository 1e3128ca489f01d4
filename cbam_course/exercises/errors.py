"""What a check says of an answer that does not pass: one message, no page of traceback."""

import dis
import linecache
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

import torch

COURSE = Path(__file__).resolve().parent.parent
# Code from these folders is not the learner's. A notebook cell lies in none of them.
_OTHERS = tuple(
    {
        str(COURSE),
        str(Path(torch.__file__).resolve().parent.parent),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


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
    """An answer cell as it came, or with a part of it still open."""

    headline = "Exercise {} is not solved yet"


class Stopped(ExerciseError):
    """The learner's own code raised an error; the text shows where."""

    headline = "Exercise {} stopped: your code raised an error"


def is_learners(frame: FrameType) -> bool:
    """Whether ``frame`` runs code of the learner's: not the course's, torch's or Python's."""
    name = frame.f_code.co_filename
    return not name.startswith((*_OTHERS, "<frozen "))


def learners_frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    """The learner's frames with their line numbers, outermost first, from a check inwards."""
    found, inside = [], False
    while traceback is not None:
        frame = traceback.tb_frame
        # The cell that called the check is the learner's too, but no part of the story.
        inside = inside or frame.f_code.co_filename.startswith(str(COURSE))
        if inside and is_learners(frame):
            found.append((frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def raised_by_learner(error: BaseException) -> bool:
    """Whether ``error`` comes from a ``raise`` of the learner's own.

    An operator of PyTorch's that raises an error leaves no frame of its own: the learner's line is
    the innermost then too, but there is no ``raise`` in it.
    """
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    instruction = traceback.tb_frame.f_code.co_code[traceback.tb_lasti]
    return is_learners(traceback.tb_frame) and instruction == dis.opmap["RAISE_VARARGS"]


def learners_functions(run: Callable[[], object]) -> list[str]:
    """The names of the learner's functions that are called while ``run()`` runs, in order."""
    found: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_name
        if event == "call" and name not in found and is_learners(frame):
            found.append(name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return found


def story(error: BaseException) -> str:
    """The learner's part of the traceback of ``error``, and the error itself."""
    lines = []
    for frame, number in learners_frames(error.__traceback__):
        lines.append(f"  line {number}, in {frame.f_code.co_name}")
        source = linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()
        if source:
            lines.append(f"    {source}")
    lines.append(f"{type(error).__name__}: {error}")
    if re.search("dtype|scalar type", str(error)):
        lines.append("The check's tensors are in float64; let your code keep their dtype.")
    return "\n".join(lines)
