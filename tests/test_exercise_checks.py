"""The machinery behind the checks: calls, comparisons, messages, seeds and the summary."""

import linecache
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cbam_course import exercises
from cbam_course.attention import ECA, ChannelAttention, SpatialAttention
from cbam_course.exercises import framework, matching, predictions
from cbam_course.exercises.errors import NotSolved, Stopped, Wrong, learners_functions
from cbam_course.exercises.trial import SEED, Trial, difference

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_exercise(monkeypatch):
    """Exercise 2.99, whose check is `own_exercise(function)`; and no seed, no results."""
    monkeypatch.delenv(SEED, raising=False)
    monkeypatch.setattr(framework, "_results", {})

    def register(function):
        # Checks live in the package's folder; code from elsewhere would count as a learner's.
        function.__code__ = function.__code__.replace(co_filename=framework.__file__)
        made = framework.Exercise("2.99", "Made for this test", function)
        monkeypatch.setitem(framework._known, "2.99", made)

    return register


def learner(code):
    """What a cell with this code defines."""
    name = "<a learner's cell>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    namespace = {"torch": torch, "nn": nn}
    exec(compile(code, name, "exec"), namespace)
    return namespace


def rendered(error):
    return "\n".join(error._render_traceback_())


# check and its errors.


def test_only_known_exercises_are_checked():
    for number in ("2.17", "99.1", "two", "", 2):
        with pytest.raises(ValueError, match=r"no exercise .*; there are .*2\.1, 2\.2"):
            exercises.check(number, 1)


def test_the_number_of_answers_is_checked():
    with pytest.raises(ValueError, match="channels, reduction, map_shape, parameters; .* given 1"):
        exercises.check("2.1", 160)


@pytest.mark.parametrize("answer", [..., None])
def test_an_open_answer_is_not_solved(own_exercise, answer):
    own_exercise(lambda trial, first, second: None)
    with pytest.raises(NotSolved, match="`second` is still open") as caught:
        exercises.check("2.99", 1, answer)
    assert rendered(caught.value).startswith("NotSolved: Exercise 2.99 is not solved yet.\n")


def test_the_learners_part_of_a_traceback_is_kept(own_exercise):
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2, 3)))
    cell = learner("def inner(x):\n    return x @ x\n\ndef f(x):\n    return inner(x)\n")
    with pytest.raises(Stopped) as caught:
        exercises.check("2.99", cell["f"])
    assert rendered(caught.value).splitlines()[:5] == [
        "Stopped: Exercise 2.99 stopped: your code raised an error.",
        "  line 5, in f",
        "    return inner(x)",
        "  line 2, in inner",
        "    return x @ x",
    ]
    assert rendered(caught.value).splitlines()[5].startswith("RuntimeError: ")
    assert "cbam_course" not in rendered(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_an_error_about_types_of_numbers_is_explained(own_exercise):
    own_exercise(lambda trial, f: trial.call(f, trial.randn(2, 2)))
    cell = learner("def f(x):\n    return x.float() @ x\n")
    with pytest.raises(Stopped, match="RuntimeError: .*\nThe check's tensors are in float64"):
        exercises.check("2.99", cell["f"])


def test_an_error_inside_a_module_without_own_code_is_told(own_exercise):
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2, 3)))
    with pytest.raises(Stopped, match="RuntimeError"):
        exercises.check("2.99", nn.Linear(4, 4))


@pytest.mark.parametrize("statement", ["import sys; sys.exit(0)", "raise SystemExit"])
def test_leaving_is_an_error_too(own_exercise, statement):
    own_exercise(lambda trial, f: trial.call(f))
    with pytest.raises(Stopped, match="SystemExit"):
        exercises.check("2.99", learner(f"def f():\n    {statement}\n")["f"])


def test_an_interrupt_is_handed_on(own_exercise):
    own_exercise(lambda trial, f: trial.call(f))
    with pytest.raises(KeyboardInterrupt):
        exercises.check("2.99", learner("def f():\n    raise KeyboardInterrupt\n")["f"])


def test_not_implemented_by_the_learner_is_not_solved(own_exercise):
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2)))
    for statement, says in (
        ("raise NotImplementedError", "still raises NotImplementedError"),
        ("raise NotImplementedError('later')", "later"),
        ("...", "`f` returns nothing yet"),
    ):
        with pytest.raises(NotSolved, match=says):
            exercises.check("2.99", learner(f"def f(x):\n    {statement}\n")["f"])


