"""Attention goes into networks that are there: where it should, and nothing else changes."""

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import convnext, mobilenetv2, mobilenetv3, resnet

from cbam_course.attention import CBAM, IdentityStart, make_attention
from cbam_course.models import ResNet, insert_attention, make_model
from tests.support.networks import images, randomize

EXAMPLE = torch.zeros(1, 3, 32, 32)
NETWORKS = ("resnet18", "mobilenet_v2", "mobilenet_v3_small", "vgg11_bn", "convnext")


def empty(name, **options):
    """A network of torchvision without values: quick to make."""
    with torch.device("meta"):
        if name == "convnext":  # the smallest that torchvision names has 28 million weights
            stages = [convnext.CNBlockConfig(16, 32, 2), convnext.CNBlockConfig(32, None, 2)]
            return convnext.ConvNeXt(stages, **options)
        return getattr(torchvision.models, name)(**options)


def network(name, seed=0):
    """A network of torchvision with random values everywhere, and 10 classes."""
    model = empty(name, num_classes=10)
    if name.startswith("vgg"):
        model.classifier = nn.Linear(512 * 7 * 7, 10)  # 100 million weights less
    return randomize(model.to_empty(device="cpu"), seed).eval()


def small():
    """A ResNet of torchvision with two blocks, to 64 and 128 channels."""
    model = torchvision.models.ResNet(resnet.BasicBlock, (1, 1, 1, 1), num_classes=10)
    model.layer3 = model.layer4 = nn.Identity()
    model.fc = nn.Linear(128, 10)
    return model


def call(model, x):
    with torch.no_grad():
        return model(x)


