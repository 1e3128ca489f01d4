"""Weights of other repositories compute the same here, and ours the same there."""

import pytest
import timm.layers.cbam
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
    from_layout,
    layout,
    load_weights,
    official_cbam,
    to_layout,
)
from tests.support.networks import images, randomize
from tests.support.others import (
    AuthorsECA,
    LuuuyiChannel,
    LuuuyiSpatial,
    MoskomuleSE,
    OfficialCBAM,
    their_network,
)

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


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


def both(own=official_cbam, **parts):
    """Their network with random weights, and ours of the same kind."""
    theirs = randomize(their_network(**(parts or {"cbam": OfficialCBAM})))
    return ResNet("basic", (1, 1, 1, 1), own, 10), theirs


def test_networks_of_the_authors():
    """Theirs here, ours there, and each there and back."""
    ours, theirs = both()
    x, state = images(2, 3, 64, 48), theirs.state_dict()
    before = ours.eval()(x)
    assert_same_state(to_layout(from_layout(state, "official"), "official"), state)
    ours.load_state_dict(from_layout(state, "official"), strict=True)
    assert_same_function(ours, theirs, x)
    assert (before - ours(x)).abs().max() > 0.1

    randomize(ours, seed=2)
    assert_same_state(from_layout(to_layout(ours, "official"), "official"), ours.state_dict())
    for source in (ours, ours.state_dict()):
        theirs.load_state_dict(to_layout(source, "official"), strict=True)
    assert_same_function(ours, theirs, x)


# Of three more repositories: their parts of a residual block, and our block.
OTHERS = {
    "moskomule": ({"se": MoskomuleSE}, lambda c: SqueezeExcitation(c, bias=False)),
    "ecanet": ({"eca": AuthorsECA}, lambda c: ECA(c, kernel_size=5 if c > 256 else 3)),
    "luuuyi": ({"ca": LuuuyiChannel, "sa": LuuuyiSpatial}, CBAM),
}


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_other_repositories(name):
    parts, own = OTHERS[name]
    ours, theirs = both(own=own, **parts)
    assert layout(theirs.state_dict()) == name
    report = load_weights(ours, theirs.state_dict())
    assert layout(ours.state_dict()) == "course"
    assert report.fresh == report.unused == ()
    assert_same_function(ours, theirs, images(2, 3, 64, 48))


def test_a_block_of_the_authors_alone():
    theirs = randomize(OfficialCBAM(32, 4))
    ours = official_cbam(32, 4)
    ours.load_state_dict(from_layout(theirs.state_dict(), "official"), strict=True)
    assert_same_function(ours, theirs, images(3, 32, 6, 5))
    assert_same_state(to_layout(ours, "official"), theirs.state_dict())


def test_a_network_without_attention_stays_as_it_is():
    ours, theirs = both(own=None, nothing=lambda channels: nn.Identity())
    state = theirs.state_dict()
    for whose in ("official", "timm"):
        assert_same_state(from_layout(state, whose), state)
        assert_same_state(to_layout(state, whose), state)
    ours.load_state_dict(state, strict=True)
    assert_same_function(ours, theirs, images(2, 3, 64, 48))


def test_layers_that_the_other_side_has_not():
    with pytest.raises(ValueError, match=r"ChannelGate.fc.* \[4, 64\] is not of the authors' CBAM"):
        from_layout({"layer1.0.cbam.ChannelGate.fc.weight": torch.ones(4, 64)}, "official")
    # What timm's ECA with an MLP computes is no block of the course.
    state = timm_resnet("resnet18", "ecam").state_dict()
    assert layout(state) == "timm"
    with pytest.raises(ValueError, match=r"layer1.0.se.* is not of timm's CBAM, ECA and SE"):
        from_layout(state, "timm")
    for block in (CBAM(32, mode="conv"), IdentityStart(official_cbam(32))):
        state = {f"layer1.0.attention.{key}": value for key, value in block.state_dict().items()}
        for whose in ("official", "timm"):
            with pytest.raises(ValueError, match="layer1.0.attention.* is not of (timm|the)"):
                to_layout(state, whose)


