"""BAM, CBAM's elder sibling: as much of it as its cost needs."""

from torch import Tensor, nn


class BAM(nn.Module):
    r"""Bottleneck attention module: a channel and a spatial branch, side by side.

    .. math::

        M(F) &= \sigma\big(M_c(F) + M_s(F)\big), \qquad F' = F + M(F) \otimes F \\
        M_c(F) &= W_2\,\mathrm{ReLU}(\mathrm{BN}(W_1 \mathrm{AvgPool}(F) + b_1)) + b_2 \\
        M_s(F) &= f^{1 \times 1}(f^{3 \times 3}(f^{3 \times 3}(f^{1 \times 1}(F))))

    The first 1x1 convolution leaves C // r channels, the 3x3 convolutions have dilation 4, the last
    1x1 convolution leaves one channel; BatchNorm and ReLU follow all but the last. Input and output
    are ``[B, C, H, W]``.

    Source: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514;
    the BatchNorms are placed as in the authors' code.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = channels // reduction
        dilated = {"kernel_size": 3, "padding": 4, "dilation": 4}
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
        )
        self.spatial = nn.Sequential()
        for inputs, options in (
            (channels, {"kernel_size": 1}),
            (hidden, dilated),
            (hidden, dilated),
        ):
            layers = nn.Conv2d(inputs, hidden, **options), nn.BatchNorm2d(hidden), nn.ReLU()
            self.spatial.extend(layers)
        self.spatial.append(nn.Conv2d(hidden, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        channel = self.channel(x.mean(dim=(2, 3)))[:, :, None, None]
        return x + x * (channel + self.spatial(x)).sigmoid()
