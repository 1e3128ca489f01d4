"""Controls: a gate that does not look at the image, and attention switched off."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .arguments import check_integer
from .block import AttentionBlock
from .cbam import CBAM
from .identity import IdentityStart


class ConstantGate(AttentionBlock):
    r"""A learned weight for each channel, the same for every image and every position.

    .. math:: M = \sigma(w) \in (0, 1)^C, \qquad F'_c = \sigma(w_c) \, F_c

    What an attention block would be if it paid no attention: what a network gains from this block,
    it does not owe to looking. At first all weights are 1/2, near which a fresh block's map is too.

    Input and output are ``[B, C, H, W]``, the map is ``[B, C, 1, 1]``.

    Args:
        channels: number of channels C.

    Raises:
        ValueError: if ``channels`` is not a positive integer; on call, if the input has not four
            axes or not C channels.

    Source: a control of this course.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_integer("channels", channels)
        self.weight = nn.Parameter(torch.zeros(channels))

    def attention_map(self, x: Tensor) -> Tensor:
        """The weights, one copy for each image: ``[B, C, H, W]`` -> ``[B, C, 1, 1]``."""
        self.check_input(x)
        gate = torch.sigmoid(self.weight).to(x.dtype)
        return gate[None, :, None, None].expand(x.shape[0], -1, 1, 1)


def attention_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The attention blocks of a network by their names, in the order of ``named_modules``.

    Blocks from elsewhere are known if the course has put them into the network: by a builder or by
    :func:`~cbam_course.models.insert_attention`. A block inside a block, such as the channel half
    of a CBAM, is not listed by itself.

    Args:
        model: the network, or a block.

    Example:
        >>> list(attention_blocks(nn.Sequential(nn.Conv2d(3, 32, 3), CBAM(32))))
        ['1']
    """
    blocks: dict[str, nn.Module] = {}
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        ours = isinstance(module, AttentionBlock | CBAM | IdentityStart)
        if (ours or getattr(module, "is_attention", False)) and module not in inside:
            blocks[name] = module
            inside.update(module.modules())
    return blocks


def is_compiled(model: nn.Module) -> bool:
    """Whether the network or a part of it was given to ``torch.compile``."""
    return any(hasattr(m, "_orig_mod") or m._compiled_call_impl for m in model.modules())


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run networks as they are written meanwhile: what was compiled does not see later hooks."""
    if "torch._dynamo" not in sys.modules:
        yield  # nothing can have been compiled
    else:
        with torch.compiler.set_stance("force_eager"):
            yield


@contextmanager
def attention_off(model: nn.Module) -> Iterator[None]:
    """Set every gate of a network to 1 meanwhile: each block hands on what it is given.

    Args:
        model: the network. Its weights are not touched. If it was compiled, it runs uncompiled.
    """

    def unchanged(block: nn.Module, inputs: tuple, output: object) -> object:
        return inputs[0]

    hooks = [block.register_forward_hook(unchanged) for block in attention_blocks(model).values()]
    try:
        with uncompiled():
            yield
    finally:
        for hook in hooks:
            hook.remove()
