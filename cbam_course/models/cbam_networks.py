"""The networks by name, with CBAM for their attention."""

from functools import partial
from typing import Any

from ..attention import CBAM, AttentionFactory
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


def resnet18_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-18 with CBAM at the end of every residual branch.

    Args:
        reduction, kernel_size, mode: as in :class:`~cbam_course.attention.CBAM`.
        network_options: keyword arguments of :func:`resnet18`, such as ``weights`` and
            ``num_classes``.

    Raises:
        ValueError: for whatever the network or the block refuses.

    Example:
        >>> resnet18_cbam(kernel_size=3).layer1[0].attention.spatial_attention.kernel_size
        3
    """
    return resnet18(_cbam(reduction, kernel_size, mode), **network_options)


def resnet34_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-34 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet34`.
    """
    return resnet34(_cbam(reduction, kernel_size, mode), **network_options)


def resnet50_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-50 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet50`.
    """
    return resnet50(_cbam(reduction, kernel_size, mode), **network_options)


def resnet101_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNet-101 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnet101`.
    """
    return resnet101(_cbam(reduction, kernel_size, mode), **network_options)


def wide_resnet18_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """WideResNet-18 with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`wide_resnet18`.
    """
    return wide_resnet18(_cbam(reduction, kernel_size, mode), **network_options)


def resnext50_32x4d_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNeXt-50 (32x4d) with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnext50_32x4d`.
    """
    return resnext50_32x4d(_cbam(reduction, kernel_size, mode), **network_options)


def resnext101_32x4d_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> ResNet:
    """ResNeXt-101 (32x4d) with CBAM at the end of every residual branch.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`resnext101_32x4d`.
    """
    return resnext101_32x4d(_cbam(reduction, kernel_size, mode), **network_options)


def mobilenet_v1_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> MobileNetV1:
    """MobileNet v1 with CBAM after every convolution.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`mobilenet_v1`.
    """
    return mobilenet_v1(_cbam(reduction, kernel_size, mode), **network_options)


def mobilenet_v2_cbam(
    *,
    reduction: int | None = None,
    kernel_size: int | None = None,
    mode: str = "fc",
    **network_options: Any,
) -> MobileNetV2:
    """MobileNet v2 with CBAM on the last feature map, or where ``where`` says.

    Arguments are those of :func:`resnet18_cbam`, the network's those of :func:`mobilenet_v2`.
    """
    return mobilenet_v2(_cbam(reduction, kernel_size, mode), **network_options)


def _cbam(reduction: int | None, kernel_size: int | None, mode: str) -> AttentionFactory:
    return partial(CBAM, reduction=reduction, kernel_size=kernel_size, mode=mode)
