"""Run each notebook as a reader on Colab does: alone, in an empty folder, without the package.

The environment, .venv-matrix-colab-bare, has Colab's Python and versions and nothing of the
course. Exercises run with their solutions. The notebook's own first cell installs the package; git
is told to take the repository's address for this clone, so what runs is the last commit. pip may
replace nothing that Colab has.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.project import ROOT, address
from tests.tools.matrix import TOOLS, copied, find_python, prepare, selected

FOLDER = ROOT / ".venv-matrix-colab-bare"
CONSTRAINTS = TOOLS / "colab-constraints.txt"
PYTHON = "3.13"
# What the course uses that Colab has too, in whatever version goes with the pinned ones.
ALSO = ("matplotlib", "scikit-learn", "tqdm", "click", "nbclient", "pandas", "pip", "setuptools")
KEPT = "PATH LANG OMP_NUM_THREADS PIP_INDEX_URL PIP_CERT SSL_CERT_FILE".split()
KEPT += "HTTP_PROXY HTTPS_PROXY http_proxy https_proxy".split()


def installed(python: str) -> dict[str, str]:
    """Return the names and versions of what is installed."""
    listing = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    return {item["name"]: item["version"] for item in json.loads(listing.stdout)}


def run(notebook: Path, python: str) -> str:
    """Run one notebook; return what went wrong, or ""."""
    subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "cbam-course"], check=True)
    before = installed(python)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "content"
        folder.mkdir()
        (folder / notebook.name).write_bytes(copied(notebook, folder).read_bytes())
        config = Path(home) / "gitconfig"
        config.write_text(f'[url "{ROOT.as_uri()}"]\n\tinsteadOf = {address()}\n')
        variables = {name: os.environ[name] for name in KEPT if name in os.environ}
        variables |= {"HOME": home, "GIT_CONFIG_GLOBAL": str(config)}
        outcome = subprocess.run(
            [Path(python).with_name("jupyter-execute"), notebook.name, "--timeout=600"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
        )
    if outcome.returncode:
        return outcome.stderr.strip()
    after = installed(python)
    changed = [
        f"{name} {old} -> {after.get(name)}"
        for name, old in before.items()
        if after.get(name) != old
    ]
    if changed:
        return "pip replaced what Colab has: " + ", ".join(changed)
    return "" if "cbam-course" in after else "the first cell did not install the package"


def main(arguments: list[str]) -> int:
    """Run the named notebooks, or all, and report each."""
    interpreter = find_python(PYTHON)
    if interpreter is None:
        print(f"not run: there is no Python {PYTHON} here, Colab's", file=sys.stderr)
        return 2
    notebooks = selected(arguments)
    pins = [line for line in CONSTRAINTS.read_text("utf-8").splitlines() if "==" in line]
    python = prepare(interpreter, FOLDER, CONSTRAINTS, [*pins, *ALSO])
    failures = 0
    for notebook in notebooks:
        start = time.perf_counter()
        problem = run(notebook, python)
        failures += bool(problem)
        seconds = time.perf_counter() - start
        name = notebook.relative_to(ROOT / "notebooks") if ROOT in notebook.parents else notebook
        print(f"{'FAILED' if problem else 'passed'}  {name}  {seconds:.0f} s", flush=True)
        if problem:
            print(problem)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