# timm


KINDS = {
    "cbam": timm.layers.cbam.CbamModule,
    "eca": timm.layers.EcaModule,
    "se": timm.layers.SEModule,
}
BN = {"batch_norm": True}
BLOCKS = [
    # Which of timm's, its arguments, and the factory of ours that does the same.
    ("cbam", {}, "cbam-fc", {"spatial_options": BN}),
    (
        *("cbam", {"rd_ratio": 1 / 4, "spatial_kernel_size": 3}),
        *("cbam-fc", {"reduction": 4, "kernel_size": 3, "spatial_options": BN}),
    ),
    ("eca", {}, "eca", {}),
    ("se", {"rd_ratio": 1 / 4, "bias": False}, "se", {"reduction": 4, "bias": False}),
    ("se", {"rd_channels": 7}, "se", {"reduction": 9}),
]


@pytest.mark.parametrize(("kind", "arguments", "name", "options"), BLOCKS)
def test_blocks_of_timm_alone(kind, arguments, name, options):
    theirs = randomize(KINDS[kind](64, **arguments))
    ours = make_attention(name, **options)(64)
    x = images(3, 64, 6, 5)
    ours.load_state_dict(from_layout(theirs.state_dict(), "timm"), strict=True)
    assert_same_function(ours, theirs, x)
    assert_same_state(from_layout(to_layout(ours, "timm"), "timm"), ours.state_dict())

    randomize(ours, seed=5)
    theirs.load_state_dict(to_layout(ours, "timm"), strict=True)
    assert_same_function(ours, theirs, x)
    assert_same_state(to_layout(ours.state_dict(), "timm"), theirs.state_dict())


CHANNELS = (32, 64, 64, 96)


def timm_resnet(name, attention):
    """timm's ResNet-18 or -26 with few channels."""
    block = {"attn_layer": attention}
    return timm.create_model(name, block_args=block, channels=CHANNELS, num_classes=10)


@pytest.mark.parametrize(
    ("name", "attention"), [("resnet18", "cbam"), ("resnet26", "eca"), ("resnet26", "se")]
)
def test_networks_of_timm(name, attention):
    theirs = randomize(timm_resnet(name, attention))
    state = theirs.state_dict()
    assert layout(state) == "timm"
    # timm rounds the hidden layers of SE to multiples of 8.
    factories = {
        "cbam": lambda c: CBAM(c, spatial_options=BN),
        "se": lambda c: SqueezeExcitation(c, c // max(8, 8 * round(c / 128))),
        "eca": ECA,
    }
    block = {"resnet18": "basic", "resnet26": "bottleneck"}[name]
    ours = ResNet(block, (2, 2, 2, 2), factories[attention], 10, widths=CHANNELS)
    ours.load_state_dict(from_layout(state, "timm"), strict=True)
    x = images(2, 3, 64, 48)
    assert_same_function(ours, theirs, x)
    back = to_layout(from_layout(state, "timm"), "timm")
    assert_same_state(back, state)

    randomize(ours, seed=3)
    theirs.load_state_dict(to_layout(ours, "timm"), strict=True)
    assert_same_function(ours, theirs, x)
    assert layout(ours.state_dict()) == "course"


MAX_FIRST = {"spatial_options": {"pools": ("max", "avg")}}


@pytest.mark.parametrize(
    ("whose", "block"),
    [
        ("official", CBAM(32, order="spatial-channel", **MAX_FIRST)),
        ("official", CBAM(32, channel_options={"pools": "avg"}, **MAX_FIRST)),
        ("official", CBAM(32)),
        ("official", SpatialAttention()),
        ("timm", CBAM(32, **MAX_FIRST)),
        ("timm", ECA(32, pools=("avg", "max"))),
        ("timm", ChannelAttention(32)),
    ],
)
def test_blocks_that_compute_something_else(whose, block):
    with pytest.raises(ValueError, match="the block computes something else than (the auth|timm)"):
        to_layout(block, whose)
