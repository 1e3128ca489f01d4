"""The gate that does not look, and switching attention off."""

import pytest
import torch
from torch import nn

from cbam_course.attention import (
    CBAM,
    ConstantGate,
    IdentityStart,
    attention_blocks,
    attention_off,
    make_attention,
)
from cbam_course.models import CifarCNN, make_model
from tests.support import attention_cases as cases
from tests.support.attention_cases import few


def gate(channels=4):
    block = ConstantGate(channels)
    with torch.no_grad():
        block.weight.copy_(torch.linspace(-2, 2, channels))
    return block


def test_a_constant_gate_weighs_each_channel_by_its_own_number():
    x = cases.features(3, 4, 5, 6, dtype=torch.float32)
    refined, weights = gate()(x, return_map=True)
    assert weights.shape == (3, 4, 1, 1)
    for channel, w in enumerate([-2, -2 / 3, 2 / 3, 2]):
        expected = x[:, channel] / (1 + torch.tensor(-w).exp())
        torch.testing.assert_close(refined[:, channel], expected)


def test_a_constant_gate_does_not_look():
    one, other = cases.features(2, 4, 3, 3), cases.features(2, 4, 3, 3, seed=1)
    assert torch.equal(gate().attention_map(one), gate().attention_map(other))
    assert torch.equal(gate().attention_map(one)[0], gate().attention_map(one)[1])


def test_a_constant_gate_starts_at_one_half_and_learns():
    block, x = ConstantGate(4), cases.features(2, 4, 3, 3, dtype=torch.float32)
    assert torch.equal(block(x), x / 2)
    block(x).square().sum().backward()
    assert (block.weight.grad > 0).all()
    assert sum(p.numel() for p in block.parameters()) == 4
    assert repr(block) == "ConstantGate(channels=4)"


def test_blocks_of_a_network_by_name():
    network = make_model("cifar_resnet", "se", depths=[1, 2], widths=[16, 16])
    names = ["layer1.0.attention", "layer2.0.attention", "layer2.1.attention"]
    assert list(attention_blocks(network)) == names
    assert all(network.get_submodule(n) is b for n, b in attention_blocks(network).items())
    assert attention_blocks(make_model("cifar_resnet")) == {}


def test_a_block_inside_a_block_or_used_twice_is_listed_once():
    cbam = CBAM(16)
    assert attention_blocks(cbam) == {"": cbam}
    start = IdentityStart(cbam)
    assert attention_blocks(nn.Sequential(nn.ReLU(), start, start)) == {"1": start}


@few
def test_off_is_the_identity_and_on_again(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    before = block(x)
    with attention_off(block):
        assert block(x) is x
    assert torch.equal(block(x), before)
    assert not torch.equal(before, x)


def test_off_in_a_network_is_the_network_without_attention():
    torch.manual_seed(0)
    network = CifarCNN(make_attention("cbam-fc", reduction=2), widths=(4, 8)).eval()
    torch.manual_seed(0)
    plain = CifarCNN(widths=(4, 8)).eval()
    x = torch.randn(2, 3, 8, 8)
    assert not torch.equal(network(x), plain(x))
    with attention_off(network):
        assert torch.equal(network(x), plain(x))


def test_on_again_after_an_error():
    block, x = cases.FEW["se"].make(6), cases.features(2, 6, 4, 5)
    with pytest.raises(KeyError), attention_off(block):
        raise KeyError
    assert not torch.equal(block(x), x)
