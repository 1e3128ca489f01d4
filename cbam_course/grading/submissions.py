"""Finding the submissions of a class: which files belong to whom."""

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .text import printable

MOST_NOTEBOOKS = 200
"""Of one submission. More are no answers to exercises."""
DEEPEST_FOLDER = 20


@dataclass(frozen=True)
class Submission:
    """What one learner handed in.

    Attributes:
        name: of the file or folder, without ``.ipynb``.
        path: the file or folder.
        notebooks: the notebooks, in the order of their names.
        remarks: what was odd: links that were not followed, an empty folder.
    """

    name: str
    path: Path
    notebooks: tuple[Path, ...]
    remarks: tuple[str, ...] = ()


def find_submissions(
    paths: Iterable[Path], *, single: bool = False, leave_out: Iterable[Path] = ()
) -> list[Submission]:
    """List the submissions.

    A notebook is one submission. A folder is a class: each notebook and each folder in it is one
    submission, a folder with all notebooks below it. With `single` a folder is one submission too.

    Args:
        paths: notebooks and folders.
        single: take a folder as the submission of one learner.
        leave_out: files that are none, such as the grades of the last time.

    Raises:
        ValueError: if there is nothing at one of the paths.
    """
    others = {Path(path).resolve() for path in leave_out}
    found: dict[Path, Submission] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise ValueError(f"there is nothing at {path}")
        if not path.is_dir():
            entries = [_of_file(path)]
        elif single:
            entries = [_of_folder(path)]
        else:
            entries = _of_class(path)
        for entry in entries:
            place = Path(os.path.abspath(entry.path))
            if place not in others:
                found.setdefault(place, entry)
    return _with_own_names(list(found.values()))


def _of_file(path: Path) -> Submission:
    name = path.name
    return Submission(name.removesuffix(".ipynb") or name, path, (path,))


def _of_class(folder: Path) -> list[Submission]:
    entries = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if _is_hidden(entry.name):
            continue
        if entry.is_symlink():
            entries.append(Submission(path.stem, path, (), ("a link; links are not followed",)))
        elif entry.is_dir():
            entries.append(_of_folder(path))
        else:
            entries.append(_of_file(path))
    return entries


def _of_folder(folder: Path) -> Submission:
    notebooks, remarks, others = [], [], 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        if len(Path(parent).relative_to(folder).parts) >= DEEPEST_FOLDER and folders:
            remarks.append(f"folders more than {DEEPEST_FOLDER} deep; not read further")
            folders.clear()
        for name in [*folders, *sorted(names)]:
            path = Path(parent, name)
            kind = os.lstat(path).st_mode if os.path.lexists(path) else 0
            if _is_hidden(name):
                continue
            if stat.S_ISLNK(kind):
                remarks.append(f"{path.relative_to(folder)}: a link; links are not followed")
            elif stat.S_ISREG(kind):
                if name.lower().endswith(".ipynb"):
                    notebooks.append(path)
                else:
                    others += 1
    if len(notebooks) > MOST_NOTEBOOKS:
        remarks.append(f"{len(notebooks)} notebooks; only the first {MOST_NOTEBOOKS} were read")
        del notebooks[MOST_NOTEBOOKS:]
    if not notebooks:
        remarks.append(f"no notebook in the folder, {others or 'no'} other files")
    return Submission(folder.resolve().name, folder, tuple(notebooks), tuple(remarks))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _with_own_names(submissions: list[Submission]) -> list[Submission]:
    """Make the names fit to print, and tell apart those that are equal."""
    named = [replace(s, name=printable(s.name)) for s in submissions]
    counts = Counter(s.name for s in named)
    named = [replace(s, name=printable(str(s.path))) if counts[s.name] > 1 else s for s in named]
    used: Counter[str] = Counter()
    unique = []
    for submission in named:
        used[submission.name] += 1
        number = used[submission.name]
        name = f"{submission.name} ({number})" if number > 1 else submission.name
        unique.append(replace(submission, name=name))
    return unique
