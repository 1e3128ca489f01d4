"""Channel attention in its two modes: a shared MLP ("FC") and ECA's convolution ("Conv")."""

from collections.abc import Sequence
from math import log2

from torch import Tensor, nn

from .block import (
    AttentionBlock,
    apply_bottleneck,
    bottleneck,
    check_number,
    check_odd,
    check_pools,
    check_positive,
    pool_places,
)


class ChannelAttention(AttentionBlock):
    r"""CBAM's channel attention: one MLP, shared by the average and the maximum of each channel.

    .. math::

        M_c(F) &= \sigma\big(\mathrm{MLP}(\mathrm{AvgPool}(F))
            + \mathrm{MLP}(\mathrm{MaxPool}(F))\big) \\
        \mathrm{MLP}(z) &= W_2\,\mathrm{ReLU}(W_1 z), \qquad F' = M_c(F) \otimes F

    with :math:`W_1 \in \mathbb{R}^{C/r \times C}` and :math:`W_2 \in \mathbb{R}^{C \times C/r}`.

    Input and output are ``[B, C, H, W]``; the channel attention map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.
        reduction: reduction ratio r; the hidden layer has C // r units.
        pools: ``"avg"``, ``"max"`` or both; with ``"avg"`` alone this is squeeze-and-excitation.
        bias: whether the two layers have biases. The paper's equation has none; the authors' code,
            and the costs printed in the paper, have them.
        layer: ``"conv"`` for 1x1 convolutions, ``"linear"`` for linear layers: the same function.

    Raises:
        ValueError: if C // r < 1, no pool or an unknown one is named, or an argument is not of its
            kind; on call, if the input has not four axes or not C channels.

    Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018,
    equation 2.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        pools: str | Sequence[str] = ("avg", "max"),
        bias: bool = False,
        layer: str = "conv",
    ) -> None:
        super().__init__()
        self.channels = check_positive("channels", channels)
        self.reduction = check_positive("reduction", reduction)
        self.mlp = bottleneck(self.channels, self.reduction, bias, layer)
        self.pools = check_pools(pools)

    def attention_map(self, x: Tensor) -> Tensor:
        """The channel attention map: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``, values in (0, 1)."""
        self.check_input(x)
        scores = sum(apply_bottleneck(self.mlp, pool_places(x, pool)) for pool in self.pools)
        return scores.sigmoid()[:, :, None, None]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, reduction={self.reduction}, pools={self.pools}"


class ECA(AttentionBlock):
    r"""Efficient channel attention: one small convolution along the channels, no bottleneck.

    .. math::

        M_c(F) &= \sigma\Big(\sum_{p \in \mathrm{pools}} \mathrm{conv}_k(p(F))\Big) \\
        F' &= M_c(F) \otimes F

    where :math:`\mathrm{conv}_k` slides one kernel of k weights over the vector of C pooled values,
    so each channel listens to its k nearest neighbors. With ``pools="avg"`` this is ECA-Net's
    block; with ``pools=("avg", "max")`` it is the "Conv" mode of CBAM's channel attention.

    Input and output are ``[B, C, H, W]``; the channel attention map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.
        kernel_size: odd kernel size k; an explicit one is obeyed. ``None`` adapts it to C, see
            :func:`eca_kernel_size`.
        gamma, b: the constants of the adaptive kernel size, of no use beside an explicit one.
        pools: ``"avg"``, ``"max"`` or both.

    Raises:
        ValueError: if the kernel size is even, no pool or an unknown one is named, ``gamma`` or
            ``b`` would be ignored, or an argument is not of its kind; on call, if the input has not
            four axes or not C channels.

    Source: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020, equations 7-12.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        *,
        gamma: float = 2,
        b: float = 1,
        pools: str | Sequence[str] = "avg",
    ) -> None:
        super().__init__()
        self.channels = check_positive("channels", channels)
        if kernel_size is None:
            kernel_size = eca_kernel_size(channels, gamma, b)
        elif (gamma, b) != (2, 1):
            raise ValueError(
                f"kernel_size={kernel_size!r} is given, so the constants of the adaptive one "
                f"would be ignored; got gamma={gamma!r}, b={b!r}"
            )
        k = self.kernel_size = check_odd("kernel_size", kernel_size)
        self.pools = check_pools(pools)
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def attention_map(self, x: Tensor) -> Tensor:
        """The channel attention map: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``, values in (0, 1)."""
        self.check_input(x)
        scores = sum(self.conv(pool_places(x, pool).unsqueeze(1)) for pool in self.pools)
        return scores.sigmoid().transpose(1, 2).unsqueeze(3)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, kernel_size={self.kernel_size}, pools={self.pools}"


def eca_kernel_size(channels: int, gamma: float = 2, b: float = 1) -> int:
    r"""ECA's kernel size for C channels.

    .. math:: k = \left| \frac{\log_2 C + b}{\gamma} \right|_{\mathrm{odd}}

    As in the authors' code, the quotient is cut to an integer and 1 is added if that is even.

    Args:
        channels: number of channels C.
        gamma, b: the constants of the rule; :math:`\gamma` is not zero.

    Returns:
        The odd kernel size k, at least 1.

    Raises:
        ValueError: if ``channels`` is not a positive integer, ``gamma`` or ``b`` not a finite
            number, or ``gamma`` zero.

    Source: ECA-Net (CVPR 2020), equation 12.
    """
    channels = check_positive("channels", channels)
    if check_number("gamma", gamma) == 0:
        raise ValueError("gamma must not be zero: the kernel size is (log2 C + b) / gamma")
    k = int(abs((log2(channels) + check_number("b", b)) / gamma))
    return k if k % 2 else k + 1
