"""The count by hand: which work counts, whose it is, and what is left as it was."""

import copy
from itertools import pairwise
from math import prod

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import DeformConv2d
from torchvision.ops import SqueezeExcitation as TorchvisionSE

from cbam_course.attention import CBAM, ECA, IdentityStart, SqueezeExcitation, make_attention
from cbam_course.cost import Cost, count, explain
from cbam_course.models import CifarCNN

pytestmark = pytest.mark.usefixtures("one_thread")


def on_meta(make, *arguments, **options):
    """Make a model without memory."""
    with torch.device("meta"):
        return make(*arguments, **options)


def network(name):
    return on_meta(torchvision.models.get_model, name)


def value(rule):
    """What a rule of the table, such as ``2 * 8*1*1 * 32*1*1``, comes to."""
    assert set(rule) <= set("0123456789+*() ")
    return eval(rule) if rule else 0


def assert_consistent(cost, model):
    """The table adds up to the totals, and every rule to its number."""
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    table = cost.layers
    assert table["parameters"].sum() == cost.parameters
    assert table["macs"].sum() == cost.macs
    assert table["left_out"].sum() == sum(cost.left_out.values())
    assert list(table["rule"].map(value)) == list(table["macs"])


# The rule, layer by layer


@st.composite
def convolutions(draw):
    """A convolution and the size of an input that it takes."""
    axes = draw(st.sampled_from((1, 2, 3)))
    transposed = draw(st.booleans())
    groups = draw(st.sampled_from((1, 2, 3)))
    options = {
        "in_channels": groups * draw(st.integers(1, 3)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(st.integers(1, 3)),
        "stride": draw(st.integers(1, 2)),
        "padding": draw(st.integers(0, 1)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    kind = getattr(nn, f"Conv{'Transpose' * transposed}{axes}d")
    return on_meta(kind, **options), (options["in_channels"], *range(5, 5 + axes))


@settings(max_examples=60)
@given(convolutions())
def test_convolutions(case):
    layer, size = case
    out = layer(torch.zeros(1, *size, device="meta"))
    each = (layer.in_channels // layer.groups) * prod(layer.kernel_size)
    macs = out.numel() * each
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        each = (layer.out_channels // layer.groups) * prod(layer.kernel_size)
        macs = prod(size) * each
    cost = count(layer, size)
    assert cost.macs == macs
    assert_consistent(cost, layer)
    with FlopCounterMode(display=False) as peer:
        layer(torch.zeros(1, *size, device="meta"))
    assert peer.get_total_flops() == 2 * macs


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7)])
@pytest.mark.parametrize("bias", [False, True])
def test_fully_connected(shape, bias):
    cost = count(on_meta(nn.Linear, 7, 5, bias), shape)
    assert cost.macs == prod(shape[:-1]) * 5 * 7
    assert cost.parameters == 5 * 7 + 5 * bias


def test_batch_counts_whole():
    layer = on_meta(nn.Conv2d, 3, 4, 3)
    one, four = (count(layer, inputs=torch.zeros(n, 3, 8, 8)) for n in (1, 4))
    assert four.macs == 4 * one.macs == 4 * 4 * 6 * 6 * 27
    assert list(four.layers["rule"]) == ["4*4*6*6 * 3*3*3"]


def test_nothing_else_counts():
    layers = (
        nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.GroupNorm(2, 4), nn.Sigmoid(),
        nn.AdaptiveAvgPool2d(3), nn.Upsample(scale_factor=2), nn.Dropout(),
    )  # fmt: skip
    cost = count(nn.Sequential(*layers), (4, 8, 8))
    assert cost.macs == 0 and cost.left_out == {}
    assert cost.parameters == 16
    assert list(cost.layers["kind"]) == ["BatchNorm2d", "GroupNorm"]


def test_recurrent_and_deformable_layers():
    """Operators of their own on some devices, the same number everywhere."""
    for device in ("meta", "cpu"):
        with torch.device(device):
            lstm = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
            gru = nn.GRU(6, 8)
            deformable = DeformConv2d(4, 6, 3, groups=2)
        each = 4 * 8 * (6 + 8) + 4 * 8 * (16 + 8)
        assert count(lstm, (5, 6)).macs == 5 * 2 * each
        assert count(gru, (5, 6)).macs == 5 * 3 * 8 * (6 + 8)
        images = (torch.zeros(1, 4, 7, 7), torch.zeros(1, 18, 5, 5))
        assert count(deformable, inputs=images).macs == 6 * 5 * 5 * 2 * 3 * 3


class Spelled(nn.Module):
    """The same layer, written in many ways."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.weight = nn.Parameter(torch.randn(5, 8))
        self.register_buffer("fixed", torch.randn(5, 8))
        self.bias = nn.Parameter(torch.zeros(5))

    def forward(self, x):
        return self.way(self, x)


WAYS = {
    "F.linear": lambda m, x: F.linear(x, m.weight, m.bias),
    "F.conv2d": lambda m, x: F.conv2d(x.mT[..., None], m.weight[:, :, None, None]),
    "F.conv1d": lambda m, x: F.conv1d(x.mT, m.weight[:, :, None], m.bias),
    "matmul": lambda m, x: x @ m.weight.T,
    "matmul of a view that cannot be folded": lambda m, x: x.mT.contiguous().mT @ m.weight.T,
    "the weight first": lambda m, x: m.weight @ x.mT,
    "einsum": lambda m, x: torch.einsum("bnc,oc->bno", x, m.weight),
    "bmm": lambda m, x: torch.bmm(x, m.weight.T[None]),
    "baddbmm": lambda m, x: torch.baddbmm(m.bias, x, m.weight.T[None]),
    "addbmm": lambda m, x: torch.addbmm(m.bias, x, m.weight.T[None]),
    "addmm": lambda m, x: torch.addmm(m.bias, x[0], m.weight.T),
    "a buffer": lambda m, x: x @ m.fixed.T,
    "mv": lambda m, x: torch.stack([m.weight.mv(row) for row in x[0]]),
    "a weight made from weights": lambda m, x: x @ (m.weight * m.fixed).half().float().T,
    "in inference mode": torch.inference_mode()(lambda m, x: F.linear(x, m.weight, m.bias)),
    "in half precision": torch.autocast("cpu", torch.bfloat16)(
        lambda m, x: F.linear(x, m.weight, m.bias)
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_ways_to_write_a_layer(way, device):
    model = Spelled(WAYS[way]).to(device)
    cost = count(model, (6, 8))
    assert cost.macs == 6 * 5 * 8
    assert cost.left_out == {}
    assert list(cost.layers["layer"]) == [""] and list(cost.layers["kind"]) == ["Spelled"]
    assert_consistent(cost, model)


PRODUCTS = {
    "bmm": lambda m, x: x @ x.mT,
    "mm": lambda m, x: x[0] @ x[0].T,
    "addbmm": lambda m, x: torch.addbmm(torch.zeros(6, 6, device=x.device), x, x.mT),
    "einsum": lambda m, x: torch.einsum("bnc,bmc->bnm", x, x),
    "F.linear": lambda m, x: F.linear(x, x[0]),
    "through layers": lambda m, x: (x * m.weight.sum()) @ x.relu().mT,
    "through a buffer": lambda m, x: written(torch.zeros(6, 8, device=x.device), x) @ x[0].T,
}


def written(zeros, x):
    """A constant that comes to depend on the input, by way of a view of it."""
    zeros[:3] = x[0, :3]
    return zeros


@pytest.mark.parametrize("way", PRODUCTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_products_of_activations_are_left_out(way, device):
    cost = count(Spelled(PRODUCTS[way]).to(device), (6, 8))
    assert cost.macs == 0
    assert sum(cost.left_out.values()) == 6 * 6 * 8
    assert cost.layers["left_out"].tolist() == [6 * 6 * 8]
    assert "left out" in str(cost) and f"{6 * 6 * 8}  {next(iter(cost.left_out))}" in str(cost)


def test_weights_from_weights():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(8, 5))
    cost = count(layer, (6, 8))
    assert cost.macs == 6 * 5 * 8 and cost.left_out == {}
    assert cost.parameters == 5 * 8 + 5 + 5


# Whose work it is


def test_shared_layer_counts_twice_and_its_parameters_once():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.ModuleDict({"first": layer, "again": layer})
    model.forward = lambda x: layer(F.max_pool2d(layer(x), 2))
    cost = count(model, (4, 8, 8))
    assert cost.parameters == 4 * 4 * 9 + 4
    assert cost.macs == 4 * 8 * 8 * 36 + 4 * 4 * 4 * 36
    (row,) = cost.layers.to_dict("records")
    assert (row["layer"], row["calls"]) == ("first", 2)
    assert (row["input"], row["output"]) == ((1, 4, 8, 8), (1, 4, 8, 8))
    assert row["rule"] == "4*8*8 * 4*3*3 + 4*4*4 * 4*3*3"


def test_tied_weights():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    cost = count(model, (4,))
    assert (cost.parameters, cost.macs) == (16 + 4 + 4, 32)
    assert cost.layers["parameters"].tolist() == [20, 4]


def test_frozen_parameters_count():
    model = nn.Linear(4, 4).requires_grad_(False)
    assert count(model, (4,)).parameters == 20


def test_work_between_layers_is_their_parents():
    class Parent(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 3, 3, 3))
            self.child = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            made_here = nn.Conv2d(3, 3, 1, bias=False, device=x.device)
            return made_here(F.conv2d(self.child(x).repeat(1, 2, 1, 1)[:, :3], self.weight))

    cost = count(nn.Sequential(Parent()), (3, 6, 6))
    assert cost.layers["layer"].tolist() == ["0", "0.child"]
    assert cost.layers["macs"].tolist() == [3 * 16 * 27 + 3 * 16 * 3, 2 * 36 * 3]
    assert_consistent(cost, nn.Sequential(Parent()))


def test_a_failure_that_a_model_catches():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 3), nn.Linear(4, 2)

        def forward(self, x):
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x) @ torch.ones(2, 2)

    cost = count(nn.Sequential(Careful()), (4,))
    assert cost.layers.set_index("layer")["macs"].to_dict() == {"0": 4, "0.wrong": 0, "0.right": 8}


@pytest.mark.parametrize(
    ("block", "parameters", "macs"),
    [
        (CBAM(32, 4), 610, 26_112),
        (CBAM(32, mode="conv"), 3 + 98, 25_280),
        (IdentityStart(CBAM(32, 4)), 611, 26_112),
        (SqueezeExcitation(32, 4), 32 * 8 * 2 + 8 + 32, 32 * 8 * 2),
        (ECA(32), 3, 32 * 3),
    ],
)
def test_blocks_of_the_course(block, parameters, macs):
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), block)
    cost = count(model, (3, 16, 16))
    assert (cost.attention_parameters, cost.attention_macs) == (parameters, macs)
    assert cost.parameters == 3 * 32 * 9 + 32 + parameters
    assert cost.macs == 32 * 16 * 16 * 27 + macs
    assert cost.layers["attention"].tolist() == [False] + [True] * (len(cost.layers) - 1)


def test_blocks_of_others():
    timm_cbam = pytest.importorskip("timm.layers.cbam").CbamModule
    model = nn.Sequential(TorchvisionSE(16, 4), timm_cbam(16, rd_ratio=1 / 4, rd_divisor=1))
    both = (TorchvisionSE, timm_cbam)
    se, cbam = 16 * 4 * 2, 2 * 16 * 4 * 2 + 2 * 49 * 64
    assert count(model, (16, 8, 8)).attention_macs == 0
    assert count(model, (16, 8, 8), attention=TorchvisionSE).attention_macs == se
    assert count(model, (16, 8, 8), attention=both).attention_macs == se + cbam


# Networks


def test_resnet50():
    cost = count(network("resnet50"))
    assert (cost.parameters, cost.macs, cost.left_out) == (25_557_032, 4_089_184_256, {})
    assert_consistent(cost, network("resnet50"))
    first = cost.layers.iloc[0]
    assert (first["layer"], first["kind"]) == ("conv1", "Conv2d")
    assert first["rule"] == "64*112*112 * 3*7*7"


def test_vgg16():
    macs, side = 0, 224
    for depth, channels in zip((2, 2, 3, 3, 3), pairwise((3, 64, 128, 256, 512, 512)), strict=True):
        before, after = channels
        macs += after * side**2 * 9 * (before + (depth - 1) * after)
        side //= 2
    macs += 512 * 7 * 7 * 4096 + 4096 * 4096 + 4096 * 1000
    cost = count(network("vgg16"))
    assert cost.macs == macs
    assert round(macs / 1e9, 2) == 15.47
    assert cost.parameters == 138_357_544


def test_mobilenet_v3_large():
    """From the table of Howard et al., "Searching for MobileNetV3", ICCV 2019."""
    table = [  # kernel, expansion, out, squeeze-and-excitation, stride
        (3, 16, 16, 0, 1), (3, 64, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 1, 2),
        (5, 120, 40, 1, 1), (5, 120, 40, 1, 1), (3, 240, 80, 0, 2), (3, 200, 80, 0, 1),
        (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 1, 1), (3, 672, 112, 1, 1),
        (5, 672, 160, 1, 2), (5, 960, 160, 1, 1), (5, 960, 160, 1, 1),
    ]  # fmt: skip
    channels, side, squeezed = 16, 112, 0
    macs = 16 * side**2 * 27
    for kernel, expansion, out, se, stride in table:
        if expansion != channels:
            macs += expansion * side**2 * channels
        side //= stride
        macs += expansion * side**2 * kernel**2
        if se:
            squeezed += 2 * expansion * hidden(expansion)
        macs += out * side**2 * expansion
        channels = out
    macs += 960 * side**2 * 160 + 960 * 1280 + 1280 * 1000
    cost = count(network("mobilenet_v3_large"), attention=TorchvisionSE)
    assert cost.macs == macs + squeezed
    assert cost.attention_macs == squeezed
    assert round(cost.macs / 1e9, 2) == 0.22


def hidden(channels):
    """A quarter of the channels, rounded to a multiple of 8, but not down by a tenth."""
    rounded = (channels + 16) // 32 * 8
    return rounded if rounded >= 0.9 * channels / 4 else rounded + 8


def test_convnext_tiny():
    depths, widths = (3, 3, 9, 3), (96, 192, 384, 768)
    macs, side = 96 * 56**2 * 3 * 4 * 4, 56
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            side //= 2
            macs += width * side**2 * widths[stage - 1] * 2 * 2
        macs += depth * side**2 * (width * 7 * 7 + 2 * width * 4 * width)
    macs += 768 * 1000
    cost = count(network("convnext_tiny"))
    assert (cost.macs, cost.left_out) == (macs, {})
    assert round(macs / 1e9, 2) == 4.46


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("training", [False, True])
def test_transformer_block(device, training):
    """On a CPU, in evaluation mode, it would run as one operator that hides everything."""
    n, d = 196, 384
    with torch.device(device):
        block = nn.TransformerEncoderLayer(d, 6, 1536, batch_first=True).train(training)
    cost = count(block, inputs=torch.zeros(1, n, d))
    assert cost.macs == n * d * (3 * d + d) + 2 * n * d * 1536
    assert cost.left_out == {"bmm": 2 * n * n * d}
    assert cost.parameters == 4 * d * (d + 1) + 2 * d * 1536 + 1536 + d + 4 * d
    assert_consistent(cost, block)


@pytest.mark.parametrize("need_weights", [False, True])
def test_self_attention(need_weights):
    n, d = 10, 16
    layer = nn.MultiheadAttention(d, 4, batch_first=True).eval()
    layer.forward = lambda x: nn.MultiheadAttention.forward(
        layer, x, x, x, need_weights=need_weights
    )
    cost = count(layer, (n, d))
    assert cost.macs == 4 * n * d * d
    assert cost.left_out == {"bmm": 2 * n * n * d}
    (row,) = cost.layers[cost.layers["calls"] > 0].to_dict("records")
    assert (row["kind"], row["left_out"]) == ("MultiheadAttention", 2 * n * n * d)


def test_self_attention_by_one_operator():
    """A model may insist on a fused kernel: the two products in it are counted all the same."""

    class Fused(nn.Module):
        def forward(self, x):
            q, k, v = x, x[:, :, :5], x[:, :, :5, :3]
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
                return F.scaled_dot_product_attention(q, k, k), v

    cost = count(Fused(), (2, 6, 8))
    assert sum(cost.left_out.values()) == 2 * 6 * 5 * (8 + 8)


def test_vision_transformer():
    n, d = 197, 768
    block = n * d * 4 * d + 2 * n * d * 3072
    cost = count(network("vit_b_16"))
    assert cost.macs == d * 14 * 14 * 3 * 16 * 16 + 12 * block + d * 1000
    assert cost.left_out == {"bmm": 12 * 2 * n * n * d}
    assert round((cost.macs + 12 * 2 * n * n * d) / 1e9, 2) == 17.56


@pytest.mark.parametrize("name", ["efficientnet_b0", "shufflenet_v2_x1_0", "swin_v2_t"])
def test_with_what_is_left_out_it_is_the_count_of_pytorch(name):
    model = network(name).eval()
    cost = count(model)
    with torch.no_grad(), FlopCounterMode(display=False) as peer:
        model(torch.zeros(1, 3, 224, 224, device="meta"))
    assert peer.get_total_flops() == 2 * (cost.macs + sum(cost.left_out.values()))
    assert_consistent(cost, model)


# What is left as it was


class Recorder(nn.Module):
    """Changes whatever it can when it runs, in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.register_buffer("runs", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", torch.zeros(4), persistent=False)

    def forward(self, x):
        self.runs += 1
        x.mul_(2)
        x = self.norm(self.conv(x)) + torch.rand(1, 4, 6, 6)
        self.last = x.mean(dim=(0, 2, 3))[:2]  # another tensor, of another shape
        return F.batch_norm(x, self.norm.running_mean, self.norm.running_var, training=True)


def test_the_model_is_left_as_it_was():
    model = Recorder().train()
    model.norm.eval()
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    before = copy.deepcopy(model)
    image = torch.ones(1, 3, 8, 8)
    random = torch.get_rng_state()

    for look in (count, explain):  # which runs each tool
        look(model, inputs=image)
        assert image.eq(1).all()
        assert torch.equal(torch.get_rng_state(), random)
        assert [m.training for m in model.modules()] == [True, True, False]
        assert all(vars(a).keys() == vars(b).keys() for a, b in pairs(model, before))
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        for name, tensor in before.named_buffers():
            assert torch.equal(tensor, model.get_buffer(name)), name
        for name, tensor in before.named_parameters():
            assert torch.equal(tensor, model.get_parameter(name)), name
        assert model.conv.weight.grad.eq(1).all() and model.conv.bias.grad is None


def pairs(one, other):
    return zip(one.modules(), other.modules(), strict=True)


class Merging(nn.Linear):
    """Changes its weights when its mode is set, as adapters do that merge theirs."""

    def train(self, mode=True):
        self.weight.detach().add_(1)
        return super().train(mode)


def test_a_model_whose_mode_is_more_than_a_flag():
    model = Merging(3, 2)
    before = model.weight.detach().clone()
    count(model, (3,))
    assert torch.equal(model.weight, before) and model.training


def test_a_backward_pass_may_still_come():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    loss = model(torch.ones(1, 3, 8, 8)).sum()
    count(model, (3, 8, 8))
    loss.backward()
    assert model[0].weight.grad is not None


def test_precisions_and_layouts():
    model = CifarCNN(make_attention("eca"), widths=(8, 8))
    expected = count(model, (3, 16, 16)).macs
    for change in (nn.Module.half, nn.Module.double, channels_last):
        assert count(change(copy.deepcopy(model)), (3, 16, 16)).macs == expected


def channels_last(model):
    return model.to(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    for name in ("resnet18", "vit_b_16"):
        model = torchvision.models.get_model(name).cuda().half()
        random = torch.cuda.get_rng_state()
        cost, expected = count(model), count(network(name))
        assert (cost.macs, cost.left_out) == (expected.macs, expected.left_out)
        assert torch.equal(torch.cuda.get_rng_state(), random)
    lstm = nn.LSTM(6, 8).cuda()
    assert count(lstm, (5, 6)).macs == 5 * 4 * 8 * (6 + 8)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet50",), "model must be a module, got 'resnet50'"),
        ((nn.LazyLinear(3), (4,)), "without a shape yet, such as weight: run it once"),
        ((nn.Linear(3, 3), ()), r"such as \(3, 224, 224\); got \(\)"),
        ((nn.Linear(3, 3), (0,)), r"got \(0,\)"),
        ((nn.Linear(3, 3), 3), "got 3"),
        ((nn.Linear(3, 3), "3"), "got '3'"),
        ((nn.Linear(3, 3), (3.0,)), r"got \(3.0,\)"),
        ((nn.Linear(3, 3), (4,)), r"Linear does not run on an input of shape \[1, 4\]: "),
    ],
)
def test_refused(arguments, message):
    for look in (count, explain):
        with pytest.raises(ValueError, match=message):
            look(*arguments)


def test_refused_arguments():
    model = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="inputs must be a tensor or a tuple of tensors, got 'x'"):
        count(model, inputs="x")
    with pytest.raises(ValueError, match="attention must be a class or a tuple of classes, got"):
        count(model, (3,), attention="cbam-fc")


# How it is shown


def test_printed():
    model = nn.Sequential(nn.Conv2d(3, 32, 1), CBAM(32, 4), nn.Flatten(2), nn.Linear(256, 2))
    cost = count(model, (3, 16, 16))
    assert isinstance(cost, Cost)
    assert str(cost) == repr(cost)
    assert str(cost).splitlines() == [
        "parameters             1,252",
        "  of attention blocks    610  48.7%",
        "multiply-accumulates  67,072  convolutions and fully connected layers",
        "  of attention blocks 26,112  38.9%",
    ]
    left_out = count(Spelled(PRODUCTS["bmm"]), (6, 8))
    assert str(left_out).splitlines()[-1] == (
        "left out              288  bmm, products of two activations"
    )
    with pytest.raises(AttributeError):
        cost.macs = 0
