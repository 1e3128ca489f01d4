"""Finding the submissions of a class: which files belong to whom."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .cells import one_line

# The names that learning platforms give to files when a class is downloaded: Moodle
# "Ada Lovelace_1234567_assignsubmission_file_03.ipynb", also to folders, and Canvas
# "lovelaceada_LATE_12345_678901_03.ipynb". The groups tell whose they are.
PLATFORMS = (
    re.compile(r"(.+?_\d+)_assignsubmission_(?:file|onlinetext).*"),
    re.compile(r"([^_]+)_(?:LATE_)?(\d{3,})_\d{4,}_.+"),
)
# Mail programs and Windows append endings.
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """What one learner handed in.

    Attributes:
        name: the learner, as the name of the file or folder says.
        notebooks: the notebooks, in the order of their paths.
    """

    name: str
    notebooks: tuple[Path, ...]


def find_submissions(
    paths: Iterable[Path], *, single: bool = False
) -> tuple[list[Submission], list[str]]:
    """List the submissions, and the names of files that are none.

    A notebook is one submission. A folder is a class: each notebook and each folder in it is one
    submission, a folder with all notebooks below it. What bears the same learner's name belongs
    together; the names that Moodle and Canvas give to files are understood. Links in a class are
    not followed: they could lead to the work of others.

    Args:
        paths: notebooks and folders.
        single: take a folder as the submission of one learner.

    Raises:
        ValueError: if there is nothing at one of the paths.
    """
    entries: dict[tuple[Path, str], list[Path]] = {}
    passed_over: list[str] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"there is nothing at {path}")
        is_class = path.is_dir() and not single
        for entry in sorted(path.absolute().iterdir()) if is_class else [path.absolute()]:
            if is_class and _is_hidden(entry.name):
                continue
            may_be_one = entry.is_dir() or NOTEBOOK.search(entry.name)
            if is_class and (entry.is_symlink() or not may_be_one):
                passed_over.append(one_line(entry.name))
                continue
            group = entries.setdefault((entry.parent.resolve(), _learner(entry)), [])
            if entry not in group:
                group.append(entry)
    counts = Counter(name for _, name in entries)
    submissions = []
    for (folder, name), group in entries.items():
        # Two classes may have learners of the same name.
        name = f"{folder}/{name}" if counts[name] > 1 else name
        notebooks = (notebook for entry in group for notebook in _notebooks(entry))
        submissions.append(Submission(one_line(name), tuple(notebooks)))
    return submissions, passed_over


def _learner(path: Path) -> str:
    """Return whose a file or folder is."""
    for pattern in PLATFORMS:
        if match := pattern.fullmatch(path.name):
            return "_".join(match.groups())
    return path.resolve().name if path.is_dir() else NOTEBOOK.sub("", path.name) or path.name


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _notebooks(entry: Path) -> Iterator[Path]:
    """Yield the notebooks that an entry of a class is or contains."""
    if not entry.is_dir():
        yield entry
        return
    for path in sorted(entry.rglob("*")):
        hidden = any(map(_is_hidden, path.relative_to(entry).parts))
        if NOTEBOOK.search(path.name) and not hidden and not path.is_symlink():
            yield path
