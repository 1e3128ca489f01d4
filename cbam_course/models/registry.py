"""The networks by name."""

from collections.abc import Callable
from typing import Any

from torch import nn

from ..attention import AttentionFactory
from ..attention.block import check_choice
from .cifar_cnn import cifar_cnn
from .mobilenet import mobilenet_v1, mobilenet_v2
from .resnet_builders import (
    cifar_resnet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnext50_32x4d,
    resnext101_32x4d,
    wide_resnet18,
)

_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    builder.__name__: builder
    for builder in (
        cifar_cnn,
        cifar_resnet,
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        wide_resnet18,
        resnext50_32x4d,
        resnext101_32x4d,
        mobilenet_v1,
        mobilenet_v2,
    )
}

MODEL_NAMES = tuple(_BUILDERS)
"""The names that :func:`make_model` knows."""


def make_model(
    name: str, attention: AttentionFactory | str | None = None, **options: Any
) -> nn.Module:
    """The network called ``name``.

    Args:
        name: one of :data:`MODEL_NAMES`; ``-`` is read as ``_``.
        attention: a name of :data:`~cbam_course.attention.ATTENTION_NAMES`, a factory
            ``channels -> module``, or ``None``.
        options: keyword arguments of the builder, such as ``num_classes=10``.

    Raises:
        ValueError: for an unknown name, or whatever the builder refuses.

    Example:
        >>> make_model("resnet18", "cbam-fc", num_classes=10).fc.out_features
        10
    """
    if isinstance(name, str):
        name = name.replace("-", "_")
    return _BUILDERS[check_choice("name", name, MODEL_NAMES)](attention, **options)
