"""What the tests of the networks share: counted parameters, random values, given weights."""

import torch
from torch import nn


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def images(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomize(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random values everywhere: nothing is 0 or 1, so nothing can be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            random = torch.randn(value.shape, generator=generator)
            if key.endswith("running_var") or "bn" in key and key.endswith("weight"):
                random = random.abs() + 0.5
            value.copy_(random / max(1, value[0].numel() if value.dim() else 1) ** 0.5)
        else:
            value.fill_(7)  # the counters of BatchNorm
    return model


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
