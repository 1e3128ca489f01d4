"""CBAM's channel attention, in the mode "FC": a shared MLP."""

from collections.abc import Sequence

from torch import Tensor, nn

from .arguments import check_choice, check_choices, check_integer
from .block import AttentionBlock, pool_positions


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

    fused_over = (2, 3)

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
        self.channels = check_integer("channels", channels)
        self.reduction = check_integer("reduction", reduction)
        self.pools = check_choices("pools", pools, ("avg", "max"))
        self.layer = check_choice("layer", layer, ("conv", "linear"))
        hidden = self.channels // self.reduction
        if hidden < 1:
            raise ValueError(
                f"reduction {reduction} leaves no hidden unit for {channels} channels "
                f"({channels} // {reduction} = 0); choose a reduction of at most {channels}"
            )
        # A 1x1 convolution of [B, C, 1, 1] and a linear layer of [B, C] are the same function; the
        # spelling decides the shape of the stored weights.
        make, size = (nn.Linear, ()) if layer == "linear" else (nn.Conv2d, (1,))
        self.mlp = nn.Sequential(
            make(self.channels, hidden, *size, bias=bias),
            nn.ReLU(),
            make(hidden, self.channels, *size, bias=bias),
        )

    def attention_map(self, x: Tensor) -> Tensor:
        """The channel attention map: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``, values in (0, 1)."""
        self.check_input(x)
        return self.gate([pool_positions(x, pool) for pool in self.pools])

    def gate(self, vectors: Sequence[Tensor]) -> Tensor:
        """The map from the pooled vectors: ``[B, C]`` each -> ``[B, C, 1, 1]``."""
        # The layers are not asked for their spelling: they may be wrapped, quantized or replaced.
        if self.layer == "linear":
            scores = sum(self.mlp(vector) for vector in vectors)
        else:
            scores = sum(self.mlp(vector[:, :, None, None]).flatten(1) for vector in vectors)
        return scores.sigmoid()[:, :, None, None]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, reduction={self.reduction}, pools={self.pools}"
