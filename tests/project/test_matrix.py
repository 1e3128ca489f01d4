"""The matrix reports honestly: what failed, and what did not run."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support import project
from tests.tools import matrix


@pytest.mark.parametrize(
    "outcomes, code",
    [({"passed"}, 0), ({"passed", "failed"}, 1), ({"passed", "not run"}, 2), (set(), 2)],
)
def test_the_exit_code_is_honest(outcomes, code):
    assert matrix.exit_code(outcomes) == code


def test_this_python_is_found_and_an_absent_one_is_no_success(monkeypatch, capsys):
    assert matrix.find_python("{}.{}".format(*sys.version_info[:2]))
    assert matrix.find_python("3.99") is None
    monkeypatch.setattr(matrix, "find_python", lambda wanted: None)
    assert matrix.main(["--env", "py3.11", "--threads", "1", "--processor", "avx2"]) == 2
    rows = capsys.readouterr().out.splitlines()
    assert rows[-2].split() == ["environment", "processor", "threads", "outcome"]
    assert rows[-1].split() == "py3.11 avx2 1 not run there is no Python 3.11 here".split()


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
        assert options["env"]["ATEN_CPU_CAPABILITY"] == "default"
        return subprocess.CompletedProcess(command, code, stdout=printed)

    monkeypatch.setattr(matrix.subprocess, "run", fake)
    assert matrix.run(sys.executable, "default", 2, [])[0] == outcome


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
    assert matrix.run(sys.executable, "default", 1, [chapter, exercises])[0] == "passed"
    assert seen.pop((name, "notebooks")) == []
    ((answer,),) = seen.values()
    assert answer.startswith("# Answer 2.1\n") and "..." not in answer
    assert answer not in [cell.source for cell in nbformat.read(exercises, as_version=4).cells]


def test_every_environment_has_its_constraints():
    for version, constraints in matrix.ENVIRONMENTS.values():
        assert constraints is None or os.path.isfile(constraints)
        assert version in ("3.11", "3.12", "3.13")
