"""Where the tools differ from the count by hand: their numbers taken apart by kind of layer."""

from collections import Counter
from math import prod
from typing import Any

import pandas as pd
import torch
from torch import nn

from .layers import InputSize, Model, Run, follow, made
from .tools import TOOLS, measure


def explain(model: Model, input_size: InputSize = (3, 224, 224)) -> pd.DataFrame:
    """Where each tool's multiply-accumulates differ from those by hand, and why.

    Each layer without layers inside is handed to the tool alone, with inputs of the shapes that it
    had in the model; what is left of the tool's total is its last row, "(elsewhere)". A reason is
    told if it gives the very number: the additions of biases, the number of parameters or of
    elements of the input. Else it says ``"another rule"``.

    Args:
        model: the model, or a function that makes it.
        input_size: shape of one example, without the batch; the batch has size 1.

    Returns:
        One row per tool and kind of layer that differ, with columns ``tool``, ``kind``,
        ``difference`` and ``because``. For every tool the differences sum up to its total minus
        that by hand. A tool that fails has one row, which says so.

    Raises:
        ValueError: for what :func:`~cbam_course.cost.count` refuses.
    """
    model = made(model)
    _, runs = follow(model, input_size)
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        if not any(run.module.children()):
            kinds.setdefault(run.kind, []).append(run)
    rows = []
    for tool in TOOLS:
        total = measure(tool, model, [torch.zeros(1, *input_size)])
        if total is None:
            rows.append((tool, "(elsewhere)", None, "it cannot count this model"))
            continue
        rest = total - sum(run.macs for run in runs)
        for kind, same in kinds.items():
            work = _work(tool, same)
            if difference := work["counts"] - work["macs"]:
                rest -= difference
                rows.append((tool, kind, difference, _reason(work)))
        if rest:
            rows.append((tool, "(elsewhere)", rest, "outside the layers, or a layer's second name"))
    table = pd.DataFrame(rows, columns=["tool", "kind", "difference", "because"])
    return table.astype({"difference": "Int64"})


def _work(tool: str, runs: list[Run]) -> Counter[str]:
    """What the tool counts for these runs, and what it might count; equal layers are asked once."""
    work, known = Counter(), {}
    for run in runs:
        key = (repr(run.module), *(x.shape for x in run.inputs))
        if key not in known:
            # A layer may need more than tensors, or its surroundings: a tool finds nothing then.
            known[key] = (
                measure(tool, run.module, run.inputs) or 0,
                0 if run.macs else measure(tool, _Bare(run.module), run.inputs) or 0,
            )
        counts, by_function = known[key]
        work.update(
            counts=counts,
            by_function=by_function,
            macs=run.macs,
            biases=prod(run.output) * (getattr(run.module, "bias", None) is not None),
            parameters=sum(p.numel() for p in run.module.parameters()),
            inputs=prod(run.input),
        )
    return work


def _reason(work: Counter[str]) -> str:
    """Why the tool counts something else than the multiply-accumulates, in words."""
    macs, counts = work["macs"], work["counts"]
    if macs and counts == macs + work["biases"]:
        return "additions of the bias"
    again = ""
    if counts == 2 * work["by_function"]:
        counts, again = counts // 2, ", for the module and again for its function"
    if counts == work["parameters"]:
        return f"each parameter once{again}"
    for times, number in (("once", 1), ("twice", 2)):
        if not macs and counts == number * work["inputs"]:
            return f"{times} each element of the input{again}"
    return "another rule"


class _Bare(nn.Module):
    """A layer that does not look like one: a tool sees only the functions that it calls."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.hidden = (module,)

    def forward(self, *inputs: Any) -> Any:
        return self.hidden[0].forward(*inputs)
