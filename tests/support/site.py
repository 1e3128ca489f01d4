"""The built site: where it is, whether it is as new as its sources, and building it."""

import os
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.support.project import ROOT

SITE = ROOT / "_build" / "html"
READY = ROOT / "_build" / "ready"
BUILD = "tests/tools/build_book.py"
SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "cbam_course", BUILD)
# Written when the tools that build the site were installed.
TOOLS = ROOT / ".venv-book" / "ready"
# Pages that Sphinx makes by itself.
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}


def newest_source(root: Path = ROOT) -> float:
    """Return when the newest source of the site was changed, or a file was added or removed."""
    paths = [root / name for name in SOURCES]
    found = [path for name in paths for path in (name, *name.rglob("*"))]
    return max(path.stat().st_mtime for path in found if "__pycache__" not in path.parts)


def is_fresh() -> bool:
    """Return whether the site was built after the last change of its sources and its tools."""
    if not READY.is_file() or not TOOLS.is_file():
        return False
    return READY.stat().st_mtime >= max(newest_source(), TOOLS.stat().st_mtime)


def build() -> str:
    """Build the site if it is older than its sources; return what went wrong, "" if nothing did.

    Several processes of the tests may ask at the same time: one builds, and the others wait.
    """
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "lock"):
        if is_fresh():
            return ""
        run = subprocess.run(
            ["make", "book"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "MAKEFLAGS": ""},
        )
    return run.stdout if run.returncode else ""


def page_names(folder: Path = SITE) -> list[str]:
    """Return the pages of the site in `folder`, as paths within it."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*.html"))]
    return [path.as_posix() for path in paths if "_static" not in path.parts]
