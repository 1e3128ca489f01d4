"""The blocks by their names."""

import pickle

import pytest
import torch

from cbam_course import attention
from cbam_course.attention import ATTENTION_NAMES, make_attention

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


@pytest.mark.parametrize("name", MADE)
def test_what_a_name_makes(name):
    kind, parameters, told_apart = MADE[name]
    block = make_attention(name)(64)
    assert type(block) is getattr(attention, kind)
    assert sum(parameter.numel() for parameter in block.parameters()) == parameters
    assert told_apart(block)
    refined, maps = block(torch.randn(2, 64, 5, 4), return_map=True)
    assert refined.shape == (2, 64, 5, 4)
    assert isinstance(maps, attention.AttentionMaps) == (kind == "CBAM")


@pytest.mark.parametrize("name", MADE)
def test_each_call_makes_a_new_block(name):
    factory = make_attention(name)
    one, other = factory(64), factory(64)
    assert {id(p) for p in one.parameters()}.isdisjoint(id(p) for p in other.parameters())


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("se", {"reduction": 4}, lambda b: b.reduction == 4),
        ("eca", {"kernel_size": 9}, lambda b: b.kernel_size == 9),
        ("eca", {"pools": "max"}, lambda b: b.pools == ("max",)),
        ("channel-fc", {"layer": "linear"}, lambda b: isinstance(b.mlp[0], torch.nn.Linear)),
        ("channel-conv", {"kernel_size": 1}, lambda b: b.kernel_size == 1),
        ("spatial", {"pools": ("conv", "max")}, lambda b: b.squeeze is not None),
        ("cbam-fc", {"reduction": 8}, lambda b: b.channel_attention.reduction == 8),
        ("cbam-fc", {"order": "parallel"}, lambda b: b.order == "parallel"),
        ("cbam-conv", {"kernel_size": 3}, lambda b: b.spatial_attention.kernel_size == 3),
    ],
)
def test_options_arrive(name, options, found):
    assert not found(make_attention(name)(64))
    assert found(make_attention(name, **options)(64))


@pytest.mark.parametrize("name", ["cbam", "SE", "", None, 3, ["se"]], ids=repr)
def test_unknown_name(name):
    with pytest.raises(ValueError) as refusal:
        make_attention(name)
    for part in ("attention must be one of", *map(repr, ATTENTION_NAMES), f"got {name!r}"):
        assert part in str(refusal.value)


def test_no_attention_has_no_options():
    with pytest.raises(ValueError, match="'none' takes no options; got {'reduction': 8}"):
        make_attention("none", reduction=8)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("option", [{"mode": "fc"}, {"channels": 32}], ids=str)
def test_options_that_the_name_decides(name, option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} cannot be an option .*{name}"):
        make_attention(name, **option)


def test_bad_options_are_refused_when_a_block_is_made():
    with pytest.raises(ValueError, match="reduction 128 leaves no hidden unit"):
        make_attention("cbam-fc", reduction=128)(64)
    with pytest.raises(ValueError, match="mode 'conv' has no hidden layer"):
        make_attention("cbam-conv", reduction=8)(64)
    with pytest.raises(TypeError, match="gate_layer"):
        make_attention("se", gate_layer="sigmoid")(64)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("options", [{}, {"pools": "max"}, {"kernel_size": 3}], ids=str)
def test_a_factory_can_be_sent_to_another_process(name, options):
    factory = make_attention(name, **options)
    assert pickle.loads(pickle.dumps(factory)).__class__ is factory.__class__


@pytest.mark.parametrize("name", attention.__all__)
def test_public_names_exist(name):
    assert hasattr(attention, name)
