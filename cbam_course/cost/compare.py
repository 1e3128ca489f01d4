"""Many models, each counted by hand and by the tools: one table."""

from collections.abc import Callable, Iterable, Mapping

import pandas as pd
import torch
from torch import nn

from .count import count
from .running import Inputs, InputSize
from .tools import TOOLS, ToolFailed, check_tool, measure

Models = Mapping[str, nn.Module | Callable[[], nn.Module]]


def compare(
    models: Models,
    input_size: InputSize = (3, 224, 224),
    *,
    inputs: Inputs = None,
    attention: type | tuple[type, ...] = (),
    tools: Iterable[str] = tuple(TOOLS),
) -> pd.DataFrame:
    """Parameters and multiply-accumulates of several models, by hand and by tools.

    Args:
        models: models by name. A function that makes a model is called on the meta device, where
            making it takes no time and no memory, or, if it cannot work there, on the CPU.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the models' input, or a tuple of their inputs, instead of ``input_size``.
        attention: classes to count as attention blocks besides those of this course.
        tools: which of :data:`TOOLS` to ask. Unlike the count by hand they compute, in float32 on
            the CPU; with none of them nothing is computed for a model on the meta device.

    Returns:
        One row per model, with columns ``parameters``, ``by hand`` (convolutions and fully
        connected layers), one per tool (missing where a tool fails), ``left out`` (products of two
        activations, which ``by hand`` leaves out), and the attention blocks' share, between 0 and
        1, of the first two: ``attention's parameters`` and ``attention's by hand``.

    Raises:
        ValueError: for an unknown tool, and for what :func:`~cbam_course.cost.count` refuses.
    """
    tools = tuple(map(check_tool, tools))
    rows = {}
    for name, model in models.items():
        model = model if isinstance(model, nn.Module) else make_without_memory(model)
        cost = count(model, input_size, inputs=inputs, attention=attention)
        rows[name] = {
            "parameters": cost.parameters,
            "by hand": cost.macs,
            **{tool: _measured(tool, model, input_size, inputs) for tool in tools},
            "left out": sum(cost.left_out.values()),
            "attention's parameters": cost.attention_parameters / max(cost.parameters, 1),
            "attention's by hand": cost.attention_macs / max(cost.macs, 1),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.astype({tool: "Int64" for tool in tools}) if rows else table


def make_without_memory(make: Callable[[], nn.Module]) -> nn.Module:
    """Call ``make`` on the meta device, or as it is if that fails; no random number is drawn."""
    with torch.random.fork_rng([]):
        try:
            with torch.device("meta"):
                return make()
        except (NotImplementedError, RuntimeError):  # it needs the values of its tensors
            return make()


def _measured(tool: str, model: nn.Module, input_size: InputSize, inputs: Inputs) -> int | None:
    try:
        return measure(tool, model, input_size, inputs=inputs)
    except ToolFailed:
        return None
