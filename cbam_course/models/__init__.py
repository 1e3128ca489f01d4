"""Networks that take an attention factory and put a block into each of their stages or layers."""

from .cifar_cnn import CifarCNN, cifar_cnn
from .mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .registry import MODEL_NAMES, make_model
from .resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnext50_32x4d,
    resnext101_32x4d,
    wide_resnet18,
)

__all__ = [
    "MODEL_NAMES",
    "BasicBlock",
    "Bottleneck",
    "CifarCNN",
    "MobileNetV1",
    "MobileNetV2",
    "ResNet",
    "cifar_cnn",
    "make_model",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "wide_resnet18",
]
