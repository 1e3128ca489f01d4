"""Loading weights: what goes where, what starts fresh, and what is refused whole."""

import hashlib

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn
from torchvision.models import ResNet18_Weights, ResNet50_Weights, WeightsEnum

from cbam_course.attention import make_attention
from cbam_course.models import (
    ResNet,
    insert_attention,
    load_weights,
    make_model,
    mobilenet_v2,
    official_cbam,
    resnet18,
    resnet50,
    resnet50_cbam,
    to_official,
)
from tests.support import networks

META = torch.device("meta")


@pytest.fixture(scope="module")
def plain18():
    """torchvision's ResNet-18, as after some training."""
    torch.manual_seed(0)
    return networks.randomize_statistics(torchvision.models.resnet18())


@pytest.fixture(scope="module")
def plain50():
    torch.manual_seed(0)
    return networks.randomize_statistics(torchvision.models.resnet50())


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


def test_resnet50_from_a_file_with_another_number_of_classes(plain50, tmp_path):
    path = tmp_path / "resnet50.safetensors"
    write(plain50.state_dict(), path)
    model = resnet50_cbam(weights=path, num_classes=10)
    report = model.load_report
    theirs, ours = plain50.state_dict(), model.state_dict()
    assert set(report.loaded) == theirs.keys() - {"fc.weight", "fc.bias"}
    assert all(torch.equal(ours[key], theirs[key]) for key in report.loaded)
    assert report.loaded_parameters == 25_557_032 - (2048 * 1000 + 1000) == 23_508_032
    assert str(report).splitlines() == [
        "loaded        318 tensors, 23,508,032 parameters: conv1, bn1, layer1 to layer4",
        "starts fresh  16 attention blocks: layer1.0.attention to layer4.2.attention",
        "              fc (10 classes, the weights have 1000)",
        "unused        fc",
    ]


def test_another_number_of_input_channels(plain18):
    model = resnet18("se", weights=plain18.state_dict(), in_channels=6)
    assert str(model.load_report).splitlines() == [
        f"loaded        121 tensors, {11_689_512 - 64 * 3 * 49:,} parameters: "
        "bn1, layer1 to layer4, fc",
        "starts fresh  8 attention blocks: layer1.0.attention to layer4.1.attention",
        "              conv1 (of shape [64, 6, 7, 7], the weights have [64, 3, 7, 7])",
        "unused        conv1",
    ]
    assert model(torch.randn(2, 6, 32, 32)).shape == (2, 1000)


def test_the_classes_are_those_of_the_weights_unless_told():
    state = torchvision.models.resnet18(num_classes=7).state_dict()
    assert resnet18(weights=state).fc.out_features == 7
    assert resnet18(weights=state, num_classes=3).fc.out_features == 3
    state = make_model("cifar_cnn", num_classes=6, widths=(4,)).state_dict()
    assert make_model("cifar_cnn", weights=state, widths=(4,)).classifier.out_features == 6


def test_mobilenet_v2_first_and_last(tmp_path):
    theirs = torchvision.models.mobilenet_v2(num_classes=12)
    path = tmp_path / "v2.pt"
    torch.save({"epoch": 3, "state_dict": theirs.state_dict()}, path)
    factory = make_attention("channel-fc", reduction=1)
    model = mobilenet_v2(factory, where=("first", "last"), in_channels=6, weights=path)
    assert model.classifier[1].out_features == 12
    lines = str(model.load_report).splitlines()
    assert lines[0].endswith("parameters: features, classifier")
    assert lines[1:] == [
        "starts fresh  2 attention blocks: first, last",
        "              features.0.0 (of shape [32, 6, 3, 3], the weights have [32, 3, 3, 3])",
        "unused        features.0.0",
    ]


