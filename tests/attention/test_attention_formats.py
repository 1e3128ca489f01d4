"""Number formats, memory formats, unusual sizes, and the blocks compiled and exported."""

import pytest
import torch
from torch.export import Dim

from cbam_course.attention import ATTENTION_NAMES, make_attention
from tests.support import attention_cases as cases
from tests.support.attention_cases import few

SIZES = [(2, 6, 8, 9), (5, 6, 4, 3), (1, 6, 1, 1)]


@few
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_number_format_is_kept(case, dtype, tolerance):
    x = cases.features(2, 6, 4, 5).to(dtype)
    block = case.make(6, dtype)
    refined, maps = block(x, return_map=True)
    assert refined.dtype == dtype
    for attention in (maps,) if torch.is_tensor(maps) else maps:
        assert attention.dtype == dtype
    exact = block.double()(x.double())
    torch.testing.assert_close(refined.double(), exact, rtol=tolerance, atol=tolerance)


@few
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_keeps_the_format_of_the_features(case, dtype):
    block = case.make(6, torch.float32)
    x = cases.features(2, 6, 4, 5).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        refined = block(x)
    assert refined.dtype == dtype
    refined.sum().backward()
    assert x.grad.dtype == dtype and x.grad.isfinite().all()
    exact = block.double()(x.double())
    torch.testing.assert_close(refined.double(), exact, rtol=0.05, atol=0.05)


@few
def test_channels_last_is_kept(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    refined = block(x.to(memory_format=torch.channels_last))
    assert refined.is_contiguous(memory_format=torch.channels_last)
    assert block(x).is_contiguous()
    torch.testing.assert_close(refined, block(x), rtol=1e-12, atol=1e-12)


@few
def test_empty_batch(case):
    block = case.make(6)
    x = torch.zeros(0, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    refined = block(x)
    refined.sum().backward()
    assert refined.shape == x.shape == x.grad.shape
    assert all(not parameter.grad.any() for parameter in block.parameters())


@few
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(case, value):
    x = cases.features(2, 6, 4, 5)
    x[0, 2, 1, 1] = value
    for features in (x, x.clone().requires_grad_()):
        refined = case.make(6)(features)
        assert not refined[0].isfinite().all()
        assert refined[1].isfinite().all()


@pytest.mark.parametrize("name", ATTENTION_NAMES[1:])
def test_meta_device(name):
    """Shapes can be worked out without memory."""
    with torch.device("meta"):
        block = make_attention(name)(64)
    refined = block(torch.empty(2, 64, 8, 9, device="meta"))
    assert refined.shape == (2, 64, 8, 9) and refined.is_meta
    assert all(parameter.is_meta for parameter in block.parameters())


@few
def test_compiles_as_one_graph(case):
    torch.compiler.reset()
    block, x = case.make(6), cases.features(*SIZES[0]).requires_grad_()
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    found, expected = compiled(x), block(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    one, other = (torch.autograd.grad(out.square().sum(), x)[0] for out in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@few
def test_exports_with_free_sizes(case):
    block = case.make(6)
    free = {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
    exported = torch.export.export(block, (cases.features(*SIZES[0]),), dynamic_shapes=(free,))
    for shape in SIZES:
        x = cases.features(*shape)
        torch.testing.assert_close(exported.module()(x), block(x), rtol=1e-10, atol=1e-10)


def test_exports_the_maps():
    block, x = cases.FEW["cbam-fc"].make(6), cases.features(2, 6, 8, 9)
    exported = torch.export.export(block, (x,), {"return_map": True}).module()
    refined, maps = exported(x, return_map=True)
    torch.testing.assert_close(refined, block(x))
    torch.testing.assert_close(maps.spatial, block.attention_map(x).spatial)
