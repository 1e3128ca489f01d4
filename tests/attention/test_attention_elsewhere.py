"""Blocks in the hands of PyTorch's own tools: traced, followed, quantized, compiled."""

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from cbam_course import models, seeing
from cbam_course.attention import (
    ATTENTION_NAMES,
    CBAM,
    IdentityStart,
    attention_off,
    make_attention,
)
from cbam_course.attention.block import pool_positions

BLOCKS = [name for name in ATTENTION_NAMES if name != "none"]
needs_stances = pytest.mark.skipif(
    not hasattr(torch.compiler, "set_stance"), reason="needs PyTorch 2.6"
)


@pytest.fixture
def x():
    return torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("start", [False, True])
def test_traced_and_followed(name, start, x):
    block = make_attention(name)(64).eval()
    block = IdentityStart(block) if start else block
    expected = block(x)
    # The check inside of trace runs the block again, with and without gradients.
    assert torch.allclose(torch.jit.trace(block, x)(x), expected)
    followed = torch.fx.symbolic_trace(block, concrete_args={"return_map": False})
    assert torch.equal(followed(x), expected)
    with pytest.raises(ValueError, match=r"expects a feature map|must be"):
        followed(x[0])


@pytest.mark.parametrize("name", ["cifar-cnn", "cifar-resnet", "mobilenet-v2"])
def test_features_of_the_networks(name):
    where = {"where": "blocks"} if name == "mobilenet-v2" else {}
    model = models.make_model(name, "cbam-conv", num_classes=4, **where).eval()
    last = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(create_feature_extractor(model, [last])(x)[last], model(x))


@pytest.mark.filterwarnings("ignore")  # PyTorch moves this kind of quantization elsewhere
def test_replaced_layers(x):
    block = CBAM(64, channel_options={"layer": "linear"}).eval()
    expected = block(x)
    mlp = block.channel_attention.mlp
    mlp[0] = nn.Sequential(mlp[0])  # as when a layer is wrapped to be fine-tuned
    assert torch.equal(block(x), expected)
    block.channel_attention.mlp = nn.Sequential(*mlp)  # or all of them
    assert torch.equal(block(x), expected)
    if not hasattr(torch.ao.quantization, "quantize_dynamic"):
        pytest.skip("this PyTorch leaves quantization to torchao")
    quantized = torch.ao.quantization.quantize_dynamic(block, {nn.Linear}, dtype=torch.qint8)
    assert 0 < (quantized(x) - expected).abs().max() < 0.05


@needs_stances
@pytest.mark.parametrize("in_place", [False, True])
def test_hooks_on_a_compiled_network(in_place):
    torch.manual_seed(0)
    model = models.CifarCNN(make_attention("cbam-fc", reduction=4), 10, widths=(8, 16)).eval()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        own = model(x)
        with attention_off(model):
            off = model(x)
        maps = seeing.read_maps(model, x)
        compiled = model if in_place else torch.compile(model, backend="eager")
        if in_place:
            model.compile(backend="eager")
        assert torch.equal(compiled(x), own) and not torch.equal(off, own)
        with attention_off(compiled):
            assert torch.equal(compiled(x), off)
        again = seeing.read_maps(compiled, x)
        assert all(map(torch.equal, maps.values(), again.values())) and len(again) == len(maps) == 4
        (name, given), *_ = again.items()
        changed = seeing.predict(compiled, x, {name: torch.zeros_like(given)})
        assert not torch.allclose(changed, own)
        assert torch.equal(compiled(x), own)


def test_equal_maxima_share_the_gradient_where_the_block_is_compiled():
    """And it goes to the first of them where it is not; chapter 11 says why."""
    x = torch.tensor([[[[1.0, 3.0], [3.0, 2.0]]]], requires_grad=True)
    pool = torch.compile(pool_positions, backend="eager", fullgraph=True)
    for function, gradient in ((pool_positions, [0, 1, 0, 0]), (pool, [0, 0.5, 0.5, 0])):
        (found,) = torch.autograd.grad(function(x, "max").sum(), x)
        assert found.flatten().tolist() == gradient


def test_without_stances_a_compiled_network_is_refused(monkeypatch):
    model = torch.compile(nn.Sequential(CBAM(16)), backend="eager")
    monkeypatch.delattr(torch.compiler, "set_stance", raising=False)
    with pytest.raises(ValueError, match="compiled, and before PyTorch 2.6 hooks"):
        with attention_off(model):
            pass
