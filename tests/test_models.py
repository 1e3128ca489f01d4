"""The networks: shapes, parameters counted by hand, and what they refuse."""

import pytest
import torch
from torch import nn

from cbam_course.attention import ATTENTION_NAMES, CBAM, make_attention
from cbam_course.models import CifarCNN, make_model
from cbam_course.models.meta import shapes_only


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def convolution(inputs: int, outputs: int) -> int:
    """A 3x3 convolution with bias, and the scale and shift of its BatchNorm."""
    return 9 * inputs * outputs + outputs + 2 * outputs


PLAIN = (
    convolution(3, 64)
    + convolution(64, 64)
    + convolution(64, 128)
    + convolution(128, 128)
    + convolution(128, 256)
    + convolution(256, 256)
    + (256 * 10 + 10)
)


def test_parameters_without_attention_by_hand():
    assert PLAIN == 1_149_770
    assert parameters(CifarCNN()) == PLAIN


@pytest.mark.parametrize(
    ("name", "options", "extra"),
    [
        # Two layers without bias C -> C/16 -> C, and a 7x7 convolution of two maps, per stage.
        ("cbam-fc", {}, sum(2 * c * (c // 16) + 98 for c in (64, 128, 256))),
        ("cbam-fc", {"reduction": 8}, sum(2 * c * (c // 8) + 98 for c in (64, 128, 256))),
        ("cbam-conv", {}, (3 + 98) + (5 + 98) + (5 + 98)),
        ("se", {}, sum(2 * c * (c // 16) + c // 16 + c for c in (64, 128, 256))),
        ("channel-fc", {}, sum(2 * c * (c // 16) for c in (64, 128, 256))),
        ("spatial", {}, 3 * 98),
        ("none", {}, 0),
    ],
)
def test_parameters_of_the_attention_by_hand(name, options, extra):
    assert parameters(CifarCNN(make_attention(name, **options))) == PLAIN + extra


def test_the_tutorials_network_by_hand():
    """MLP with r = 16 and a 7x7 convolution after stages of 64, 128 and 256 channels."""
    assert parameters(CifarCNN(make_attention("cbam-fc"))) == 1_149_770 + 11_046 == 1_160_816


@pytest.mark.parametrize("name", ATTENTION_NAMES)
def test_logits_and_features(name):
    options = {"reduction": 4} if name in ("se", "channel-fc", "cbam-fc") else {}
    model = CifarCNN(make_attention(name, **options), 7, widths=(8, 16, 32))
    x = torch.randn(2, 3, 32, 32)
    assert model(x).shape == (2, 7)
    assert model.features(x).shape == (2, 32, 8, 8)


def test_equals_the_network_written_out():
    """The same layers in one plain sequence, in the tutorial's order."""
    torch.manual_seed(0)
    model = CifarCNN(make_attention("cbam-fc", reduction=4), widths=(8, 16, 32)).eval()
    layers = []
    for number, stage in enumerate(model.stages):
        layers += [*stage.convolutions, stage.attention]
        if number < 2:
            layers.append(nn.MaxPool2d(2, 2))
    written_out = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.dropout, model.classifier
    ).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(model(x), written_out(x))


def test_layers_of_a_stage_in_order():
    kinds = [type(layer) for layer in CifarCNN(CBAM).stages[1].convolutions]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
    assert isinstance(CifarCNN(CBAM).stages[1].attention, CBAM)


def test_widths_channels_and_any_number_of_stages():
    model = CifarCNN(widths=[4, 6], in_channels=6, num_classes=3)
    assert model(torch.randn(1, 6, 5, 7)).shape == (1, 3)
    assert model.features(torch.randn(1, 6, 5, 7)).shape == (1, 6, 2, 3)


def test_same_seed_same_backbone_whatever_the_attention():
    torch.manual_seed(3)
    plain = CifarCNN(widths=(8, 16)).state_dict()
    torch.manual_seed(3)
    other = CifarCNN(make_attention("cbam-fc", reduction=2), widths=(8, 16)).state_dict()
    assert set(plain) < set(other)
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_a_factory_of_ones_own():
    seen = []

    def factory(channels):
        seen.append(channels)
        return nn.Identity()

    CifarCNN(factory, widths=(4, 8, 16))
    assert seen == [4, 8, 16]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": ()}, r"widths must be .* \(64, 128, 256\); got \(\)"),
        ({"widths": (8, 0)}, r"got \(8, 0\)"),
        ({"widths": (8, 2.5)}, r"got \(8, 2.5\)"),
        ({"widths": 64}, "got 64"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "got -0.1"),
        ({"dropout": float("nan")}, "got nan"),
        ({"dropout": "half"}, "dropout must be a finite number, got 'half'"),
        ({"num_classes": 0}, "num_classes must be an integer of at least 1, got 0"),
        ({"num_classes": True}, "got True"),
        ({"in_channels": 0}, "in_channels must be an integer of at least 1, got 0"),
        ({"attention": "cbam-fc"}, r"factory.*'cbam-fc'.*make_attention\('cbam-fc'\)"),
        ({"attention": nn.Identity()}, r"factory.*Identity"),
        ({"attention": lambda channels: 3}, r"attention\(64\) must return a module"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        CifarCNN(**arguments)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 32, 3)])
def test_refuses_images(shape):
    with pytest.raises(ValueError, match=r"images \[batch, 3, height, width\] of at least 4 x 4"):
        CifarCNN(widths=(4, 4, 4))(torch.randn(shape))


def test_networks_made_for_their_shapes_have_no_values_and_draw_nothing():
    state = torch.get_rng_state()
    with shapes_only():
        made = make_model("resnet18", "cbam-fc", num_classes=10)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.is_meta for parameter in made.parameters())
    shapes = {name: value.shape for name, value in made.state_dict().items()}
    usual = make_model("resnet18", "cbam-fc", num_classes=10).state_dict()
    assert shapes == {name: value.shape for name, value in usual.items()}


def test_tensors_of_other_devices_are_filled_while_shapes_are_made():
    kept = torch.zeros(3)
    with shapes_only():
        kept.fill_(2.0)
    assert kept.tolist() == [2.0, 2.0, 2.0]
