r"""Training with fewer bytes: one autograd function for a block of one or two halves.

The blocks' own code says what they compute. Autograd keeps each product of it for the backward
pass and adds full-size gradients one by one. :class:`_Fused` keeps the input, the positions of the
maxima and the small tensors, and computes the products again. With :math:`y_0 = x`, a half i makes
:math:`y_i = M_i \otimes y_{i-1}` with :math:`M_i = \mathrm{gate}_i(\mathrm{pools}(y_{i-1}))`, and
back, from the gradient g of :math:`y_i`,

.. math::

    \frac{\partial L}{\partial M_i} = \sum g \otimes y_{i-1}, \qquad
    \frac{\partial L}{\partial y_{i-1}} = g \otimes M_i + [\text{at the maxima}]\, g_{\max}
        + \frac{g_{\mathrm{avg}}}{n}

where the sum runs over the axes on which the map has size 1, n is the number of values in an
average, and :math:`g_{\max}` and :math:`g_{\mathrm{avg}}`, the gradients of the pooled values, are
left to autograd: the gate between pools and map works on small tensors.

Values and gradients are those of the plain code, the gradient of a maximum going to the first of
equal values, as ``max(dim)`` has it. On a CPU even the rounding is the same, because the sums have
the same order, as long as the block is all that its input is given to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 2**19
"""Numbers of a feature map below which fewer bytes do not pay for more calls; measured on a CPU."""

PART = 2**17, 2**18
"""How many numbers the passes over a batch on a CPU take at a time, so that they stay in its cache:
the sixteenth of a batch, for which memory is taken meanwhile, but between these."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_enabled = ContextVar("enabled", default=True)


@contextmanager
def fused_attention(enabled: bool) -> Iterator[None]:
    """Let the blocks use the fused autograd function, as is the default, or meanwhile not.

    In eager mode it serves CBAM in any order but ``"parallel"``, and its halves alone when a
    gradient is wanted, with the pools ``"avg"`` and ``"max"``, for batches of at least
    ``SMALLEST`` numbers. What is compiled, exported or traced, ``torch.func``, and blocks with
    hooks inside run as they are written. A backward pass whose gradients are to be differentiated
    again (``create_graph=True``) is refused; switch it off for that.

    Args:
        enabled: whether to use it.

    Example:
        >>> with fused_attention(False):
        ...     CBAM(64)(torch.randn(2, 64, 8, 8)).sum().backward()
    """
    before = _enabled.set(enabled)
    try:
        yield
    finally:
        _enabled.reset(before)


