"""One run of a check: its random inputs, calls into the answer, comparisons and printed values."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, product
from typing import TypeVar

import torch
from torch import Tensor, nn

from .errors import ExerciseError, NotSolved, Stopped, Wrong, story

SEED = "CBAM_COURSE_SEED"
# Answers in float32 are right too; the printed values, rounded to 1e-3, hardly ever notice.
TOLERANCE = 2e-5
UNTOUCHED = "The answer cell still raises NotImplementedError: write your code in its place."
AS_IT_CAME = "The result is still that of the code as it came."

Mistakes = Iterable[tuple[Tensor, str]]
T = TypeVar("T")


class Trial:
    """What a check works with.

    Attributes:
        seed: the seed of all random inputs, from the environment variable ``CBAM_COURSE_SEED``.
        lines: what is printed if the answer passes.
    """

    def __init__(self, number: str) -> None:
        self.seed = int(os.environ.get(SEED) or 0)
        self.lines: list[str] = []
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
        """A random feature map whose channels differ in average and contrast."""
        shape = (batch, channels, 1, 1)
        contrast, average = 0.3 + 1.7 * self.rand(*shape), self.randn(*shape)
        return average + contrast * self.randn(batch, channels, height, width)

    def fill(self, module: nn.Module) -> nn.Module:
        """Give ``module`` random parameters and running statistics in float64, and return it.

        It is in eval mode. Weights are as large as keeps the scores where the sigmoid is steep.
        """
        module = module.double().eval()
        for parameter in module.parameters():
            inputs = max(1, parameter[0].numel()) if parameter.dim() > 1 else 4
            parameter.data = self.randn(*parameter.shape) / inputs**0.5
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(self.randn(*buffer.shape))
            elif name.endswith("running_var"):
                buffer.copy_(0.3 + self.rand(*buffer.shape))
        return module

    # Calls and comparisons.

    def attempt(
        self, function: Callable, *arguments: object, **options: object
    ) -> tuple[object, Exception | None]:
        """Call a function, class or module of the learner's; tensors are handed over as copies.

        Returns its result and None, or None and its error.

        Raises:
            NotSolved: if it raises ``NotImplementedError``, as the answer cell does when it comes.
            Wrong: if it cannot be called.
        """
        if not callable(function):
            raise Wrong(f"The check needs a function or a class; yours is {_short(function)}.")
        arguments = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
        try:
            return function(*arguments, **options), None
        except ExerciseError:
            raise
        except (Exception, SystemExit) as error:
            # PyTorch's own errors of this class have a text.
            if isinstance(error, NotImplementedError) and not str(error):
                raise NotSolved(UNTOUCHED) from None
            return None, error

    def call(self, function: Callable, *arguments: object, **options: object) -> object:
        """Like :meth:`attempt`, and return the result.

        Raises:
            NotSolved: if it returns nothing.
            Stopped: if it raises an error; the learner's part of the traceback is told.
        """
        result, error = self.attempt(function, *arguments, **options)
        if error is not None:
            raise Stopped(story(error)) from None
        if result is None or result is ...:
            name = getattr(function, "__name__", type(function).__name__)
            raise NotSolved(f"`{name}` returns nothing yet. Is there a `return` on every way?")
        return result

    def refused(self, function: Callable, *arguments: object, why: str) -> None:
        """Raise :class:`Wrong` unless a learner's function refuses these with a ``ValueError``.

        ``why`` is a sentence without its full stop, such as ``"4 is even"``.
        """
        _, error = self.attempt(function, *arguments)
        given = f"{why}. With the arguments {', '.join(map(repr, arguments))}"
        if error is None:
            raise Wrong(f"{given} there is no error: raise a ValueError that says so.")
        if not isinstance(error, ValueError):
            kind = type(error).__name__
            raise Wrong(f"{given} it raises {kind}; it should be a ValueError that says so.")

    def expect(self, condition: object, message: str) -> None:
        """Raise :class:`Wrong` with ``message`` unless ``condition`` holds."""
        if not condition:
            raise Wrong(message)

    def compare(
        self, got: object, expected: Tensor, name: str = "Your result", mistakes: Mistakes = ()
    ) -> Tensor:
        """Compare a tensor of the learner's, of any dtype, with the right one.

        ``name`` is how a message calls it, such as ``"Your map"``; ``mistakes`` are pairs of a
        wrong tensor and what to say of it. Returns the learner's tensor, detached, in float64.

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
        # + 0.0 turns -0.0 into 0.0.
        rounded = [
            str(v) if isinstance(v, int) else f"{round(v, digits) + 0.0:.{digits}f}" for v in values
        ]
        self.lines.append(f"{label}: {' '.join(rounded)}")

    def stamp(self, label: str, *numbers: object) -> None:
        """Print one number that depends on all of ``numbers`` and does not give them away."""
        weighed = sum(int(n) * w for n, w in zip(numbers, self.rand(len(numbers)), strict=True))
        self.show(label, float(weighed) % 1, digits=4)


def with_bugs(make: Callable[..., T], *messages: str) -> Iterator[tuple[T, str]]:
    """Results of a given function with some of its bugs left, and what to say of each.

    ``make`` gets one bool a bug: whether it is left. With all of them the code is as it came.
    """
    for left in list(product((False, True), repeat=len(messages)))[1:]:
        count = f"{sum(left)} bugs are left. " if sum(left) > 1 else ""
        said = count + " ".join(compress(messages, left))
        yield make(*left), AS_IT_CAME if all(left) else said


def close(got: Tensor, expected: Tensor) -> bool:
    """Whether two tensors have the same shape and, up to rounding, the same values."""
    if got.shape != expected.shape:
        return False
    got, expected = got.double(), expected.double()
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    return torch.allclose(got, expected, rtol=0, atol=TOLERANCE * scale)


def difference(got: Tensor, expected: Tensor) -> str:
    """Say how two tensors differ, first in shape, then in values."""
    mine, right = list(got.shape), list(expected.shape)
    if mine != right:
        same = [n for n in mine if n > 1] == [n for n in right if n > 1]
        hint = ": keep the axes of size 1" if same and len(mine) < len(right) else ""
        return f"has shape {mine}, expected {right}{hint}."
    distance = (got - expected).abs()
    at = [int(i) for i in torch.unravel_index(distance.argmax(), distance.shape)]
    return (
        f"has the right shape, {mine}, but other values: at {at} it is {got[tuple(at)]:.4g}, "
        f"expected {expected[tuple(at)]:.4g}."
    )


def _short(value: object) -> str:
    kind = type(value).__name__
    return f"{value!r} ({kind})" if isinstance(value, str | int | float) else f"of type {kind}"
