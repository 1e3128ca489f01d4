"""A gate that does not look, attention switched off, and a block that starts as the identity."""

import copy

import pytest
import torch
from torch import nn

from cbam_course.attention import (
    CBAM,
    ConstantGate,
    IdentityStart,
    attention_blocks,
    attention_off,
)
from cbam_course.models import make_model
from tests.support import attention_cases as cases
from tests.support.attention_cases import few


def test_a_constant_gate_weighs_each_channel_by_its_own_number_whatever_the_image():
    block, x = ConstantGate(4), cases.features(3, 4, 5, 6, dtype=torch.float32)
    assert torch.equal(block(x), x / 2)
    block(x).square().sum().backward()
    assert (block.weight.grad > 0).all()
    with torch.no_grad():
        block.weight.copy_(torch.linspace(-2, 2, 4))
    refined, weights = block(x, return_map=True)
    assert weights.shape == (3, 4, 1, 1) and torch.equal(weights[0], weights[2])
    for channel, w in enumerate([-2, -2 / 3, 2 / 3, 2]):
        expected = x[:, channel] / (1 + torch.tensor(-w).exp())
        torch.testing.assert_close(refined[:, channel], expected)


def test_blocks_of_a_network_by_name():
    network = make_model("cifar_resnet", "se", depths=[1, 2], widths=[16, 16])
    names = ["layer1.0.attention", "layer2.0.attention", "layer2.1.attention"]
    assert list(attention_blocks(network)) == names
    assert all(network.get_submodule(n) is b for n, b in attention_blocks(network).items())
    assert attention_blocks(make_model("cifar_resnet")) == {}
    # A block inside a block, or used twice, is listed once.
    cbam = CBAM(16)
    assert attention_blocks(cbam) == {"": cbam}
    start = IdentityStart(cbam)
    assert attention_blocks(nn.Sequential(nn.ReLU(), start, start)) == {"1": start}


@few
def test_off_is_the_identity_and_on_again(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    before = block(x)
    with pytest.raises(KeyError), attention_off(block):
        assert block(x) is x
        raise KeyError
    assert torch.equal(block(x), before) and not torch.equal(before, x)


# The start as the identity

INTEGERS = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32}


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@few
def test_same_bits_at_first(case, dtype):
    """Of both zeros too, and of the smallest and the largest numbers."""
    info = torch.finfo(dtype)
    numbers = [0.0, -0.0, info.tiny, -info.tiny, info.tiny / 4, info.max / 128, -info.max / 128]
    x = cases.features(2, 6, 5, 4).to(dtype)
    x[0, :, 0, :2] = torch.tensor(numbers[:2], dtype=dtype)
    x[1, 0, 0, :4] = torch.tensor(numbers[:4], dtype=dtype)
    x[1, 1, 1, :3] = torch.tensor(numbers[4:], dtype=dtype)
    block = case.make(6, dtype=dtype)
    start = IdentityStart(block).to(dtype)
    assert (block(x) - x).abs().max() > 0.01  # the block does something
    for mode in (False, True):
        y = start.train(mode)(x).detach()
        assert torch.equal(y.view(INTEGERS[dtype]), x.view(INTEGERS[dtype]))


@few
def test_equation_and_maps(case, gate=-0.5):
    block, x = case.make(6), cases.features(3, 6, 5, 4)
    start = IdentityStart(block).double()
    nn.init.constant_(start.gate, gate)
    y, maps = start(x, return_map=True)
    torch.testing.assert_close(y, x + gate * (block(x) - x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(maps, block.attention_map(x))
    torch.testing.assert_close(start.attention_map(x), block.attention_map(x))


@few
def test_the_gate_learns_first_and_the_block_after_it(case):
    start = IdentityStart(case.make(6)).double().train()
    x, target = cases.features(3, 6, 5, 4), cases.features(3, 6, 5, 4, seed=1)
    x.requires_grad_()
    optimizer = torch.optim.SGD(start.parameters(), lr=0.1)
    before = copy.deepcopy(start.block)

    (start(x) - target).square().sum().backward()
    expected = (2 * (x - target) * (before(x) - x)).sum()
    torch.testing.assert_close(start.gate.grad, expected)
    torch.testing.assert_close(x.grad, 2 * (x - target))  # as if there were no block
    assert all(not p.grad.any() for p in start.block.parameters())
    optimizer.step()
    assert start.gate != 0

    optimizer.zero_grad()
    (start(x) - target).square().sum().backward()
    assert all(p.grad.any() for p in start.block.parameters())


class Adds(nn.Module):
    """A module from elsewhere: no attention map, one argument."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x + self.number


def test_around_a_module_from_elsewhere():
    """What is not finite is not hidden, and in mixed precision the gate does not raise it."""
    x = torch.ones(1, 1, 1, 3)
    number = torch.tensor([0.5, float("inf"), float("nan")])
    assert IdentityStart(Adds(number))(x).isnan().tolist() == [[[[False, True, True]]]]
    x[..., 1] = float("inf")
    assert IdentityStart(Adds(0.5))(x).isnan().tolist() == [[[[False, True, False]]]]
    assert IdentityStart(Adds(0.5))(x.bfloat16()).dtype == torch.bfloat16
