"""Which layer did the work: a record of a model's modules while it runs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import pandas as pd
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from .operators import Operation


@dataclass
class Layer:
    """What one module did itself, not by way of its children."""

    name: str
    kind: str
    parameters: int
    attention: bool
    calls: int = 0
    input: tuple[int, ...] | None = None
    output: tuple[int, ...] | None = None
    macs: int = 0
    left_out: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    # What is not in the table, but in the rules of others.
    biases: int = 0
    input_elements: int = 0
    output_elements: int = 0

    def rule(self) -> str:
        """The counted work as a Python expression; its value is ``macs``."""
        terms = (f"{n} * {rule}" if n > 1 else rule for rule, n in self.rules.items())
        return " + ".join(terms)


class Layers:
    """The modules of a model, and what each does while :meth:`following`.

    Args:
        model: the model.
        attention: the classes of attention blocks.
    """

    def __init__(self, model: nn.Module, attention: tuple[type, ...] = ()) -> None:
        self.left_out: Counter[str] = Counter()
        self._layers: dict[nn.Module, Layer] = {}
        self._running = [model]
        blocks = {
            module
            for block in model.modules()
            if isinstance(block, attention)
            for module in block.modules()
        }
        seen: set[int] = set()
        for name, module in model.named_modules():
            own = {id(p): p for p in module.parameters(recurse=False) if id(p) not in seen}
            seen |= own.keys()
            self._layers[module] = Layer(
                name, type(module).__name__, sum(p.numel() for p in own.values()), module in blocks
            )

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow which module runs. The hooks are PyTorch's, none is left on the model."""
        hooks = (
            register_module_forward_pre_hook(self._enter),
            # Called also if the module fails: its parent may know what to do without it.
            register_module_forward_hook(self._leave, always_call=True),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        # A module made on the way is none of the model's: its work is that of the one that made it.
        if module in self._layers:
            self._running.append(module)

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if module not in self._layers:
            return
        layer = self._layers[self._running.pop()]
        layer.calls += 1
        shapes = _shape(inputs), _shape(output)
        if layer.calls == 1:
            layer.input, layer.output = shapes
        layer.input_elements += prod(shapes[0] or (0,))
        layer.output_elements += prod(shapes[1] or (0,))

    @property
    def running(self) -> Layer:
        """The innermost layer that runs now."""
        return self._layers[self._running[-1]]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers.values())

    def record(self, operation: Operation) -> None:
        """Add an operation to the module that runs."""
        layer = self.running
        if operation.counts:
            layer.macs += operation.macs
            layer.biases += operation.biases
            layer.rules[operation.rule] += 1
        else:
            layer.left_out += operation.macs
            self.left_out[operation.operator] += operation.macs

    def table(self) -> pd.DataFrame:
        """One row per layer that holds parameters or did counted work, in the model's order."""
        rows = [
            {
                "layer": layer.name,
                "kind": layer.kind,
                "input": layer.input,
                "output": layer.output,
                "parameters": layer.parameters,
                "calls": layer.calls,
                "rule": layer.rule(),
                "macs": layer.macs,
                "left_out": layer.left_out,
                "attention": layer.attention,
            }
            for layer in self
            if layer.parameters or layer.macs or layer.left_out
        ]
        columns = {
            "layer": str, "kind": str, "input": object, "output": object, "parameters": int,
            "calls": int, "rule": str, "macs": int, "left_out": int, "attention": bool,
        }  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns)).astype(
            {name: kind for name, kind in columns.items() if kind in (int, bool)}
        )


def _shape(values: Any) -> tuple[int, ...] | None:
    """The shape of the first tensor, if there is one."""
    if isinstance(values, Tensor):
        return tuple(values.shape)
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        return next((shape for value in values if (shape := _shape(value)) is not None), None)
    return None
