"""What every builder of a network does with its arguments."""

from collections.abc import Callable

from torch import nn

from ..attention import AttentionFactory
from .checks import as_factory


def build(
    make: Callable[[AttentionFactory | None, int], nn.Module],
    attention: AttentionFactory | str | None,
    num_classes: int | None,
    *,
    classes: int = 1000,
) -> nn.Module:
    """Make the network ``make(factory, number of classes)``, of ``classes`` classes if not told."""
    return make(as_factory(attention), classes if num_classes is None else num_classes)
