"""Reading predictions: numbers, shapes and sets, in whichever type they were written."""

from collections.abc import Iterable, Mapping
from numbers import Real

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
        raise Wrong(f"`{name}` should be a number, and is {answer!r}.")
    value = float(value)
    if value != expected:
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


def _plain(value: object) -> object:
    """Tensors and NumPy's numbers and arrays as Python's numbers and lists."""
    return value.tolist() if hasattr(value, "__array__") else value


def _integers(answer: object, name: str) -> tuple[int, ...]:
    answer = _plain(answer)
    if isinstance(answer, Real):
        answer = (answer,)
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise Wrong(f"`{name}` should be a list of numbers, and is {answer!r}.")
    values = [_plain(value) for value in answer]
    if any(value is ... or value is None for value in values):
        raise NotSolved(f"`{name}` is still open: write your answer in the cell above.")
    for value in values:
        real = isinstance(value, Real) and not isinstance(value, bool)
        if not real or not float(value).is_integer():
            raise Wrong(f"`{name}` should hold whole numbers, and holds {value!r}.")
    return tuple(int(value) for value in values)
