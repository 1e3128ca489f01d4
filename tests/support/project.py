"""The project's facts, each read from the one file that holds it. Standard library only."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GITHUB = "https://github.com/"
# Of the chapters that need more than the package alone.
EXTRAS = {"06": "[export]", "12": "[relatives]"}


def pyproject(root: Path = ROOT) -> dict:
    """Return pyproject.toml as a dictionary."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def address(root: Path = ROOT) -> str:
    """Return the repository's address, https://github.com/OWNER/REPOSITORY."""
    return pyproject(root)["project"]["urls"]["Repository"].rstrip("/")


def site_address(root: Path = ROOT) -> str:
    """Return where GitHub Pages shows the book: https://OWNER.github.io/REPOSITORY/."""
    owner, repository = address(root).removeprefix(GITHUB).split("/")
    return f"https://{owner.lower()}.github.io/{repository}/"


def version(root: Path = ROOT) -> str:
    """Return the package's version, read without importing the package."""
    text = (root / "cbam_course" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE).group(1)


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the chapters' notebooks, in the order of their names."""
    return sorted((root / "notebooks").glob("*.ipynb"))


def colab_link(notebook: str, repository: str) -> str:
    """Return the Markdown of the link that opens `notebook` (a path in the repository)."""
    slug = repository.removeprefix(GITHUB)
    host = "https://colab.research.google.com"
    return f"[Open in Colab]({host}/github/{slug}/blob/main/{notebook})"


def first_cell(repository: str, notebook: str) -> str:
    """Return the code of the first code cell of `notebook` (a path in the repository)."""
    extra = EXTRAS.get(Path(notebook).name[:2], "")
    return (
        "try:\n"
        "    import cbam_course\n"
        "except ModuleNotFoundError:\n"
        f'    %pip install -q "cbam-course{extra} @ git+{repository}"'
    )


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Return the files that git tracks or would track; without git, all but those made here."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        made = {".git", "_build", "build", "dist", "runs", "__pycache__"}
        return [
            path
            for path in sorted(root.rglob("*"))
            if path.is_file()
            and not any(p in made or p.startswith(".venv") for p in path.relative_to(root).parts)
        ]
    paths = [root / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]
