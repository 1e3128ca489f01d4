"""Training: one readable loop, with everything that decides its result in one configuration.

``run = train(TrainConfig(...))`` gives the network, ``run.model``, and the record, ``run.history``.
"""

from .checkpoint import read_checkpoint
from .config import TrainConfig
from .device import choose_device, choose_precision
from .history import History
from .images import DeviceImages
from .learner import Learner, make_schedule
from .loop import evaluate, load_data, seed_epoch, train, train_epoch
from .run import Run, load_run

__all__ = [
    "DeviceImages",
    "History",
    "Learner",
    "Run",
    "TrainConfig",
    "choose_device",
    "choose_precision",
    "evaluate",
    "load_data",
    "load_run",
    "make_schedule",
    "read_checkpoint",
    "seed_epoch",
    "train",
    "train_epoch",
]
