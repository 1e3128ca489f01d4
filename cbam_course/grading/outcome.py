"""What came of a run, in words that help the learner."""

import re
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


def explain(run: Run, answer: int) -> Outcome:
    """Read the outcome off a run.

    Args:
        run: how it went.
        answer: the number of the answer cell, from 0. Those before it are given, and those after
            it check it.
    """
    status, note, detail = _explain(run, answer)
    return Outcome(status, one_line(note), printable(detail).strip()[:LONGEST_DETAIL])


def _explain(run: Run, answer: int) -> tuple[str, str, str]:
    result = run.result
    if run.errors:
        return "error", f"not graded: {run.errors[-300:]}", run.errors
    if run.stopped:
        return "stopped", f"stopped: {run.stopped}", ""
    if result is None:
        return "wrong", "the process that compares the outputs was ended", ""
    if result["passed"]:
        return "passed", "", ""
    note = detail = result["message"]
    outputs = result["outputs"][-1] if result["outputs"] else []
    raised = next((o for o in outputs if o.get("output_type") == "error"), {})
    name = raised.get("ename", "")
    if raised:
        # The checks' own words need no name in front of them.
        own = name in ("Wrong", "NotSolved", "Stopped")
        note = ("" if own else f"{name}: ") + raised.get("evalue", "")
        detail = raised.get("traceback") or note
    elif "outputs differ" in note:  # nbval says what they should have been
        note, detail = DIFFERS, ""
    if result["cell"] < answer:
        return "error", f"not graded: a given cell failed: {note}", detail
    if result["cell"] == answer:
        note = f"the answer cell raised {note}" if raised else f"the answer cell broke off: {note}"
    return ("unsolved" if name == "NotSolved" else "wrong"), note, detail


def missing_name(outcome: Outcome, other_code: str) -> str:
    """Return the name that an answer lacks and that other cells define, or nothing."""
    lacks = re.search(r"name '(\w+)' is not defined", f"{outcome.note}\n{outcome.detail}")
    if not lacks:
        return ""
    name = lacks.group(1)
    defines = rf"^\s*(?:(?:def|class)\s+{name}\b|(?:import|from)\s.*\b{name}\b|{name}\s*[=:,])"
    return name if re.search(defines, other_code, re.MULTILINE) else ""
