"""Where in a network attention blocks can go, and how many channels there are."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import VGG, convnext, mobilenetv2, mobilenetv3, resnet

from .evaluating import evaluating
from .mobilenet import InvertedResidual
from .resnet import BasicBlock, Bottleneck

# Residual blocks, the class of ours that they are or become, and the last layer of the branch. Only
# these very classes: a subclass of somebody's may have another forward pass.
_RESIDUAL = {
    resnet.BasicBlock: (BasicBlock, "bn2"),
    BasicBlock: (BasicBlock, "bn2"),
    resnet.Bottleneck: (Bottleneck, "bn3"),
    Bottleneck: (Bottleneck, "bn3"),
    mobilenetv2.InvertedResidual: (InvertedResidual, "conv"),
    InvertedResidual: (InvertedResidual, "conv"),
}
# Residual blocks whose branch is one sequence, called `block`: it is made longer.
_SEQUENTIAL = (mobilenetv3.InvertedResidual, convnext.CNBlock)


@dataclass(frozen=True)
class Place:
    """Where an attention block can go.

    Attributes:
        name: what a message calls it.
        after: the module whose output the block gets.
        taken: whether there is a block already.
        put: puts a block there.
    """

    name: str
    after: nn.Module
    taken: bool
    put: Callable[[nn.Module], None]


def default_places(model: nn.Module) -> list[Place]:
    """The ends of residual branches, and of the stages of a VGG.

    Raises:
        ValueError: if there are none.
    """
    places = list(_known_places(model))
    if not places:
        raise ValueError(
            f"{type(model).__name__} has none of the places where attention goes by default; name "
            f"modules in where, {_suggestion(model)}"
        )
    return places


def named_places(model: nn.Module, where: str | Iterable[str]) -> list[Place]:
    """After the modules whose names are in ``where`` or match a pattern there.

    Raises:
        ValueError: if a name or pattern matches nothing.
    """
    patterns = [where] if isinstance(where, str) else where
    if not isinstance(patterns, Iterable) or not (patterns := list(patterns)):
        raise ValueError(f"where must be one or more names of modules or patterns, got {where!r}")
    names: dict[nn.Module, list[str]] = {}  # a module may have several
    for name, module in model.named_modules(remove_duplicate=False):
        if name:
            names.setdefault(module, []).append(name)

    chosen = set()
    for pattern in map(str, patterns):
        found = {module for module in names if any(_matches(n, pattern) for n in names[module])}
        if not found:
            every = [name for aliases in names.values() for name in aliases]
            near = get_close_matches(pattern, every)
            hint = f"did you mean {near[0]!r}?" if near else f"name some, {_suggestion(model)}"
            raise ValueError(f"where: no module is called {pattern!r}; {hint}")
        chosen |= found
    return [_after(model, *names[module]) for module in names if module in chosen]


def _known_places(model: nn.Module) -> Iterator[Place]:
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if type(module) in _RESIDUAL:
            kind, last = _RESIDUAL[type(module)]
            taken = not isinstance(getattr(module, "attention", nn.Identity()), nn.Identity)
            put = partial(_attach, module, kind)
            yield Place(f"{prefix}{last}", module.get_submodule(last), taken, put)
        elif isinstance(module, _SEQUENTIAL):
            yield _after(model, f"{prefix}block")
        elif isinstance(module, VGG):
            layers = [*module.features.named_children()]
            for (number, _), (_, next_layer) in pairwise(layers):
                if isinstance(next_layer, nn.MaxPool2d):
                    yield _after(model, f"{prefix}features.{number}")


def _attach(module: nn.Module, kind: type[nn.Module], block: nn.Module) -> None:
    # The layers, their names and the hooks of a torchvision block stay what they are. Our class is
    # a subclass of its own without further state; it has the forward pass that calls the attention.
    module.__class__ = kind
    module.attention = block


def _after(model: nn.Module, *names: str) -> Place:
    """The place after the module that has these names."""
    module = model.get_submodule(names[0])
    # A subclass with a forward pass of its own may not run what is appended.
    sequence = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
    if sequence:
        taken = "attention" in dict(module.named_children())
        return Place(names[0], module, taken, partial(module.add_module, "attention"))
    # The parents are looked up now: their names change if they are wrapped themselves.
    parents = []
    for name in names:
        parent, _, attribute = name.rpartition(".")
        parents.append((model.get_submodule(parent), attribute))
    return Place(names[0], module, False, partial(_wrap, module, parents))


def _wrap(module: nn.Module, parents: Iterable[tuple[nn.Module, str]], block: nn.Module) -> None:
    both = nn.Sequential(OrderedDict([("0", module), ("attention", block)]))
    both.training = module.training
    for parent, attribute in parents:
        setattr(parent, attribute, both)


def _matches(name: str, pattern: str) -> bool:
    """Whether each part of a name, between the dots, matches the same part of a pattern."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _suggestion(model: nn.Module) -> str:
    """Some modules that may put out feature maps: parts of the network that have convolutions."""
    names = [
        name
        for name, module in model.named_modules()
        if name.count(".") < 2
        and not isinstance(module, nn.Conv2d)
        and any(isinstance(layer, nn.Conv2d) for layer in module.modules())
    ]
    inner = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    some = [name for name in inner if name][:4]
    return f"such as {', '.join(map(repr, some))}" if some else "as in model.named_modules()"


# The forward pass


class Features(NamedTuple):
    """What is to be known of the feature map at a place."""

    channels: int
    device: torch.device
    dtype: torch.dtype


def find_features(model: nn.Module, places: list[Place], example: Any) -> list[Features]:
    """Call the network once and look what goes through each place; the network stays as it is.

    Raises:
        ValueError: if the call fails, or what goes through a place is no feature map.
    """
    if example is None:
        example = _zeros(model)
    seen: dict[nn.Module, set[Any]] = {place.after: set() for place in places}

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.is_floating_point():
            seen[module].add(Features(output.shape[1], output.device, output.dtype))
        elif isinstance(output, Tensor):
            seen[module].add(f"{output.dtype} {list(output.shape)}")
        else:
            seen[module].add(f"a {type(output).__name__}")

    _call(model, example, {module: look for module in seen})
    return [_only(place.name, seen[place.after]) for place in places]


def _only(name: str, seen: set[Any]) -> Features:
    """The one kind of feature map that was seen at a place."""
    if not seen:
        raise ValueError(f"{name} is not run when the network is called in evaluation mode")
    if strange := [found for found in seen if not isinstance(found, Features)]:
        raise ValueError(
            f"attention needs a feature map [batch, channels, height, width]; {name} puts out "
            f"{', '.join(sorted(strange))}"
        )
    if len(seen) > 1:
        found = ", ".join(sorted(f"{f.channels} ({f.dtype}, {f.device})" for f in seen))
        raise ValueError(
            f"{name} runs several times, with different numbers of channels, so that no one block "
            f"can follow it: {found}"
        )
    return next(iter(seen))


def _zeros(model: nn.Module) -> Tensor:
    """The images to call a network with if the caller has none."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise ValueError("the network has no nn.Conv2d to tell its input channels; give an example")
    weight = first.weight
    return torch.zeros(1, first.in_channels, 224, 224, device=weight.device, dtype=weight.dtype)


def _call(model: nn.Module, example: Any, hooks: dict[nn.Module, Callable[..., None]]) -> None:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        with evaluating(model):
            model(example)
    except Exception as error:
        what = f"a tensor {list(example.shape)}" if isinstance(example, Tensor) else type(example)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            "the network could not be called to find its channels; give an example that it can be "
            f"called with. It was called with {what}: {reason}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
