"""Running a model once, and leaving it as it was."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import index

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy

InputSize = Sequence[int]
Inputs = Tensor | tuple[Tensor, ...] | list[Tensor] | None


def check_model(model: object) -> None:
    """Raise a ``ValueError`` unless ``model`` is a module whose parameters have shapes."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a module, got {model!r}")
    lazy = [name for name, p in (*model.named_parameters(), *model.named_buffers()) if is_lazy(p)]
    if lazy:
        raise ValueError(
            f"model has parameters without a shape yet, such as {lazy[0]}: run it once, and they "
            "take the shape that fits its input"
        )


def make_inputs(model: nn.Module, input_size: InputSize, inputs: Inputs) -> tuple[Tensor, ...]:
    """The tensors to run ``model`` on: zeros, a batch of one, or copies of ``inputs``.

    They are where the model's parameters are and, if they are floating-point numbers, of the
    same precision.

    Raises:
        ValueError: if ``input_size`` is not a shape, or ``inputs`` are no tensors.
    """
    tensors = (*model.parameters(), *model.buffers())
    device = tensors[0].device if tensors else None
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), None)
    if inputs is None:
        return (torch.zeros((1, *_check_size(input_size)), device=device, dtype=dtype),)
    inputs = (inputs,) if isinstance(inputs, Tensor) else inputs
    if not isinstance(inputs, (tuple, list)) or not all(isinstance(x, Tensor) for x in inputs):
        raise ValueError(f"inputs must be a tensor or a tuple of tensors, got {inputs!r}")
    # Copies, for a model may work in place.
    return tuple(
        x.detach().to(device, dtype if x.is_floating_point() else None, copy=True) for x in inputs
    )


def _check_size(input_size: object) -> tuple[int, ...]:
    try:
        size = () if isinstance(input_size, str) else tuple(map(index, input_size))
    except TypeError:
        size = ()
    if not size or min(size) < 1:
        raise ValueError(
            "input_size must be the shape of one example, without the batch, such as "
            f"(3, 224, 224); got {input_size!r}"
        )
    return size


@contextmanager
def undisturbed(model: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[None]:
    """Run ``model`` for its shapes alone: evaluation mode, no gradients, every operator visible.

    Afterwards the mode of every module, the buffers and the random numbers are what they were.

    Raises:
        ValueError: if the model does not run on ``inputs``.
    """
    fastpath = torch.backends.mha.get_fastpath_enabled()
    try:
        # PyTorch's fast path runs a whole Transformer layer as one operator, and every kind of
        # device has an operator of its own for self-attention: see the products within.
        torch.backends.mha.set_fastpath_enabled(False)
        with evaluating(model, inputs), sdpa_kernel(SDPBackend.MATH):
            yield
    except Exception as error:
        shapes = ", ".join(str(list(x.shape)) for x in inputs)
        raise ValueError(
            f"{type(model).__name__} does not run on an input of shape {shapes}: {error}"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


@contextmanager
def evaluating(model: nn.Module, inputs: Iterable[Tensor] = ()) -> Iterator[None]:
    """Evaluation mode, no gradients, and copies of the buffers, until the end of the block.

    Afterwards the mode of every module, the buffers and the random numbers are what they were,
    whatever ``model`` did with them.

    Args:
        model: the network.
        inputs: further tensors on whose devices random numbers may be drawn.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = [
        (module, name, buffer)
        for module in modes
        for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False)
    ]
    # Copies, not values to be written back: a write would spoil a backward pass still to come, and
    # a model may also put another tensor, of another shape, in the place of a buffer.
    copies = {buffer: buffer.clone() for _, _, buffer in buffers}
    tensors = (*model.parameters(), *copies, *inputs)
    gpus = sorted({tensor.get_device() for tensor in tensors if tensor.is_cuda})
    with torch.random.fork_rng(gpus), torch.no_grad():
        try:
            # Not model.eval(): somebody's may do more than set the flags.
            for module in modes:
                module.training = False
            for module, name, buffer in buffers:
                setattr(module, name, copies[buffer])
            yield
        finally:
            for module, training in modes.items():
                module.training = training
            for module, name, buffer in buffers:
                setattr(module, name, buffer)
