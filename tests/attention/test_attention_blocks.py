"""The blocks by name, their parameters by the papers' formulas, and the names of their weights."""

import copy
import pickle

import pytest
import torch
from torch import nn

from cbam_course import attention
from cbam_course.attention import (
    ATTENTION_NAMES,
    CBAM,
    ECA,
    SpatialAttention,
    SqueezeExcitation,
    make_attention,
)
from tests.support import attention_cases as cases
from tests.support.attention_cases import few

# What each name makes of 64 channels: the class, the parameters and a property that tells it apart.
MADE = {
    "se": ("SqueezeExcitation", 2 * 64 * 4 + 64 + 4, lambda b: b.reduction == 16),
    "eca": ("ECA", 3, lambda b: b.pools == ("avg",)),
    "channel-fc": ("ChannelAttention", 2 * 64 * 4, lambda b: b.pools == ("avg", "max")),
    "channel-conv": ("ECA", 3, lambda b: b.pools == ("avg", "max")),
    "spatial": ("SpatialAttention", 2 * 49, lambda b: b.channels == 64),
    "cbam-fc": ("CBAM", 2 * 64 * 4 + 2 * 49, lambda b: b.mode == "fc"),
    "cbam-conv": ("CBAM", 3 + 2 * 49, lambda b: b.mode == "conv"),
}


def test_names():
    names = ("none", "se", "eca", "channel-fc", "channel-conv", "spatial", "cbam-fc", "cbam-conv")
    assert names == ATTENTION_NAMES == ("none", *MADE)
    assert make_attention("none") is None
    assert all(hasattr(attention, name) for name in attention.__all__)


@pytest.mark.parametrize("name", MADE)
def test_what_a_name_makes(name):
    kind, parameters, told_apart = MADE[name]
    factory = pickle.loads(pickle.dumps(make_attention(name)))  # it can go to another process
    block = factory(64)
    assert type(block) is getattr(attention, kind)
    assert count(block) == parameters and told_apart(block)
    refined, maps = block(torch.randn(2, 64, 5, 4), return_map=True)
    assert refined.shape == (2, 64, 5, 4)
    assert isinstance(maps, attention.AttentionMaps) == (kind == "CBAM")
    assert {id(p) for p in block.parameters()}.isdisjoint(map(id, factory(64).parameters()))


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("se", {"reduction": 4}, lambda b: b.reduction == 4),
        ("eca", {"kernel_size": 9}, lambda b: b.kernel_size == 9),
        ("eca", {"pools": "max"}, lambda b: b.pools == ("max",)),
        ("channel-fc", {"layer": "linear"}, lambda b: isinstance(b.mlp[0], torch.nn.Linear)),
        ("spatial", {"pools": ("conv", "max")}, lambda b: b.squeeze is not None),
        ("cbam-fc", {"reduction": 8}, lambda b: b.channel_attention.reduction == 8),
        ("cbam-fc", {"order": "parallel"}, lambda b: b.order == "parallel"),
        ("cbam-conv", {"kernel_size": 3}, lambda b: b.spatial_attention.kernel_size == 3),
    ],
)
def test_options_arrive(name, options, found):
    assert not found(make_attention(name)(64))
    assert found(make_attention(name, **options)(64))


STORED = {
    "se": ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"],
    "channel-fc": ["mlp.0.weight", "mlp.2.weight"],
    "channel-conv": ["conv.weight"],
    "spatial": ["conv.weight"],
    "cbam-fc": [
        *("channel_attention.mlp.0.weight", "channel_attention.mlp.2.weight"),
        "spatial_attention.conv.weight",
    ],
    "cbam-conv": ["channel_attention.conv.weight", "spatial_attention.conv.weight"],
}


@pytest.mark.parametrize("name", STORED)
def test_names_of_stored_weights(name):
    """Weights on a disk are found by these names."""
    assert list(make_attention(name)(16).state_dict()) == STORED[name]


@few
def test_copies_and_stored_weights(case):
    block, other, x = case.make(6), case.make(6, seed=1), cases.features(2, 6, 4, 5)
    expected = block(x).detach()
    assert not torch.equal(other(x), expected)
    other.load_state_dict(block.state_dict())
    twins = [other, copy.deepcopy(block), pickle.loads(pickle.dumps(block))]
    for parameter in block.parameters():
        parameter.data.fill_(7.0)
    assert all(torch.equal(twin(x), expected) for twin in twins)


def test_a_block_says_what_it_is():
    assert "channels=32, reduction=8" in repr(SqueezeExcitation(32, 8))
    assert "channels=128, kernel_size=5, pools=('avg',)" in repr(ECA(128))
    assert "kernel_size=3, pools=('max', 'avg')" in repr(SpatialAttention(3, pools=["max", "avg"]))
    assert "channels=32, mode='conv', order='parallel'" in repr(
        CBAM(32, mode="conv", order="parallel")
    )


def count(block):
    return sum(parameter.numel() for parameter in block.parameters())


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