@pytest.mark.parametrize(
    ("name", "attention", "options"),
    [
        ("resnet18", "cbam-fc", {"stem": "cifar"}),
        ("mobilenet_v1", "cbam-conv", {"alpha": 0.25}),
        ("mobilenet_v2", "cbam-fc", {"where": ("blocks", "last")}),
        ("cifar_cnn", "se", {"widths": (16, 32)}),
    ],
)
def test_ones_own_weights_come_back_whole(name, attention, options, tmp_path):
    torch.manual_seed(1)
    first = make_model(name, attention, num_classes=4, **options)
    write(networks.randomize_statistics(first).state_dict(), tmp_path / "own.safetensors")
    again = make_model(name, attention, weights=tmp_path / "own.safetensors", **options)
    assert equal(first.state_dict(), again.state_dict())
    assert again.load_report.fresh == again.load_report.unused == ()


# -- torchvision's weights by name: the download is replaced ---------------------------------------


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


def test_a_real_download(plain18, tmp_path, monkeypatch):
    """torchvision's own loading code, from a file: hash checked, nothing unpickled but tensors."""
    torch.save(plain18.state_dict(), tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    path = (tmp_path / "weights.pth").rename(tmp_path / f"weights-{digest[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    class Local(WeightsEnum):
        ONE = torchvision.models.Weights(url=path.as_uri(), transforms=None, meta={})

    model = resnet18(weights=Local.ONE)
    assert equal(model.state_dict(), plain18.state_dict())


def test_version_1_refuses_version_1_5_before_any_download(downloads):
    for weights in ("DEFAULT", ResNet50_Weights.IMAGENET1K_V1):
        with pytest.raises(ValueError, match="version 1.5, with the stride on the 3x3"):
            resnet50(weights=weights, version="v1")
    with META:
        model = resnet50(version="v1")
    with pytest.raises(ValueError, match="version 1.5"):
        load_weights(model, ResNet50_Weights.DEFAULT)
    assert downloads == []


def test_refuses_what_are_no_weights():
    with pytest.raises(ValueError, match="what was given as weights is no state dict, .* got "):
        resnet18(weights={"fc.weight": 3})


def test_neither_a_name_nor_a_file():
    for name in ("resnet18", "wide_resnet18"):  # torchvision has weights for the first alone
        with pytest.raises(ValueError, match=f"'IMAGENET' are neither a file nor .* for {name}"):
            make_model(name, weights="IMAGENET")


# -- other networks' weights -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            *("resnet18", "resnet34"),
            r"layer1.2.conv1.weight is \[64, .* in the weights and not in the network, .* 93 more",
        ),
        ("resnet18", "resnet50", r"is \[64, 64, 1, 1\] in the weights and \[64, 64, 3, 3\] in the"),
        ("mobilenet_v2", "resnet18", "not fit MobileNetV2, nothing was loaded"),
    ],
)
def test_refuses_the_weights_of_other_networks(ours, theirs, message):
    with META:
        other = getattr(torchvision.models, theirs)()
    refuses(make_model(ours), other.to_empty(device="cpu").state_dict(), message)


def test_one_key_too_few_or_too_many_or_of_another_shape():
    torch.manual_seed(2)
    theirs, model = small().state_dict(), small()
    for key in ("layer2.0.conv2.weight", "conv1.weight"):
        rest = {name: value for name, value in theirs.items() if name != key}
        refuses(model, rest, rf"{key} is not in the weights and \[.*\] in the network$")
    refuses(model, {**theirs, "extra": torch.ones(1)}, r"extra is \[1\] in the weights and not in")
    for key, shape in (
        ("layer2.0.conv2.weight", (16, 8, 3, 3)),
        ("conv1.weight", (4, 3, 3, 3)),
        ("fc.weight", (5, 4)),
    ):
        wrong = rf"{key} is \[{shape[0]}, {shape[1]}.* in the weights and \["
        refuses(model, {**theirs, key: torch.ones(shape)}, wrong)


# -- attention -------------------------------------------------------------------------------------


