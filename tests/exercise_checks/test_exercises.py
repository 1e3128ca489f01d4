"""Every exercise: its check tells right answers from wrong ones.

Answers run in this process (exercise_running.py). That a kernel and nbval see the same is tested
on one notebook.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from xml.etree import ElementTree

import pytest

from cbam_course.exercises import EXERCISES, check
from tests import exercise_answers
from tests.support import notebook_format, project
from tests.support.exercise_cells import FOLDER, SEED, with_answers
from tests.support.exercise_running import all_exercises, read, run
from tests.support.notebook_rules import code_cells

NUMBERS = list(all_exercises())
ANSWERS = exercise_answers.answers()
IN_A_KERNEL = FOLDER / "02_squeeze_and_excitation.ipynb"

pytestmark = pytest.mark.usefixtures("one_thread")


def title(answer):
    return f"{answer.number}-{answer.name}"


@cache
def of_the_solution(number, seed):
    """How the check of an exercise ends for its solution, which is compared with many answers."""
    return run(number, all_exercises()[number][1].solution_code, seed)


def test_checks_and_notebooks_hold_the_same_exercises():
    for number, (_, cells) in all_exercises().items():
        with pytest.raises(ValueError, match=f"exercise {number} has the answers"):
            check(number)
        assert EXERCISES[number].title == cells.title
        names = ", ".join(EXERCISES[number].answers)
        assert cells.check.source == f'exercises.check("{number}", {names})'
    assert sorted(EXERCISES) == sorted(NUMBERS)


# Stubs, solutions and answers.


@pytest.mark.parametrize("number", NUMBERS)
def test_an_untouched_answer_does_not_pass(number):
    """What is still open is not solved; code with bugs in it is wrong."""
    stub = all_exercises()[number][1].stub
    outcome = run(number, stub)
    assert outcome.kind == ("NotSolved" if re.search(r"NotImplemented|\.\.\.", stub) else "Wrong")
    assert outcome.text.count("\n") <= 3 and "Traceback" not in outcome.text


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_prints_what_is_stored(number):
    cells = all_exercises()[number][1]
    outcome = run(number, cells.solution_code)
    assert (outcome.kind, outcome.text) == ("passed", cells.check.outputs[0].text)


@pytest.mark.parametrize("number", NUMBERS)
def test_another_seed_prints_other_values(number):
    """Else the printed values could be copied from the stored ones."""
    stored = all_exercises()[number][1].check.outputs[0].text
    outcomes = [of_the_solution(number, seed) for seed in (1, 7)]
    assert {outcome.kind for outcome in outcomes} == {"passed"}
    assert len({stored, *(outcome.text for outcome in outcomes)}) == 3


@pytest.mark.parametrize("answer", [a for a in ANSWERS if a.outcome == "passed"], ids=title)
def test_a_right_answer_prints_what_the_solution_prints(answer):
    assert run(answer.number, answer.code, 7) == of_the_solution(answer.number, 7)


@pytest.mark.parametrize("answer", [a for a in ANSWERS if a.outcome != "passed"], ids=title)
def test_a_wrong_answer_is_told_why(answer):
    outcome = run(answer.number, answer.code)
    assert outcome.kind == answer.outcome, outcome
    assert answer.says and answer.says in outcome.text


def test_every_exercise_has_answers_of_both_kinds():
    right = Counter(answer.number for answer in ANSWERS if answer.outcome == "passed")
    wrong = Counter(answer.number for answer in ANSWERS if answer.outcome != "passed")
    for number in NUMBERS:
        assert right[number] >= 1, f"{number} has no right answer besides the solution"
        assert wrong[number] >= 3, f"{number} has {wrong[number]} wrong answers"
    assert {answer.number for answer in ANSWERS} <= set(NUMBERS)
    names = Counter(title(answer) for answer in ANSWERS)
    assert [name for name, count in names.items() if count > 1] == []


# In a kernel, as a learner runs it.


def test_nbval_tells_the_unsolved_from_the_solved(tmp_path):
    """One notebook whose first exercise alone is solved.

    The folder is called exercises: there pytest runs what is named and nothing else.
    """
    settings = project.pyproject()["tool"]["pytest"]["ini_options"]
    assert "exercises" in settings["norecursedirs"]
    notebook = read(IN_A_KERNEL)
    first, *unsolved = (n for n in NUMBERS if all_exercises()[n][0] == IN_A_KERNEL)
    content = with_answers(notebook, {first: all_exercises()[first][1].solution_code})
    (tmp_path / "exercises").mkdir()
    clean = notebook_format.normalize(content)
    notebook_format.write(clean, tmp_path / "exercises" / "mine.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q"]
    command += ["-p", "no:cacheprovider", "-o", "norecursedirs=exercises", "--junitxml=junit.xml"]
    environment = {key: value for key, value in os.environ.items() if key != SEED}
    paths = os.pathsep.join([str(project.ROOT), environment.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*command, "exercises/mine.ipynb"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    cases = list(ElementTree.parse(tmp_path / "junit.xml").iter("testcase"))
    assert len(cases) == len(code_cells(notebook))
    failures = [case.find("failure") for case in cases if case.find("failure") is not None]
    assert len(failures) == len(unsolved) + 1, result.stdout  # and the summary
    texts = [re.sub(r"(\x1b|#x1B)\[\d+m", "", failure.text) for failure in failures]
    for number, text in zip(unsolved, texts, strict=False):
        told = text.split("Traceback:")[1].strip()
        assert re.match(rf"(NotSolved|Wrong): Exercise {number} is not (solved|right) yet\.", told)
        assert told.count("\n") <= 3
    assert "not yet" in texts[-1]
