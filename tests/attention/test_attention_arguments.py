"""Bad arguments and bad inputs are refused at once, with what was given and what is allowed."""

import numpy as np
import pytest
import torch

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    ConstantGate,
    SpatialAttention,
    SqueezeExcitation,
    eca_kernel_size,
    make_attention,
)
from tests.support.attention_cases import few

NO_COUNTS = [0, -4, 16.0, "16", True]


def assert_refused(make, *parts):
    """``make()`` raises a ValueError whose message holds all the parts."""
    with pytest.raises(ValueError) as refusal:
        make()
    for part in parts:
        assert part in str(refusal.value)


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_channels_reduction_and_kernel_size(value):
    for make in (SqueezeExcitation, ChannelAttention, ECA, CBAM, ConstantGate, eca_kernel_size):
        assert_refused(lambda make=make: make(value), "channels must be an integer", repr(value))
    for make in (SqueezeExcitation, ChannelAttention, CBAM):
        assert_refused(lambda make=make: make(64, value), "reduction must be an integer")
    for make in (
        *(SpatialAttention, lambda k: CBAM(64, kernel_size=k), lambda k: ECA(64, k)),
        lambda k: CBAM(64, mode="conv", channel_options={"kernel_size": k}),
    ):
        assert_refused(lambda make=make: make(value), "kernel_size must be an integer of at least")
        assert_refused(lambda make=make: make(4), "kernel_size must be odd", "got 4")


@pytest.mark.parametrize("make", [SqueezeExcitation, ChannelAttention, CBAM])
def test_a_reduction_that_leaves_no_hidden_unit(make):
    """Seen: fewer channels than the ratio, an MLP of width zero, a gate that is constant."""
    assert_refused(lambda: make(8), "reduction 16", "8 channels", "8 // 16 = 0", "at most 8")
    assert_refused(lambda: make(8, 9), "reduction 9", "8 // 9 = 0", "at most 8")
    make(8, 8)


@pytest.mark.parametrize("integer", [np.int64, torch.tensor])
def test_any_integer_type_will_do(integer):
    """Sizes are often computed with NumPy; inside they are plain integers."""
    for block in (
        SqueezeExcitation(integer(64), integer(4)),
        CBAM(integer(64), integer(4), integer(3)),
        ECA(integer(64), integer(5)),
        SpatialAttention(integer(3), channels=integer(64)),
    ):
        for name in ("channels", "reduction", "kernel_size"):
            assert type(getattr(block, name, 1)) is int
        assert block(torch.randn(1, 64, 4, 4)).shape == (1, 64, 4, 4)


NO_POOLS = [(), "avgmax", ("avg", "avg"), ["max", "mean"], None, {"avg", "max"}]


@pytest.mark.parametrize("value", NO_POOLS, ids=lambda value: type(value).__name__)
def test_pools(value):
    allowed = "pools must be one or more of 'avg', 'max', each once, as a string, list or tuple"
    for kind in (ChannelAttention, ECA):
        assert_refused(lambda kind=kind: kind(64, pools=value), allowed, repr(value))
    assert_refused(lambda: SpatialAttention(pools=value), "'avg', 'max', 'conv'", repr(value))


def test_the_learned_pool():
    assert_refused(lambda: ECA(64, pools=("avg", "conv")), "'avg', 'max'", "conv")
    assert_refused(lambda: SpatialAttention(pools="conv"), "1x1 convolution", "channels=C")


@pytest.mark.parametrize("value", ["FC", None, ["conv"]], ids=repr)
def test_choices(value):
    orders = "'channel-spatial', 'spatial-channel', 'parallel', 'channel', 'spatial'"
    layer = lambda: ChannelAttention(64, layer=value)  # noqa: E731
    assert_refused(layer, "layer must be one of 'conv', 'linear'; got", repr(value))
    assert_refused(lambda: CBAM(64, mode=value), "mode must be one of 'fc', 'conv'", repr(value))
    assert_refused(lambda: CBAM(64, order=value), f"order must be one of {orders}", repr(value))


IGNORED = [
    ({"mode": "conv", "reduction": 8}, "mode 'conv' has no hidden layer", "reduction=8"),
    ({"order": "channel", "kernel_size": 3}, "order 'channel' has no spatial", "kernel_size=3"),
    ({"order": "channel", "spatial_options": {}}, "order 'channel'", "spatial_options={}"),
    ({"order": "spatial", "reduction": 8}, "order 'spatial' has no channel half", "reduction=8"),
    ({"order": "spatial", "mode": "conv"}, "order 'spatial'", "mode='conv'"),
    ({"order": "spatial", "channel_options": {}}, "order 'spatial'", "channel_options={}"),
]


@pytest.mark.parametrize(("options", "parts"), [(v[0], v[1:]) for v in IGNORED], ids=str)
def test_what_would_be_ignored_is_refused(options, parts):
    assert_refused(lambda: CBAM(64, **options), *parts)


@pytest.mark.parametrize("name", ["cbam", "SE", None, ["se"]], ids=repr)
def test_unknown_names(name):
    assert_refused(
        lambda: make_attention(name), "attention must be one of 'none', 'se'", repr(name)
    )


def test_options_of_a_name():
    assert_refused(lambda: make_attention("none", reduction=8), "'none' takes no options")
    assert_refused(lambda: make_attention("cbam-conv", mode="fc"), "'cbam-conv' says the mode")
    for options in ({"channels": 32}, {"spatial_options": {"kernel_size": 3}}):
        with pytest.raises(TypeError, match="multiple values for"):
            make_attention("cbam-fc", **options)(64)
    assert_refused(lambda: make_attention("cbam-conv", reduction=8)(64), "mode 'conv' has no")
    with pytest.raises(TypeError, match="gate_layer"):
        make_attention("se", gate_layer="sigmoid")(64)


@few
def test_inputs(case):
    block = case.make(6)
    for shape in [(2, 6), (6, 4, 5), (2, 6, 1, 4, 5)]:
        x = torch.zeros(shape)
        call = lambda x=x: block(x)  # noqa: E731
        assert_refused(call, "expects a feature map [batch, ", f"shape {list(shape)}")
    for shape in [(2, 6, 0, 5), (2, 6, 4, 0)]:
        assert_refused(
            lambda shape=shape: block(torch.zeros(shape)), "at least 1 x 1", str([*shape])
        )
    for dtype in (torch.uint8, torch.complex64):  # an image from a file
        x = torch.zeros(2, 6, 4, 5, dtype=dtype)
        assert_refused(lambda x=x: block(x), "floating-point", f"got {dtype}")
    x = torch.zeros(2, 7, 4, 5, dtype=torch.float64)
    if block.channels is None:
        assert block(x).shape == x.shape
    else:
        for call in (block, block.attention_map):
            assert_refused(lambda call=call: call(x), "[batch, 6, height, width]", "got 7 channels")
