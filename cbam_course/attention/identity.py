"""Attention that starts as the identity, for networks that are trained already."""

from functools import partial
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from .arguments import check
from .factory import AttentionFactory, as_factory


class IdentityStart(nn.Module):
    r"""A block that does nothing at first and learns how much of itself to let through.

    .. math:: y = x + g \, \big(\mathrm{block}(x) - x\big), \qquad g = 0 \text{ at first}

    with one learned scalar g: at g = 0 this is the identity, at g = 1 the block itself. A fresh
    attention block multiplies features by about 1/2 for each of its maps; put into a trained
    network, it changes what every later layer was trained to expect. Here the network's outputs are
    unchanged at first. The first step of training moves g, whose gradient is the sum of
    :math:`(\mathrm{block}(x) - x)` times the gradient of y; the gradient of the block's own weights
    has the factor g, so that they move from the second step on.

    Input and output are ``[B, C, H, W]``. At g = 0 the output is the input, to the bit for every
    attention block of the course in every precision. What is not finite is not hidden: where the
    input or the block's output is infinite or not a number, the output is not a number.

    Args:
        block: the block to let through, any module that keeps the shape of its input.

    Attributes:
        gate: the scalar g, a parameter of shape ``[]``.

    Raises:
        ValueError: on call, if the block changes the shape of its input, and for whatever it
            refuses.

    Source: Bachlechner, Majumder, Mao, Cottrell, McAuley, "ReZero is All You Need: Fast Convergence
    at Large Depth", UAI 2021 (arXiv 2003.04887), whose residual branch is block(x); here it is
    block(x) - x, so that g = 1 gives the block itself.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        # Without an axis, so that in mixed precision the features decide the result's precision.
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, return_map: bool = False) -> Tensor | tuple[Tensor, Any]:
        """The features y, ``[B, C, H, W]`` -> ``[B, C, H, W]``.

        With ``return_map=True`` it is the pair ``(y, map)``, the map of the block alone, whatever
        the gate, if it is a block that can.
        """
        # A module from elsewhere may know nothing of maps: without being asked, nothing is asked.
        refined, maps = self.block(x, return_map=True) if return_map else (self.block(x), None)
        _check_shape(refined, x, type(self.block).__name__)
        # Twice the sign of the equation: x + 0 * (block(x) - x) would make 0.0 of every -0.0.
        y = x - self.gate * (x - refined)
        return (y, maps) if return_map else y

    def attention_map(self, x: Tensor) -> Any:
        """The attention map of the block alone, whatever the gate."""
        return self.block.attention_map(x)


@torch.fx.wrap
def _check_shape(refined: Tensor, x: Tensor, block: str) -> None:
    if not torch.jit.is_tracing() and refined.shape != x.shape:
        raise ValueError(
            f"IdentityStart needs a block that keeps the shape of its input; "
            f"{block} made {list(refined.shape)} of {list(x.shape)}"
        )


def starting_as_identity(factory: AttentionFactory | str) -> AttentionFactory:
    """A factory of the same blocks, each in an :class:`IdentityStart`.

    Args:
        factory: makes a block from the number of channels, or a name, see :func:`make_attention`.

    Raises:
        ValueError: if ``factory`` is not a factory, or is that of no attention.

    Example:
        >>> starting_as_identity(make_attention("se"))(64).gate.item()
        0.0
    """
    factory = as_factory(factory)
    check("factory", factory, factory is not None, "a factory of blocks, such as CBAM")
    return partial(_make, factory)  # not a closure: it can be sent to another process


def _make(factory: AttentionFactory, channels: int) -> IdentityStart:
    return IdentityStart(factory(channels))
