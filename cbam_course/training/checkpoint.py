"""The folder of a run: its checkpoint and its history, written after every epoch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from filelock import FileLock, Timeout

from ..files import write_whole
from .config import TrainConfig
from .distributed import team
from .history import History
from .learner import Learner

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.json"
LOCK = ".lock"
FORMAT = 1
"""Version of the layout of ``checkpoint.pt``."""


@contextmanager
def locked(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Make the folder of a run, if any, and keep other processes from training in it meanwhile.

    Raises:
        ValueError: if another process is training there, or the folder is a file.
    """
    if folder is None:
        yield
        return
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; the run needs a folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another process is training in {folder}") from None
    except NotImplementedError:
        pass  # some network drives have no locks; training there is better than refusing
    try:
        yield
    finally:
        lock.release()


class RunFolder:
    """Where a run is kept, or nowhere.

    Args:
        folder: the folder; ``None`` keeps nothing.
        resume: whether to continue the run that is there.

    Raises:
        ValueError: if there is a run and ``resume`` is not set, its checkpoint is damaged, or
            ``resume`` is set without a folder.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, resume: bool) -> None:
        self.folder = None if folder is None else Path(folder)
        self.state: dict[str, Any] | None = None
        if self.folder is None:
            if resume:
                raise ValueError("resume needs the folder of the run to continue")
            return
        if (self.folder / CHECKPOINT).exists():
            if not resume:
                raise ValueError(
                    f"{self.folder} has a run already; continue it (resume=True, or --resume on "
                    "the command line) or choose another folder"
                )
            self.state = read_checkpoint(self.folder)

    def check_config(self, config: TrainConfig) -> None:
        """Raise a ``ValueError`` if the run that is there was made with another configuration."""
        if self.state is None:
            return
        saved = History.loads(self.state["history"]).config
        # A run may move to another machine; the history tells which epochs were done on which.
        of_the_machine = ("device", "compile")
        if names := [name for name in saved.differences(config) if name not in of_the_machine]:
            changes = ", ".join(
                f"{name} was {getattr(saved, name)!r} and is now {getattr(config, name)!r}"
                for name in names
            )
            raise ValueError(
                f"the run in {self.folder} has another configuration: {changes}. Continue it as it "
                "was, or choose another folder"
            )

    def load(self, learner: Learner, history: History) -> History:
        """Bring ``learner`` to where the run that is there stopped, and return that run's history.

        Without a run, ``history`` is returned and nothing else happens.

        Raises:
            ValueError: if the run was made with other data or another network.
        """
        if self.state is None:
            return history
        saved = History.loads(self.state["history"])
        if saved.data["sha256"] != history.data["sha256"]:
            raise ValueError(
                f"the run in {self.folder} was trained on other images or labels "
                f"({saved.data['name']}, {saved.data['train']} for training)"
            )
        try:
            learner.load_state_dict(self.state)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"the weights in {self.folder / CHECKPOINT} do not fit this network: {reason}"
            ) from None
        self.state = None  # it held a second copy of the weights
        # A process stopped between the two files leaves a history that is an epoch behind.
        if team().leads:
            saved.to_json(self.folder / HISTORY)
        # All but the machine is the same; the run is continued here, and next time too.
        saved.config = history.config
        return saved

    def save(self, learner: Learner, history: History) -> None:
        """Write the checkpoint, then the history."""
        if self.folder is None or not team().leads:
            return
        state = {"format": FORMAT, **learner.state_dict(), "history": history.dumps()}
        write_whole(self.folder / CHECKPOINT, lambda file: torch.save(state, file))
        history.to_json(self.folder / HISTORY)


def read_checkpoint(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a folder's ``checkpoint.pt``, on the CPU.

    Raises:
        ValueError: if the checkpoint is damaged, or is something else.
        OSError: if it cannot be read.
    """
    path = Path(folder) / CHECKPOINT
    content = BytesIO(path.read_bytes())
    try:
        # PyTorch does not look at the sums that its own zip files carry.
        with ZipFile(content) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} has another checksum")
        content.seek(0)
        # weights_only: a checkpoint from elsewhere must not be able to run code.
        state = torch.load(content, map_location="cpu", weights_only=True)
        if state["format"] != FORMAT:
            raise ValueError(f"format {state['format']!r} instead of {FORMAT}")
        History.loads(state["history"])
    except Exception as error:  # which one depends on which bytes are wrong
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is damaged or not a checkpoint of this course ({reason}). The run cannot be "
            "continued from it: choose another folder, or move the file away to start again"
        ) from None
    return state
