"""Loading weights: what goes where, what starts fresh, and what is refused whole."""

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn
from torchvision.models import ResNet18_Weights, ResNet50_Weights, WeightsEnum

from cbam_course.attention import make_attention
from cbam_course.models import (
    ResNet,
    load_weights,
    make_model,
    official_cbam,
    resnet18,
    resnet18_cbam,
    resnet50,
    to_layout,
)
from tests.support import networks

META = torch.device("meta")


@pytest.fixture(scope="module")
def plain18():
    """torchvision's ResNet-18, as after some training."""
    torch.manual_seed(0)
    return networks.randomize_statistics(torchvision.models.resnet18())


def small(attention=None, num_classes=5, **options):
    """A little ResNet with random statistics."""
    options = {"depths": (1, 1), "widths": (8, 16), "stem": "cifar", **options}
    model = ResNet("basic", attention=attention, num_classes=num_classes, **options)
    return networks.randomize_statistics(model)


def copied(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def write(state, path):
    """The state dict as a file of the kind that its name says."""
    (safetensors.torch.save_file if path.suffix == ".safetensors" else torch.save)(state, path)


def refuses(model, weights, message):
    """The error is raised, and nothing in the network has changed."""
    before = copied(model)
    with pytest.raises(ValueError, match=message):
        load_weights(model, weights)
    assert equal(before, model.state_dict())


# -- files of torchvision's weights, and the report ------------------------------------------------


def test_a_file_with_another_number_of_classes_and_of_input_channels(plain18, tmp_path):
    path = tmp_path / "resnet18.pth"
    write(plain18.state_dict(), path)
    model = resnet18_cbam(weights=path, num_classes=10, in_channels=6)
    report = model.load_report
    theirs, ours = plain18.state_dict(), model.state_dict()
    assert set(report.loaded) == theirs.keys() - {"conv1.weight", "fc.weight", "fc.bias"}
    assert all(torch.equal(ours[key], theirs[key]) for key in report.loaded)
    assert report.loaded_parameters == 11_689_512 - (512 * 1000 + 1000) - 64 * 3 * 49 == 11_167_104
    assert str(report).splitlines() == [
        "loaded        119 tensors, 11,167,104 parameters: bn1, layer1 to layer4",
        "starts fresh  8 attention blocks: layer1.0.attention to layer4.1.attention",
        "              conv1 ([64, 6, 7, 7], the weights have [64, 3, 7, 7])",
        "              fc (10 classes, the weights have 1000)",
        "unused        conv1",
        "              fc",
    ]


def test_other_classes_than_the_weights_have_must_be_meant():
    weights = small(num_classes=5).state_dict()
    options = {"depths": (1, 1), "widths": (8, 16), "weights": weights}
    with pytest.raises(ValueError, match="num_classes must be given: .* has 10 .* have 5"):
        make_model("cifar_resnet", **options)
    report = make_model("cifar_resnet", num_classes=3, **options).load_report
    assert report.fresh == ("fc.weight", "fc.bias")


def test_the_first_convolution_starts_fresh_whatever_its_name():
    with META:
        theirs = torchvision.models.mobilenet_v2(num_classes=12)
        options = {"where": "first", "in_channels": 6, "num_classes": 12}
        model = make_model("mobilenet_v2", make_attention("channel-fc", reduction=1), **options)
    report = load_weights(model, theirs.state_dict())
    assert report.unused == ("features.0.0.weight",)


def test_the_head_is_not_a_linear_layer_of_the_attention():
    """MobileNet v2 has its attention, with linear layers here, behind its classifier."""
    with META:
        model = make_model("mobilenet_v2", make_attention("se", layer="linear"), num_classes=7)
        given = make_model("mobilenet_v2")
    weights = {
        key: torch.empty_like(value, device="cpu") for key, value in given.state_dict().items()
    }
    report = load_weights(model.to_empty(device="cpu"), weights)
    assert [key for key in report.fresh if "classifier" in key] == [
        "classifier.1.weight",
        "classifier.1.bias",
    ]
    assert report.reasons == {"classifier.1": "7 classes, the weights have 1000"}


@pytest.mark.parametrize(
    ("name", "attention", "options"),
    [
        ("cifar_resnet", "cbam-conv", {"depths": (1, 1), "widths": (8, 16)}),
        ("mobilenet_v1", "cbam-conv", {"alpha": 0.25}),
        ("mobilenet_v2", "cbam-fc", {"where": ("blocks", "last")}),
        ("cifar_cnn", "se", {"widths": (16, 32)}),
    ],
)
def test_ones_own_weights_come_back_whole(name, attention, options, tmp_path):
    torch.manual_seed(1)
    options = {**options, "num_classes": 4}
    first = make_model(name, attention, **options)
    write(networks.randomize_statistics(first).state_dict(), tmp_path / "own.safetensors")
    again = make_model(name, attention, weights=tmp_path / "own.safetensors", **options)
    assert equal(first.state_dict(), again.state_dict())
    assert again.load_report.fresh == again.load_report.unused == ()


@pytest.fixture
def downloads(monkeypatch, plain18):
    """What would have been downloaded, in order; every download gives ResNet-18."""
    asked = []

    def get_state_dict(self, *args, **options):
        asked.append((str(self), options))
        return plain18.state_dict()

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    return asked


@pytest.mark.parametrize("weights", [ResNet18_Weights.IMAGENET1K_V1, "DEFAULT"])
def test_torchvisions_weights(downloads, plain18, weights):
    model = resnet18("eca", weights=weights)
    assert [name for name, _ in downloads] == ["ResNet18_Weights.IMAGENET1K_V1"]
    assert downloads[0][1]["check_hash"] and downloads[0][1]["weights_only"]
    assert set(model.load_report.loaded) == plain18.state_dict().keys()
    assert torch.equal(model.fc.weight, plain18.fc.weight)


def test_version_1_refuses_version_1_5_before_any_download(downloads):
    for weights in ("DEFAULT", ResNet50_Weights.IMAGENET1K_V1):
        with pytest.raises(ValueError, match="version 1.5, with the stride on the 3x3"):
            resnet50(weights=weights, version="v1")
    with META:
        model = resnet50(version="v1")
    with pytest.raises(ValueError, match="version 1.5"):
        load_weights(model, ResNet50_Weights.DEFAULT)
    assert downloads == []


# -- other networks' weights -----------------------------------------------------------------------


def test_refuses_the_weights_of_other_networks(plain18):
    state = plain18.state_dict()
    deeper = torchvision.models.resnet34().state_dict()
    refuses(make_model("mobilenet_v2"), state, "not fit MobileNetV2, nothing was loaded")
    message = r"layer1.2.conv1.weight is not in the network, \[64, .* 96 in all$"
    refuses(resnet18(), deeper, message)
    with pytest.raises(ValueError, match="what was given as weights is no state dict, .* got "):
        resnet18(weights={"fc.weight": 3})
    with pytest.raises(ValueError, match="'IMAGENET' are neither a file nor .* for wide_resnet18"):
        make_model("wide_resnet18", weights="IMAGENET")


def test_one_key_too_few_or_too_many_or_of_another_shape():
    torch.manual_seed(2)
    theirs, model = small().state_dict(), small()
    for key in ("layer2.0.conv2.weight", "conv1.weight"):
        rest = {name: value for name, value in theirs.items() if name != key}
        refuses(model, rest, rf"{key} is .* in the network, not in the weights; 1 in all$")
    refuses(model, {**theirs, "extra": torch.ones(1)}, r"extra is not in the network, \[1\] in the")
    key, wrong = "layer2.0.conv2.weight", torch.ones(16, 8, 3, 3)
    message = (
        rf"{key} is \[16, 16, 3, 3\] in the network, \[16, 8, 3, 3\] in the weights; 1 in all$"
    )
    refuses(model, {**theirs, key: wrong}, message)


# -- attention -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("se", {}),
        ("cbam-fc", {"reduction": 4}),
        ("cbam-fc", {"spatial_options": {"batch_norm": True}}),
        ("cbam-fc", {"order": "channel"}),
    ],
)
def test_a_block_loads_whole_or_not_at_all(name, options):
    torch.manual_seed(2)
    theirs = small(make_attention("cbam-fc", reduction=2)).state_dict()
    model = small(make_attention(name, **{"reduction": 2, **options}))
    refuses(model, theirs, "layer1.0.attention is another attention block.* 2 in all$")


