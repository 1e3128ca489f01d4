"""Attention for a network that is there already."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import VGG, convnext, mobilenetv3

from cbam_course.attention import AttentionFactory, IdentityStart, starting_as_identity
from cbam_course.attention.controls import is_compiled
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


class Insertion(NamedTuple):
    """One block that was put into a network: ``model.get_submodule(name)``, for C ``channels``.

    ``block`` is its class, that of the block inside if it starts as the identity, and
    ``parameters`` the number of its parameters.
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
    """

    insertions: tuple[Insertion, ...]
    start_as_identity: bool

    @property
    def parameters(self) -> int:
        """The number of parameters of all blocks."""
        return sum(insertion.parameters for insertion in self.insertions)

    def __str__(self) -> str:
        kinds = Counter(insertion.block for insertion in self.insertions)
        counts = (f"{n} {kind} block{'s' if n > 1 else ''}" for kind, n in kinds.items())
        start = ", at first the identity" if self.start_as_identity else ""
        rows = []
        for _, group in groupby(self.insertions, lambda insertion: insertion[1:]):
            first, *others = group
            names = f"{first.name} to {others[-1].name}" if others else first.name
            each = " each" if others else ""
            numbers = f"{first.channels} channels, {first.parameters:,} parameters{each}"
            rows.append((names, f"{1 + len(others)} x {numbers}"))
        width = max(len(names) for names, _ in rows)
        lines = [f"{', '.join(counts)}{start}, {self.parameters:,} parameters"]
        lines += [f"  {names:{width}}  {numbers}" for names, numbers in rows]
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
    stage, before its max-pool. Such a network may be a part of another.

    The arguments, attributes and hooks of modules stay, and so do the keys of the state dict, with
    those of the block beside them, under the name ``attention`` (``attention_behind`` in a part of
    the course's networks that can have attention itself). A ResNet of torchvision gets the keys of
    the course's. Blocks have the device, the precision and the mode (training or evaluation) of the
    module before them, and their parameters want gradients, whether the network's do or not.

    A copy of the network is called, in evaluation mode, to find the channels of the insertion
    points. It gets its blocks and is called again; if that fails, or anything else is refused, the
    network stays as it was. Only the blocks' weights draw random numbers.

    Args:
        model: the network.
        attention: a name that :func:`~cbam_course.attention.make_attention` knows or a factory
            ``channels -> module``.
        where: the names of modules after which blocks go, as in ``model.named_modules()``, or
            patterns: ``*`` stands for any part of a name between two dots, as in ``"layer1.*"`` or
            ``"features.*.conv"``, ``?`` for any character. An ``nn.Sequential`` gets the block as
            its last element, another module as a part that a forward hook calls. A module that
            runs several times is followed by its block each time.
        start_as_identity: whether the blocks start as the identity, so that the network's outputs
            do not change at first; see :class:`~cbam_course.attention.IdentityStart`.
        example: what to call the network with, on its device; zeros of shape ``[1, C, 224, 224]``
            if ``None``, with the channels C of the first convolution.

    Returns:
        The :class:`InsertionReport`.

    Raises:
        ValueError: if nothing says where, a name or pattern matches nothing, an insertion point has
            attention already, is not run, or its output is not ``[B, C, H, W]`` with one C; if the
            network is compiled, cannot be called with the example or, with the blocks, any more; or
            if a block refuses the number of channels.

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
    if is_compiled(model):
        raise ValueError(
            "the network is compiled, and what was compiled would go on running without the "
            "blocks; insert attention first, and compile then"
        )

    points = list(_default_points(model) if where is None else _named_points(model, where))
    if not points:
        raise ValueError(
            f"{type(model).__name__} has no residual branches that are known; name modules in "
            "where, as in model.named_modules()"
        )
    taken = [name for name, module in points if _has_attention(module)]
    if taken:
        raise ValueError(f"these insertion points have attention already: {', '.join(taken)}")
    put = _attach if where is not None else _attach_in_branch
    blocks = _make_and_try(model, points, factory, put, example)
    for (_, module), (block, _) in zip(points, blocks, strict=True):
        put(module, block)
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()  # or what was compiled of this network would go on without blocks

    names = {module: name for name, module in model.named_modules()}
    insertions = []
    for block, channels in blocks:
        kind = type(block.block if isinstance(block, IdentityStart) else block).__name__
        parameters = sum(parameter.numel() for parameter in block.parameters())
        insertions.append(Insertion(names[block], channels, kind, parameters))
    return InsertionReport(tuple(insertions), start_as_identity)


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
        # Each part between the dots matches the same part of the pattern.
        wanted = pattern.split(".")
        found = [
            module
            for name, module in modules.items()
            if len(parts := name.split(".")) == len(wanted) and all(map(fnmatchcase, parts, wanted))
        ]
        if not found:
            raise ValueError(f"where: no module is called {pattern!r}")
        chosen.update(found)
    return ((name, module) for name, module in model.named_modules() if module in chosen)


def _has_attention(module: nn.Module) -> bool:
    """Whether a block is there; parts of the course's networks have an empty one, and run it."""
    block = getattr(module, "attention", nn.Identity())
    return not isinstance(block, nn.Identity) or hasattr(module, "attention_behind")


