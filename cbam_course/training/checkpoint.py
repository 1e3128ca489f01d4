"""The folder of a run: its checkpoint and its history, written after every epoch."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from cbam_course.files import write_whole

from .history import History, Run
from .learner import Learner
from .networks import build_model

CHECKPOINT, HISTORY = "checkpoint.pt", "history.json"


def load_state(
    folder: str | os.PathLike[str] | None, resume: bool, learner: Learner, history: History
) -> History:
    """Bring ``learner`` to where the run in a folder stopped, if there is one.

    Returns:
        The run's history; for a new run, ``history``.

    Raises:
        ValueError: if there is a run and ``resume`` is not set, its checkpoint is damaged, or it
            has another configuration or other data.
        RuntimeError: if the weights are those of another network.
    """
    if folder is None or not Path(folder, CHECKPOINT).exists():
        return history
    if not resume:
        raise ValueError(
            f"{folder} has a run already; continue it (resume=True, or --resume on the command "
            "line) or choose another folder"
        )
    state, saved = read_checkpoint(folder)
    then, now = vars(saved.config), vars(history.config)
    changes = [
        f"{name} was {then[name]!r} and is now {now[name]!r}"
        for name in now
        # A run may move to another machine; the history tells which epochs were done on which.
        if name not in ("device", "compile") and then[name] != now[name]
    ]
    if not changes and saved.data["sha256"] != history.data["sha256"]:
        changes = ["it was trained on other images or labels"]
    if changes:
        raise ValueError(
            f"the run in {folder} is another one: {', '.join(changes)}. Continue it as it was, or "
            "choose another folder"
        )
    learner.load_state_dict(state)
    saved.config = history.config  # all but the machine is the same
    return saved


def save_state(folder: str | os.PathLike[str] | None, learner: Learner, history: History) -> None:
    """Write the history, then the checkpoint, from which a run continues; nothing without a folder.

    A process stopped between the two loses an epoch, and its history is written again.
    """
    if folder is None:
        return
    history.to_json(Path(folder, HISTORY))
    # Straight to a full disk, torch.save would end in an error of its own, about positions.
    content = BytesIO()
    torch.save({**learner.state_dict(), "history": history.to_dict()}, content)
    write_whole(Path(folder, CHECKPOINT), lambda file: file.write(content.getbuffer()))


def read_checkpoint(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], History]:
    """What a folder's ``checkpoint.pt`` holds: the state of a learner, on the CPU, and the history.

    Raises:
        ValueError: if the checkpoint is damaged, or is something else.
        OSError: if it cannot be read.
    """
    path = Path(folder, CHECKPOINT)
    content = BytesIO(path.read_bytes())
    try:
        # weights_only: a checkpoint from elsewhere must not be able to run code.
        state = torch.load(content, map_location="cpu", weights_only=True)
        return state, History.from_dict(state["history"])
    except Exception as error:  # which one depends on which bytes are wrong
        raise ValueError(
            f"{path} is damaged or not a checkpoint of this course ({type(error).__name__}): "
            "choose another folder, or move the file away to start again"
        ) from error


def load_run(folder: str | os.PathLike[str]) -> Run:
    """The network and the history kept in a run's folder, as they were kept last.

    Args:
        folder: the folder of a run of a network that :class:`TrainConfig` names.

    Returns:
        The network, on the CPU and in evaluation mode, and the history.

    Raises:
        ValueError: if the checkpoint is damaged, or of a network of somebody's own.
        OSError: if there is no checkpoint.
    """
    state, history = read_checkpoint(folder)
    model = build_model(history.config, len(history.data["classes"]))
    model.load_state_dict(state["model"])
    return Run(model.eval(), history)
