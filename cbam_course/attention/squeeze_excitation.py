"""Squeeze-and-excitation: channel weights from the averages of the channels."""

from torch import Tensor

from .arguments import check_integer
from .block import AttentionBlock, apply_bottleneck, bottleneck, pool_positions


class SqueezeExcitation(AttentionBlock):
    r"""Squeeze-and-excitation (SE) block.

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

    def __init__(
        self, channels: int, reduction: int = 16, *, bias: bool = True, layer: str = "conv"
    ) -> None:
        super().__init__()
        self.channels = check_integer("channels", channels)
        self.reduction = check_integer("reduction", reduction)
        self.mlp = bottleneck(self.channels, self.reduction, bias, layer)
        self.layer = layer

    def attention_map(self, x: Tensor) -> Tensor:
        """The channel attention map: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``, values in (0, 1)."""
        self.check_input(x)
        squeezed = pool_positions(x, "avg")
        excited = apply_bottleneck(self.mlp, self.layer, squeezed)
        return excited.sigmoid()[:, :, None, None]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, reduction={self.reduction}"
