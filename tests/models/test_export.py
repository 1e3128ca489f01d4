"""Networks as ONNX files: they compute the same."""

import os
import sys
import warnings
from itertools import cycle
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from cbam_course import export
from cbam_course.attention import (
    CBAM,
    attention_blocks,
    make_attention,
    starting_as_identity,
)
from cbam_course.data import photographs
from cbam_course.export import export_onnx
from cbam_course.models import CifarCNN, insert_attention, official_cbam
from tests.support.networks import randomize_statistics

SIZE = (3, 64, 64)


def real_images():
    """The three photographs, small, normalized as for ImageNet."""
    images = [
        F.interpolate(image[None].float() / 255, size=SIZE[1:], mode="bilinear", antialias=True)
        for image in photographs().values()
    ]
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.23,) * 3))
    return (torch.cat(images) - mean) / std


def images(count, size=SIZE, seed=7):
    return torch.randn(count, *size, generator=torch.Generator().manual_seed(seed))


def in_turn(*factories):
    """A factory of blocks of each kind in turn."""
    kinds = cycle(factories)
    return lambda channels: next(kinds)(channels)


def trained(network):
    """As if it were trained: the BatchNorms know their features, the logits are of usual size.

    A fresh network may put out nothing but its biases, and a wrong file would do the same.
    """
    randomize_statistics(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    examples = torch.cat([real_images(), images(3)])
    with torch.no_grad():
        network.train()(examples)
        network.eval()
        network.classifier.bias.zero_()
        network.classifier.weight *= 3 / network(examples).std()
    return network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


# The file computes what the network computes


def in_onnxruntime(path, *batches):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = [session.run(["output"], {"input": batch.numpy()})[0] for batch in batches]
    return [torch.from_numpy(outputs) for outputs in found]


def assert_exported(network, path, limit=1e-4):
    """Export, compare with onnxruntime once more and without the code under test."""
    report = export_onnx(network, path, input_size=SIZE, tolerance=limit)
    assert report.difference <= limit * report.largest and 1 < report.largest < 100
    batches = [real_images(), *(images(n) for n in (1, 2, 5))]
    with torch.no_grad():
        for batch, found in zip(batches, in_onnxruntime(path, *batches), strict=True):
            assert (network(batch) - found).abs().max() <= limit


def turn_signs(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.neg_()


BLOCKS = {
    "halves": ("se", "eca", "spatial", "channel-fc", "channel-conv"),
    "variants": (
        "cbam-conv",
        official_cbam,
        starting_as_identity(make_attention("cbam-fc", reduction=2)),
        make_attention("cbam-fc", reduction=2, order="parallel"),
        make_attention("spatial", pools=("conv", "max"), bias=True),
    ),
}


@pytest.mark.parametrize("kinds", BLOCKS.values(), ids=BLOCKS)
def test_every_block(kinds, path):
    """Made with the network or put into it; another than that in the file is seen."""
    torch.manual_seed(0)
    options = dict.fromkeys(("se", "channel-fc"), {"reduction": 2})
    factories = [
        make_attention(kind, **options.get(kind, {})) if isinstance(kind, str) else kind
        for kind in kinds
    ]
    widths = (16,) * len(kinds)
    if "se" in kinds:
        network = CifarCNN(in_turn(*factories), widths=widths)
    else:
        network = CifarCNN(widths=widths)
        insert_attention(network, in_turn(*factories), "stages.*", example=images(1))
    with torch.no_grad():  # the gates of identity starts, else closed
        for parameter in network.parameters():
            if parameter.dim() == 0:
                parameter.fill_(0.5)
    trained(network)
    assert_exported(network, path)
    [found] = in_onnxruntime(path, real_images())
    for block in attention_blocks(network).values():
        halves = block.children() if isinstance(block, CBAM) else [block]
        for half in halves:
            turn_signs(half)
            with torch.no_grad():
                assert (network(real_images()) - found).abs().max() > 1e-3
            turn_signs(half)


# The file and the report


TINY = (3, 8, 8)


def test_report_of_a_network_that_stays_as_it_was(path, capfd):
    """One file, which names no folder; test_cli_export.py makes it twice."""
    network = CifarCNN(make_attention("cbam-fc", reduction=2), widths=(8,)).double().train()
    network.stages[0].convolutions.eval()  # as when a part is frozen
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = export_onnx(network, str(path), input_size=list(TINY))
    assert not caught and capfd.readouterr() == ("", "")
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in network.state_dict().items():
        assert value.dtype == state[name].dtype and torch.equal(value, state[name])
    network.eval().float()  # in float32 all the same, and dropout is off
    [found] = in_onnxruntime(path, images(3, TINY))
    with torch.no_grad():
        torch.testing.assert_close(found, network(images(3, TINY)), rtol=1e-5, atol=1e-6)

    model = onnx.load(path)
    assert report.opset == model.opset_import[0].version == export.OPSET == 20
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["output"]
    assert (report.path, report.input, report.output) == (path, ("batch", 3, 8, 8), ("batch", 10))
    assert str(report).splitlines() == [
        f"{path}: opset 20",
        "input [batch, 3, 8, 8], output [batch, 10]",
        f"largest difference from PyTorch {report.difference:.1e}, "
        f"in outputs of up to {report.largest:.2g}",
    ]
    assert os.listdir(path.parent) == [path.name]
    content = path.read_bytes()
    for folder in (os.path.dirname(torch.__file__), os.getcwd(), str(path.parent), "site-packages"):
        assert folder.encode() not in content


# What is wrong is refused, and no file is left


def times(factor):
    """By hand, an ONNX file that multiplies images by a number."""
    shape = ["batch", *TINY]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["input", "factor"], ["output"])],
        "times",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(torch.tensor(factor).numpy(), "factor")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_outputs_of_any_size_are_judged(path, monkeypatch, scale):
    def file_says(factor):
        made = SimpleNamespace(model_proto=times(factor))
        monkeypatch.setattr(torch.onnx, "export", lambda *arguments, **options: made)

    file_says(scale * (1 + 2e-6))
    assert export_onnx(Times(scale), path, input_size=TINY).difference < 1e-5 * scale
    before = path.read_bytes()
    for factor in (scale * 1.001, scale * float("nan"), 0.0):
        file_says(factor)
        with pytest.raises(ValueError, match="onnxruntime and PyTorch differ by"):
            export_onnx(Times(scale), path, input_size=TINY)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    file_says(scale * 1.001)
    assert export_onnx(Times(scale), path, input_size=TINY, tolerance=2e-3).difference > 0


