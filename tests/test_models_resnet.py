"""The residual networks against torchvision, the published counts and blocks written by hand."""

import networks
import pytest
import torch
import torchvision
from torch import nn

from cbam_course.attention import ATTENTION_NAMES, CBAM, SqueezeExcitation, make_attention
from cbam_course.models import (
    BasicBlock,
    Bottleneck,
    ResNet,
    cifar_resnet,
    make_model,
    resnet18,
    resnet18_cbam,
    resnet50,
    resnet50_cbam,
    wide_resnet18,
)

META = torch.device("meta")
SE = make_attention("se")
PAPERS_CBAM = make_attention("cbam-fc", channel_options={"bias": True})
"""The published counts need r = 16, an MLP with biases, and a 7x7 convolution without."""


def small(block="basic", attention=None, **options):
    return ResNet(block, (1, 2), attention, 5, widths=(8, 16), stem="cifar", **options)


def torchvision_resnext101_32x4d():
    block = torchvision.models.resnet.Bottleneck
    return torchvision.models.ResNet(block, [3, 4, 23, 3], groups=32, width_per_group=4)


# -- against torchvision ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("resnet18", torchvision.models.resnet18),
        ("resnet34", torchvision.models.resnet34),
        ("resnet50", torchvision.models.resnet50),
        ("resnet101", torchvision.models.resnet101),
        ("resnext50_32x4d", torchvision.models.resnext50_32x4d),
        ("resnext101_32x4d", torchvision_resnext101_32x4d),
    ],
)
def test_torchvisions_keys_and_outputs(name, theirs):
    torch.manual_seed(0)
    theirs = networks.randomize_statistics(theirs())
    with META:
        ours = make_model(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    networks.copy_onto(ours, theirs.state_dict())
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_torchvisions_initial_weights(name):
    torch.manual_seed(1)
    ours = make_model(name, num_classes=10).state_dict()
    torch.manual_seed(1)
    theirs = getattr(torchvision.models, name)(num_classes=10).state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_only_the_attention_adds_keys(name):
    with META:
        plain, other = make_model(name).state_dict(), make_model(name, "cbam-fc").state_dict()
    assert plain.keys() < other.keys()
    assert all(".attention." in key for key in other.keys() - plain.keys())


# -- the published counts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [  # parameters in units of 1e6 and GFLOPs in units of 1e9: alone, with SE, with CBAM
        ("resnet18", {}, "11.69 1.814, 11.78 1.814, 11.78 1.815"),
        ("resnet34", {}, "21.80 3.664, 21.96 3.664, 21.96 3.665"),
        ("resnet50", {"version": "v1"}, "25.56 3.858, 28.09 3.860, 28.09 3.864"),
        ("resnet101", {"version": "v1"}, "44.55 7.570, 49.33 7.575, 49.33 7.581"),
        ("wide_resnet18", {"widen": 1.5}, "25.88 3.866, 26.07 3.867, 26.08 3.868"),
        ("wide_resnet18", {"widen": 2.0}, "45.62 6.696, 45.97 6.696, 45.97 6.697"),
        ("resnext50_32x4d", {"version": "v1"}, "25.03 3.768, 27.56 3.771, 27.56 3.774"),
        ("resnext101_32x4d", {"version": "v1"}, "44.18 7.508, 48.96 7.512, 48.96 7.519"),
    ],
)
def test_cbams_table_4(name, options, printed):
    """All 48 cells: 24 numbers of parameters and 24 of multiply-accumulates."""
    with META:
        models = [make_model(name, attention, **options) for attention in (None, SE, PAPERS_CBAM)]
    ours = ", ".join(
        f"{networks.parameters(model) / 1e6:.2f} {networks.multiply_accumulates(model) / 1e9:.3f}"
        for model in models
    )
    assert ours == printed


def test_version_1_5_is_not_what_the_table_counts():
    with META:
        assert networks.multiply_accumulates(resnet50(version="v1")) == 3_857_973_248
        assert networks.multiply_accumulates(resnet50()) == 4_089_184_256


def test_resnet20_for_cifar10_by_hand():
    """He's 0.27 M, here with 1x1 convolutions in the two shortcuts that change the channels."""
    with META:
        model = ResNet("basic", (3, 3, 3), num_classes=10, widths=(16, 32, 64), stem="cifar")
    convolutions = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    shortcuts = 16 * 32 + 32 * 64
    norms = 2 * (7 * 16 + 7 * 32 + 7 * 64)
    assert networks.parameters(model) == convolutions + shortcuts + norms + 64 * 10 + 10 == 272_474
    assert len([m for m in model.modules() if isinstance(m, nn.Conv2d)]) == 19 + 2


# -- the blocks ------------------------------------------------------------------------------------


