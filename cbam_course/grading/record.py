"""The record of a grading: what is finished is not done again."""

import json
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from threading import Lock
from typing import TextIO

from .outcome import Outcome


class Record(dict[str, Outcome]):
    """Outcomes by a key that changes with whatever could change them, one a line of a file.

    Args:
        path: the file. None keeps them in memory alone.
        again: start over with nothing.

    Raises:
        ValueError: if another grading writes the file at this moment.
    """

    def __init__(self, path: Path | None = None, *, again: bool = False) -> None:
        import fcntl  # Windows has none

        super().__init__()
        self._writing = Lock()
        self._file: TextIO | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ValueError(f"another grading writes {path} at this moment") from None
        if again:
            self._file.truncate(0)
        self._file.seek(0)
        text = self._file.read()
        for line in text.splitlines():
            self._read(line)
        if text and not text.endswith("\n"):  # stopped in the middle of a line
            self._file.write("\n")

    def _read(self, line: str) -> None:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            content = json.loads(line)
            key = content.pop("key")
            if isinstance(key, str):
                names = [f.name for f in fields(Outcome)]
                self[key] = Outcome(**{name: content[name] for name in names})

    def add(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome; may be called from several threads."""
        with self._writing:
            self[key] = outcome
            if self._file is not None:
                self._file.write(json.dumps({"key": key, **asdict(outcome)}) + "\n")
                self._file.flush()

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
