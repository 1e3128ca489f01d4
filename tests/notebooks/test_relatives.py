"""What chapter 12 builds and compares with no library equals its equation.

The functions are taken from the notebook itself and run in float64.
"""

import ast
import re
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cbam_course.attention import ECA
from tests.support import attention_cases as cases
from tests.support.notebook_rules import code_cells, markdown
from tests.support.project import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "12_relatives.ipynb", as_version=4)


def defined_in_the_chapter():
    """The chapter's functions and classes, by name."""
    names = {"torch": torch, "F": F, "nn": nn}
    for cell in code_cells(NOTEBOOK)[1:]:
        for node in ast.parse(cell.source).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                exec(ast.unparse(node), names)
    return names


CHAPTER = defined_in_the_chapter()


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


@pytest.mark.parametrize("shape", [(3, 32, 7, 6), (2, 48, 1, 9)], ids=str)
def test_simam_is_its_equation(shape):
    x = cases.features(*shape).numpy()
    expected = np.empty(shape)
    for b, c in np.ndindex(shape[:2]):
        square = (x[b, c] - x[b, c].mean()) ** 2
        variance = square.sum() / (square.size - 1)
        expected[b, c] = sigmoid(square / (4 * (variance + 1e-4)) + 0.5)
    found = CHAPTER["simam"](torch.from_numpy(x)).numpy()
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
    found = CHAPTER["triplet"](torch.from_numpy(x), *convs).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_simplified_attention_is_its_equation():
    x = cases.features(2, 6, 5, 4)
    fc = nn.Conv2d(6, 6, 1).double()
    expected = fc.weight[:, :, 0, 0] @ x.mean(dim=(2, 3)).T + fc.bias[:, None]
    torch.testing.assert_close(CHAPTER["sca"](x, fc)[:, :, 0, 0], expected.T)


def test_a_gated_module_goes_into_a_network_and_computes_the_product():
    block = CHAPTER["Gated"](CHAPTER["sca"], nn.Conv2d(6, 6, 1))
    x = cases.features(2, 6, 5, 4).float()
    torch.testing.assert_close(block(x), x * CHAPTER["sca"](x, block.layers[0]))
    assert len(list(block.parameters())) == 2


def test_the_gates_of_a_network_are_replaced_by_the_lines_shown():
    (shown,) = re.findall(r"```python\n(model = .*?)```", markdown(NOTEBOOK), re.DOTALL)
    (finding,) = (cell for cell in code_cells(NOTEBOOK) if cell.source.startswith("GATES ="))
    names = {"torchvision": torchvision, "ECA": ECA}
    exec(f"{finding.source}\n{shown}", names)
    kinds = [type(module).__name__ for module in names["model"].modules()]
    assert kinds.count("ECA") == 9 and "SqueezeExcitation" not in kinds
    assert names["model"].eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_self_attention_is_its_equation():
    block = CHAPTER["SelfAttention"](6).double()
    x = cases.features(2, 6, 3, 4)
    q, k, v = block.qkv(x).flatten(2).chunk(3, dim=1)  # [B, C, HW]
    weights = torch.einsum("bcp,bcq->bpq", q, k).div(6**0.5).softmax(dim=2)
    expected = torch.einsum("bpq,bcq->bcp", weights, v).reshape(x.shape)
    torch.testing.assert_close(block(x), expected)
