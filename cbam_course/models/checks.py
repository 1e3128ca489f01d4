"""Checks of the arguments that the networks share."""

from collections.abc import Callable

from torch import Tensor, nn

from ..attention import AttentionFactory, make_attention
from ..attention.block import check_positive


def check_integers(name: str, value: object, meaning: str) -> tuple[int, ...]:
    """Return ``value`` as a tuple of positive integers, at least one, else raise a ValueError."""
    try:
        numbers = tuple(check_positive(name, number) for number in value)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers:
        raise ValueError(f"{name} must be {meaning}; got {value!r}")
    return numbers


def check_widths(value: object) -> tuple[int, ...]:
    """Return the channels of each stage as a tuple, or raise a ``ValueError``."""
    return check_integers("widths", value, "the channels of each stage, such as (64, 128, 256)")


def check_factory(attention: object) -> AttentionFactory | None:
    """Return ``attention`` if it is a factory or ``None``, else raise a ``ValueError``."""
    if attention is None or (callable(attention) and not isinstance(attention, nn.Module)):
        return attention
    raise ValueError(
        "attention must be a factory, which makes a module from the number of channels, or None; "
        f"got {attention!r}. make_attention('cbam-fc') makes a factory from a name"
    )


def as_factory(attention: object) -> AttentionFactory | None:
    """The factory that ``attention`` names or is; ``None`` for no attention."""
    return check_factory(make_attention(attention) if isinstance(attention, str) else attention)


def make_block(attention: Callable[[int], nn.Module], channels: int) -> nn.Module:
    """Make one block, and refuse what is no module."""
    block = attention(channels)
    if not isinstance(block, nn.Module):
        raise ValueError(f"attention({channels}) must return a module, it returned {block!r}")
    return block


def check_images(network: nn.Module, x: Tensor, channels: int, smallest: int = 1) -> None:
    """Raise a ``ValueError`` unless ``x`` is a batch of images that ``network`` can take."""
    # Height and width by themselves: `min` of the two would tell torch.export which is smaller.
    if x.dim() != 4 or x.shape[1] != channels or x.shape[2] < smallest or x.shape[3] < smallest:
        raise ValueError(
            f"{type(network).__name__} expects images [batch, {channels}, height, width] of at "
            f"least {smallest} x {smallest}, got a tensor of shape {list(x.shape)}"
        )


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, where it is in ``nn.DataParallel`` or ``torch.compile`` or both."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(model.module)
    # What torch.compile makes is of no public class; this is the name it has in a state dict.
    inside = dict(model.named_children()).get("_orig_mod")
    return model if inside is None else unwrapped(inside)
