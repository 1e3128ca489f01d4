"""torchinfo and ptflops behind one function, on copies and in silence."""

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import torch
import torchinfo
from torch import Tensor, nn
from torchinfo.torchinfo import clear_cached_forward_pass

from .layers import on_device

with warnings.catch_warnings():
    # It imports timm where that is installed, which may complain about missing widgets.
    warnings.simplefilter("ignore")
    import ptflops


class ToolFailed(Exception):
    """A tool that cannot count a model; the message says why."""


def measure(tool: str, model: nn.Module, inputs: list[Tensor]) -> int:
    """The multiply-accumulates of ``model`` as a tool counts them.

    The tools leave hooks behind and print, so each gets a copy of the model, and silence. The copy
    is in float32 on the CPU, and computes: on the meta device PyTorch takes some operators apart,
    and ptflops would count the parts too.

    Raises:
        ToolFailed: if the tool cannot count this model.
        ValueError: for an unknown tool.
    """
    if tool not in TOOLS:
        raise ValueError(f"tool must be one of {', '.join(map(repr, TOOLS))}; got {tool!r}")
    with torch.random.fork_rng([]), redirect_stdout(io.StringIO()) as said:
        with redirect_stderr(io.StringIO()):
            try:
                macs = TOOLS[tool](*on_device("cpu", model, inputs))
            except Exception as error:
                raise ToolFailed(f"{tool}: {error.__cause__ or error}") from error
    if macs is None:  # ptflops prints what happened, and goes on
        raise ToolFailed(f"{tool}: {said.getvalue().strip().splitlines()[-1]}")
    return int(macs)


def by_torchinfo(model: nn.Module, inputs: list[Tensor]) -> int:
    try:
        return torchinfo.summary(model, input_data=inputs, verbose=0).total_mult_adds
    finally:
        clear_cached_forward_pass()  # it would keep the model


def by_ptflops(model: nn.Module, inputs: list[Tensor], backend: str) -> int | None:
    return ptflops.get_model_complexity_info(
        _Supplied(model, inputs),
        (1,),
        input_constructor=lambda size: torch.zeros(1),
        as_strings=False,
        print_per_layer_stat=False,
        backend=backend,
    )[0]


class _Supplied(nn.Module):
    """A model that has its inputs: ptflops hands over one, and divides by its batch size."""

    def __init__(self, model: nn.Module, inputs: list[Tensor]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, x: Tensor) -> Tensor:
        return self.model(*self.inputs)


TOOLS: dict[str, Callable[[nn.Module, list[Tensor]], int | None]] = {
    "torchinfo": by_torchinfo,
    "ptflops aten": lambda model, inputs: by_ptflops(model, inputs, "aten"),
    "ptflops pytorch": lambda model, inputs: by_ptflops(model, inputs, "pytorch"),
}
"""The tools that are compared, by name."""
