"""Copies, stored weights and what a block says about itself."""

import copy
import io
import pickle

import attention_cases as cases
import pytest
import torch

from cbam_course.attention import CBAM, ECA, ChannelAttention, SpatialAttention, SqueezeExcitation

few = pytest.mark.parametrize("case", cases.FEW.values(), ids=cases.FEW)


@few
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda block: pickle.loads(pickle.dumps(block))],
    ids=["copy", "pickle"],
)
def test_a_copy_computes_the_same_and_is_independent(case, duplicate):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    expected, second = block(x).detach(), duplicate(block)
    assert torch.equal(second(x), expected)
    for parameter in block.parameters():
        parameter.data.fill_(7.0)
    assert torch.equal(second(x), expected)


@few
def test_stored_weights_come_back(case):
    block, other, x = case.make(6), case.make(6, seed=1), cases.features(2, 6, 4, 5)
    assert not torch.equal(other(x), block(x))
    file = io.BytesIO()
    torch.save(block.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), block(x))


STORED = {
    "se": (
        lambda: SqueezeExcitation(16),
        ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"],
    ),
    "channel-fc": (lambda: ChannelAttention(16), ["mlp.0.weight", "mlp.2.weight"]),
    "eca": (lambda: ECA(16), ["conv.weight"]),
    "spatial": (lambda: SpatialAttention(), ["conv.weight"]),
    "learned": (
        lambda: SpatialAttention(pools=("conv", "max"), channels=16),
        ["squeeze.weight", "conv.weight"],
    ),
    "cbam-fc": (
        lambda: CBAM(16),
        [f"channel_attention.mlp.{i}.weight" for i in (0, 2)] + ["spatial_attention.conv.weight"],
    ),
    "channel half": (
        lambda: CBAM(16, mode="conv", order="channel"),
        ["channel_attention.conv.weight"],
    ),
    "spatial half": (lambda: CBAM(16, order="spatial"), ["spatial_attention.conv.weight"]),
}


@pytest.mark.parametrize(("make", "names"), STORED.values(), ids=STORED)
def test_names_of_stored_weights(make, names):
    """Weights on a disk are found by these names."""
    assert list(make().state_dict()) == names


def test_parts_have_the_names_that_chapters_use():
    block = CBAM(16, spatial_options={"batch_norm": True})
    assert isinstance(block.channel_attention, ChannelAttention)
    assert isinstance(block.spatial_attention, SpatialAttention)
    assert isinstance(CBAM(16, mode="conv").channel_attention, ECA)
    assert CBAM(16, order="channel").spatial_attention is None
    assert CBAM(16, order="spatial").channel_attention is None
    assert [type(part).__name__ for part in block.channel_attention.mlp] == [
        "Conv2d",
        "ReLU",
        "Conv2d",
    ]
    linear = ChannelAttention(16, layer="linear").mlp
    assert [type(part).__name__ for part in linear] == ["Linear", "ReLU", "Linear"]
    assert isinstance(block.spatial_attention.bn, torch.nn.BatchNorm2d)
    assert SpatialAttention().bn is None and SpatialAttention().squeeze is None


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (SqueezeExcitation(32, 8), "channels=32, reduction=8"),
        (ChannelAttention(32, 8, pools="max"), "channels=32, reduction=8, pools=('max',)"),
        (ECA(128), "channels=128, kernel_size=5, pools=('avg',)"),
        (ECA(128, 9), "channels=128, kernel_size=9, pools=('avg',)"),
        (SpatialAttention(3, pools=["max", "avg"]), "kernel_size=3, pools=('max', 'avg')"),
        (CBAM(32, mode="conv", order="parallel"), "channels=32, mode='conv', order='parallel'"),
    ],
)
def test_a_block_says_what_it_is(block, told):
    assert block.extra_repr() == told
    assert told in repr(block)
