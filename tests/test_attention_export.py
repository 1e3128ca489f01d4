"""The blocks can be compiled and exported as one graph, for every batch and image size."""

import os

import attention_cases as cases
import pytest
import torch
from torch.export import Dim

few = pytest.mark.parametrize("case", cases.FEW.values(), ids=cases.FEW)
SIZES = [(2, 6, 8, 9), (5, 6, 4, 3), (1, 6, 1, 1)]


def assert_same(compiled, block, shape, gradient=False):
    x = cases.features(*shape).requires_grad_(gradient)
    found, expected = compiled(x), block(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    if gradient:
        one, other = (torch.autograd.grad(out.square().sum(), x)[0] for out in (found, expected))
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@few
def test_compiles_as_one_graph(case):
    torch.compiler.reset()
    block = case.make(6)
    compiled = torch.compile(block, backend="eager", fullgraph=True)
    assert_same(compiled, block, SIZES[0], gradient=False)
    assert_same(compiled, block, SIZES[0], gradient=True)


def test_traced_with_its_gradient():
    torch.compiler.reset()
    block = cases.FEW["cbam-fc"].make(6)
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True, dynamic=True)
    for shape in SIZES[:2]:
        assert_same(compiled, block, shape, gradient=True)


@pytest.mark.skipif("CBAM_COURSE_SLOW" not in os.environ, reason="slow: set CBAM_COURSE_SLOW=1")
def test_compiled_to_machine_code():
    torch.compiler.reset()
    block = cases.FEW["cbam-fc"].make(6)
    assert_same(torch.compile(block, fullgraph=True), block, SIZES[0], gradient=True)


@few
def test_exports_with_free_sizes(case):
    block = case.make(6)
    free = {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
    example = cases.features(2, 6, 8, 9)
    exported = torch.export.export(block, (example,), dynamic_shapes=(free,)).module()
    for shape in SIZES:
        assert_same(exported, block, shape)


def test_exports_the_maps():
    block = cases.FEW["cbam-fc"].make(6)
    x = cases.features(2, 6, 8, 9)
    exported = torch.export.export(block, (x,), {"return_map": True}).module()
    refined, maps = exported(x, return_map=True)
    torch.testing.assert_close(refined, block(x))
    torch.testing.assert_close(maps.spatial, block.attention_map(x).spatial)
