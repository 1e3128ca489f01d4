"""The networks of the printed rows, made on the meta device: shapes without values."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn

from .. import models
from ..attention import AttentionFactory, SqueezeExcitation, eca_kernel_size, make_attention
from .bam import BAM
from .conventions import CONVENTIONS, convention_of
from .rules import operations

BASES: dict[str, tuple[str, float | None]] = {
    "ResNet18": ("resnet18", None),
    "ResNet34": ("resnet34", None),
    "ResNet50": ("resnet50", None),
    "ResNet101": ("resnet101", None),
    "WideResNet18 (widen=1.5)": ("wide_resnet18", 1.5),
    "WideResNet18 (widen=2.0)": ("wide_resnet18", 2.0),
    "ResNeXt50": ("resnext50_32x4d", None),
    "ResNeXt101": ("resnext101_32x4d", None),
    "MobileNet alpha=0.7": ("mobilenet_v1", 0.7),
    "MobileNet": ("mobilenet_v1", 1.0),
}
"""How tables call a network, without its hyphens: builder and width (widen or alpha)."""

ATTENTIONS = {
    "": "none",
    "SE": "se",
    "SENet": "se",
    "channel (SE)": "se",
    "AvgPool (SE)": "se",
    "MaxPool": "max",
    "AvgPool & MaxPool": "channel",
    "channel": "channel",
    "channel + spatial (1x1 conv, k=3)": "1x1 conv, k=3",
    "channel + spatial (1x1 conv, k=7)": "1x1 conv, k=7",
    "channel + spatial (avg&max, k=3)": "cbam, k=3",
    "channel + spatial (avg&max, k=7)": "cbam",
    "CBAM": "cbam",
    "ECA-Net": "eca",
}
"""How tables call an attention block, and its key in :data:`FACTORIES`."""


def _cbam(bias: bool, kernel_size: int = 7, **spatial_options) -> AttentionFactory:
    return make_attention(
        "cbam-fc",
        kernel_size=kernel_size,
        channel_options={"bias": bias, "layer": "linear"},
        spatial_options=spatial_options,
    )


def _rounded_se(channels: int) -> nn.Module:
    """SE with round(C / 16) hidden units, instead of C // 16."""
    block, hidden = SqueezeExcitation(channels), round(channels / 16)
    block.mlp = nn.Sequential(
        nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
    )
    return block


FACTORIES: dict[str, Callable[[bool], AttentionFactory | None]] = {
    "none": lambda bias: None,
    "se": lambda bias: make_attention("se", bias=bias, layer="linear"),
    "rounded se": lambda bias: _rounded_se,
    "max": lambda bias: make_attention("channel-fc", pools="max", bias=bias),
    "channel": lambda bias: make_attention("channel-fc", bias=bias),
    "1x1 conv, k=3": lambda bias: _cbam(bias, 3, pools="conv"),
    "1x1 conv, k=7": lambda bias: _cbam(bias, 7, pools="conv"),
    "cbam, k=3": lambda bias: _cbam(bias, 3),
    "cbam": _cbam,
    "eca": lambda bias: make_attention("eca"),
    "bam": lambda bias: None,
    "se, pointwise": lambda bias: make_attention("se", bias=bias, layer="linear"),
}
"""From a key, and whether the MLP has biases, to the blocks of a network."""


@dataclass(frozen=True)
class Network:
    """A network of a printed row.

    Attributes:
        builder: a name that :func:`~cbam_course.models.make_model` knows.
        width: widen or alpha, for the builders that have one.
        attention: a key of :data:`FACTORIES`. ``"bam"`` is a BAM after each of the first three
            stages; with ``"se, pointwise"`` only MobileNet's 1x1 convolutions have a block.
        version: ``"v1"`` or ``"v1.5"``, of networks with bottleneck blocks.
        bias: whether the attention's MLP has biases.
    """

    builder: str
    width: float | None = None
    attention: str = "none"
    version: str = "v1.5"
    bias: bool = True

    def make(self) -> nn.Module:
        """The network, without values in its parameters."""
        make = partial(models.make_model, self.builder)
        if self.builder in ("resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x4d"):
            make = partial(make, version=self.version)
        elif self.builder == "wide_resnet18":
            make = partial(make, widen=self.width)
        elif self.builder == "mobilenet_v1":
            make = partial(make, alpha=self.width)
        with torch.device("meta"):
            network = make(FACTORIES[self.attention](self.bias))
            if self.attention == "bam":
                for stage in (network.layer1, network.layer2, network.layer3):
                    stage.append(BAM(stage[-1].conv3.out_channels))
        if self.attention == "se, pointwise":
            for layer in network.features:
                if layer.conv.kernel_size != (1, 1):
                    layer.attention = nn.Identity()
        return network


SUFFIXES = (" (baseline)", " (re-implementation)", " (32x4d)")


def network_of(paper: str, table: str, row: str) -> Network | None:
    """The network that a printed row means; ``None`` if it is not one of this course."""
    base, _, attention = row.partition(" + ")
    if base.startswith("SE-"):
        base, attention = base.removeprefix("SE-"), "SE"
    for suffix in SUFFIXES:
        base = base.removesuffix(suffix)
    base = base.replace("-", "")
    if base not in BASES or attention not in ATTENTIONS:
        return None
    builder, width = BASES[base]
    attention = ATTENTIONS[attention]
    convention = CONVENTIONS[convention_of(paper, table)]
    if (paper, builder, attention) == ("SE-Net", "mobilenet_v1", "se"):
        attention = "se, pointwise"
    return Network(
        builder,
        width,
        attention,
        version=convention.resnext if builder.startswith("resnext") else convention.resnet,
        bias=convention.se_bias if attention.startswith("se") else convention.cbam_bias,
    )


@cache
def network_cost(network: Network, rule: str = "conv + FC") -> tuple[int, int]:
    """Parameters of a network, and its operations for an image of 224 x 224 by one of the RULES."""
    model = network.make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # It changes no shape and no count, and takes half of the time on the meta device.
            module.forward = _unchanged
    return sum(p.numel() for p in model.parameters()), operations(model, rule)


def _unchanged(x: Tensor) -> Tensor:
    return x


def eca_parameters(
    kernel_sizes: tuple[int, ...] | None = None, depths: tuple[int, ...] = (3, 4, 6, 3)
) -> int:
    r"""Number of parameters of all ECA blocks in a ResNet with bottleneck blocks.

    .. math:: \sum_{\text{stage}} \text{blocks} \cdot k

    In ResNet-50 ECA-Net's equation 12 gives k = 5, 5, 5, 7 for the four stages (256 to 2048
    channels), and so 86 parameters. The paper's "80" is k = 3, 5, 5, 7.

    Args:
        kernel_sizes: k of each stage; ``None`` for the equation's.
        depths: blocks of each stage.

    Raises:
        ValueError: if the two are not as many.
    """
    if kernel_sizes is None:
        kernel_sizes = tuple(eca_kernel_size(256 * 2**stage) for stage in range(len(depths)))
    if len(kernel_sizes) != len(depths):
        raise ValueError(
            f"kernel_sizes and depths must have one number for each stage; got {kernel_sizes} and "
            f"{depths}"
        )
    return sum(depth * k for depth, k in zip(depths, kernel_sizes, strict=True))
