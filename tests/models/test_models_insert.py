"""Attention goes into networks that are there: where it should, and nothing else changes."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import convnext, mobilenetv2, mobilenetv3, resnet

from cbam_course.attention import CBAM, IdentityStart, SqueezeExcitation, make_attention
from cbam_course.models import ResNet, insert_attention, make_model
from tests.support.networks import images, randomize

EXAMPLE = torch.zeros(1, 3, 32, 32)
NETWORKS = ("resnet18", "mobilenet_v2", "mobilenet_v3_small", "vgg11_bn", "convnext_tiny")


def empty(name, **options):
    """A network of torchvision without values: quick to make."""
    with torch.device("meta"):
        return getattr(torchvision.models, name)(**options)


def network(name, seed=0):
    """A network of torchvision with random values everywhere, and 10 classes."""
    model = empty(name, num_classes=10)
    if name.startswith("vgg"):
        model.classifier = nn.Linear(512 * 7 * 7, 10)  # 100 million weights less
    return randomize(model.to_empty(device="cpu"), seed).eval()


def call(model, x):
    with torch.no_grad():
        return model(x)


def snapshot(model):
    """All that must not change: values, modes, classes, what wants gradients, random numbers."""
    return (
        {key: value.clone() for key, value in model.state_dict().items()},
        [(name, type(m), m.training) for name, m in model.named_modules()],
        [(name, p.requires_grad, id(p)) for name, p in model.named_parameters()],
        torch.get_rng_state(),
    )


def assert_unchanged(model, before):
    state, modules, parameters, random = snapshot(model)
    assert list(state) == list(before[0])
    for key, value in state.items():
        assert torch.equal(value, before[0][key]), key
    assert modules == before[1] and parameters == before[2]
    assert torch.equal(random, before[3])


def branch(module):
    """Whether a module is one of torchvision's residual blocks."""
    kinds = (
        *(resnet.BasicBlock, resnet.Bottleneck, convnext.CNBlock),
        *(mobilenetv2.InvertedResidual, mobilenetv3.InvertedResidual),
    )
    return isinstance(module, kinds)


# Without names


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_keep_their_bits(name):
    model, x = network(name), images(2, 3, 32, 32)
    before, keys = call(model, x), list(model.state_dict())
    report = insert_attention(model, "cbam-fc", start_as_identity=True, example=EXAMPLE)
    assert torch.equal(call(model, x).view(torch.int32), before.view(torch.int32))
    assert before.isfinite().all() and before.std() > 1e-3

    new = [key for key in model.state_dict() if key not in keys]
    assert [key for key in model.state_dict() if key in keys] == keys
    assert all(".attention." in key for key in new)
    assert {f"{i.name}.gate" for i in report.insertions} <= set(new)
    with torch.no_grad():
        for insertion in report.insertions:
            model.get_submodule(insertion.name).gate.fill_(0.5)
    assert (call(model, x) - before).abs().max() > 1e-4


class Zero(nn.Module):
    """Stops everything that comes through it."""

    def forward(self, x):
        return x * 0


@pytest.mark.parametrize("name", [n for n in NETWORKS if not n.startswith("vgg")])
def test_at_the_end_of_the_branch_and_before_the_addition(name):
    """With nothing from its branch, a residual block puts out its shortcut."""
    model = network(name)
    blocks = {m: n for n, m in model.named_modules() if branch(m)}
    report = insert_attention(model, lambda channels: Zero(), example=EXAMPLE)
    assert len(report.insertions) == len(blocks)
    calls = []
    for module in blocks:
        module.register_forward_hook(lambda m, args, out: calls.append((m, args[0].clone(), out)))
    call(model, images(2, 3, 32, 32))
    assert len(calls) == len(blocks)
    for module, x, out in calls:
        if isinstance(module, resnet.BasicBlock | resnet.Bottleneck):
            expected = call(module.downsample or nn.Identity(), x).relu()
        else:
            expected = x if getattr(module, "use_res_connect", True) else torch.zeros_like(out)
        assert torch.equal(out, expected), blocks[module]


def test_at_the_end_of_the_stages_of_vgg():
    model = empty("vgg19_bn")
    before = list(model.features)
    report = insert_attention(model, "se", example=EXAMPLE.to("meta"))
    assert [i.channels for i in report.insertions] == [64, 128, 256, 512, 512]
    pooled = [isinstance(layer, nn.MaxPool2d) for layer in [*before[1:], nn.Identity()]]
    assert list(model.features) == before
    for layer, before_pool in zip(before, pooled, strict=True):
        assert isinstance(layer, nn.ReLU) or not before_pool
        assert hasattr(layer, "attention") == before_pool
        assert not before_pool or type(layer.attention) is SqueezeExcitation


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet18", {}), ("resnet50", {}), ("mobilenet_v2", {"where": "blocks"})],
)
def test_a_network_of_torchvision_becomes_that_of_the_course(name, options):
    model = network(name)
    insert_attention(model, "cbam-conv", start_as_identity=True, example=EXAMPLE)
    with torch.device("meta"):
        built = make_model(name, "cbam-conv", num_classes=10, start_as_identity=True, **options)
    built.to_empty(device="cpu")
    assert set(model.state_dict()) == set(built.state_dict())
    built.load_state_dict(model.state_dict(), strict=True)
    x = images(2, 3, 32, 32)
    torch.testing.assert_close(call(built.eval(), x), call(model, x), rtol=1e-5, atol=1e-5)


