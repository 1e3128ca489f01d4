"""Every block with every option computes what the papers' equations say."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from cbam_course.attention import SpatialAttention
from tests.support import attention_cases as cases
from tests.support import equations as reference

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize("case", cases.ALL, ids=str)
def test_block_equals_reference(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    refined, attention = block(x, return_map=True)
    expected, expected_map = case.expected(block, x.numpy())
    assert_allclose(refined.detach(), expected, **EXACT)
    assert_allclose(block(x).detach(), expected, **EXACT)
    for found in (attention, block.attention_map(x)):
        assert_same_maps(found, expected_map)


def assert_same_maps(found, expected):
    if isinstance(expected, np.ndarray):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            assert tuple(one.shape) == other.shape
            assert_allclose(one.detach(), other, **EXACT)


@pytest.mark.parametrize("mode", ["fc", "conv"])
def test_cbam_orders_differ(mode):
    """Otherwise the comparison above would not tell one order from another."""
    x = cases.features(2, 6, 4, 5)
    refined = [
        cases.cbam(order, mode).make(6)(x) for order in cases.ORDERS[: 5 if mode == "fc" else 4]
    ]
    for i, one in enumerate(refined):
        for other in refined[:i]:
            assert (one - other).abs().max() > 1e-3


def test_batch_norm_in_training():
    """Statistics of the batch in the output; a tenth of the way towards them in the memory."""
    case = cases.Case("spatial", {"batch_norm": True})
    block, x = case.make(6).train(), cases.features(3, 6, 4, 5)
    before = {key: value.clone() for key, value in block.state_dict().items()}
    refined = block(x)

    kernel = block.conv.weight.detach().numpy()[0]
    scores = reference.spatial_scores(x.numpy(), ("avg", "max"), kernel)
    mean, variance = scores.mean(), scores.var()
    weight, bias = before["bn.weight"].item(), before["bn.bias"].item()
    normalized = reference.batch_norm(scores, weight, bias, mean, variance)
    assert_allclose(refined.detach(), reference.spatial_map(normalized) * x.numpy(), **EXACT)

    unbiased = scores.var(ddof=1)
    for name, seen in (("running_mean", mean), ("running_var", unbiased)):
        old = before[f"bn.{name}"].item()
        assert_allclose(block.state_dict()[f"bn.{name}"], [0.9 * old + 0.1 * seen], **EXACT)


def test_order_of_pools_is_the_order_of_the_input_maps():
    """The same kernel, its two slices exchanged, is the authors' order of the maps."""
    x = cases.features(2, 6, 4, 5)
    ours, theirs = (
        SpatialAttention(3, pools=pools).double() for pools in (("avg", "max"), ("max", "avg"))
    )
    theirs.conv.weight.data = ours.conv.weight.data.flip(1)
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-12, atol=1e-12)
    theirs.conv.weight.data = ours.conv.weight.data.clone()
    assert (theirs(x) - ours(x)).abs().max() > 1e-3


SIZES = {1: 1, 2: 1, 4: 1, 8: 3, 16: 3, 32: 3, 64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
