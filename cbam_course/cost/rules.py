r"""What counts as an operation: the rules behind printed FLOPs, each under its name.

Papers and tools agree on convolutions and fully connected layers, and on little else.
"""

from collections.abc import Callable
from functools import partial
from math import prod

from torch import nn

from cbam_course.attention import ECA, SqueezeExcitation

from .layers import Run

Work = Callable[[Run], int]


def _macs(run: Run) -> int:
    r"""Convolution: :math:`C_{out} H W (C_{in} / g) k^2`; fully connected: outputs times inputs."""
    return run.macs


def _additions(run: Run) -> int:
    """C·H·W for every residual block."""
    return prod(run.output) if run.kind in ("BasicBlock", "Bottleneck") else 0


def _scaling(run: Run) -> int:
    """The C·H·W products of every SE block with its weights."""
    return prod(run.input) if isinstance(run.module, SqueezeExcitation) else 0


def _averages(run: Run) -> int:
    """The C·H·W additions of every global average, SE's and the network's."""
    pools = isinstance(run.module, (SqueezeExcitation, nn.AdaptiveAvgPool2d))
    return prod(run.input) if pools else 0


def _thop(run: Run, early: bool) -> int:
    r"""What thop 0.0.22 (``early``), or 0.0.31 of September 2019, counts for a module.

    .. math::

        \text{convolution: } & \text{outputs} \cdot \tfrac{C_{in}}{\text{groups}} k_h k_w &
        \text{linear layer: } & \text{outputs} \cdot (2 \cdot \text{inputs} - 1) \\
        \text{BatchNorm: } & 4 \cdot \text{inputs} &
        \text{global average: } & C \cdot (H W + 1)

    To the convolution, 0.0.22 adds :math:`C_{in} / \text{groups}` for each output if there is a
    bias, 0.0.31 adds 1. And 0.0.22 counts the inputs of a ReLU, and outputs times the kernel size
    *as it is written* of a max-pool: 3, not 9, for ``nn.MaxPool2d(3)``.

    ECA-Net's authors pool with a module in SE and ECA, which is counted, where this course's blocks
    call a function: their pooling is added here. CBAM's authors call a function, too.
    """
    module, inputs, outputs = run.module, prod(run.input), prod(run.output)
    match module:
        case nn.Conv1d() | nn.Conv2d():
            bias = module.in_channels // module.groups if early else 1
            return run.macs + outputs * bias * (module.bias is not None)
        case nn.Linear():
            return 2 * run.macs - outputs
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return 4 * inputs
        case nn.ReLU():
            return inputs * early
        case nn.MaxPool2d():
            return outputs * module.kernel_size * early
        case nn.AdaptiveAvgPool2d() | SqueezeExcitation() | ECA():
            return inputs + prod(run.input[:2])
    return 0


RULES: dict[str, tuple[Work, ...]] = {
    "conv + FC": (_macs,),
    "conv + FC, shared once": (_macs,),
    "conv + FC + additions": (_macs, _additions),
    "conv + FC + additions + scaling": (_macs, _additions, _scaling),
    "conv + FC + additions + scaling + averages": (_macs, _additions, _scaling, _averages),
    "thop 0.0.22": (partial(_thop, early=True),),
    "thop 0.0.31 of September 2019": (partial(_thop, early=False),),
}
"""The rules by name: what is added up over all calls of modules."""

ONCE = ("conv + FC, shared once", "thop 0.0.22")
"""Rules by which a layer that runs several times, as CBAM's shared MLP, counts as its last run."""


def operations(rule: str, runs: list[Run]) -> int:
    """The operations of a network, of whose modules these are the calls."""
    if rule in ONCE:
        runs = list({run.module: run for run in runs}.values())
    return sum(work(run) for work in RULES[rule] for run in runs)
