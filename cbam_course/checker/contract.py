"""What any block has to keep to as a module, whatever it computes."""

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .probe import CannotJudge, Probe, differs, features, first_tensor
from .report import Finding, finding


def contract(probe: Probe) -> Iterator[Finding]:
    """What is wrong with a block as a module; after "random" and "batch" there is no going on."""
    probe.draw()
    x = features(probe.channels).to(probe.type)
    for training in (True, False):
        changed = x.clone()
        with torch.no_grad():
            copy.deepcopy(probe.block).train(training)(changed)
    if not torch.equal(changed, x):
        yield finding("changes-input", float((changed - x).abs().max()))
    if empty := [name for name, value in probe.parameters.items() if not value.numel()]:
        yield finding("constant-gate", "no elements", names=" and ".join(empty))
    y = probe(x)
    if not y.isfinite().all():
        raise CannotJudge("block(x) has values that are not finite")
    if apart := differs(probe(x), y):
        yield finding("random", apart)
        return
    alone = torch.cat([probe(one[None]) for one in x])
    if alone.shape != y.shape or differs(alone, y):
        yield finding("batch", "others")
        return
    yield from _gradients(probe, x)


def _gradients(probe: Probe, x: Tensor) -> Iterator[Finding]:
    silent = {name for name, value in probe.parameters.items() if value.numel()}
    # A block may do on large maps what it leaves out on small ones.
    for seed, inputs in enumerate((x.repeat(1, 1, 2, 2), x, x)):
        probe.draw(seed=seed)
        learning = {name: p for name, p in probe.parameters.items() if p.requires_grad}
        leaf = inputs.clone().requires_grad_()
        total = first_tensor(probe.block(leaf * 1)).double().square().sum()
        grad, *grads = torch.autograd.grad(
            total, [leaf, *learning.values()], allow_unused=True, materialize_grads=True
        )
        silent -= {n for n, g in zip(learning, grads, strict=True) if g.abs().sum() > 1e-9}
    if silent:
        yield finding("no-gradient", "zero", names=" and ".join(sorted(silent)))
    direction, step = torch.randn_like(x), 1e-6 if probe.type == torch.float64 else 1e-2
    ahead, behind = (probe(x + s * direction).square().sum() for s in (step, -step))
    slope, seen = float((grad * direction).sum()), float((ahead - behind) / (2 * step))
    if abs(slope - seen) > 0.01 * max(abs(seen), float(grad.norm())):
        yield finding("gradient", f"{slope:.4g}, where {seen:.4g} is seen")


def one_line(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _counts_channels(block: Any, arguments: dict[str, Any]) -> bool:
    """Whether the first argument is the number of channels, which is then given without a name."""
    first = next(iter(inspect.signature(block).parameters.values()), None)
    if first is None or first.name in arguments or block.__init__ is nn.Module.__init__:
        return False
    # A default that is odd, or several numbers, is of kernels: such a block takes any channels.
    odd = isinstance(first.default, int) and first.default % 2 == 1
    return not (odd or isinstance(first.default, tuple | list))


def make(block: Any, channels: int, arguments: dict[str, Any]) -> nn.Module:
    """A module from a class or factory, which is called with the number of channels."""
    try:
        first = (channels,) if _counts_channels(block, arguments) else ()
        made = block(*first, **arguments)
    except TypeError as error:
        raise CannotJudge(
            f"it cannot be made from {channels} channels and {arguments or 'nothing else'}: "
            f"{error}. Give what it needs by keyword, such as --arg reduction=8"
        ) from None
    if not isinstance(made, nn.Module):
        raise CannotJudge(f"it made {type(made).__name__}, and not a torch.nn.Module")
    return made


def ignored_arguments(block: Any, channels: int, given: dict[str, Any]) -> Iterator[str]:
    """Arguments, given or with a number as default, whose value makes no difference."""
    defaults = {name: p.default for name, p in inspect.signature(block).parameters.items()}
    shown = _shown(block, channels, given)
    names = [*defaults, *(given.keys() - defaults.keys())]
    for name in names[1:] if _counts_channels(block, given) else names:
        default = defaults.get(name, inspect.Parameter.empty)
        value = given.get(name, default)
        value = tuple(value) if isinstance(value, list) else value
        others = [default] if name in given and default is not inspect.Parameter.empty else []
        if type(value) in (int, float):  # 1, since many take no fewer than 4 or 8 hidden units
            others += [type(value)(v) for v in (value * 2, value * 4, value + 2, value / 2, 1)]
        answers = [_shown(block, channels, {**given, name: v}) for v in others if v != value]
        answers = [answer for answer in answers if answer]
        if answers and all(_same(answer, shown) for answer in answers):
            yield name


def _shown(block: Any, channels: int, arguments: dict[str, Any]) -> list[Tensor]:
    """All that a seeded block shows: weights and answers; nothing if a value is refused."""
    torch.manual_seed(0)
    try:
        made, x = make(block, channels, arguments), features(channels).float()
        with torch.no_grad():
            answers = [first_tensor(made.train(mode)(x.clone())) for mode in (True, False)]
        return [*answers, *made.state_dict().values()]
    except Exception:  # so the argument counts
        return []


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))
