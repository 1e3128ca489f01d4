"""The grader from end to end: a made-up class, its points, what it says, and going on."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import cbam_course
from cbam_course import cli, grading
from cbam_course.grading.grader import _key
from cbam_course.grading.outcome import explain
from cbam_course.grading.sandbox import Run, run_cells, why_no_sandbox
from tests.support import grading_toys as toys

ROOT = Path(cbam_course.__file__).parents[1]
# The attacks are tried in the sandbox alone; what is right and wrong is so without it.
TRUST = ["--trusted"] if why_no_sandbox() else []
PATIENCE = ["--seconds", 3600, *TRUST]


def grade(*arguments):
    """Run ``cbam-course grade`` in this process."""
    return CliRunner().invoke(
        cli.main, ["grade", *map(str, arguments)], prog_name="cbam-course", terminal_width=100
    )


@pytest.fixture(scope="module", autouse=True)
def unchanging_package():
    """Somebody may be at work on the package while the tests run, and root is warned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 1000)
        patch.setattr("cbam_course.grading.grader._fingerprint", lambda folder: "package")
        yield


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The folder of a class with its pristine exercises, graded once; and what the command said."""
    room = tmp_path_factory.mktemp("room")
    toys.write_exercises(room / "pristine", c1=2, c2=1, c3=1)
    here = room / "class"
    toys.write(here / "ann.ipynb", toys.exercises_notebook(1, [toys.SOLUTION] * 2))
    toys.write(here / "ann" / "2.ipynb", toys.exercises_notebook(2, [toys.OTHER_SOLUTION]))
    toys.write(here / "bob.ipynb", toys.exercises_notebook(1, [toys.MISTAKE, toys.STUB]))
    helper = toys.exercises_notebook(1, ["def double(x):\n    return helper(x)", "double = 1 +"])
    helper["cells"].insert(3, toys.code("def helper(x):\n    return 2 * x"))
    toys.write(here / "cleo.ipynb", helper)
    toys.write(here / "=dan.ipynb", toys.exercises_notebook(1, ["", toys.STUB]))
    toys.write(here / "eve.ipynb", b"\xff\xfe\xfd")
    (here / "fay").mkdir()
    doctored = toys.exercises_notebook(1, ["double = None", toys.SOLUTION])
    doctor(doctored)
    toys.write(here / "gus.ipynb", doctored)
    toys.write(here / "张伟.ipynb", toys.exercises_notebook(1, [toys.SOLUTION, toys.MISTAKE]))
    toys.write(here / "roster.xlsx", b"PK")
    return room, grade(*options(room))


@pytest.fixture(scope="module")
def room(graded):
    """The folder alone."""
    return graded[0]


def options(room, *more):
    """The command's arguments."""
    return (
        room / "class", "--exercises", room / "pristine", "--out", room / "grades.csv",
        "--feedback", room / "feedback", "--jobs", 2, *PATIENCE, *more,
    )  # fmt: skip


def doctor(notebook):
    """Do to a notebook what would fool whoever ran the notebook itself."""
    notebook["metadata"] = {"kernelspec": {"name": "evil", "argv": ["rm"]}, "language_info": 7}
    checks = [c for c in notebook["cells"] if c.get("id", "").startswith("check")]
    checks[0]["source"] = f"print('{toys.stored_output('1.1')}')"
    checks[0]["outputs"] = [toys.stream(toys.stored_output("1.1") + "\n")]
    checks[0]["metadata"]["tags"] = ["nbval-skip", "raises-exception", "nbval-ignore-output"]
    checks[1]["cell_type"] = "markdown"
    imports = next(c for c in notebook["cells"] if c.get("id") == "imports")
    imports["source"] += "\nexercises.check = print"
    answer = next(c for c in notebook["cells"] if c.get("id") == "answer-1-1")
    answer["metadata"]["tags"] = ["nbval-skip", "raises-exception"]
    notebook["cells"].append(toys.code("exercises.check = lambda *a: None", "imports"))


def found(room):
    """The rows of the CSV file by submission and exercise."""
    text = (room / "grades.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")  # by which Excel knows that it is UTF-8
    reader = csv.reader(text.decode("utf-8-sig").splitlines())
    assert next(reader) == ["submission", "exercise", "points", "note"]
    return {(submission, number): (points, note) for submission, number, points, note in reader}


def test_points(graded):
    room, result = graded
    assert result.exit_code == 0, result.output
    points = {key: points for key, (points, _) in found(room).items() if "." in key[1]}
    # Chapter 3 was answered by nobody; chapter 2 by one, so that it counts for all.
    assert {number for _, number in points} == {"1.1", "1.2", "2.1"}
    right = {("ann", "1.1"), ("ann", "1.2"), ("ann", "2.1"), ("gus", "1.2"), ("张伟", "1.1")}
    assert points == {key: "1" if key in right else "0" for key in points}


