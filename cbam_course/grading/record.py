"""The record of a grading: what is finished is not done again."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TextIO

from filelock import FileLock, Timeout

from .outcome import Outcome


class Record(Mapping[str, Outcome]):
    """Outcomes by a key that changes with whatever could change them, one a line of a file.

    Args:
        path: the file, made at the first outcome. None keeps them in memory alone.
        again: start over with nothing.

    Raises:
        ValueError: if another grading writes the file at this moment.
    """

    def __init__(self, path: Path | None = None, *, again: bool = False) -> None:
        self._path = path
        self._outcomes: dict[str, Outcome] = {}
        self._writing = Lock()
        self._file: TextIO | None = None
        self._lock = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise ValueError(f"another grading writes {path} at this moment") from None
        if again:
            path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            text = path.read_text(encoding="utf-8", errors="replace")
            for line in text.splitlines():
                self._read(line)
            if text and not text.endswith("\n"):  # stopped in the middle of a line
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n")

    def _read(self, line: str) -> None:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            content = json.loads(line)
            key = content.pop("key")
            if isinstance(key, str):
                names = [f.name for f in fields(Outcome)]
                self._outcomes[key] = Outcome(**{name: content[name] for name in names})

    def add(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome; may be called from several threads."""
        with self._writing:
            self._outcomes[key] = outcome
            if self._path is None:
                return
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(json.dumps({"key": key, **asdict(outcome)}) + "\n")
            self._file.flush()

    def __getitem__(self, key: str) -> Outcome:
        return self._outcomes[key]

    def __iter__(self):
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __enter__(self) -> "Record":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self._lock.release()
