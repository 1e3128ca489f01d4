"""Experiments: named grids of configurations and seeds, and the queue of runs without a record."""

from .definitions import experiments
from .experiment import Experiment, Variant, run_name
from .queue import pending, run_queue
from .worker import Event

__all__ = ["Event", "Experiment", "Variant", "experiments", "pending", "run_name", "run_queue"]