def test_linear_layers_and_convolutions_of_1x1_take_each_others_weights():
    torch.manual_seed(2)
    linear = small(make_attention("se", reduction=2, layer="linear"))
    model = small(make_attention("se", reduction=2))
    assert load_weights(model, linear.state_dict()).fresh == ()
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(model(x), linear(x))


# -- the layouts of others -------------------------------------------------------------------------


def official(channels):
    return official_cbam(channels, reduction=2)


def test_the_order_of_the_maps_is_no_weight_but_is_checked():
    options = {
        "channel_options": {"bias": True},
        "spatial_options": {"pools": ("avg", "max"), "batch_norm": True},
    }
    model = small(make_attention("cbam-fc", reduction=2, **options))
    state = to_layout(small(official), "official")
    refuses(model, state, "nothing was loaded: layer1.0.attention computes something else")


def test_the_authors_weights_are_of_version_1_5():
    options = {"widths": (8, 16), "stem": "cifar"}
    old = ResNet("bottleneck", (1, 1), official, version="v1", **options)
    refuses(old, to_layout(old, "official"), "weights of 'official' are of version 1.5")


# -- heads, counters, precision --------------------------------------------------------------------


@pytest.mark.parametrize(
    "head", [nn.Identity(), nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 5)), nn.Linear(16, 9)]
)
def test_a_head_of_ones_own(head):
    torch.manual_seed(2)
    theirs, model = small(), small()
    model.fc = head
    report = load_weights(model, theirs.state_dict())
    assert set(report.unused) == {"fc.bias", "fc.weight"}
    assert len(report.fresh) == len(head.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(model.features(x), theirs.features(x))
    backbone = {key: value for key, value in theirs.state_dict().items() if key[:3] != "fc."}
    report = load_weights(model, backbone)
    assert len(report.fresh) == len(head.state_dict()) and report.unused == ()


def test_weights_older_than_the_counters_of_batch_norm():
    torch.manual_seed(2)
    theirs = small()
    state = {k: v for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    model = small()
    assert load_weights(model, state).fresh == ()
    assert equal(model.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weights_of_a_network_in_a_wrapper(prefix):
    """As ``nn.DataParallel`` and ``torch.compile`` name them."""
    theirs, model = small(), small()
    load_weights(model, {f"{prefix}{key}": value for key, value in theirs.state_dict().items()})
    assert equal(model.state_dict(), theirs.state_dict())
