"""The blocks by name, and their parameters by the papers' formulas."""

import pickle

import pytest
import torch

from cbam_course import attention
from cbam_course.attention import (
    ATTENTION_NAMES,
    make_attention,
    starting_as_identity,
)

# What each name makes of 64 channels: the class, the parameters, a property that tells it apart,
# and the names by which its weights are found on a disk.
CONV, MLP = ["conv.weight"], ["mlp.0.weight", "mlp.2.weight"]
CBAM_FC = [*(f"channel_attention.{name}" for name in MLP), "spatial_attention.conv.weight"]
MADE = {
    "se": (
        *("SqueezeExcitation", 2 * 64 * 4 + 64 + 4, lambda b: b.reduction == 16),
        ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"],
    ),
    "eca": ("ECA", 3, lambda b: b.pools == ("avg",), CONV),
    "channel-fc": ("ChannelAttention", 2 * 64 * 4, lambda b: b.pools == ("avg", "max"), MLP),
    "channel-conv": ("ECA", 3, lambda b: b.pools == ("avg", "max"), CONV),
    "spatial": ("SpatialAttention", 2 * 49, lambda b: b.channels == 64, CONV),
    "cbam-fc": ("CBAM", 2 * 64 * 4 + 2 * 49, lambda b: b.mode == "fc", CBAM_FC),
    "cbam-conv": (
        *("CBAM", 3 + 2 * 49, lambda b: b.mode == "conv"),
        ["channel_attention.conv.weight", "spatial_attention.conv.weight"],
    ),
}
every_block = pytest.mark.parametrize("name", MADE)


def count(block):
    return sum(parameter.numel() for parameter in block.parameters())


@every_block
def test_what_a_name_makes(name):
    assert ATTENTION_NAMES == ("none", *MADE) and make_attention("none") is None
    kind, parameters, told_apart, stored = MADE[name]
    factory = pickle.loads(pickle.dumps(make_attention(name)))  # it can go to another process
    block = pickle.loads(pickle.dumps(factory(64)))
    assert type(block) is getattr(attention, kind)
    assert count(block) == parameters and told_apart(block) and [*block.state_dict()] == stored
    refined, maps = block(torch.randn(2, 64, 5, 4), return_map=True)
    assert refined.shape == (2, 64, 5, 4)
    assert isinstance(maps, attention.AttentionMaps) == (kind == "CBAM")
    start = pickle.loads(pickle.dumps(starting_as_identity(factory)))(64)
    assert type(start.block) is type(block)
    assert {id(p) for p in block.parameters()}.isdisjoint(map(id, factory(64).parameters()))


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("se", {"reduction": 4}, lambda b: b.mlp[0].weight.shape[:2] == (16, 64)),
        ("channel-fc", {"layer": "linear"}, lambda b: isinstance(b.mlp[0], torch.nn.Linear)),
        # Seen: the adaptive size silently replaces it.
        ("eca", {"kernel_size": 9}, lambda b: b.conv.kernel_size == (9,) == (b.kernel_size,)),
        ("spatial", {"pools": ("conv", "max")}, lambda b: b.squeeze is not None),
        ("cbam-fc", {"order": "parallel"}, lambda b: b.order == "parallel"),
        ("cbam-conv", {"kernel_size": 3}, lambda b: b.spatial_attention.kernel_size == 3),
        (
            *("cbam-conv", {"channel_options": {"kernel_size": 9}}),
            lambda b: b.channel_attention.conv.kernel_size == (9,),
        ),
    ],
)
def test_options_arrive(name, options, found):
    assert not found(make_attention(name)(64))
    assert found(make_attention(name, **options)(64))