def _attach_in_branch(module: nn.Module, block: nn.Module) -> None:
    """Let ``block`` be the end of a residual block's branch; other modules it follows."""
    if type(module) in RESIDUAL:
        # Our class has no further state, and the forward pass that calls the attention.
        module.__class__ = RESIDUAL[type(module)]
        module.attention = block
    else:
        _attach(module, block)


def _attach(module: nn.Module, block: nn.Module) -> None:
    """Let ``block`` follow ``module``."""
    module.add_module("attention_behind" if hasattr(module, "attention") else "attention", block)
    # A subclass with a forward pass of its own may not run what is appended.
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        module.register_forward_hook(_refine)


def _refine(module: nn.Module, args: tuple, output: Tensor) -> Tensor:
    """The forward hook of a module that a block follows."""
    return getattr(module, "attention_behind", module.attention)(output)


def _make_and_try(
    model: nn.Module,
    points: list[tuple[str, nn.Module]],
    factory: AttentionFactory,
    put: Callable[[nn.Module, nn.Module], None],
    example: Any,
) -> list[tuple[nn.Module, int]]:
    """Blocks for these insertion points, with their channels; a copy of the network has run them.

    Raises:
        ValueError: if the network cannot be called, a module puts out no feature map, a block
            refuses its channels, or it does not run as often as the module that it follows.
    """
    if example is None:
        first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None:
            raise ValueError("without an nn.Conv2d to tell the input channels, give an example")
        example = first.weight.new_zeros(1, first.in_channels, 224, 224)
    copied = deepcopy(model).eval()
    parts = {name: copied.get_submodule(name) for name, _ in points}
    try:
        runs = _watch(copied, parts, example)
    except Exception as error:
        raise ValueError(f"give an example that the network can be called with: {error}") from error

    blocks, tried = [], {}
    for name, module in points:
        if problem := _no_feature_map(runs[name]):
            raise ValueError(f"no block can follow {name}: {problem}")
        feature = runs[name][0]
        try:
            block = factory(feature.shape[1])
        except ValueError as error:
            raise ValueError(f"no block for {name}: {error}") from None
        block.to(feature.device, feature.dtype).train(module.training)
        block.is_attention = True  # as attention_blocks finds it
        blocks.append((block, feature.shape[1]))
        tried[name] = deepcopy(block).eval()
        put(parts[name], tried[name])
    try:
        again = _watch(copied, tried, example)
    except Exception as error:
        raise ValueError(f"with the blocks the network cannot be called: {error}") from error
    for name, outputs in runs.items():
        if len(again[name]) != len(outputs):
            raise ValueError(
                f"no block can follow {name}, which runs its parts in a way of its own: the block "
                f"would run {len(again[name])} times instead of {len(outputs)}"
            )
    return blocks


def _watch(
    model: nn.Module, modules: Mapping[str, nn.Module], example: Any
) -> dict[str, list[Any]]:
    """Call a copy of a network: what these parts of it put out, each time they run."""
    outputs: dict[str, list[Any]] = {name: [] for name in modules}
    hooks = [
        module.register_forward_hook(
            lambda m, args, output, name=name: outputs[name].append(output)
        )
        for name, module in modules.items()
    ]
    gpus = {parameter.get_device() for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(sorted(gpus)), torch.no_grad():
        model(example)
    for hook in hooks:
        hook.remove()
    return outputs


def _no_feature_map(outputs: list[Any]) -> str:
    """Why what a module puts out is no feature map with one number of channels; or nothing."""
    if not outputs:
        return "it is not run"
    if not all(isinstance(x, Tensor) and x.dim() == 4 and x.is_floating_point() for x in outputs):
        return "its output is no [B, C, H, W]"
    shapes = [list(x.shape) for x in outputs]
    if len({channels for _, channels, _, _ in shapes}) > 1:
        return f"its outputs differ in their channels: {shapes}"
    _, first, second, last = shapes[0]
    if first == second != last:
        return (
            f"its output {shapes[0]} looks like [B, H, W, C] and has to be [B, C, H, W]; if it is, "
            "give an example image of another size"
        )
    return ""
