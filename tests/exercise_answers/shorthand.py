"""Answers in short: tables of small changes to a right answer, and answers one below the other."""

import re

from . import Answer, right, solution, wrong
from .editing import changed

OUTCOMES = ("Stopped", "NotSolved")


def edited(number: str, table: str, code: str = "") -> list[Answer]:
    r"""Return a wrong answer for each row of `table`: the solution, or `code`, with changes.

    A row is `name | old | new | what the check says`, with more pairs of old and new if need be. It
    may end with `| Stopped` or `| NotSolved`, or be `name | old | new | passed`; a line that begins
    with `|` continues it. In the code `\n` is a new line.
    """
    found, code = [], code or solution(number)
    for row in re.sub(r"\n *\|", " |", table.strip()).splitlines():
        cells = [cell.strip().replace("\\n", "\n") for cell in row.split(" |")]
        outcome = cells.pop() if cells[-1] in OUTCOMES else "Wrong"
        name, *parts, says = cells
        pairs = zip(parts[::2], parts[1::2], strict=True)
        answer = wrong(number, name, changed(code, *pairs), says, outcome)
        found.append(right(number, name, answer.code) if says == "passed" else answer)
    return found


def written(number: str, text: str) -> list[Answer]:
    """Return the answers that stand in `text` one below the other, each under a comment.

    `# name` stands over a right answer, `# name | what the check says` over a wrong one. It may end
    with `| Stopped` or `| NotSolved`.
    """
    found = []
    for title, code in re.findall(r"^# (.+)\n((?:(?!# ).*\n)+)", text, re.MULTILINE):
        name, *says = title.split(" | ")
        found.append(wrong(number, name, code, *says) if says else right(number, name, code))
    return found