def fusable(x: Tensor, *halves: nn.Module) -> bool:
    """Whether the fused function can compute these halves of ``x``, one after the other.

    A class that it serves says in ``fused_over`` over which axes it pools. A subclass does not
    inherit that: it may compute something else.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or type(x) is not Tensor:
        return False  # torch.fx and torch.export come with tensors of other types
    if not (_enabled.get() and _is_plain_map(x) and all(map(_is_plain_half, halves))):
        return False
    return len(halves) > 1 or _wants_gradient(x, halves)  # else there is nothing to gain


def _is_plain_map(x: Tensor) -> bool:
    if x.dim() != 4 or not x.is_floating_point() or x.is_meta or x.numel() < SMALLEST:
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def _is_plain_half(half: nn.Module) -> bool:
    if "fused_over" not in vars(type(half)) or not {*half.pools} <= {"avg", "max"}:
        return False
    hooked = any(getattr(part, hooks) for part in half.modules() for hooks in _HOOKS)
    return not hooked and "forward" not in vars(half)


def _wants_gradient(x: Tensor, halves: tuple[nn.Module, ...]) -> bool:
    return torch.is_grad_enabled() and (
        x.requires_grad or any(p.requires_grad for half in halves for p in half.parameters())
    )


def fused(x: Tensor, *halves: nn.Module) -> tuple[Tensor, ...]:
    """The refined features and the maps of the halves, each of the features before it.

    Args:
        x: a feature map ``[B, C, H, W]`` for which :func:`fusable` holds.
        halves: one or two blocks.

    Returns:
        ``(refined, map)`` or ``(refined, first map, second map)``.
    """
    for half in halves:
        half.check_input(x)
    if not _wants_gradient(x, halves):
        refined, maps, *_ = _refine(halves, x, False)
        return refined, *maps
    return _Fused.apply(halves, x, *(p for half in halves for p in half.parameters()))


class _Fused(torch.autograd.Function):
    """See above; :func:`fused` tells arguments and results."""

    @staticmethod
    def forward(ctx: Any, halves: tuple, x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        refined, maps, positions, ctx.graphs = _refine(halves, x, True)
        ctx.halves = halves
        ctx.save_for_backward(x, *maps, *positions, *parameters)
        ctx.set_materialize_grads(False)
        return refined, *maps

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *map_grads: Tensor | None) -> tuple:
        x, *saved = ctx.saved_tensors
        halves, count = ctx.halves, len(ctx.halves)
        maps, positions = saved[:count], saved[count : 2 * count]
        if torch.is_grad_enabled():  # create_graph=True
            raise RuntimeError(
                "gradients of fused attention cannot be differentiated again: call the network "
                "in `with fused_attention(False):`"
            )
        if grad is None:  # a loss of the maps alone
            grad = x.new_zeros(()).expand_as(x)
        to_x, size = torch.empty_like(x, memory_format=_format(grad)), _part(x)
        parts, belows, aboves = x.split(size), to_x.split(size), grad.split(size)
        cuts = [attention.split(size) for attention in maps]
        where = [_moved(each, x, to_x, size) for each in positions]
        pooled, to_weights = (), []

        def descend(i: int, number: int) -> Tensor:
            """Part i of the gradient of a half's features, from that of the features it refined."""
            above = aboves[i] if number == count - 1 else belows[i]
            below = torch.mul(above, cuts[number][i], out=belows[i])
            _spread(below, halves[number], [cut[i] for cut in pooled], where[number][i])
            return below

        def to_map(number: int) -> Tensor:
            """The gradient of a half's map, which meets that of the features refined by it."""
            scratch, sums = torch.empty_like(belows[0]), []
            for i, part in enumerate(parts):
                above = aboves[i] if number == count - 1 else descend(i, number + 1)
                product = scratch[: len(part)]
                before = torch.mul(part, cuts[0][i], out=product) if number else part
                torch.mul(above, before, out=product)
                sums.append(product.sum(halves[number].fused_over, keepdim=True))
            given = map_grads[number]
            return _join(sums) if given is None else _join(sums) + given

        for number in reversed(range(count)):
            to_pooled, found = _through_gate(*ctx.graphs[number], to_map(number))
            pooled, to_weights = [each.split(size) for each in to_pooled], [*found, *to_weights]
        if not ctx.needs_input_grad[1]:
            return None, None, *to_weights
        for i in range(len(parts)):
            descend(i, 0)
        return None, to_x, *to_weights


def _refine(halves: tuple, x: Tensor, gradient: bool) -> tuple[Tensor, list, list, list]:
    """The refined features and the maps; for a gradient, the positions and the gates' graphs."""
    refined, size = torch.empty_like(x), _part(x)
    parts, products = x.split(size), refined.split(size)
    maps, positions, graphs = [], [], []
    for half in halves:
        if maps:
            weighed = zip(parts, maps[0].split(size), products, strict=True)
            parts = (torch.mul(part, m, out=product) for part, m, product in weighed)
        pooled = [_pool(part, half, gradient) for part in parts]
        *values, where = (_join(each) for each in zip(*pooled, strict=True))
        with torch.set_grad_enabled(gradient):
            attention = half.gate([each.requires_grad_(gradient) for each in values])
        graphs.append((values, attention, list(half.parameters())))
        maps.append(attention.detach())
        positions.append(where)
    if len(maps) == 1:
        torch.mul(x, maps[0], out=refined)
    else:
        refined.mul_(maps[1])
    return refined, maps, positions, graphs


