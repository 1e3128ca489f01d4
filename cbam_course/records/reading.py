"""Reading records: one JSON file a run, in the package or in a folder of one's own."""

import json
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from cbam_course.training import History
from cbam_course.training.history import FORMAT

from .experiment import run_name

SHIPPED = Path(__file__).parent / "runs"
"""The records that come with the course."""

Record = dict[str, Any]
"""A record as its JSON file has it, which takes a fraction of the time of a history."""


def load(folder: str | os.PathLike[str] | None = None) -> dict[str, History]:
    """The records of all finished runs, by the names of the runs.

    Args:
        folder: a folder whose records are added to those that come with the course.

    A file that is no record is named in a warning and left out.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    return {name: History.from_dict(record) for name, record in read(folder).items()}


def read(folder: str | os.PathLike[str] | None = None) -> dict[str, Record]:
    """As :func:`load`, but as the files have them."""
    records = {}
    for path in find_files(folder):
        try:
            stat = path.stat()
            # A run is recorded once; if not, the course's record counts.
            records.setdefault(path.stem, _read_file(path, stat.st_mtime_ns, stat.st_size))
        except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
            problem = f"it is no record of a run ({type(error).__name__}: {error})"
            warnings.warn(f"{path} is left out: {problem}", stacklevel=3)
    return dict(sorted(records.items()))


def find_files(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """Where records may be: the files of the course and of a folder of one's own, if one is named.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; its records cannot be read")
    folders = [SHIPPED] if folder is None else [SHIPPED, Path(folder)]
    return [path for each in folders for path in sorted(each.glob("*.json"))]


@cache
def _read_file(path: Path, modified: int, size: int) -> Record:
    # A chapter asks for many tables: a file is read again only if it has changed.
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["format"] != FORMAT:
        raise ValueError(f"it is in format {record['format']!r}, not {FORMAT}")
    config, epochs, final = record["config"], record["epochs"], record["final"]
    if len(epochs) != config["epochs"] or "test_accuracy" not in final:
        raise ValueError(f"the run is not finished: it has {len(epochs)} epochs")
    if (name := run_name(config)) != path.stem:
        raise ValueError(f"it records another run than its name says: {name}")
    return record
