"""Reaching into a network to see what its attention does: find the blocks, switch them off."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from .block import AttentionBlock
from .cbam import CBAM
from .identity import IdentityStart


def attention_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The attention blocks of a network by their names, in the order of ``named_modules``.

    A block inside a block, such as the channel half of a CBAM, is not listed by itself.

    Args:
        model: the network, or a block.

    Example:
        >>> from cbam_course.models import CifarCNN
        >>> list(attention_blocks(CifarCNN(CBAM)))
        ['stages.0.attention', 'stages.1.attention', 'stages.2.attention']
    """
    blocks: dict[str, nn.Module] = {}
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if isinstance(module, AttentionBlock | CBAM | IdentityStart) and module not in inside:
            blocks[name] = module
            inside.update(module.modules())
    return blocks


@contextmanager
def attention_off(model: nn.Module) -> Iterator[None]:
    """Set every gate of a network to 1 meanwhile: each block hands on what it is given.

    Args:
        model: the network. Its weights are not touched.
    """

    def unchanged(block: nn.Module, inputs: tuple, output: object) -> object:
        return inputs[0]

    hooks = [block.register_forward_hook(unchanged) for block in attention_blocks(model).values()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