def test_files_that_onnxruntime_refuses(path, monkeypatch):
    proto = times(1.0)
    proto.graph.node[0].input[1] = "nothing"
    made = SimpleNamespace(model_proto=proto)
    monkeypatch.setattr(torch.onnx, "export", lambda *arguments, **options: made)
    with pytest.raises(ValueError, match="onnxruntime cannot run Times: "):
        export_onnx(Times(1.0), path, input_size=TINY)
    assert not os.listdir(path.parent)


class Unsupported(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class OneBatch(nn.Module):
    """Written for one batch size by its author."""

    def forward(self, x):
        return x + torch.zeros(2, 1, 1, 1) if len(x) == 2 else x


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Unsupported(), "PyTorch cannot export Unsupported for any batch size: "),
        (OneBatch(), "onnxruntime|PyTorch cannot export"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_networks_that_cannot_be_exported(path, network, message):
    with pytest.raises(ValueError, match=message) as caught:
        export_onnx(network, path, input_size=TINY)
    assert len(str(caught.value).splitlines()) == 1
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_missing_packages(path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"the export needs the package {package}; .*'cbam-course\[export\]'$"
    with pytest.raises(ModuleNotFoundError, match=message):
        export_onnx(Times(1.0), path, input_size=TINY)


# PyTorch's own export and compilation
