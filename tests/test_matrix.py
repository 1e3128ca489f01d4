"""The matrix reports honestly: what failed, and what did not run."""

import subprocess
import sys

import matrix
import project
import pytest


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


def test_the_constraints_of_every_environment_exist():
    for environment in matrix.ENVIRONMENTS:
        assert environment.constraints is None or environment.constraints.is_file()
    assert {e.python for e in matrix.ENVIRONMENTS} >= {"3.11", "3.13"}
    assert project.ROOT == matrix.ROOT