def test_networks_of_the_course():
    model = make_model("resnet18", num_classes=10, stem="cifar").eval()
    x = images(2, 3, 32, 32)
    before = call(model, x)
    report = insert_attention(model, "cbam-fc", start_as_identity=True, example=EXAMPLE)
    assert len(report.insertions) == 8 and torch.equal(call(model, x), before)
    model = make_model("mobilenet_v2", "se", where="last", num_classes=10)
    insert_attention(model, "eca", example=EXAMPLE)
    both = make_model("mobilenet_v2", "eca", where=("blocks",), num_classes=10).state_dict()
    assert set(both) < set(model.state_dict())


def test_inside_of_other_networks():
    backbone = network("resnet18")
    backbone.fc = nn.Identity()
    model = nn.Sequential(nn.Sequential(backbone), nn.Linear(512, 2))
    report = insert_attention(model, "eca", example=EXAMPLE)
    assert report.insertions[0].name == "0.0.layer1.0.attention"
    assert len(report.insertions) == 8
    parallel = nn.DataParallel(network("mobilenet_v3_small"))
    report = insert_attention(parallel, "eca", example=EXAMPLE)
    assert report.insertions[0].name == "module.features.1.block.attention"


def test_the_default_example_has_the_networks_channels():
    model = nn.Sequential(nn.Conv2d(5, 4, 3), nn.ReLU())
    assert len(insert_attention(model, "eca", "1").insertions) == 1


# What must stay as it is


