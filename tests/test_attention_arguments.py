"""Bad arguments and bad inputs are refused at once, with what was given and what is allowed."""

import attention_cases as cases
import numpy as np
import pytest
import torch

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    SpatialAttention,
    SqueezeExcitation,
    eca_kernel_size,
)

WITH_CHANNELS = [SqueezeExcitation, ChannelAttention, ECA, CBAM, eca_kernel_size]
WITH_REDUCTION = [SqueezeExcitation, ChannelAttention, CBAM]
WITH_KERNEL = [
    *(SpatialAttention, lambda k: CBAM(64, kernel_size=k), lambda k: ECA(64, k)),
    lambda k: CBAM(64, mode="conv", channel_options={"kernel_size": k}),
]
WITH_POOLS = {
    ChannelAttention: "'avg', 'max'",
    ECA: "'avg', 'max'",
    SpatialAttention: "'avg', 'max', 'conv'",
}
NO_COUNTS = [
    0,
    -4,
    16.0,
    2.5,
    "16",
    None,
    True,
    False,
    [16],
    float("nan"),
    np.float64(16),
    np.True_,
]


def by_name(make):
    return getattr(make, "__name__", None)


def assert_refused(make, *parts):
    """``make()`` raises a ValueError whose message holds all the parts."""
    with pytest.raises(ValueError) as refusal:
        make()
    for part in parts:
        assert part in str(refusal.value)


@pytest.mark.parametrize("make", WITH_CHANNELS, ids=by_name)
@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_channels(make, value):
    assert_refused(lambda: make(value), "channels must be an integer of at least 1", repr(value))


@pytest.mark.parametrize("make", WITH_REDUCTION, ids=by_name)
@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_reduction(make, value):
    if make is CBAM and value is None:
        assert CBAM(64, value).channel_attention.reduction == 16
    else:
        assert_refused(lambda: make(64, value), "reduction must be an integer", repr(value))


@pytest.mark.parametrize("make", WITH_REDUCTION, ids=by_name)
def test_reduction_that_leaves_no_hidden_unit(make):
    assert_refused(lambda: make(8), "reduction 16", "8 channels", "8 // 16 = 0", "at most 8")
    assert_refused(lambda: make(8, 9), "reduction 9", "8 // 9 = 0", "at most 8")
    make(8, 8)


@pytest.mark.parametrize("make", WITH_KERNEL)
@pytest.mark.parametrize("value", [v for v in NO_COUNTS if v is not None], ids=repr)
def test_kernel_size(make, value):
    assert_refused(lambda: make(value), "kernel_size must be an integer of at least 1", repr(value))


@pytest.mark.parametrize("make", WITH_KERNEL)
@pytest.mark.parametrize("value", [2, 4, 8, np.int64(6)], ids=repr)
def test_even_kernel_size(make, value):
    assert_refused(lambda: make(value), "kernel_size must be odd", f"got {value!r}")


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8, torch.tensor], ids=by_name)
def test_any_integer_type_will_do(integer):
    """Sizes are often computed with NumPy; inside they are plain integers."""
    for block in (
        SqueezeExcitation(integer(64), integer(4)),
        ChannelAttention(integer(64), integer(4)),
        CBAM(integer(64), integer(4), integer(3)),
        ECA(integer(64), integer(5)),
        SpatialAttention(integer(3), channels=integer(64)),
    ):
        for name in ("channels", "reduction", "kernel_size"):
            assert type(getattr(block, name, 1)) is int
        assert block(torch.randn(1, 64, 4, 4)).shape == (1, 64, 4, 4)
    assert eca_kernel_size(integer(64)) == 3


NO_POOLS = {
    "none": (),
    "empty name": "",
    "unknown name": "mean",
    "two names run together": "avgmax",
    "one twice": ("avg", "avg"),
    "one unknown": ["max", "mean"],
    "no name among them": ("avg", None),
    "list in a tuple": (["avg"],),
    "None": None,
    "number": 2,
    "boolean": True,
    "set, which has no order": {"avg", "max"},
    "frozen set": frozenset({"avg"}),
    "dict": {"avg": 1},
    "generator, which can be read once": (pool for pool in ("avg",)),
    "bytes": b"avg",
}


@pytest.mark.parametrize(("kind", "allowed"), WITH_POOLS.items(), ids=by_name)
@pytest.mark.parametrize("value", NO_POOLS.values(), ids=NO_POOLS)
def test_pools(kind, allowed, value):
    channels = () if kind is SpatialAttention else (64,)
    make = lambda: kind(*channels, pools=value)  # noqa: E731
    assert_refused(make, f"one or more of {allowed}, each once", "list or tuple", repr(value))


@pytest.mark.parametrize("kind", [ChannelAttention, ECA])
def test_learned_pool_is_for_places_only(kind):
    assert_refused(lambda: kind(64, pools=("avg", "conv")), "'avg', 'max'", "conv")


def test_learned_pool_needs_channels():
    assert_refused(lambda: SpatialAttention(pools="conv"), "1x1 convolution", "channels=C")
    assert_refused(lambda: SpatialAttention(channels=0), "channels must be an integer", "got 0")


@pytest.mark.parametrize("value", ["max", ("max",), ["max"]], ids=repr)
def test_one_pool_has_three_spellings(value):
    for block in (ChannelAttention(64, pools=value), ECA(64, pools=value)):
        assert block.pools == ("max",)
    assert SpatialAttention(pools=value).pools == ("max",)


