"""Attention blocks by name, for networks that put one after each of their stages."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .arguments import check, check_choice
from .cbam import CBAM
from .channel import ChannelAttention
from .eca import ECA
from .spatial import SpatialAttention
from .squeeze_excitation import SqueezeExcitation

AttentionFactory = Callable[[int], nn.Module]
"""Makes an attention block from the number of channels C."""


def _spatial(channels: int, **options: Any) -> SpatialAttention:
    return SpatialAttention(channels=channels, **options)


_FACTORIES: dict[str, AttentionFactory | None] = {
    "none": None,
    "se": SqueezeExcitation,
    "eca": ECA,
    "channel-fc": ChannelAttention,
    "channel-conv": partial(ECA, pools=("avg", "max")),
    "spatial": _spatial,
    "cbam-fc": CBAM,
    "cbam-conv": partial(CBAM, mode="conv"),
}

ATTENTION_NAMES = tuple(_FACTORIES)
"""The names of the course's own blocks."""

TIMM = "timm:"
"""How the name of one of timm's blocks begins."""


def make_attention(name: str, **options: Any) -> AttentionFactory | None:
    """A factory ``channels -> block`` for the block called ``name``.

    Args:
        name: one of :data:`ATTENTION_NAMES`, or ``"timm:"`` and a name that timm's ``create_attn``
            knows, such as ``"timm:gc"`` or ``"timm:coord"``.
        options: keyword arguments of the block, such as ``reduction=8`` or ``kernel_size=3``; of
            timm's blocks its own, such as ``rd_ratio=1/8``.

    Returns:
        The factory, or ``None`` for ``"none"``: no attention.

    Raises:
        ValueError: for an unknown name, options given to ``"none"``, or a ``mode``, which the name
            decides; later, when the factory makes a block, for whatever the block refuses.
        ModuleNotFoundError: for one of timm's blocks if timm is missing.

    Example:
        >>> make_attention("cbam-fc", reduction=8)(64).channel_attention.reduction
        8
    """
    if isinstance(name, str) and name.startswith(TIMM):
        return _of_timm(name, options)
    factory = _FACTORIES[check_choice("attention", name, ATTENTION_NAMES)]
    if factory is None and options:
        raise ValueError(f"attention 'none' takes no options; got {options}")
    if "mode" in options:
        raise ValueError(f"attention {name!r} says the mode; got {options}")
    return partial(factory, **options) if options else factory


def _of_timm(name: str, options: dict[str, Any]) -> AttentionFactory:
    """A factory of the blocks that timm calls ``name``, without the course's "timm:"."""
    from timm.layers.create_attn import get_attn

    own = name.removeprefix(TIMM)
    try:
        block = get_attn(own)
    except AssertionError:  # timm's own words
        raise ValueError(f"attention {name!r}: timm's create_attn knows no {own!r}") from None
    return partial(block, **options)


def as_factory(attention: AttentionFactory | str | None) -> AttentionFactory | None:
    """The factory that ``attention`` names or is; ``None`` for no attention.

    Raises:
        ValueError: for an unknown name, and for a block that is made already.
    """
    if isinstance(attention, str):
        return make_attention(attention)
    fine = attention is None or (callable(attention) and not isinstance(attention, nn.Module))
    return check(
        "attention",
        attention,
        fine,
        "a name, None, or a factory that makes a module from the number of channels, such as CBAM "
        "or make_attention('cbam-fc', reduction=8)",
    )
