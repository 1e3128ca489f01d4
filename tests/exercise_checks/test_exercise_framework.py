"""The machinery behind the checks: calls, comparisons, messages, seeds and the summary."""

import linecache
import warnings

import pytest
import torch
from torch import nn

from cbam_course import exercises
from cbam_course.attention import ECA, SpatialAttention
from cbam_course.exercises import framework, matching, values
from cbam_course.exercises.errors import NotSolved, Stopped, Wrong
from cbam_course.exercises.trial import SEED, Trial

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_exercise(monkeypatch):
    """Exercise 2.99, whose check is `own_exercise(function)`; and no seed, no results."""
    monkeypatch.delenv(SEED, raising=False)
    monkeypatch.setattr(framework, "_results", {})

    def register(function):
        made = framework.Exercise("2.99", "Made for this test", function)
        monkeypatch.setitem(framework.EXERCISES, "2.99", made)

    return register


def learner(code):
    """The function `f` that a cell with this code defines."""
    name = "<a learner's cell>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    namespace = {"torch": torch, "nn": nn}
    exec(compile(code, name, "exec"), namespace)
    return namespace["f"]


def rendered(error):
    return "\n".join(error._render_traceback_())


# check, and what it says.


def test_only_known_exercises_with_all_their_answers_are_checked():
    for number in ("2.17", "99.1", "two", "", 2):
        with pytest.raises(ValueError, match="there is no exercise"):
            exercises.check(number, 1)
    with pytest.raises(ValueError, match="channels, reduction, map_shape, parameters; .* given 1"):
        exercises.check("2.1", 160)


def test_the_learners_part_of_a_traceback_is_kept(own_exercise):
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2, 3)))
    f = learner(
        "def inner(x):\n    return x @ x\n\ndef f(x):\n    return nn.Identity()(inner(x))\n"
    )
    with pytest.raises(Stopped) as caught:
        exercises.check("2.99", f)
    *lines, last = rendered(caught.value).splitlines()
    assert lines == [
        "Stopped: Exercise 2.99 stopped: your code raised an error.",
        "  line 5, in f",
        "    return nn.Identity()(inner(x))",
        "  line 2, in inner",
        "    return x @ x",
    ]
    assert last.startswith("RuntimeError: ")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def f(x):\n    return x.float() @ x\n", "\nThe check's tensors are in float64"),
        ("import sys\ndef f(x):\n    sys.exit(0)\n", "SystemExit: 0"),
        ("f = nn.Module()", 'missing the required "forward"'),  # PyTorch's NotImplementedError
        ("def f(x):\n    return f(x)\n", "RecursionError"),
    ],
)
def test_what_stops_an_answer_is_told(code, says):
    with pytest.raises(Stopped) as caught:
        Trial("2.1").call(learner(code), torch.ones(2, 2, dtype=torch.float64))
    assert says in str(caught.value) and str(caught.value).count("\n") < 20


def test_an_interrupt_is_handed_on(own_exercise):
    own_exercise(lambda trial, f: trial.call(f))
    with pytest.raises(KeyboardInterrupt):
        exercises.check("2.99", learner("def f():\n    raise KeyboardInterrupt\n"))


def test_arguments_that_should_be_refused():
    trial = Trial("2.1")
    with pytest.raises(Wrong, match="function or a class; yours is 3"):
        trial.call(3)
    trial.refused(int, "one", why="That is a word")
    with pytest.raises(
        Wrong, match="^4 is even. With the arguments 4 there is no error: raise a V"
    ):
        trial.refused(int, 4, why="4 is even")
    with pytest.raises(Wrong, match="With the arguments 4, 2 it raises TypeError; it should be"):
        trial.refused(int, 4, 2, why="4 is even")


def test_prints_and_warnings_of_an_answer_are_kept_for_when_it_fails(own_exercise, capsys):
    def noisy():
        print("my print")
        warnings.warn("my warning", stacklevel=1)
        return 1

    own_exercise(lambda trial, f: trial.show("Value", trial.call(f)))
    exercises.check("2.99", noisy)
    assert capsys.readouterr() == ("Value: 1\nExercise 2.99 passed: Made for this test.\n", "")
    own_exercise(lambda trial, f: trial.expect(trial.call(f) == 2, "It is not 2."))
    with pytest.raises(Wrong, match="It is not 2"):
        exercises.check("2.99", noisy)
    assert capsys.readouterr().out == "my print\n"


def test_random_numbers_of_the_notebook_go_on_as_if_there_had_been_no_check(own_exercise):
    own_exercise(lambda trial, f: trial.show("Drawn", trial.call(f, 3)))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    exercises.check("2.99", torch.rand)
    assert torch.equal(torch.rand(2), expected)


