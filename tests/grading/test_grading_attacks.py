"""Attacks on the grader earn nothing, and the honest answers beside them all they deserve."""

import os
import resource
import socket
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cbam_course import grading
from cbam_course.grading.sandbox import run_cells, why_no_sandbox
from tests.support import grading_toys as toys
from tests.support.grading_attacks import ATTACKS, ENDLESS, EXCESSES

WHY_NOT = why_no_sandbox()
needs_sandbox = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "there is a sandbox")
ROOMY = {"seconds": 3600, "memory": 2**29}


def gone(*command):
    """Return whether no process with this command line is left, soon: a sandbox ends in steps."""
    line = b"\0".join(word.encode() for word in command) + b"\0"
    for _ in range(100):
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found.append(path.read_bytes())
        if line not in found:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Grade one submission per attack: 1.1 is the attack, 1.2 is right; and watch the network."""
    folder = tmp_path_factory.mktemp("attacked")
    pristine = toys.write_exercises(folder / "pristine", c1=2)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        with closing(socket.create_server(("127.0.0.1", 0))) as freed:
            port = freed.getsockname()[1]
        names = {
            "STORED": toys.stored_output("1.1"),
            "PRISTINE": pristine,
            "CLASS": folder / "class",
            "GRADER": os.getpid(),
            "PORT": port,
            "SERVER": server.getsockname()[1],
        }
        for name, source in ATTACKS.items():
            for word, value in names.items():
                source = source.replace(word, str(value))
            answers = toys.exercises_notebook(1, [source, toys.SOLUTION])
            toys.write(folder / "class" / f"{name}.ipynb", answers)
        over, reached = threading.Event(), []

        def call():
            while not over.wait(0.05):
                with closing(socket.socket()) as caller:
                    if caller.connect_ex(("127.0.0.1", port)) == 0:
                        reached.append(port)

        watcher = threading.Thread(target=call)
        watcher.start()
        try:
            report = grading.grade([folder / "class"], exercises=pristine, **ROOMY)
        finally:
            over.set()
            watcher.join()
        server.setblocking(False)
        try:
            reached.append(server.accept())
        except BlockingIOError:
            pass
    return report, reached, folder


@needs_sandbox
def test_attacks_earn_nothing_and_change_no_other_grade(attacked):
    report, _, folder = attacked
    points = {
        graded.submission.name: tuple(o.points for o in graded.outcomes.values())
        for graded in report.graded
    }
    assert points == {name: (0, 1) for name in ATTACKS}
    assert sorted(p.name for p in (folder / "pristine").iterdir()) == ["01_toys.ipynb"]


@needs_sandbox
def test_nothing_outside_is_reached(attacked):
    assert attacked[1] == []  # neither from the sandbox nor into it
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY
    assert gone("sleep", "98765")


@needs_sandbox
def test_what_looks_into_the_check_is_marked(attacked):
    look = {g.submission.name: g.answers["1.1"].look for g in attacked[0].graded}
    assert look["replay the stored output"] == ("it uses exercises, os",)
    unmarked = {"a page that runs scripts", "all memory"}
    assert {name for name, remarks in look.items() if not remarks} <= unmarked
    assert all(not graded.answers["1.2"].look for graded in attacked[0].graded)


@needs_sandbox
def test_a_page_shows_what_it_was_attacked_with(attacked, tmp_path):
    pages = grading.write_pages(attacked[0], tmp_path)
    page = next(p for p in pages if "scripts" in p.name).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page and "<img" not in page and "\x1b" not in page


@needs_sandbox
@pytest.mark.parametrize("excess", EXCESSES)
def test_what_uses_too_much_is_ended(excess):
    run = run_cells([toys.IMPORTS, EXCESSES[excess]], **ROOMY)
    assert (run.printed, run.stopped) == (None, excess)
    assert gone("sleep", "98765")


@pytest.mark.parametrize("trusted", [pytest.param(False, marks=needs_sandbox), True])
def test_what_takes_too_long_is_ended(trusted):
    run = run_cells([ENDLESS], seconds=1, memory=2**30, trusted=trusted)
    assert (run.printed, run.stopped) == (None, "it took more than 1 s")


def test_where_there_is_no_sandbox_it_says_why_and_what_to_do(monkeypatch, tmp_path):
    pristine = toys.write_exercises(tmp_path / "pristine", c1=1)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/bwrap")
    said = "bwrap: setting up uid map: Permission denied"
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr=f"{said}\n")
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: failed)
    why = why_no_sandbox()
    assert said in why and "in book/teaching.md" in why and "--trusted" in why and "\n" not in why
    with pytest.raises(RuntimeError, match="bubblewrap cannot lock answers in here"):
        grading.grade([pristine], exercises=pristine)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "apt-get install bubblewrap" in why_no_sandbox()
    monkeypatch.setattr("sys.platform", "darwin")
    assert why_no_sandbox().startswith("only Linux can lock answers in")


def test_trusted_answers_are_run_without_a_sandbox(tmp_path, monkeypatch):
    """They can read the solutions: the page for teachers says so."""
    monkeypatch.setattr("cbam_course.grading.grader.why_no_sandbox", lambda: "there is none")
    pristine = toys.write_exercises(tmp_path / "pristine", c1=1)
    source = ATTACKS["the solution, or a classmate's, read from the disk"]
    source = source.replace("PRISTINE", str(pristine)).replace("CLASS", "none")
    toys.write(tmp_path / "a.ipynb", toys.exercises_notebook(1, [source]))
    report = grading.grade([tmp_path / "a.ipynb"], exercises=pristine, trusted=True)
    [graded] = report.graded
    assert graded.points == 1, graded.outcomes
    assert graded.answers["1.1"].look == ("it uses exec, pathlib",)
