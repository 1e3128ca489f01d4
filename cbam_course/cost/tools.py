"""torchinfo and ptflops behind one function, on copies and in silence."""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable

import torch
import torchinfo
from torch import Tensor, nn
from torchinfo.torchinfo import clear_cached_forward_pass

from .running import Inputs, InputSize, check_model, make_inputs

with warnings.catch_warnings():
    # It imports timm where that is installed, which may complain about missing widgets.
    warnings.simplefilter("ignore")
    import ptflops


class ToolFailed(Exception):
    """A tool that cannot count a model; the message says why."""


def measure(
    tool: str,
    model: nn.Module,
    input_size: InputSize = (3, 224, 224),
    *,
    inputs: Inputs = None,
) -> int:
    """The multiply-accumulates of ``model`` as a tool counts them.

    The tools leave hooks behind and print, so each gets a copy of the model, and silence. The copy
    is in float32 on the CPU, and computes: on the meta device PyTorch takes some operators apart,
    and ptflops would count the parts too. A model on the meta device needs the memory of its
    parameters meanwhile, and ptflops that of all features.

    Args:
        tool: one of :data:`TOOLS`.
        model: the model, on any device.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the model's input, or a tuple of its inputs, instead of ``input_size``.

    Raises:
        ToolFailed: if the tool cannot count this model.
        ValueError: for an unknown tool, and for what :func:`~cbam_course.cost.count` refuses.
    """
    return TOOLS[check_tool(tool)](*stand_in(model, input_size, inputs))


def by_torchinfo(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    return torchinfo_summary(model, inputs).total_mult_adds


def torchinfo_summary(model: nn.Module, inputs: tuple[Tensor, ...]) -> torchinfo.ModelStatistics:
    try:
        with torch.random.fork_rng([]):
            return torchinfo.summary(model, input_data=list(inputs), verbose=0)
    except RuntimeError as error:
        raise ToolFailed(f"torchinfo: {error.__cause__ or error}") from error
    finally:
        clear_cached_forward_pass()  # it would keep the model


def by_ptflops(model: nn.Module, inputs: tuple[Tensor, ...], backend: str) -> int:
    said = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(torch.random.fork_rng([]))
        macs, _ = ptflops.get_model_complexity_info(
            _OneInput(model, inputs),
            tuple(inputs[0].shape[1:]) or (1,),
            input_constructor=lambda size: inputs[0],
            as_strings=False,
            print_per_layer_stat=False,
            backend=backend,
        )
    if macs is None:  # it prints what happened, and goes on
        raise ToolFailed(f"ptflops {backend}: {said.getvalue().strip().splitlines()[-1]}")
    return int(macs)


TOOLS: dict[str, Callable[[nn.Module, tuple[Tensor, ...]], int]] = {
    "torchinfo": by_torchinfo,
    "ptflops aten": lambda model, inputs: by_ptflops(model, inputs, "aten"),
    "ptflops pytorch": lambda model, inputs: by_ptflops(model, inputs, "pytorch"),
}
"""The tools that are compared, by name."""


def check_tool(tool: object) -> str:
    """Return ``tool`` if it is one of :data:`TOOLS`, else raise a ``ValueError``."""
    if not isinstance(tool, str) or tool not in TOOLS:
        raise ValueError(f"tool must be one of {', '.join(map(repr, TOOLS))}; got {tool!r}")
    return tool


class _OneInput(nn.Module):
    """A model with all its inputs but the first in place: ptflops gives it no more."""

    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.model = model
        self.others = inputs[1:]

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, *self.others)


def stand_in(
    model: nn.Module, input_size: InputSize, inputs: Inputs
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A copy of ``model`` and its inputs on the CPU, in float32; it shares what is there already.

    Raises:
        ToolFailed: if the model cannot be copied.
        ValueError: if it is no model, or the input no input.
    """
    check_model(model)
    inputs = make_inputs(model, input_size, inputs)
    parameters = {
        id(p): nn.Parameter(_real(p.detach()), requires_grad=p.requires_grad)
        for p in model.parameters()
    }
    # A module may change its buffers and other tensors when it runs, but not its parameters.
    attributes = (value for module in model.modules() for value in vars(module).values())
    tensors = (*model.buffers(), *(value for value in attributes if isinstance(value, Tensor)))
    changeable = {id(tensor): _real(tensor.detach()).clone() for tensor in tensors}
    try:
        copied = copy.deepcopy(model, {**changeable, **parameters})
    except Exception as error:
        raise ToolFailed(f"{type(model).__name__} cannot be copied: {error}") from error
    return copied, tuple(map(_real, inputs))


def _real(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    if tensor.is_meta:
        return torch.zeros_like(tensor, dtype=dtype, device="cpu")
    return tensor.to("cpu", dtype)
