"""Bytes that passes move, against counts by hand."""

import pytest
import torch
from torch import nn

from cbam_course.attention import SqueezeExcitation
from cbam_course.cost import traffic

F = 4 * 64 * 8 * 8  # bytes of the map, and 256 of what is pooled from it, in either direction


def bytes_of(found, of_pass):
    rows = found.operators[found.operators["pass"] == of_pass]
    return dict(zip(rows["operator"], rows["bytes"], strict=True))


def test_one_product():
    """Reads and writes the map; and back once for each factor, of which the gate takes a sum."""
    gate = torch.rand(1, 64, 1, 1)
    found = traffic(torch.mul, torch.rand(1, 64, 8, 8), gate)
    assert bytes_of(found, "forward") == {"mul": 2 * F + 256}
    assert bytes_of(found, "backward") == {"mul": (2 * F + 256) + 3 * F, "sum": F + 256}
    assert (found.feature_map, found.forward) == (F, 2 * F + 256)
    assert found.backward == 6 * F + 512
    assert found.kept == 0
    # output, gradient of the map, the product of it and the gradient, and the sum of that
    assert found.peak == 3 * F + 256


def test_what_is_kept():
    x = torch.rand(1, 64, 8, 8)
    assert traffic(lambda x: x.exp().sin(), x).kept == F  # what the sine was of
    assert traffic(lambda x: x.exp(), x).kept == 0  # the output itself
    assert traffic(lambda x: x.view(64, 64).t(), x).forward == 0
    one = torch.ones(()).expand(1, 64, 8, 8)
    assert traffic(lambda x: x + one, x).forward == 2 * F + 4
    few = torch.tensor([2, 3])  # two positions of 8 bytes each, and what lies there
    assert traffic(lambda x: x.index_select(3, few), x).forward == 16 + 2 * F // 4
    for make in (
        torch.zeros_like,
        lambda x: x.new_zeros(x.shape),
        lambda x: x.new_full(x.shape, 2.0),
    ):
        assert traffic(lambda x, make=make: x + make(x), x).forward == F + 3 * F  # is x read twice?


def test_gradients_and_modes_stay():
    block, x = SqueezeExcitation(16), torch.rand(2, 16, 4, 4)
    block(x).sum().backward()
    before = [p.grad.clone() for p in block.parameters()]
    traffic(block, x)
    assert not x.requires_grad
    assert all(map(torch.equal, before, (p.grad for p in block.parameters())))


def test_two_outputs_are_refused():
    with pytest.raises(TypeError, match="one tensor; what it was given returns tuple"):
        traffic(lambda x: (x, x), torch.rand(3))
    assert traffic(nn.Identity(), torch.rand(3)).backward == 0
