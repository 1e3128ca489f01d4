"""What the tests of the networks share: counts by a rule of their own, and random statistics."""

from unittest.mock import patch

import torch
from torch import nn


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def multiply_accumulates(model: nn.Module, size: int = 224) -> int:
    """Those of the convolutions and linear layers for one image, one use of a layer at a time."""
    counts = []

    def convolution(layer, inputs, output):
        counts.append(output.numel() * layer.weight[0].numel())

    hooks = [
        layer.register_forward_hook(convolution)
        for layer in model.modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    ]
    # BatchNorm changes no shape, and takes half of the time on the meta device.
    unchanged = patch.object(nn.BatchNorm2d, "forward", lambda layer, x: x)
    with torch.no_grad(), unchanged:
        model(torch.zeros(1, 3, size, size, device=next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    return sum(counts)


def randomize_statistics(model: nn.Module) -> nn.Module:
    """BatchNorms as after some training: a fresh one hides which of two layers comes first."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def copy_onto(model: nn.Module, state: dict) -> nn.Module:
    """Give a network made on the meta device the tensors of ``state``: all keys must be there."""
    model.load_state_dict(state, assign=True)
    return model.eval()
