"""Attention for a network that is there already."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import VGG, convnext, mobilenetv3

from cbam_course.attention import AttentionFactory, IdentityStart, starting_as_identity
from cbam_course.attention.factory import as_factory

from .mobilenet import InvertedResidual
from .resnet import BasicBlock, Bottleneck

RESIDUAL = {
    kind: ours
    for ours in (BasicBlock, Bottleneck, InvertedResidual)
    for kind in (ours, ours.__base__)
}
"""Residual blocks, ours and torchvision's, and the class of ours that they are or become.

Only these very classes: a subclass of somebody's may have another forward pass.
"""

SEQUENTIAL = (mobilenetv3.InvertedResidual, convnext.CNBlock)
"""Residual blocks whose branch is one sequence, called ``block``: it is made longer."""


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
            keys in the state dict. There are none without ``where``.
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
        width = max(len(names) for names, _ in rows)
        lines = [f"{', '.join(counts)}{start}, {self.parameters:,} parameters"]
        lines += [f"  {names:{width}}  {numbers}" for names, numbers in rows]
        lines += [f"  in the state dict {old}* is now {new}*" for old, new in self.renamed]
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

    The number of channels of each insertion point is found by calling a copy of the network once,
    in evaluation mode: the state of the random numbers stays as it is until the blocks draw their
    weights. Blocks have the device, the precision and the mode (training or evaluation) of the
    module before them, and their parameters want gradients, whether the network's do or not. If
    anything is refused, nothing is changed.

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
        ValueError: if nothing says where, a name or pattern matches nothing, an insertion point has
            a block already, is not run, is run with different numbers of channels, or its output is
            not ``[B, C, H, W]``; if the network cannot be called with the example, or a block
            refuses the number of channels.

    Example:
        >>> model = torchvision.models.resnet50()
        >>> print(insert_attention(model, "cbam-fc", start_as_identity=True))
        16 CBAM blocks, at first the identity, 2,516,528 parameters
          layer1.0.attention to layer1.2.attention  3 x 256 channels, 8,291 parameters each
          layer2.0.attention to layer2.3.attention  4 x 512 channels, 32,867 parameters each
          layer3.0.attention to layer3.5.attention  6 x 1024 channels, 131,171 parameters each
          layer4.0.attention to layer4.2.attention  3 x 2048 channels, 524,387 parameters each
    """
    factory = as_factory(attention)
    if factory is None:
        raise ValueError(f"attention must be a block to insert; got {attention!r}")
    if start_as_identity:
        factory = starting_as_identity(factory)

    points = list(_default_points(model) if where is None else _named_points(model, where))
    if not points:
        raise ValueError(
            f"{type(model).__name__} has no residual branches that are known; name modules in "
            "where, as in model.named_modules()"
        )
    taken = [name for name, module in points if _has_attention(module)]
    if taken:
        raise ValueError(
            f"{len(taken)} of {len(points)} insertion points have attention already, the first is "
            f"{taken[0]}"
        )
    features = _find_features(model, [name for name, _ in points], example)
    blocks = []
    for (name, module), feature in zip(points, features, strict=True):
        try:
            block = factory(feature.shape[1])
        except ValueError as error:
            raise ValueError(f"no block for {name}: {error}") from None
        blocks.append(block.to(feature.device, feature.dtype).train(module.training))
    for (_, module), block in zip(points, blocks, strict=True):
        if where is None and type(module) in RESIDUAL:
            # The layers, their names and the hooks of a torchvision block stay what they are. Our
            # class has no further state, and the forward pass that calls the attention.
            module.__class__ = RESIDUAL[type(module)]
            module.attention = block
        else:
            _append(model, module, block)

    # Only now: a module may be inside of another one that was wrapped.
    names = {module: name for name, module in model.named_modules()}
    insertions = []
    for block, feature in zip(blocks, features, strict=True):
        kind = type(block.block if isinstance(block, IdentityStart) else block).__name__
        parameters = sum(parameter.numel() for parameter in block.parameters())
        insertions.append(Insertion(names[block], feature.shape[1], kind, parameters))
    renamed = [
        (f"{name}.", f"{names[module]}.")
        for name, module in points
        if names[module] != name and module.state_dict()
    ]
    return InsertionReport(tuple(insertions), start_as_identity, tuple(renamed))


