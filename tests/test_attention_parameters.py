"""Parameters by the formulas, the tutorials' tables, and the tutorials' spellings of the blocks."""

import attention_cases as cases
import pytest
import torch
from torch import nn

from cbam_course.attention import CBAM, ECA, ChannelAttention, SpatialAttention, SqueezeExcitation


def count(block):
    return sum(parameter.numel() for parameter in block.parameters())


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (32, 4), (100, 8), (7, 2), (5, 5)])
@pytest.mark.parametrize("layer", ["conv", "linear"])
@pytest.mark.parametrize("kind", [SqueezeExcitation, ChannelAttention])
def test_shared_mlp(kind, channels, reduction, layer):
    """Two matrices, and with biases C // r + C more; how many pools share them does not matter."""
    hidden = channels // reduction
    without = kind(channels, reduction, bias=False, layer=layer)
    with_bias = kind(channels, reduction, bias=True, layer=layer)
    assert count(without) == 2 * channels * hidden
    assert count(with_bias) == 2 * channels * hidden + hidden + channels
    assert without.mlp[0].weight.shape[:2] == (hidden, channels)


def test_biases_by_default():
    """Squeeze-and-excitation has them; the equation of CBAM has none."""
    assert count(SqueezeExcitation(64)) == 2 * 64 * 4 + 4 + 64
    assert count(ChannelAttention(64)) == 2 * 64 * 4
    assert count(SpatialAttention()) == 2 * 7 * 7


@pytest.mark.parametrize("k", [1, 3, 9])
@pytest.mark.parametrize("pools", ["avg", ("avg", "max")])
def test_eca(k, pools):
    assert count(ECA(64, k, pools=pools)) == k


@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("pools", [("avg",), ("avg", "max"), ("avg", "max", "conv")])
def test_spatial(k, pools):
    learned = 64 if "conv" in pools else 0
    options = {"pools": pools, "channels": 64}
    assert count(SpatialAttention(k, **options)) == len(pools) * k * k + learned
    assert count(SpatialAttention(k, bias=True, **options)) == len(pools) * k * k + learned + 1
    assert (
        count(SpatialAttention(k, batch_norm=True, **options)) == len(pools) * k * k + learned + 2
    )


@pytest.mark.parametrize("layer", ["conv", "linear"])
def test_cost_table_for_32_channels(layer):
    """The table of "CBAM, read with the paper": 256 + 256 + 98 and 3 + 98 parameters."""
    block = CBAM(32, 4, 7, channel_options={"layer": layer})
    assert [p.numel() for p in block.parameters()] == [256, 256, 98]
    assert count(block) == 610
    block = CBAM(32, kernel_size=7, mode="conv")
    assert [p.numel() for p in block.parameters()] == [3, 98]
    assert count(block) == 101
    assert block(torch.randn(4, 32, 16, 16)).shape == (4, 32, 16, 16)


@pytest.mark.parametrize("channels", [3, 6, 1280])
def test_without_reduction(channels):
    """The MobileNetV2 chapter: linear layers with biases, as many hidden units as channels."""
    block = ChannelAttention(channels, 1, bias=True, layer="linear")
    assert [p.shape for p in block.parameters()] == 2 * [(channels, channels), (channels,)]


@pytest.mark.parametrize("bias", [False, True])
def test_linear_layers_and_convolutions_are_the_same_function(bias):
    x = cases.features(2, 8, 4, 5)
    for kind in (SqueezeExcitation, ChannelAttention):
        conv, linear = (kind(8, 2, bias=bias, layer=y).double() for y in ("conv", "linear"))
        linear.load_state_dict(
            {
                name: value.reshape(linear.state_dict()[name].shape)
                for name, value in conv.state_dict().items()
            }
        )
        torch.testing.assert_close(linear(x), conv(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["fc", "conv"])
def test_caller_multiplies_by_the_maps(mode):
    """The spelling of two tutorials: the halves return maps, and the caller multiplies."""
    block = cases.cbam("channel-spatial", mode).make(8)
    x = cases.features(2, 8, 4, 5)
    out = block.channel_attention.attention_map(x) * x
    out = block.spatial_attention.attention_map(out) * out
    assert torch.equal(out, block(x))


class AuthorsGates(nn.Module):
    """What the authors' code computes, in other words.

    Linear layers with biases; the maximum before the average; a BatchNorm inside the spatial gate.
    """

    def __init__(self, channels, reduction):
        super().__init__()
        self.down = nn.Linear(channels, channels // reduction)
        self.up = nn.Linear(channels // reduction, channels)
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x):
        pooled = torch.stack([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))])
        weights = self.up(self.down(pooled).relu()).sum(0).sigmoid()
        x = torch.einsum("bc,bchw->bchw", weights, x)
        summary = torch.stack([x.amax(dim=1), x.mean(dim=1)], dim=1)
        return x * self.norm(self.conv(summary)).sigmoid()


@pytest.mark.parametrize("layer", ["linear", "conv"])
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_authors_code_by_options(layer, train):
    theirs = AuthorsGates(32, 4).double().train(train)
    ours = CBAM(
        32,
        4,
        channel_options={"bias": True, "layer": layer},
        spatial_options={"pools": ("max", "avg"), "batch_norm": True},
    ).double()
    theirs.norm.running_mean += 0.3
    for value, place in zip(theirs.state_dict().values(), ours.state_dict().values(), strict=True):
        place.copy_(value.reshape(place.shape))
    x = cases.features(4, 32, 6, 5)
    torch.testing.assert_close(ours.train(train)(x), theirs(x), rtol=1e-12, atol=1e-12)