def test_another_attention_starts_fresh_and_the_old_one_is_left_over():
    torch.manual_seed(2)
    theirs = small(make_attention("se", reduction=2)).state_dict()
    model = small(make_attention("cbam-fc", reduction=2))
    before = copied(model)
    report = load_weights(model, theirs, replace_attention=True)
    assert all(".attention." in key for key in report.fresh + report.unused)
    assert len(report.fresh) == 2 * 3 and len(report.unused) == 2 * 4
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in report.fresh)
    assert str(report).splitlines()[1:] == [
        "starts fresh  2 attention blocks: layer1.0.attention, layer2.0.attention",
        "unused        2 attention blocks: layer1.0.attention, layer2.0.attention",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"reduction": 4},
        {"reduction": 2, "spatial_options": {"batch_norm": True}},
        {"reduction": 2, "order": "channel"},
    ],
)
def test_a_block_loads_whole_or_not_at_all(options):
    theirs = small(make_attention("cbam-fc", reduction=2)).state_dict()
    model = small(make_attention("cbam-fc", **options))
    refuses(model, theirs, "not fit ResNet, nothing was loaded: layer1.0.attention")


def test_a_network_of_torchvisions_with_attention_put_in(plain18, tmp_path):
    """Pretrained weights, then attention, then a file: the course's own network takes it whole."""
    torch.manual_seed(2)
    model = torchvision.models.resnet18(num_classes=10)
    insert_attention(model, make_attention("se", layer="linear"))
    report = load_weights(model, plain18.state_dict())
    assert set(report.unused) == {"fc.bias", "fc.weight"} and len(report.fresh) == 8 * 4 + 2
    write(model.state_dict(), tmp_path / "own.pth")
    again = resnet18("se", weights=tmp_path / "own.pth")
    assert str(again.load_report).splitlines() == [
        f"loaded        154 tensors, {networks.parameters(model):,} parameters: "
        "conv1, bn1, layer1 to layer4, fc",
        "              8 attention blocks: layer1.0.attention to layer4.1.attention",
        "starts fresh  nothing",
        "unused        nothing",
    ]
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(again.eval()(x), model.eval()(x))


# -- the layouts of others -------------------------------------------------------------------------


def official(channels):
    return official_cbam(channels, reduction=2)


def test_the_order_of_the_maps_is_no_weight_but_is_checked():
    options = {
        "channel_options": {"bias": True},
        "spatial_options": {"pools": ("avg", "max"), "batch_norm": True},
    }
    model = small(make_attention("cbam-fc", reduction=2, **options))
    state = to_official(small(official))
    refuses(model, state, "nothing was loaded: layer1.0.attention computes something else")


def test_the_authors_weights_are_of_version_1_5():
    options = {"widths": (8, 16), "stem": "cifar"}
    old = ResNet("bottleneck", (1, 1), official, version="v1", **options)
    refuses(old, to_official(old), "weights of 'official' are of version 1.5")


# -- heads, counters, precision --------------------------------------------------------------------


def test_weights_without_a_classifier():
    torch.manual_seed(2)
    state = small().state_dict()
    backbone = {key: value for key, value in state.items() if not key.startswith("fc.")}
    report = load_weights(small(), backbone)
    assert report.fresh == ("fc.weight", "fc.bias") and report.unused == ()
    assert str(report).splitlines()[1] == "starts fresh  fc"


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


def test_weights_older_than_the_counters_of_batch_norm():
    torch.manual_seed(2)
    theirs = small()
    state = {k: v for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    model = small()
    assert load_weights(model, state).fresh == ()
    assert equal(model.state_dict(), theirs.state_dict())


WRAPPERS = [nn.DataParallel, torch.compile, lambda model: nn.DataParallel(torch.compile(model))]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_weights_of_a_network_in_a_wrapper(wrap):
    theirs, model = small(), small()
    wrapped = wrap(theirs).state_dict()
    assert wrapped.keys().isdisjoint(theirs.state_dict())
    load_weights(model, wrapped)
    assert equal(model.state_dict(), theirs.state_dict())


def test_networks_of_torchvision_with_more_than_one_linear_layer():
    torch.manual_seed(2)
    theirs = torchvision.models.mobilenet_v3_small(num_classes=4)
    model = torchvision.models.mobilenet_v3_small(num_classes=6)
    report = load_weights(model, theirs.state_dict())
    assert report.fresh == ("classifier.3.weight", "classifier.3.bias")
    assert torch.equal(model.classifier[0].weight, theirs.classifier[0].weight)
