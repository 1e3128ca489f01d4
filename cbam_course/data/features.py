"""Eight feature channels of a photograph, made by hand, to weigh without training a network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class FeatureBank(NamedTuple):
    """Feature maps and what each channel shows.

    Attributes:
        maps: float32 of shape [1, C, H, W], values 0 to 1.
        names: C names, in the order of the channels.
    """

    maps: Tensor
    names: tuple[str, ...]


# A step from black to white, or one white pixel on black, gives 1 with the kernels below.
# Photographs are far softer; these gains bring their channels into one range.
_COLOR_GAIN = 1.5
_EDGE_GAIN = 3.0
_DETAIL_GAIN = 6.0

_SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
_LAPLACE = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]) / 4


def filter_bank(image: Tensor, size: int = 64) -> FeatureBank:
    r"""Compute eight feature channels of a picture's central square.

    With red, green and blue :math:`R, G, B` in [0, 1], their mean :math:`L`, and
    :math:`[\cdot]` cutting off below 0 (a ReLU) and above 1:

    ======================  ======================================================
    channel                 value
    ======================  ======================================================
    ``red over green``      :math:`[1.5 (R - G)]`
    ``green over red``      :math:`[1.5 (G - R)]`
    ``blue over yellow``    :math:`[1.5 (B - (R + G) / 2)]`
    ``yellow over blue``    :math:`[1.5 ((R + G) / 2 - B)]`
    ``brightness``          :math:`L`
    ``vertical edges``      :math:`[3 |S_x * L|]`, Sobel filter, left to right
    ``horizontal edges``    :math:`[3 |S_y * L|]`, Sobel filter, top to bottom
    ``fine detail``         :math:`[6 |\Delta * L|]`, Laplace filter
    ======================  ======================================================

    Nothing here is random or learned.

    Args:
        image: One picture [3, H, W], uint8 from 0 to 255 or floating point from 0 to 1.
        size: Height and width of the maps.

    Returns:
        Maps of shape [1, 8, size, size], float32 from 0 to 1, and the channels' names.

    Raises:
        ValueError: The image has another shape, dtype or range, or the size is below 4.
    """
    rgb = _square(_as_unit(image), size)
    red, green, blue = rgb.unbind(1)
    brightness = rgb.mean(1)
    yellow = (red + green) / 2
    channels = {
        "red over green": _COLOR_GAIN * (red - green),
        "green over red": _COLOR_GAIN * (green - red),
        "blue over yellow": _COLOR_GAIN * (blue - yellow),
        "yellow over blue": _COLOR_GAIN * (yellow - blue),
        "brightness": brightness,
        "vertical edges": _EDGE_GAIN * _filter(brightness, _SOBEL).abs(),
        "horizontal edges": _EDGE_GAIN * _filter(brightness, _SOBEL.T).abs(),
        "fine detail": _DETAIL_GAIN * _filter(brightness, _LAPLACE).abs(),
    }
    maps = torch.stack(list(channels.values()), dim=1).relu().clamp(max=1)
    return FeatureBank(maps, tuple(channels))


def _as_unit(image: Tensor) -> Tensor:
    """Check a picture and give it as float32 in [0, 1]."""
    if not isinstance(image, Tensor):
        raise ValueError(f"image must be a tensor [3, H, W], got a {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise ValueError(f"image must have shape [3, H, W], got {list(image.shape)}")
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        raise ValueError(f"image must be uint8 or floating point, got {image.dtype}")
    low, high = image.min().item(), image.max().item()
    if not 0 <= low <= high <= 1:
        raise ValueError(f"a floating point image must lie in 0 to 1, got {low:g} to {high:g}")
    return image.float()


def _square(rgb: Tensor, size: int) -> Tensor:
    """Crop the central square and resize it: [3, H, W] to [1, 3, size, size]."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 4:
        raise ValueError(f"size must be a whole number of pixels, 4 or more, got {size!r}")
    height, width = rgb.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[None, :, top : top + side, left : left + side]
    return F.interpolate(
        square, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


def _filter(gray: Tensor, kernel: Tensor) -> Tensor:
    """Apply one 3x3 filter to [1, H, W]; repeated border pixels keep the border from glowing."""
    padded = F.pad(gray[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel.to(gray)[None, None])[:, 0]
