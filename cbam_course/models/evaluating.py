"""Running a network for what can be seen on the way, and leaving it as it was."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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
