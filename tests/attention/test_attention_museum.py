"""Mistakes that public code has made, and that these blocks do not make."""

import inspect

import pytest
import torch

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    SpatialAttention,
    SqueezeExcitation,
    make_attention,
)
from tests.support import attention_cases as cases

ALL = ("se", "eca", "channel-fc", "channel-conv", "spatial", "cbam-fc", "cbam-conv")
every_block = pytest.mark.parametrize("name", ALL)


def zero_weights(name):
    block = make_attention(name)(32).double()
    for parameter in block.parameters():
        parameter.data.zero_()
    return block


@pytest.mark.parametrize("reduction", [1, 4, 32])
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


@pytest.mark.parametrize("kind", ["fc", "eca", "spatial"])
@pytest.mark.parametrize("order", [("avg", "max"), ("max", "avg")], ids="-".join)
def test_both_branches_arrive(kind, order):
    """Seen: sigmoid(avg + avg), where the maximum never arrives.

    The map feels a change of the average alone, and a change of the maximum alone.
    """
    options = {"pools": order, **({"reduction": 2} if kind == "fc" else {})}
    block, x = cases.Case(kind, options).make(6, seed=3), cases.features(1, 6, 4, 4)
    axes = (1,) if kind == "spatial" else (2, 3)
    mean, highest = x.mean(axes, keepdim=True), x.amax(axes, keepdim=True)
    average_alone = torch.where(x == highest, x, 2 * x - highest)
    maximum_alone = mean + 2 * (x - mean)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(average_alone.amax(axes, keepdim=True), highest, **close)
    torch.testing.assert_close(maximum_alone.mean(axes, keepdim=True), mean, **close)
    for changed in (average_alone, maximum_alone):
        difference = (block.attention_map(changed) - block.attention_map(x)).abs()
        assert difference.max() > 1e-3


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


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_spatial_kernel_is_obeyed(kernel_size):
    """One changed place is felt exactly as far as the kernel reaches."""
    reach, block = kernel_size // 2, SpatialAttention(kernel_size).double()
    x = torch.zeros(1, 4, 13, 13, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 6, 6] = 1
    felt = (block.attention_map(changed) - block.attention_map(x))[0, 0] != 0
    expected = torch.zeros(13, 13, dtype=torch.bool)
    expected[6 - reach : 7 + reach, 6 - reach : 7 + reach] = True
    assert torch.equal(felt, expected)


@pytest.mark.parametrize("kind", ["fc", "eca"])
@pytest.mark.parametrize("size", [(1, 1), (4, 9), (7, 7), (33, 20)], ids=str)
def test_pooling_is_global(kind, size):
    """Seen: a maximum over a fixed window. A peak in any corner has the same effect."""
    options = {"pools": ("avg", "max"), **({"reduction": 2} if kind == "fc" else {})}
    block, maps = cases.Case(kind, options).make(16), []
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        x = torch.zeros(1, 16, *size, dtype=torch.float64)
        x[(..., *corner)] = torch.linspace(1, 9, 16)
        maps.append(block.attention_map(x))
        assert maps[-1].shape == (1, 16, 1, 1)
        torch.testing.assert_close(maps[-1], maps[0], rtol=1e-12, atol=1e-12)
    assert (maps[0] - 0.5).abs().max() > 1e-2


@pytest.mark.parametrize("kernel_size", [1, 3, 9])
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
