"""Training: one readable loop, with everything that decides its result in one configuration.

``run = train(TrainConfig(...))`` gives the network, ``run.model``, and the record, ``run.history``.
"""

from cbam_course.config import TrainConfig

from .checkpoint import load_run
from .device import choose_device, choose_precision
from .history import History, Run
from .images import DeviceImages
from .learner import Learner
from .loop import evaluate, load_data, seed_epoch, train, train_epoch
from .networks import build_model

__all__ = [
    "DeviceImages",
    "History",
    "Learner",
    "Run",
    "TrainConfig",
    "build_model",
    "choose_device",
    "choose_precision",
    "evaluate",
    "load_data",
    "load_run",
    "seed_epoch",
    "train",
    "train_epoch",
]
