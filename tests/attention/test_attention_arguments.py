"""Bad arguments and bad inputs are refused at once, with what was given and what is allowed."""

import re

import pytest
import torch

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    ConstantGate,
    IdentityStart,
    SpatialAttention,
    SqueezeExcitation,
    eca_kernel_size,
    make_attention,
    starting_as_identity,
)
from tests.support.attention_cases import few


def assert_refused(make, message):
    """``make()`` raises a ValueError that holds the message; ``...`` stands for anything."""
    pattern = ".*".join(map(re.escape, message.split("...")))
    with pytest.raises(ValueError, match=pattern):
        make()


@pytest.mark.parametrize("value", [0, 16.0, "16", True], ids=repr)
def test_what_is_no_count(value):
    for make in (SqueezeExcitation, ECA, CBAM, ConstantGate, eca_kernel_size):
        refusal = f"channels must be an integer of at least 1; got {value!r}"
        assert_refused(lambda make=make: make(value), refusal)
    assert_refused(lambda: CBAM(64, value), "reduction must be an integer of at least 1")
    for make in (SpatialAttention, lambda k: ECA(64, k)):
        assert_refused(lambda make=make: make(value), "kernel_size must be an integer of at least")


ORDERS = "'channel-spatial', 'spatial-channel', 'parallel', 'channel', 'spatial'"
POOLS = "each once, as a string, list or tuple; got "
REFUSED = [
    (lambda: ECA(64, 4), "kernel_size must be odd...got 4"),
    (lambda: SpatialAttention(4), "kernel_size must be odd...got 4"),
    # Seen: fewer channels than the ratio, an MLP of width zero, a gate that is constant.
    (lambda: SqueezeExcitation(8), "reduction 16...8 channels (8 // 16 = 0)...at most 8"),
    (lambda: CBAM(8, 9), "reduction 9...(8 // 9 = 0)...at most 8"),
    (lambda: ECA(64, pools=()), POOLS + "()"),
    (lambda: ECA(64, pools=("avg", "conv")), "'avg', 'max', each...'conv'"),
    (lambda: ChannelAttention(64, pools=("avg", "avg")), POOLS + "('avg', 'avg')"),
    (lambda: ChannelAttention(64, pools={"avg"}), POOLS + "{'avg'}"),
    (lambda: SpatialAttention(pools=["max", "mean"]), "'avg', 'max', 'conv', " + POOLS),
    (lambda: SpatialAttention(pools="conv"), "1x1 convolution from C channels: give channels=C"),
    (lambda: ChannelAttention(64, layer="FC"), "layer must be one of 'conv', 'linear'; got 'FC'"),
    (lambda: CBAM(64, mode=["fc"]), "mode must be one of 'fc', 'conv'; got ['fc']"),
    (lambda: CBAM(64, order=None), f"order must be one of {ORDERS}; got None"),
    # What would be ignored.
    (lambda: CBAM(64, 8, mode="conv"), "mode 'conv' has no hidden layer...reduction=8"),
    (lambda: CBAM(64, order="channel", kernel_size=3), "'channel' has no spatial...kernel_size=3"),
    (lambda: CBAM(64, 8, order="spatial"), "'spatial' has no channel half...reduction=8"),
    (lambda: CBAM(64, order="spatial", mode="conv"), "order 'spatial'...mode='conv'"),
    # Names and their options.
    (lambda: make_attention("cbam"), "attention must be one of 'none', 'se'...got 'cbam'"),
    (lambda: make_attention("none", reduction=8), "'none' takes no options"),
    (lambda: make_attention("cbam-conv", mode="fc"), "'cbam-conv' says the mode"),
    (lambda: make_attention("timm:senet"), "'timm:senet': timm's create_attn knows no 'senet'"),
    (lambda: starting_as_identity("none"), "factory must be a factory of blocks, such as CBAM"),
    (lambda: starting_as_identity(CBAM(64)), "attention must be a name...make_attention("),
    (
        lambda: IdentityStart(torch.nn.MaxPool2d(2))(torch.randn(2, 4, 6, 6)),
        "MaxPool2d made [2, 4, 3, 3] of [2, 4, 6, 6]",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(make, message):
    assert_refused(make, message)


@few
def test_inputs(case):
    block = case.make(6)
    for shape in [(2, 6), (6, 4, 5)]:
        refusal = f"expects a feature map [batch, ...shape {list(shape)}"
        assert_refused(lambda shape=shape: block(torch.zeros(shape)), refusal)
    x = torch.zeros(2, 7, 4, 5, dtype=torch.float64)
    if block.channels is None:
        assert block(x).shape == x.shape
    else:
        assert_refused(lambda: block(x), "[batch, 6, height, width]...got 7 channels")