@pytest.mark.parametrize(
    ("key", "note"),
    [
        (("ann", "total"), "of 3"),
        (("bob", "1.1"), r"twice -?\d\.\d+ is not .*; did you multiply\?"),
        (("bob", "1.2"), "not answered"),
        (("bob", "2.1"), "no answer cell: its first line, # Answer 2.1, is found nowhere"),
        (
            ("cleo", "1.1"),
            "only the answer cell is graded, and it lacks a name: "
            "NameError: name 'helper' is not defined",
        ),
        (("cleo", "1.2"), "the answer cell raised SyntaxError: invalid syntax .*"),
        (("'=dan", "1.1"), "not answered"),
        (("eve", ""), "not a notebook: not JSON.*"),
        (("fay", ""), "no notebook"),
        (("gus", "1.1"), "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_every_line_says_what_is_the_matter(room, key, note):
    assert re.fullmatch(note, found(room)[key][1]), found(room)[key]


def test_what_the_command_prints(graded):
    lines = graded[1].stdout.splitlines()
    assert lines[0].split() == ["submission", "exercise", "points", "note"]
    assert any(line.split() == ["gus", "total", "1", "of", "3"] for line in lines)
    assert lines[-1].startswith("8 submissions, 3 exercises, ")
    assert "No notebooks, passed over: roster.xlsx" in graded[1].stderr


def test_the_pages(room):
    pages = {path.name: path.read_text("utf-8") for path in (room / "feedback").iterdir()}
    assert len(pages) == 8 and "张伟.html" in pages
    assert "1.1 Twice, time 1.1: not right yet" in pages["bob.html"]
    assert "did you multiply?" in pages["bob.html"]
    assert "not a notebook: not JSON" in pages["eve.html"]
    assert "1 of 3 exercises passed." in pages["gus.html"]
    # What the check prints for right answers does not leave the grader.
    for text in [*pages.values(), *(path.read_text() for path in room.glob("grades.*"))]:
        assert not re.search(r"\b1\.[12] -?\d+\.\d{6}", text)


def test_a_second_time_only_what_is_new_is_run(room):
    before = found(room)
    again = grade(*options(room))
    assert again.exit_code == 0 and ", 0 answers run; " in again.stdout
    assert found(room) == before

    # A line that was cut off when the machine stopped is no outcome, and spoils no other.
    record = room / "grades.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    # That of a right answer, whose note has no numbers made under another seed.
    lines.sort(key=lambda line: '"status": "passed"' in line)
    record.write_text("".join(lines[:-1]) + lines[-1][:30])
    toys.write(room / "class" / "hal.ipynb", toys.exercises_notebook(1, [toys.STUB] * 2))
    more = grade(*options(room))
    assert ", 1 answers run; " in more.stdout, more.output
    assert {key: row for key, row in found(room).items() if key[0] != "hal"} == before
    assert found(room)["hal", "1.1"] == ("0", "not answered")
    for chapter in ((), ("--chapter", "1")):
        assert ", 0 answers run; " in grade(*options(room, *chapter)).stdout


def test_other_circumstances_are_another_outcome(room):
    """Nothing is run here."""
    one, other, *_ = grading.load_exercises(room / "pristine")
    keys = {
        _key(circumstances, exercise, source)
        for circumstances in ("package", "other package")
        for exercise in (one, other)
        for source in ("a = 1", "a = 2")
    }
    assert len(keys) == 8


WRONG = ("Wrong", "no", "...")


@pytest.mark.parametrize(
    ("run", "status", "note"),
    [
        # A value that was rounded to the other side gets a second seed.
        (Run(["", "", "", "one", "", "two"]), "passed", ""),
        (Run(["", "", "", "one", "", ""], WRONG), "passed", ""),
        (Run(["", "", "", "two", "", "one"]), "wrong", "the check found nothing wrong, but"),
        (Run(["", "", "", ""], WRONG), "wrong", "no"),
        (Run(["", "", "", ""], ("NotSolved", *WRONG[1:])), "unsolved", "no"),
        (Run([""], WRONG), "error", "not graded: a given cell failed: no"),
        (Run(), "wrong", "the process that runs the cells was ended"),
        (Run(errors="no memory"), "error", "not graded: no memory"),
    ],
)
def test_what_came_of_a_run(run, status, note):
    outcome = explain(run, 2, {3: "one", 5: "two"})
    assert outcome.status == status and outcome.note.startswith(note)


def test_cells_are_run_as_a_notebook_runs_them():
    """Magic commands, `await` and a value at the end; and what ends the cells is told."""
    cells = ["%matplotlib inline\nx = 1", "import asyncio, sys\nawait asyncio.sleep(0)\nx"]
    cells += ["print(x, __name__)", "sys.exit(3)", "print('never')"]
    run = run_cells(cells, seconds=3600, memory=2**30, trusted=bool(TRUST))
    assert run.printed == ["", "", "1 __main__\n", ""], run
    assert run.raised[:2] == ("SystemExit", "3")


def test_exercises_that_cannot_be_graded_are_nobodys_fault(tmp_path):
    """Each of them is said to be broken; the one that is not is graded."""
    pristine = toys.exercises_notebook(1, [toys.STUB] * 3)
    cells = {cell["id"]: cell for cell in pristine["cells"]}
    cells["solution-1-1"]["source"] = "```python\ndouble = 'wrong'\n```"
    cells["check-1-2"]["source"] = "print('always the same')"
    toys.write(tmp_path / "pristine" / "01_toys.ipynb", pristine)
    path = toys.write(tmp_path / "a.ipynb", toys.exercises_notebook(1, [toys.SOLUTION] * 3))
    result = grade(path, "--exercises", tmp_path / "pristine", "--out", tmp_path / "grades.csv",
                   *PATIENCE)  # fmt: skip
    assert result.exit_code == 1
    assert "2 answers could not be graded" in result.stderr
    notes = found(tmp_path)
    assert notes["a", "1.1"][0] == notes["a", "1.2"][0] == "" and notes["a", "1.3"][0] == "1"
    assert "its own solution does not pass here: TypeError: 'str' object" in notes["a", "1.1"][1]
    assert "its check prints the same for every seed" in notes["a", "1.2"][1]


def test_ctrl_c_ends_what_runs_and_keeps_what_is_finished(tmp_path):
    toys.write_exercises(tmp_path / "pristine", c1=1)
    loop = f"import time\nopen({str(tmp_path / 'started')!r}, 'w').close()\ntime.sleep(98765)"
    for name, answer in (("a", toys.SOLUTION), ("b", loop)):
        toys.write(tmp_path / "class" / f"{name}.ipynb", toys.exercises_notebook(1, [answer]))
    process = subprocess.Popen(
        [sys.executable, "-m", "cbam_course", "grade", tmp_path / "class", "--trusted",
         "--exercises", tmp_path / "pristine", "--out", tmp_path / "grades.csv", "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may have had this signal ignored, as nohup does.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    record = tmp_path / "grades.jsonl"
    while not ((tmp_path / "started").exists() and record.exists() and record.read_text()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Stopped; the same command goes on from here."
    assert list(tmp_path.glob("cbam-grade-*")) == []
    [line] = filter(None, record.read_text().splitlines())
    assert json.loads(line)["status"] == "passed"
    assert not (tmp_path / "grades.csv").exists()


def test_an_exercise_of_the_course(tmp_path):
    """A right answer to a real exercise passes; those that are as they came are not run."""
    path = grading.default_folder() / "02_squeeze_and_excitation.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    answer = next(cell for cell in notebook["cells"] if cell["id"] == "answer-2-1")
    answer["source"] = grading.load_exercises(chapters=[2])[0].solution
    toys.write(tmp_path / "right.ipynb", notebook)
    [graded] = grading.grade([tmp_path], seconds=3600, trusted=bool(TRUST)).graded
    statuses = [outcome.status for outcome in graded.outcomes.values()]
    assert statuses == ["passed"] + ["unsolved"] * 3
    assert not graded.answers["2.1"].look


# What the command refuses


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["none.ipynb"], "there is nothing at none.ipynb", 1),
        (["class", "--exercises", "none"], "there are no exercises in none", 1),
        (["class", "--chapter", "7"], "pristine has no exercises of chapter 7", 1),
        (["empty"], "there are no submissions in empty", 1),
        (["class", "--feedback", "class/pages"], "put it beside the submissions", 2),
    ],
)
def test_refusals_are_one_line(tmp_path, monkeypatch, arguments, message, code):
    monkeypatch.chdir(tmp_path)
    toys.write_exercises(tmp_path / "pristine", c1=1)
    toys.write(tmp_path / "class" / "a.ipynb", toys.exercises_notebook(1, [toys.STUB]))
    (tmp_path / "empty").mkdir()
    if "--exercises" not in arguments:
        arguments = [*arguments, "--exercises", "pristine"]
    result = grade(*arguments)
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]
    assert not Path("grades.csv").exists()


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    pristine = toys.write_exercises(tmp_path / "pristine", c1=1)
    monkeypatch.setattr("cbam_course.grading.grader.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"needs IPython and psutil: pip install .*\[grade\]"):
        grading.grade([pristine], exercises=pristine)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(RuntimeError, match="on Windows run it in WSL"):
        grading.grade([pristine], exercises=pristine)


def test_what_nobody_has_foreseen_concerns_one_submission(tmp_path, monkeypatch):
    from cbam_course.grading import grader

    def collect(submission, exercises, collect=grader.collect_answers):
        if submission.name == "b":
            raise ZeroDivisionError("never seen")
        return collect(submission, exercises)

    monkeypatch.setattr(grader, "collect_answers", collect)
    toys.write_exercises(tmp_path / "pristine", c1=1)
    for name in "abc":
        toys.write(tmp_path / "class" / f"{name}.ipynb", toys.exercises_notebook(1, [toys.STUB]))
    result = grade(tmp_path / "class", "--exercises", tmp_path / "pristine", "--out",
                   tmp_path / "grades.csv", *TRUST)  # fmt: skip
    assert result.exit_code == 1
    rows = found(tmp_path)
    assert rows["a", "1.1"] == rows["c", "1.1"] == ("0", "not answered")
