"""Efficient channel attention, and with it the mode "Conv" of CBAM's channel attention."""

from collections.abc import Sequence
from math import log2

from torch import Tensor, nn

from .arguments import check_choices, check_integer, check_odd
from .block import AttentionBlock, pool_positions


class ECA(AttentionBlock):
    r"""Efficient channel attention: one small convolution along the channels, no bottleneck.

    .. math::

        M_c(F) &= \sigma\Big(\sum_{p \in \mathrm{pools}} \mathrm{conv}_k(p(F))\Big) \\
        F' &= M_c(F) \otimes F

    where :math:`\mathrm{conv}_k` slides one kernel of k weights over the vector of C pooled values,
    so that the weight of a channel depends on the k channels around it. With ``pools="avg"`` this
    is ECA-Net's block; with ``pools=("avg", "max")`` it is the "Conv" mode of CBAM's channel
    attention.

    Input and output are ``[B, C, H, W]``; the channel attention map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.
        kernel_size: odd kernel size k; ``None`` adapts it to C, see :func:`eca_kernel_size`.
        pools: ``"avg"``, ``"max"`` or both.

    Raises:
        ValueError: if the kernel size is even, no pool or an unknown one is named, or an argument
            is not of its kind; on call, if the input has not four axes or not C channels.

    Source: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020, equations 7-12.
    """

    fused_over = (2, 3)

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        *,
        pools: str | Sequence[str] = "avg",
    ) -> None:
        super().__init__()
        self.channels = check_integer("channels", channels)
        if kernel_size is None:
            kernel_size = eca_kernel_size(channels)
        k = self.kernel_size = check_odd("kernel_size", kernel_size)
        self.pools = check_choices("pools", pools, ("avg", "max"))
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def attention_map(self, x: Tensor) -> Tensor:
        """The channel attention map: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``, values in (0, 1)."""
        self.check_input(x)
        return self.gate([pool_positions(x, pool) for pool in self.pools])

    def gate(self, vectors: Sequence[Tensor]) -> Tensor:
        """The map from the pooled vectors: ``[B, C]`` each -> ``[B, C, 1, 1]``."""
        scores = sum(self.conv(vector.unsqueeze(1)) for vector in vectors)
        return scores.sigmoid().transpose(1, 2).unsqueeze(3)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, kernel_size={self.kernel_size}, pools={self.pools}"


def eca_kernel_size(channels: int) -> int:
    r"""ECA's kernel size for C channels.

    .. math::

        k = \left| \frac{\log_2 C + b}{\gamma} \right|_{\mathrm{odd}},
        \qquad \gamma = 2, \quad b = 1

    As in the authors' code, the quotient is cut to an integer and 1 is added if that is even.

    Args:
        channels: number of channels C.

    Returns:
        The odd kernel size k, at least 1.

    Raises:
        ValueError: if ``channels`` is not a positive integer.

    Source: ECA-Net (CVPR 2020), equation 12.
    """
    k = int((log2(check_integer("channels", channels)) + 1) / 2)
    return k if k % 2 else k + 1
