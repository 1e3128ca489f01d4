"""Records: experiments, the runs that lack a record, and what finished runs have shown.

An experiment puts a question to several configurations with the same seeds. The course ships a
record of every run that its chapters speak of; a folder of records made by ``cbam-course
experiments run`` adds to them. In the tables of this room accuracies are in percent, and
differences of accuracies in percentage points.
"""

from .definitions import experiments
from .experiment import Experiment, Variant, run_name
from .figures import show_curves, show_differences
from .measured import imagenet_pairs, show_imagenet_pairs, speed
from .queue import pending, run_queue
from .reading import load
from .statistics import mean_interval, summary
from .tables import by_seed, curves, describe, largest, table

__all__ = [
    "Experiment",
    "Variant",
    "by_seed",
    "curves",
    "describe",
    "experiments",
    "imagenet_pairs",
    "largest",
    "load",
    "mean_interval",
    "pending",
    "run_name",
    "run_queue",
    "show_curves",
    "show_differences",
    "show_imagenet_pairs",
    "speed",
    "summary",
    "table",
]
