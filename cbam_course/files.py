"""Files that are either there whole or not there at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make or replace a file; whatever goes wrong on the way leaves the old one as it was.

    Args:
        path: the file.
        write: writes the content to the open file it is given.

    Raises:
        OSError: if the folder cannot be written to, or the disk is full.
    """
    # The name is always the same, so what a killed process left is overwritten by the next.
    unfinished = path.with_name(path.name + ".tmp")
    try:
        with open(unfinished, "wb") as file:
            write(file)
            file.flush()
            # Without it a power cut may keep the new name and lose the bytes.
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            unfinished.unlink()
        raise
