"""Answers to the exercises, right and wrong, that every check has to judge.

One file a chapter, chapter_02.py and so on, each with a list `ANSWERS`. The solutions in the
notebooks are right answers too and are not repeated here; most wrong answers are changes to them.
"""

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from textwrap import dedent


@dataclass(frozen=True)
class Answer:
    """The code of an answer cell, and what the check should say of it.

    Attributes:
        number: the exercise, such as "2.1".
        name: in which way the answer is right or wrong, for the name of the test.
        code: the answer cell.
        outcome: "passed", or the class of the error: "Wrong", "NotSolved" or "Stopped".
        says: for what does not pass, a part of the message.
    """

    number: str
    name: str
    code: str
    outcome: str = "passed"
    says: str = ""


def right(number: str, name: str, code: str) -> Answer:
    """Return an answer that passes and prints what the solution prints."""
    return Answer(number, name, dedent(code).strip() + "\n")


def wrong(number: str, name: str, code: str, says: str, outcome: str = "Wrong") -> Answer:
    """Return an answer that does not pass, and part of what the check says of it."""
    return Answer(number, name, dedent(code).strip() + "\n", outcome, says)


def answers() -> list[Answer]:
    """Return all answers of all chapters."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    chapters = [name for name in names if name.startswith("chapter_")]
    files = [import_module(f"{__name__}.{name}") for name in chapters]
    return [answer for file in files for answer in file.ANSWERS]
