"""A copy of a block whose weights may be set, and the features that are put into it."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

CLOSE = 2e-5
"""Values that differ by less are equal: rounding of float32, while signals are 0.01 to 1."""


class CannotJudge(Exception):
    """The block does not answer in a way that can be judged; the message says why."""


class Probe:
    """A copy of a block in eval mode, and in float64 if it can, whose weights may be set.

    Args:
        block: the block, which is left as it is.
        channels: number of channels C.

    Attributes:
        refines: whether the block returns refined features; ``False`` for a map.
        rest: what a residual inside adds to every gate; 0 if there is none.
        adds: whether the block adds a map to the features, which is then its answer here.
        fixed: names of parameters that stay 1 whatever is drawn.
    """

    def __init__(self, block: nn.Module, channels: int) -> None:
        self.channels, self.refines, self.rest, self.fixed = channels, True, 0.0, set()
        # Results that a block keeps, such as its last map, cannot be copied with their gradients.
        kept = [value for module in block.modules() for value in vars(module).values()]
        kept += [one for value in kept if isinstance(value, tuple | list) for one in value]
        memo = {id(v): v.detach() for v in kept if isinstance(v, Tensor) and not v.is_leaf}
        self.block, self.type = copy.deepcopy(block, memo).cpu().float().eval(), torch.float32
        self.adds = False
        self(features(channels))  # a lazy layer gets its weights
        try:
            self.block.double()
            self.type = torch.float64
            self(features(channels))
        except RuntimeError:  # it makes tensors of its own, in float32
            self.block.float()
            self.type = torch.float32
        norms = [module for module in self.block.modules() if hasattr(module, "running_mean")]
        self.scales = {id(norm.weight) for norm in norms}
        for norm in norms:
            norm.reset_running_stats()

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters by name."""
        return dict(self.block.named_parameters())

    def __call__(self, x: Tensor) -> Tensor:
        """The block's answer: the features or map that ``block(x)`` is, or has first."""
        with torch.no_grad():
            y = first_tensor(self.block(x.to(self.type, copy=True))).double()
        return y - x if self.adds else y

    def gate(self, x: Tensor) -> Tensor:
        """The factor by which the block multiplies each value: [N, C, H, W] -> [N, C, HW]."""
        x = torch.where(x == 0, 1e-9, x).contiguous()  # as good as 0, and one can divide by it
        y = self(x)
        return (y / x if self.refines else as_map(y).expand_as(x)).flatten(2) - self.rest

    def draw(self, names: Iterable[str] | None = None, gain: float = 0.15, seed: int = 0) -> None:
        """Random weights that make scores near ``gain``, small biases; BatchNorms near 1."""
        generator = torch.Generator().manual_seed(seed)
        for parameter in self._chosen(names):
            random = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if id(parameter) in self.scales:
                value = 1 + 0.5 * random.tanh()
            elif parameter.dim() < 2:
                value = 0.05 * random
            else:
                value = gain * random / max(1, random[:1].numel()) ** 0.5
            parameter.data.copy_(value)

    def fill(self, value: float, names: Iterable[str]) -> None:
        """One value in all weights, no biases, and BatchNorms that change nothing."""
        for parameter in self._chosen(names):
            vector = 1.0 if id(parameter) in self.scales else 0.0
            parameter.data.fill_(value if parameter.dim() > 1 else vector)

    def zero(self, names: Iterable[str] | None = None) -> None:
        """Zero in all parameters."""
        for parameter in self._chosen(names):
            parameter.data.zero_()

    def _chosen(self, names: Iterable[str] | None) -> list[nn.Parameter]:
        for name in self.fixed:
            self.parameters[name].data.fill_(1.0)
        chosen = self.parameters if names is None else names
        return [self.parameters[name] for name in chosen if name not in self.fixed]


def first_tensor(y: object) -> Tensor:
    """The tensor that an answer is, or has first if it is a tuple or list."""
    while isinstance(y, tuple | list) and y:
        y = y[0]
    if not isinstance(y, Tensor):
        raise CannotJudge(f"block(x) returned {type(y).__name__}, and not a tensor")
    return y


def as_map(y: Tensor) -> Tensor:
    """A channel map as [N, C, 1, 1] if it comes as [N, C]."""
    return y[:, :, None, None] if y.dim() == 2 else y


def features(channels: int, seed: int = 0, count: int = 4, size: tuple = (12, 10)) -> Tensor:
    """Features of both signs, all different and none near 0, whose averages differ clearly."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((count, channels, *size), (count, channels, 1, 1), (count, 1, *size))
    x = sum(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return x + x.sign() / 10


def spread(average: Tensor, maximum: Tensor, count: int, seed: int = 0) -> Tensor:
    """Values [..., count] with an average and a maximum, which is always at the same index."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((*average.shape, count - 1), generator=generator, dtype=torch.float64)
    rest = ((count * average - maximum) / (count - 1)).unsqueeze(-1)
    room = (maximum.unsqueeze(-1) - rest) * 0.8
    others = rest + room * (noise - noise.mean(-1, keepdim=True))
    return torch.cat([others, maximum.unsqueeze(-1)], dim=-1).roll(count // 3, -1)


def differs(one: Tensor, other: Tensor | float) -> float:
    """The largest difference, or 0 if it is no more than rounding."""
    largest = float((one - other).abs().max())
    return 0.0 if largest < CLOSE else largest
