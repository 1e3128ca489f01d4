"""Make an environment of the project with nothing but Python's standard library.

`python -m tests.tools.environment test` makes .venv (the package and what its tests need), `book`
makes .venv-book (the site's tools, without torch), and `book test` both at the same time.
A finished environment keeps a key of what it was made from: a second run installs nothing, an
interrupted one starts again, and changed requirements are installed over what is there.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

SUPPORTED = ((3, 11), (3, 13))
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CONSTRAINTS = os.path.join(ROOT, "constraints.txt")
FOLDERS = {"test": ".venv", "book": ".venv-book"}
COST = "two minutes at first, and several GB with PyTorch"


def fail(message):
    """Print a message a person can act on and stop."""
    sys.stderr.write(message.rstrip() + "\n")
    raise SystemExit(1)


def version_problem(version):
    """Return what is wrong with a Python version (major, minor), or None."""
    low, high = SUPPORTED
    if low <= tuple(version) <= high:
        return None
    return (
        "This course needs Python {}.{} to {}.{}, and this is Python {}.{}.\n"
        "Name another one, for example: make test PYTHON=python{}.{}"
    ).format(*low, *high, *version, *high)


def check_python():
    """Stop with a message unless this Python can make an environment."""
    problem = version_problem(sys.version_info[:2])
    if problem:
        fail(problem)
    try:
        import ensurepip  # noqa: F401  (Debian packages it apart from Python)
        import venv  # noqa: F401
    except ImportError:
        fail(
            "Python's venv module is missing, and it makes the environments here.\n"
            "On Debian and Ubuntu: apt install python3-venv"
        )


def requirements(name):
    """Return pip's arguments for what environment `name` holds."""
    if name == "test":
        return ["-e", ROOT + "[test]"]
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return tomllib.load(file)["project"]["optional-dependencies"][name]


def key_of(wanted, constraints=CONSTRAINTS, root=ROOT):
    """Return the key of an environment: the same key, the same environment."""
    digest = hashlib.sha256()
    digest.update(repr((sys.version_info[:3], sys.prefix, wanted)).encode())
    with open(constraints, "rb") as file:
        digest.update(file.read())
    if "-e" in wanted:
        with open(os.path.join(root, "pyproject.toml"), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def python_of(folder):
    """Return the interpreter of the environment in `folder`."""
    if os.name == "nt":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


def make(folder, wanted, constraints=CONSTRAINTS):
    """Make or update the environment in `folder`, unless it is what is wanted already."""
    stamp, version = os.path.join(folder, "ready"), sys.version.split()[0]
    key, stored = key_of(wanted, constraints), []
    if os.path.isfile(stamp):
        with open(stamp) as file:
            stored = file.read().split()
        if stored[:1] == [key] and works(folder):
            return
        os.remove(stamp)
    print(f"Setting up {os.path.basename(folder)} with Python {version}: {COST} ...", flush=True)
    # With the same interpreter and other requirements, pip changes only what differs.
    if stored[1:] != [version] or not works(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if subprocess.run([sys.executable, "-m", "venv", folder]).returncode:
            fail(f"Python could not make an environment in {folder}: see above.")
    start = time.time()
    # Compiling every file of torch takes longer than compiling, on first import, what is used.
    pip = [python_of(folder), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    pip += ["--no-compile", "-c", constraints, *wanted]
    if subprocess.run(pip).returncode:
        fail("pip could not install {} into {}: see above.".format(" ".join(wanted), folder))
    with open(stamp, "w") as file:
        file.write(f"{key}\n{version}\n")
    print(f"... done in {time.time() - start:.0f} s")


def works(folder):
    """Return whether the environment's interpreter still starts."""
    try:
        return subprocess.run([python_of(folder), "-c", ""]).returncode == 0
    except OSError:
        return False


def main(arguments):
    """Make the environments that the command line names, several at the same time."""
    if not arguments or not set(arguments) <= set(FOLDERS):
        fail("usage: python -m tests.tools.environment test|book ...")
    check_python()
    if len(arguments) > 1:
        command = [sys.executable, "-m", "tests.tools.environment"]
        running = [subprocess.Popen([*command, name], cwd=ROOT) for name in arguments]
        raise SystemExit(max(process.wait() for process in running))
    (name,) = arguments
    make(os.path.join(ROOT, FOLDERS[name]), requirements(name))


if __name__ == "__main__":
    main(sys.argv[1:])
