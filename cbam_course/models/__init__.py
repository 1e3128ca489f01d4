"""Networks that take an attention factory and put a block into each of their stages or layers."""

from .cbam_networks import (
    mobilenet_v1_cbam,
    mobilenet_v2_cbam,
    resnet18_cbam,
    resnet34_cbam,
    resnet50_cbam,
    resnet101_cbam,
    resnext50_32x4d_cbam,
    resnext101_32x4d_cbam,
    wide_resnet18_cbam,
)
from .cifar_cnn import CifarCNN, cifar_cnn
from .convert import from_official, from_timm, layout, to_official, to_timm
from .factories import factory_for, official_cbam
from .files import read_weights, write_weights
from .insert import Insertion, InsertionReport, insert_attention
from .load_report import LoadReport
from .mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .registry import MODEL_NAMES, make_model
from .resnet import BasicBlock, Bottleneck, ResNet
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
from .weights import load_weights

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
    "cifar_cnn",
    "cifar_resnet",
    "factory_for",
    "from_official",
    "from_timm",
    "insert_attention",
    "layout",
    "load_weights",
    "make_model",
    "mobilenet_v1",
    "mobilenet_v1_cbam",
    "mobilenet_v2",
    "mobilenet_v2_cbam",
    "official_cbam",
    "read_weights",
    "resnet18",
    "resnet18_cbam",
    "resnet34",
    "resnet34_cbam",
    "resnet50",
    "resnet50_cbam",
    "resnet101",
    "resnet101_cbam",
    "resnext50_32x4d",
    "resnext50_32x4d_cbam",
    "resnext101_32x4d",
    "resnext101_32x4d_cbam",
    "to_official",
    "to_timm",
    "wide_resnet18",
    "wide_resnet18_cbam",
    "write_weights",
]
