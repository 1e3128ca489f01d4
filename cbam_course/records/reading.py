"""Reading records: one JSON file a run, in the package or in a folder of one's own."""

import json
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cbam_course.training import History
from cbam_course.training.history import FORMAT

from .experiment import run_name

SHIPPED = Path(__file__).parent / "runs"
"""The records that come with the course."""


class Folder(NamedTuple):
    """The records of a folder by the names of their runs, and why files that are none are not."""

    records: dict[str, dict[str, Any]]
    problems: dict[Path, str]


def load(folder: str | os.PathLike[str] | None = None) -> dict[str, History]:
    """The records of all finished runs, by the names of the runs.

    Args:
        folder: a folder whose records are added to those that come with the course.

    A file that is no record is named in a warning and left out.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    return {name: History.from_dict(record) for name, record in read(folder).items()}


def read(folder: str | os.PathLike[str] | None = None) -> dict[str, dict[str, Any]]:
    """As :func:`load`, but as the JSON files have them, which takes a fraction of the time."""
    records = {}
    for each in folders(folder):
        found, problems = read_folder(each)
        for path, problem in problems.items():
            warnings.warn(f"{path} is left out: {problem}", stacklevel=3)
        records = found | records  # a run is recorded once; if not, the course's record counts
    return dict(sorted(records.items()))


def folders(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """Where records are: in the course and, if one is named, in a folder of one's own.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if folder is None:
        return [SHIPPED]
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; its records cannot be read")
    return [SHIPPED, Path(folder)]


def read_folder(folder: Path) -> Folder:
    """The records of one folder."""
    records, problems = {}, {}
    for path in sorted(folder.glob("*.json")):
        try:
            stat = path.stat()
            records[path.stem] = _read_file(path, stat.st_mtime_ns, stat.st_size)
        except (ValueError, OSError) as error:
            problems[path] = str(error)
    return Folder(records, problems)


@cache
def _read_file(path: Path, modified: int, size: int) -> dict[str, Any]:
    # A chapter asks for many tables: a file is read again only if it has changed.
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise ValueError(f"it is damaged ({error})") from None
    try:
        if record["format"] != FORMAT:
            raise ValueError(f"it is in format {record['format']!r}, not {FORMAT}")
        config, epochs, final = record["config"], record["epochs"], record["final"]
        if len(epochs) != config["epochs"] or "test_accuracy" not in final:
            raise ValueError(f"the run is not finished: it has {len(epochs)} epochs")
        name = run_name(config)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no record of a run ({type(error).__name__}: {error})") from None
    if name != path.stem:
        raise ValueError(f"it records another run than its name says: {name}")
    return record
