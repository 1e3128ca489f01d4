"""What came of a run, in words that help the learner."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .answers import Answer
from .cells import one_line, printable
from .sandbox import Run

LONGEST_DETAIL = 4000
DIFFERS = (
    "the check found nothing wrong, but its output differs from the solution's: does your code "
    "print, or change anything outside itself?"
)


@dataclass(frozen=True)
class Outcome:
    """How an answer did.

    Attributes:
        status: ``"passed"``, ``"wrong"``, ``"unsolved"``, ``"missing"``, ``"stopped"`` (by a limit)
            or ``"error"`` (nobody's fault but the grader's or the machine's).
        note: why, on one line.
        detail: the whole message, for the feedback page.
    """

    status: str
    note: str = ""
    detail: str = ""

    @property
    def points(self) -> int | None:
        """1 for a pass, else 0; None if the answer could not be graded."""
        return None if self.status == "error" else int(self.status == "passed")


def explain(run: Run, answer: int, expected: Mapping[int, str]) -> Outcome:
    """Read the outcome off a run.

    Args:
        run: how it went.
        answer: the number of the answer cell, from 0. Those before it are given, and those after
            it check it.
        expected: what cells print after a right answer, by their numbers; one of them is enough.
    """
    status, note, detail = _explain(run, answer, expected)
    return Outcome(status, one_line(note), printable(detail).strip()[:LONGEST_DETAIL])


def _explain(run: Run, answer: int, expected: Mapping[int, str]) -> tuple[str, str, str]:
    if run.errors:
        return "error", f"not graded: {run.errors[-300:]}", run.errors
    if run.stopped:
        return "stopped", f"stopped: {run.stopped}", ""
    if run.printed is None:
        return "wrong", "the process that runs the cells was ended", ""
    if dict(enumerate(run.printed)).items() & expected.items():
        return "passed", "", ""
    if run.failure is None:
        return "wrong", DIFFERS, ""
    note, name = run.failure["message"], run.failure.get("name", "")
    # The checks' own words need no name in front of them.
    if name and name not in ("Wrong", "NotSolved", "Stopped"):
        note = f"{name}: {note}"
    detail = run.failure.get("traceback") or note
    if run.failure["cell"] < answer:
        return "error", f"not graded: a given cell failed: {note}", detail
    if run.failure["cell"] == answer:
        note = f"the answer cell {'raised' if name else 'broke off:'} {note}"
    return ("unsolved" if name == "NotSolved" else "wrong"), note, detail


def hinted(outcome: Outcome, answer: Answer) -> Outcome:
    """Add to what earned nothing that a part of it may stand in a cell that is not graded."""
    lacks = re.search(r"name '(\w+)' is not defined", f"{outcome.note}\n{outcome.detail}")
    elsewhere = lacks and re.search(rf"\b{lacks.group(1)}\b", answer.other_code)
    if outcome.points != 0 or not (answer.followed or elsewhere):
        return outcome
    what = lacks.group(1) if elsewhere else "a part of it"
    hint = f"only the answer cell is graded: if {what} stands in a cell of your own, move it there"
    return replace(outcome, note=f"{outcome.note} ({hint})")