def snapshot(model):
    """All that must not change: values, modes, classes, what wants gradients, random numbers."""
    return (
        {key: value.clone() for key, value in model.state_dict().items()},
        [(name, type(m), m.training, len(m._forward_hooks)) for name, m in model.named_modules()],
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
    for insertion in report.insertions:
        nn.init.constant_(model.get_submodule(insertion.name).gate, 0.5)
    assert (call(model, x) - before).abs().max() > 1e-4


class Times(nn.Module):
    """By 0 it stops everything that comes through it."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


BRANCHES = (
    *(resnet.BasicBlock, resnet.Bottleneck, convnext.CNBlock),
    *(mobilenetv2.InvertedResidual, mobilenetv3.InvertedResidual),
)


@pytest.mark.parametrize("name", [n for n in NETWORKS if not n.startswith("vgg")])
def test_at_the_end_of_the_branch_and_before_the_addition(name):
    """With nothing from its branch, a residual block puts out its shortcut."""
    model = network(name)
    blocks = {m: n for n, m in model.named_modules() if isinstance(m, BRANCHES)}
    report = insert_attention(model, lambda channels: Times(0), example=EXAMPLE)
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
    assert list(model.features) == before
    for layer, following in zip(before, [*before[1:], nn.Identity()], strict=True):
        assert hasattr(layer, "attention") == isinstance(following, nn.MaxPool2d)
        assert isinstance(layer, nn.ReLU) or not hasattr(layer, "attention")


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet18", {}), ("resnet50", {}), ("mobilenet_v2", {"where": "blocks"})],
)
def test_a_network_of_torchvision_becomes_that_of_the_course(name, options):
    model = network(name)
    insert_attention(model, "cbam-conv", start_as_identity=True, example=EXAMPLE)
    with torch.device("meta"):
        built = make_model(name, "cbam-conv", num_classes=10, start_as_identity=True, **options)
    built.to_empty(device="cpu").load_state_dict(model.state_dict(), strict=True)
    x = images(2, 3, 32, 32)
    torch.testing.assert_close(call(built.eval(), x), call(model, x), rtol=1e-5, atol=1e-5)


def test_networks_of_the_course():
    model = make_model("cifar_resnet", depths=(1, 1), widths=(16, 32)).eval()
    x = images(2, 3, 32, 32)
    before = call(model, x)
    report = insert_attention(model, "cbam-fc", start_as_identity=True, example=EXAMPLE)
    assert len(report.insertions) == 2 and torch.equal(call(model, x), before)


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
    model = small().train()
    model.layer2.eval()
    model.bn1.eval()
    model.layer1.requires_grad_(False)
    model.maxpool = nn.Sequential(model.maxpool, Counts(), nn.Dropout())
    return model


def refuses_128(channels):
    if channels == 128:
        raise ValueError("not 128")
    return Times(1)


def test_looking_leaves_no_trace_and_only_the_blocks_draw_random_numbers():
    model = awkward()
    before = snapshot(model)
    with pytest.raises(ValueError, match="no block for layer2.0: not 128"):
        insert_attention(model, refuses_128, example=EXAMPLE)
    assert_unchanged(model, before)

    torch.manual_seed(0)
    insert_attention(model, "cbam-fc", start_as_identity=True, example=EXAMPLE)
    after = torch.rand(3)
    torch.manual_seed(0)
    blocks = [CBAM(c) for c in (64, 128)]
    assert torch.equal(torch.rand(3), after)
    found = [m for m in model.modules() if isinstance(m, CBAM)]
    for one, other in zip(found, blocks, strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in before[0].items())

    # Blocks have the mode of what is before them, and learn.
    modes = {name: training for name, _, training, _ in before[1]}
    assert all(m.training == modes[name] for name, m in model.named_modules() if name in modes)
    for name, module in model.named_modules():
        if isinstance(module, IdentityStart):
            assert {part.training for part in module.modules()} == {name.startswith("layer1")}
            assert all(parameter.requires_grad for parameter in module.parameters())
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all(n.startswith("layer1") and "attention" not in n for n in frozen)


def test_what_was_compiled_of_the_network_before_gets_the_blocks():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval()
    compiled, x = torch.compile(model, backend="eager"), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        before = compiled(x)
        insert_attention(model, "eca", where="0")
        assert torch.equal(compiled(x), model(x)) and not torch.equal(model(x), before)


# Insertion points by name


@pytest.mark.parametrize(
    ("name", "where", "found"),
    [
        ("resnet18", "layer[34].1.conv?", [f"layer{n}.1.conv{m}" for n in (3, 4) for m in (1, 2)]),
        ("resnet18", ["layer1", "layer*"], [f"layer{n}" for n in (1, 2, 3, 4)]),
        ("efficientnet_b0", "features.[1-7]", [f"features.{n}" for n in range(1, 8)]),
    ],
    ids=str,
)
def test_patterns(name, where, found):
    model = empty(name).eval()
    report = insert_attention(model, "eca", where, example=EXAMPLE.to("meta"))
    assert [i.name for i in report.insertions] == [f"{n}.attention" for n in found]
    assert call(model, EXAMPLE.to("meta")).shape == (1, 1000)


def test_after_a_sequence_and_inside_of_another_insertion_point():
    model, x = small().eval(), images(2, 3, 32, 32)
    plain = copy.deepcopy(model)
    where = ("layer1.0", "layer1.0.bn2", "layer1", "layer2")
    report = insert_attention(model, lambda channels: Times(3), where, example=EXAMPLE)
    assert {i.name.removesuffix(".attention") for i in report.insertions} == {*where}
    stem = plain.maxpool(plain.relu(plain.bn1(plain.conv1(x))))
    block = plain.layer1[0]
    branch = block.bn2(block.conv2(block.bn1(block.conv1(stem)).relu()))
    feature = 9 * (3 * branch + stem).relu()
    expected = plain.fc(3 * plain.layer2(feature).mean(dim=(2, 3)))
    torch.testing.assert_close(call(model, x), expected.detach(), rtol=1e-5, atol=1e-5)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(call(twin, x), call(model, x))


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

    def forward(self, x):
        x = self.twice(self.twice(self.shared(self.conv(x))))
        return self.pair(self.shared(self.wide(x)))[0]


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_a_module_that_runs_twice_is_followed_twice():
    model, x = Branches().eval(), images(1, 3, 4, 4)
    nn.init.zeros_(model.wide.bias)
    before = call(model, x)
    insert_attention(model, lambda channels: Times(0.5), "twice", example=x)
    torch.testing.assert_close(call(model, x), before / 4)


class RunsItsParts(nn.ModuleDict):
    def forward(self, x):
        for part in self.values():
            x = part(x)
        return x


class NeedsTwoParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())

    def forward(self, x):
        y = self.parts(x)
        conv, relu = self.parts
        return y + relu(conv(x))


def tiny():
    return ResNet("basic", (1,), widths=(64,), stem="cifar")


def swin():
    return torchvision.models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4])


def with_attention():
    model = tiny()
    insert_attention(model, "eca", example=IMAGE)
    return model


def no_draw(channels):
    return Times(0.5)


IMAGE = torch.zeros(1, 3, 4, 4)
REFUSED = [
    (Branches, "eca", "shared", IMAGE, "follow shared: its outputs differ in their channels"),
    (Branches, "eca", "unused", IMAGE, "follow unused: it is not run"),
    (Branches, "eca", "pair", IMAGE, r"follow pair: its output is no \[B, C, H, W\]"),
    (Branches, "eca", ["conv", "cnv"], IMAGE, "no module is called 'cnv'"),
    (Branches, "eca", None, IMAGE, "Branches has no residual branches .*; name modules in where"),
    (tiny, "none", None, IMAGE, "attention must be a block to insert; got 'none'"),
    (tiny, CBAM(64), None, IMAGE, "attention must be a name, None, or a factory"),
    (tiny, make_attention("se", reduction=65), None, IMAGE, "no block for layer1.0: reduction 65"),
    (tiny, "eca", None, images(1, 4, 8, 8), "give an example that the network can be called"),
    (with_attention, "se", None, IMAGE, "have attention already: layer1.0"),
    (lambda: nn.Sequential(nn.ReLU()), "eca", "0", None, "without an nn.Conv2d .* give an example"),
    (
        *(lambda: nn.Sequential(RunsItsParts({"a": nn.Conv2d(3, 4, 1)})), no_draw, "0", IMAGE),
        "would run 2 times instead of 1",
    ),
    (NeedsTwoParts, no_draw, "parts", IMAGE, "cannot be called: too many values to unpack"),
    (swin, "eca", "features.0", EXAMPLE, r"\[1, 8, 8, 16\] looks like"),
    (lambda: torch.compile(tiny()), "eca", "_orig_mod.conv1", IMAGE, "is compiled"),
]


@pytest.mark.parametrize(
    ("make", "attention", "where", "example", "message"), REFUSED, ids=[row[-1] for row in REFUSED]
)
def test_refusals_leave_the_network_as_it_was(make, attention, where, example, message):
    model = make()
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        insert_attention(model, attention, where, example=example)
    assert_unchanged(model, before)


# The report


def test_report():
    report = insert_attention(empty("resnet50"), "cbam-fc", start_as_identity=True)
    # 2 C C / 16 weights, 2 maps x 7 x 7, and the gate.
    each = {c: 2 * c * c // 16 + 98 + 1 for c in (256, 512, 1024, 2048)}
    total = 3 * each[256] + 4 * each[512] + 6 * each[1024] + 3 * each[2048]
    assert (each[256], each[2048], total) == (8_291, 524_387, report.parameters)
    shown = insert_attention.__doc__.partition("start_as_identity=True))\n")[2]
    assert str(report).splitlines() == [line[8:] for line in shown.rstrip().splitlines()]
    assert str(report).startswith(f"16 CBAM blocks, at first the identity, {total:,} parameters")
