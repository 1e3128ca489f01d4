"""Answers to the exercises, right and wrong, that every check has to judge.

One file a chapter, chapter_02.py and so on, each with a text `ANSWERS`; the solutions in the
notebooks are right answers too and are not repeated there. Under the heading `## 2.1` of an
exercise stand first changes to its solution, one a row, then whole answers, each under its name:

    name | old | new | passed
    name | old | new | old | new | a part of what the check says
    name | a line to append | a part of what the check says | NotSolved

    # name of a right answer
    the code

    # name of a wrong answer | a part of what the check says | Stopped
    SOLUTION 2.1
    code after that solution

A wrong answer ends in `Wrong` unless the row or name says otherwise. A line that begins with `|`
continues a row; in a row `\\n` is a new line.
"""

import pkgutil
import re
from dataclasses import dataclass
from importlib import import_module

from tests.support.exercise_running import all_exercises


@dataclass(frozen=True)
class Answer:
    """The code of an answer cell, and what the check should say of it.

    Attributes:
        number: the exercise, such as "2.1".
        name: in which way the answer is right or wrong, for the name of the test.
        code: the answer cell.
        says: for what does not pass, a part of the message.
        outcome: "passed", or the class of the error: "Wrong", "NotSolved" or "Stopped".
    """

    number: str
    name: str
    code: str
    says: str = ""
    outcome: str = "passed"


def answers() -> list[Answer]:
    """Return all answers of all chapters."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    texts = [import_module(f"{__name__}.{name}").ANSWERS for name in names]
    return [answer for text in texts for answer in answers_in(text)]


def answers_in(text: str) -> list[Answer]:
    """Return the answers that stand in `text`.

    Raises:
        ValueError: if what a row replaces is not there, so that no change gets lost unseen.
    """
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        number, _, section = section.partition("\n")
        rows, *written = re.split(r"^# ", section, flags=re.MULTILINE)
        for row in re.sub(r"\n *\|", " |", rows.strip()).splitlines():
            cells = [cell.strip().replace("\\n", "\n") for cell in row.split(" |")]
            outcome = cells.pop() if cells[-1] in ("Stopped", "NotSolved") else "Wrong"
            name, *edits, says = cells
            expected = ("", "passed") if says == "passed" else (says, outcome)
            found.append(Answer(number, name, changed(number, edits), *expected))
        for answer in written:
            title, _, code = answer.partition("\n")
            name, *expected = title.split(" | ")
            code = re.sub(r"^SOLUTION (.+)$", lambda m: solution(m[1]), code, flags=re.MULTILINE)
            expected = (*expected, "Wrong")[:2] if expected else ()
            found.append(Answer(number, name, code.strip() + "\n", *expected))
    return found


def solution(number: str) -> str:
    """Return the worked solution of an exercise."""
    return all_exercises()[number][1].solution_code + "\n"


def changed(number: str, edits: list[str]) -> str:
    """Return the solution with the first of each pair replaced by the second, everywhere."""
    code = solution(number)
    for old, new in zip(edits[::2], edits[1::2], strict=False):
        if old not in code:
            raise ValueError(f"{old!r} is not in the code:\n{code}")
        code = code.replace(old, new)
    return code + (edits[-1] + "\n" if len(edits) % 2 else "")
