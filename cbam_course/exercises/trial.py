"""One run of a check: its random inputs, calls into the answer, comparisons and printed values."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .errors import NotSolved, Wrong

SEED = "CBAM_COURSE_SEED"
# Answers in float32 are right too; the printed values, rounded to 1e-3, hardly ever notice.
TOLERANCE = 2e-5

Mistakes = Iterable[tuple[Tensor, str]]


class Trial:
    """What a check works with.

    Attributes:
        number: the exercise, such as ``"2.1"``.
        seed: the seed of all random inputs, from the environment variable ``CBAM_COURSE_SEED``.
        lines: what is printed if the answer passes.
        error: the last error that the answer's own code raised.
    """

    def __init__(self, number: str) -> None:
        self.number = number
        self.seed = _seed()
        self.lines: list[str] = []
        self.error: BaseException | None = None
        mixed = zlib.crc32(f"{number}, seed {self.seed}".encode())
        self._generator = torch.Generator().manual_seed(mixed)

    # Random inputs.

    def rand(self, *shape: int) -> Tensor:
        """Random float64 numbers between 0 and 1."""
        return torch.rand(shape, generator=self._generator, dtype=torch.float64)

    def randn(self, *shape: int) -> Tensor:
        """Random float64 numbers, normally distributed."""
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def integer(self, low: int, high: int) -> int:
        """A random integer from ``low`` to ``high``, both included."""
        return int(torch.randint(low, high + 1, (), generator=self._generator))

    def choice(self, values: Sequence) -> object:
        """One of ``values``."""
        return values[self.integer(0, len(values) - 1)]

    def features(self, batch: int, channels: int, height: int, width: int) -> Tensor:
        """A random feature map whose channels differ in loudness, average and contrast."""
        shape = (batch, channels, 1, 1)
        loudness, average = 0.3 + 1.7 * self.rand(*shape), self.randn(*shape)
        return average + loudness * self.randn(batch, channels, height, width)

    def fill(self, module: nn.Module, skip: Sequence[str] = ()) -> nn.Module:
        """Give the parameters of ``module`` random values, in float64, and return it in eval mode.

        Weights are as large as keeps the scores where the sigmoid is steep; those whose names end
        in one of ``skip`` become zero.
        """
        module = module.double().eval()
        for name, parameter in module.named_parameters():
            inputs = max(1, parameter[0].numel()) if parameter.dim() > 1 else 4
            values = self.randn(*parameter.shape) / inputs**0.5
            parameter.data = torch.zeros_like(values) if name.endswith(tuple(skip)) else values
        return module

    @contextmanager
    def random_numbers(self) -> Iterator[None]:
        """Let code that draws its own random numbers draw the same ones in every trial."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield

    # Calls and comparisons.

    def call(self, function: Callable, *arguments: object, **options: object) -> object:
        """Call a function, class or module of the learner's; tensors are handed over as copies.

        An error inside is told with the learner's part of the traceback.

        Raises:
            NotSolved: if it returns nothing.
            Wrong: if it cannot be called.
        """
        if not callable(function):
            raise Wrong(f"The check needs a function or a class; yours is {_short(function)}.")
        arguments = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
        try:
            result = function(*arguments, **options)
        except BaseException as error:
            self.error = error
            raise
        if result is None or result is ...:
            name = getattr(function, "__name__", type(function).__name__)
            raise NotSolved(
                f"`{name}` returns nothing yet. Is its body written, with a `return` on every way "
                "through it?"
            )
        return result

    def expect(self, condition: object, message: str) -> None:
        """Raise :class:`Wrong` with ``message`` unless ``condition`` holds."""
        if not condition:
            raise Wrong(message)

    def compare(
        self, got: object, expected: Tensor, name: str = "Your result", mistakes: Mistakes = ()
    ) -> Tensor:
        """Compare a tensor of the learner's with the right one.

        Args:
            got: the learner's tensor; its type of numbers and its memory format do not matter.
            expected: the right one.
            name: how a message calls it, such as ``"Your map"``.
            mistakes: pairs of a wrong tensor and the message for whoever has computed it.

        Returns:
            The learner's tensor, detached, in float64.

        Raises:
            Wrong: if they differ.
        """
        got, expected = self.tensor(got, name), expected.detach()
        if close(got, expected):
            return got
        for wrong, message in mistakes:
            # A mistake that makes no difference on this input cannot be the one.
            if not close(wrong.detach(), expected) and close(got, wrong.detach()):
                raise Wrong(message)
        raise Wrong(f"{name} {difference(got, expected)}")

    def tensor(self, value: object, name: str = "Your result") -> Tensor:
        """Return ``value`` in float64 if it is a tensor, else raise :class:`Wrong`."""
        if not isinstance(value, Tensor):
            raise Wrong(f"{name} should be a tensor, and is {_short(value)}.")
        return value.detach().to(device="cpu", dtype=torch.float64)

    # What is printed.

    def show(self, label: str, values: object, digits: int = 3) -> None:
        """Print up to six numbers of the answer's, rounded, if the answer passes.

        Of a larger tensor they are taken from the first to the last element, evenly.
        """
        if isinstance(values, Tensor):
            values = values.detach().double().flatten().tolist()
            last, count = len(values) - 1, min(6, len(values))
            values = [values[last * k // max(1, count - 1)] for k in range(count)]
        elif isinstance(values, int | float):
            values = [values]
        self.lines.append(f"{label}: {' '.join(_rounded(value, digits) for value in values)}")

    def stamp(self, label: str, *numbers: int) -> None:
        """Print one number that depends on all of ``numbers`` and does not give them away."""
        weighed = sum(int(n) * w for n, w in zip(numbers, self.rand(len(numbers)), strict=True))
        self.show(label, float(weighed) % 1, digits=4)


def close(got: Tensor, expected: Tensor) -> bool:
    """Whether two tensors have the same shape and, up to rounding, the same values."""
    if got.shape != expected.shape:
        return False
    got, expected = got.double(), expected.double()
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    return bool(torch.allclose(got, expected, rtol=0, atol=TOLERANCE * scale))


def difference(got: Tensor, expected: Tensor) -> str:
    """Say how two tensors differ, first in shape, then in values."""
    if got.shape != expected.shape:
        shapes = f"has shape {list(got.shape)}, expected {list(expected.shape)}"
        return f"{shapes}{_about_shapes(list(got.shape), list(expected.shape))}."
    if not got.isfinite().all():
        return "has values that are infinite or not a number."
    distance = (got - expected).abs()
    place = [int(i) for i in torch.unravel_index(distance.argmax(), distance.shape)]
    mine, right = got[tuple(place)].item(), expected[tuple(place)].item()
    return (
        f"has the right shape, {list(got.shape)}, but other values: "
        f"at {place} it is {mine:.4g}, expected {right:.4g}."
    )


def _about_shapes(got: list[int], expected: list[int]) -> str:
    lost = len(expected) - len(got)
    if lost > 0 and [n for n in got if n > 1] == [n for n in expected if n > 1]:
        if got == expected[: len(got)]:
            axes = "axis" if lost == 1 else f"{lost} axes"
            return f": keep the last {axes} of size 1"
        return ": keep the axes of size 1"
    if sorted(got) == sorted(expected):
        return ": the axes stand in another order"
    return ""


def _rounded(value: float, digits: int) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0 turns -0.0 into 0.0


def _short(value: object) -> str:
    kind = type(value).__name__
    return f"{value!r} ({kind})" if isinstance(value, str | int | float) else f"of type {kind}"


def _seed() -> int:
    text = os.environ.get(SEED, "") or "0"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{SEED} must be an integer, got {text!r}") from None
