"""The mutation test of the exercises: a sample of it, and the machinery itself.

`python -m tests.tools.mutants` runs all of it.
"""

import pytest

from tests.support.exercise_running import all_exercises
from tests.tools import mutants
from tests.tools.mutant_museum import MISTAKES, museum_mutants
from tests.tools.mutant_operators import Mutant, plain
from tests.tools.mutant_survivors import KINDS

NUMBERS = list(all_exercises())
A_SAMPLE = 2  # mutants of each exercise


@pytest.fixture(scope="module")
def worker():
    with mutants.Worker() as worker:
        yield worker


@pytest.mark.parametrize("number", NUMBERS)
def test_a_sample_of_the_mutants_fails(number, worker):
    """And every mistake of the museum."""
    found = mutants.mutants_of(number)
    museum = [m for m in found if m.operator.startswith("museum")]
    step = (len(found) - len(museum)) // A_SAMPLE
    judged = [worker.judge(m) for m in museum + found[len(museum) + step // 2 :: step]]
    assert [str(j) for j in judged if j.problem] == []


def test_the_whole_museum_is_shown():
    shown = [m for n in NUMBERS for m in museum_mutants(n, all_exercises()[n][1].solution_code)]
    assert {m.operator for m in shown} == {f"museum: {mistake}" for mistake in MISTAKES}
    assert len(shown) >= 60


def test_mutants_are_code_and_differ():
    found = [mutant for number in NUMBERS for mutant in mutants.mutants_of(number)]
    assert len(found) >= 2000
    assert len({(m.number, m.code) for m in found}) == len(found)
    assert all(plain(m.code) != m.original and m.change for m in found)


def test_every_kind_of_survivor_has_its_mutants():
    for kind in KINDS:
        for number in kind.exercises.split():
            assert any(kind.holds(m) for m in mutants.mutants_of(number)), (number, kind.why)


@pytest.mark.parametrize(
    "code",
    [
        *("import torch", '"""About 3 things."""', "f'{3 + a}'", "print(3 + x)"),
        *("@f(3)\nclass A:\n    pass", "def f(a: int = ...) -> list[3]:\n    pass"),
        "raise ValueError(f'{a} // 3', 3)",
        "a = f",  # without it a NameError
    ],
)
def test_what_is_free_is_left_alone(code):
    assert [m.code for m in mutants.mutants("2.1", code) if m.operator != "statement"] == []


# Judging.


@pytest.mark.parametrize(
    "code, outcome",
    [
        ("channels = reduction = map_shape = parameters = 1", "Wrong"),
        ("channels = reduction = map_shape = parameters = ...", "NotSolved"),
        ("channels = unknown", "cell"),
        ("import sys; sys.exit()", "cell"),
    ],
)
def test_outcomes_are_told_apart(worker, code, outcome):
    assert worker.judge(Mutant("2.1", "", "", code)).outcome == outcome


def test_the_same_values_are_the_same_answer(worker):
    solution = plain(all_exercises()["2.1"][1].solution_code)
    other = solution.replace("parameters = 2 ", "parameters = 4 // 2 ")
    judged = worker.judge(Mutant("2.1", "number", solution, other))
    assert judged.outcome == mutants.SAME and not judged.problem


def test_what_hangs_or_crashes_is_told():
    with mutants.Worker(seconds=0.2) as worker:
        for code in ("while True: pass", "import os; os._exit(1)"):
            assert worker.judge(Mutant("2.1", "", "", code)).outcome == "ended"


def test_problems_and_numbers_are_told():
    def judged(outcome, count=1, change="b"):
        return [mutants.Judged(Mutant("2.4", "arithmetic", "a", change), outcome)] * count

    fine, explained = judged("Wrong", 90), judged("passed", 10, "hidden = channels / ratio")
    kind = explained[0].kind
    assert mutants.problems(fine, set()) == []
    assert len(mutants.problems(fine + judged("passed"), set())) == 1
    assert len(mutants.problems(fine + judged("check"), set())) == 1
    assert mutants.problems(fine + explained[:1], {kind}) == []
    assert mutants.problems(fine, {kind})[0].startswith("no mutant is of the kind")
    (share,) = mutants.problems(fine + explained, set())
    assert share == "90.0% of the mutants fail; 95% should"
    assert mutants.table(fine + explained).splitlines()[-1].split() == ["all", "90", "10", "100"]
