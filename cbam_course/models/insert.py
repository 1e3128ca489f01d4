"""Attention for a network that is there already."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import nn

from ..attention import AttentionFactory, IdentityStart, starting_as_identity
from ..attention.block import check_flag
from .checks import as_factory, make_block
from .places import default_places, find_features, named_places


@dataclass(frozen=True)
class Insertion:
    """One block that was put into a network.

    Attributes:
        name: the block's name in the network: ``model.get_submodule(name)`` is the block.
        channels: number of channels C.
        block: the block's class; that of the block inside if it starts as the identity.
        parameters: number of the block's parameters.
    """

    name: str
    channels: int
    block: str
    parameters: int


@dataclass(frozen=True)
class InsertionReport:
    """Where :func:`insert_attention` put blocks; ``str(report)`` is a table of a few lines.

    Attributes:
        insertions: the blocks, in the order of the network's modules.
        start_as_identity: whether they start as the identity.
        renamed: modules that had to be wrapped, as pairs of the old and the new beginning of their
            keys in the state dict. There are none in the default places.
    """

    insertions: tuple[Insertion, ...]
    start_as_identity: bool
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def parameters(self) -> int:
        """The number of parameters of all blocks."""
        return sum(insertion.parameters for insertion in self.insertions)

    def __str__(self) -> str:
        kinds = Counter(insertion.block for insertion in self.insertions)
        counts = (f"{n} {kind} block{'s' if n > 1 else ''}" for kind, n in kinds.items())
        start = ", at first the identity" if self.start_as_identity else ""
        rows = []
        for _, group in groupby(self.insertions, lambda i: (i.channels, i.block, i.parameters)):
            first, *others = group
            names = f"{first.name} to {others[-1].name}" if others else first.name
            each = " each" if others else ""
            numbers = f"{first.channels} channels, {first.parameters:,} parameters{each}"
            rows.append((names, f"{1 + len(others)} x {numbers}"))
        shown = rows if len(rows) <= 10 else rows[:8]
        width = max(len(names) for names, _ in shown)
        lines = [f"{', '.join(counts)}{start}, {self.parameters:,} parameters"]
        lines += [f"  {names:{width}}  {numbers}" for names, numbers in shown]
        if len(shown) < len(rows):
            lines.append(f"  ... and {len(rows) - len(shown)} lines more: see .insertions")
        if self.renamed:
            old, new = self.renamed[0]
            more = f", and {len(self.renamed) - 1} more: see .renamed"
            lines.append(
                f"  in the state dict {old}* is now {new}*{more * (len(self.renamed) > 1)}"
            )
        return "\n".join(lines)


def insert_attention(
    model: nn.Module,
    attention: AttentionFactory | str,
    where: str | Iterable[str] | None = None,
    *,
    start_as_identity: bool = False,
    example: Any = None,
) -> InsertionReport:
    """Put attention blocks into a network that is there already, in place.

    Without ``where`` they go where the papers have them, at the end of every residual branch and
    before the addition: in torchvision's ResNets and relatives, MobileNets v2 and v3 (in all their
    inverted residual blocks, also those that change the size and so add nothing) and ConvNeXts
    (before the branch is scaled). VGG has no branches; there the blocks go to the end of every
    stage, before its max-pool. It does not matter if such a network is a part of another. The keys
    of the state dict stay as they are, with those of the blocks beside them; a ResNet of
    torchvision gets the keys that the same network of the course has.

    The number of channels of each place is found by one forward pass, in evaluation mode, without
    gradients, and with copies of the buffers: weights, statistics, modes and the state of the
    random numbers stay as they are, until the blocks draw their weights. Blocks have the device,
    the precision and the mode (training or evaluation) of their place, and their parameters want
    gradients, whether the network's do or not. If anything is refused, nothing is changed.

    Args:
        model: the network.
        attention: a name of :data:`~cbam_course.attention.ATTENTION_NAMES` or a factory
            ``channels -> module``.
        where: the names of modules after which blocks go, as in ``model.named_modules()``, or
            patterns: ``*`` stands for any part of a name between two dots, as in ``"layer1.*"`` or
            ``"features.*.conv"``, ``?`` for any character. An ``nn.Sequential`` gets the block as
            its last element; another module becomes the first element of a new ``nn.Sequential``,
            which renames the keys of its weights. A module that runs several times is followed by
            its block each time.
        start_as_identity: whether the blocks start as the identity, so that the network's outputs
            do not change at first; see :class:`~cbam_course.attention.IdentityStart`.
        example: what to call the network with, on its device; zeros of shape ``[1, C, 224, 224]``
            if ``None``, with the channels C of the first convolution.

    Returns:
        The :class:`InsertionReport`.

    Raises:
        ValueError: if there is no default place, a name or pattern matches nothing, a place has a
            block already, is not run, is run with different numbers of channels, or its output is
            not ``[B, C, H, W]``; if the network cannot be called with the example, the factory
            makes no module, or a block refuses the number of channels.

    Example:
        >>> model = torchvision.models.resnet50()
        >>> print(insert_attention(model, "cbam-fc", start_as_identity=True))
        16 CBAM blocks, at first the identity, 2,516,528 parameters
          layer1.0.attention to layer1.2.attention  3 x 256 channels, 8,291 parameters each
          layer2.0.attention to layer2.3.attention  4 x 512 channels, 32,867 parameters each
          layer3.0.attention to layer3.5.attention  6 x 1024 channels, 131,171 parameters each
          layer4.0.attention to layer4.2.attention  3 x 2048 channels, 524,387 parameters each
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a module, got {model!r}")
    factory = as_factory(attention)
    if factory is None:
        raise ValueError(f"attention must be a block to insert, got {attention!r}")
    if check_flag("start_as_identity", start_as_identity):
        factory = starting_as_identity(factory)

    places = default_places(model) if where is None else named_places(model, where)
    if taken := [place.name for place in places if place.taken]:
        some = ", ".join(taken[:3]) + (", ..." if len(taken) > 3 else "")
        raise ValueError(f"{len(taken)} of {len(places)} places have attention already: {some}")
    features = find_features(model, places, example)
    blocks = []
    for place, (channels, device, dtype) in zip(places, features, strict=True):
        try:
            block = make_block(factory, channels)
        except ValueError as error:
            raise ValueError(f"no block for {place.name}: {error}") from None
        blocks.append(block.to(device, dtype).train(place.after.training))
    for place, block in zip(places, blocks, strict=True):
        place.put(block)

    # Only now: a place may be inside of another one that was wrapped.
    names = {module: name for name, module in model.named_modules()}
    insertions = []
    for block, (channels, *_) in zip(blocks, features, strict=True):
        kind = type(block.block if isinstance(block, IdentityStart) else block).__name__
        parameters = sum(parameter.numel() for parameter in block.parameters())
        insertions.append(Insertion(names[block], channels, kind, parameters))
    renamed = [
        (f"{place.name}.", f"{names[place.after]}.")
        for place in places
        if names[place.after] != place.name and place.after.state_dict()
    ]
    return InsertionReport(tuple(insertions), start_as_identity, tuple(renamed))
