r"""What counts as an operation: the rules behind printed FLOPs, each under its name.

Papers and tools agree on convolutions and fully connected layers, and on little else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from torch import nn

from cbam_course.attention import ECA, SqueezeExcitation

from .layers import Run

Work = Callable[[Run], int]
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True)
class Rule:
    """One way of counting operations.

    Attributes:
        work: the operations of one call of a module, without those of the modules inside.
        once: whether a layer that runs several times, as CBAM's shared MLP does, counts as its last
            run alone.
    """

    work: Work
    once: bool = False

    def total(self, runs: list[Run]) -> int:
        """The operations of a network, of whose modules these are the calls."""
        if self.once:
            runs = {run.module: run for run in runs}.values()
        return sum(map(self.work, runs))


def _macs(run: Run) -> int:
    r"""Convolution: :math:`C_{out} H W (C_{in} / g) k^2`; fully connected: outputs times inputs."""
    return run.macs


def _with_additions(run: Run) -> int:
    """For every residual block its C·H·W additions, too."""
    return run.macs + (prod(run.output) if run.kind in ("BasicBlock", "Bottleneck") else 0)


def _with_scaling(run: Run) -> int:
    """For every SE block the C·H·W products with its weights, too."""
    se = isinstance(run.module, SqueezeExcitation)
    return _with_additions(run) + (prod(run.input) if se else 0)


def _with_averages(run: Run) -> int:
    """For every global average, SE's and the network's, its C·H·W additions, too."""
    pools = isinstance(run.module, (SqueezeExcitation, nn.AdaptiveAvgPool2d))
    return _with_scaling(run) + (prod(run.input) if pools else 0)


def _thop(early: bool) -> Work:
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

    def work(run: Run) -> int:
        module, inputs, outputs = run.module, prod(run.input), prod(run.output)
        if isinstance(module, CONVOLUTIONS):
            bias = module.in_channels // module.groups if early else 1
            return run.macs + outputs * bias * (module.bias is not None)
        if isinstance(module, nn.Linear):
            return 2 * run.macs - outputs
        if isinstance(module, NORMALIZATIONS):
            return 4 * inputs
        if isinstance(module, nn.ReLU):
            return inputs * early
        if isinstance(module, nn.MaxPool2d):
            return outputs * module.kernel_size * early
        if isinstance(module, (nn.AdaptiveAvgPool2d, SqueezeExcitation, ECA)):
            return inputs + prod(run.input[:2])
        return 0

    return work


RULES: dict[str, Rule] = {
    "conv + FC": Rule(_macs),
    "conv + FC, shared once": Rule(_macs, once=True),
    "conv + FC + additions": Rule(_with_additions),
    "conv + FC + additions + scaling": Rule(_with_scaling),
    "conv + FC + additions + scaling + averages": Rule(_with_averages),
    "thop 0.0.22": Rule(_thop(early=True), once=True),
    "thop 0.0.31 of September 2019": Rule(_thop(early=False)),
}
"""The rules by name."""
