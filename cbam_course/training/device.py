"""Where the arithmetic happens, and in which precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``name``.

    Args:
        name: ``"auto"`` for an NVIDIA GPU, else Apple's, else the CPU; or a name PyTorch knows.

    Raises:
        ValueError: if there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            name = "cuda"
        else:
            name = "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device {name!r} is not to be had here ({reason}); 'auto' or 'cpu' always is"
        ) from None
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of number the network calculates with on ``device``.

    Args:
        name: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises:
        ValueError: for ``"float16"`` anywhere but on an NVIDIA GPU.
    """
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        # A Turing GPU (Colab's T4, 7.5) emulates bfloat16, slowly.
        newer = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if newer else torch.float16
    if name == "float16" and device.type != "cuda":
        raise ValueError(f"precision 'float16' needs an NVIDIA GPU, got device '{device}'")
    return getattr(torch, name)


def memory_format(device: torch.device, model: nn.Module | None = None) -> torch.memory_format:
    """How images, and the weights of a model that is to learn, are best stored on ``device``."""
    # Convolutions prefer the channels last, on CPU and GPU alike. On Apple's GPU the backward pass
    # of batch normalization is then wrong: https://github.com/pytorch/pytorch/issues/175189.
    # On CPUs without AVX-512 the gradient of the weights of a 1x1 convolution with a stride and
    # fewer than 8 channels is then written past its memory, so that the process crashes, hangs or
    # learns nonsense: https://github.com/uxlfoundation/oneDNN/issues/6035.
    narrow = device.type == "cpu" and any(
        layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < 8
        for layer in (model.modules() if model is not None else ())
        if isinstance(layer, nn.Conv2d)
    )
    return torch.contiguous_format if narrow or device.type == "mps" else torch.channels_last


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """Calculate in ``precision`` where that is safe, in float32 elsewhere."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)


def describe(device: torch.device) -> str:
    """A device's own name, for the records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
