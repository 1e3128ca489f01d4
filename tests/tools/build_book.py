"""Build the site strictly: a broken link, reference or citation is an error.

Runs in the book's environment, without torch. A second build makes again what has changed.
"""

import gc
import json
import shutil
import sys
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
SOURCES = (*EVERYWHERE, "book", "notebooks", "cbam_course")


def sources(root: Path = ROOT) -> dict[str, int]:
    """Return the files from which the site is made, and when each was changed, in nanoseconds."""
    found = [path for name in SOURCES for path in (root / name, *(root / name).rglob("*"))]
    files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in files}


def built_from(root: Path = ROOT) -> dict[str, int]:
    """Return the same of the files from which it was last made; none if it is not finished."""
    ready = root / "_build" / "ready"
    return json.loads(ready.read_text(encoding="utf-8") or "{}") if ready.is_file() else {}


def start_over(root: Path) -> bool:
    """Whether nothing of an earlier build may be used: it failed, or all pages have changed."""
    before, now = built_from(root), sources(root)
    changed = {name for name, _ in before.items() ^ now.items()}
    return not before or any(
        name == one or name.startswith(f"{one}/") for name in changed for one in EVERYWHERE
    )


def main(root: Path = ROOT) -> int:
    """Build _build/html; mark the build as finished only if it went well."""
    from jupyter_book.sphinx import build_sphinx  # the tests of the functions above lack it

    # What is changed from now on is not in the book, even if Sphinx reads it later.
    now, ready = sources(root), root / "_build" / "ready"
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
    ready.write_text(json.dumps(now), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
