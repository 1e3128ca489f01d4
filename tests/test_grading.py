"""The grader from end to end: a made-up class, its points, its reports, and going on."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import grading_toys as toys
import psutil
import pytest
from click.testing import CliRunner

import cbam_course
from cbam_course import cli, grading
from cbam_course.grading.grader import _Grader, check_requirements
from cbam_course.grading.record import Record
from cbam_course.grading.reference import Reference
from cbam_course.grading.run import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the grader needs POSIX")
ROOT = Path(cbam_course.__file__).parents[1]


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
        patch.setattr("cbam_course.grading.grader.package_fingerprint", lambda: "package")
        yield


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The folder of a class with its pristine exercises, graded once; and what the command said."""
    room = tmp_path_factory.mktemp("room")
    toys.write_exercises(room / "pristine", c1=2, c2=1, c3=1)
    here = room / "class"

    toys.write(here / "ann.ipynb", toys.exercises_notebook(1, [toys.SOLUTION] * 2))
    toys.write(here / "ann" / "2.ipynb", toys.exercises_notebook(2, [toys.OTHER_SOLUTIONS[0]]))
    toys.write(here / "bob.ipynb", toys.exercises_notebook(1, [toys.MISTAKES[0], toys.STUB]))
    helper = toys.exercises_notebook(1, ["def double(x):\n    return helper(x)", "double = 1 +"])
    helper["cells"].insert(3, toys.code("def helper(x):\n    return 2 * x"))
    toys.write(here / "cleo.ipynb", helper)
    toys.write(here / "=dan.ipynb", toys.exercises_notebook(1, ["", toys.STUB]))
    toys.write(here / "eve.ipynb", b"\xff\xfe\xfd")
    (here / "fay").mkdir()
    doctored = toys.exercises_notebook(1, ["double = None", toys.SOLUTION])
    doctor(doctored)
    toys.write(here / "gus.ipynb", doctored)

    return room, grade(*options(room))


@pytest.fixture(scope="module")
def room(graded):
    """The folder alone."""
    return graded[0]


def options(room, *more):
    """The command's arguments."""
    return (
        room / "class", "--exercises", room / "pristine", "--out", room / "grades.csv",
        "--json", room / "grades.json", "--junit", room / "grades.xml",
        "--feedback", room / "feedback", "--jobs", 2, *more,
    )  # fmt: skip


def doctor(notebook):
    """Do to a notebook what would fool nbval on the notebook itself."""
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
    text = (room / "grades.csv").read_text()
    reader = csv.reader(io.StringIO(text))
    assert next(reader) == ["submission", "exercise", "points", "note"]
    return {(submission, number): (points, note) for submission, number, points, note in reader}


def test_points(graded):
    room, result = graded
    assert result.exit_code == 0, result.output
    points = {key: points for key, (points, _) in found(room).items() if key[1]}
    # Chapter 3 was answered by nobody; chapter 2 by one, so that it counts for all.
    assert {number for _, number in points} == {"1.1", "1.2", "2.1"}
    file, folder = (str(room / "class" / name) for name in ("ann.ipynb", "ann"))
    right = {(file, "1.1"), (file, "1.2"), (folder, "2.1"), ("gus", "1.2")}
    assert points == {key: "1" if key in right else "0" for key in points}


