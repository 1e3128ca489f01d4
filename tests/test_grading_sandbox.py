"""What locks an answer in: Landlock, limits, and who may be told of it."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

import cbam_course
from cbam_course import grading
from cbam_course.grading import landlock
from cbam_course.grading.processes import end_all, is_alive
from cbam_course.grading.run import PACKAGE, sandbox_folders

ROOT = Path(cbam_course.__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the grader needs POSIX")
needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this system has no Landlock")


def run(code, *arguments):
    """Run code in a Python of its own; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


TRY = """
    import os, signal, socket, sys
    from pathlib import Path
    from cbam_course.grading import landlock

    def can(name, action):
        try:
            action()
            print(name)
        except PermissionError:
            pass

    folder = Path(sys.argv[1])
    landlock.restrict(
        [folder / "readable", sys.prefix, sys.base_prefix, "/usr", "/lib", "/none"],
        [folder],
        [folder / "writable", "/dev/null"],
    )
    can("read", (folder / "readable" / "file").read_text)
    can("list", lambda: os.listdir(folder))
    can("list-all", lambda: os.listdir(folder / "secret"))
    can("read-secret", (folder / "secret" / "file").read_text)
    can("write-secret", lambda: (folder / "secret" / "new").write_text("x"))
    can("write-readable", lambda: (folder / "readable" / "file").write_text("x"))
    can("write", lambda: (folder / "writable" / "new").write_text("x"))
    can("read-written", (folder / "writable" / "new").read_text)
    can("move", lambda: os.rename(folder / "readable" / "file", folder / "writable" / "file"))
    can("remove", lambda: os.unlink(folder / "readable" / "file"))
    can("null", lambda: Path("/dev/null").write_text("x"))
    can("signal", lambda: os.kill(os.getppid(), 0))
    can("run", lambda: os.spawnlp(os.P_WAIT, "true", "true"))
"""


@needs_landlock
def test_landlock_leaves_what_is_listed(tmp_path):
    for name in ("readable", "secret", "writable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    allowed = {"read", "list", "list-all", "write", "read-written", "null", "run"}
    if landlock.abi() < 6:
        allowed.add("signal")
    assert set(run(TRY, tmp_path)) == allowed
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["file"] * 3 + ["new"]


@needs_landlock
@pytest.mark.skipif(landlock.abi() < 4, reason="needs Linux 6.7")
def test_landlock_denies_tcp():
    code = """
        import socket
        from cbam_course.grading import landlock
        server = socket.create_server(("127.0.0.1", 0))
        landlock.restrict([])
        try:
            socket.create_connection(server.getsockname())
        except PermissionError:
            print("denied")
    """
    assert run(code) == ["denied"]


def test_where_there_is_no_landlock(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert landlock.abi() == 0
    with pytest.raises(OSError, match="this machine has no Landlock"):
        landlock.restrict([])


def test_limits_are_set_before_anything_else():
    code = """
        import json, resource, sys
        from cbam_course.grading.kernel import lock_in
        lock_in(json.loads(sys.argv[1]))
        for name in ("CORE", "CPU", "FSIZE", "DATA"):
            print(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1])
    """
    settings = {"memory": 2**30, "file": 2**20, "cpu": 7, "sandbox": None}
    core, cpu, size, data = map(int, run(code, json.dumps(settings)))
    assert (core, cpu, size) == (0, 7, 2**20)
    if sys.platform == "linux":
        assert data == 2**30


def test_solutions_are_in_no_readable_folder(tmp_path):
    folders = sandbox_folders(tmp_path)
    assert str(PACKAGE) in folders["readable"]
    for name in folders["readable"]:
        assert not (ROOT / "notebooks").is_relative_to(name)
    with pytest.raises(ValueError, match="put them elsewhere, or let answers read everything"):
        sandbox_folders(Path(sys.prefix) / "exercises")


def test_a_grading_tells_whether_answers_were_locked_in(tmp_path):
    import grading_toys as toys

    toys.write_exercises(tmp_path / "pristine", c1=1)
    for wanted in (True, False):
        report = grading.grade(
            [tmp_path / "pristine"], exercises=tmp_path / "pristine", sandbox=wanted
        )
        assert report.sandbox == (wanted and landlock.abi() > 0)


def test_ending_a_family_ends_what_it_starts_meanwhile():
    code = """
        import subprocess, sys, time
        print("ready", flush=True)
        while True:
            subprocess.Popen(["sleep", "54321"], start_new_session=True)
            time.sleep(0.002)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    end_all([psutil.Process(process.pid)])
    process.wait()
    process.stdout.close()
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "54321"]]
    assert not any(map(is_alive, left))
