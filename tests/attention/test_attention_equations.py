"""Every block with every option computes what the papers' equations say, and its gradients."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.autograd import gradcheck
from torch.func import functional_call

from cbam_course.attention import eca_kernel_size
from tests.support import attention_cases as cases

EXACT = {"rtol": 1e-12, "atol": 1e-12}


LAYOUTS = {
    "contiguous": lambda b, c, h, w: cases.features(b, c, h, w),
    "channels last": lambda b, c, h, w: cases.features(b, h, w, c).permute(0, 3, 1, 2),
    "every other": lambda b, c, h, w: cases.features(b, c, 2 * h, 2 * w)[:, :, ::2, 1::2],
    "expanded": lambda b, c, h, w: cases.features(1, c, h, w).expand(b, c, h, w),
}
every_case = pytest.mark.parametrize("case", cases.ALL, ids=str)


@every_case
def test_block_equals_reference(case):
    """Whatever the layout of the input in memory; the input is left as it was."""
    block = case.make(6)
    for make in LAYOUTS.values():
        x = make(2, 6, 4, 5)
        before = x.clone()
        refined, attention = block(x, return_map=True)
        expected, expected_map = case.expected(block, x.numpy())
        assert_allclose(refined.detach(), expected, **EXACT)
        assert torch.equal(block(x), refined) and torch.equal(x, before)
        for found in (attention, block.attention_map(x)):
            assert_same_maps(found, expected_map)


@cases.few
@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (1, 6, 1, 7), (1, 6, 40, 3)])
def test_small_and_long_inputs(case, shape):
    block, x = case.make(6), cases.features(*shape)
    assert_allclose(block(x).detach(), case.expected(block, x.numpy())[0], **EXACT)


def assert_same_maps(found, expected):
    if isinstance(expected, np.ndarray):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            assert tuple(one.shape) == other.shape
            assert_allclose(one.detach(), other, **EXACT)


def test_ecas_kernel_sizes():
    sizes = {1: 1, 2: 1, 4: 1, 8: 3, 16: 3, 64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert {channels: eca_kernel_size(channels) for channels in sizes} == sizes


# Gradients


@every_case
def test_gradients(case):
    """To the input and to every parameter, as finite differences have them."""
    block = case.make(4)
    if case.options.get("batch_norm"):
        block.train()  # through the statistics of the batch
    names = [name for name, _ in block.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in block.parameters()]

    def function(x, *parameters):
        own = dict(zip(names, parameters, strict=True))
        refined, maps = functional_call(block, own, (x,), {"return_map": True})
        maps = (maps,) if torch.is_tensor(maps) else [each for each in maps if each is not None]
        return refined, *maps

    x = cases.features(2, 4, 3, 3).requires_grad_()
    assert gradcheck(function, (x, *values), fast_mode=True)


@cases.few
def test_same_values_with_and_without_a_gradient(case):
    """The maximum is found in two ways, one for each."""
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    expected = block(x.clone().requires_grad_())
    assert expected.requires_grad
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert torch.equal(block(x), expected)


@pytest.mark.parametrize(("kind", "axes"), [("eca", (2, 3)), ("spatial", 1)])
def test_one_of_equal_maxima_gets_the_gradient(kind, axes):
    """After a ReLU many values tie at zero; the gradient is neither lost nor counted twice."""
    block = cases.Case(kind, {"pools": "max"}).make(4, seed=2)
    tied = torch.ones(1, 4, 3, 3, dtype=torch.float64).requires_grad_()
    untied = (1 + 1e-9 * cases.features(1, 4, 3, 3)).requires_grad_()
    found, expected = (
        torch.autograd.grad(block.attention_map(x).sum(), x)[0] for x in (tied, untied)
    )
    torch.testing.assert_close(found.sum(axes), expected.sum(axes))
    assert (found != 0).sum(axes).eq(1).all()
