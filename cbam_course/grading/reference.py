"""The outputs to compare with: made from the solution, each time anew, with a fresh seed."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .outcome import explain
from .pristine import Exercise, assemble
from .run import Run

RESEED = "import os\nos.environ['CBAM_COURSE_SEED'] = '{}'"


class NoReference(RuntimeError):
    """An exercise that cannot be graded here; the text says why."""


def fresh_seed() -> int:
    """Return a seed that nobody could know."""
    return secrets.randbits(31)


@dataclass(frozen=True)
class Reference:
    """What the check prints for the solution under a seed."""

    seed: int
    outputs: list[dict[str, Any]]


def make_references(exercise: Exercise, seed: int, run: Callable[..., Run]) -> list[Reference]:
    """Run the check on the solution, under two seeds.

    The second is for answers that differ from the solution under the first though the check found
    nothing wrong: in single precision a printed value may be rounded to the other side.

    Args:
        exercise: the pristine exercise.
        seed: the first seed.
        run: runs a notebook, as :func:`.run.run_notebook` with its limits filled in.

    Raises:
        NoReference: if the solution does not pass, or its outputs could be copied from another run,
            since they do not depend on the seed.
    """
    other = seed ^ (1 + secrets.randbits(30))
    notebook = assemble(exercise, exercise.solution, also=(RESEED.format(other), exercise.check))
    # The first comparison is with nothing, so that whatever the check prints differs from it.
    tagged = notebook.text.replace('"tags": []', '"tags": ["nbval-ignore-output"]')
    for _ in range(2):  # a machine that was short of something may have recovered
        result = run(tagged, expected={}, seed=seed, wants_outputs=True)
        if result.clean(notebook.count):
            break
    else:
        outcome = explain(result, notebook, frozenset())
        note = outcome.note.removeprefix("not graded: ")
        raise NoReference(f"its own solution does not pass here: {note}", outcome.detail)
    outputs = {c["cell"]: c["outputs"] for c in result.cells if c["when"] == "call"}
    first, second = outputs[notebook.check], outputs[notebook.count - 1]
    if not _text(first):
        raise NoReference("its check prints nothing that could be compared")
    if _text(first) == _text(second):
        raise NoReference("its check prints the same for every seed, so that it could be copied")
    return [Reference(seed, first), Reference(other, second)]


def _text(outputs: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", "") for output in outputs)
