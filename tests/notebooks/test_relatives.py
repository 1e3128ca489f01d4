"""The blocks that chapter 12 builds in a few lines equal those of the libraries, or the equations.

The functions are taken from the notebook itself and run in float64 on other shapes.
"""

import ast
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cbam_course.attention import CBAM
from cbam_course.cost.bam import BAM
from tests.support import attention_cases as cases
from tests.support.notebook_rules import code_cells
from tests.support.project import ROOT

pytest.importorskip("timm", reason="needs timm")

from timm import layers  # noqa: E402
from timm.layers import cbam, coord_attn, grn  # noqa: E402

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "12_relatives.ipynb", as_version=4)
SHAPES = [(3, 32, 7, 6), (2, 48, 1, 9), (2, 64, 8, 8)]


def defined_in_the_chapter():
    """The chapter's functions and classes, by name."""
    names = {"torch": torch, "F": F, "nn": nn}
    for cell in code_cells(NOTEBOOK)[1:]:
        for node in ast.parse(cell.source).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                exec(ast.unparse(node), names)
    return names


CHAPTER = defined_in_the_chapter()


def chapters(name):
    return CHAPTER[name]


def lively(module):
    """A module in float64 whose parameters and statistics are all at random."""
    generator = torch.Generator().manual_seed(0)
    module = module.double()
    for parameter in module.parameters():
        size = parameter.shape
        parameter.data = torch.randn(size, generator=generator, dtype=torch.float64) / 2
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
    return module


def of_torchvision(x, make):
    t = make(torchvision.ops.SqueezeExcitation(x.shape[1], 5))
    return x * chapters("se")(x, t.fc1, t.fc2), t(x)


def of_torchvision_hard(x, make):
    t = torchvision.ops.SqueezeExcitation(x.shape[1], 5, scale_activation=nn.Hardsigmoid)
    t = make(t)
    return x * chapters("se")(x, t.fc1, t.fc2, gate=F.hardsigmoid), t(x)


def of_se(x, make):
    t = make(layers.SEModule(x.shape[1]))
    return x * chapters("se")(x, t.fc1, t.fc2), t(x)


def of_effective_se(x, make):
    t = make(layers.EffectiveSEModule(x.shape[1]))
    return x * chapters("ese")(x, t.fc), t(x)


def of_eca(x, make):
    t = make(layers.EcaModule(x.shape[1]))
    return x * chapters("eca")(x, t.conv), t(x)


def of_gather_excite(x, make):
    t = make(layers.GatherExcite(x.shape[1], extent=2, use_mlp=False))
    return x * chapters("ge")(x, 2), t(x)


def of_global_context(x, make):
    t = make(layers.GlobalContext(x.shape[1]))
    return x * torch.sigmoid(t.mlp_scale(chapters("context")(x, t.conv_attn))), t(x)


def of_added_context(x, make):
    t = make(layers.GlobalContext(x.shape[1], fuse_add=True, fuse_scale=False))
    return x + t.mlp_add(chapters("context")(x, t.conv_attn)), t(x)


def of_grn(x, make):
    t = make(grn.GlobalResponseNorm(x.shape[1], channels_last=False))
    return x * chapters("grn")(x, t.weight) + t.bias[:, None, None], t(x)


def of_coordinate(x, make):
    t = make(coord_attn.CoordAttn(x.shape[1]))
    squeeze = nn.Sequential(t.conv1, t.bn1, t.act)
    return x * chapters("coordinate")(x, squeeze, t.conv_h, t.conv_w), t(x)


def of_selective_kernel(x, make):
    t = make(layers.SelectiveKernel(x.shape[1]))
    parts = zip(t.paths, x.chunk(2, dim=1), strict=True)
    paths = torch.stack([path(part) for path, part in parts], dim=1)
    reduce = nn.Sequential(t.attn.fc_reduce, t.attn.bn, t.attn.act)
    return (paths * chapters("sk")(paths, reduce, t.attn.fc_select)).sum(dim=1), t(x)


