"""Finding the submissions of a class: which files belong to whom."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
        notebooks: the notebooks, in the order of their names.
        remarks: what was odd: links that were not followed, a folder without a notebook.
    """

    name: str
    notebooks: tuple[Path, ...]
    remarks: tuple[str, ...] = ()


def find_submissions(
    paths: Iterable[Path], *, single: bool = False
) -> tuple[list[Submission], list[str]]:
    """List the submissions, and the names of files that are none.

    A notebook is one submission. A folder is a class: each notebook and each folder in it is one
    submission, a folder with all notebooks below it. What bears the same learner's name belongs
    together; the names that Moodle and Canvas give to files are understood.

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
        for entry in sorted(path.iterdir()) if is_class else [path.absolute()]:
            if is_class and _is_hidden(entry.name):
                continue
            if is_class and not entry.is_dir() and not NOTEBOOK.search(entry.name):
                passed_over.append(one_line(entry.name))
                continue
            group = entries.setdefault((entry.parent.resolve(), _learner(entry)), [])
            if entry.absolute() not in group:
                group.append(entry.absolute())
    counts = Counter(name for _, name in entries)
    submissions = []
    for (folder, name), group in entries.items():
        notebooks, remarks = _read(group)
        # Two classes may have learners of the same name.
        name = f"{folder}/{name}" if counts[name] > 1 else name
        submissions.append(Submission(one_line(name), notebooks, remarks))
    return submissions, passed_over


def _learner(path: Path) -> str:
    """Return whose a file or folder is."""
    for pattern in PLATFORMS:
        if match := pattern.fullmatch(path.name):
            return "_".join(match.groups())
    return path.resolve().name if path.is_dir() else NOTEBOOK.sub("", path.name) or path.name


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _read(entries: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the notebooks of one learner, and remarks on what was odd."""
    files = [file for entry in entries for file in _files(entry)]
    links = [path for path in files if path.is_symlink()]
    notebooks = [p for p in files if p not in links and (p in entries or NOTEBOOK.search(p.name))]
    remarks = [one_line(f"{path.name}: a link; links are not followed") for path in links]
    if not notebooks:
        remarks.append("no notebook")
    return tuple(notebooks), tuple(remarks)


def _files(entry: Path) -> Iterator[Path]:
    """Yield what an entry of a class is or contains, and links to other folders as they are."""
    if not entry.is_dir() or entry.is_symlink():
        yield entry
        return
    for parent, folders, names in os.walk(entry):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*links, *names]) if not _is_hidden(name))
