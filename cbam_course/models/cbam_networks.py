"""The networks by name, with CBAM for their attention."""

from functools import partial
from typing import Any

from ..attention import CBAM
from .mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .resnet import ResNet
from .resnet_builders import (
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnext50_32x4d,
    resnext101_32x4d,
    wide_resnet18,
)
from .weights import Weights


def resnet18_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-18 with CBAM at the end of every residual branch.

    Args:
        weights, num_classes: as in :func:`resnet18`.
        reduction, kernel_size, mode: as in :class:`~cbam_course.attention.CBAM`.
        network_options: the other keyword arguments of :func:`resnet18`, such as ``stem``.

    Raises:
        ValueError: for whatever the network or the block refuses.

    Example:
        >>> resnet18_cbam(kernel_size=3).layer1[0].attention.spatial_attention.kernel_size
        3
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnet18(block, weights=weights, num_classes=num_classes, **network_options)


def resnet34_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-34 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet34`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnet34(block, weights=weights, num_classes=num_classes, **network_options)


def resnet50_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-50 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet50`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnet50(block, weights=weights, num_classes=num_classes, **network_options)


def resnet101_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-101 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet101`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnet101(block, weights=weights, num_classes=num_classes, **network_options)


def wide_resnet18_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """WideResNet-18 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`wide_resnet18`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return wide_resnet18(block, weights=weights, num_classes=num_classes, **network_options)


def resnext50_32x4d_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNeXt-50 (32x4d) with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnext50_32x4d`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnext50_32x4d(block, weights=weights, num_classes=num_classes, **network_options)


def resnext101_32x4d_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNeXt-101 (32x4d) with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnext101_32x4d`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return resnext101_32x4d(block, weights=weights, num_classes=num_classes, **network_options)


def mobilenet_v1_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> MobileNetV1:
    """MobileNet v1 with CBAM after every convolution.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`mobilenet_v1`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return mobilenet_v1(block, weights=weights, num_classes=num_classes, **network_options)


def mobilenet_v2_cbam(
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> MobileNetV2:
    """MobileNet v2 with CBAM on the last feature map, or where ``where`` says.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`mobilenet_v2`.
    """
    block = partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
    return mobilenet_v2(block, weights=weights, num_classes=num_classes, **network_options)
