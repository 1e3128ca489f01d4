"""Experiments: named grids of configurations and seeds, and the queue of runs without a record."""

from .definitions import experiments
from .experiment import Experiment, Variant, run_name

__all__ = ["Experiment", "Variant", "experiments", "run_name"]
