"""The exercises by number, the check of an answer, and the summary of a notebook."""

import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path

from .errors import ExerciseError, NotSolved, Stopped, learners_frames, raised_by_learner, story
from .trial import Trial

PREFIX = "chapter_"
UNTOUCHED = "The answer cell still raises NotImplementedError: write your code in its place."


@dataclass(frozen=True)
class Exercise:
    """An exercise and its check.

    Attributes:
        number: chapter and place in it, such as ``"2.1"``.
        title: as it stands over the exercise.
        function: the check, ``function(trial, *answers)``; it returns if the answers are right and
            raises :class:`~cbam_course.exercises.Wrong` or
            :class:`~cbam_course.exercises.NotSolved` if not.
    """

    number: str
    title: str
    function: Callable[..., None]

    @property
    def chapter(self) -> int:
        """The number of its chapter."""
        return int(self.number.split(".")[0])

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of its answers, as the answer cell has them."""
        return tuple(inspect.signature(self.function).parameters)[1:]


LONGEST_PRINT = 2000  # characters of what an answer printed before it went wrong

_known: dict[str, Exercise] = {}
_results: dict[str, str] = {}


def exercise(number: str, title: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated function as the check of exercise ``number``.

    Its first argument is a :class:`~cbam_course.exercises.trial.Trial`; the others are the answers,
    under the names that they have in the answer cell.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _known[number] = Exercise(number, title, function)
        return function

    return register


@cache
def _chapters() -> tuple[str, ...]:
    """The numbers of the chapters that have a file of checks here."""
    folder = str(Path(__file__).parent)
    names = sorted(module.name for module in pkgutil.iter_modules([folder]))
    return tuple(str(int(name.removeprefix(PREFIX))) for name in names if name.startswith(PREFIX))


def _load(chapter: str) -> None:
    import_module(f"{__package__}.{PREFIX}{int(chapter):02}")


def _place(number: str) -> list[int]:
    return [int(part) for part in number.split(".")]


class _Exercises(Mapping[str, Exercise]):
    """All exercises by number; a chapter's file is imported when it is first asked for."""

    def __getitem__(self, number: str) -> Exercise:
        chapter = number.split(".")[0] if isinstance(number, str) else ""
        if chapter in _chapters():
            _load(chapter)
        return _known[number]

    def __iter__(self) -> Iterator[str]:
        for chapter in _chapters():
            _load(chapter)
        return iter(sorted(_known, key=_place))

    def __len__(self) -> int:
        return len(list(iter(self)))


EXERCISES: Mapping[str, Exercise] = _Exercises()
"""The exercises by number, such as ``EXERCISES["2.1"]``."""


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
    if number not in EXERCISES:
        known = ", ".join(name for name in EXERCISES)
        raise ValueError(f"there is no exercise {number!r}; there are {known}")
    found = EXERCISES[number]
    if len(answers) != len(found.answers):
        raise ValueError(
            f"exercise {number} has the answers {', '.join(found.answers)}; "
            f"the check was given {len(answers)}"
        )
    _results[number] = "not yet"
    trial = Trial(number)
    try:
        with _hushed():
            _run(found, trial, answers)
    except ExerciseError as error:
        error.exercise = number
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, NotImplementedError) and raised_by_learner(error):
            raise NotSolved(str(error) or UNTOUCHED, number) from None
        if error is trial.error or learners_frames(error.__traceback__):
            raise Stopped(story(error), number) from None
        raise  # the check itself is broken: hide nothing
    _results[number] = "passed"
    print("\n".join([*trial.lines, f"Exercise {number} passed: {found.title}."]))


def _run(found: Exercise, trial: Trial, answers: tuple[object, ...]) -> None:
    for name, answer in zip(found.answers, answers, strict=True):
        if answer is ... or answer is None:
            raise NotSolved(f"`{name}` is still open: write your answer in the cell above.")
    with trial.random_numbers():
        found.function(trial, *answers)


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
    chapters = {number.split(".")[0] for number in _results}
    # Their files are loaded; those of other chapters may take seconds to import.
    numbers = [number for number in _known if number.split(".")[0] in chapters]
    rows = [_known[number] for number in sorted(numbers, key=_place)]
    width = max(len(row.title) for row in rows)
    for row in rows:
        print(f"{row.number}  {row.title:{width}}  {_results.get(row.number, 'not yet')}")
    passed = sum(_results.get(row.number) == "passed" for row in rows)
    print(f"{passed} of {len(rows)} exercises passed")
