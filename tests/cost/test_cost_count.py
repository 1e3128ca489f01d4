"""The count by hand: which work counts, whose it is, and what is left as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cbam_course.attention import CBAM, ECA, IdentityStart, SqueezeExcitation
from cbam_course.cost import count, explain

pytestmark = pytest.mark.usefixtures("one_thread")


def on_meta(make, *arguments, **options):
    """Make a model without memory."""
    with torch.device("meta"):
        return make(*arguments, **options)


def assert_consistent(cost, model):
    """The table adds up to the totals."""
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert cost.layers["parameters"].sum() == cost.parameters
    assert cost.layers["macs"].sum() == cost.macs
    assert cost.layers["left_out"].sum() == cost.left_out


# The rule, layer by layer


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
    "matmul": lambda m, x: x @ m.weight.T,
    "the weight first": lambda m, x: m.weight @ x.mT,
    "einsum": lambda m, x: torch.einsum("bnc,oc->bno", x, m.weight),
    "addmm": lambda m, x: torch.addmm(m.bias, x[0], m.weight.T),
    "a buffer": lambda m, x: x @ m.fixed.T,
    "a weight made from weights": lambda m, x: x @ (m.weight * m.fixed).half().float().T,
    "in inference mode": torch.inference_mode()(lambda m, x: F.linear(x, m.weight, m.bias)),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_write_a_layer(way):
    model = Spelled(WAYS[way])
    cost = count(model, (6, 8))
    assert cost.macs == 6 * 5 * 8
    assert cost.left_out == 0
    assert list(cost.layers["layer"]) == [""] and list(cost.layers["kind"]) == ["Spelled"]
    assert_consistent(cost, model)


PRODUCTS = {
    "bmm": lambda m, x: x @ x.mT,
    "einsum": lambda m, x: torch.einsum("bnc,bmc->bnm", x, x),
    "after a layer": lambda m, x: (x * m.weight.sum()) @ x.relu().mT,
}


@pytest.mark.parametrize("way", PRODUCTS)
def test_products_of_activations_are_left_out(way):
    cost = count(Spelled(PRODUCTS[way]), (6, 8))
    assert (cost.macs, cost.left_out) == (0, 6 * 6 * 8)
    assert cost.layers["left_out"].tolist() == [6 * 6 * 8]
    assert str(cost).endswith("left out              288  products of two activations")


# Whose work it is


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = self.again = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return self.again(F.max_pool2d(self.first(x), 2))


def test_shared_layer_counts_twice_and_its_parameters_once():
    model = Twice()
    cost = count(model, (4, 8, 8))
    assert cost.parameters == 4 * 4 * 9 + 4
    assert cost.macs == 4 * 8 * 8 * 36 + 4 * 4 * 4 * 36
    (row,) = cost.layers.to_dict("records")
    assert (row["layer"], row["calls"]) == ("first", 2)
    assert (row["input"], row["output"]) == ((1, 4, 8, 8), (1, 4, 8, 8))


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


def test_a_function_that_makes_the_model_is_called_without_memory():
    made = []

    def make():
        made.append(nn.Linear(3, 2))
        return made[-1]

    def of_values():
        return nn.Linear(int(torch.ones(3).sum().item()), 2)

    random = torch.get_rng_state()
    assert count(make, (3,)).macs == count(of_values, (3,)).macs == 6
    assert made[0].weight.is_meta and torch.equal(torch.get_rng_state(), random)


# Networks


def test_layers_that_hide_their_parts():
    """On a CPU, in evaluation mode, a Transformer's block would run as one operator."""
    n, d = 49, 32
    block = nn.TransformerEncoderLayer(d, 4, 64, batch_first=True)
    cost = count(block, (n, d))
    assert cost.macs == n * d * (3 * d + d) + 2 * n * d * 64
    assert cost.left_out == 2 * n * n * d
    assert_consistent(cost, block)
    assert count(nn.GRU(6, 8), (5, 6)).macs == 5 * 3 * 8 * (6 + 8)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "swin_v2_t"])
def test_with_what_is_left_out_it_is_the_count_of_pytorch(name):
    model = on_meta(torchvision.models.get_model, name).eval()
    cost = count(model, (3, 64, 64))
    with torch.no_grad(), FlopCounterMode(display=False) as peer:
        model(torch.zeros(1, 3, 64, 64, device="meta"))
    assert peer.get_total_flops() == 2 * (cost.macs + cost.left_out)
    assert (cost.left_out > 0) == name.startswith("swin")
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
    random = torch.get_rng_state()

    for look in (count, explain):
        look(model, (3, 8, 8))  # `explain` runs each tool
        assert torch.equal(torch.get_rng_state(), random)
        assert [m.training for m in model.modules()] == [True, True, False]
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        for name, tensor in before.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[name]), name
        assert torch.equal(before.last, model.last)
        assert model.conv.weight.grad.eq(1).all() and model.conv.bias.grad is None


class Choosing(nn.Linear):
    """Its way depends on the values of its input, which the meta device does not have."""

    def forward(self, x):
        return super().forward(x) if x.sum().item() == 0 else x


def test_a_model_that_looks_at_values():
    assert count(Choosing(3, 2), (3,)).macs == 6


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.LazyLinear(3), (4,)), "When using LazyModules Call `forward` with a dummy batch"),
        ((nn.Linear(3, 3), (4,)), r"Linear does not run on an input of shape \[1, 4\]: "),
    ],
)
def test_refused(arguments, message):
    for look in (count, explain):
        with pytest.raises(ValueError, match=message):
            look(*arguments)
