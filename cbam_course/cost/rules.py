r"""What counts as an operation: the rules behind printed FLOPs, each under its name.

Papers and tools agree on convolutions and fully connected layers, and on little else.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

# The underscore notwithstanding, this is where PyTorch's notes ("Extending PyTorch") have it.
from torch.utils._python_dispatch import TorchDispatchMode

from ..attention.block import check_choice
from .count import count
from .running import check_model
from .thop_rule import thop


@dataclass(frozen=True)
class Rule:
    """One way of counting operations.

    Attributes:
        formula: what counts and how much, for one input; H and W are the output's, g the groups.
        shared: how often a layer counts that runs several times, as CBAM's shared MLP does.
        total: the number of operations of a model for an input of a given shape.
    """

    formula: str
    shared: str
    total: Callable[[nn.Module, Iterable[int]], int]


def operations(
    model: nn.Module, rule: str = "conv + FC", input_size: Iterable[int] = (3, 224, 224)
) -> int:
    r"""Count the operations of ``model`` for one input by one of the :data:`RULES`.

    ``"conv + FC"`` is :func:`count`'s rule. Some papers add to it

    .. math:: C H W

    for each shortcut added to a map, each map scaled by channel weights and each global average;
    other numbers come from a tool with rules of its own.

    Args:
        model: the model.
        rule: a name of :data:`RULES`.
        input_size: shape of one example, without the batch.

    Raises:
        ValueError: for an unknown rule, and whatever :func:`count` refuses.
    """
    check_model(model)
    input_size = tuple(input_size) if isinstance(input_size, Iterable) else input_size
    return RULES[check_choice("rule", rule, RULES)].total(model, input_size)


def _conv_fc(model: nn.Module, input_size: Iterable[int]) -> int:
    return count(model, input_size).macs


def _shared_once(model: nn.Module, input_size: Iterable[int]) -> int:
    layers = count(model, input_size).layers
    return int((layers["macs"] // layers["calls"].clip(lower=1)).sum())


def _and(*kinds: str) -> Callable[[nn.Module, Iterable[int]], int]:
    """Convolutions, fully connected layers and these kinds of work on single elements."""

    def total(model: nn.Module, input_size: Iterable[int]) -> int:
        with ElementWork() as work:
            macs = count(model, input_size).macs
        return macs + sum(work.elements[kind] for kind in kinds)

    return total


_CONV_FC = "convolution: C_out·H·W·(C_in/g)·k²; fully connected: out·in"
_EACH, _ONCE = "each time it runs", "once"

RULES: dict[str, Rule] = {
    "conv + FC": Rule(_CONV_FC, _EACH, _conv_fc),
    "conv + FC, shared once": Rule(_CONV_FC, _ONCE, _shared_once),
    "conv + FC + additions": Rule(
        f"{_CONV_FC}; shortcut added: C·H·W",
        _EACH,
        _and("additions"),
    ),
    "conv + FC + additions + scaling": Rule(
        f"{_CONV_FC}; shortcut added, map scaled by channel weights: C·H·W each",
        _EACH,
        _and("additions", "scaling"),
    ),
    "conv + FC + additions + scaling + averages": Rule(
        f"{_CONV_FC}; shortcut added, map scaled by channel weights, global average: C·H·W each",
        _EACH,
        _and("additions", "scaling", "averages"),
    ),
    "thop 0.0.22": Rule(
        "convolution: C_out·H·W·(C_in/g)·(k² + 1 with bias); fully connected: out·(2·in - 1); "
        "BatchNorm: 4·C·H·W; ReLU: C·H·W; max-pool: C·H·W·k; global average: C·(H·W + 1)",
        "once, as its last run",
        lambda model, input_size: thop(model, input_size, version="0.0.22"),
    ),
    "thop 0.0.31 of September 2019": Rule(
        "convolution: C_out·H·W·((C_in/g)·k² + 1 with bias); fully connected: out·(2·in - 1); "
        "BatchNorm: 4·C·H·W; global average: C·(H·W + 1)",
        _EACH,
        lambda model, input_size: thop(model, input_size, version="0.0.31"),
    ),
}
"""The rules that :func:`operations` knows."""


class ElementWork(TorchDispatchMode):
    """While active, count elements of feature maps that are added, scaled or averaged.

    An addition is one of two maps of the same shape, a scaling is the product of a map
    ``[B, C, H, W]`` and weights ``[B, C, 1, 1]``, an average is one over all places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name().partition("::")[2].partition(".")[0].rstrip("_")
        shapes = [tuple(x.shape) for x in args if isinstance(x, Tensor)]
        out = func(*args, **(kwargs or {}))
        kind = _kind(name, shapes, args)
        if kind is not None:
            self.elements[kind] += args[0].numel()
        return out


def _kind(name: str, shapes: list[tuple[int, ...]], args: tuple) -> str | None:
    if not shapes or len(shapes[0]) != 4:
        return None
    if name == "add" and len(shapes) == 2 and shapes[0] == shapes[1]:
        return "additions"
    if name == "mul" and len(shapes) == 2 and shapes[1] == (*shapes[0][:2], 1, 1):
        return "scaling"
    if name == "mean" and len(args) > 1 and {axis % 4 for axis in args[1] or ()} == {2, 3}:
        return "averages"
    return None