def of_cbam(x, make):
    t = make(cbam.CbamModule(x.shape[1]))
    ours = CBAM(x.shape[1], spatial_options={"batch_norm": True}).double().train(t.training)
    ours.load_state_dict(dict(zip(ours.state_dict(), t.state_dict().values(), strict=True)))
    maps = ours(x, return_map=True)[1]
    return x * maps.channel * maps.spatial, t(x)


def of_bam(x, make):
    t = make(BAM(x.shape[1]))

    def scores(x):
        return t.channel(x.mean(dim=(2, 3)))[:, :, None, None]

    return x * chapters("bam")(x, scores, t.spatial), t(x)


PAIRS = [
    *(of_torchvision, of_torchvision_hard, of_se, of_effective_se, of_eca, of_gather_excite),
    *(of_global_context, of_added_context, of_grn, of_coordinate, of_selective_kernel, of_cbam),
    of_bam,
]


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_the_few_lines_equal_the_librarys_module(pair, shape, train):
    x = cases.features(*shape).requires_grad_()
    ours, theirs = pair(x, lambda module: lively(module).train(train))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert (theirs - x).abs().max() > 0.1  # the block does something
    gradient = cases.features(*shape, seed=1)
    one, other = (torch.autograd.grad(y, x, gradient, retain_graph=True)[0] for y in (ours, theirs))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_simam_is_its_equation(shape):
    x = cases.features(*shape).numpy()
    expected = np.empty(shape)
    for b, c in np.ndindex(shape[:2]):
        square = (x[b, c] - x[b, c].mean()) ** 2
        variance = square.sum() / (square.size - 1)
        expected[b, c] = sigmoid(square / (4 * (variance + 1e-4)) + 0.5)
    found = chapters("simam")(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_triplet_attention_is_its_equation():
    B, C, H, W = 2, 5, 4, 3
    x = cases.features(B, C, H, W).numpy()
    kernels = np.random.default_rng(0).normal(size=(3, 2, 7, 7))
    expected = np.zeros_like(x)
    for b in range(B):
        for axis, kernel in enumerate(kernels):  # pooled away: channels, rows, columns
            pools = np.stack([x[b].max(axis=axis), x[b].mean(axis=axis)])
            # The remaining axes stand as after exchanging the pooled axis with the channels.
            if axis == 2:
                pools = pools.transpose(0, 2, 1)
            padded = np.pad(pools, ((0, 0), (3, 3), (3, 3)))
            scores = np.empty(pools.shape[1:])
            for i, j in np.ndindex(scores.shape):
                scores[i, j] = (padded[:, i : i + 7, j : j + 7] * kernel).sum()
            gate = sigmoid(scores.T if axis == 2 else scores)
            expected[b] += np.expand_dims(gate, axis) / 3 * np.ones((C, H, W))
    weights = torch.from_numpy(kernels)[:, None]  # [3, 1, 2, 7, 7]
    convs = [partial(F.conv2d, weight=weight, padding=3) for weight in weights]
    found = chapters("triplet")(torch.from_numpy(x), *convs).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_simplified_attention_is_its_equation():
    x = cases.features(2, 6, 5, 4)
    fc = lively(nn.Conv2d(6, 6, 1))
    expected = fc.weight[:, :, 0, 0] @ x.mean(dim=(2, 3)).T + fc.bias[:, None]
    torch.testing.assert_close(chapters("sca")(x, fc)[:, :, 0, 0], expected.T)


def test_a_gated_module_goes_into_a_network_and_computes_the_product():
    block = chapters("Gated")(chapters("sca"), nn.Conv2d(6, 6, 1))
    x = cases.features(2, 6, 5, 4).float()
    torch.testing.assert_close(block(x), x * chapters("sca")(x, block.layers[0]))
    assert len(list(block.parameters())) == 2


def test_self_attention_is_its_equation():
    block = chapters("SelfAttention")(6).double()
    x = cases.features(2, 6, 3, 4)
    q, k, v = block.qkv(x).flatten(2).chunk(3, dim=1)  # [B, C, HW]
    weights = torch.einsum("bcp,bcq->bpq", q, k).div(6**0.5).softmax(dim=2)
    expected = torch.einsum("bpq,bcq->bcp", weights, v).reshape(x.shape)
    torch.testing.assert_close(block(x), expected)
