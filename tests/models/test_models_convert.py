"""Weights of CBAM's authors and of timm compute the same here, and ours the same there."""

import pytest
import torch
from torch import nn

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    IdentityStart,
    SpatialAttention,
    SqueezeExcitation,
    make_attention,
)
from cbam_course.models import (
    ResNet,
    from_official,
    from_timm,
    layout,
    load_weights,
    official_cbam,
    to_official,
    to_timm,
)
from tests.support.official_network import OfficialCBAM, OfficialResNet

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def randomize(module, seed=0):
    """Random parameters and statistics: nothing is 0 or 1, so nothing can be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            random = torch.randn(value.shape, generator=generator)
            if key.endswith("running_var") or "bn" in key and key.endswith("weight"):
                random = random.abs() + 0.5
            value.copy_(random / max(1, value[0].numel() if value.dim() else 1) ** 0.5)
        else:
            value.fill_(7)  # the counters of BatchNorm
    return module


def images(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_same_function(ours, theirs, x):
    """In both modes; in training the statistics move alike."""
    for mode in (False, True):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), **TOLERANCE)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), **TOLERANCE)


def assert_same_state(found, expected):
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].shape == value.shape and torch.equal(found[key], value), key


# CBAM's authors

NETWORKS = {
    "basic": (False, (2, 1), (16, 32), True),
    "bottleneck": (True, (2, 2), (16, 32), True),
    "basic-cifar": (False, (1, 2, 1), (16, 16, 32), False),
    "bottleneck-cifar": (True, (1, 1), (16, 16), False),
}


def both(name, attention=OfficialCBAM, own=official_cbam, seed=0):
    """Their network with random weights, and ours of the same kind."""
    bottleneck, depths, widths, imagenet = NETWORKS[name]
    theirs = randomize(OfficialResNet(depths, widths, bottleneck, attention, imagenet), seed)
    ours = ResNet(
        "bottleneck" if bottleneck else "basic",
        depths,
        own,
        10,
        widths=widths,
        stem="imagenet" if imagenet else "cifar",
    )
    return ours, theirs


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_authors(name):
    """Theirs here, ours there, and each there and back."""
    ours, theirs = both(name)
    x, state = images(2, 3, 64, 48), theirs.state_dict()
    before = ours.eval()(x)
    assert_same_state(to_official(from_official(state)), state)
    ours.load_state_dict(from_official(state), strict=True)
    assert_same_function(ours, theirs, x)
    assert (before - ours(x)).abs().max() > 0.1

    randomize(ours, seed=2)
    assert_same_state(from_official(to_official(ours)), ours.state_dict())
    for source in (ours, ours.state_dict()):
        theirs.load_state_dict(to_official(source), strict=True)
    assert_same_function(ours, theirs, x)


def test_the_attention_matters():
    """The maximum before the average: the other order computes something else, and is refused."""
    other = make_attention(
        "cbam-fc",
        channel_options={"bias": True, "layer": "linear"},
        spatial_options={"pools": ("avg", "max"), "batch_norm": True},
    )
    ours, theirs = both("basic", own=other)
    ours.load_state_dict(from_official(theirs.state_dict()), strict=True)
    x = images(2, 3, 64, 48)
    assert (ours.eval()(x) - theirs.eval()(x)).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"layer1.0.attention computes .*\('max', 'avg'\)"):
        to_official(ours)


@pytest.mark.parametrize("no_spatial", [False, True])
def test_a_block_of_the_authors_alone(no_spatial):
    theirs = randomize(OfficialCBAM(32, 4, no_spatial))
    ours = official_cbam(32, 4, order="channel" if no_spatial else "channel-spatial")
    ours.load_state_dict(from_official(theirs.state_dict()), strict=True)
    assert_same_function(ours, theirs, images(3, 32, 6, 5))
    assert_same_state(to_official(ours), theirs.state_dict())


def test_files_of_the_authors():
    """Names with ``module.`` and no counters of BatchNorm: their PyTorch had none."""
    ours, theirs = both("bottleneck")
    state = {
        f"module.{key}": value
        for key, value in theirs.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert "module.layer1.0.cbam.ChannelGate.mlp.1.weight" in state
    assert layout(state) == "official"
    ours.load_state_dict(from_official(state), strict=True)
    torch.testing.assert_close(
        ours.eval()(images(1, 3, 64, 64)), theirs.eval()(images(1, 3, 64, 64))
    )


def test_a_network_without_attention_stays_as_it_is():
    ours, theirs = both("basic", attention=lambda channels: nn.Identity(), own=None)
    state = theirs.state_dict()
    for convert in (from_official, to_official, from_timm, to_timm):
        assert_same_state(convert(state), state)
    ours.load_state_dict(state, strict=True)
    assert_same_function(ours, theirs, images(2, 3, 64, 48))


def test_other_networks_with_the_authors_block():
    theirs = nn.Sequential()
    theirs.add_module("conv", nn.Conv2d(3, 16, 3))
    theirs.add_module("cbam", OfficialCBAM(16, 4))
    ours = nn.Sequential()
    ours.add_module("conv", nn.Conv2d(3, 16, 3))
    ours.add_module("attention", official_cbam(16, 4))
    randomize(theirs)
    ours.load_state_dict(from_official(theirs.state_dict()), strict=True)
    assert_same_function(ours, theirs, images(2, 3, 8, 8))
    assert_same_state(to_official(ours), theirs.state_dict())


def test_official_cbam_by_hand():
    block = official_cbam(64)
    # Two layers with biases 64 -> 4 -> 64, a 7x7 kernel of two maps, scale and shift of the norm.
    assert sum(p.numel() for p in block.parameters()) == (64 * 4 + 4) + (4 * 64 + 64) + 98 + 2
    assert block.spatial_attention.bn.momentum == 0.01
    assert block.spatial_attention.pools == ("max", "avg")
    assert [p.dim() for p in block.channel_attention.parameters()] == [2, 1, 2, 1]


@pytest.mark.parametrize("layer", ["ChannelGate.mlp.0", "SpatialGate.conv", "ChannelGate.fc"])
def test_layers_that_the_authors_have_not(layer):
    with pytest.raises(ValueError, match=rf"{layer}.* \[4, 64\] is not of the authors' CBAM"):
        from_official({f"layer1.0.cbam.{layer}.weight": torch.ones(4, 64)})


@pytest.mark.parametrize("convert", [to_official, to_timm])
@pytest.mark.parametrize("block", [CBAM(32, mode="conv"), IdentityStart(official_cbam(32))])
def test_blocks_that_others_have_not(block, convert):
    state = {f"layer1.0.attention.{key}": value for key, value in block.state_dict().items()}
    with pytest.raises(ValueError, match="layer1.0.attention.* is not of (timm's|the authors')"):
        convert(state)


@pytest.mark.parametrize(
    "block",
    [
        CBAM(32, order="spatial-channel", spatial_options={"pools": ("max", "avg")}),
        CBAM(32, order="parallel", spatial_options={"pools": ("max", "avg")}),
        CBAM(32, channel_options={"pools": "avg"}, spatial_options={"pools": ("max", "avg")}),
        CBAM(32),
        SpatialAttention(),
    ],
    ids=lambda block: repr(block).splitlines()[0],
)
def test_blocks_that_compute_something_else_than_the_authors(block):
    with pytest.raises(ValueError, match="the block computes something else than the authors'"):
        to_official(block)


def test_shapes_of_the_mlp_fit_either_spelling():
    _, theirs = both("basic")
    own = make_attention(
        "cbam-fc",
        channel_options={"bias": True, "layer": "conv"},
        spatial_options={"pools": ("max", "avg"), "batch_norm": True},
    )
    ours, _ = both("basic", own=own)
    assert load_weights(ours, theirs.state_dict()).fresh == ()
    x = images(2, 3, 64, 48)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), **TOLERANCE)
    assert_same_state(to_official(ours), theirs.state_dict())


# timm


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip("timm", reason="needs timm")


KINDS = {
    "cbam": lambda timm: timm.layers.cbam.CbamModule,
    "eca": lambda timm: timm.layers.EcaModule,
    "se": lambda timm: timm.layers.SEModule,
}


BN = {"batch_norm": True}
BLOCKS = [
    # Which of timm's, its arguments, and the factory of ours that does the same.
    ("cbam", {}, "cbam-fc", {"spatial_options": BN}),
    (
        *("cbam", {"mlp_bias": True}),
        *("cbam-fc", {"channel_options": {"bias": True}, "spatial_options": BN}),
    ),
    (
        *("cbam", {"rd_ratio": 1 / 4, "spatial_kernel_size": 3}),
        *("cbam-fc", {"reduction": 4, "kernel_size": 3, "spatial_options": BN}),
    ),
    ("cbam", {"rd_divisor": 8}, "cbam-fc", {"reduction": 8, "spatial_options": BN}),
    ("eca", {}, "eca", {}),
    ("se", {}, "se", {"reduction": 8}),
    ("se", {"rd_ratio": 1 / 4, "bias": False}, "se", {"reduction": 4, "bias": False}),
    ("se", {"rd_channels": 7}, "se", {"reduction": 9}),
]


@pytest.mark.parametrize(("kind", "arguments", "name", "options"), BLOCKS)
def test_blocks_of_timm_alone(timm, kind, arguments, name, options):
    theirs = randomize(KINDS[kind](timm)(64, **arguments))
    ours = make_attention(name, **options)(64)
    x = images(3, 64, 6, 5)
    ours.load_state_dict(from_timm(theirs.state_dict()), strict=True)
    assert_same_function(ours, theirs, x)
    assert_same_state(from_timm(to_timm(ours)), ours.state_dict())

    randomize(ours, seed=5)
    theirs.load_state_dict(to_timm(ours), strict=True)
    assert_same_function(ours, theirs, x)
    assert_same_state(to_timm(ours.state_dict()), theirs.state_dict())


CHANNELS = (32, 64, 64, 96)


def timm_resnet(timm, name, attention):
    """timm's ResNet-18 or -26 with few channels and random weights."""
    block_args = {"attn_layer": attention} if attention else None
    return randomize(
        timm.create_model(name, block_args=block_args, channels=CHANNELS, num_classes=10)
    )


