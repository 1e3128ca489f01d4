"""Attention for a network that is there already."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import VGG, convnext, mobilenetv2, mobilenetv3, resnet

from cbam_course.attention import AttentionFactory, IdentityStart, starting_as_identity
from cbam_course.attention.arguments import check, check_flag
from cbam_course.attention.factory import as_factory

from .mobilenet import InvertedResidual
from .resnet import BasicBlock, Bottleneck

RESIDUAL = {
    resnet.BasicBlock: (BasicBlock, "bn2"),
    BasicBlock: (BasicBlock, "bn2"),
    resnet.Bottleneck: (Bottleneck, "bn3"),
    Bottleneck: (Bottleneck, "bn3"),
    mobilenetv2.InvertedResidual: (InvertedResidual, "conv"),
    InvertedResidual: (InvertedResidual, "conv"),
}
"""Residual blocks, the class of ours that they are or become, and the last layer of the branch.

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


@dataclass(frozen=True)
class InsertionPoint:
    """Where a block can go: after which module, whether one is there, and how to put one there."""

    name: str
    after: nn.Module
    taken: bool
    put: Callable[[nn.Module], None]


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
    check("model", model, isinstance(model, nn.Module), "a module")
    factory = as_factory(attention)
    check("attention", attention, factory is not None, "a block to insert")
    if check_flag("start_as_identity", start_as_identity):
        factory = starting_as_identity(factory)

    points = list(_default_points(model) if where is None else _named_points(model, where))
    if not points:
        raise ValueError(
            f"{type(model).__name__} has no residual branches that are known; name modules in "
            f"where, {_suggestion(model)}"
        )
    if taken := [point.name for point in points if point.taken]:
        raise ValueError(
            f"{len(taken)} of {len(points)} insertion points have attention already, the first is "
            f"{taken[0]}"
        )
    features = _find_features(model, points, example)
    blocks = []
    for point, feature in zip(points, features, strict=True):
        try:
            block = factory(feature.shape[1])
        except ValueError as error:
            raise ValueError(f"no block for {point.name}: {error}") from None
        blocks.append(block.to(feature.device, feature.dtype).train(point.after.training))
    for point, block in zip(points, blocks, strict=True):
        point.put(block)

    # Only now: a module may be inside of another one that was wrapped.
    names = {module: name for name, module in model.named_modules()}
    insertions = []
    for block, feature in zip(blocks, features, strict=True):
        kind = type(block.block if isinstance(block, IdentityStart) else block).__name__
        parameters = sum(parameter.numel() for parameter in block.parameters())
        insertions.append(Insertion(names[block], feature.shape[1], kind, parameters))
    renamed = [
        (f"{point.name}.", f"{names[point.after]}.")
        for point in points
        if names[point.after] != point.name and point.after.state_dict()
    ]
    return InsertionReport(tuple(insertions), start_as_identity, tuple(renamed))


def _default_points(model: nn.Module) -> Iterator[InsertionPoint]:
    """The ends of residual branches, and of the stages of a VGG."""
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if type(module) in RESIDUAL:
            kind, last = RESIDUAL[type(module)]
            taken = not isinstance(getattr(module, "attention", nn.Identity()), nn.Identity)
            put = partial(_attach, module, kind)
            yield InsertionPoint(f"{prefix}{last}", module.get_submodule(last), taken, put)
        elif isinstance(module, SEQUENTIAL):
            yield _after(model, f"{prefix}block")
        elif isinstance(module, VGG):
            for (number, _), (_, following) in pairwise(module.features.named_children()):
                if isinstance(following, nn.MaxPool2d):
                    yield _after(model, f"{prefix}features.{number}")


