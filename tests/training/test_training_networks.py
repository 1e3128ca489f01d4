"""The network of a configuration: its options, its insertion points, its controls."""

from dataclasses import replace

import pytest
import torch

from cbam_course.attention import ConstantGate, IdentityStart, attention_blocks
from cbam_course.training import TrainConfig, build_model
from cbam_course.training.device import memory_format
from tests.support.runs import CUSTOM, TINY, fresh, train_quietly

RESNET = replace(
    TINY, model="cifar-resnet", model_options={"depths": [1, 1]}, attention_options={"reduction": 2}
)


def changed(config, images):
    """Names of the parameters that a run has changed."""
    before, after = fresh(config).state_dict(), train_quietly(config, images).model
    return {n for n, p in after.named_parameters() if not torch.equal(before[n], p)}


def test_widths_and_options_are_those_of_the_builder():
    options = {"depths": [1, 1], "widths": [4, 8]}
    assert str(fresh(RESNET)) == str(fresh(replace(RESNET, widths=None, model_options=options)))
    narrow = build_model(TrainConfig(model_options={"dropout": 0.3}, widths=(4, 8)), 7, 5)
    assert narrow.dropout.p == 0.3 and narrow(torch.zeros(1, 5, 32, 32)).shape == (1, 7)


def test_insertion_points():
    at_home = fresh(RESNET)
    assert list(attention_blocks(at_home)) == ["layer1.0.attention", "layer2.0.attention"]
    same = fresh(replace(RESNET, insertion_points=["layer*.0.bn2"]))
    assert list(attention_blocks(same)) == ["layer1.0.bn2.attention", "layer2.0.bn2.attention"]
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(same(x), at_home(x))
    elsewhere = fresh(replace(RESNET, insertion_points=("layer2",)))
    assert list(attention_blocks(elsewhere)) == ["layer2.attention"]


def test_narrow_shortcuts_do_not_crash_pytorch(images):
    """With the channels last, PyTorch writes past the memory of such gradients on some CPUs."""
    cpu, narrow = torch.device("cpu"), fresh(RESNET)
    assert memory_format(cpu, narrow) == torch.contiguous_format
    assert memory_format(cpu, fresh(TINY)) == torch.channels_last
    assert memory_format(cpu, fresh(replace(RESNET, widths=(8, 16)))) == torch.channels_last
    assert memory_format(torch.device("cuda"), narrow) == torch.channels_last
    seen = []
    shortcut = narrow.layer2[0].downsample[0]
    shortcut.register_forward_hook(lambda layer, x, y: seen.append((x[0], layer.weight)))
    train_quietly(replace(CUSTOM, epochs=1), images, model=narrow)
    assert not any(tensor.is_contiguous(memory_format=torch.channels_last) for tensor, _ in seen)


@pytest.mark.parametrize("config", [TINY, replace(RESNET, batch_size=20)])
def test_frozen_blocks_keep_their_random_weights(images, config):
    frozen = replace(config, control="frozen", epochs=2)
    everything = {name for name, _ in fresh(config).named_parameters()}
    blocks = {name for name in everything if ".attention." in name}
    assert blocks and changed(frozen, images) == everything - blocks
    assert changed(config, images) == everything
    before, after = fresh(config).state_dict(), fresh(frozen).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_constant_gate_for_each_block(images):
    config = replace(RESNET, control="constant", attention_options={})
    model = fresh(config)
    assert [type(block) for block in attention_blocks(model).values()] == [ConstantGate] * 2
    assert {"layer1.0.attention.weight", "layer2.0.attention.weight"} <= changed(config, images)
    # The rest of the network begins as it does with the block itself.
    blocks, gates = fresh(RESNET).state_dict(), model.state_dict()
    common = blocks.keys() & gates.keys()
    assert len(common) == len(gates) - 2
    assert all(torch.equal(blocks[name], gates[name]) for name in common)


@pytest.mark.parametrize("points", [None, ("layer1", "layer2")])
def test_training_can_start_from_the_network_without_attention(points):
    model = fresh(replace(RESNET, start_as_identity=True, insertion_points=points)).eval()
    blocks = attention_blocks(model)
    assert len(blocks) == 2 and all(isinstance(b, IdentityStart) for b in blocks.values())
    plain = fresh(replace(RESNET, attention="none", attention_options={})).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(x), plain(x))
