"""The mutation test of the exercises: a sample of it, and the machinery itself.

`python -m tests.tools.mutants` runs all of it.
"""

import json
import re
from collections import Counter
from functools import cache

import pytest

from tests.support.exercise_running import all_exercises
from tests.tools import mutants
from tests.tools.mutant_museum import EXHIBITS, MUSEUM, NOWHERE, museum_mutants
from tests.tools.mutant_operators import OPERATORS, Mutant, plain
from tests.tools.mutant_survivors import SURVIVORS, Survivor

NUMBERS = list(all_exercises())
A_SAMPLE = 4  # mutants of each exercise


@pytest.fixture(scope="module")
def worker():
    with mutants.Worker(seconds=60) as worker:
        yield worker


@cache
def mutants_of(number):
    return mutants.mutants_of(number)


# The exercises.


@pytest.mark.parametrize("number", NUMBERS)
def test_a_sample_of_the_mutants_fails(number, worker):
    found = [m for m in mutants_of(number) if not m.operator.startswith("museum")]
    judged = mutants.explained(map(worker.judge, mutants.sample(found, A_SAMPLE)))
    assert len(judged) == A_SAMPLE
    assert [mutants.told(j) for j in judged if j.problem] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_every_mistake_of_the_museum_fails(number, worker):
    for mutant in museum_mutants(number, all_exercises()[number][1].solution_code):
        judged = worker.judge(mutant)
        assert judged.outcome in ("Wrong", "NotSolved", "Stopped"), mutants.told(judged)


def test_the_whole_museum_is_looked_at():
    assert list(MUSEUM) == list(range(1, 16))
    shown = {exhibit.place for exhibit in EXHIBITS}
    assert shown | NOWHERE.keys() == MUSEUM.keys()
    assert not shown & NOWHERE.keys()
    assert {exhibit.number for exhibit in EXHIBITS} <= set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_mutants_are_code_and_differ(number):
    found = mutants_of(number)
    codes = [mutant.code for mutant in found]
    assert len(set(codes)) == len(codes) >= 5
    assert plain(all_exercises()[number][1].solution_code) not in codes
    for code in codes:
        compile(code, "<mutant>", "exec")


def test_there_are_enough_mutants():
    assert sum(len(mutants_of(number)) for number in NUMBERS) >= mutants.FEWEST


# The list of those that pass.


def test_every_entry_has_its_mutant():
    for number in {entry.number for entry in SURVIVORS}:
        entries = Counter(entry.change for entry in SURVIVORS if entry.number == number)
        assert not entries - Counter(mutant.change for mutant in mutants_of(number))


@pytest.mark.parametrize("number", dict.fromkeys(entry.number for entry in SURVIVORS))
def test_a_mutant_of_the_list_passes(number, worker):
    """The last entry of each exercise; the command looks at all of them."""
    change = [entry.change for entry in SURVIVORS if entry.number == number][-1]
    found = [mutant for mutant in mutants_of(number) if mutant.change == change]
    assert any(worker.judge(mutant).passed for mutant in found)


def test_entries_say_why():
    for entry in SURVIVORS:
        assert entry.number in NUMBERS
        assert re.fullmatch(r"[A-Z].{19,}\.", entry.why)


def test_an_entry_whose_mutant_fails_is_stale(monkeypatch):
    entry = Survivor("2.4", "- a\n+ b", "Once this was so.")
    monkeypatch.setattr(mutants, "SURVIVORS", [entry])
    mutant = Mutant("2.4", "another_name", "a", "b")
    assert mutant.change == entry.change
    failed, passed = mutants.Judged(mutant, "Wrong", ""), mutants.Judged(mutant, "passed", "")
    (first, second), (third,) = mutants.explained([passed] * 2), mutants.explained([failed])
    assert passed.problem and first.why == entry.why and not first.problem
    assert not second.why and second.problem  # one entry, one mutant
    assert not third.why and not third.problem
    assert mutants.stale(["2.4"], [passed]) == []
    assert mutants.stale(["2.4"], [failed]) == ["2.4: '- a\\n+ b'"]
    assert mutants.stale(["2.3"], []) == []


# The operators.

