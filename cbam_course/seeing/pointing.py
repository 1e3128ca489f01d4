"""Where a map points: the pointing game, and how much of a map lies on the object."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pointing_hits(maps: Tensor, masks: Tensor) -> Tensor:
    """The pointing game: does the position where a map is largest lie on the object?

    A map that has its largest value at several positions points nowhere in particular; it gets the
    share of those positions that lie on the object.

    Args:
        maps: ``[N, 1, h, w]`` or ``[N, h, w]``; smaller maps are stretched over the mask.
        masks: ``[N, H, W]``, true where the object is.

    Returns:
        1 for a hit and 0 for a miss, ``[N]``.

    Raises:
        ValueError: if the shapes do not fit, or a map has a value that is not a number.

    Source: Zhang, Lin, Brandt, Shen, Sclaroff, "Top-Down Neural Attention by Excitation Backprop",
    ECCV 2016. There a hit may miss by 15 pixels; here it may not miss.
    """
    maps = _stretched(maps, masks)
    top = maps == maps.amax(dim=(1, 2), keepdim=True)
    return (top & masks).sum(dim=(1, 2)) / top.sum(dim=(1, 2))


def energy_inside(maps: Tensor, masks: Tensor) -> Tensor:
    r"""The share of a map that lies on the object.

    .. math:: E = \frac{\sum_{ij} M_{ij} \, O_{ij}}{\sum_{ij} M_{ij}}

    with the map M and the mask O. A map without any contrast gets the share of the image that the
    object covers, and a map that is zero everywhere gets that too.

    Args:
        maps: ``[N, 1, h, w]`` or ``[N, h, w]``, not negative; smaller maps are stretched.
        masks: ``[N, H, W]``, true where the object is.

    Returns:
        ``[N]``, values in [0, 1].

    Raises:
        ValueError: if the shapes do not fit, or a value is negative or not a number.
    """
    maps = _stretched(maps, masks)
    if bool((maps < 0).any()):
        raise ValueError(
            "maps must not be negative: take relu(maps) if only the positive part counts"
        )
    maps = torch.where(maps.sum(dim=(1, 2), keepdim=True) > 0, maps, torch.ones_like(maps))
    return (maps * masks).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))


def _stretched(maps: Tensor, masks: Tensor) -> Tensor:
    """Maps over their masks, ``[N, H, W]``; coarse ones by bilinear interpolation."""
    if maps.dim() == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if maps.dim() != 3 or len(maps) != len(masks):
        raise ValueError(f"maps must be [N, 1, h, w] or [N, h, w], N as of masks; got {maps.shape}")
    if bool(maps.isnan().any()):
        raise ValueError("maps must be numbers, got nan")
    if maps.shape == masks.shape:
        return maps
    return F.interpolate(maps.float()[:, None], size=masks.shape[1:], mode="bilinear")[:, 0]
