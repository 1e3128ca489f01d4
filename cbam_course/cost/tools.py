"""torchinfo and ptflops beside the count by hand: on copies, in silence, and in one table."""

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout

import pandas as pd
import torch
import torchinfo
from torch import Tensor, nn
from torchinfo.torchinfo import clear_cached_forward_pass

from .count import count
from .layers import InputSize, Model, made, on_device

with warnings.catch_warnings():
    # It imports timm where that is installed, which may complain about missing widgets.
    warnings.simplefilter("ignore")
    import ptflops


TOOLS = ("torchinfo", "ptflops aten", "ptflops pytorch")
"""The tools that are compared; ptflops looks at operators, or at modules and functions."""


def measure(tool: str, model: nn.Module, inputs: list[Tensor]) -> int | None:
    """The multiply-accumulates of ``model`` as a tool counts them; ``None`` if it fails.

    The tools leave hooks behind and print, so each gets a copy of the model, and silence. The copy
    is in float32 on the CPU, and computes: on the meta device PyTorch takes some operators apart,
    and ptflops would count the parts too.
    """
    silence = io.StringIO()
    with torch.random.fork_rng([]), redirect_stdout(silence), redirect_stderr(silence):
        try:
            model, inputs = on_device("cpu", model, inputs)
            if tool == "torchinfo":
                return torchinfo.summary(model, input_data=inputs, verbose=0).total_mult_adds
            macs, _ = ptflops.get_model_complexity_info(
                _Supplied(model, inputs),
                (1,),
                input_constructor=lambda size: torch.zeros(1),
                as_strings=False,
                print_per_layer_stat=False,
                backend=tool.removeprefix("ptflops "),
            )
            return int(macs)
        except Exception:  # each tool has its own
            return None
        finally:
            clear_cached_forward_pass()  # torchinfo would keep the model


class _Supplied(nn.Module):
    """A model that has its inputs: ptflops hands over one, and divides by its batch size."""

    def __init__(self, model: nn.Module, inputs: list[Tensor]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, x: Tensor) -> Tensor:
        return self.model(*self.inputs)


def compare(models: Mapping[str, Model], input_size: InputSize = (3, 224, 224)) -> pd.DataFrame:
    """Parameters and multiply-accumulates of several models, by hand and by tools.

    Args:
        models: models by name. A function that makes a model is called on the meta device, where
            making it takes no time and no memory, or, if it cannot work there, on the CPU.
        input_size: shape of one example, without the batch; the batch has size 1.

    Returns:
        One row per model, with columns ``parameters``, ``by hand`` (convolutions and fully
        connected layers), one per tool (missing where a tool fails; the tools compute, in float32
        on the CPU), ``left out`` (products of two activations, which ``by hand`` leaves out), and
        the attention blocks' share, between 0 and 1, of the first two: ``attention's parameters``
        and ``attention's by hand``.

    Raises:
        ValueError: for what :func:`~cbam_course.cost.count` refuses.
    """
    rows, example = {}, torch.zeros(1, *input_size)
    for name, model in models.items():
        model = made(model)
        cost = count(model, input_size)
        rows[name] = {
            "parameters": cost.parameters,
            "by hand": cost.macs,
            **{tool: measure(tool, model, [example]) for tool in TOOLS},
            "left out": cost.left_out,
            "attention's parameters": cost.attention_parameters / max(cost.parameters, 1),
            "attention's by hand": cost.attention_macs / max(cost.macs, 1),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype(dict.fromkeys(TOOLS, "Int64"))
