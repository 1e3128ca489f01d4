"""The networks by name, with or without attention and weights."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision.models import get_model_weights

from cbam_course.attention import AttentionFactory, starting_as_identity
from cbam_course.attention.arguments import check_choice, check_integer
from cbam_course.attention.factory import as_factory

from .cifar_cnn import CifarCNN
from .mobilenet import MobileNetV1, MobileNetV2
from .resnet import ResNet
from .weights import Weights, load_weights

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "cifar_cnn": CifarCNN,
    # For 32 x 32 images: by default ResNet-20. Its shortcuts have a 1x1 convolution where a stage
    # begins; in He's own table 6 they have no weights. Depths (9, 9, 9) make ResNet-56.
    "cifar_resnet": partial(
        ResNet, block="basic", depths=(3, 3, 3), widths=(16, 32, 64), stem="cifar", num_classes=10
    ),
    "resnet18": partial(ResNet, "basic", (2, 2, 2, 2)),
    "resnet34": partial(ResNet, "basic", (3, 4, 6, 3)),
    "resnet50": partial(ResNet, "bottleneck", (3, 4, 6, 3)),
    "resnet101": partial(ResNet, "bottleneck", (3, 4, 23, 3)),
    "wide_resnet18": partial(ResNet, "basic", (2, 2, 2, 2), widen=2.0),
    "resnext50_32x4d": partial(ResNet, "bottleneck", (3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x4d": partial(ResNet, "bottleneck", (3, 4, 23, 3), groups=32, width_per_group=4),
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
}

MODEL_NAMES = tuple(NETWORKS)
"""The names that :func:`make_model` knows."""


def make_model(
    name: str,
    attention: AttentionFactory | str | None = None,
    *,
    weights: Weights | None = None,
    num_classes: int | None = None,
    start_as_identity: bool = False,
    **options: Any,
) -> nn.Module:
    """The network called ``name``.

    Args:
        name: one of :data:`MODEL_NAMES`; ``-`` is read as ``_``.
        attention: a name that :func:`~cbam_course.attention.make_attention` knows, a factory
            ``channels -> module``, or ``None``: what goes to the end of every stage of
            :class:`CifarCNN`, of every residual branch of a :class:`ResNet`, of every layer of
            :class:`MobileNetV1`, and where :class:`MobileNetV2` is told.
        weights: the name of torchvision's weights, such as ``"DEFAULT"``, or whatever
            :func:`load_weights` takes; its report is ``model.load_report``, else ``None``.
        num_classes: number of classes; ``None`` for 1000, and 10 for the networks whose names
            begin with ``cifar``.
        start_as_identity: whether the attention blocks start as the identity, see
            :class:`~cbam_course.attention.IdentityStart`, so that they leave the outputs of
            a network with trained weights unchanged at first.
        options: further arguments of the network's class, such as ``in_channels=6``,
            ``stem="cifar"``, ``version="v1"`` (ResNets), ``widen=1.5`` (wide ResNets),
            ``alpha=0.7`` (MobileNet v1) or ``where="blocks"`` (MobileNet v2).

    Raises:
        ValueError: for an unknown name, a number of classes below 1 or one that is not given where
            the weights have another, and whatever the network, the block or :func:`load_weights`
            refuses.
        TypeError: for an option that the network does not have.

    Example:
        >>> make_model("resnet18", "cbam-fc", num_classes=10).fc.out_features
        10
    """
    name = name.replace("-", "_")
    make = NETWORKS[check_choice("name", name, MODEL_NAMES)]
    factory = as_factory(attention)
    if start_as_identity and factory is not None:
        factory = starting_as_identity(factory)
    if isinstance(weights, str) and not os.path.exists(weights):
        try:
            weights = get_model_weights(name)[weights]
        except (KeyError, ValueError):
            raise ValueError(
                f"weights {weights!r} are neither a file nor the name of torchvision's weights "
                f"for {name}, such as 'DEFAULT'"
            ) from None
    if num_classes is not None:
        options["num_classes"] = check_integer("num_classes", num_classes)
    model = make(attention=factory, **options)
    model.load_report = report = None if weights is None else load_weights(model, weights)
    if report is not None and num_classes is None:
        for reason in report.reasons.values():
            if "classes" in reason:
                raise ValueError(f"num_classes must be given: {name} has {reason}")
    return model


def resnet18(attention: AttentionFactory | str | None = None, **options: Any) -> ResNet:
    """``make_model("resnet18", attention, **options)``; 11,689,512 parameters without attention."""
    return make_model("resnet18", attention, **options)


def resnet50(attention: AttentionFactory | str | None = None, **options: Any) -> ResNet:
    """``make_model("resnet50", attention, **options)``; 25,557,032 parameters without attention."""
    return make_model("resnet50", attention, **options)


def mobilenet_v2(attention: AttentionFactory | str | None = None, **options: Any) -> MobileNetV2:
    """``make_model("mobilenet_v2", attention, **options)``; 3,504,872 parameters without it."""
    return make_model("mobilenet_v2", attention, **options)


def resnet18_cbam(**options: Any) -> ResNet:
    """``make_model("resnet18", "cbam-fc", **options)``."""
    return make_model("resnet18", "cbam-fc", **options)


def resnet50_cbam(**options: Any) -> ResNet:
    """``make_model("resnet50", "cbam-fc", **options)``."""
    return make_model("resnet50", "cbam-fc", **options)


def mobilenet_v1_cbam(**options: Any) -> MobileNetV1:
    """``make_model("mobilenet_v1", "cbam-fc", **options)``."""
    return make_model("mobilenet_v1", "cbam-fc", **options)
