"""Build the site strictly: a broken link, reference or citation is an error.

Runs in the book's environment, without torch.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Build _build/html; mark the build as finished only if it went well."""
    code = subprocess.run(
        [sys.executable, "-m", "jupyter_book", "build", "-q", "--all", "-W", "-n", "--keep-going",
         str(ROOT)],
        cwd=ROOT,
    ).returncode
    if code == 0:
        (ROOT / "_build" / "ready").touch()
    return code


if __name__ == "__main__":
    sys.exit(main())