@pytest.mark.parametrize("value", ["False", "no", 0, 1, None, "", np.True_], ids=repr)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bias", lambda v: SqueezeExcitation(64, bias=v)),
        ("bias", lambda v: ChannelAttention(64, bias=v)),
        ("bias", lambda v: SpatialAttention(bias=v)),
        ("batch_norm", lambda v: SpatialAttention(batch_norm=v)),
        ("bias", lambda v: CBAM(64, channel_options={"bias": v})),
    ],
)
def test_flags(name, make, value):
    assert_refused(lambda: make(value), f"{name} must be True or False", f"got {value!r}")


CHOICES = {
    "layer": (lambda v: ChannelAttention(64, layer=v), "'conv', 'linear'"),
    "mode": (lambda v: CBAM(64, mode=v), "'fc', 'conv'"),
    "order": (
        lambda v: CBAM(64, order=v),
        "'channel-spatial', 'spatial-channel', 'parallel', 'channel', 'spatial'",
    ),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["FC", "", None, 1, ["conv"], np.array(["fc", "conv"])], ids=repr)
def test_choices(name, value):
    make, allowed = CHOICES[name]
    assert_refused(lambda: make(value), f"{name} must be one of {allowed}", repr(value))


@pytest.mark.parametrize("value", ["2", None, True, float("nan"), float("inf"), 1j], ids=repr)
@pytest.mark.parametrize("name", ["gamma", "b"])
def test_constants_of_eca(name, value):
    for make in (eca_kernel_size, ECA):
        assert_refused(
            lambda make=make: make(64, **{name: value}), f"{name} must be a finite number"
        )


def test_gamma_of_zero():
    assert_refused(lambda: ECA(64, gamma=0), "gamma must not be zero")


IGNORED = {
    "gamma beside a kernel size": (lambda: ECA(64, 3, gamma=4), "kernel_size=3", "gamma=4"),
    "b beside a kernel size": (lambda: ECA(64, 3, b=0), "kernel_size=3", "b=0"),
    "reduction in conv mode": (lambda: CBAM(64, 8, mode="conv"), "mode 'conv'", "reduction=8"),
    "kernel size without a spatial half": (
        lambda: CBAM(64, kernel_size=3, order="channel"),
        *("order 'channel'", "kernel_size=3"),
    ),
    "options without a spatial half": (
        lambda: CBAM(64, order="channel", spatial_options={"bias": True}),
        *("order 'channel'", "spatial_options={'bias': True}"),
    ),
    "reduction without a channel half": (
        lambda: CBAM(64, 8, order="spatial"),
        *("order 'spatial'", "reduction=8"),
    ),
    "mode without a channel half": (
        lambda: CBAM(64, mode="conv", order="spatial"),
        *("order 'spatial'", "mode='conv'"),
    ),
    "options without a channel half": (
        lambda: CBAM(64, order="spatial", channel_options={"bias": True}),
        *("order 'spatial'", "channel_options={'bias': True}"),
    ),
    "reduction given twice": (
        lambda: CBAM(64, channel_options={"reduction": 8}),
        *("reduction", "CBAM itself", "channel_options={'reduction': 8}"),
    ),
    "kernel size given twice": (
        lambda: CBAM(64, spatial_options={"kernel_size": 3}),
        *("kernel_size", "CBAM itself", "spatial_options={'kernel_size': 3}"),
    ),
    "channels given twice": (
        lambda: CBAM(64, spatial_options={"channels": 32}),
        *("channels", "CBAM itself", "spatial_options={'channels': 32}"),
    ),
    "options that are no options": (
        lambda: CBAM(64, channel_options=0),
        *("channel_options", "dict", "got 0"),
    ),
}


@pytest.mark.parametrize(("make", "parts"), [(v[0], v[1:]) for v in IGNORED.values()], ids=IGNORED)
def test_what_would_be_ignored_is_refused(make, parts):
    assert_refused(make, *parts)


@pytest.mark.parametrize("kind", [*WITH_CHANNELS[:4], SpatialAttention], ids=by_name)
def test_unknown_arguments_are_refused(kind):
    arguments = () if kind is SpatialAttention else (64,)
    with pytest.raises(TypeError, match="gate_layer"):
        kind(*arguments, gate_layer="hard_sigmoid")


few = pytest.mark.parametrize("case", cases.FEW.values(), ids=cases.FEW)


@few
@pytest.mark.parametrize("shape", [(), (6,), (2, 6), (6, 4, 5), (2, 6, 1, 4, 5)], ids=str)
def test_input_without_four_axes(case, shape):
    call = lambda: case.make(6)(torch.zeros(shape))  # noqa: E731
    assert_refused(call, "expects a feature map [batch, ", "height, width]", f"shape {list(shape)}")


@few
def test_input_with_other_channels(case):
    block = case.make(6)
    x = torch.zeros(2, 7, 4, 5, dtype=torch.float64)
    if block.channels is None:
        assert block(x).shape == x.shape
    else:
        for call in (block, block.attention_map):
            assert_refused(lambda call=call: call(x), "[batch, 6, height, width]", "got 7 channels")


@few
@pytest.mark.parametrize("shape", [(2, 6, 0, 5), (2, 6, 4, 0)], ids=str)
def test_input_without_places(case, shape):
    assert_refused(lambda: case.make(6)(torch.zeros(shape)), "at least 1 x 1", str(list(shape)))


def test_input_without_channels():
    assert_refused(
        lambda: SpatialAttention()(torch.zeros(2, 0, 4, 5)), "at least 1 x 1", "[2, 0, 4, 5]"
    )


@few
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64], ids=str)
def test_input_that_is_not_floating_point(case, dtype):
    """An image as it comes from a file, for example."""
    x = torch.zeros(2, 6, 4, 5, dtype=dtype)
    assert_refused(lambda: case.make(6)(x), "floating-point", f"got {dtype}")
