"""Eight feature channels of a photograph, made by hand, to weigh without training a network."""

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


_SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
_LAPLACE = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]) / 4


def filter_bank(image: Tensor, size: int = 64) -> FeatureBank:
    r"""Compute eight feature channels of an image's central square.

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

    Nothing here is random or learned. A step from black to white, or one white pixel on black,
    would give 1 with the bare filters; photographs are far softer, hence the gains.

    Args:
        image: One image [3, H, W], uint8 from 0 to 255 or floating point from 0 to 1.
        size: Height and width of the maps.

    Returns:
        Maps of shape [1, 8, size, size], float32 from 0 to 1, and the channels' names.

    Raises:
        ValueError: The image has not three channels, or another range.
    """
    rgb = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    if not 0 <= rgb.min() <= rgb.max() <= 1:
        raise ValueError(
            f"an image that is not uint8 must lie in 0 to 1, got {rgb.min():g} to {rgb.max():g}"
        )
    red, green, blue = _square(rgb, size)
    brightness = (red + green + blue) / 3
    yellow = (red + green) / 2
    channels = {
        "red over green": 1.5 * (red - green),
        "green over red": 1.5 * (green - red),
        "blue over yellow": 1.5 * (blue - yellow),
        "yellow over blue": 1.5 * (yellow - blue),
        "brightness": brightness,
        "vertical edges": 3 * _filter(brightness, _SOBEL).abs(),
        "horizontal edges": 3 * _filter(brightness, _SOBEL.T).abs(),
        "fine detail": 6 * _filter(brightness, _LAPLACE).abs(),
    }
    maps = torch.stack(list(channels.values())).relu().clamp(max=1)
    return FeatureBank(maps[None], tuple(channels))


def _square(rgb: Tensor, size: int) -> Tensor:
    """The central square, resized: [3, H, W] to [3, size, size]."""
    height, width = rgb.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[None, :, top : top + side, left : left + side]
    return F.interpolate(square, (size, size), mode="bilinear", antialias=True)[0]


def _filter(gray: Tensor, kernel: Tensor) -> Tensor:
    """Apply one 3x3 filter to [H, W]; repeated border pixels keep the border from glowing."""
    padded = F.pad(gray[None, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel[None, None])[0, 0]
