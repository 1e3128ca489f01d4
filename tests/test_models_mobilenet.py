"""The MobileNets against torchvision's and timm's, and the published counts."""

import networks
import pytest
import timm
import torch
import torchvision
from torch import nn

from cbam_course.attention import ATTENTION_NAMES, CBAM, ChannelAttention, make_attention
from cbam_course.models import (
    MobileNetV1,
    MobileNetV2,
    mobilenet_v1,
    mobilenet_v1_cbam,
    mobilenet_v2,
    mobilenet_v2_cbam,
)

META = torch.device("meta")
SE = make_attention("se")
PAPERS_CBAM = make_attention("cbam-fc", channel_options={"bias": True})
TINY = make_attention("channel-fc", reduction=1)
"""An image's three channels leave no hidden unit at a larger reduction."""


def attention(name):
    """The block, small enough for few channels."""
    options = {"reduction": 1} if name in ("se", "channel-fc", "cbam-fc") else {}
    return make_attention(name, **options)


class Shift(nn.Module):
    def forward(self, x):
        return x - 1


# -- version 1 -------------------------------------------------------------------------------------


def test_v1_equals_timms():
    """timm's has ReLU6 and other names: with ReLU, layer by layer, the same network."""
    torch.manual_seed(0)
    theirs = networks.randomize_statistics(timm.create_model("mobilenetv1_100", act_layer=nn.ReLU))
    with META:
        ours = mobilenet_v1()
    values = theirs.state_dict().values()
    networks.copy_onto(ours, dict(zip(ours.state_dict(), values, strict=True)))
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("alpha", "printed"),
    [  # parameters in units of 1e6 and GFLOPs in units of 1e9: alone, with SE, with CBAM
        (0.7, "2.30 0.283, 2.70 0.283, 2.71 0.289"),
        (1.0, "4.23 0.569, 5.07 0.570, 5.07 0.576"),
    ],
)
def test_cbams_table_5(alpha, printed):
    """11 of 12 cells; for alpha 0.7 with SE the paper prints 2.71, see below."""
    with META:
        models = [mobilenet_v1(block, alpha=alpha) for block in (None, SE, PAPERS_CBAM)]
    ours = ", ".join(
        f"{networks.parameters(model) / 1e6:.2f} {networks.multiply_accumulates(model) / 1e9:.3f}"
        for model in models
    )
    assert ours == printed