def our_resnet(name, attention):
    block = {"resnet18": "basic", "resnet26": "bottleneck"}[name]
    return ResNet(block, (2, 2, 2, 2), attention, 10, widths=CHANNELS)


@pytest.mark.parametrize("attention", ["cbam", "eca", "se", None])
@pytest.mark.parametrize("name", ["resnet18", "resnet26"])
def test_networks_of_timm(timm, name, attention):
    theirs = timm_resnet(timm, name, attention)
    state = theirs.state_dict()
    assert layout(state) == ("timm" if attention else "course")
    # timm rounds the hidden layers of SE to multiples of 8.
    factories = {
        "cbam": lambda c: CBAM(c, spatial_options=BN),
        "se": lambda c: SqueezeExcitation(c, c // max(8, 8 * round(c / 128))),
        "eca": ECA,
    }
    ours = our_resnet(name, factories.get(attention))
    ours.load_state_dict(from_timm(state), strict=True)
    x = images(2, 3, 64, 48)
    assert_same_function(ours, theirs, x)
    back = to_timm(from_timm(state))
    assert_same_state(back, state)

    randomize(ours, seed=3)
    theirs.load_state_dict(to_timm(ours), strict=True)
    assert_same_function(ours, theirs, x)
    if attention:
        assert layout(ours.state_dict()) == "course"


@pytest.mark.parametrize("attention", ["ecam", "ese", "gc", "sk"])
def test_networks_of_timm_with_other_blocks(timm, attention):
    """What they compute is no block of the course; selective kernels replace a convolution."""
    state = timm.create_model(
        "resnet18", block_args={"attn_layer": attention}, channels=CHANNELS
    ).state_dict()
    assert layout(state) == "timm"
    with pytest.raises(ValueError, match=r"layer1.0.se.* is not of timm's CBAM, ECA and SE"):
        from_timm(state)


@pytest.mark.parametrize(
    "block",
    [
        CBAM(32, spatial_options={"pools": ("max", "avg")}),
        CBAM(32, order="spatial-channel"),
        CBAM(32, order="channel"),
        CBAM(32, channel_options={"pools": "max"}),
        ECA(32, pools=("avg", "max")),
        ChannelAttention(32),
    ],
    ids=lambda block: repr(block).splitlines()[0],
)
def test_blocks_that_compute_something_else_than_timm(block):
    with pytest.raises(ValueError, match="the block computes something else than timm's"):
        to_timm(block)


# Layouts


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nn.Linear(3, 2), "course"),
        (ResNet("basic", (1,), widths=(16,)), "course"),
        (ResNet("basic", (1,), CBAM, widths=(16,)), "course"),
        (ResNet("basic", (1,), ECA, widths=(16,)), "course"),
        (OfficialResNet((1,), (16,), False), "official"),
        (OfficialCBAM(32), "official"),
    ],
)
def test_layouts(network, expected):
    state = network.state_dict()
    assert layout(state) == expected
    assert layout({f"module.{key}": value for key, value in state.items()}) == expected