def test_not_implemented_by_torch_is_an_error(own_exercise):
    own_exercise(lambda trial, f: trial.call(f(), torch.ones(2)))
    with pytest.raises(Stopped, match="forward"):
        exercises.check("2.99", learner("class F(nn.Module):\n    pass\n")["F"])


META = "torch.zeros(2, device='meta')"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (f"return {META}.tolist()", 2),
        (f"with torch.no_grad():\n        return {META}.cpu()", 3),
        (f"try:\n        later\n    except NameError:\n        return {META}.cpu()", 5),
        (f"return [y.cpu() for y in {META}]", 2),
    ],
)
def test_not_implemented_in_the_learners_line_is_an_error(own_exercise, body, line):
    """An operator of PyTorch's leaves no frame: the learner's line is the last, without raise."""
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2)))
    answer = learner(f"def f(x):\n    {body}\n")["f"]
    with pytest.raises(NotImplementedError):
        answer(torch.ones(2))
    with pytest.raises(Stopped, match=rf"line {line}, in (.|\n)*NotImplementedError: "):
        exercises.check("2.99", answer)


LATER = "raise NotImplementedError"


@pytest.mark.parametrize(
    "body",
    [
        f"with torch.no_grad():\n        {LATER}",
        f"try:\n        {LATER}\n    finally:\n        x = 1",
        f"try:\n        x.nothing\n    except AttributeError:\n        {LATER} from None",
        f"return [g(y) for y in x]\n\ndef g(y):\n    {LATER}",
        f"return sum(g())\n\ndef g():\n    yield 1\n    {LATER}",
        f"return G()(x)\n\nclass G(nn.Module):\n    def forward(self, x):\n        {LATER}",
        f"for y in x:\n        {LATER}('later' + str(int(y)))",
    ],
)
def test_a_raise_of_the_learners_anywhere_is_not_solved(own_exercise, body):
    own_exercise(lambda trial, f: trial.call(f, torch.ones(2)))
    with pytest.raises(NotSolved):
        exercises.check("2.99", learner(f"def f(x):\n    {body}\n")["f"])


def test_what_still_runs_is_found():
    network, x = nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.ones(1, 3)
    profiler = sys.getprofile()
    assert learners_functions(partial(network, x)) == []
    hook = learner("def f(layer, x, y):\n    g()\n    g()\n\ndef g():\n    pass\n")["f"]
    network[0].register_forward_hook(hook)
    assert learners_functions(partial(network, x)) == ["f", "g"]
    with pytest.raises(RuntimeError):
        learners_functions(partial(network, x[:, :2]))
    assert sys.getprofile() is profiler


def test_an_error_of_the_check_itself_is_not_blamed_on_the_learner(own_exercise):
    def broken(trial, f):
        trial.call(f, 1)
        raise KeyError("the check's own")

    own_exercise(broken)
    with pytest.raises(KeyError):
        exercises.check("2.99", abs)


def test_what_is_no_function_is_wrong(own_exercise):
    own_exercise(lambda trial, f: trial.call(f))
    with pytest.raises(Wrong, match="function or a class; yours is 3"):
        exercises.check("2.99", 3)


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


def test_nothing_is_printed_before_all_is_right(own_exercise, capsys):
    def check(trial, answer):
        trial.show("Value", 1.0)
        trial.expect(False, "No.")

    own_exercise(check)
    with pytest.raises(Wrong):
        exercises.check("2.99", 1)
    assert capsys.readouterr() == ("", "")


def test_random_numbers_of_the_notebook_go_on_as_if_there_had_been_no_check(own_exercise):
    own_exercise(lambda trial, f: trial.show("Drawn", trial.call(f, 3)))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    exercises.check("2.99", torch.rand)
    assert torch.equal(torch.rand(2), expected)


# The summary.


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
    with pytest.raises(Wrong):
        exercises.check("2.99", 2)
    capsys.readouterr()
    exercises.summary()
    assert capsys.readouterr().out.endswith(f"0 of {len(rows)} exercises passed\n")


