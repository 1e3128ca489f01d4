"""The built site: where it is, whether it is as new as its sources, and building it."""

import os
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.support.project import ROOT
from tests.tools.build_book import built_from, sources

SITE = ROOT / "_build" / "html"
# Pages that Sphinx makes by itself.
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}


def is_fresh() -> bool:
    """Return whether the site was built from its sources and its tools as they are."""
    return built_from() == sources()


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
