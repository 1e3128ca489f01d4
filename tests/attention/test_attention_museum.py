"""Mistakes that public code has made, and that these blocks do not make."""

import inspect

import pytest
import torch

from cbam_course.attention import (
    ATTENTION_NAMES,
    CBAM,
    ECA,
    ChannelAttention,
    SpatialAttention,
    SqueezeExcitation,
    make_attention,
)
from tests.support import attention_cases as cases

every_block = pytest.mark.parametrize("name", ATTENTION_NAMES[1:])


def zero_weights(name):
    block = make_attention(name)(32).double()
    for parameter in block.parameters():
        parameter.data.zero_()
    return block


@pytest.mark.parametrize("reduction", [1, 4])
def test_reduction_is_obeyed(reduction):
    """Seen: the ratio is accepted, and 16 is written into the layers."""
    hidden = 32 // reduction
    for layer in ("conv", "linear"):
        for block, biases in (
            (SqueezeExcitation(32, reduction, layer=layer), hidden + 32),
            (ChannelAttention(32, reduction, layer=layer), 0),
            (CBAM(32, reduction, channel_options={"layer": layer}).channel_attention, 0),
        ):
            assert block.mlp[0].weight.shape[:2] == (hidden, 32)
            assert block.mlp[2].weight.shape[:2] == (32, hidden)
            assert sum(p.numel() for p in block.parameters()) == 2 * 32 * hidden + biases


@every_block
def test_sigmoid_is_applied_once(name):
    """Seen: none on the spatial map, so that it leaves (0, 1); or two, which leave (0.5, 0.73)."""
    torch.manual_seed(0)
    block = make_attention(name)(32).double()
    for parameter in block.parameters():
        parameter.data *= 100
    for maps in collect_maps(block, cases.features(2, 32, 8, 8)):
        assert 0 <= maps.min() < 0.1 and 0.9 < maps.max() <= 1


@every_block
def test_no_residual_inside(name):
    """Seen: x + CBAM(x). With all weights zero each map is one half, the block a plain factor."""
    x = cases.features(2, 32, 5, 4)
    block = zero_weights(name)
    for maps in collect_maps(block, x):
        assert torch.equal(maps, torch.full_like(maps, 0.5))
    assert torch.equal(block(x), x / (4 if isinstance(block, CBAM) else 2))


def collect_maps(block, x):
    maps = block(x, return_map=True)[1]
    return maps if isinstance(block, CBAM) else [maps]


@pytest.mark.parametrize("kernel_size", [1, 9])
def test_kernel_of_eca_is_obeyed(kernel_size):
    """Seen: the adaptive size silently replaces it."""
    for block in (
        ECA(64, kernel_size),
        ECA(64, kernel_size=kernel_size, pools=("avg", "max")),
        CBAM(64, mode="conv", channel_options={"kernel_size": kernel_size}).channel_attention,
    ):
        assert block.conv.kernel_size == (kernel_size,)
        assert block.kernel_size == kernel_size


@pytest.mark.parametrize("kind", [SqueezeExcitation, ChannelAttention, ECA, SpatialAttention, CBAM])
def test_no_argument_is_swallowed(kind):
    """Seen: `gate_layer` accepted and ignored. No signature takes what it does not name."""
    kinds = {parameter.kind for parameter in inspect.signature(kind).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert inspect.Parameter.VAR_POSITIONAL not in kinds
