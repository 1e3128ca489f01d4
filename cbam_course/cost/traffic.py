"""What a pass moves through memory: the bytes that PyTorch's operators read, write and keep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from .layers import tensors


@dataclass(frozen=True, eq=False, repr=False)
class Traffic:
    """What :func:`traffic` found, in bytes; printed in feature maps.

    Attributes:
        feature_map: size of the first input, the unit F of what is printed.
        forward: read and written by the operators of the forward pass.
        backward: the same for the backward pass.
        kept: what the forward pass leaves for the backward pass, beyond inputs, parameters
            and output.
        peak: the most that lay in memory at a time beyond inputs, parameters and the gradient that
            was given; the output and the gradients found are part of it.
        operators: a row for each pass and operator, with columns ``pass``, ``operator``, ``calls``
            and ``bytes``, the most bytes of a pass first.
    """

    feature_map: int
    forward: int
    backward: int
    kept: int
    peak: int
    operators: pd.DataFrame

    def __str__(self) -> str:
        numbers = {name: getattr(self, name) for name in ("forward", "backward", "kept", "peak")}
        lines = [f"{name:9}{number / self.feature_map:6.2f} F" for name, number in numbers.items()]
        return "\n".join([*lines, f"{'F':9}{self.feature_map:,} bytes"])

    __repr__ = __str__


def traffic(function: Callable[..., Tensor], *inputs: Tensor) -> Traffic:
    """Count the bytes that a forward and a backward pass read, write and keep.

    Each operator reads its inputs and writes its outputs once. A view moves nothing, a tensor
    that was expanded is read as it lies in memory, an operator that gathers or scatters touches
    what its index names, and one that fills a new tensor reads nothing. The count knows nothing of
    caches, which may hold what was just written, and nothing of memory inside an operator. It is
    the same on a busy machine.

    Args:
        function: a block, a network, or a function of ``inputs``. The gradients of a module's
            parameters are found and counted; those that it holds stay as they are.
        inputs: tensors of floating-point numbers, the first of them a feature map, such as
            ``[B, C, H, W]``.

    Raises:
        TypeError: if what is returned is not one tensor.
    """
    inputs = [each.detach().requires_grad_() for each in inputs]
    own = [*function.parameters(), *function.buffers()] if isinstance(function, nn.Module) else []
    counter = _Counter([*inputs, *own])
    with counter:
        y = function(*inputs)
    if not isinstance(y, Tensor):
        raise TypeError(
            f"traffic goes back from one tensor; what it was given returns {type(y).__name__}. "
            "Wrap it in a function that returns one tensor."
        )
    kept = counter.held_now() - y.untyped_storage().nbytes()
    forward, counter.rows = counter.rows, []
    grad = torch.ones_like(y)
    counter.given.append(StorageWeakRef(grad.untyped_storage()))
    with counter:
        wanted = [*inputs, *(each for each in own if each.requires_grad)]
        torch.autograd.grad(y, wanted, grad, allow_unused=True)
    rows = [("forward", *row) for row in forward] + [("backward", *row) for row in counter.rows]
    table = pd.DataFrame(rows, columns=["pass", "operator", "bytes"])
    operators = table.groupby(["pass", "operator"], sort=False)["bytes"].agg(["size", "sum"])
    operators = operators.set_axis(["calls", "bytes"], axis="columns").reset_index()
    return Traffic(
        feature_map=_size(inputs[0]),
        forward=sum(size for _, size in forward),
        backward=sum(size for _, size in counter.rows),
        kept=kept,
        peak=counter.peak,
        operators=operators.sort_values(
            ["pass", "bytes"], ascending=[False, False], kind="stable", ignore_index=True
        ),
    )


class _Counter(TorchDispatchMode):
    """Notes ``(operator, bytes)`` of all that runs, and what lies in memory beyond ``given``."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()
        self.given = [StorageWeakRef(each.untyped_storage()) for each in given]
        self.rows: list[tuple[str, int]] = []
        self.held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = op(*args, **kwargs)
        name, outputs = op.overloadpacket.__name__.removeprefix("new_"), tensors(result)
        if not op.is_view and not name.startswith("empty"):
            inputs = tensors((args, {key: v for key, v in kwargs.items() if key != "out"}))
            moved = [*inputs, *outputs]
            if name.startswith(("zeros", "ones", "full")):
                moved = outputs  # nothing but the shape of an input is looked at
            elif name.startswith("scatter"):
                # In place, although autograd takes a copy first while such a counter looks on.
                moved = [*inputs[1:], inputs[-1]]
            elif name in ("gather", "index_select"):
                moved = [*outputs, *inputs[1:], *outputs]
            self.rows.append((name, sum(map(_size, moved))))
        known = {each.cdata for each in self.given}
        for each in outputs:
            reference = StorageWeakRef(each.untyped_storage())
            if reference.cdata not in known:
                self.held[reference.cdata] = reference, each.untyped_storage().nbytes()
        self.peak = max(self.peak, self.held_now())
        return result

    def held_now(self) -> int:
        self.held = {key: pair for key, pair in self.held.items() if not pair[0].expired()}
        return sum(size for _, size in self.held.values())


def _size(x: Tensor) -> int:
    """Bytes of a tensor as it lies in memory."""
    return min(x.numel() * x.element_size(), x.untyped_storage().nbytes())