CASES = {
    "another_operation": ("n // r", ["n * r", "n / r"]),
    "operand_lost": ("a + b", ["a", "b"]),
    "same_operand_twice": ("a + b", ["a + a", "b + b"]),
    "operands_swapped": ("a @ b", ["b @ a"]),
    "rounded_up": ("n // r", ["-(-n // r)"]),
    "sign_lost": ("not a", ["a"]),
    "another_comparison": ("a <= b", ["a < b", "a > b"]),
    "another_connective": ("a and b", ["a or b", "a", "b"]),
    "condition_fixed": ("a if b else c", ["a if True else c", "a if False else c"]),
    "another_constant": (
        "f(3, True, 0.5)",
        [
            "f(4, True, 0.5)",
            "f(2, True, 0.5)",
            "f(3, False, 0.5)",
            "f(3, True, 1.0)",
            "f(3, True, 1.5)",
        ],
    ),
    "another_word": ("f('avg')", ["f('max')"]),
    "another_error": ("raise ValueError('no')", ["raise RuntimeError('no')"]),
    "other_axes": (
        "x.sum((2, 3))",
        ["x.sum((3,))", "x.sum((2,))", "x.sum((0, 2, 3))", "x.sum((1, 2, 3))", "x.sum((1,))"],
    ),
    "another_function": ("torch.relu(x)", ["torch.sigmoid(x)", "torch.tanh(x)"]),
    "call_lost": ("x = 1\nx.relu()", ["x = 1\nx"]),
    "sigmoid_twice": ("torch.sigmoid(x)", ["torch.sigmoid(torch.sigmoid(x))"]),
    "keyword_lost": ("f(a, b=1, c=2)", ["f(a, c=2)", "f(a, b=1)"]),
    "arguments_swapped": ("f(a, b, c)", ["f(b, a, c)", "f(a, c, b)"]),
    "argument_lost": ("nn.Sequential(a, b)", ["nn.Sequential(b)", "nn.Sequential(a)"]),
    "elements_swapped": ("[a, b, b]", ["[b, a, b]"]),
    "element_lost": ("[a, b, c]", ["[b, c]", "[a, b]"]),
    "entry_lost": ("{1: a, 2: b}", ["{2: b}", "{1: a}"]),
    "bound_lost": ("x[a:b]", ["x[:b]", "x[a:]"]),
    "index_lost": ("x[:, None]", ["x"]),
    "another_name": ("a = 1\nb = 2\nc = a", ["a = 1\nb = 2\nc = b"]),
    "another_attribute": (
        "class A:\n    def f(self):\n        self.a = self.b = 1\n        return self.a",
        ["class A:\n\n    def f(self):\n        self.a = self.b = 1\n        return self.b"],
    ),
    "statement_lost": ("if a:\n    f()", ["pass", "if a:\n    pass"]),
    "another_assignment": ("a += b", ["a = b", "a -= b"]),
    "other_rounds": (
        "[a for a in b]",
        ["[a for a in list(b)[::-1]]", "[a for a in list(b)[1:]]", "[a for a in list(b)[:-1]]"],
    ),
    "filter_lost": ("[a for a in b if c]", ["[a for a in b]"]),
    "map_or_product": (
        "def f(x):\n    return y",
        ["def f(x):\n    return x * y", "def f(x):\n    return x + y"],
    ),
}


def made(code, name):
    return [m.code for m in mutants.mutants("2.1", code) if m.operator == name]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_makes_what_it_says(name):
    code, expected = CASES[name]
    assert made(code, name) == expected


ANY_LINE = ("statement_lost", "another_error")


@pytest.mark.parametrize(
    "code",
    [
        "import torch",
        '"""About 3 things."""',
        "@f(3)\nclass A:\n    pass",
        "def f(a: int = ...) -> list[3]:\n    pass",
        "raise ValueError(f'{a} // 3', 3)",
        "print(3 + x)",
        "f'{3 + a}'",
    ],
)
def test_what_is_free_is_left_alone(code):
    assert [m for m in mutants.mutants("2.1", code) if m.operator not in ANY_LINE] == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x.mean(dim=(2, 3))", "elements_swapped"),  # the order of axes is free
        ("super().__init__()", "call_lost"),
        ("torch.zeros(3)", "another_name"),  # no variable of the answer's
        ("def f(x):\n    return x", "another_name"),
        ("a = f()", "statement_lost"),  # a NameError at best
        ("x * y", "operands_swapped"),
        ("torch.allclose(x, y)", "arguments_swapped"),
        ("a + 1", "same_operand_twice"),
    ],
)
def test_what_would_be_no_mistake_is_not_made(code, name):
    assert made(code, name) == []


