"""Looking into a trained network: its maps, where they point, and what happens if they change."""

from .channels import share_between_classes
from .intervals import MeanInterval, mean_interval
from .maps import given_maps, predict, read_maps
from .noise import NOISE_ARMS, FirstGate, NoisyImages, noisy_shapes, train_with_noise
from .partners import partners
from .pointing import energy_inside, pointing_hits, resize_maps
from .shipped import shipped_record, shipped_run, shipped_seeds

__all__ = [
    "NOISE_ARMS",
    "FirstGate",
    "MeanInterval",
    "NoisyImages",
    "energy_inside",
    "given_maps",
    "mean_interval",
    "noisy_shapes",
    "partners",
    "pointing_hits",
    "predict",
    "read_maps",
    "resize_maps",
    "share_between_classes",
    "shipped_record",
    "shipped_run",
    "shipped_seeds",
    "train_with_noise",
]
