"""Data for the course: CIFAR-10, an embedded set of drawn shapes, and three photographs."""

from cbam_course.data.cifar10 import CIFAR10_CLASSES, DatasetUnavailable, cifar10
from cbam_course.data.features import FeatureBank, filter_bank
from cbam_course.data.noise import with_noise
from cbam_course.data.photographs import photographs
from cbam_course.data.shapes import SHAPES_CLASSES, shapes

from .image_set import ImageSet, channel_statistics

__all__ = [
    "CIFAR10_CLASSES",
    "SHAPES_CLASSES",
    "DatasetUnavailable",
    "FeatureBank",
    "ImageSet",
    "channel_statistics",
    "cifar10",
    "filter_bank",
    "photographs",
    "shapes",
    "with_noise",
]
