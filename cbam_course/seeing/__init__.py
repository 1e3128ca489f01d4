"""Looking into a trained network: its maps, where they point, and what happens if they change."""

from .causal_tests import interventions, partners
from .class_activation import grad_cam
from .gallery import show_estimates, show_gallery, show_weights_by_class
from .maps import predict, read_maps
from .measuring import image_tensors, measure, share_between_classes
from .pointing import energy_inside, pointing_hits
from .shipped import (
    NOISE_ARMS,
    shipped_gate,
    shipped_measurements,
    shipped_record,
    shipped_run,
    shipped_seeds,
)

__all__ = [
    "NOISE_ARMS",
    "energy_inside",
    "grad_cam",
    "image_tensors",
    "interventions",
    "measure",
    "partners",
    "pointing_hits",
    "predict",
    "read_maps",
    "share_between_classes",
    "shipped_gate",
    "shipped_measurements",
    "shipped_record",
    "shipped_run",
    "shipped_seeds",
    "show_estimates",
    "show_gallery",
    "show_weights_by_class",
]
