"""The exercises by number, the check of an answer, and the summary of a notebook."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path

import torch

from .errors import ExerciseError, NotSolved
from .trial import Trial

LONGEST_PRINT = 2000  # characters of what an answer printed before it went wrong

EXERCISES: dict[str, "Exercise"] = {}
"""The exercises by number, such as ``"2.1"``; those of a chapter once one of them was checked."""
_results: dict[str, str] = {}


@dataclass(frozen=True)
class Exercise:
    """An exercise and its check.

    Attributes:
        number: chapter and number in it, such as ``"2.1"``.
        title: as it stands over the exercise.
        function: the check, ``function(trial, *answers)``; it returns if the answers are right and
            raises :class:`~cbam_course.exercises.Wrong` or
            :class:`~cbam_course.exercises.NotSolved` if not.
    """

    number: str
    title: str
    function: Callable[..., None]

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of its answers, as the answer cell has them."""
        return tuple(inspect.signature(self.function).parameters)[1:]


def exercise(number: str, title: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated function as the check of exercise ``number``.

    Its first argument is a :class:`~cbam_course.exercises.trial.Trial`; the others are the answers,
    under the names that they have in the answer cell.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        EXERCISES[number] = Exercise(number, title, function)
        return function

    return register


def _chapter(number: object) -> str:
    return str(number).partition(".")[0]


def check(number: str, *answers: object) -> None:
    """Check the answers to an exercise and print values that were computed from them.

    Args:
        number: the exercise, such as ``"2.1"``.
        answers: the names from the answer cell, in the order of the check cell.

    Raises:
        NotSolved: if an answer is still open.
        Wrong: if an answer is wrong; the message says what and where to look.
        Stopped: if the code of an answer raised an error.
        ValueError: if there is no such exercise, or it has another number of answers.
    """
    # Some chapters take seconds to import, so it waits until they are needed.
    chapter = f"chapter_{_chapter(number):0>2}"
    if Path(__file__).with_name(f"{chapter}.py").is_file():
        import_module(f"{__package__}.{chapter}")
    if number not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; a number is such as '2.1'")
    found = EXERCISES[number]
    if len(answers) != len(found.answers):
        raise ValueError(
            f"exercise {number} has the answers {', '.join(found.answers)}; "
            f"the check was given {len(answers)}"
        )
    _results[number] = "not yet"
    trial = Trial(number)
    try:
        for name, answer in zip(found.answers, answers, strict=True):
            if answer is ... or answer is None:
                raise NotSolved(f"`{name}` is still open: write your answer in the cell above.")
        # Code that draws random numbers of its own draws the same ones in every check.
        with _hushed(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(trial.seed)
            found.function(trial, *answers)
    except ExerciseError as error:
        error.exercise = number
        raise
    _results[number] = "passed"
    print("\n".join([*trial.lines, f"Exercise {number} passed: {found.title}."]))


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what an answer prints out of the check's output, unless the answer does not pass.

    A print left over from a search for a mistake, or a warning, makes no right answer wrong.
    """
    printed = StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BaseException:
        print(printed.getvalue()[-LONGEST_PRINT:], end="")
        raise


def summary() -> None:
    """Print the exercises of this notebook's chapter, and which of them have passed."""
    if not _results:
        print("No check has run yet.")
        return
    chapters = {_chapter(number) for number in _results}
    rows = [row for number, row in EXERCISES.items() if _chapter(number) in chapters]
    width = max(len(row.title) for row in rows)
    for row in rows:
        print(f"{row.number}  {row.title:{width}}  {_results.get(row.number, 'not yet')}")
    passed = sum(_results.get(row.number) == "passed" for row in rows)
    print(f"{passed} of {len(rows)} exercises passed")
