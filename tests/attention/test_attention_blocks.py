"""The blocks by name, their parameters by the papers' formulas, and the names of their weights."""

import copy
import pickle

import pytest
import torch

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
        ("channel-fc", {"layer": "linear"}, lambda b: isinstance(b.mlp[0], torch.nn.Linear)),
        ("spatial", {"pools": ("conv", "max")}, lambda b: b.squeeze is not None),
        ("cbam-fc", {"order": "parallel"}, lambda b: b.order == "parallel"),
        ("cbam-conv", {"kernel_size": 3}, lambda b: b.spatial_attention.kernel_size == 3),
    ],
)
def test_options_arrive(name, options, found):
    assert not found(make_attention(name)(64))
    assert found(make_attention(name, **options)(64))


STORED = {
    "se": ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"],
    "spatial": ["conv.weight"],
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
