"""The residual networks of the papers by name, with or without attention and weights."""

from collections.abc import Iterable

from ..attention import AttentionFactory
from ..attention.block import check_number
from .build import build
from .resnet import ResNet
from .weights import Weights


def cifar_resnet(
    attention: AttentionFactory | str | None = None,
    *,
    depths: Iterable[int] = (3, 3, 3),
    widths: Iterable[int] = (16, 32, 64),
    block: str = "basic",
    groups: int = 1,
    width_per_group: int = 64,
    weights: Weights | None = None,
    num_classes: int | None = None,
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """The residual network for 32 x 32 images, by default ResNet-20: 272,474 parameters.

    Depths (9, 9, 9) make ResNet-56. Other blocks, widths and groups make its wide and its ResNeXt
    relatives. Where a stage begins, the shortcut has a 1x1 convolution; in He's own table 6 it has
    no weights, so that ResNet-20 has 0.27 M parameters with either.

    Args:
        attention: as in :func:`resnet18`.
        depths, widths, block, groups, width_per_group: as in :class:`ResNet`.
        weights: whatever :func:`~cbam_course.models.load_weights` takes.
        num_classes: number of classes; ``None`` for that of the weights, or 10.
        in_channels, start_as_identity: as in :func:`resnet18`.

    Raises:
        ValueError: if an argument is out of its range or not of its kind, or the weights do not
            fit.
    """
    return build(
        "cifar_resnet",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        classes=10,
        block=block,
        depths=depths,
        widths=widths,
        groups=groups,
        width_per_group=width_per_group,
        stem="cifar",
        in_channels=in_channels,
    )


def resnet18(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNet-18: 2 basic blocks in each of 4 stages; 11,689,512 parameters.

    Args:
        attention: a name of :data:`~cbam_course.attention.ATTENTION_NAMES`, a factory
            ``channels -> module``, or ``None``: what goes at the end of every residual branch.
        weights: a name of torchvision's weights, such as ``"DEFAULT"``, or whatever
            :func:`~cbam_course.models.load_weights` takes; what was loaded and what starts fresh is
            in ``load_report``.
        num_classes: number of classes; ``None`` for that of the weights, or 1000.
        stem, in_channels: as in :class:`ResNet`.
        start_as_identity: whether the attention blocks start as the identity, see
            :class:`~cbam_course.attention.IdentityStart`, so that they leave the outputs of
            a network with trained weights unchanged at first.

    Raises:
        ValueError: if an argument is out of its range or not of its kind, or the weights do not
            fit.
    """
    return build(
        "resnet18",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="basic",
        depths=(2, 2, 2, 2),
        stem=stem,
        in_channels=in_channels,
    )


def resnet34(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNet-34: 3, 4, 6 and 3 basic blocks; 21,797,672 parameters.

    The arguments are those of :func:`resnet18`.
    """
    return build(
        "resnet34",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="basic",
        depths=(3, 4, 6, 3),
        stem=stem,
        in_channels=in_channels,
    )


def resnet50(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    version: str = "v1.5",
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNet-50: 3, 4, 6 and 3 bottleneck blocks; 25,557,032 parameters.

    ``version`` is ``"v1"`` or ``"v1.5"``, see :class:`Bottleneck`; torchvision's weights are of
    version 1.5. The other arguments are those of :func:`resnet18`.
    """
    return build(
        "resnet50",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="bottleneck",
        depths=(3, 4, 6, 3),
        version=version,
        stem=stem,
        in_channels=in_channels,
    )


def resnet101(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    version: str = "v1.5",
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNet-101: 3, 4, 23 and 3 bottleneck blocks; 44,549,160 parameters.

    The arguments are those of :func:`resnet50`.
    """
    return build(
        "resnet101",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="bottleneck",
        depths=(3, 4, 23, 3),
        version=version,
        stem=stem,
        in_channels=in_channels,
    )


def wide_resnet18(
    attention: AttentionFactory | str | None = None,
    *,
    widen: float = 2.0,
    weights: Weights | None = None,
    num_classes: int | None = None,
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNet-18 with stages ``widen`` times as wide, as in CBAM's table 4.

    The stages have ``int(64 * widen)``, ... channels, the stem keeps its 64. The other arguments
    are those of :func:`resnet18`.
    """
    if check_number("widen", widen) * 64 < 1:
        raise ValueError(f"widen must leave a channel in every stage, got {widen!r}")
    widths = tuple(int(width * widen) for width in (64, 128, 256, 512))
    return build(
        "wide_resnet18",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="basic",
        depths=(2, 2, 2, 2),
        widths=widths,
        stem=stem,
        in_channels=in_channels,
    )


def resnext50_32x4d(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    version: str = "v1.5",
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNeXt-50 with 32 groups of 4 channels; 25,028,904 parameters.

    The arguments are those of :func:`resnet50`.
    """
    return build(
        "resnext50_32x4d",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="bottleneck",
        depths=(3, 4, 6, 3),
        groups=32,
        width_per_group=4,
        version=version,
        stem=stem,
        in_channels=in_channels,
    )


def resnext101_32x4d(
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    version: str = "v1.5",
    stem: str = "imagenet",
    in_channels: int = 3,
    start_as_identity: bool = False,
) -> ResNet:
    """ResNeXt-101 with 32 groups of 4 channels; 44,177,704 parameters.

    The arguments are those of :func:`resnet50`.
    """
    return build(
        "resnext101_32x4d",
        ResNet,
        attention,
        weights,
        num_classes,
        start_as_identity,
        block="bottleneck",
        depths=(3, 4, 23, 3),
        groups=32,
        width_per_group=4,
        version=version,
        stem=stem,
        in_channels=in_channels,
    )
