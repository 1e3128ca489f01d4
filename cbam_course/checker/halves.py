"""One half of a block by itself: its gate, its pools, and what makes scores of them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .probe import CLOSE, CannotJudge, Probe, differs, features, spread
from .report import Finding, finding

SIZE, WIDE = (12, 10), 71
LARGEST_KERNEL = 15
# The lowest and the highest gate as multiples of that of a zero score; the first of the two
# sigmoids may be one on each pool's score.
ENDS = (
    ("sigmoid", 0, 2), ("two-sigmoids", 0.804, 1.175), ("two-sigmoids", 0.684, 1.205),
    ("relu-last", 1, 2), ("product-twice", 0, 4),
)  # fmt: skip


class Half:
    """The channel or the spatial half of a block, the other half being held constant.

    Args:
        probe: the block.
        name: ``"channel"`` or ``"spatial"``.
        own: names of the half's parameters.
        others: those of the other half, which are set to zero.
        scale: undoes what the other half then makes of the input.
    """

    def __init__(
        self, probe: Probe, name: str, own: list[str], others: list[str], scale: float = 1.0
    ) -> None:
        self.probe, self.name, self.own, self.others, self.scale = probe, name, own, others, scale
        self.axis = 1 if name == "channel" else 2  # along which its map differs
        self.x = features(probe.channels)
        probe.zero()
        self.start = float(probe.gate(self.x).mean())  # both halves' gate when all weights are zero
        self.judged = self.hard = False  # is its function known, and is it a hard sigmoid?
        self.pools, self.times = [], 0  # which pools arrive, and how many branches are added

    def draw(self, seed: int = 0, gain: float = 0.15) -> None:
        """Random weights in this half, zero in the other."""
        self.probe.draw(self.own, gain, seed)
        self.probe.zero(self.others)

    def fill(self, value: float) -> None:
        """One value in all weights of this half and no biases; zero in the other half."""
        self.probe.fill(value, self.own)
        self.probe.zero(self.others)

    def gate(self, x: Tensor) -> Tensor:
        """The whole gate, the other half's constant included: [N, C, HW]."""
        return self.probe.gate(x * self.scale)

    def map(self, x: Tensor) -> Tensor:
        """The half's map, 1/2 where the score is zero: [N, C] or [N, HW]."""
        return self.gate(x).mean(3 - self.axis) / self.start / 2

    def score(self, x: Tensor) -> Tensor:
        """What goes into the sigmoid, up to a factor if that is a hard one: [N, C] or [N, HW]."""
        return self.map(x) - 0.5 if self.hard else self.map(x).logit()

    def moves(self, one: Tensor, other: Tensor, last: int = 0) -> float:
        """How far the (last values of the) maps of two inputs are apart, over some weights."""
        apart = 0.0
        for seed in range(4):  # with one of them a few hidden units may all be silent
            self.draw(seed)
            apart = max(apart, differs(self.map(one)[:, -last:], self.map(other)[:, -last:]))
        return apart

    def pooled(self, average: Tensor, maximum: Tensor, seed: int = 0) -> Tensor:
        """Features with these pools: [N, C] over the positions, or [N, H, W] over the channels."""
        if self.name == "channel":
            return spread(average, maximum, SIZE[0] * SIZE[1], seed).unflatten(2, SIZE)
        return spread(average, maximum, self.probe.channels, seed).permute(0, 3, 1, 2)

    def constant(self, values: Tensor) -> Tensor:
        """Features whose averages and maxima are both ``values``."""
        if self.name == "channel":
            return values[:, :, None, None].expand(-1, -1, 4, 4)
        return values[:, None].expand(-1, self.probe.channels, -1, -1)

    def finding(self, code: str, got: object = "", names: str = "") -> Finding:
        """A finding in this half."""
        return finding(code, got, self.name, names)

    def activation(self) -> Iterator[Finding]:
        """The function that makes the map of the scores, if it is not a sigmoid."""
        if abs(self.start) < CLOSE:  # of which half's making?
            self.probe.draw()
            self.probe.zero(self.own)
            if differs(self.probe.gate(self.x), 0):
                return

        def gates(gain: float) -> Tensor:
            drawn = []
            for seed in range(4):
                self.draw(seed, gain)
                drawn.append(self.gate(self.x))
            return torch.stack(drawn)

        means = gates(0.15).mean(1 + self.axis)
        if abs(self.start) > CLOSE**2 and not differs(means / self.start, 1):
            yield self.finding("softmax", f"means of {self.start:.3g} for every image")
            return
        large = torch.cat([gates(-30.0), gates(30.0)])
        low, high = float(large.min()), float(large.max())
        got, code = f"{self.start:.3g} at first, then {low:.3g} to {high:.3g}", "gate-range"
        if abs(self.start) < CLOSE:
            code = "tanh" if max(-low, high) < 1.01 else "no-sigmoid"
            if -0.2785 < low < -0.25 and high > 1:  # the least value of s * sigmoid(s)
                code = "own-score"
        for name, least, most in ENDS:
            if max(abs(low - least * self.start), abs(high - most * self.start)) < 0.1 * self.start:
                code = name
        self.judged = code == "sigmoid"
        if not self.judged:
            yield self.finding(code, got)
            return
        size = gates(4.0).abs()
        self.hard = bool((size == 0).any() and not ((size > 0) & (size < 1e-6)).any())
        if self.hard:
            yield self.finding("hard-sigmoid")

    def look(self, details: dict[str, str | int]) -> Iterator[Finding]:
        """What is wrong with this half, or differs; fills ``details``."""
        self.draw()
        gate = self.gate(self.x)
        if apart := differs(gate, gate.mean(3 - self.axis, keepdim=True)):
            yield self.finding("wrong-axis", apart)
            return
        shape = (8, self.probe.channels) if self.name == "channel" else (8, *SIZE)
        low, high = torch.randn(2, *shape, dtype=torch.float64)
        top = torch.maximum(low, high) + 1
        if self.name == "channel":
            order = torch.randperm(SIZE[0] * SIZE[1])
            shuffled = self.x.flatten(2)[..., order].view_as(self.x)
            if apart := self.moves(shuffled, self.x):
                yield self.finding("not-global", apart)
                return
        one, other = (self.pooled(low, top, seed) for seed in (0, 1))
        if apart := self.moves(one, other):
            middle = self.score((one + other) / 2)
            if self.axis == 1 or differs((self.score(one) + self.score(other)) / 2, middle):
                if self.others or self.axis == 1:
                    yield self.finding("other-statistic", apart)
                    return
                far = self.x.clone()
                far[:, :, 0] *= 2  # this is felt at the other end only through a channel map
                if not self.moves(far, self.x, last=SIZE[1]):
                    raise CannotJudge(
                        "the positions' weights depend on more than the channels' averages and "
                        "maxima, as in pixel attention and BAM's spatial half"
                    )
                yield self.finding("product-missing", apart)
                return
            yield self.finding("learned-pool")
        changes = {"avg": self.pooled(high, top), "max": self.pooled(low, top + 1)}
        self.pools = [pool for pool, x in changes.items() if self.moves(x, one)]
        pools = "a learned sum" if apart else " and ".join(self.pools)
        details[f"{self.name} pools"] = pools
        if not pools:
            yield self.finding("constant-gate", "the same map", names="other averages and maxima")
        elif self.axis == 1:
            yield from self._channel(low, high, top, details)
        else:
            yield from self._spatial(low, top, bool(apart), details)

    def _channel(self, low: Tensor, high: Tensor, top: Tensor, details: dict) -> Iterator[Finding]:
        larger = self.x.repeat(1, 1, 2, 2)
        gate = self.gate(larger)
        if differs(gate, gate.mean(2, keepdim=True)):
            raise CannotJudge("on maps of 24 x 20 it computes something else than on 12 x 10")
        if apart := self.moves(larger, self.x):
            yield self.finding("sum-pool", apart)
            return
        yield from self._mixing(details)
        yield from self._branches()
        if len(self.pools) == 2:  # f(average) + f(maximum), with one f?
            self.draw(seed=3)
            maxima = top, top + torch.rand_like(top)
            s = [[self.score(self.pooled(a, m)) for m in maxima] for a in (low, high)]
            alone = [self.score(self.constant(v)) for v in (low, top, (low + top) / 2)]
            if apart := differs(s[0][0], (alone[0] + alone[1]) / 2):
                code = "light" if self.times == 1 else "pools-before-mlp"
                if differs(s[0][0], alone[2]):
                    mixed = differs(s[0][0] + s[1][1], s[0][1] + s[1][0])
                    code = "pools-joined" if mixed else "unshared-mlp"
                    if not differs(s[0][0].square(), alone[0] * alone[1]):
                        code = "scores-multiplied"
                        del details["hidden units"], details["reduction"]
                yield self.finding(code, apart)

    def _mixing(self, details: dict[str, str | int]) -> Iterator[Finding]:
        """Which layers stand between pools and scores."""
        channels = self.probe.channels
        u, v = torch.randn(2, 2 * channels, channels, dtype=torch.float64)
        zero, unit = torch.zeros_like(u[:1]), torch.eye(channels, dtype=u.dtype)

        def f(values: Tensor) -> Tensor:
            return self.score(self.constant(values)) - self.score(self.constant(zero))

        def adds_up(u: Tensor, v: Tensor) -> bool:
            for seed in range(4):  # a few hidden units may all be on the same side of 0
                self.draw(seed)
                if differs(f(u) + f(v), f(u + v)):
                    return False
            return True

        linear = adds_up(u, v)
        self.draw(seed=1)
        if differs(self.score(self.constant(zero)), 0):
            yield self.finding("bias")
        width = int(torch.linalg.matrix_rank(f(u), rtol=1e-4))
        kernel = kernel_size(f(unit)) if linear else 0
        if kernel:
            width = abs(kernel)
            details |= {"mode": "conv", "channel kernel": width}
            if kernel < 0:
                yield self.finding("circular")
        elif linear:
            details["mode"] = "one layer"
            yield self.finding("single-layer" if width == channels else "no-relu", "they add up")
        else:
            details |= {"mode": "fc", "hidden units": width, "reduction": channels // width}
            if adds_up(u.abs(), v.abs()):
                yield self.finding("relu-first", "they add up")
            self.fill(0.1)
            if differs(self.score(self.constant(-u.abs() * 10 / channels)), 0):
                yield self.finding("activation")
        # Equal weights that make the score of each branch 0.3 for pools of one.
        self.fill(0.3 / width if linear else (0.3 / width / channels) ** 0.5)
        self._count(float(self.score(self.constant(zero + 1)).max()) / 0.3)

    def _spatial(self, low: Tensor, top: Tensor, learned: bool, details: dict) -> Iterator[Finding]:
        self.draw()
        images = torch.zeros(2, WIDE, WIDE, dtype=low.dtype)
        images[1, WIDE // 2, WIDE // 2] = 1
        dark, bright = self.map(self.constant(images)).view_as(images)
        felt = (bright - dark).abs() > 1e-7
        if not learned:
            self.fill(0.3 / 49)
            ones = float(self.score(self.constant(torch.ones_like(images[:1]))).max())
            self._count(ones / (0.3 / 49) / max(1, int(felt.sum())))
            yield from self._branches()
            yield from self._planes(low, top)
        ends = [felt.any(axis).nonzero().flatten()[[0, -1]] - WIDE // 2 for axis in (1, 0)]
        size = details["spatial kernel"] = " x ".join(str(int(b - a) + 1) for a, b in ends)
        if any(first != -last for first, last in ends):
            reach = " and ".join(f"{int(first)} to {int(last)}" for first, last in ends)
            yield self.finding("off-center", f"felt from {reach}")
        elif max(int(last) for _, last in ends) > LARGEST_KERNEL // 2:
            yield self.finding("kernel-too-large", f"felt over {size}")
        elif int(felt.sum()) < (2 * int(ends[0][1]) + 1) * (2 * int(ends[1][1]) + 1):
            yield self.finding("dilated")

    def _planes(self, low: Tensor, top: Tensor) -> Iterator[Finding]:
        """One convolution with a plane for each pool."""
        self.draw(seed=1)
        origin, step = self.score(self.constant(low * 0)), torch.rand_like(low) / 2
        if differs(origin, 0):
            yield self.finding("bias")
        start = self.score(self.pooled(low, top))
        total = start + self.score(self.constant(step)) - origin
        if apart := differs(self.score(self.pooled(low + step, top + step)), total):
            yield self.finding("not-linear", apart)
        elif len(self.pools) == 2:
            risen = self.score(self.pooled(low, top + step))
            if not differs(self.score(self.pooled(low + step, top)), risen):
                yield self.finding("pools-added" if self.times == 2 else "light", "the same map")
            for weight in (self.probe.parameters[name].data for name in self.own):
                if weight.dim() > 2 and weight.shape[-3] == 2:
                    weight[..., 0, :, :] = 0  # is the maximum gone?
                    if not differs(*(self.map(self.pooled(low, m)) for m in (top, top + step))):
                        yield self.finding("max-first")

    def _count(self, score: float) -> None:
        """How many branches, 1 or 2, make a score given in units of one branch's; 0 for others."""
        # Of a hard sigmoid the slope is 1/6, 0.2 or 0.5; all products with 1 and 2 are different.
        slopes = (1 / 6, 0.2, 0.5) if self.hard else (1.0,)
        fits = [n for n in (1, 2) for s in slopes if abs(score / (n * s) - 1) < 0.02]
        self.times = fits[0] if fits else 0

    def _branches(self) -> Iterator[Finding]:
        """A pool that is used where the other one belongs; or one pool."""
        if len(self.pools) == 1 and self.times == 2:
            missing = "max" if self.pools == ["avg"] else "avg"
            yield self.finding(f"{missing}-missing", "the same")
        elif len(self.pools) == 1:
            yield self.finding("one-pool", names=self.pools[0])


def kernel_size(matrix: Tensor) -> int:
    """The kernel size if the matrix is that of a convolution, negative if circular; 0 if not."""
    channels = len(matrix)
    diagonals = {k: matrix.diagonal(k) for k in range(1 - channels, channels)}
    used = [k for k, values in diagonals.items() if differs(values, 0)]
    near = [k for k in used if abs(k) <= channels // 2]
    size = 2 * max(map(abs, near), default=0) + 1
    if size >= channels or any(differs(diagonals[k], diagonals[k].mean()) for k in used):
        return 0
    return size if used == near else -size
