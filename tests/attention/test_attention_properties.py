"""What attention maps depend on: not on the other images, nor on an order that they do not see."""

import pytest
import torch

from cbam_course.attention import ECA
from tests.support import attention_cases as cases


@cases.few
def test_images_of_a_batch_do_not_meet(case):
    block, x = case.make(6), cases.features(3, 6, 4, 5)
    close(block(x), torch.cat([block(image[None]) for image in x]))


def shuffled(count):
    """A permutation that moves something, whenever there is something to move."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(3)).roll(1)


@pytest.mark.parametrize("case", [*cases.SE, *cases.FC, *cases.ECAS], ids=str)
def test_channel_attention_does_not_see_the_arrangement_of_positions(case):
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    moved = x.flatten(2)[:, :, shuffled(20)].reshape(x.shape)
    close(block.attention_map(moved), block.attention_map(x))


@pytest.mark.parametrize("case", cases.SPATIAL, ids=str)
def test_spatial_attention_does_not_see_the_order_of_channels(case):
    """The learned pool has a weight for each channel: they are shuffled with them."""
    block, x, order = case.make(6), cases.features(2, 6, 4, 5), shuffled(6)
    expected = block.attention_map(x)
    if block.squeeze is not None:
        block.squeeze.weight.data = block.squeeze.weight.data[:, order]
    close(block.attention_map(x[:, order]), expected)


@pytest.mark.parametrize("case", cases.FC, ids=str)
def test_shared_mlp_has_no_preferred_order_of_channels(case):
    """Renumber the channels, and the weights with them: the map is renumbered, no more."""
    block, x, order = case.make(6), cases.features(2, 6, 4, 5), shuffled(6)
    expected = block.attention_map(x)[:, order]
    first, _, second = block.mlp
    first.weight.data = first.weight.data[:, order]
    second.weight.data = second.weight.data[order]
    if second.bias is not None:
        second.bias.data = second.bias.data[order]
    close(block.attention_map(x[:, order]), expected)


def test_eca_depends_on_the_order_of_channels():
    """Its kernel joins neighbors: exchange two channels, and the weights of others change."""
    block, x = ECA(8, 3).double(), cases.features(1, 8, 4, 4)
    block.conv.weight.data = torch.tensor([[[1.0, 2.0, -1.0]]], dtype=torch.float64)
    exchanged = block.attention_map(x[:, [7, 1, 2, 3, 4, 5, 6, 0]])[:, [7, 1, 2, 3, 4, 5, 6, 0]]
    changed = (exchanged - block.attention_map(x)).abs().flatten() > 1e-6
    assert changed.tolist() == [True, True, False, False, False, False, True, True]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
