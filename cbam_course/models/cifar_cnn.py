"""The small network for 32 x 32 images: stages of convolutions, each followed by attention."""

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from cbam_course.attention import AttentionFactory
from cbam_course.attention.arguments import check, check_integer

from .attach import attach


class CifarCNN(nn.Module):
    r"""Three stages of two 3x3 convolutions, with an attention block at the end of each stage.

    .. math::

        \text{stage}(x) = \mathrm{attention}\big((\mathrm{conv}_{3\times3}
        \to \mathrm{BN} \to \mathrm{ReLU})^2 (x)\big)

    A 2x2 max-pool follows every stage but the last; then come the global average pool, dropout and
    one linear layer. Input ``[B, in_channels, H, W]``, output: the logits, ``[B, num_classes]``. On
    the way a 32 x 32 image is ``[B, 64, 32, 32]``, ``[B, 128, 16, 16]``, ``[B, 256, 8, 8]`` with
    the usual widths.

    The attention of stage k is ``model.stages[k].attention`` (``nn.Identity`` without attention).

    Args:
        attention, num_classes: as of :func:`make_model`.
        widths: number of channels of each stage.
        dropout: probability of zeroing a feature before the linear layer.
        in_channels: channels of the input image.

    Raises:
        ValueError: if ``attention`` is no factory, or a number is out of its range.

    Source: the tutorial "Day 50 - CBAM"; its network is ``CifarCNN("cbam-fc")``.
    """

    def __init__(
        self,
        attention: AttentionFactory | str | None = None,
        num_classes: int = 10,
        *,
        widths: Iterable[int] = (64, 128, 256),
        dropout: float = 0.5,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        widths = [check_integer("each of the widths", width) for width in widths]
        inputs = (in_channels, *widths[:-1])
        self.stages = nn.ModuleList(ConvStage(*pair) for pair in zip(inputs, widths, strict=True))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(widths[-1], num_classes)
        attach(attention, [(s, "attention", c) for s, c in zip(self.stages, widths, strict=True)])

    def features(self, x: Tensor) -> Tensor:
        """The last feature map: ``[B, in_channels, H, W]`` -> ``[B, widths[-1], H / 4, W / 4]``.

        The division is by 2 for each stage but the last, so by 4 for three stages.
        """
        x = self.stages[0](x)
        for stage in self.stages[1:]:
            x = stage(F.max_pool2d(x, 2))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """The logits: ``[B, in_channels, H, W]`` -> ``[B, num_classes]``."""
        pooled = self.features(x).mean(dim=(2, 3))
        return self.classifier(self.dropout(pooled))


class ConvStage(nn.Sequential):
    """Two times (3x3 convolution, BatchNorm, ReLU), then attention.

    Input ``[B, in_channels, H, W]``, output ``[B, channels, H, W]``.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.attention: nn.Module = nn.Identity()
