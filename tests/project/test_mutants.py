"""The mutation test of the exercises: a sample of it, and the machinery itself.

`python -m tests.tools.mutants` runs all of it.
"""

import pytest

from tests.support.exercise_running import all_exercises
from tests.tools.mutant_operators import Mutant, mutants
from tests.tools.mutants import SAME, Judged, judge

SOLUTIONS = {number: cells.solution_code for number, (_, cells) in all_exercises().items()}
A_SAMPLE = 2  # mutants of each exercise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("number", SOLUTIONS)
def test_a_sample_of_the_mutants_fails(number):
    found = mutants(number, SOLUTIONS[number], A_SAMPLE)
    assert found and [str(one) for one in map(judge, found) if one.problem] == []


PREDICTED = "channels, reduction, map_shape, parameters = "


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (PREDICTED + "1, 1, 1, 1", "Wrong"),
        (PREDICTED + "..., ..., ..., ...", "NotSolved"),
        ("channels = unknown", "cell"),
        ("channels = 160", "cell"),
        ("while True: pass", "hung"),
        (PREDICTED + "160, 16, [6, 160, 1, 1], 6740 / 2", SAME),
    ],
)
def test_outcomes_are_told_apart(code, outcome):
    judged = judge(Mutant("2.1", "", SOLUTIONS["2.1"], code), seconds=0.2)
    assert judged.outcome == outcome and not judged.problem


def test_problems_are_told():
    def judged(outcome, new):
        return Judged(Mutant("2.4", "arithmetic", "hidden = channels // ratio", new), outcome)

    explained = judged("passed", "hidden = channels / ratio")
    assert not explained.problem and "leaves no remainder" in str(explained)
    assert "+ hidden = 1" in str(judged("passed", "hidden = 1"))
    assert judged("passed", "hidden = 1").problem.startswith("passes, and nobody")
    assert judged("IndexError: 3", "hidden = 1").problem == "its check breaks, IndexError: 3"
