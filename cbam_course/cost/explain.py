"""Where the tools differ from the count by hand: their numbers taken apart by kind of layer."""

from dataclasses import dataclass
from math import prod
from typing import Any

import pandas as pd
from torch import nn

from .layers import Inputs, InputSize, Model, Run, follow, made, make_inputs
from .tools import TOOLS, ToolFailed, measure

OTHER = "(elsewhere)"
"""In place of a kind of layer: what is done, or counted, outside the layers taken one by one."""
ELSEWHERE = "work outside the layers, or layers under several names"
COLUMNS = ("tool", "kind", "by hand", "tool counts", "difference", "because")


def explain(
    model: Model, input_size: InputSize = (3, 224, 224), *, inputs: Inputs = None
) -> pd.DataFrame:
    """Where each tool's multiply-accumulates differ from those by hand, and why.

    Each layer without layers inside is handed to the tool alone, with inputs of the shapes that it
    had in the model; what is left of the tool's total for the model is its last row, "(elsewhere)".
    The reason is found by comparing the difference with what could make it: the additions of
    biases, the number of parameters, of elements of input and output. If none of these gives the
    very number, it says ``"another rule"``.

    Args:
        model: the model, or a function that makes it.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the model's input, or a tuple of its inputs, instead of ``input_size``.

    Returns:
        One row per tool and kind of layer that differ, with columns ``tool``, ``kind``, ``by
        hand``, ``tool counts``, ``difference`` and ``because``. For every tool the differences sum
        up to its total minus that by hand. A tool that fails has one row, which says why.

    Raises:
        ValueError: for what :func:`~cbam_course.cost.count` refuses.
    """
    model = made(model)
    _, runs = follow(model, input_size, inputs)
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        if not any(run.module.children()):
            kinds.setdefault(run.kind, []).append(run)
    rows = []
    for tool in TOOLS:
        try:
            rest = measure(tool, model, make_inputs(input_size, inputs))
        except ToolFailed as error:
            rows.append((tool, OTHER, None, None, None, str(error)))
            continue
        macs = sum(run.macs for run in runs)
        for kind, same in kinds.items():
            work = _Work.of(tool, same)
            rest, macs = rest - work.counted, macs - work.macs
            if work.counted != work.macs:
                difference = work.counted - work.macs
                rows.append((tool, kind, work.macs, work.counted, difference, work.reason()))
        if rest != macs:
            two = rest - macs == sum(run.left_out for run in runs)
            because = "products of two activations" if two else ELSEWHERE
            rows.append((tool, OTHER, macs, rest, rest - macs, because))
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[2:5], "Int64"))


@dataclass
class _Work:
    """What the layers of one kind did, what a tool counts for it, and what it might count."""

    counted: int = 0
    by_function: int = 0
    macs: int = 0
    biases: int = 0
    parameters: int = 0
    inputs: int = 0
    outputs: int = 0

    @classmethod
    def of(cls, tool: str, runs: list[Run]) -> "_Work":
        """The sum over ``runs``; a layer that is like another is handed to the tool once."""
        work, known = cls(), {}
        for run in runs:
            module, outputs = run.module, prod(run.output)
            key = (repr(module), *(x.shape for x in run.inputs))
            if key not in known:
                function = 0 if run.macs else _alone(tool, _Bare(module), run)
                known[key] = _alone(tool, module, run), function
            work.counted += known[key][0]
            work.by_function += known[key][1]
            work.macs += run.macs
            work.biases += outputs if getattr(module, "bias", None) is not None else 0
            work.parameters += sum(p.numel() for p in module.parameters())
            work.inputs += prod(run.input)
            work.outputs += outputs
        return work

    def reason(self) -> str:
        """Why the tool counts something else than ``macs``, in words."""
        twice = self.macs == 0 and self.counted == 2 * self.by_function
        counted = self.by_function if twice else self.counted
        extra = counted - self.macs
        because = "another rule"
        if counted == 0:
            because = "not counted"
        elif extra == self.biases and self.macs:
            because = "additions of the bias"
        elif counted == self.parameters:
            because = "each parameter once" + ", however many outputs it serves" * bool(self.macs)
        elif not self.macs:
            for end, elements in (("output", self.outputs), ("input", self.inputs)):
                for times, number in (("once", 1), ("twice", 2)):
                    if counted == number * elements:
                        because = f"{times} each element of the {end}"
        return because + ", for the module and again for its function" * twice


def _alone(tool: str, module: nn.Module, run: Run) -> int:
    try:
        return measure(tool, module, run.inputs)
    except ToolFailed:  # it needs more than tensors, or its surroundings
        return 0


class _Bare(nn.Module):
    """A layer that does not look like one: only the functions that it calls are seen."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.modules_inside = (module,)

    def forward(self, *inputs: Any) -> Any:
        return self.modules_inside[0].forward(*inputs)
