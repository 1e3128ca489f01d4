"""The networks against torchvision's and timm's, the published counts and layers by hand."""

import hashlib

import pytest
import timm
import torch
import torchvision
from torch import nn

from cbam_course.attention import CBAM, make_attention
from cbam_course.models import (
    MODEL_NAMES,
    MobileNetV2,
    make_model,
    mobilenet_v1_cbam,
    resnet50_cbam,
)
from tests.support import networks

META = torch.device("meta")

SMALL = {
    "cifar_cnn": {"widths": (8, 16)},
    "cifar_resnet": {"depths": (1, 1), "widths": (8, 16)},
    "bottleneck": {"depths": (1, 1), "widths": (8, 16), "block": "bottleneck"},
    "mobilenet_v1": {"alpha": 0.25},
    "mobilenet_v2": {"where": ("first", "blocks", "last")},
}


def small(name, attention=None, **options):
    """A little network of a family, with attention at every insertion point."""
    if isinstance(attention, str):
        tiny = {"reduction": 1} if attention in ("se", "channel-fc", "cbam-fc") else {}
        attention = make_attention(attention, **tiny)
    network = "cifar_resnet" if name == "bottleneck" else name
    return make_model(network, attention, **{"num_classes": 5, **SMALL[name], **options})


families = pytest.mark.parametrize("name", SMALL)


# What building draws and stores: shipped weights and recorded runs depend on it


PINNED = {  # tensors, a hash of their names and shapes, the next random number
    ("cifar_cnn", "none"): (44, "fa90320f", 761167254),
    ("cifar_cnn", "se"): (56, "506a72cc", 1671911362),
    ("cifar_cnn", "eca"): (47, "8c9df435", 1421436078),
    ("cifar_cnn", "channel-fc"): (50, "6c3eafbd", 665234166),
    ("cifar_cnn", "spatial"): (47, "c136d4b6", 1084836907),
    ("cifar_cnn", "cbam-fc"): (53, "9bd64561", 2010515336),
    ("cifar_cnn", "cbam-conv"): (50, "3bb28c03", 1678877533),
    ("cifar_resnet", "none"): (128, "acefd52f", 362784985),
    ("cifar_resnet", "cbam-fc"): (155, "466d11fa", 332428344),
    ("mobilenet_v1", "cbam-fc"): (245, "0f6c9731", 18001463),
    ("mobilenet_v2", "eca"): (315, "7636c01d", 1967698197),
}


@pytest.mark.parametrize(("name", "attention"), PINNED)
def test_keys_and_the_random_stream(name, attention):
    torch.manual_seed(0)
    state = make_model(name, attention).state_dict()
    shapes = repr([(key, tuple(value.shape)) for key, value in state.items()])
    following = torch.randint(2**31, ()).item()
    found = len(state), hashlib.sha256(shapes.encode()).hexdigest()[:8], following
    assert found == PINNED[name, attention]


def test_initial_weights():
    """Some of the numbers themselves, of the networks whose weights and runs are recorded."""
    torch.manual_seed(0)
    found = make_model("cifar_cnn", "cbam-fc", widths=(16, 32)).state_dict()
    means = {
        "stages.0.convolutions.0.weight": 0.096648425,
        "classifier.weight": 0.083239055,
        "stages.1.attention.channel_attention.mlp.0.weight": 0.084304003,
        "stages.1.attention.spatial_attention.conv.weight": 0.049659331,
    }
    for key, mean in means.items():
        assert found[key].double().abs().mean().item() == pytest.approx(mean, rel=1e-6)


# Against the networks of others


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "mobilenet_v2"])
def test_torchvisions_keys_and_outputs(name):
    torch.manual_seed(0)
    theirs = networks.randomize_statistics(getattr(torchvision.models, name)())
    with META:
        ours = make_model(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    networks.copy_onto(ours, theirs.state_dict())
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_v1_equals_timms():
    """timm's has ReLU6 and other names: with ReLU, layer by layer, the same network."""
    torch.manual_seed(0)
    theirs = networks.randomize_statistics(timm.create_model("mobilenetv1_100", act_layer=nn.ReLU))
    with META:
        ours = make_model("mobilenet_v1")
    values = theirs.state_dict().values()
    networks.copy_onto(ours, dict(zip(ours.state_dict(), values, strict=True)))
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


# Counts; those of the papers are tested with their tables


@pytest.mark.parametrize(("depth", "plain"), [(3, 269_722), (9, 853_018)])
def test_the_networks_for_cifar(depth, plain):
    """He's 0.27 M of ResNet-20 and 0.85 M of ResNet-56; here two shortcuts have a convolution."""
    model = make_model("cifar_resnet", depths=(depth,) * 3)
    assert networks.parameters(model) == plain + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) == 6 * depth + 1


