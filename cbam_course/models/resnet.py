"""Residual networks with an attention block at the end of every residual branch."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from cbam_course.attention import AttentionFactory
from cbam_course.attention.arguments import check, check_choice, check_integer

from .attach import attach


class BasicBlock(torchvision_resnet.BasicBlock):
    r"""torchvision's basic block, with attention on the residual branch.

    .. math::

        y = \mathrm{ReLU}\big(\mathrm{attention}(\mathcal F(x)) + \mathrm{shortcut}(x)\big), \qquad
        \mathcal F = \mathrm{BN} \circ \mathrm{conv}_{3\times3} \circ \mathrm{ReLU} \circ
        \mathrm{BN} \circ \mathrm{conv}_{3\times3}

    Arguments and names are torchvision's; ``attention`` is ``nn.Identity()`` until it is replaced.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; where
    the attention is: CBAM (ECCV 2018), figure 3.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.attention: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, H, W]`` -> ``[B, C, H / stride, W / stride]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(self.attention(out) + shortcut)


class Bottleneck(torchvision_resnet.Bottleneck):
    r"""torchvision's bottleneck block, with attention on the residual branch.

    .. math::

        y = \mathrm{ReLU}\big(\mathrm{attention}(\mathcal F(x)) + \mathrm{shortcut}(x)\big), \qquad
        \mathcal F = \mathrm{BN} \circ \mathrm{conv}_{1\times1} \circ \mathrm{ReLU} \circ
        \mathrm{BN} \circ \mathrm{conv}_{3\times3} \circ \mathrm{ReLU} \circ
        \mathrm{BN} \circ \mathrm{conv}_{1\times1}

    Arguments and names are torchvision's; ``attention`` is ``nn.Identity()`` until it is replaced.

    Args:
        version: ``"v1.5"``, torchvision's, has the stride on the 3x3 convolution; ``"v1"``, the
            paper's, on the first 1x1 convolution, which costs less and loses 3/4 of the positions
            before the 3x3 convolution can see them. Both have the same weights.

    Raises:
        ValueError: for another version.

    Source: as of :class:`BasicBlock`.
    """

    def __init__(self, *args, version: str = "v1.5", **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if check_choice("version", version, ("v1", "v1.5")) == "v1":
            self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride
        self.attention: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, H, W]`` -> ``[B, 4 * planes, H / stride, W / stride]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(self.attention(out) + shortcut)


class Scale(nn.Module):
    r"""A fixed number s in the place of attention: :math:`y = s x`, for any shape."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class ResNet(nn.Module):
    r"""A residual network whose blocks carry attention.

    A stem, some stages of residual blocks, the global average pool and one linear layer. Every
    stage but the first halves height and width with its first block. Input
    ``[B, in_channels, H, W]``, output: the logits, ``[B, num_classes]``. With the ImageNet stem and
    four stages a 224 x 224 image is 112 x 112 after the first convolution, 56 x 56 after the
    max-pool and 7 x 7 at the end.

    Layers are named and initialized as in torchvision's ResNet, so its weights fit; the attention
    of block n of stage k is ``model.layerK[n].attention`` (``nn.Identity`` without attention).

    Args:
        block: ``"basic"`` (two 3x3 convolutions) or ``"bottleneck"`` (1x1, 3x3, 1x1).
        depths: number of blocks of each stage.
        attention, num_classes: as of :func:`make_model`.
        widths: channels of each stage; bottleneck blocks put out four times as many.
        widen: makes the stages this many times as wide, cut to integers, as in CBAM's table 4.
        groups, width_per_group: ResNeXt's: the 3x3 convolution of a bottleneck has ``groups``
            groups of ``width_per_group`` channels each at width 64. (1, 64) is the plain ResNet.
        version: where bottleneck blocks have their stride, ``"v1.5"`` if ``None``, see
            :class:`Bottleneck`. Basic blocks have it on the first convolution in both versions.
        stem: ``"imagenet"``, a 7x7 convolution with stride 2 to 64 channels and a max-pool, or
            ``"cifar"``, a 3x3 convolution with stride 1 to as many channels as the first stage.
        in_channels: channels of the input image.
        zero_init_residual: start the last BatchNorm of every residual branch with the weight 0, so
            that each block is the identity at first (Goyal and others, 2017).
        residual_scale: multiply every residual branch by this number, instead of attention.

    Raises:
        ValueError: if an argument is out of its range or would be ignored.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; groups:
    Xie, Girshick, Dollár, Tu, He, "Aggregated Residual Transformations", CVPR 2017. He's ResNet-20
    for CIFAR-10 is ``ResNet("basic", (3, 3, 3), widths=(16, 32, 64), stem="cifar")``.
    """

    def __init__(
        self,
        block: str,
        depths: Iterable[int],
        attention: AttentionFactory | str | None = None,
        num_classes: int = 1000,
        *,
        widths: Iterable[int] = (64, 128, 256, 512),
        widen: float = 1.0,
        groups: int = 1,
        width_per_group: int = 64,
        version: str | None = None,
        stem: str = "imagenet",
        in_channels: int = 3,
        zero_init_residual: bool = False,
        residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        bottleneck = check_choice("block", block, ("basic", "bottleneck")) == "bottleneck"
        widths = [int(check_integer("each of the widths", width) * widen) for width in widths]
        depths = [check_integer("each of the depths", depth) for depth in depths]
        stages = f"of {len(widths)} numbers, one for each of the widths"
        check("depths", depths, len(depths) == len(widths), stages)
        check("version", version, bottleneck or version is None, "None: basic blocks have but one")
        check_choice("stem", stem, ("imagenet", "cifar"))
        if residual_scale != 1.0:
            fine = attention is None
            check("residual_scale", residual_scale, fine, "1 for a network with attention")

            def attention(channels: int) -> nn.Module:
                return Scale(residual_scale)

        channels = 64 if stem == "imagenet" else widths[0]
        kernel_size, stride = (7, 2) if stem == "imagenet" else (3, 1)
        padding = kernel_size // 2
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "imagenet" else nn.Identity()

        kind, options = BasicBlock, {"groups": groups, "base_width": width_per_group}
        self.version = (version or "v1.5") if bottleneck else None
        if bottleneck:
            kind, options = Bottleneck, options | {"version": self.version}
        self.layer_names = [f"layer{number}" for number in range(1, len(depths) + 1)]
        points = []
        for name, depth, width in zip(self.layer_names, depths, widths, strict=True):
            blocks, outputs = [], width * kind.expansion
            for n in range(depth):
                stride = 2 if n == 0 and name != "layer1" else 1
                downsample = None
                if stride != 1 or channels != outputs:
                    downsample = nn.Sequential(
                        nn.Conv2d(channels, outputs, 1, stride=stride, bias=False),
                        nn.BatchNorm2d(outputs),
                    )
                blocks.append(kind(channels, width, stride, downsample, **options))
                channels = outputs
            setattr(self, name, nn.Sequential(*blocks))
            points += [(block, "attention", outputs) for block in blocks]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                nn.init.zeros_((module.bn3 if bottleneck else module.bn2).weight)
        attach(attention, points)

    def features(self, x: Tensor) -> Tensor:
        """The last feature map: ``[B, in_channels, H, W]`` -> ``[B, C, H / 32, W / 32]``.

        C is the last width, four times that with bottleneck blocks; H / 32 holds for the ImageNet
        stem and four stages, and is rounded up.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.layer_names:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """The logits: ``[B, in_channels, H, W]`` -> ``[B, num_classes]``."""
        return self.fc(torch.flatten(self.avgpool(self.features(x)), 1))
