"""Attention in other people's networks: whatever they do with their modules goes on working."""

import copy
import pickle

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from cbam_course.attention import CBAM, attention_off
from cbam_course.models import insert_attention


def small_cbam(channels):
    return CBAM(channels, reduction=2)


class Up(nn.Module):
    """The decoder of a U-Net: two arguments, one of them by its name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)
        self.stride = 1

    def forward(self, x, *, skip):
        return self.conv(torch.cat([x, skip], dim=1))


class ListDriven(nn.Module):
    """A detector in the manner of YOLO: each layer says where its input comes from."""

    def __init__(self):
        super().__init__()
        self.model = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 1), Up()])
        for i, (layer, f) in enumerate(zip(self.model, (-1, 0, (1, 0)), strict=True)):
            layer.i, layer.f = i, f

    def forward(self, x):
        kept = []
        for layer in self.model:
            if isinstance(layer.f, tuple):
                first, second = (kept[j] for j in layer.f)
                x = layer(first, skip=second)
            else:
                x = layer(x if layer.f == -1 else kept[layer.f])
            kept.append(x)
        return x * self.model[0].weight.mean() * self.model[2].stride


def test_arguments_attributes_and_keys_stay():
    torch.manual_seed(0)
    model = ListDriven().eval()
    x, keys = torch.rand(2, 3, 16, 16), list(model.state_dict())
    before = model(x)
    report = insert_attention(model, small_cbam, where="model.*", start_as_identity=True)
    assert [i.name for i in report.insertions] == [f"model.{i}.attention" for i in range(3)]
    assert torch.equal(model(x), before)
    assert [key for key in model.state_dict() if "attention" not in key] == keys
    for block in (layer.attention for layer in model.model):
        nn.init.ones_(block.gate)
    after = model(x)
    assert not torch.allclose(after, before)
    with attention_off(model):
        assert torch.equal(model(x), before)
    assert torch.equal(copy.deepcopy(model)(x), after)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), after)


def test_what_a_feature_extractor_reads_is_refined():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    insert_attention(model, "cbam-fc", where="layer*.*.bn2")
    x = torch.rand(1, 3, 64, 64)
    found = create_feature_extractor(model, ["layer1.0.bn2", "fc"])(x)
    seen = []
    with model.layer1[0].bn2.attention.register_forward_hook(
        lambda m, a, y: seen.append(y.clone())
    ):
        assert torch.equal(found["fc"], model(x))
    assert torch.equal(found["layer1.0.bn2"], seen[0])


def test_a_network_for_one_size_is_judged_by_its_axes():
    fixed = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(1), nn.Linear(4 * 16 * 16, 2))
    x = torch.rand(1, 3, 16, 16)
    assert insert_attention(fixed, small_cbam, "0", example=x).insertions[0].channels == 4
    last = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Identity(), nn.Flatten(1), nn.Linear(1024, 2))
    last[1].register_forward_hook(lambda m, args, y: y.permute(0, 2, 3, 1))
    with pytest.raises(ValueError, match="not channels-first"):
        insert_attention(last, small_cbam, "1", example=x)


def test_channels_that_happen_to_be_as_many_as_rows():
    x = torch.rand(1, 3, 32, 32)
    model = nn.Sequential(nn.Conv2d(3, 32, (1, 2), stride=(1, 2)))
    assert insert_attention(model, small_cbam, "0", example=x).insertions[0].channels == 32
    last = nn.Sequential(nn.Conv2d(3, 32, 1), nn.Identity())
    last[1].register_forward_hook(lambda m, args, y: y.permute(0, 2, 3, 1))
    with pytest.raises(ValueError, match="not channels-first"):
        insert_attention(last, small_cbam, "1", example=x)


@pytest.mark.parametrize(
    "name, pattern, gates",
    [
        ("timm resnet18", "layer*.*.bn2", ""),
        ("timm efficientnet_b0", "blocks.*.*.bn3", "SqueezeExcite at blocks.0.0.se"),
        ("timm convnext_atto", "stages.*.blocks.*.drop_path", ""),
        ("efficientnet_b0", "features.*.*.block", "SqueezeExcitation at features.1.0.block.1"),
        ("regnet_x_400mf", "trunk_output.block*.block*.f", ""),
        ("swin_t", None, ""),
    ],
)
def test_the_hint_is_the_end_of_the_branch(name, pattern, gates):
    torch.manual_seed(0)
    make = getattr(torchvision.models, name, None) or (lambda: timm.create_model(name[5:]))
    model = make().eval()
    with pytest.raises(ValueError) as refusal:
        insert_attention(model, small_cbam)
    assert gates in str(refusal.value) and bool(gates) == ("of its own" in str(refusal.value))
    if pattern is None:
        assert "name modules in where" in str(refusal.value)
        return
    assert f"where={pattern!r}" in str(refusal.value)
    insert_attention(model, small_cbam, where=pattern)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_what_was_compiled_of_the_network_before_gets_the_blocks():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval()
    compiled, x = torch.compile(model, backend="eager"), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        before = compiled(x)
        insert_attention(model, small_cbam, where="0")
        assert torch.equal(compiled(x), model(x)) and not torch.equal(model(x), before)
