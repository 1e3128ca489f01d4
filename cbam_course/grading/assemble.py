"""Putting an answer into the pristine notebook."""

import json
from dataclasses import dataclass
from typing import Any

from .pristine import Exercise


@dataclass(frozen=True)
class Assembled:
    """A notebook to run.

    Attributes:
        text: its JSON.
        count: how many code cells it has.
        answer: which of them, from 0, holds the answer.
        check: which of them is the check.
    """

    text: str
    count: int
    answer: int
    check: int


def assemble(exercise: Exercise, answer: str, *, also: tuple[str, ...] = ()) -> Assembled:
    """Make the notebook of one exercise: what is given, the answer, the check.

    Only the check's outputs are compared. They are no part of the notebook.

    Args:
        exercise: the pristine exercise.
        answer: code for the answer cell.
        also: code of more cells after the check.
    """
    before = [*exercise.given, answer]
    sources = [*before, exercise.check, *also]
    check = len(before)
    cells = [_cell(n, source, compared=n == check) for n, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return Assembled(json.dumps(notebook), len(cells), check - 1, check)


def _cell(number: int, source: str, *, compared: bool) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": f"cell-{number}",
        "metadata": {"tags": [] if compared else ["nbval-ignore-output"]},
        "outputs": [],
        "source": source,
    }
