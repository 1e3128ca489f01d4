"""Write the repository's address from pyproject.toml into every file that repeats it.

The address that the files hold so far is read from _config.yml.
"""

import re
import sys
from pathlib import Path

from tests.support.project import GITHUB, ROOT, address, tracked_files


def current_address(root: Path) -> str:
    """Return the address that _config.yml holds."""
    text = (root / "_config.yml").read_text(encoding="utf-8")
    return re.search(r"^repository:\n\s+url: (\S+)$", text, re.MULTILINE).group(1)


def rewrite(root: Path, files: list[Path]) -> list[Path]:
    """Replace the old address in `files`, in links to Colab too; return the changed files.

    Raises:
        ValueError: If the address in pyproject.toml is not https://github.com/OWNER/REPOSITORY.
    """
    new = address(root)
    if not re.fullmatch(re.escape(GITHUB) + r"[\w.-]+/[\w.-]+", new):
        raise ValueError(
            f"the address in pyproject.toml is {new!r}; Colab needs {GITHUB}OWNER/REPOSITORY"
        )
    old_slug, new_slug = (url.removeprefix(GITHUB) for url in (current_address(root), new))
    pattern = re.compile(rf"(github(?:\.com)?[/:]){re.escape(old_slug)}(?![\w-])".encode())
    changed = []
    for path in files:
        content = path.read_bytes()
        rewritten = pattern.sub(rb"\g<1>" + new_slug.encode(), content)
        if rewritten != content:
            path.write_bytes(rewritten)
            changed.append(path)
    return changed


def main() -> int:
    """Rewrite this repository's files and say which."""
    try:
        changed = rewrite(ROOT, tracked_files(ROOT))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed to {address()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