def test_the_one_cell_of_table_5_that_differs():
    """2.71 M is printed for alpha 0.7 with SE; hidden layers of round(C / 16) units give it."""
    with META:
        plain, ours = mobilenet_v1(alpha=0.7), mobilenet_v1("se", alpha=0.7)
    widths = [layer.conv.out_channels for layer in plain.features]
    extra = {
        rule: sum(2 * c * hidden + hidden + c for c, hidden in zip(widths, units, strict=True))
        for rule, units in {
            "cut": [c // 16 for c in widths],
            "rounded": [round(c / 16) for c in widths],
        }.items()
    }
    assert networks.parameters(ours) == networks.parameters(plain) + extra["cut"] == 2_704_661
    assert f"{(networks.parameters(plain) + extra['cut']) / 1e6:.2f}" == "2.70"
    assert f"{(networks.parameters(plain) + extra['rounded']) / 1e6:.2f}" == "2.71"


def test_v1_has_attention_after_every_convolution():
    with META:
        model = mobilenet_v1_cbam(alpha=0.5, reduction=8, kernel_size=3)
    layers = list(model.features)
    assert len(layers) == 1 + 13 + 13
    assert len([m for m in model.modules() if isinstance(m, CBAM)]) == 27
    for layer in layers:
        assert layer.attention.channels == layer.conv.out_channels == layer.bn.num_features
        assert layer.attention.channel_attention.reduction == 8
    assert [layer.conv.groups for layer in layers[1:5]] == [16, 1, 32, 1]


def test_v1_weighs_what_the_relu_puts_out():
    layer = networks.randomize_statistics(MobileNetV1(lambda c: Shift(), 5, alpha=0.25)).features[2]
    x = torch.randn(2, 8, 6, 6)
    expected = nn.functional.relu(layer.bn(layer.conv(x))) - 1
    assert (expected == -1).any()
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(("alpha", "widths"), [(1.0, (32, 64, 1024)), (0.7, (22, 44, 716))])
def test_v1_widths_are_cut(alpha, widths):
    with META:
        layers = mobilenet_v1(alpha=alpha).features
    assert tuple(layers[k].conv.out_channels for k in (0, 2, -1)) == widths


# -- version 2 -------------------------------------------------------------------------------------


def test_v2_has_torchvisions_keys_and_outputs():
    torch.manual_seed(0)
    theirs = networks.randomize_statistics(torchvision.models.mobilenet_v2())
    with META:
        ours = mobilenet_v2()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    networks.copy_onto(ours, theirs.state_dict())
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_v2_has_torchvisions_initial_weights():
    torch.manual_seed(1)
    ours = mobilenet_v2(num_classes=10).state_dict()
    torch.manual_seed(1)
    theirs = torchvision.models.mobilenet_v2(num_classes=10).state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_v2_first_convolution_of_other_channels_is_initialized_alike():
    torch.manual_seed(1)
    weight = mobilenet_v2(in_channels=12).features[0][0].weight
    assert weight.shape == (32, 12, 3, 3)
    assert abs(weight.std().item() - (2 / (32 * 9)) ** 0.5) < 0.005


@pytest.mark.parametrize(
    ("where", "places"),
    [
        ("first", ["first"]),
        ("last", ["last"]),
        (("first", "last"), ["first", "last"]),
        ("blocks", [f"features.{k}.attention" for k in range(1, 18)]),
        (["blocks", "last"], [f"features.{k}.attention" for k in range(1, 18)] + ["last"]),
    ],
)
def test_v2_places(where, places):
    with META:
        model = mobilenet_v2(TINY, where=where)
    found = [name for name, m in model.named_modules() if isinstance(m, ChannelAttention)]
    assert found == places


def test_v2_first_and_last_by_hand():
    torch.manual_seed(0)
    model = networks.randomize_statistics(MobileNetV2(TINY, 5, where=("first", "last")))
    x = torch.randn(2, 3, 32, 32)
    assert (model.first.channels, model.last.channels) == (3, 1280)
    weighed = model.features(x * model.first.attention_map(x))
    pooled = (weighed * model.last.attention_map(weighed)).mean(dim=(2, 3))
    torch.testing.assert_close(model(x), model.classifier[1](pooled))


def test_v2_blocks_before_the_addition():
    model = MobileNetV2(lambda channels: Shift(), 5, where="blocks").eval()
    block = model.features[3]
    x = torch.randn(2, 24, 8, 8)
    assert block.use_res_connect
    torch.testing.assert_close(block(x), x + (block.conv(x) - 1))
    block = model.features[2]
    x = torch.randn(2, 16, 8, 8)
    assert not block.use_res_connect
    torch.testing.assert_close(block(x), block.conv(x) - 1)


def test_v2_last_takes_the_final_map_and_its_parameters_by_hand():
    with META:
        plain, model = mobilenet_v2(), mobilenet_v2_cbam(reduction=16)
        model.last.register_forward_hook(lambda m, x, y: sizes.append(tuple(x[0].shape)))
        sizes = []
        model(torch.randn(1, 3, 224, 224))
    assert sizes == [(1, 1280, 7, 7)]
    extra = 2 * 1280 * 80 + 98
    assert networks.parameters(model) == networks.parameters(plain) + extra


# -- both ------------------------------------------------------------------------------------------


def make(version, factory, **options):
    if version == 1:
        return MobileNetV1(factory, 5, alpha=0.25, **options)
    return MobileNetV2(factory, 5, where=("first", "blocks", "last"), **options)


@pytest.mark.parametrize("in_channels", [1, 3, 6])
@pytest.mark.parametrize("version", [1, 2])
def test_any_number_of_input_channels(version, in_channels):
    with META:
        model = make(version, TINY, in_channels=in_channels)
        assert model(torch.randn(2, in_channels, 33, 45)).shape == (2, 5)


@pytest.mark.parametrize("in_channels", [3, 6])
@pytest.mark.parametrize("version", [1, 2])
def test_same_seed_same_backbone_whatever_the_attention(version, in_channels):
    torch.manual_seed(3)
    plain = make(version, None, in_channels=in_channels).state_dict()
    torch.manual_seed(3)
    other = make(version, attention("cbam-fc"), in_channels=in_channels).state_dict()
    assert plain.keys() < other.keys()
    assert all(torch.equal(plain[key], other[key]) for key in plain)


@pytest.mark.parametrize("name", ATTENTION_NAMES)
def test_v1_gradients_reach_every_parameter(name):
    torch.manual_seed(5)
    model = make(1, attention(name))
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_v2_gradients_reach_every_parameter():
    torch.manual_seed(5)
    model = make(2, attention("cbam-fc"), in_channels=6)
    model(torch.randn(4, 6, 64, 64)).square().sum().backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("version", [1, 2])
def test_starting_as_the_identity_changes_nothing_at_first(version):
    builder = mobilenet_v1 if version == 1 else mobilenet_v2
    torch.manual_seed(4)
    plain = builder(num_classes=5).eval()
    torch.manual_seed(4)
    other = builder("cbam-fc", num_classes=5, start_as_identity=True).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(x), other(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MobileNetV1(alpha=0), "alpha must leave a channel in every layer, got 0"),
        (lambda: MobileNetV1(alpha=0.03), "alpha must leave a channel in every layer, got 0.03"),
        (lambda: MobileNetV1(alpha="1"), "alpha must be a finite number, got '1'"),
        (lambda: MobileNetV1(num_classes=0), "num_classes must be .* got 0"),
        (lambda: MobileNetV1(in_channels=0), "in_channels must be .* got 0"),
        (lambda: MobileNetV1("se"), r"factory.*make_attention\('cbam-fc'\)"),
        (lambda: MobileNetV2(num_classes=1.5), "num_classes must be .* got 1.5"),
        (lambda: MobileNetV2(in_channels=-1), "in_channels must be .* got -1"),
        (lambda: MobileNetV2("se"), r"factory.*make_attention\('cbam-fc'\)"),
        (lambda: MobileNetV2(where="middle"), "one or more of 'first', 'last', 'blocks'.*'middle'"),
        (lambda: MobileNetV2(where=()), r"got \(\)"),
        (lambda: MobileNetV2(where=("last", "last")), "each once"),
        (lambda: MobileNetV2(where={"last"}), "string, list or tuple"),
        (lambda: mobilenet_v2("se", where="first"), "reduction 16 leaves no hidden unit for 3"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 0, 32)])
def test_refuses_images(version, shape):
    with META:
        model = make(version, None)
    with pytest.raises(ValueError, match=r"expects images \[batch, 3, height, width\] of at least"):
        model(torch.randn(shape))
