"""Files that are either there whole or not there at all, and locks between processes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        unfinished.unlink(missing_ok=True)
        raise


class Busy(ValueError):
    """Another process is working in a folder."""


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Make a folder, and keep other processes from working in it for the time of the block.

    The lock goes with the process, however that ends. Where there are no such locks (Windows, some
    network drives), nobody is kept out.

    Raises:
        Busy: if another process is working there.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with open(Path(folder, ".lock"), "w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another process is training in {folder}") from None
        except (ImportError, OSError):
            pass
        yield
