"""MobileNets: version 1 with attention after every convolution, version 2 where it is asked for."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenetv2 as torchvision_mobilenet

from cbam_course.attention import AttentionFactory
from cbam_course.attention.arguments import check_choices

from .attach import attach

SEPARABLE = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *[(512, 1)] * 5,
    *((1024, 2), (1024, 1)),
)
"""MobileNet v1's 13 depthwise separable convolutions: output channels at alpha 1, and stride."""


class ConvLayer(nn.Sequential):
    """Convolution, BatchNorm, ReLU, then attention.

    Input ``[B, in_channels, H, W]``, output ``[B, channels, H / stride, W / stride]``.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        options = {"padding": kernel_size // 2, "groups": groups, "bias": False}
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, stride, **options)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.attention: nn.Module = nn.Identity()


class MobileNetV1(nn.Module):
    r"""MobileNet version 1, with an attention block after every convolution.

    A 3x3 convolution and 13 depthwise separable convolutions, each of them a 3x3 convolution of
    every channel by itself and a 1x1 convolution that mixes the channels; every one of these 27 is
    followed by BatchNorm, ReLU and the attention. Then come the global average pool and one linear
    layer. Input ``[B, in_channels, H, W]``, output: the logits, ``[B, num_classes]``; a 224 x 224
    image is 7 x 7 at the end.

    The attention of layer k is ``model.features[k].attention`` (``nn.Identity`` without attention).

    Args:
        attention, num_classes: as of :func:`make_model`.
        alpha: the width multiplier :math:`\alpha`: a layer of c channels has
            :math:`\lfloor \alpha c \rfloor`.
        in_channels: channels of the input image.

    Raises:
        ValueError: if ``attention`` is no factory.

    Source: Howard et al., "MobileNets", 2017, table 1 (whose last depthwise convolution has stride
    1: with the printed 2 the sizes of the table do not follow); the attention: CBAM (ECCV 2018),
    table 5, whose counts need a block after each of the 27 convolutions.
    """

    def __init__(
        self,
        attention: AttentionFactory | str | None = None,
        num_classes: int = 1000,
        *,
        alpha: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        width = int(32 * alpha)
        layers, widths = [ConvLayer(in_channels, width, 3, stride=2)], [width]
        for channels, stride in SEPARABLE:
            layers.append(ConvLayer(width, width, 3, stride=stride, groups=width))
            layers.append(ConvLayer(width, int(channels * alpha), 1))
            widths += [width, width := int(channels * alpha)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, num_classes)
        for layer in layers:
            nn.init.kaiming_normal_(layer.conv.weight, mode="fan_out", nonlinearity="relu")
        attach(attention, [(m, "attention", c) for m, c in zip(layers, widths, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        """The logits: ``[B, in_channels, H, W]`` -> ``[B, num_classes]``."""
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class InvertedResidual(torchvision_mobilenet.InvertedResidual):
    r"""torchvision's inverted residual block, with attention at the end of the branch.

    .. math:: y = x + \mathrm{attention}(\mathcal F(x))

    without the addition where the stride or the number of channels forbids it. Arguments and names
    are torchvision's; ``attention`` is ``nn.Identity()`` until it is replaced.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.attention: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, H, W]`` -> ``[B, C, H / stride, W / stride]``."""
        out = self.attention(self.conv(x))
        return x + out if self.use_res_connect else out


class MobileNetV2(torchvision_mobilenet.MobileNetV2):
    r"""torchvision's MobileNet version 2, with attention at one or more of three insertion points.

    Input ``[B, in_channels, H, W]``, output: the logits, ``[B, num_classes]``; a 224 x 224 image is
    ``[B, 1280, 7, 7]`` before the pool. Layers are named and initialized as in torchvision, so its
    weights fit.

    Args:
        attention, num_classes: as of :func:`make_model`.
        where: ``"first"``, on the channels of the image (``model.first``); ``"last"``, on the final
            map of 1280 channels (``model.last``); ``"blocks"``, at the end of each of the 17
            inverted residual branches, before the addition (``model.features[k].attention``); or a
            tuple of these. An image has few channels: ``"first"`` needs ``reduction=1``.
        in_channels: channels of the input image.

    Raises:
        ValueError: if ``attention`` is no factory, or ``where`` names something else.

    Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2", CVPR 2018; "first" and "last" are
    those of the tutorial "Channel attention only, in MobileNetV2".
    """

    def __init__(
        self,
        attention: AttentionFactory | str | None = None,
        num_classes: int = 1000,
        *,
        where: str | Sequence[str] = "last",
        in_channels: int = 3,
    ) -> None:
        where = check_choices("where", where, ("first", "last", "blocks"))
        super().__init__(num_classes=num_classes, block=InvertedResidual)
        if in_channels != 3:
            old = self.features[0][0]
            new = nn.Conv2d(in_channels, old.out_channels, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(new.weight, mode="fan_out")
            self.features[0][0] = new
        self.first: nn.Module = nn.Identity()
        self.last: nn.Module = nn.Identity()
        blocks = [block for block in self.features if isinstance(block, InvertedResidual)]
        points = {
            "first": [(self, "first", in_channels)],
            "blocks": [(block, "attention", block.out_channels) for block in blocks],
            "last": [(self, "last", self.last_channel)],
        }
        attach(attention, [point for name in points if name in where for point in points[name]])

    def forward(self, x: Tensor) -> Tensor:
        """The logits: ``[B, in_channels, H, W]`` -> ``[B, num_classes]``."""
        pooled = F.adaptive_avg_pool2d(self.last(self.features(self.first(x))), 1).flatten(1)
        return self.classifier(pooled)