def _part(x: Tensor) -> int:
    """How many images are taken at a time."""
    if x.device.type != "cpu":
        return len(x)
    return max(1, min(max(x.numel() // 16, PART[0]), PART[1]) // x[0].numel())


def _join(parts: Sequence[Tensor | None]) -> Tensor | None:
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)


def _format(x: Tensor) -> torch.memory_format:
    """The memory format of products with ``x``."""
    for form in (torch.contiguous_format, torch.channels_last):
        if x.is_contiguous(memory_format=form):
            return form
    return torch.preserve_format


def _in_memory(x: Tensor) -> Tensor:
    """As the numbers lie, ``[B, R, S]``: ``[B, C, H * W]``, or in channels_last the other way."""
    return x.flatten(2) if x.is_contiguous() else x.permute(0, 2, 3, 1).flatten(1, 2)


def _moved(positions: Tensor | None, old: Tensor, new: Tensor, size: int) -> Sequence:
    """The positions, which count the numbers of ``old``, as those of ``new``, in parts."""
    if positions is None:
        return [None] * len(old)
    if old.is_contiguous() != new.is_contiguous():
        rows, columns = _in_memory(old[:1]).shape[1:]
        within = positions % (rows * columns)
        positions = positions - within + within % columns * rows + within // columns
    return positions.split(size)


def _pool(x: Tensor, half: nn.Module, gradient: bool) -> list[Tensor | None]:
    """The pooled values and, at the end, for a gradient, the positions of the maxima in memory."""
    over, pooled, positions = half.fused_over, [], None
    for pool in half.pools:
        if pool == "avg":
            pooled.append(x.mean(over, keepdim=over == (1,)))
        elif not gradient:
            pooled.append(x.amax(over, keepdim=over == (1,)))
        else:
            inner = x.is_contiguous() == (over == (2, 3))
            values, positions = (_inner_maximum if inner else _outer_maximum)(_in_memory(x))
            positions = positions.int() if x.numel() < 2**31 else positions
            pooled.append(values if over == (2, 3) else values.view(len(x), 1, *x.shape[2:]))
    return [*pooled, positions]


def _outer_maximum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of ``[B, R, S]`` over R, ``[B, S]``, and their positions in ``x.flatten()``."""
    (batch, rows, size), device = x.shape, x.device
    if device.type == "cpu":  # several times as fast as `max`: S as channels, in channels_last
        image = x.view(batch, rows, 1, size).permute(0, 3, 1, 2)
        values, index = F.adaptive_max_pool2d(image, 1, return_indices=True)
        values, index = values.view(batch, size), index.view(batch, size)
    else:
        values, index = x.max(1)
    starts = torch.arange(0, batch * rows * size, rows * size, device=device)
    return values, index * size + torch.arange(size, device=device) + starts[:, None]


def _inner_maximum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of ``[B, R, S]`` over S, ``[B, R]``, and their positions in ``x.flatten()``."""
    (batch, rows, size), count = x.shape, x.shape[0] * x.shape[1]
    length = next((n for n in (32, 64, 56, 49, 48, 28) if size % n == 0 and size > 3 * n), None)
    starts = torch.arange(0, count * size, size, device=x.device)
    if x.device.type != "cpu" or length is None:
        values, index = x.view(count, size).max(1)
    else:  # `amax` is faster than `max`, so that a number is looked for in the right stretch only
        stretches = x.view(count, size // length, length)
        values, stretch = stretches.amax(2).max(1)
        where = stretch + torch.arange(0, count * (size // length), size // length)
        index = stretches.flatten(0, 1).index_select(0, where).max(1).indices + stretch * length
    return values.view(batch, rows), (index + starts).view(batch, rows)


def _spread(x: Tensor, half: nn.Module, pooled: list[Tensor], positions: Tensor | None) -> None:
    """Add to the gradient ``x`` those of the pooled values, in the order in which autograd does."""
    for pool, grad in reversed(list(zip(half.pools, pooled, strict=True))):
        if pool == "max":
            _in_memory(x).view(-1).scatter_add_(0, positions.flatten().long(), grad.flatten())
        else:
            grad = grad / (x.numel() // grad.numel())
            x.add_(grad[:, :, None, None] if half.fused_over == (2, 3) else grad)


def _through_gate(
    values: list[Tensor], attention: Tensor, weights: list[Tensor], grad: Tensor
) -> tuple[list[Tensor], list[Tensor | None]]:
    """The gradients of the pooled values and of the gate's weights from that of the map."""
    wanted = [*values, *(weight for weight in weights if weight.requires_grad)]
    found = iter(
        torch.autograd.grad(
            attention, wanted, grad.to(attention.dtype), retain_graph=True, allow_unused=True
        )
    )
    to_values = [next(found) for _ in values]
    return to_values, [next(found) if weight.requires_grad else None for weight in weights]
