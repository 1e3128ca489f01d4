"""What attention on the images themselves thinks of their channels."""

import torch
from torch import Tensor, nn

from cbam_course.attention import attention_blocks

from .device import autocast
from .images import DeviceImages


@torch.inference_mode()
def mean_input_weights(
    model: nn.Module, images: DeviceImages, precision: torch.dtype = torch.float32
) -> list[float] | None:
    """The mean weight of each channel of the images, if channel attention is the first thing there.

    Args:
        model: the network, in evaluation mode afterwards.
        images: over which to take the mean.
        precision: type of number to calculate with.

    Returns:
        One number in (0, 1) for each channel, noise channels last; ``None`` if no attention block
        of the network is given the images as they are, or it has no weights for channels.
    """
    model.eval()
    device = images.labels.device
    example, first = images.example(), []

    def look(block: nn.Module, inputs: tuple, output: object) -> None:
        if inputs and inputs[0] is example:
            first.append(block)

    hooks = [block.register_forward_hook(look) for block in attention_blocks(model).values()]
    try:
        with autocast(device, precision):
            model(example)
            weights = _channel_weights(first[0], example) if first else None
    finally:
        for hook in hooks:
            hook.remove()
    if weights is None:
        return None

    total = torch.zeros(weights.shape[1], device=device)
    for x, _ in images.batches(images.large_batch):
        with autocast(device, precision):
            weights = _channel_weights(first[0], x)
        total += weights.float().sum(dim=0)
    return [value / len(images) for value in images.team.sum(*total.tolist())]


def _channel_weights(block: nn.Module, x: Tensor) -> Tensor | None:
    """The block's weights ``[B, C]``, if it has one for each channel."""
    maps = block.attention_map(x)
    weights = getattr(maps, "channel", maps)  # CBAM has two maps
    if weights is None or weights.shape[2:] != (1, 1):
        return None
    return weights.flatten(1)
