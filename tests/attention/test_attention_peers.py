"""With the same weights, the blocks agree with those of torchvision and timm."""

import pytest
import torch
from timm.layers import EcaModule, SEModule
from timm.layers.cbam import CbamModule, SpatialAttn
from torch import nn
from torchvision.ops import SqueezeExcitation as TorchvisionSE

from cbam_course.attention import CBAM, ECA, SpatialAttention, SqueezeExcitation
from tests.support import attention_cases as cases

RELU = {"activation": nn.ReLU, "scale_activation": nn.Sigmoid}
BN = {"spatial_options": {"batch_norm": True}}
PAIRS = {
    "SE of torchvision": lambda: (SqueezeExcitation(32, 4), TorchvisionSE(32, 8, **RELU)),
    "SE of timm": lambda: (
        SqueezeExcitation(32, 4, bias=False),
        SEModule(32, rd_channels=8, bias=False),
    ),
    # The average first, like the paper, and a BatchNorm, like the authors' code.
    "spatial": lambda: (SpatialAttention(3, batch_norm=True), SpatialAttn(3)),
    "CBAM": lambda: (CBAM(32, 4, **BN), CbamModule(32, rd_ratio=1 / 4)),
    "ECA": lambda: (ECA(32), EcaModule(32)),
    # timm obeys a kernel size only when it is not told the channels.
    "ECA of 9": lambda: (ECA(32, kernel_size=9), EcaModule(kernel_size=9)),
}


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_same_outputs_gradients_and_statistics(make, train):
    torch.manual_seed(0)
    blocks = [block.double().train(train) for block in make()]
    ours, theirs = (block.state_dict().values() for block in blocks)
    for own, other in zip(ours, theirs, strict=True):
        assert own.squeeze().shape == other.squeeze().shape
        own.copy_(other.reshape(own.shape))
    x, gradient = cases.features(3, 32, 7, 6), cases.features(3, 32, 7, 6, seed=1)
    results = []
    for block in blocks:
        leaf = x.clone().requires_grad_()
        refined = block(leaf)
        refined.backward(gradient)
        values = [p.grad for p in block.parameters()] + list(block.state_dict().values())
        results.append((refined, leaf.grad, torch.cat([v.flatten() for v in values])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert (results[0][0] - x).abs().max() > 0.1  # the block does something
