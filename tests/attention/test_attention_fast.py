"""The fused function: values and gradients of the plain code from fewer bytes, where it serves."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cbam_course.attention import (
    CBAM,
    ECA,
    ChannelAttention,
    IdentityStart,
    SpatialAttention,
    SqueezeExcitation,
    attention_off,
    fast,
    fused_attention,
)
from cbam_course.cost import traffic
from cbam_course.models import make_model, official_cbam
from tests.support import attention_cases as cases

FORMATS = (torch.contiguous_format, torch.channels_last)
SERVED = [
    *(cases.FEW[name] for name in ("se", "channel-linear", "eca", "spatial-bn")),
    *(cases.Case(kind, {"pools": "max"}) for kind in ("eca", "spatial")),
    cases.Case("spatial", {"bias": True, "pools": ("max", "avg"), "kernel_size": 3}),
    *(cases.cbam(order) for order in cases.ORDERS if order != "parallel"),
    *(cases.cbam(order, "conv") for order in cases.ORDERS[:2]),
]


@pytest.fixture(autouse=True)
def small_maps_too(monkeypatch):
    assert fast.SMALLEST == 2**19
    monkeypatch.setattr(fast, "SMALLEST", 1)


def is_fused(y):
    return type(y.grad_fn).__name__ == "_FusedBackward"


def passes(block, x, grad, fused, map_weight=0.0):
    """The refined features, the maps, and all gradients."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with fused_attention(fused):
        refined, maps = block(leaf, return_map=True)
    assert is_fused(refined) == fused
    maps = [maps] if torch.is_tensor(maps) else [each for each in maps if each is not None]
    loss = (refined * grad).sum() + map_weight * sum(each.square().sum() for each in maps)
    inputs = [leaf, *block.parameters()]
    return refined.detach(), *(m.detach() for m in maps), *torch.autograd.grad(loss, inputs)