def test_a_summary_does_not_wait_for_other_chapters(own_exercise, monkeypatch, capsys):
    own_exercise(lambda trial, answer: None)
    exercises.check("2.99", 1)
    monkeypatch.setattr(framework, "_load", lambda chapter: pytest.fail(f"chapter {chapter}"))
    exercises.summary()
    assert "\n2.99  Made for this test" in capsys.readouterr().out


# Seeds and inputs.


def test_the_seed_comes_from_the_environment(monkeypatch):
    values = {}
    for text in (None, "", "0", "1", "2147483647", "-3"):
        if text is None:
            monkeypatch.delenv(SEED, raising=False)
        else:
            monkeypatch.setenv(SEED, text)
        values[text] = Trial("2.1").randn(3).tolist()
    assert values[None] == values[""] == values["0"]
    assert len({tuple(value) for value in values.values()}) == 4
    assert Trial("2.2").randn(3).tolist() != Trial("2.1").randn(3).tolist()
    monkeypatch.setenv(SEED, "today")
    with pytest.raises(ValueError, match="CBAM_COURSE_SEED must be an integer, got 'today'"):
        Trial("2.1")


def test_inputs():
    trial = Trial("2.1")
    x = trial.features(2, 3, 4, 5)
    assert x.shape == (2, 3, 4, 5) and x.dtype == torch.float64
    assert {trial.integer(1, 3) for _ in range(50)} == {1, 2, 3}
    assert {trial.choice("ab") for _ in range(50)} == {"a", "b"}
    block = trial.fill(ChannelAttention(12, 2, bias=True), skip=("bias",))
    assert {p.dtype for p in block.parameters()} == {torch.float64} and not block.training
    assert not block.mlp[0].bias.any() and block.mlp[0].weight.all()


def test_a_call_cannot_change_the_checks_tensors():
    x = torch.ones(3)
    assert Trial("2.1").call(torch.Tensor.mul_, x, 2).tolist() == [2, 2, 2]
    assert x.tolist() == [1, 1, 1]


# Comparisons.


@pytest.mark.parametrize(
    "got, expected, says",
    [
        ((2, 8), (2, 8, 1, 1), "has shape [2, 8], expected [2, 8, 1, 1]: keep the last 2 axes of"),
        ((2, 5, 5), (2, 1, 5, 5), ": keep the axes of size 1."),
        ((2, 8, 1), (2, 8, 1, 1), "keep the last axis of size 1"),
        ((8, 2), (2, 8), "the axes stand in another order"),
        ((2, 8, 4, 4), (2, 8, 1, 1), "expected [2, 8, 1, 1]."),
    ],
)
def test_shapes_are_told_apart(got, expected, says):
    assert says in difference(torch.zeros(got), torch.zeros(expected))


def test_values_are_told_apart():
    right, got = torch.zeros(2, 3), torch.zeros(2, 3)
    got[1, 2] = 0.25
    assert "at [1, 2] it is 0.25, expected 0" in difference(got, right)
    assert "infinite or not a number" in difference(right / 0, right)


def test_equal_values_pass_in_any_type_and_memory_format():
    trial, x = Trial("2.1"), torch.rand(2, 3, 4, 5, dtype=torch.float64)
    for got in (
        x.float(),
        x.to(memory_format=torch.channels_last),
        nn.Parameter(x),
        x.flip(0).flip(0),
        x + 1e-6,
    ):
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


def test_shown_values_are_rounded_and_spread():
    trial = Trial("2.1")
    trial.show("A", torch.arange(11.0))
    trial.show("B", [-1e-9, 1 / 3, 2, np.float64(0.5)])
    trial.show("C", 0.12345, digits=4)
    trial.show("D", torch.tensor(7))
    trial.show("E", torch.zeros(0))
    assert trial.lines == [
        "A: 0.000 2.000 4.000 6.000 8.000 10.000",
        "B: 0.000 0.333 2 0.500",
        "C: 0.1235" if round(0.12345, 4) == 0.1235 else "C: 0.1234",
        "D: 7.000",
        "E: ",
    ]


def test_a_stamp_depends_on_every_number():
    def stamp(*numbers):
        trial = Trial("2.1")
        trial.stamp("Stamp", *numbers)
        return trial.lines[0]

    assert stamp(160, 16) == stamp(160, 16)
    assert len({stamp(*n) for n in ((160, 16), (16, 160), (160, 17), (161, 16))}) == 4


