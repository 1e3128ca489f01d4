"""What came of a run, in words that help the learner."""

import re
from dataclasses import dataclass
from typing import Any

from .pristine import Assembled
from .run import Run
from .text import one_line, printable

LONGEST_DETAIL = 4000
TOOK_TOO_LONG = "Timeout of "
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
        seconds: the run took.
        memory: bytes it held at most.
        differs: whether the check found nothing wrong, and yet its output was another one.
    """

    status: str
    note: str = ""
    detail: str = ""
    seconds: float = 0.0
    memory: int = 0
    differs: bool = False

    @property
    def points(self) -> int | None:
        """1 for a pass, else 0; None if the answer could not be graded."""
        return None if self.status == "error" else int(self.status == "passed")


def explain(run: Run, notebook: Assembled, outside: frozenset[str]) -> Outcome:
    """Read the outcome off a run.

    Args:
        run: how it went.
        notebook: what was run.
        outside: names that the submission defines outside its answer cells.
    """
    status, note, detail = _explain(run, notebook, outside)
    detail = printable(detail, lines=True).strip()
    differs = note == DIFFERS
    return Outcome(
        status, one_line(note), detail[:LONGEST_DETAIL], run.seconds, run.memory, differs
    )


def _explain(run: Run, notebook: Assembled, outside: frozenset[str]) -> tuple[str, str, str]:
    if run.clean(notebook.count):
        return "passed", "", ""
    reached = max((c["cell"] for c in run.cells), default=-1)
    failed = next((c for c in run.cells if not c["clean"]), None)
    if failed and failed["cell"] < notebook.answer:
        if TOOK_TOO_LONG in failed["message"]:
            return "error", "not graded: a given cell took too long", failed["message"]
        what, detail = _error(failed)
        return "error", f"not graded: a given cell failed: {what}", detail
    if reached < notebook.answer:
        # Nothing of the submission had run yet.
        what = run.stopped or one_line(run.errors[-300:]) or "the kernel did not start"
        return "error", f"not graded: {what}", run.errors
    if run.stopped:
        return "stopped", f"stopped: {run.stopped}", ""
    if not failed:
        return "wrong", "the process that compares the outputs was ended", ""
    if TOOK_TOO_LONG in failed["message"]:
        return "stopped", "stopped: a cell took too long", failed["message"]
    place = "the answer cell" if failed["cell"] == notebook.answer else "the check"
    if not _raised(failed):
        if "outputs differ" in failed["message"]:
            return "wrong", DIFFERS, ""
        return "wrong", f"{place} broke off", failed["message"]
    what, detail = _error(failed)
    missing = re.search(r"name '(\w+)' is not defined", f"{what}\n{detail}")
    if missing and missing.group(1) in outside:
        what += (
            f" (you define {missing.group(1)} in a cell of your own, but only the answer cells are "
            "graded: move it there)"
        )
    if failed["cell"] == notebook.answer:
        what = f"the answer cell raised {what}"
    return ("unsolved" if _raised(failed).get("ename") == "NotSolved" else "wrong"), what, detail


def _raised(cell: dict[str, Any]) -> dict[str, Any] | None:
    return next((o for o in cell["outputs"] or [] if o.get("output_type") == "error"), None)


def _error(cell: dict[str, Any]) -> tuple[str, str]:
    raised = _raised(cell)
    if not raised:
        return one_line(cell["message"] or "it failed"), cell["message"]
    name, value = raised.get("ename", ""), raised.get("evalue", "")
    # The checks' own words need no name in front of them.
    text = value if name in ("Wrong", "NotSolved", "Stopped") else f"{name or 'an error'}: {value}"
    return one_line(text), "\n".join(raised.get("traceback", [])) or text
