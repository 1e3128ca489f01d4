"""Looking into a trained network: its maps, where they point, and what happens if they change."""

from .channels import share_between_classes
from .figures import show_estimates, show_gallery, show_weights_by_class
from .gradients import grad_cam
from .interventions import interventions
from .maps import given_maps, predict, read_maps
from .measure import image_tensors, measure, shipped_measurements
from .noise import NOISE_ARMS, FirstGate, noisy_shapes, train_with_noise
from .partners import partners
from .pointing import energy_inside, pointing_hits, resize_maps
from .shipped import shipped_gate, shipped_record, shipped_run, shipped_seeds

__all__ = [
    "NOISE_ARMS",
    "FirstGate",
    "energy_inside",
    "given_maps",
    "grad_cam",
    "image_tensors",
    "interventions",
    "measure",
    "noisy_shapes",
    "partners",
    "pointing_hits",
    "predict",
    "read_maps",
    "resize_maps",
    "share_between_classes",
    "shipped_gate",
    "shipped_measurements",
    "shipped_record",
    "shipped_run",
    "shipped_seeds",
    "show_estimates",
    "show_gallery",
    "show_weights_by_class",
    "train_with_noise",
]
