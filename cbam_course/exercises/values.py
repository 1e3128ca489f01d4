"""Numbers, shapes and sets that a learner predicts or a function returns, of whichever type."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from .errors import NotSolved, Wrong


def number(answer: object, expected: int, name: str, mistakes: Mapping[float, str] = {}) -> int:
    """Return a predicted integer, as Python's own ``int``, if it is ``expected``.

    Args:
        answer: the learner's; 552, 552.0, NumPy's and PyTorch's 552 are the same.
        expected: the right number.
        name: the answer's name in the cell.
        mistakes: wrong numbers, each with what to say of it.

    Raises:
        Wrong: if it is no number or another one.
    """
    value = _plain(answer)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise Wrong(f"`{name}` should be a number, and is {answer!r:.200}.")
    if (value := float(value)) != expected:
        raise Wrong(f"`{name}` is not {value:.12g}. {mistakes.get(value, 'Count again.')}")
    return int(value)


def shape(
    answer: object, expected: Iterable[int], name: str, mistakes: Mapping[tuple, str] = {}
) -> tuple[int, ...]:
    """Return a predicted shape if it is ``expected``; any sequence of numbers will do."""
    found, expected = _integers(answer, name), tuple(expected)
    if found != expected:
        axes = "" if len(found) == len(expected) else " The right shape has another number of axes."
        hint = f" {mistakes[found]}" if found in mistakes else axes
        raise Wrong(f"`{name}` is not {list(found)}.{hint}")
    return found


def numbers(answer: object, expected: Iterable[int], name: str, hint: str) -> tuple[int, ...]:
    """Return a predicted set of integers, sorted; any collection in any order will do."""
    found, expected = set(_integers(answer, name)), set(expected)
    if found != expected:
        missing, extra = len(expected - found), len(found - expected)
        raise Wrong(f"`{name}`: {missing} missing, {extra} too many. {hint}")
    return tuple(sorted(found))


def weights(answer: object, expected: tuple[int, ...], name: str) -> Tensor:
    """Return weights that a learner wrote, a tensor or lists, in float64 if the shape is right."""
    try:
        found = torch.as_tensor(answer, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"`{name}` should be a tensor, or lists of numbers of one length.") from None
    if found.shape != expected:
        raise Wrong(f"`{name}` has shape {list(found.shape)}, expected {list(expected)}.")
    return found


def _plain(value: object) -> object:
    """A tensor, or a number or array of NumPy's, as Python's number or list."""
    return value.tolist() if hasattr(value, "__array__") else value


def _integers(answer: object, name: str) -> tuple[int, ...]:
    answer = _plain(answer)
    if isinstance(answer, Real):
        answer = (answer,)
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise Wrong(f"`{name}` should be a list of numbers, and is {answer!r:.200}.")
    values = [_plain(value) for value in answer]
    if any(value is ... or value is None for value in values):
        raise NotSolved(f"`{name}` is still open: write your answer in the cell above.")
    for value in values:
        real = isinstance(value, Real) and not isinstance(value, bool)
        if not real or not float(value).is_integer():
            raise Wrong(f"`{name}` should hold whole numbers, and holds {value!r:.200}.")
    return tuple(int(value) for value in values)


def returned_numbers(value: object, count: int, name: str) -> list[float]:
    """The numbers in what ``name``, such as ``"`interval`"``, has returned.

    They may be one number, or a tuple, list, array, tensor, Series or iterator of them.

    Raises:
        Wrong: if it is something else, or not ``count`` numbers.
    """
    single = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    try:
        found = [float(number) for number in ([value] if single else value)]
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or len(found) != count:
        wanted = "one number" if count == 1 else f"{count} numbers"
        raise Wrong(f"{name} should return {wanted}; it returns {value!r:.200}.")
    return found


def same_numbers(
    value: object,
    expected: Sequence[float],
    name: str,
    mistakes: Iterable[tuple[Sequence[float], str]] = (),
) -> list[float]:
    """:func:`returned_numbers`, if they are the ``expected`` ones; NaN equals NaN.

    ``mistakes`` are pairs of wrong numbers and what to say of them.

    Raises:
        Wrong: if they are others; the message has both, and the first mistake that fits.
    """
    found = returned_numbers(value, len(expected), name)
    if not alike(found, expected):
        fitting = (said for wrong, said in mistakes if alike(found, wrong))
        told, right = (", ".join(f"{v:.5g}" for v in values) for values in (found, expected))
        raise Wrong(f"{name} returns {told}; expected {right}. {next(fitting, '')}".rstrip())
    return found


def alike(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether the numbers agree, up to the digits that float32 keeps."""
    scale = max([0.1, *(abs(value) for value in expected if value == value)])
    return np.allclose(found, expected, rtol=0, atol=2e-5 * scale, equal_nan=True)
