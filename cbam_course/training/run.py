"""A finished run: the network and the record of its training."""

import os
from typing import NamedTuple

from torch import nn

from .checkpoint import read_checkpoint
from .history import History


class Run(NamedTuple):
    """What :func:`~cbam_course.training.train` returns."""

    model: nn.Module
    history: History

    def __repr__(self) -> str:
        return f"Run({self.history.model['class']}, {self.history})"


def load_run(folder: str | os.PathLike[str]) -> Run:
    """The network and the history kept in a run's folder, at the last epoch that was finished.

    Args:
        folder: the folder of a run of a network that :class:`TrainConfig` names.

    Returns:
        The network, on the CPU and in evaluation mode, and the history.

    Raises:
        ValueError: if the checkpoint is damaged, or of a network of somebody's own.
        OSError: if there is no checkpoint.
    """
    state = read_checkpoint(folder)
    history = History.loads(state["history"])
    model = history.config.build_model(len(history.data["classes"]))
    model.load_state_dict(state["model"])
    return Run(model.eval(), history)