def assert_same(block, x, grad, tolerance=1e-12, map_weight=0.0):
    ours, plain = (passes(block, x, grad, fused, map_weight) for fused in (True, False))
    for one, other in zip(ours, plain, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", SERVED, ids=str)
def test_same_values_and_gradients(case, monkeypatch):
    monkeypatch.setattr(fast, "PART", (2 * 6 * 4 * 5,) * 2)  # two images at a time
    block = case.make(6)
    for x_form, grad_form in product(FORMATS, FORMATS):
        x = cases.features(5, 6, 4, 5).contiguous(memory_format=x_form)
        grad = cases.features(5, 6, 4, 5, seed=1).contiguous(memory_format=grad_form)
        assert_same(block, x, grad, map_weight=0.5)
    if "batch_norm" in case.options:
        assert_same(block.train(), x, grad)


# Sizes that the search for a maximum takes in stretches, and sizes that it does not.
SHAPES = [(3, 128, 12, 16), (2, 256, 7, 7), (2, 1024, 1, 1), (7, 4, 1, 9)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("order", ["channel-spatial", "spatial-channel"])
def test_ties_go_to_the_first_of_equal_maxima(shape, order):
    """After a ReLU whole channels and whole positions are zero, and coarse values tie as well."""
    x = (2 * cases.features(*shape)).round().relu()
    x[0, :, 0, 0], x[-1, 1] = 0, 0
    block = cases.cbam(order).make(shape[1])
    for form in FORMATS:
        assert_same(block, x.contiguous(memory_format=form), cases.features(*shape, seed=1))


def test_what_wants_a_gradient():
    """Frozen weights, a first layer, a loss of the maps alone, a graph that is kept."""
    block, x = cases.FEW["cbam-fc"].make(6), cases.features(3, 6, 4, 5)
    refined = block(x)
    assert is_fused(refined)
    refined.sum().backward()
    weights = [p.grad.clone() for p in block.parameters()]
    leaf = x.clone().requires_grad_()
    block.requires_grad_(False).zero_grad()
    block.channel_attention.mlp[2].weight.requires_grad_()
    refined = block(leaf)
    for times in (1, 2):
        refined.sum().backward(retain_graph=times == 1)
        torch.testing.assert_close(block.channel_attention.mlp[2].weight.grad, times * weights[1])
    assert block.channel_attention.mlp[0].weight.grad is None
    found = []
    for fused in (True, False):
        with fused_attention(fused):
            maps = block.attention_map(leaf)
        found.append(torch.autograd.grad(maps.spatial.sum(), leaf)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    block.requires_grad_(False)
    assert block(x).grad_fn is None
    with pytest.raises(RuntimeError, match="cannot be differentiated again: .*fused_attention"):
        torch.autograd.grad(block(leaf).sum(), leaf, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mixed_precision(dtype):
    block = cases.FEW["cbam-fc"].make(6, torch.float32)
    x, grad = (cases.features(2, 6, 4, 5, seed=seed, dtype=dtype) for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(block, x, grad, 1e-2)


def test_recomputed_by_checkpoint():
    block, x = cases.FEW["cbam-fc"].make(6), cases.features(2, 6, 4, 5).requires_grad_()
    kept = checkpoint(block, x, use_reentrant=False)
    one, other = (torch.autograd.grad(y.square().sum(), x)[0] for y in (kept, block(x)))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("attention", ["cbam-fc", official_cbam])
def test_a_training_run_has_the_same_bits(attention):
    """The records of the course were made by the plain code."""
    x = torch.randn(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    y = torch.arange(24) % 10
    runs = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = make_model("cifar-cnn", attention, widths=(16, 32))
        model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        with fused_attention(fused):
            for _ in range(3):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
        runs.append(torch.cat([value.double().flatten() for value in model.state_dict().values()]))
    assert torch.equal(*runs)


class Doubled(SpatialAttention):
    def attention_map(self, x):
        return 2 * super().attention_map(x)


def test_whatever_else_runs_as_it_is_written(monkeypatch):
    x = cases.features(2, 32, 4, 5, dtype=torch.float32).requires_grad_()
    assert is_fused(CBAM(32)(x)) and is_fused(SqueezeExcitation(32)(x))
    for block in (
        CBAM(32, order="parallel"),
        SpatialAttention(pools=("conv", "max"), channels=32),
        Doubled(),
    ):
        assert not is_fused(block(x))
    for other in (x[:, :, ::2, ::2], x[:0], nn.Parameter(x)):
        assert not is_fused(ECA(32)(other))
    with fused_attention(False):
        assert not is_fused(CBAM(32)(x))
        with fused_attention(True):
            assert is_fused(CBAM(32)(x))
    for change in (
        lambda block: setattr(block.spatial_attention, "forward", lambda x, **_: (x, x)),
        lambda block: block.spatial_attention.register_forward_hook(lambda *_: None),
        lambda block: block.channel_attention.mlp[0].register_full_backward_hook(lambda *_: None),
    ):
        block = CBAM(32)
        change(block)
        assert not fast.fusable(x, block.channel_attention, block.spatial_attention)
    block = CBAM(32)
    block.register_forward_hook(lambda *_: None)  # a hook on the block is called after it
    assert is_fused(block(x)) and is_fused(IdentityStart(block).block(x))
    with attention_off(block):
        assert block(x) is x
    with pytest.raises(ValueError, match="ChannelAttention expects .* got 31 channels"):
        ChannelAttention(32)(x[:, 1:].contiguous())
    monkeypatch.setattr(fast, "SMALLEST", 2 * 32 * 4 * 5 + 1)
    assert not is_fused(CBAM(32)(x))


def test_layers_of_somebody_else_inside_of_the_gate():
    """The gate is autograd's, so that layers in it may be replaced, pruned or drop at random."""
    block, x = CBAM(32), cases.features(2, 32, 4, 5, dtype=torch.float32)
    nn.utils.parametrizations.weight_norm(block.spatial_attention.conv)
    block.channel_attention.mlp[0] = nn.Sequential(block.channel_attention.mlp[0], nn.Dropout(0.0))
    assert_same(block, x, cases.features(2, 32, 4, 5, seed=1, dtype=torch.float32), 1e-5)


def test_derivatives_of_other_kinds():
    block, x = cases.FEW["cbam-fc"].make(6), cases.features(2, 6, 4, 5)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(block(leaf).square().sum(), leaf)[0]
    found = torch.func.grad(lambda x: block(x).square().sum())(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    each = torch.func.vmap(block)(x[:, None])
    torch.testing.assert_close(each[:, 0], block(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("mode", ["fc", "conv"])
def test_few_bytes(mode, form, monkeypatch):
    monkeypatch.setattr(fast, "PART", (2**15,) * 2)
    block = CBAM(64, mode=mode)
    x = torch.randn(8, 64, 32, 32).contiguous(memory_format=form)
    found = [traffic(block, x)]
    with fused_attention(False):
        found.append(traffic(block, x))
    ours, plain = ([n / t.feature_map for n in (t.kept, t.peak, t.backward)] for t in found)
    assert all(one <= most for one, most in zip(ours, (0.13, 2.3, 20), strict=True))
    assert all(one > least for one, least in zip(plain, (1, 3, 25), strict=True))
