"""Blocks in the hands of PyTorch: number and memory formats, traced, compiled, exported."""

import pytest
import torch
from torch import nn
from torch.export import Dim

from cbam_course import models, seeing
from cbam_course.attention import (
    ATTENTION_NAMES,
    IdentityStart,
    attention_off,
    make_attention,
)
from cbam_course.attention.block import pool_positions
from tests.support import attention_cases as cases
from tests.support.attention_cases import FEW, few


def chain():
    """Blocks that hold all kinds of halves and pools, one after the other."""
    return nn.Sequential(*(FEW[name].make(6) for name in ("cbam-fc", "cbam-conv", "spatial")))


@few
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_number_format_is_kept(case, dtype, autocast):
    x = cases.features(2, 6, 4, 5, dtype=dtype).requires_grad_()
    block = case.make(6, torch.float32 if autocast else dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        refined, maps = block(x, return_map=True)
    assert refined.dtype == dtype
    if not autocast:
        assert {m.dtype for m in ((maps,) if torch.is_tensor(maps) else maps)} == {dtype}
    refined.sum().backward()
    assert x.grad.dtype == dtype and x.grad.isfinite().all()
    tolerance = 0.05 if autocast or dtype == torch.bfloat16 else 1e-5
    exact = block.double()(x.double())
    torch.testing.assert_close(refined.double(), exact, rtol=tolerance, atol=tolerance)


@few
def test_memory_format_is_kept(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    refined = block(x.to(memory_format=torch.channels_last))
    assert refined.is_contiguous(memory_format=torch.channels_last)
    assert block(x).is_contiguous()


@few
def test_empty_batches_and_what_is_not_finite(case):
    block = case.make(6)
    x = torch.zeros(0, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    block(x).sum().backward()
    assert x.shape == x.grad.shape and not any(p.grad.any() for p in block.parameters())
    for value in (float("nan"), float("inf")):
        x = cases.features(2, 6, 4, 5)
        x[0, 2, 1, 1] = value
        assert block(x).isfinite().all(dim=(1, 2, 3)).tolist() == [False, True]


@pytest.mark.parametrize("start", [False, True])
def test_traced_and_followed(start):
    x = cases.features(2, 64, 8, 8, dtype=torch.float32)
    blocks = [make_attention(name)(64) for name in ATTENTION_NAMES[1:]]
    chain = nn.Sequential(*(IdentityStart(b) if start else b for b in blocks)).eval()
    expected = chain(x)
    # The check inside of trace runs the blocks again, with and without gradients.
    assert torch.allclose(torch.jit.trace(chain, x)(x), expected)
    followed = torch.fx.symbolic_trace(chain)
    assert torch.equal(followed(x), expected)
    with pytest.raises(ValueError, match=r"expects a feature map|must be"):
        followed(x[0])


def test_compiles_as_one_graph():
    torch.compiler.reset()
    blocks, x = chain(), cases.features(2, 6, 8, 9).requires_grad_()
    compiled = torch.compile(blocks, backend="aot_eager", fullgraph=True)
    found, expected = compiled(x), blocks(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    one, other = (torch.autograd.grad(out.square().sum(), x)[0] for out in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_exports_with_free_sizes():
    blocks, x = chain(), cases.features(2, 6, 8, 9)
    free = {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
    exported = torch.export.export(blocks, (x,), dynamic_shapes=(free,)).module()
    for shape in (x.shape, (5, 6, 4, 3), (1, 6, 1, 1)):
        x = cases.features(*shape)
        torch.testing.assert_close(exported(x), blocks(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("in_place", [False, True])
def test_hooks_on_a_compiled_network(in_place):
    torch.manual_seed(0)
    model = models.CifarCNN(make_attention("cbam-fc", reduction=4), 10, widths=(8, 16)).eval()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        own = model(x)
        with attention_off(model):
            off = model(x)
        maps = seeing.read_maps(model, x)
        compiled = model if in_place else torch.compile(model, backend="eager")
        if in_place:
            model.compile(backend="eager")
        assert torch.equal(compiled(x), own) and not torch.equal(off, own)
        with attention_off(compiled):
            assert torch.equal(compiled(x), off)
        again = seeing.read_maps(compiled, x)
        assert all(map(torch.equal, maps.values(), again.values())) and len(again) == len(maps) == 4
        (name, given), *_ = again.items()
        changed = seeing.predict(compiled, x, {name: torch.zeros_like(given)})
        assert not torch.allclose(changed, own)
        assert torch.equal(compiled(x), own)


def test_equal_maxima_share_the_gradient_where_the_block_is_compiled():
    """And it goes to the first of them where it is not; chapter 11 says why."""
    x = torch.tensor([[[[1.0, 3.0], [3.0, 2.0]]]], requires_grad=True)
    pool = torch.compile(pool_positions, backend="eager", fullgraph=True)
    for function, gradient in ((pool_positions, [0, 1, 0, 0]), (pool, [0, 0.5, 0.5, 0])):
        (found,) = torch.autograd.grad(function(x, "max").sum(), x)
        assert found.flatten().tolist() == gradient
