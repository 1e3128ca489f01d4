"""Networks that take an attention factory and put a block into each of their stages or layers."""

from .cifar_cnn import CifarCNN
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
    "BasicBlock",
    "Bottleneck",
    "CifarCNN",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "wide_resnet18",
]