class Counts(nn.Module):
    """Counts its calls in a buffer, whatever the mode, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return nn.functional.dropout(x, 0.5, training=True)


def awkward():
    """Some parts train and some do not, some learn and some do not, and one counts and draws."""
    model = network("resnet18").train()
    model.layer2.eval()
    model.bn1.eval()
    model.layer1.requires_grad_(False)
    model.maxpool = nn.Sequential(model.maxpool, Counts(), nn.Dropout())
    return model


def test_looking_leaves_no_trace():
    model = awkward()
    before = snapshot(model)
    with pytest.raises(ValueError, match="no block for layer4.0: not 512"):
        insert_attention(model, refuses_512, example=images(1, 3, 32, 32))
    assert_unchanged(model, before)

    insert_attention(model, lambda channels: Zero(), example=images(1, 3, 32, 32))
    state, _, parameters, random = snapshot(model)
    assert list(state) == list(before[0]) and parameters == before[2]
    assert all(torch.equal(value, before[0][key]) for key, value in state.items())
    assert torch.equal(random, before[3])
    modes = {name: training for name, _, training in before[1]}
    assert all(m.training == modes[name] for name, m in model.named_modules() if name in modes)


def refuses_512(channels):
    if channels == 512:
        raise ValueError("not 512")
    return SqueezeExcitation(channels) if channels < 0 else Zero()


def test_only_the_blocks_draw_random_numbers():
    torch.manual_seed(0)
    insert_attention(model := network("resnet18"), "cbam-fc", example=EXAMPLE)
    after = torch.rand(3)
    torch.manual_seed(0)
    blocks = [CBAM(c) for c in (64, 64, 128, 128, 256, 256, 512, 512)]
    assert torch.equal(torch.rand(3), after)
    found = [m for m in model.modules() if isinstance(m, CBAM)]
    for one, other in zip(found, blocks, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_blocks_have_the_mode_of_what_is_before_them_and_learn():
    model = awkward()
    insert_attention(model, "cbam-fc", start_as_identity=True, example=EXAMPLE)
    for name, module in model.named_modules():
        if isinstance(module, IdentityStart):
            training = not name.startswith("layer2")
            assert all(part.training == training for part in module.modules())
            assert all(parameter.requires_grad for parameter in module.parameters())
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all(n.startswith("layer1") and "attention" not in n for n in frozen)


@pytest.mark.parametrize(
    ("name", "dtype"), [("resnet18", torch.float64), ("vgg11_bn", torch.bfloat16)]
)
def test_blocks_have_the_precision_of_what_is_before_them(name, dtype):
    model, x = network(name).to(dtype), images(2, 3, 32, 32).to(dtype)
    before = call(model, x)
    options = {"spatial_options": {"batch_norm": True}}
    factory = make_attention("cbam-fc", **options)
    insert_attention(model, factory, start_as_identity=True, example=EXAMPLE.to(dtype))
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert torch.equal(call(model, x), before)


def test_hooks_survive():
    model, seen = network("resnet18"), []
    for name in ("layer1.0", "layer1", "layer2.0.bn1", "relu"):
        note = lambda module, args, output, name=name: seen.append(name)  # noqa: E731
        model.get_submodule(name).register_forward_hook(note)
    insert_attention(model, "se", ["layer1", "relu", "layer2.0.bn1"], example=EXAMPLE)
    seen.clear()
    call(model, images(2, 3, 32, 32))
    assert sorted(seen) == ["layer1", "layer1.0", "layer2.0.bn1", "relu"]


# Insertion points by name


def test_by_name_after_a_sequence():
    model, x = network("resnet18"), images(2, 3, 32, 32)
    keys = list(model.state_dict())
    report = insert_attention(model, "cbam-fc", ("layer2", "layer4"), example=EXAMPLE)
    assert [i.name for i in report.insertions] == ["layer2.attention", "layer4.attention"]
    assert [i.channels for i in report.insertions] == [128, 512]
    assert [k for k in model.state_dict() if k in keys] == keys
    plain = network("resnet18")
    feature = plain.layer1(plain.maxpool(plain.relu(plain.bn1(plain.conv1(x)))))
    feature = model.layer2.attention(plain.layer2(feature))
    feature = model.layer4.attention(plain.layer4(plain.layer3(feature)))
    expected = plain.fc(feature.mean(dim=(2, 3)))
    torch.testing.assert_close(call(model, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "where", "found"),
    [
        ("resnet18", "layer[34].1.conv?", [f"layer{n}.1.conv{m}" for n in (3, 4) for m in (1, 2)]),
        ("resnet18", ["layer1", "layer*"], [f"layer{n}.attention" for n in (1, 2, 3, 4)]),
        ("efficientnet_b0", "features.[1-7]", [f"features.{n}.attention" for n in range(1, 8)]),
    ],
    ids=str,
)
def test_patterns(name, where, found):
    model = empty(name).eval()
    report = insert_attention(model, "eca", where, example=EXAMPLE.to("meta"))
    names = [i.name for i in report.insertions]
    assert names == [n if n.endswith("attention") else f"{n}.attention" for n in found]
    assert call(model, EXAMPLE.to("meta")).shape == (1, 1000)


def test_an_insertion_point_inside_of_another():
    model, x = network("resnet18"), images(2, 3, 32, 32)
    where = ("layer1.0", "layer1.0.bn2", "layer1")
    report = insert_attention(model, "eca", where, start_as_identity=True, example=EXAMPLE)
    assert {i.name for i in report.insertions} == {
        *("layer1.attention", "layer1.0.attention", "layer1.0.bn2.attention")
    }
    assert torch.equal(call(model, x), call(network("resnet18"), x))


def test_a_module_with_two_names():
    shared = nn.Conv2d(4, 4, 1)
    model = nn.Sequential(shared, nn.Sequential(shared, nn.ReLU()))
    x, attention = images(2, 4, 3, 3), Zero()
    insert_attention(model, lambda channels: attention, "1.0", example=x)
    assert model[0] is model[1][0] is shared
    assert not call(model, x).any()


class Branches(nn.Module):
    """One ReLU for two widths, one for one width, one that is not run, and other outputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.wide = nn.Conv2d(8, 16, 1)
        self.shared = nn.ReLU()
        self.twice = nn.ReLU()
        self.unused = nn.Sequential(nn.Conv2d(3, 3, 1))
        self.pair = Pair()
        self.flat = nn.Flatten()

    def forward(self, x):
        x = self.twice(self.twice(self.shared(self.conv(x))))
        return self.flat(self.pair(self.shared(self.wide(x)))[0])


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_a_module_that_runs_twice_is_followed_twice():
    model, x = Branches().eval(), images(1, 3, 4, 4)
    before = call(model, x)
    insert_attention(model, no_draw, "twice", example=x)
    model.wide.bias.data.zero_()
    plain = Branches().eval()
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(call(model, x), call(plain, x) / 4)
    assert before.shape == (1, 16 * 16)


class Half(nn.Module):
    def forward(self, x):
        return x / 2


class RunsItsParts(nn.ModuleDict):
    def forward(self, x):
        for part in self.values():
            x = part(x)
        return x


def runs_its_parts():
    return nn.Sequential(RunsItsParts({"a": nn.Conv2d(3, 4, 1)}))


class NeedsTwoParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())

    def forward(self, x):
        y = self.parts(x)
        conv, relu = self.parts
        return y + relu(conv(x))


def compiled_in_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    model.compile()
    return model


def small():
    return ResNet("basic", (1,), widths=(64,), stem="cifar")


def no_draw(channels):
    return Half()


IMAGE = torch.zeros(1, 3, 4, 4)
REFUSED = [
    (Branches, "eca", "shared", IMAGE, "follow shared: its outputs differ in their channels"),
    (Branches, "eca", "unused", IMAGE, "follow unused: it is not run"),
    (Branches, "eca", "pair", IMAGE, r"follow pair: its output is no \[B, C, H, W\]"),
    (Branches, "eca", ["conv", "cnv"], IMAGE, "no module is called 'cnv'; did you mean 'conv'"),
    (Branches, "eca", "*.*.*", IMAGE, r"no module is called '\*.\*.\*'"),
    (Branches, "eca", None, IMAGE, "Branches has no residual branches .*; name modules in where"),
    (small, "none", None, IMAGE, "attention must be a block to insert; got 'none'"),
    (small, CBAM(64), None, IMAGE, "attention must be a name, None, or a factory"),
    (small, make_attention("se", reduction=65), None, IMAGE, "no block for layer1.0: reduction 65"),
    (small, "eca", None, images(1, 4, 8, 8), r"called with a tensor \[1, 4, 8, 8\] to find"),
    (nn.ReLU, "eca", "0", None, "where: no module is called '0'; name modules in where"),
    (lambda: nn.Sequential(nn.ReLU()), "eca", "0", None, "without an nn.Conv2d .* give an example"),
    (runs_its_parts, no_draw, "0", IMAGE, "would run 2 times instead of 1"),
    (NeedsTwoParts, no_draw, "parts", IMAGE, "cannot be called: too many values to unpack"),
    (
        torchvision.models.swin_t,
        "eca",
        "features.0",
        None,
        r"channels-first.*\[1, 56, 56, 96\]",
    ),
    (lambda: torch.compile(small()), "eca", "_orig_mod.conv1", IMAGE, "is compiled"),
    (compiled_in_place, "eca", "0", IMAGE, "insert attention first, and compile then"),
]


@pytest.mark.parametrize(
    ("make", "attention", "where", "example", "message"), REFUSED, ids=[row[-1] for row in REFUSED]
)
def test_refusals_leave_the_network_as_it_was(make, attention, where, example, message):
    model = make()
    before, hooks = snapshot(model), [len(m._forward_hooks) for m in model.modules()]
    with pytest.raises(ValueError, match=message):
        insert_attention(model, attention, where, example=example)
    assert_unchanged(model, before)
    assert [len(m._forward_hooks) for m in model.modules()] == hooks


def test_not_twice():
    model = empty("resnet18")
    first = insert_attention(model, "se", example=EXAMPLE.to("meta"))
    keys, n = list(model.state_dict()), len(first.insertions)
    with pytest.raises(ValueError, match=f"{n} of {n} insertion points have attention already"):
        insert_attention(model, "se", example=EXAMPLE.to("meta"))
    assert list(model.state_dict()) == keys


# The report


def test_report():
    report = insert_attention(empty("resnet50"), "cbam-fc", start_as_identity=True)
    # 2 C C / 16 weights, 2 maps x 7 x 7, and the gate.
    each = {c: 2 * c * c // 16 + 98 + 1 for c in (256, 512, 1024, 2048)}
    total = 3 * each[256] + 4 * each[512] + 6 * each[1024] + 3 * each[2048]
    assert str(report).splitlines() == [
        f"16 CBAM blocks, at first the identity, {total:,} parameters",
        "  layer1.0.attention to layer1.2.attention  3 x 256 channels, 8,291 parameters each",
        "  layer2.0.attention to layer2.3.attention  4 x 512 channels, 32,867 parameters each",
        "  layer3.0.attention to layer3.5.attention  6 x 1024 channels, 131,171 parameters each",
        "  layer4.0.attention to layer4.2.attention  3 x 2048 channels, 524,387 parameters each",
    ]
    assert (each[256], each[2048], total) == (8_291, 524_387, report.parameters)
    assert str(total) in insert_attention.__doc__.replace(",", "")


def test_report_of_named_insertion_points():
    report = insert_attention(empty("resnet18"), "eca", "layer1.*.bn1")
    assert str(report).splitlines() == [
        "2 ECA blocks, 6 parameters",
        "  layer1.0.bn1.attention to layer1.1.bn1.attention  2 x 64 channels, 3 parameters each",
    ]
    report = insert_attention(empty("resnet18"), "eca", "layer1")
    assert str(report).endswith("  layer1.attention  1 x 64 channels, 3 parameters")
