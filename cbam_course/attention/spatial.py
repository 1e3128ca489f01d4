"""Spatial attention: one weight for each position, from a few summaries of its channels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .arguments import check_choices, check_integer, check_odd
from .block import AttentionBlock, pool_channels


class SpatialAttention(AttentionBlock):
    r"""CBAM's spatial attention: pool over the channels, then one convolution.

    .. math::

        M_s(F) &= \sigma\big(f^{k \times k}([\mathrm{AvgPool}(F);\, \mathrm{MaxPool}(F)])\big) \\
        F' &= M_s(F) \otimes F

    Here the pools run over the channels at each position, and :math:`f^{k \times k}` is a
    convolution with one output channel and zero padding.

    Input and output are ``[B, C, H, W]``; the spatial attention map is ``[B, 1, H, W]``.

    Args:
        kernel_size: odd kernel size k; the paper compares 3 and 7 and takes 7.
        pools: which summaries of the channels the convolution sees, in this order: ``"avg"``,
            ``"max"``, and ``"conv"``, a learned 1x1 convolution from C channels to one (the
            alternative of the paper's table 2). The authors' code puts the maximum first:
            ``("max", "avg")``.
        channels: number of channels C; only ``"conv"`` needs it. When given, inputs are checked.
        batch_norm: whether a BatchNorm follows the convolution, as in the authors' code (theirs has
            momentum 0.01; this one has PyTorch's 0.1).
        bias: whether the convolution has a bias.

    Raises:
        ValueError: if the kernel size is even, no pool or an unknown one is named, ``"conv"`` comes
            without ``channels``, or an argument is not of its kind; on call, if the input has not
            four axes or not C channels.

    Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018,
    equation 3.
    """

    fused_over = (1,)

    def __init__(
        self,
        kernel_size: int = 7,
        *,
        pools: str | Sequence[str] = ("avg", "max"),
        channels: int | None = None,
        batch_norm: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        k = self.kernel_size = check_odd("kernel_size", kernel_size)
        self.pools = check_choices("pools", pools, ("avg", "max", "conv"))
        if channels is not None:
            self.channels = check_integer("channels", channels)
        elif "conv" in self.pools:
            raise ValueError(
                "the pool 'conv' is a 1x1 convolution from C channels: give channels=C"
            )
        self.squeeze = nn.Conv2d(self.channels, 1, 1, bias=False) if "conv" in self.pools else None
        self.conv = nn.Conv2d(len(self.pools), 1, k, padding=k // 2, bias=bias)
        self.bn = nn.BatchNorm2d(1) if batch_norm else None

    def attention_map(self, x: Tensor) -> Tensor:
        """The spatial attention map: ``[B, C, H, W]`` -> ``[B, 1, H, W]``, values in (0, 1)."""
        self.check_input(x)
        return self.gate(
            [self.squeeze(x) if pool == "conv" else pool_channels(x, pool) for pool in self.pools]
        )

    def gate(self, summaries: Sequence[Tensor]) -> Tensor:
        """The map from the summaries of the channels: ``[B, 1, H, W]`` each -> ``[B, 1, H, W]``."""
        scores = self.conv(torch.cat(list(summaries), dim=1))
        return (scores if self.bn is None else self.bn(scores)).sigmoid()

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, pools={self.pools}"
