"""Squeeze-and-excitation: channel weights from the averages of the channels."""

from .channel import ChannelAttention


class SqueezeExcitation(ChannelAttention):
    r"""Squeeze-and-excitation (SE) block: what CBAM's channel attention is without the maximum.

    .. math::

        z_c &= \frac{1}{HW} \sum_{i,j} F_{c,i,j} \\
        M_c(F) &= \sigma\big(W_2\,\mathrm{ReLU}(W_1 z + b_1) + b_2\big) \\
        F' &= M_c(F) \otimes F

    with :math:`W_1 \in \mathbb{R}^{C/r \times C}` and :math:`W_2 \in \mathbb{R}^{C \times C/r}`.

    Input and output are ``[B, C, H, W]``; the channel attention map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.
        reduction: reduction ratio r; the hidden layer has C // r units.
        bias: whether the two layers have biases (they do in the authors' code).
        layer: ``"conv"`` for 1x1 convolutions, ``"linear"`` for linear layers: the same function.

    Raises:
        ValueError: if C // r < 1, or an argument is not of its kind; on call, if the input has not
            four axes or not C channels.

    Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, equations 2-4.
    """

    fused_over = (2, 3)

    def __init__(
        self, channels: int, reduction: int = 16, *, bias: bool = True, layer: str = "conv"
    ) -> None:
        super().__init__(channels, reduction, pools="avg", bias=bias, layer=layer)