def test_summary(own_exercise, capsys):
    exercises.summary()
    assert capsys.readouterr().out == "No check has run yet.\n"
    own_exercise(lambda trial, answer: trial.expect(answer == 1, "No."))
    exercises.check("2.99", 1)
    capsys.readouterr()
    exercises.summary()
    *rows, last = capsys.readouterr().out.splitlines()
    assert rows[0].split("  ")[0] == "2.1" and rows[0].endswith("not yet")
    assert rows[-1].split("  ")[0] == "2.99" and rows[-1].endswith("passed")
    assert last == f"1 of {len(rows)} exercises passed"


# Inputs, comparisons, printed values.


def test_the_seed_comes_from_the_environment(monkeypatch):
    values = {}
    for text in (None, "", "0", "1", "-3"):
        if text is not None:
            monkeypatch.setenv(SEED, text)
        values[text] = Trial("2.1").randn(3).tolist()
    assert values[None] == values[""] == values["0"]
    assert len({tuple(value) for value in values.values()}) == 3
    assert Trial("2.2").randn(3).tolist() != Trial("2.1").randn(3).tolist()


def test_equal_values_pass_in_any_type_and_memory_format():
    trial, x = Trial("2.1"), torch.rand(2, 3, 4, 5, dtype=torch.float64)
    last = x.to(memory_format=torch.channels_last)
    for got in (x.float(), last, nn.Parameter(x), x + 1e-6):
        assert trial.compare(got, x).dtype == torch.float64
    for got in (x + 1e-3, x[:1], x / 0, [1], x.numpy(), (x, x)):
        with pytest.raises(Wrong):
            trial.compare(got, x)


def test_a_known_mistake_is_named_if_it_makes_a_difference():
    trial, right = Trial("2.1"), torch.ones(3)
    mistakes = [(torch.ones(3), "no difference"), (torch.zeros(3), "zeros")]
    with pytest.raises(Wrong, match="^zeros$"):
        trial.compare(torch.zeros(3), right, "Your map", mistakes)
    with pytest.raises(Wrong, match="^Your map has the right shape"):
        trial.compare(torch.full((3,), 2.0), right, "Your map", mistakes)


# Predictions.


@pytest.mark.parametrize(
    ("read", "right", "answers"),
    [
        (values.number, 7, (8, 7.5, "7", [7], True, float("nan"))),
        (values.shape, (2, 3), ((3, 2), (2, 3, 1), 2, "23", (2.5, 3), (2, "3"))),
    ],
)
def test_wrong_numbers_and_shapes(read, right, answers):
    for answer in answers:
        with pytest.raises(Wrong, match="`n`"):
            read(answer, right, "n")


def test_an_open_entry_is_not_solved():
    with pytest.raises(NotSolved, match="`s` is still open"):
        values.shape([1, ...], (1, 2), "s")


# Matching.


def test_parameters_that_do_not_fit_are_listed():
    def spatial(block, hint=""):
        trial = Trial("2.1")
        matching.match(trial, block, SpatialAttention(3), [trial.features(1, 3, 4, 4)], hint=hint)

    with pytest.raises(Wrong, match=r"conv.weight \[1, 2, 3, 3\], conv.bias \[1\]; .* \[2, 3, 3\]"):
        spatial(SpatialAttention(3, bias=True))
    with pytest.raises(Wrong, match="has the parameters none; expected shapes.* Look there."):
        spatial(nn.Identity(), hint="Look there.")
    with pytest.raises(Wrong, match="should be an nn.Module; it is of type function"):
        spatial(lambda x: x)


def test_a_mistake_has_to_explain_all_outputs():
    """On a map of one position the maximum is the average: that input alone proves nothing."""

    def mistakes(truth, x):
        maxima = truth.conv(x.amax((2, 3))[:, None])[:, 0, :, None, None]
        return [(x * (2 * maxima).sigmoid(), "maximum twice")]

    class Block(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.conv, self.factor = nn.Conv1d(1, 1, 3, padding=1, bias=False), factor

        def forward(self, x):
            average, maximum = x.mean((2, 3))[:, None], x.amax((2, 3))[:, None]
            scores = self.conv(self.factor * average + (2 - self.factor) * maximum)
            return x * scores[:, 0, :, None, None].sigmoid()

    trial = Trial("2.1")
    inputs = [trial.features(2, 6, 1, 1), trial.features(2, 6, 4, 3)]
    for factor, says in ((0, "^maximum twice$"), (2, "has the right shape")):
        with pytest.raises(Wrong, match=says):
            truth = ECA(6, 3, pools=("avg", "max"))
            matching.match(trial, Block(factor), truth, inputs, mistakes=mistakes)
