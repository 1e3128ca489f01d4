"""The matrix reports honestly: what failed, and what did not run."""

import os
import subprocess
import sys

import nbformat
import pytest

from tests.support import exercise_cells
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
    assert matrix.main(["py3.11"]) == 2
    rows = capsys.readouterr().out.splitlines()
    assert rows[-2].split() == ["environment", "processor", "threads", "outcome"]
    assert rows[-1].split() == "py3.11 not run there is no Python 3.11 here".split()


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


def test_exercises_run_solved_and_chapters_as_they_are(tmp_path):
    chapter, exercises = (
        next(path for path in matrix.selected([]) if path.match(f"{folder}/02_*.ipynb"))
        for folder in ("notebooks", "exercises")
    )
    assert matrix.copied(chapter, tmp_path) == chapter
    copy = nbformat.read(matrix.copied(exercises, tmp_path), as_version=4)
    assert copy == exercise_cells.solved(nbformat.read(exercises, as_version=4))


def test_every_environment_has_its_constraints():
    for version, constraints in matrix.ENVIRONMENTS.values():
        assert constraints is None or os.path.isfile(constraints)
        assert version in ("3.11", "3.12", "3.13")
