"""Build the site strictly: a broken link, reference or citation is an error.

Runs in the book's environment, without torch.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Build _build/html; mark the build as finished only if it went well."""
    # jupyter-book has no `python -m`, and its script breaks when the environment moves.
    start = "from jupyter_book.cli.main import main; main()"
    options = ["-q", "--all", "-W", "-n", "--keep-going"]
    build = subprocess.run(
        [sys.executable, "-c", start, "build", *options, str(ROOT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if build.returncode:
        print(build.stdout)
    else:
        (ROOT / "_build" / "ready").touch()
    return build.returncode


if __name__ == "__main__":
    sys.exit(main())
