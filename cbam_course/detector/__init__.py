"""A small detector: drawn scenes, torchvision's SSD on a body of our own, and recorded runs."""

from .experiment import (
    SEEDS,
    VARIANTS,
    detect,
    make_detector,
    mean_average_precision,
    results,
    run_all,
    show_results,
    train,
)
from .network import Backbone, small_ssd
from .scenes import CLASSES, Scenes, scenes

__all__ = [
    "CLASSES",
    "SEEDS",
    "VARIANTS",
    "Backbone",
    "Scenes",
    "detect",
    "make_detector",
    "mean_average_precision",
    "results",
    "run_all",
    "scenes",
    "show_results",
    "small_ssd",
    "train",
]