class Probe(nn.Module):
    """Doubles its input and remembers it."""

    def forward(self, x):
        self.seen = x
        return 2 * x


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_attention_is_after_the_last_batch_norm_and_before_the_addition(kind, stride):
    torch.manual_seed(0)
    shortcut = nn.Conv2d(8, 4 * kind.expansion, 1, stride=stride)
    block = networks.randomize_statistics(kind(8, 4, stride, shortcut))
    block.attention = Probe()
    x = torch.randn(2, 8, 6, 6)
    last = []
    (block.bn2 if kind is BasicBlock else block.bn3).register_forward_hook(
        lambda layer, inputs, output: last.append(output)
    )
    y = block(x)
    assert block.attention.seen is last[0] and (last[0] < 0).any()
    torch.testing.assert_close(y, (2 * last[0] + shortcut(x)).relu())


def test_v1_by_hand():
    """The stride on the first 1x1 convolution: the 3x3 one sees every second place only."""
    torch.manual_seed(0)
    shortcut = nn.Conv2d(8, 16, 1, stride=2)
    block = networks.randomize_statistics(Bottleneck(8, 4, 2, shortcut, version="v1"))
    newer = Bottleneck(8, 4, 2, shortcut)
    newer.load_state_dict(block.state_dict())
    x = torch.randn(2, 8, 6, 6)
    out = block.bn1(nn.functional.conv2d(x, block.conv1.weight)[:, :, ::2, ::2]).relu()
    out = block.bn2(nn.functional.conv2d(out, block.conv2.weight, padding=1)).relu()
    out = block.bn3(nn.functional.conv2d(out, block.conv3.weight))
    torch.testing.assert_close(block(x), (out + shortcut(x)).relu())
    assert not torch.allclose(newer.eval()(x), block(x), atol=1e-2)


def test_versions_differ_in_the_stride_alone():
    with META:
        old, new = resnet50(version="v1"), resnet50()
    assert list(old.state_dict()) == list(new.state_dict())
    strides = {}
    for name, model in (("v1", old), ("v1.5", new)):
        strides[name] = [
            (block.conv1.stride[0], block.conv2.stride[0], block.conv3.stride[0])
            for layer in (model.layer1, model.layer2, model.layer3, model.layer4)
            for block in layer
        ]
    first = (0 + 3, 3 + 4, 3 + 4 + 6)  # of stages 2, 3 and 4
    expected = [[(1, 1, 1)] * 16 for _ in range(2)]
    for n in first:
        expected[0][n], expected[1][n] = (2, 1, 1), (1, 2, 1)
    assert [strides["v1"], strides["v1.5"]] == expected


# -- the networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTENTION_NAMES)
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_gradients_reach_every_parameter(name, block):
    options = {"reduction": 2} if name in ("se", "channel-fc", "cbam-fc") else {}
    torch.manual_seed(2)
    model = small(block, make_attention(name, **options))
    model(torch.randn(4, 3, 16, 16)).square().sum().backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_same_seed_same_backbone_whatever_the_attention(block):
    torch.manual_seed(3)
    plain = small(block).state_dict()
    for name in set(ATTENTION_NAMES) - {"none"}:
        options = {"reduction": 2} if name in ("se", "channel-fc", "cbam-fc") else {}
        torch.manual_seed(3)
        other = small(block, make_attention(name, **options)).state_dict()
        assert plain.keys() < other.keys()
        assert all(torch.equal(plain[key], other[key]) for key in plain)


@pytest.mark.parametrize(
    ("stem", "size", "expected"),
    [
        ("imagenet", (32, 32), (1, 1)),
        ("imagenet", (33, 97), (2, 4)),
        ("imagenet", (224, 224), (7, 7)),
        ("cifar", (32, 32), (4, 4)),
        ("cifar", (8, 13), (1, 2)),
    ],
)
def test_features(stem, size, expected):
    with META:
        model = resnet18("cbam-fc", num_classes=7, stem=stem, in_channels=6)
        x = torch.randn(2, 6, *size)
        assert model.features(x).shape == (2, 512, *expected)
        assert model(x).shape == (2, 7)


def test_sizes_on_the_way_through_resnet50():
    """An ImageNet image, the sizes of table 1 of the ResNet paper."""
    with META:
        model = resnet50_cbam(num_classes=10)
        sizes = {}
        for name, layer in model.named_children():
            layer.register_forward_hook(
                lambda layer, inputs, output, name=name: sizes.update({name: output.shape[1:]})
            )
        model(torch.randn(1, 3, 224, 224))
    assert {name: tuple(size) for name, size in sizes.items()} == {
        "conv1": (64, 112, 112),
        "bn1": (64, 112, 112),
        "relu": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer1": (256, 56, 56),
        "layer2": (512, 28, 28),
        "layer3": (1024, 14, 14),
        "layer4": (2048, 7, 7),
        "avgpool": (2048, 1, 1),
        "fc": (10,),
    }