# Predictions.


class Chameleon(int):
    """A number that says it is equal to everything."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = int.__hash__


@pytest.mark.parametrize("answer", [7, 7.0, np.int32(7), np.array(7), torch.tensor(7)])
def test_a_number_of_any_type(answer):
    found = predictions.number(answer, 7, "n")
    assert (found, type(found)) == (7, int)


@pytest.mark.parametrize("answer", [8, 7.5, "7", [7], True, float("nan"), Chameleon(8), 1e300])
def test_wrong_numbers(answer):
    with pytest.raises(Wrong, match="`n`"):
        predictions.number(answer, 7, "n")


@pytest.mark.parametrize(
    "answer",
    [(2, 3), [2, 3], torch.Size([2, 3]), torch.zeros(2, 3).shape, np.array([2, 3]), iter([2, 3])],
)
def test_a_shape_of_any_type(answer):
    assert predictions.shape(answer, (2, 3), "s") == (2, 3)


@pytest.mark.parametrize(
    "answer",
    [(3, 2), (2, 3, 1), 2, "23", (2.5, 3), (2, "3"), (float("nan"), 3), (Chameleon(3),) * 2],
)
def test_wrong_shapes(answer):
    with pytest.raises(Wrong, match="`s`"):
        predictions.shape(answer, (2, 3), "s")


def test_sets_and_choices():
    assert predictions.numbers({3, 1}, (1, 3), "n", "") == (1, 3)
    assert predictions.numbers(range(2), (0, 1), "n", "") == (0, 1)
    with pytest.raises(Wrong, match="`n`: 1 missing, 2 too many. Look."):
        predictions.numbers([1, 8, 9], (1, 3), "n", "Look.")
    words = "fc", "conv"
    assert predictions.choice(" FC ", "fc", "c", words, {}) == "fc"
    with pytest.raises(Wrong, match="^why$"):
        predictions.choice("conv", "fc", "c", words, {"conv": "why"})
    with pytest.raises(Wrong, match="one of 'fc', 'conv'; it is 'se'"):
        predictions.choice("se", "fc", "c", words, {})
    with pytest.raises(Wrong, match="one of"):
        predictions.choice(["fc"], "fc", "c", words, {})
    for read in (
        lambda a: predictions.number(a, 1, "open"),
        lambda a: predictions.shape(a, (1,), "open"),
        lambda a: predictions.shape([1, a], (1, 2), "open"),
        lambda a: predictions.choice(a, "fc", "open", words, {}),
    ):
        with pytest.raises(NotSolved, match="`open` is still open"):
            read(...)


# Matching.


class Spatial(nn.Module):
    """Spatial attention with the maximum first, as in the authors' code."""

    def __init__(self, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=bias)

    def forward(self, x):
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return x * self.conv(pooled).sigmoid()


def spatial(block, **options):
    trial = Trial("2.1")
    inputs = [trial.features(2, 5, 6, 4), trial.features(1, 3, 1, 1)]
    truth = SpatialAttention(3, bias="optional" in options)
    return matching.match(trial, block, truth, inputs, **options)


def test_the_order_of_the_inputs_may_be_free():
    (with_bias, _) = spatial(Spatial(True), flips={"conv.weight": 1}, optional=("bias",))
    (without, _) = spatial(Spatial(), flips={"conv.weight": 1}, optional=("bias",))
    assert torch.equal(with_bias, without)  # what is printed does not depend on a free choice
    with pytest.raises(Wrong, match="Your block's output has the right shape"):
        spatial(Spatial())


def test_parameters_that_do_not_fit_are_listed():
    with pytest.raises(Wrong, match=r"conv.weight \[1, 2, 3, 3\], conv.bias \[1\]; .* \[2, 3, 3\]"):
        spatial(Spatial(True), flips={"conv.weight": 1})
    with pytest.raises(Wrong, match="has the parameters none; expected shapes.* Look there."):
        spatial(nn.Identity(), hint="Look there.")
    with pytest.raises(Wrong, match="should be an nn.Module; it is of type function"):
        spatial(lambda x: x)


def test_a_mistake_has_to_explain_all_outputs():
    """On a map of one place the maximum is the average: that input alone proves nothing."""

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
