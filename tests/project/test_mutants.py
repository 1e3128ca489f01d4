"""The mutation test of the exercises: a sample of it, and the machinery itself.

`python -m tests.tools.mutants` runs all of it.
"""

import pytest

from tests.support.exercise_running import all_exercises
from tests.tools import mutants
from tests.tools.mutant_museum import MISTAKES, museum_mutants
from tests.tools.mutant_operators import OPERATORS, Mutant, plain
from tests.tools.mutant_survivors import KINDS

NUMBERS = list(all_exercises())
A_SAMPLE = 3  # mutants of each exercise


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


# The operators.

CASES = {
    "arithmetic": (
        "n // r",
        ["n * r", "n / r", "n", "r", "r // n", "n // n", "r // r", "-(-n // r)"],
    ),
    "logic": ("a <= b and not c", ["a <= b or not c", "a <= b", "not c", "a < b and (not c)"]),
    "condition": ("a if b else c", ["a if True else c", "a if False else c"]),
    "number": ("f(3, True, 0.5)", ["f(4, True, 0.5)", "f(2, True, 0.5)", "f(3, False, 0.5)"]),
    "axes": ("x.sum((2, 3))", ["x.sum((3,))", "x.sum((2,))", "x.sum((0, 2, 3))", "x.sum((1,))"]),
    "function": ("torch.relu(x)", ["torch.sigmoid(x)", "torch.tanh(x)"]),
    "call": ("x = 1\nx.relu()", ["x = 1\nx"]),
    "arguments": ("f(a, b, c=1)", ["f(b, a, c=1)", "f(a, c=1)", "f(a, b)"]),
    "elements": ("[a, b, b]", ["[b, a, b]", "[b, b]", "[a, b]"]),
    "index": ("x[a:b]", ["x", "x[:b]", "x[a:]"]),
    "variable": ("a = 1\nb = 2\nc = a", ["a = 1\nb = 2\nc = b"]),
    "statement": ("if a:\n    f()", ["pass", "if a:\n    pass"]),
    "rounds": ("[a for a in b]", ["[a for a in list(b)[1:]]", "[a for a in list(b)[:-1]]"]),
    "returned": ("def f(x):\n    return y", ["def f(x):\n    return x * y"]),
}


def made(code, name):
    return [m.code for m in mutants.mutants("2.1", code) if m.operator == name]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_makes_what_it_says(name):
    code, expected = CASES[name]
    assert set(expected) <= set(made(code, name))


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


def test_a_change_is_told_line_by_line():
    mutant = mutants.mutants("2.1", "if a:\n    b = 1\n    c = 2  # two")[-1]
    assert mutant.change == "- c = 2\n+ c = 1"


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


@pytest.mark.parametrize(
    "code, outcome", [("while True: pass", "time"), ("import os; os._exit(1)", "died")]
)
def test_what_hangs_or_crashes_is_told(code, outcome):
    with mutants.Worker(seconds=0.2) as worker:
        assert worker.judge(Mutant("2.1", "", "", code)).outcome == outcome


def test_problems_and_numbers_are_told():
    def judged(outcome, count=1, change="b"):
        return [mutants.Judged(Mutant("2.4", "arithmetic", "a", change), outcome)] * count

    fine, kind = judged("Wrong", 90), KINDS[12]
    explained = judged("passed", 10, "hidden = channels / ratio")
    assert mutants.problems(fine, set()) == []
    assert len(mutants.problems(fine + judged("passed"), set())) == 1
    assert len(mutants.problems(fine + judged("check"), set())) == 1
    assert mutants.problems(fine + explained[:1], {kind}) == []
    assert mutants.problems(fine, {kind})[0].startswith("no mutant is of the kind")
    (share,) = mutants.problems(fine + explained, set())
    assert share == "90.0% of the mutants fail; 95% should"
    assert mutants.table(fine + explained).splitlines()[-1].split()[:2] == ["all", "100"]
