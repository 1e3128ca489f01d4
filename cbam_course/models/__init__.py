"""Networks that take an attention factory and put a block into each of their stages or layers."""

from .builders import (
    MODEL_NAMES,
    make_model,
    mobilenet_v1_cbam,
    mobilenet_v2,
    resnet18,
    resnet18_cbam,
    resnet50,
    resnet50_cbam,
)
from .cifar_cnn import CifarCNN
from .convert import from_layout, layout, official_cbam, to_layout
from .insert import Insertion, InsertionReport, insert_attention
from .mobilenet import MobileNetV1, MobileNetV2
from .resnet import BasicBlock, Bottleneck, ResNet
from .weights import LoadReport, load_weights, read_weights

__all__ = [
    "MODEL_NAMES",
    "BasicBlock",
    "Bottleneck",
    "CifarCNN",
    "Insertion",
    "InsertionReport",
    "LoadReport",
    "MobileNetV1",
    "MobileNetV2",
    "ResNet",
    "from_layout",
    "insert_attention",
    "layout",
    "load_weights",
    "make_model",
    "mobilenet_v1_cbam",
    "mobilenet_v2",
    "official_cbam",
    "read_weights",
    "resnet18",
    "resnet18_cbam",
    "resnet50",
    "resnet50_cbam",
    "to_layout",
]