def test_a_change_is_told_line_by_line():
    (mutant,) = [m for m in mutants.mutants("2.1", "if a:\n    b = 1\n    c = 2  # two")][-1:]
    assert mutant.change == "- c = 2\n+ c = 1"
    assert mutant.original == "if a:\n    b = 1\n    c = 2"


def test_a_sample_is_spread_evenly():
    assert mutants.sample(list(range(40)), 4) == [5, 15, 25, 35]
    assert mutants.sample(list(range(3)), 4) == [0, 1, 2]


def test_a_patch_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="is not in the code"):
        museum_mutants("2.2", "pass")


# Judging.


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("channels = reduction = map_shape = parameters = 1", "Wrong"),
        ("channels = reduction = map_shape = parameters = ...", "NotSolved"),
        ("channels = unknown", "cell"),
        ("import sys; sys.exit()", "cell"),
    ],
)
def test_outcomes_are_told_apart(worker, code, outcome):
    assert worker.run("2.1", code).kind == outcome


def test_the_same_values_are_the_same_answer(worker):
    solution = all_exercises()["2.1"][1].solution_code
    other = solution.replace("parameters = 2 ", "parameters = 4 // 2 ")
    judged = worker.judge(Mutant("2.1", "another_constant", plain(solution), plain(other)))
    assert judged.outcome == mutants.SAME and not judged.problem


def test_problems_are_told():
    def judged(operator, outcome, why=""):
        return mutants.Judged(Mutant("2.1", operator, "a", "b"), outcome, "", why)

    fine = [judged("x", "Wrong")] * 300
    assert mutants.problems(fine, 20, [], whole=True) == []
    for bad in (judged("x", "passed"), judged("x", "check"), judged("museum 1", "passed", "Why.")):
        assert len(mutants.problems([*fine, bad], 20, [], whole=True)) == 1
    explained = [judged("x", "passed", "Why.")] * 30
    (share,) = mutants.problems([*fine, *explained], 20, [], whole=True)
    assert share == "90.9 % of the mutants fail; 95 % should"
    assert len(mutants.problems(fine[:100], 19, [], whole=True)) == 2
    assert mutants.problems(fine[:100], 19, [], whole=False) == []
    assert mutants.problems(fine, 20, ["2.1 mine"], whole=True) == [
        "a right answer fails: 2.1 mine"
    ]


def test_the_table_and_the_file_count(tmp_path):
    def judged(number, outcome, operator="x"):
        return mutants.Judged(Mutant(number, operator, "a", "b"), outcome, "said")

    some = [judged("2.1", "Wrong"), judged("2.1", "passed"), judged("10.1", "time", "museum 2")]
    rows = [line.split() for line in mutants.table(some).splitlines()]
    assert rows[1][:5] == ["2.1", "2", "0", "1", "50.0"]
    assert [row[0] for row in rows[1:]] == ["2.1", "chapter", "10.1", "chapter", "all"]
    assert rows[-1][:5] == ["all", "3", "1", "2", "66.7"]
    written = json.loads(mutants.as_json(some, 20, []))
    assert written["right answers"] == 20
    assert [row["outcome"] for row in written["mutants"]] == ["Wrong", "passed", "time"]
    assert written["mutants"][0]["change"] == "- a\n+ b"


def test_what_crashes_is_told():
    class Crash:
        """Both the connection and the process: ready, then gone."""

        said = ["ready"]
        send = kill = join = close = poll = lambda self, *values: True

        def recv(self):
            if self.said:
                return self.said.pop()
            raise EOFError

    worker = mutants.Worker()
    worker._process = worker._connection = Crash()
    assert worker.run("2.1", "").kind == "died"
    assert worker._process is None  # the next one starts another
    worker._process = worker._connection = Crash()
    with pytest.raises(RuntimeError, match="does not start"):
        worker.run("2.1", "")


def test_what_hangs_is_stopped(worker):
    """Last, because the process would have to start again."""
    worker.seconds = 0.5
    assert worker.run("2.1", "while True: pass").kind == "time"
    assert worker._process is None
