"""The matrix reports honestly: what failed, and what did not run."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support import project
from tests.tools import matrix


def result(outcome):
    return matrix.Result("py3.13", "avx2", 1, outcome, "12 passed")


@pytest.mark.parametrize(
    "outcomes, code",
    [
        (["passed", "passed"], 0),
        (["passed", "failed"], 1),
        (["passed", "not run"], 2),
        (["failed", "not run"], 1),
        ([], 2),
    ],
)
def test_the_exit_code_is_honest(outcomes, code):
    assert matrix.exit_code([result(outcome) for outcome in outcomes]) == code


def test_the_table_names_every_run():
    lines = matrix.table([result("passed"), result("failed")]).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["environment", "processor", "threads", "outcome"]
    assert lines[2].split() == ["py3.13", "avx2", "1", "failed", "12", "passed"]


def test_this_python_is_found_and_an_absent_one_is_not():
    wanted = "{}.{}".format(*sys.version_info[:2])
    assert matrix.find_python(wanted)
    assert matrix.find_python("3.99") is None


def test_a_missing_python_is_not_a_success(monkeypatch, capsys):
    monkeypatch.setattr(matrix, "find_python", lambda wanted: None)
    assert matrix.main(["--env", "py3.11", "--threads", "1", "--processor", "avx2"]) == 2
    assert "not run  there is no Python 3.11 here" in capsys.readouterr().out


@pytest.mark.parametrize(
    "code, printed, outcome",
    [
        (0, "3 passed in 1.0s", "passed"),
        (1, "1 failed, 2 passed in 1.0s", "failed"),
        (0, "no tests ran in 1.0s", "failed"),
    ],
)
def test_a_run_counts_only_if_tests_passed(monkeypatch, code, printed, outcome):
    def fake(command, **options):
        assert options["env"]["OMP_NUM_THREADS"] == "2"
        assert options["env"]["ATEN_CPU_CAPABILITY"] == "avx2"
        return subprocess.CompletedProcess(command, code, stdout=printed)

    monkeypatch.setattr(matrix.subprocess, "run", fake)
    run = matrix.run(matrix.ENVIRONMENTS[0], sys.executable, "avx2", 2, [])
    assert run.outcome == outcome


def test_exercises_run_solved(monkeypatch):
    """The copies are written by the environment's Python; chapters run as they are."""
    real, seen = subprocess.run, {}

    def fake(command, **options):
        if "pytest" not in command:
            return real(command, **options)
        for path in map(Path, command[-2:]):
            assert path.is_relative_to(options["cwd"])
            cells = nbformat.read(path, as_version=4).cells
            seen[path.name, path.parent.name] = [c.source for c in cells if c.id == "answer-2-1"]
        return subprocess.CompletedProcess(command, 0, stdout="3 passed in 1.0s")

    monkeypatch.setattr(matrix.subprocess, "run", fake)
    name = "02_squeeze_and_excitation.ipynb"
    chapter, exercises = project.ROOT / "notebooks" / name, matrix.EXERCISES / name
    assert {chapter, exercises} < set(matrix.every_notebook())
    run = matrix.run(matrix.ENVIRONMENTS[0], sys.executable, "default", 1, [chapter, exercises])
    assert run.outcome == "passed"
    assert seen.pop((name, "notebooks")) == []
    ((answer,),) = seen.values()
    assert answer.startswith("# Answer 2.1\n") and "..." not in answer
    unsolved = nbformat.read(exercises, as_version=4).cells
    assert answer not in [cell.source for cell in unsolved]


def test_the_constraints_of_every_environment_exist():
    for environment in matrix.ENVIRONMENTS:
        assert environment.constraints is None or environment.constraints.is_file()
    assert {e.python for e in matrix.ENVIRONMENTS} >= {"3.11", "3.13"}
    assert project.ROOT == matrix.ROOT
