"""How the networks of the course get their attention."""

from collections.abc import Iterable

from torch import nn

from cbam_course.attention import AttentionFactory
from cbam_course.attention.factory import as_factory


def attach(
    attention: AttentionFactory | str | None, points: Iterable[tuple[nn.Module, str, int]]
) -> None:
    """Put a block at each insertion point: a module, the name of its attribute and its channels C.

    A network does this last, so that the blocks draw their random weights last: after one and the
    same seed, networks with different attention start from the same convolutions and classifier.

    Raises:
        ValueError: if ``attention`` is neither a factory nor a name nor ``None``, or a block
            refuses the number of channels.
    """
    factory = as_factory(attention)
    if factory is not None:
        for module, name, channels in points:
            setattr(module, name, factory(channels))
            getattr(module, name).is_attention = True  # as attention_blocks finds it
