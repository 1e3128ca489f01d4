"""What every builder of a network does with its arguments."""

from collections.abc import Callable

from torch import nn

from ..attention import AttentionFactory
from .checks import as_factory


def build(
    make: Callable[[AttentionFactory | None, int], nn.Module],
    attention: AttentionFactory | str | None,
    num_classes: int | None,
) -> nn.Module:
    """Make the network ``make(factory, number of classes)``."""
    return make(as_factory(attention), 1000 if num_classes is None else num_classes)
