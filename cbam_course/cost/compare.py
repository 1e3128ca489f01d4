"""Many models, each counted by hand and by the tools: one table."""

from collections.abc import Iterable, Mapping

import pandas as pd

from .count import count
from .layers import Inputs, InputSize, Model, made, make_inputs
from .tools import TOOLS, ToolFailed, measure


def compare(
    models: Mapping[str, Model],
    input_size: InputSize = (3, 224, 224),
    *,
    inputs: Inputs = None,
    tools: Iterable[str] = tuple(TOOLS),
) -> pd.DataFrame:
    """Parameters and multiply-accumulates of several models, by hand and by tools.

    Args:
        models: models by name. A function that makes a model is called on the meta device, where
            making it takes no time and no memory, or, if it cannot work there, on the CPU.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the models' input, or a tuple of their inputs, instead of ``input_size``.
        tools: which of :data:`TOOLS` to ask. Unlike the count by hand they compute, in float32 on
            the CPU; with none of them nothing is computed.

    Returns:
        One row per model, with columns ``parameters``, ``by hand`` (convolutions and fully
        connected layers), one per tool (missing where a tool fails), ``left out`` (products of two
        activations, which ``by hand`` leaves out), and the attention blocks' share, between 0 and
        1, of the first two: ``attention's parameters`` and ``attention's by hand``.

    Raises:
        ValueError: for an unknown tool, and for what :func:`~cbam_course.cost.count` refuses.
    """
    rows = {}
    for name, model in models.items():
        model = made(model)
        cost = count(model, input_size, inputs=inputs)
        rows[name] = {"parameters": cost.parameters, "by hand": cost.macs}
        for tool in tools:
            try:
                rows[name][tool] = measure(tool, model, make_inputs(input_size, inputs))
            except ToolFailed:
                rows[name][tool] = pd.NA
        rows[name] |= {
            "left out": cost.left_out,
            "attention's parameters": cost.attention_parameters / max(cost.parameters, 1),
            "attention's by hand": cost.attention_macs / max(cost.macs, 1),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.astype({tool: "Int64" for tool in TOOLS if tool in table})
