"""A control: a gate for each channel that does not look at the image."""

import torch
from torch import Tensor, nn

from .block import AttentionBlock, check_positive


class ConstantGate(AttentionBlock):
    r"""A learned weight for each channel, the same for every image and every place.

    .. math:: M = \sigma(w) \in (0, 1)^C, \qquad F'_c = \sigma(w_c) \, F_c

    What an attention block would be if it paid no attention: what a network gains from this block,
    it does not owe to looking. At first all weights are 1/2, near which a fresh block's map is too.

    Input and output are ``[B, C, H, W]``, the map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.

    Raises:
        ValueError: if ``channels`` is not a positive integer; on call, if the input has not four
            axes or not C channels.

    Source: a control of this course.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_positive("channels", channels)
        self.weight = nn.Parameter(torch.zeros(channels))

    def attention_map(self, x: Tensor) -> Tensor:
        """The weights, one copy for each image: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``."""
        self.check_input(x)
        gate = torch.sigmoid(self.weight).to(x.dtype)
        return gate[None, :, None, None].expand(x.shape[0], -1, 1, 1)

    def extra_repr(self) -> str:
        return f"channels={self.channels}"
