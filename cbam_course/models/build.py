"""What every builder of a network does with its arguments."""

from typing import Any

from torch import nn

from ..attention import AttentionFactory, starting_as_identity
from ..attention.block import check_flag
from .checks import as_factory
from .weights import Weights, load_source, read_source


def build(
    network: str,
    kind: type[nn.Module],
    attention: AttentionFactory | str | None,
    weights: Weights | None,
    num_classes: int | None,
    start_as_identity: bool,
    *,
    classes: int = 1000,
    **options: Any,
) -> nn.Module:
    """Make a network, and load weights into it.

    Args:
        network: its name; torchvision's if torchvision has weights for it.
        kind: its class.
        attention: a name, a factory or ``None``.
        weights: what :func:`~cbam_course.models.load_weights` takes, the name of torchvision's
            weights, or ``None``.
        num_classes: number of classes; ``None`` for that of the weights.
        start_as_identity: whether the attention blocks start as the identity.
        classes: number of classes if nothing else says it.
        options: further arguments of ``kind``.
    """
    factory = as_factory(attention)
    if check_flag("start_as_identity", start_as_identity) and factory is not None:
        factory = starting_as_identity(factory)
    if weights is None:
        return kind(
            attention=factory,
            num_classes=classes if num_classes is None else num_classes,
            **options,
        )
    source = read_source(weights, network, options.get("version"))
    if num_classes is None:
        num_classes = source.classes(kind.classifier_name) or classes
    model = kind(attention=factory, num_classes=num_classes, **options)
    model.load_report = load_source(model, source)
    return model
