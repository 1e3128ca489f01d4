"""What came of a run, in words that help the learner."""

from collections.abc import Mapping
from dataclasses import dataclass

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

    def outcome(status: str, note: str = "", detail: str = "") -> Outcome:
        return Outcome(status, one_line(note), printable(detail).strip()[:LONGEST_DETAIL])

    if run.errors:
        return outcome("error", f"not graded: {run.errors[-300:]}", run.errors)
    if run.stopped:
        return outcome("stopped", f"stopped: {run.stopped}")
    if run.printed is None:
        return outcome("wrong", "the process that runs the cells was ended")
    if dict(enumerate(run.printed)).items() & expected.items():
        return outcome("passed")
    if run.raised is None:
        return outcome("wrong", DIFFERS)
    name, note, detail = run.raised
    # The checks' own words need no name in front of them.
    if name not in ("Wrong", "NotSolved", "Stopped"):
        note = f"{name}: {note}"
    cell = len(run.printed) - 1
    if cell < answer:
        return outcome("error", f"not graded: a given cell failed: {note}", detail)
    if cell == answer:
        note = f"the answer cell raised {note}"
    if "NameError" in note:
        note = f"only the answer cell is graded, and it lacks a name: {note}"
    return outcome("unsolved" if name == "NotSolved" else "wrong", note, detail)