def _named_points(model: nn.Module, where: str | Iterable[str]) -> Iterator[InsertionPoint]:
    """After the modules whose names are in ``where`` or match a pattern there."""
    # A module that is shared has several names, and may be called by any of them.
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    chosen: dict[nn.Module, str] = {}
    for pattern in [where] if isinstance(where, str) else map(str, where):
        found = [name for name in modules if _matches(name, pattern)]
        if not found:
            near = get_close_matches(pattern, modules, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"name some, {_suggestion(model)}"
            raise ValueError(f"where: no module is called {pattern!r}; {hint}")
        chosen |= {modules[name]: name for name in found}
    return (_after(model, name) for name, module in model.named_modules() if module in chosen)


def _matches(name: str, pattern: str) -> bool:
    """Whether each part of a name, between the dots, matches the same part of a pattern."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _attach(module: nn.Module, kind: type[nn.Module], block: nn.Module) -> None:
    # The layers, their names and the hooks of a torchvision block stay what they are. Our class is
    # a subclass of its own without further state; it has the forward pass that calls the attention.
    module.__class__ = kind
    module.attention = block


def _after(model: nn.Module, name: str) -> InsertionPoint:
    """The insertion point after the module of this name."""
    module = model.get_submodule(name)
    # A subclass with a forward pass of its own may not run what is appended.
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        taken = "attention" in dict(module.named_children())
        return InsertionPoint(name, module, taken, partial(module.add_module, "attention"))
    return InsertionPoint(name, module, False, partial(_wrap, model, module))


def _wrap(model: nn.Module, module: nn.Module, block: nn.Module) -> None:
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


def _suggestion(model: nn.Module) -> str:
    """Some modules that may put out feature maps: parts of the network that have convolutions."""
    names = [
        name
        for name, child in model.named_children()
        if any(isinstance(layer, nn.Conv2d) for layer in child.modules())
    ]
    return f"such as {', '.join(map(repr, names[:4]))}" if names else "as in model.named_modules()"


def _find_features(model: nn.Module, points: list[InsertionPoint], example: Any) -> list[Tensor]:
    """Call a copy of the network once: the feature map at each insertion point.

    Raises:
        ValueError: if the call fails, or what passes an insertion point is no feature map.
    """
    if example is None:
        first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None:
            raise ValueError("without an nn.Conv2d to tell the input channels, give an example")
        example = first.weight.new_zeros(1, first.in_channels, 224, 224)
    names = {module: name for name, module in model.named_modules()}
    seen: list[list[Any]] = [[] for _ in points]
    gpus = {parameter.get_device() for parameter in model.parameters() if parameter.is_cuda}
    try:
        copied = deepcopy(model).eval()
        for point, outputs in zip(points, seen, strict=True):
            layer = copied.get_submodule(names[point.after])
            layer.register_forward_hook(lambda m, args, output, to=outputs: to.append(output))
        with torch.random.fork_rng(sorted(gpus)), torch.no_grad():
            copied(example)
    except Exception as error:
        what = f"a tensor {list(example.shape)}" if isinstance(example, Tensor) else repr(example)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            "the network could not be called to find its channels; give an example that it can be "
            f"called with. It was called with {what}: {reason}"
        ) from error
    for point, outputs in zip(points, seen, strict=True):
        if problem := _problem(outputs):
            raise ValueError(f"no block can follow {point.name}: {problem}")
    return [outputs[0] for outputs in seen]


def _problem(outputs: list[Any]) -> str:
    """Why what a module puts out is not a feature map, or not always one; empty if it is."""
    if not outputs:
        return "it is not run when the network is called"
    for output in outputs:
        if not isinstance(output, Tensor):
            return f"it puts out a {type(output).__name__}, no feature map"
        if output.dim() != 4 or not output.is_floating_point():
            kind = f"{output.dtype} {list(output.shape)}"
            return f"it puts out {kind}, no feature map [batch, channels, height, width]"
    kinds = {(output.shape[1], output.dtype, output.device) for output in outputs}
    if len(kinds) > 1:
        channels = ", ".join(sorted(f"{number} ({dtype})" for number, dtype, _ in kinds))
        return f"it runs several times, with different numbers of channels: {channels}"
    return ""
