"""Answers in short: tables of small changes to a right answer, and answers one below the other."""

import re

from tests.support.exercise_running import all_exercises

from . import Answer, right, wrong

OUTCOMES = ("Stopped", "NotSolved")


def changed(code: str, *pairs: tuple[str, str]) -> str:
    """Return `code` with the old part of each pair replaced by the new one, everywhere.

    Raises:
        ValueError: if an old part is not there, so that no change gets lost unseen.
    """
    for old, new in pairs:
        if old not in code:
            raise ValueError(f"{old!r} is not in the code:\n{code}")
        code = code.replace(old, new)
    return code


def solution(number: str, *edits: tuple[str, str] | str) -> str:
    """Return the worked solution of an exercise, changed: a pair replaces, a line is appended."""
    code = all_exercises()[number][1].solution_code + "\n"
    for edit in edits:
        code = code + edit + "\n" if isinstance(edit, str) else changed(code, edit)
    return code


def wrongs(number: str, *rows: tuple, outcome: str = "Wrong") -> list[Answer]:
    """Return wrong answers made from the solution, of rows (name, part of the message, *edits)."""
    return [
        wrong(number, name, solution(number, *edits), says, outcome) for name, says, *edits in rows
    ]


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