@pytest.mark.parametrize(
    ("key", "note"),
    [
        (("bob", "1.1"), r"twice -?\d\.\d+ is not .*; did you multiply\?"),
        (("bob", "1.2"), "not answered"),
        (("bob", "2.1"), "no answer cell"),
        (
            ("cleo", "1.1"),
            r"NameError: name 'helper' is not defined \(you define helper in a cell of your own, "
            r"but only the answer cells are graded: move it there\)",
        ),
        (("cleo", "1.2"), "syntax error in line 2: .*"),
        (("'=dan", "1.1"), "not answered"),
        (("eve", ""), "not a notebook: not JSON.*"),
        (("fay", ""), "no notebook in the folder, no other files"),
        (("gus", "1.1"), "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_every_line_says_what_is_the_matter(room, key, note):
    assert re.fullmatch(note, found(room)[key][1]), found(room)[key]


def test_the_table(graded):
    lines = graded[1].stdout.splitlines()
    assert lines[0].split() == ["submission", "exercise", "points", "note"]
    assert any(line.split()[:3] == ["gus", "1.2", "1"] for line in lines)
    assert any(line.split() == ["gus", "all", "1/3"] for line in lines)
    assert "8 submissions, 3 exercises, " in lines[-1]
    assert lines[-1].endswith("grades.csv")


def test_json_and_junit(room):
    content = json.loads((room / "grades.json").read_text())
    by_name = {s["submission"]: s for s in content["submissions"]}
    assert by_name["gus"]["points"] == 1
    first = by_name["bob"]["exercises"][0]
    assert (first["exercise"], first["status"], first["points"]) == ("1.1", "wrong", 0)
    assert "did you multiply?" in first["detail"] and first["seconds"] > 0.1
    assert first["memory"] > 10**7

    suites = ElementTree.parse(room / "grades.xml").getroot()
    suite = next(s for s in suites if s.get("name") == "gus")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    assert [case.get("name") for case in suite] == ["1.1", "1.2", "2.1"]
    assert suite[1].find("failure") is None and suite[0].find("failure") is not None


def test_feedback(room):
    pages = {path.name: path.read_text() for path in (room / "feedback").iterdir()}
    assert len(pages) == 8 and "dan.html" in pages
    assert "1.1 Twice, time 1.1: not right yet" in pages["bob.html"]
    assert "did you multiply?" in pages["bob.html"]
    assert "not a notebook: not JSON" in pages["eve.html"]
    assert "1 of 3 exercises passed." in pages["gus.html"]


def test_nothing_secret_is_in_the_reports(room):
    """What the check prints for right answers does not leave the grader."""
    for path in [*room.glob("grades.*"), *(room / "feedback").iterdir()]:
        assert not re.search(r"\b1\.[12] -?\d+\.\d{6}", path.read_text())


def test_a_second_time_only_what_is_new_is_run(room):
    before = found(room)
    again = grade(*options(room))
    assert again.exit_code == 0 and ", 0 answers run in " in again.stdout
    assert found(room) == before

    # A line that was cut off when the machine stopped is no outcome, and spoils no other.
    record = room / "grades.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:-1]) + lines[-1][:30])
    toys.write(room / "class" / "hal.ipynb", toys.exercises_notebook(1, [toys.STUB] * 2))
    more = grade(*options(room))
    assert ", 1 answers run in " in more.stdout, more.output
    assert {key: row for key, row in found(room).items() if key[0] != "hal"} == before
    assert found(room)["hal", "1.1"] == ("0", "not answered")
    assert ", 0 answers run in " in grade(*options(room, "--chapter", "1")).stdout


def test_a_changed_exercise_is_graded_again(room, tmp_path):
    """Nothing is run here: the record is asked under other circumstances."""
    [one, *_] = grading.load_exercises(room / "pristine")
    answer = grading.Answer("a = 1", "answer")
    keys = set()
    for circumstances, exercise, source in (
        ("package", one, answer),
        ("other package", one, answer),
        ("package", type(one)(**{**vars(one), "check": "other"}), answer),
        ("package", one, grading.Answer("a = 2", "answer")),
        ("package", one, grading.Answer("a = 1", "answer", outside=frozenset("b"))),
    ):
        keys.add(_Grader([exercise], None, Record(), circumstances).key(exercise, source))
    assert len(keys) == 5


def test_a_value_that_was_rounded_to_the_other_side_gets_a_second_seed(room):
    """Nothing is run here but a stand-in, whose first comparison fails or breaks off."""
    [exercise, *_] = grading.load_exercises(room / "pristine")
    passed = [
        {"cell": cell, "when": when, "clean": True, "message": "", "outputs": None}
        for cell in range(4)
        for when in ("setup", "call", "teardown")
    ]
    differs = {**passed[10], "clean": False, "message": "Cell 3: Cell outputs differ"}
    raised = {"output_type": "error", "ename": "Wrong", "evalue": "no"}
    runs = {
        "clean": Run(passed, 0, 0),
        "differs": Run([*passed[:10], differs], 1, 1),
        "raises": Run([*passed[:10], {**differs, "outputs": [raised]}], 1, 1),
        "no kernel": Run([], None, 1),
    }
    for ways, status, seeds in (
        (["clean"], "passed", [1]),
        (["differs", "clean"], "passed", [1, 2]),
        (["differs", "differs"], "wrong", [1, 2]),
        (["raises"], "wrong", [1]),
        (["no kernel", "clean"], "passed", [1, 2]),
        (["no kernel", "no kernel"], "error", [1, 2]),
    ):
        used = []

        def run(text, expected, seed, cancelled, ways=ways, used=used):
            used.append(seed)
            assert expected == {3: [f"outputs {seed}"]}
            return runs[ways[len(used) - 1]]

        grader = _Grader([exercise], run, Record(), "")
        answer = grading.Answer(toys.SOLUTION, "answer")
        references = [Reference(seed, [f"outputs {seed}"]) for seed in (1, 2)]
        grader._answer("key", exercise, answer, references)
        assert {**grader.kept, **grader.errors}["key"].status == status
        assert used == seeds


def test_two_gradings_do_not_write_one_record(tmp_path):
    with Record(tmp_path / "a.jsonl"):
        with pytest.raises(ValueError, match="another grading writes"):
            Record(tmp_path / "a.jsonl")


def test_exercises_that_cannot_be_graded_are_nobodys_fault(tmp_path):
    """Each of them is said to be broken; the one that is not is graded."""
    pristine = toys.exercises_notebook(1, [toys.STUB] * 4)
    cells = {cell["id"]: cell for cell in pristine["cells"]}
    cells["solution-1-1"]["source"] = "```python\ndouble = 'wrong'\n```"
    cells["check-1-2"]["source"] = "double"
    cells["check-1-3"]["source"] = "print('always the same')"
    toys.write(tmp_path / "pristine" / "01_toys.ipynb", pristine)
    answers = toys.exercises_notebook(1, [toys.OTHER_SOLUTIONS[0]] * 4)
    path = toys.write(tmp_path / "a.ipynb", answers)
    out = tmp_path / "grades.csv"
    result = grade(path, "--exercises", tmp_path / "pristine", "--out", out)
    assert result.exit_code == 1
    assert "3 answers could not be graded" in result.stderr
    rows = [line.split(",", 3) for line in out.read_text().splitlines()[1:]]
    assert [points for _, _, points, _ in rows] == ["", "", "", "1"]
    for row, note in zip(
        rows,
        (
            "not graded: its own solution does not pass here: TypeError: 'str' object",
            "not graded: its check prints nothing that could be compared",
            "not graded: its check prints the same for every seed",
        ),
        strict=False,
    ):
        assert note in row[3]


@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_ends_what_runs_and_keeps_what_is_finished(tmp_path, request_to_end):
    """So does a closed terminal."""
    toys.write_exercises(tmp_path / "pristine", c1=1)
    loop = "import time\nopen('started', 'w').close()\ntime.sleep(600)"
    for name, answer in (("a", toys.SOLUTION), ("b", loop)):
        toys.write(tmp_path / "class" / f"{name}.ipynb", toys.exercises_notebook(1, [answer]))
    process = subprocess.Popen(
        [sys.executable, "-m", "cbam_course", "grade", tmp_path / "class",
         "--exercises", tmp_path / "pristine", "--out", tmp_path / "grades.csv", "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may have had these signals ignored, as nohup does.
        preexec_fn=lambda: signal.signal(request_to_end, signal.SIG_DFL),
    )  # fmt: skip
    record = tmp_path / "grades.jsonl"
    deadline = time.monotonic() + 120
    while not (
        record.exists() and record.read_text() and list(tmp_path.glob("cbam-grade-*/*/started"))
    ):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(request_to_end)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Stopped; the same command goes on from here."
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family)
    assert list(tmp_path.glob("cbam-grade-*")) == []
    assert [json.loads(line)["status"] for line in record.read_text().splitlines()] == ["passed"]
    assert not (tmp_path / "grades.csv").exists()


# What the command refuses


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["none.ipynb"], "there is nothing at none.ipynb", 1),
        (["class", "--exercises", "none"], "there are no exercises in none", 1),
        (["class", "--exercises", "."], "there are no exercises in .", 1),
        (["class", "--chapter", "7"], "pristine has no exercises of chapter 7", 1),
        (["empty"], "there are no submissions in empty", 1),
        (["class", "--jobs", "0"], "0 is not in the range x>=1", 2),
        ([], "Missing argument 'SUBMISSION...'", 2),
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


@pytest.mark.parametrize(
    ("name", "value", "warning"),
    [
        ("os.geteuid", 0, "You are root"),
        ("os.geteuid", 1000, ""),
        ("cbam_course.grading.kernel.can_lock_in", False, "This system cannot lock answers in"),
    ],
)
def test_what_is_dangerous_is_said_at_once(tmp_path, monkeypatch, name, value, warning):
    for each, good in (("os.geteuid", 1000), ("cbam_course.grading.kernel.can_lock_in", True)):
        monkeypatch.setattr(each, lambda good=good: good)
    monkeypatch.setattr(name, lambda: value)
    result = grade(tmp_path / "none", "--out", tmp_path / "grades.csv")
    assert result.stderr.startswith(warning)
    assert result.stderr.splitlines()[-1].endswith(f"there is nothing at {tmp_path / 'none'}")
    assert len(result.stderr.splitlines()) == (2 if warning else 1)


def test_where_modules_of_posix_are_missing_it_can_say_so():
    """On Windows; see :func:`test_what_is_missing_is_named`."""
    script = "import sys; sys.modules.update(fcntl=None, resource=None); import cbam_course.grading"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def test_neither_help_nor_import_waits_for_pytorch_or_needs_the_extra():
    script = (
        "import sys; import cbam_course.grading; from cbam_course.cli import main\n"
        "try: main(['grade', '--help'])\n"
        "finally: assert not {'torch', 'numpy', 'nbformat', 'psutil', 'pytest'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "cbam-course grade submissions/ --out grades.csv" in result.stdout


def test_limits_are_above_zero():
    with pytest.raises(ValueError, match="the limit memory must be a number above 0, got 0"):
        grading.Limits(memory=0)
    with pytest.raises(ValueError, match="the limit cell must be a number above 0, got nan"):
        grading.Limits(cell=float("nan"))
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        grading.grade([], jobs=0)


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("cbam_course.grading.grader.NEEDED", ("pytest", "no_such_package"))
    with pytest.raises(RuntimeError, match=r"needs no_such_package: pip install .*\[grade\]"):
        check_requirements()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(RuntimeError, match="on Windows run it in WSL"):
        check_requirements()


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
    result = grade(
        tmp_path / "class", "--exercises", tmp_path / "pristine", "--out", tmp_path / "g.csv"
    )
    assert result.exit_code == 1
    lines = (tmp_path / "g.csv").read_text().splitlines()
    assert lines[1] == "a,1.1,0,not answered" and lines[-1] == "c,1.1,0,not answered"
    assert lines[3] == "b,1.1,,not graded: ZeroDivisionError('never seen')"


def test_unsolved_notebooks_are_graded_without_running_anything(tmp_path):
    toys.write_exercises(tmp_path / "pristine", c1=2)
    report = grading.grade([tmp_path / "pristine"], exercises=tmp_path / "pristine")
    assert report.runs == 0 and report.memory == 0
    assert [o.status for o in report.graded[0].outcomes.values()] == ["unsolved"] * 2


@pytest.mark.skipif("CBAM_COURSE_SLOW" not in os.environ, reason="slow: CBAM_COURSE_SLOW=1")
def test_the_courses_own_exercises_can_be_graded(tmp_path):
    """All solutions pass, and all checks depend on the seed; minutes, for PyTorch starts often."""
    exercises = grading.load_exercises()
    solutions = {exercise.number: exercise.solution for exercise in exercises}
    for path in sorted(grading.default_folder().glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            about = cell["metadata"].get("cbam_course", {})
            if about.get("role") == "answer":
                cell["source"] = solutions[about["exercise"]]
        toys.write(tmp_path / "all" / path.name, notebook)
    report = grading.grade([tmp_path / "all"], single=True)
    assert len(report.exercises) == len(exercises)
    for number, outcome in report.graded[0].outcomes.items():
        assert outcome.status == "passed", (number, outcome)
