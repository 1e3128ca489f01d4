"""A small SSD: torchvision's detector and its SSDLite head on a body of seven convolutions."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

from .scenes import CLASSES, SIZE

WIDTHS = (16, 32, 48, 64)
"""Channels of the stem and of the three stages."""

NECK = 48
"""Channels of each level that the head is given."""


def _layer(channels: int, out: int, kernel_size: int = 3, stride: int = 1) -> list[nn.Module]:
    padding = kernel_size // 2
    conv = nn.Conv2d(channels, out, kernel_size, stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


class Backbone(nn.Module):
    """Three stages of two 3x3 convolutions each, and a neck: one 1x1 convolution for each stage.

    ``[B, 3, 48, 48]`` gives three levels, ``"0"`` ``[B, 48, 12, 12]``, ``"1"`` ``[B, 48, 6, 6]``
    and ``"2"`` ``[B, 48, 3, 3]``. A block at the end of ``stages.1`` is felt by the next stage too;
    one at the end of ``neck.1`` by the head alone.

    Args:
        widths: channels of the stem and of the three stages.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_layer(3, widths[0], stride=2))
        self.stages = nn.ModuleList(
            nn.Sequential(*_layer(before, width, stride=2), *_layer(width, width))
            for before, width in zip(widths[:-1], widths[1:], strict=True)
        )
        self.neck = nn.ModuleList(
            nn.Sequential(*_layer(width, NECK, kernel_size=1)) for width in widths[1:]
        )

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The levels by their names."""
        x = self.stem(x)
        levels = OrderedDict()
        for number, (stage, lateral) in enumerate(zip(self.stages, self.neck, strict=True)):
            x = stage(x)
            levels[str(number)] = lateral(x)
        return levels


def small_ssd(widths: Sequence[int] = WIDTHS) -> nn.Module:
    """A single-shot detector for scenes of 48 x 48 pixels, with random weights.

    It is torchvision's ``SSD``, with two default boxes at each position of three levels (strides
    4, 8 and 16) and the separable head of SSDLite. It takes a list of images ``[3, 48, 48]``; in
    training also a list of targets, and gives two losses; in evaluation it gives for each image
    ``boxes``, ``labels`` and ``scores``.

    Args:
        widths: channels of the stem and of the three stages.

    Source: Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg, "SSD: Single Shot MultiBox Detector",
    ECCV 2016 (arXiv 1512.02325); the head: Sandler et al., CVPR 2018 (arXiv 1801.04381), 6.2.
    """
    anchors = DefaultBoxGenerator([[]] * 3, scales=[0.2, 0.3, 0.4, 0.5], steps=[4, 8, 16])
    classes = 1 + len(CLASSES)
    per_position = anchors.num_anchors_per_location()
    head = SSDLiteHead([NECK] * 3, per_position, classes, nn.BatchNorm2d)
    return SSD(
        Backbone(widths), anchors, (SIZE, SIZE), classes,
        image_mean=[0.5] * 3, image_std=[0.25] * 3, head=head, detections_per_img=100,
    )  # fmt: skip