def test_one_block_in_each_residual_block():
    seen = []

    def factory(channels):
        seen.append(channels)
        return nn.Identity()

    with META:
        resnet50(factory)
    assert seen == [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3


def test_attention_by_name_by_factory_and_none():
    with META:
        assert isinstance(resnet18("se").layer1[0].attention, SqueezeExcitation)
        assert isinstance(resnet18(SE).layer4[1].attention, SqueezeExcitation)
        assert isinstance(resnet18("none").layer1[0].attention, nn.Identity)
        assert isinstance(resnet18().layer1[0].attention, nn.Identity)


def test_cbam_builders_pass_the_blocks_options_on():
    with META:
        model = resnet50_cbam(reduction=8, kernel_size=3, version="v1", num_classes=10)
        conv = make_model("resnet18", "cbam-conv").state_dict()
        again = resnet18_cbam(mode="conv").state_dict()
    block = model.layer2[0].attention
    assert isinstance(block, CBAM) and block.channel_attention.reduction == 8
    assert block.spatial_attention.kernel_size == 3
    assert model.version == "v1" and model.fc.out_features == 10
    assert conv.keys() == again.keys()


def test_wide_resnet_widens_the_stages_not_the_stem():
    with META:
        model = wide_resnet18(widen=1.5)
    assert model.conv1.out_channels == model.bn1.num_features == 64
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    assert [stage[-1].conv2.out_channels for stage in stages] == [96, 192, 384, 768]


def test_starting_as_the_identity_changes_nothing_at_first():
    torch.manual_seed(4)
    plain = resnet18(num_classes=5).eval()
    torch.manual_seed(4)
    other = resnet18("cbam-fc", num_classes=5, start_as_identity=True).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(x), other(x))


# -- what they refuse ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block": "wide"}, "block must be one of 'basic', 'bottleneck'; got 'wide'"),
        ({"depths": ()}, r"depths must be .* \(2, 2, 2, 2\); got \(\)"),
        ({"depths": (1, 0)}, r"got \(1, 0\)"),
        ({"depths": (1, 1, 1)}, r"one number for each stage; got depths \(1, 1, 1\)"),
        ({"widths": (8, 1.5)}, r"got \(8, 1.5\)"),
        ({"num_classes": 0}, "num_classes must be an integer of at least 1, got 0"),
        ({"in_channels": True}, "in_channels must be an integer of at least 1, got True"),
        ({"version": "v2"}, "version must be one of 'v1', 'v1.5'; got 'v2'"),
        ({"stem": "mnist"}, "stem must be one of 'imagenet', 'cifar'; got 'mnist'"),
        ({"groups": 2}, "groups=1"),
        ({"block": "bottleneck", "groups": 0}, "groups must be an integer of at least 1, got 0"),
        ({"block": "bottleneck", "width_per_group": 4}, "leaves no channel .* width 8"),
        ({"attention": "cbam-fc"}, r"factory.*make_attention\('cbam-fc'\)"),
        ({"attention": lambda channels: channels}, r"attention\(8\) must return a module"),
        ({"attention": SE}, "reduction 16 leaves no hidden unit for 8 channels"),
    ],
)
def test_refuses(arguments, message):
    usual = {"block": "basic", "depths": (1, 1), "widths": (8, 16)}
    with pytest.raises(ValueError, match=message):
        ResNet(**{**usual, **arguments})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resnet18("cbam"), "attention must be one of 'none', 'se'"),
        (lambda: resnet18(num_classes=0), "num_classes must be .* got 0"),
        (lambda: resnet18(start_as_identity=1), "start_as_identity must be True or False, got 1"),
        (lambda: wide_resnet18(widen=0), "widen must leave a channel"),
        (lambda: wide_resnet18(widen=float("nan")), "widen must be a finite number"),
        (lambda: make_model("resnet19"), "name must be one of 'cifar_cnn', .*, 'resnet18'"),
        (lambda: make_model(18), "got 18"),
    ],
)
def test_builders_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 32, 0), (2, 3)])
def test_refuses_images(shape):
    with pytest.raises(ValueError, match=r"ResNet expects images \[batch, 3, height, width\] of"):
        small()(torch.randn(shape))


# For 32 x 32 images


def he(widths, depth, stages=3):
    """Parameters of a residual network of basic blocks for 32 x 32 images, by hand."""
    total = 27 * widths[0] + 2 * widths[0]
    before = widths[0]
    for width in widths:
        for _ in range(depth):
            total += 9 * before * width + 9 * width * width + 4 * width
            if before != width:
                total += before * width + 2 * width
            before = width
    return total + widths[-1] * 10 + 10


@pytest.mark.parametrize("depth", [3, 9])
def test_the_networks_for_cifar_by_hand(depth):
    model = cifar_resnet(depths=(depth,) * 3)
    assert sum(p.numel() for p in model.parameters()) == he((16, 32, 64), depth)
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in model.modules()) == (
        6 * depth + 1
    )


def test_the_network_for_cifar_keeps_its_size_at_first():
    model = cifar_resnet("cbam-fc", depths=[1, 1, 1], num_classes=7)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert model.features(torch.randn(2, 3, 32, 32)).shape == (2, 64, 8, 8)
    assert model.layer1[0].attention.channel_attention.channels == 16


def test_the_relatives_of_the_network_for_cifar():
    options = {"block": "bottleneck", "depths": [2, 2, 2], "groups": 4, "width_per_group": 16}
    model = cifar_resnet("eca", **options, in_channels=6)
    assert model.layer2[0].conv2.groups == 4
    assert model(torch.randn(1, 6, 32, 32)).shape == (1, 10)
    with pytest.raises(ValueError, match="depths and widths must have one number for each stage"):
        cifar_resnet(depths=(3, 3))
