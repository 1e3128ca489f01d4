"""With the same weights, the blocks agree with those of torchvision and timm."""

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation as TorchvisionSE

from cbam_course.attention import CBAM, ECA, SpatialAttention, SqueezeExcitation
from tests.support import attention_cases as cases


def timm(module, name):
    """A layer of timm, which is a dependency of the tests and not of the course."""
    return getattr(pytest.importorskip(f"timm.layers.{module}", reason="needs timm"), name)


def copy_weights(source, target):
    """Copy parameters and statistics in order, the shapes being equal but for axes of size 1."""
    old, new = source.state_dict().values(), target.state_dict().values()
    for value, place in zip(old, new, strict=True):
        assert place.squeeze().shape == value.squeeze().shape
        place.copy_(value.reshape(place.shape))


def assert_same(ours, theirs, shape=(3, 32, 7, 6)):
    """Outputs, gradients of the input and gradients of the parameters agree."""
    copy_weights(theirs.double(), ours.double())
    x, gradient = cases.features(*shape), cases.features(*shape, seed=1)
    results = []
    for block in (ours, theirs):
        leaf = x.clone().requires_grad_()
        refined = block(leaf)
        refined.backward(gradient)
        weights = [parameter.grad.flatten() for parameter in block.parameters()]
        results.append((refined, leaf.grad, torch.cat(weights)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert (results[0][0] - x).abs().max() > 0.1  # the block does something


@pytest.mark.parametrize("layer", ["conv", "linear"])
def test_squeeze_excitation_of_torchvision(layer):
    theirs = TorchvisionSE(32, 8, activation=nn.ReLU, scale_activation=nn.Sigmoid)
    assert_same(SqueezeExcitation(32, 4, layer=layer), theirs)


@pytest.mark.parametrize("bias", [True, False])
def test_squeeze_excitation_of_timm(bias):
    theirs = timm("squeeze_excite", "SEModule")(32, rd_channels=8, bias=bias)
    assert_same(SqueezeExcitation(32, 4, bias=bias), theirs)


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_spatial_attention_of_timm(kernel_size, train):
    """timm puts the average first, like the paper, and a BatchNorm, like the authors' code."""
    theirs = timm("cbam", "SpatialAttn")(kernel_size).train(train)
    ours = SpatialAttention(kernel_size, batch_norm=True).train(train)
    assert_same(ours, theirs)
    if train:
        torch.testing.assert_close(ours.bn.running_var, theirs.conv.bn.running_var)


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("bias", [True, False])
def test_cbam_of_timm(bias, train):
    theirs = timm("cbam", "CbamModule")(32, rd_ratio=1 / 4, mlp_bias=bias)
    ours = CBAM(32, 4, channel_options={"bias": bias}, spatial_options={"batch_norm": True})
    assert_same(ours.train(train), theirs.train(train))


@pytest.mark.parametrize("channels", [16, 256])
def test_eca_of_timm(channels):
    assert_same(ECA(channels), timm("eca", "EcaModule")(channels), (3, channels, 7, 6))


def test_eca_of_timm_with_a_kernel_size():
    """timm obeys a kernel size only when it is not told the channels."""
    EcaModule = timm("eca", "EcaModule")
    assert EcaModule(64, kernel_size=9).conv.kernel_size == (3,)
    assert ECA(64, kernel_size=9).conv.kernel_size == (9,)
    assert_same(ECA(64, kernel_size=9), EcaModule(kernel_size=9), (3, 64, 7, 6))