# Where the attention is


class Probe(nn.Module):
    """Doubles its input."""

    def forward(self, x):
        return 2 * x


def test_mobilenet_v1_weighs_what_the_relu_puts_out():
    model = networks.randomize_statistics(small("mobilenet_v1", lambda channels: Probe()))
    layer, x = model.features[2], torch.randn(2, 8, 6, 6)
    expected = nn.functional.relu(layer.bn(layer.conv(x)))
    torch.testing.assert_close(layer(x), 2 * expected)
    with META:
        layers = mobilenet_v1_cbam(alpha=0.5).features
    assert all(layer.attention.channels == layer.conv.out_channels for layer in layers)
    assert len(layers) == 27 and [layer.conv.groups for layer in layers[1:5]] == [16, 1, 32, 1]


def test_mobilenet_v2_by_hand():
    torch.manual_seed(0)
    model = networks.randomize_statistics(small("mobilenet_v2", "channel-fc"))
    x = torch.randn(2, 3, 32, 32)
    assert (model.first.channels, model.last.channels) == (3, 1280)
    weighed = model.features(x * model.first.attention_map(x))
    pooled = (weighed * model.last.attention_map(weighed)).mean(dim=(2, 3))
    torch.testing.assert_close(model(x), model.classifier[1](pooled))
    for block, channels in ((model.features[3], 24), (model.features[2], 16)):
        x = torch.randn(2, channels, 8, 8)
        branch = block.attention(block.conv(x))
        torch.testing.assert_close(block(x), x + branch if block.use_res_connect else branch)


# Shapes, gradients and options


@families
def test_gradients_reach_every_parameter(name):
    torch.manual_seed(2)
    model = small(name, "cbam-fc", in_channels=6)
    logits = model(torch.randn(4, 6, 32, 32))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@families
def test_the_backbone_is_the_same_whatever_the_attention(name):
    """From the same seed; blocks that start as the identity change nothing at first."""
    torch.manual_seed(3)
    plain = small(name).eval()
    torch.manual_seed(3)
    other = small(name, "cbam-fc", start_as_identity=True).eval()
    ours, theirs = plain.state_dict(), other.state_dict()
    assert ours.keys() < theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(x), other(x))


def test_names_and_options():
    with META:
        for name in MODEL_NAMES:
            model = make_model(name.replace("_", "-"))
            *_, last = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
            assert last.out_features == (10 if name.startswith("cifar") else 1000)
        model = resnet50_cbam(version="v1", num_classes=10)
        assert isinstance(model.layer2[0].attention, CBAM) and model.version == "v1"
        model = make_model("wide_resnet18", widen=1.5)
        assert model.conv1.out_channels == 64 and model.layer4[-1].conv2.out_channels == 768
        options = {"block": "bottleneck", "depths": [2, 2, 2], "groups": 4, "width_per_group": 16}
        assert make_model("cifar_resnet", "eca", **options).layer2[0].conv2.groups == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_model("resnet19"), "name must be one of 'cifar_cnn', .*, 'resnet18'"),
        (lambda: make_model("resnet18", "cbam"), "attention must be one of 'none', 'se'"),
        (lambda: make_model("resnet18", num_classes=0), "num_classes must be .* got 0"),
        (lambda: make_model("resnet18", version="v1"), "version must be None: basic"),
        (lambda: make_model("resnet50", version="v2"), "version must be one of 'v1', 'v1.5'"),
        (lambda: make_model("cifar_resnet", depths=(3, 3)), r"depths must be of 3 .* got \[3, 3\]"),
        (lambda: make_model("cifar_resnet", "se", widths=(8, 8, 8)), "leaves no hidden unit for 8"),
        (lambda: MobileNetV2(where="middle"), "one or more of 'first', 'last', 'blocks'.*'middle'"),
        (lambda: MobileNetV2("se", where="first"), "reduction 16 leaves no hidden unit for 3"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
