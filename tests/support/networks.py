"""What the tests of the networks share: counted parameters, random statistics, given weights."""

from torch import nn


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


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
