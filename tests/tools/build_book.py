"""Build the site strictly: a broken link, reference or citation is an error.

Runs in the book's environment, without torch. A second build makes again what has changed.
"""

import gc
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What may show on every page, and the tools.
EVERYWHERE = (
    "_config.yml",
    "_toc.yml",
    "book/_ext",
    "book/_static",
    "book/references.bib",
    "book/site",
    "tests/tools/build_book.py",
    ".venv-book/ready",
)


def newest(path: Path) -> float:
    """Return when `path` was changed, or the newest file or folder in it."""
    found = [path, *path.rglob("*")] if path.exists() else []
    found = [one for one in found if "__pycache__" not in one.parts]
    return max((one.stat().st_mtime for one in found), default=0.0)


def start_over(root: Path) -> bool:
    """Whether nothing of an earlier build may be used: it failed, or all pages have changed."""
    ready = root / "_build" / "ready"
    if not ready.is_file():
        return True
    return max(newest(root / name) for name in EVERYWHERE) >= ready.stat().st_mtime


def main(root: Path = ROOT) -> int:
    """Build _build/html; mark the build as finished only if it went well."""
    from jupyter_book.sphinx import build_sphinx  # the tests of the functions above lack it

    started = time.time()
    ready = root / "_build" / "ready"
    if start_over(root):
        for folder in ("html", ".doctrees"):
            shutil.rmtree(root / "_build" / folder, ignore_errors=True)
    ready.unlink(missing_ok=True)
    # Sphinx keeps nearly all that it makes; looking for garbage took a third of the time.
    gc.disable()
    result = build_sphinx(
        root,
        root / "_build" / "html",
        noconfig=True,
        path_config=str(root / "_config.yml"),
        confoverrides={
            "external_toc_path": (root / "_toc.yml").as_posix(),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if result:
        return 1
    # What is changed from now on is newer, even if it was changed while Sphinx was at work.
    ready.touch()
    os.utime(ready, (started, started))
    return 0


if __name__ == "__main__":
    sys.exit(main())
