"""A block that starts as the identity: equal bits at first, and it can learn."""

import copy
import pickle

import pytest
import torch
from torch import nn

from cbam_course.attention import (
    IdentityStart,
    SqueezeExcitation,
    make_attention,
    starting_as_identity,
)
from tests.support import attention_cases as cases
from tests.support.attention_cases import few

INTEGERS = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
}
dtypes = pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: str(dtype)[6:])


def bits(x):
    """The bits of floating-point numbers as integers: -0.0 is not 0.0 here."""
    return x.detach().contiguous().view(INTEGERS[x.dtype])


def awkward(dtype):
    """Features with both zeros, the smallest and the largest numbers of their precision."""
    info = torch.finfo(dtype)
    numbers = [0.0, -0.0, info.tiny, -info.tiny, info.tiny / 4, info.max / 128, -info.max / 128]
    x = cases.features(2, 6, 5, 4).to(dtype)
    x[0, :, 0, :2] = torch.tensor(numbers[:2], dtype=dtype)
    x[1, 0, 0, :4] = torch.tensor(numbers[:4], dtype=dtype)
    x[1, 1, 1, :3] = torch.tensor(numbers[4:], dtype=dtype)
    return x


@dtypes
@few
def test_same_bits_at_first(case, dtype):
    block = case.make(6, dtype=dtype)
    x = awkward(dtype)
    start = IdentityStart(block).to(dtype)
    assert (block(x) - x).abs().max() > 0.01  # the block does something
    assert torch.equal(bits(start(x)), bits(x))
    assert torch.equal(bits(start.train()(x)), bits(x))


@few
def test_equation(case, gate=-0.5):
    block = case.make(6)
    start = IdentityStart(block).double()
    with torch.no_grad():
        start.gate.fill_(gate)
    x = cases.features(3, 6, 5, 4)
    torch.testing.assert_close(start(x), x + gate * (block(x) - x), rtol=1e-12, atol=1e-12)


@few
def test_the_gate_learns_first_and_the_block_after_it(case):
    start = IdentityStart(case.make(6)).double().train()
    x, target = cases.features(3, 6, 5, 4), cases.features(3, 6, 5, 4, seed=1)
    x.requires_grad_()
    optimizer = torch.optim.SGD(start.parameters(), lr=0.1)
    before = copy.deepcopy(start.block)

    loss = (start(x) - target).square().sum()
    loss.backward()
    expected = (2 * (x - target) * (before(x) - x)).sum()
    torch.testing.assert_close(start.gate.grad, expected)
    torch.testing.assert_close(x.grad, 2 * (x - target))  # as if there were no block
    assert all(not p.grad.any() for p in start.block.parameters())
    optimizer.step()
    for new, old in zip(start.block.parameters(), before.parameters(), strict=True):
        assert torch.equal(new, old)
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


def test_what_is_not_finite_is_not_hidden():
    x = torch.ones(1, 1, 1, 3)
    number = torch.tensor([0.5, float("inf"), float("nan")])
    assert IdentityStart(Adds(number))(x).isnan().tolist() == [[[[False, True, True]]]]
    x = torch.tensor([1.0, float("inf"), 1.0]).reshape(1, 1, 1, 3)
    assert IdentityStart(Adds(0.5))(x).isnan().tolist() == [[[[False, True, False]]]]


@few
def test_maps_of_the_block(case):
    block = case.make(6)
    start = IdentityStart(block).double()
    x = cases.features(2, 6, 5, 4)
    y, maps = start(x, return_map=True)
    assert torch.equal(y, x)
    torch.testing.assert_close(maps, block.attention_map(x))
    torch.testing.assert_close(start.attention_map(x), block.attention_map(x))


def test_the_gate_does_not_raise_the_precision():
    """In mixed precision the weights are float32, and the features are not."""
    x = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
    assert IdentityStart(Adds(0.5))(x).dtype == x.dtype


def test_refuses_a_block_that_changes_the_shape():
    with pytest.raises(ValueError, match=r"MaxPool2d made \[2, 4, 3, 3\] of \[2, 4, 6, 6\]"):
        IdentityStart(nn.MaxPool2d(2))(torch.randn(2, 4, 6, 6))


@pytest.mark.parametrize("name", ["se", "cbam-conv"])
def test_a_factory_of_such_blocks(name):
    factory = starting_as_identity(make_attention(name))
    torch.manual_seed(0)
    start = pickle.loads(pickle.dumps(factory))(64)
    torch.manual_seed(0)
    block = make_attention(name)(64)
    assert type(start) is IdentityStart and type(start.block) is type(block)
    for one, other in zip(start.block.parameters(), block.parameters(), strict=True):
        assert torch.equal(one, other)  # the gate draws no random numbers


def test_refuses_what_is_no_factory():
    assert list(starting_as_identity("eca")(64).state_dict()) == ["gate", "block.conv.weight"]
    for factory in (None, "none"):
        with pytest.raises(ValueError, match="factory must be a factory of blocks, such as CBAM"):
            starting_as_identity(factory)
    for factory in (3, SqueezeExcitation(64)):
        with pytest.raises(ValueError, match=r"attention must be a name.* make_attention\("):
            starting_as_identity(factory)