def _default_points(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Residual blocks or their branches, and the last layers of the stages of a VGG."""
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if type(module) in RESIDUAL:
            yield name, module
        elif isinstance(module, SEQUENTIAL):
            yield f"{prefix}block", module.block
        elif isinstance(module, VGG):
            for (number, layer), (_, following) in pairwise(module.features.named_children()):
                if isinstance(following, nn.MaxPool2d):
                    yield f"{prefix}features.{number}", layer


def _named_points(model: nn.Module, where: str | Iterable[str]) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose names are in ``where`` or match a pattern there."""
    # A module that is shared has several names, and may be called by any of them.
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    chosen = set()
    for pattern in [where] if isinstance(where, str) else where:
        found = [module for name, module in modules.items() if _matches(name, pattern)]
        if not found:
            raise ValueError(f"where: no module of model.named_modules() is called {pattern!r}")
        chosen.update(found)
    return ((name, module) for name, module in model.named_modules() if module in chosen)


def _matches(name: str, pattern: str) -> bool:
    """Whether each part of a name, between the dots, matches the same part of a pattern."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _has_attention(module: nn.Module) -> bool:
    """Whether a residual block or a sequence has a block of ours, by its name."""
    if not isinstance(module, (nn.Sequential, *RESIDUAL)):
        return False
    return not isinstance(getattr(module, "attention", nn.Identity()), nn.Identity)


def _append(model: nn.Module, module: nn.Module, block: nn.Module) -> None:
    """Let ``block`` follow ``module``: at the end of a sequence, or in a new one of the two."""
    # A subclass with a forward pass of its own may not run what is appended.
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        module.add_module("attention", block)
        return
    owners = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent._modules.items()  # named_children() lists a shared one once
        if child is module
    ]
    both = nn.Sequential(OrderedDict([("0", module), ("attention", block)]))
    both.training = module.training
    for parent, name in owners:
        setattr(parent, name, both)


def _find_features(model: nn.Module, names: list[str], example: Any) -> list[Tensor]:
    """Call a copy of the network once: the feature map behind each of the modules.

    Raises:
        ValueError: if the call fails, or what a module puts out is no feature map.
    """
    if example is None:
        first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None:
            raise ValueError("without an nn.Conv2d to tell the input channels, give an example")
        example = first.weight.new_zeros(1, first.in_channels, 224, 224)
    seen: dict[str, list[Any]] = {name: [] for name in names}
    gpus = {parameter.get_device() for parameter in model.parameters() if parameter.is_cuda}
    copied = deepcopy(model).eval()
    for name, outputs in seen.items():
        layer = copied.get_submodule(name)
        layer.register_forward_hook(lambda m, args, output, to=outputs: to.append(output))
    try:
        with torch.random.fork_rng(sorted(gpus)), torch.no_grad():
            copied(example)
    except Exception as error:
        what = f"a tensor {list(example.shape)}" if isinstance(example, Tensor) else repr(example)
        raise ValueError(
            f"the network could not be called with {what} to find its channels; give an example "
            f"that it can be called with: {error}"
        ) from error
    for name, outputs in seen.items():
        if not outputs:
            raise ValueError(f"no block can follow {name}: it is not run")
        for x in outputs:
            if not (isinstance(x, Tensor) and x.dim() == 4 and x.is_floating_point()):
                raise ValueError(f"no block can follow {name}: its output is no [B, C, H, W]")
        if len({x.shape[1] for x in outputs}) > 1:
            raise ValueError(f"no block can follow {name}: its outputs differ in their channels")
    return [outputs[0] for outputs in seen.values()]
