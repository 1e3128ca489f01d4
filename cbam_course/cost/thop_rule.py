"""The rules of two early versions of thop, the tool that ECA-Net's authors count with."""

from collections import defaultdict
from collections.abc import Iterable
from math import prod
from typing import Any

from torch import Tensor, nn

from ..attention import ECA, SqueezeExcitation
from .running import make_inputs, undisturbed

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def thop(model: nn.Module, input_size: Iterable[int], *, version: str) -> int:
    r"""The total that thop 0.0.22, or 0.0.31 of September 2019, gives for ``model``.

    .. math::

        \text{convolution: } & \text{outputs} \cdot \tfrac{C_{in}}{\text{groups}} k_h k_w &
        \text{linear layer: } & \text{outputs} \cdot (2 \cdot \text{inputs} - 1) \\
        \text{BatchNorm: } & 4 \cdot \text{inputs} &
        \text{average pool: } & \text{outputs} \cdot (\text{places averaged} + 1)

    To the convolution, 0.0.22 adds :math:`C_{in} / \text{groups}` for each output if there is a
    bias, 0.0.31 adds 1. And 0.0.22 counts the inputs of a ReLU, and outputs times the kernel size
    *as it is written* of a max-pool: 3, not 9, for ``nn.MaxPool2d(3)``. Only modules without
    submodules are seen. One that runs several times counts in 0.0.22 as its last run alone, for
    each run writes over the run before.

    ECA-Net's authors pool with a module in SE and ECA, which is counted, where this course's blocks
    call a function: their pooling is added here. CBAM's authors call a function, too.

    Args:
        model: the model.
        input_size: shape of one example, without the batch.
        version: ``"0.0.22"`` or ``"0.0.31"``.
    """
    inputs = make_inputs(model, input_size, None)
    totals: defaultdict[nn.Module, int] = defaultdict(int)

    def see(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        before = totals[module] if version == "0.0.31" else 0
        totals[module] = before + _operations(module, inputs[0], output, version)

    seen = [m for m in model.modules() if _is_leaf(m) or _pools_as_module(m)]
    hooks = [module.register_forward_hook(see) for module in seen]
    try:
        with undisturbed(model, inputs):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(totals.values())


def _operations(module: nn.Module, x: Tensor, y: Tensor, version: str) -> int:
    early = version == "0.0.22"
    if isinstance(module, CONVOLUTIONS):
        per_group = module.in_channels // module.groups
        bias = 0 if module.bias is None else per_group if early else 1
        return y.numel() * (per_group * prod(module.kernel_size) + bias)
    if isinstance(module, nn.Linear):
        return y.numel() * (2 * module.in_features - 1)
    if isinstance(module, NORMALIZATIONS):
        return 4 * x.numel()
    if isinstance(module, nn.ReLU) and early:
        return x.numel()
    if isinstance(module, nn.MaxPool2d) and early:
        size = module.kernel_size
        return y.numel() * (size if isinstance(size, int) else prod(size))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        places = prod(n // m for n, m in zip(x.shape[2:], y.shape[2:], strict=True))
        return y.numel() * (places + 1)
    if _pools_as_module(module):
        return x.shape[0] * x.shape[1] * (x.shape[2] * x.shape[3] + 1)
    return 0


def _pools_as_module(module: nn.Module) -> bool:
    return isinstance(module, (SqueezeExcitation, ECA))


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None
