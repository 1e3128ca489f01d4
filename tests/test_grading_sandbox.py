"""What locks an answer in: Landlock, limits, and who may be told of it."""

import json
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

import cbam_course
from cbam_course import grading
from cbam_course.grading import landlock, seccomp
from cbam_course.grading.kernel import can_lock_in
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


CALLS = """
    import ctypes, os, shutil, signal, socket, subprocess, sys, threading
    from cbam_course.grading import landlock, seccomp

    def can(name, action):
        try:
            action()
            print(name)
        except PermissionError:
            pass

    def start_thread():
        thread = threading.Thread(target=print, args=["started"])
        thread.start()
        thread.join()  # else two lines may be printed as one

    def leave_memory():
        library = ctypes.CDLL(None, use_errno=True)
        if library.shmget(0, ctypes.c_size_t(4096), 0o1600) < 0:
            raise OSError(ctypes.get_errno(), "shmget")

    server = socket.create_server(("127.0.0.1", 0))
    landlock.restrict(["/"], [], [sys.argv[1]])
    seccomp.restrict()
    os.chdir(sys.argv[1])
    open("file", "w").close()
    can("copy", lambda: shutil.copy2("file", "copy"))
    can("mode", lambda: os.chmod("file", 0o777))
    can("time", lambda: os.utime("file", (1, 1)))
    can("truncate", lambda: os.truncate("file", 0))
    can("thread", start_thread)
    can("process", lambda: subprocess.run("true"))
    can("fork", os.fork)
    can("signal", lambda: os.kill(os.getppid(), 0))
    can("signal-all", lambda: os.kill(-1, 0))
    can("signal-itself", lambda: os.kill(os.getpid(), 0))
    can("listen", lambda: socket.create_server(("127.0.0.1", 0)))
    can("connect", lambda: socket.create_connection(server.getsockname()))
    can("fast-open", lambda: socket.socket().sendto(b"x", 0x20000000, server.getsockname()))
    can("packet", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    can("service", lambda: socket.socket(socket.AF_UNIX))
    can("pair", socket.socketpair)
    can("memory", leave_memory)
    can("file-in-memory", lambda: os.memfd_create("x"))
"""


@pytest.mark.skipif(not can_lock_in(), reason="this system cannot lock answers in")
def test_seccomp_leaves_what_a_kernel_needs(tmp_path):
    allowed = {"copy", "mode", "time", "thread", "started", "signal-itself", "listen", "pair"}
    assert set(run(CALLS, tmp_path)) == allowed
    about = (tmp_path / "file").stat()
    assert about.st_mode & 0o777 != 0o777 and about.st_mtime > 1  # said to be done, but not done


def test_where_answers_cannot_be_locked_in(monkeypatch):
    assert seccomp.is_available() or platform.machine() not in seccomp.MACHINES
    with monkeypatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "pdp11")
        assert not seccomp.is_available() and not can_lock_in()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert landlock.abi() == 0 and not seccomp.is_available() and not can_lock_in()
    with pytest.raises(OSError, match="this machine has no Landlock"):
        landlock.restrict([])


def test_limits_are_set_before_anything_else():
    code = """
        import json, resource, sys
        from cbam_course.grading.kernel import lock_in
        lock_in(json.loads(sys.argv[1]))
        for name in ("CORE", "CPU", "FSIZE", "NPROC", "DATA"):
            print(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1])
    """
    settings = {"memory": 2**30, "file": 2**20, "cpu": 7, "tasks": 900, "sandbox": None}
    core, cpu, size, tasks, data = map(int, run(code, json.dumps(settings)))
    assert (core, cpu, size, tasks) == (0, 7, 2**20, 900)
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
        assert report.sandbox == (wanted and can_lock_in())


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
