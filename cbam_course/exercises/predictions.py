"""Reading predictions: numbers, shapes, sets and choices, in whichever type they were written."""

from collections.abc import Iterable, Mapping
from numbers import Real

from torch import Tensor

from .errors import NotSolved, Wrong


def _plain(value: object) -> object:
    """Tensors and NumPy's numbers and arrays as Python's numbers and lists."""
    return value.tolist() if isinstance(value, Tensor) or hasattr(value, "__array__") else value


def number(answer: object, expected: int, name: str, mistakes: Mapping[int, str] = {}) -> int:
    """Return a predicted integer, as Python's own ``int``, if it is ``expected``.

    Args:
        answer: the learner's; 552, 552.0, NumPy's and PyTorch's 552 are the same.
        expected: the right number.
        name: the answer's name in the cell.
        mistakes: wrong numbers, each with a message that says what was forgotten.

    Raises:
        NotSolved: if the answer is still ``...``.
        Wrong: if it is no number or another one.
    """
    answer = _plain(answer)
    _still_open(answer, name)
    if isinstance(answer, bool) or not isinstance(answer, Real):
        raise Wrong(f"`{name}` should be a number, and is {answer!r}.")
    answer = float(answer)
    if answer != expected:
        raise Wrong(mistakes.get(answer, f"`{name}` is not {answer:.12g}. Count again."))
    return int(answer)


def shape(
    answer: object, expected: Iterable[int], name: str, mistakes: Mapping[tuple, str] = {}
) -> tuple[int, ...]:
    """Return a predicted shape if it is ``expected``; any sequence of numbers will do."""
    found = _integers(answer, name)
    expected = tuple(expected)
    if found != expected:
        axes = "" if len(found) == len(expected) else " The right shape has another number of axes."
        raise Wrong(mistakes.get(found, f"`{name}` is not {list(found)}.{axes}"))
    return found


def numbers(answer: object, expected: Iterable[int], name: str, hint: str) -> tuple[int, ...]:
    """Return a predicted set of integers, sorted; any collection in any order will do."""
    found = set(_integers(answer, name))
    expected = set(expected)
    if found != expected:
        missing, extra = len(expected - found), len(found - expected)
        raise Wrong(f"`{name}`: {missing} missing, {extra} too many. {hint}")
    return tuple(sorted(found))


def choice(
    answer: object, expected: str, name: str, allowed: Iterable[str], mistakes: Mapping[str, str]
) -> str:
    """Return a chosen word if it is ``expected``; case and outer spaces do not matter."""
    _still_open(answer, name)
    found = "".join(answer).strip().lower() if isinstance(answer, str) else answer
    allowed = tuple(allowed)
    if found not in allowed:
        raise Wrong(f"`{name}` should be one of {', '.join(map(repr, allowed))}; it is {answer!r}.")
    if found != expected:
        raise Wrong(mistakes.get(found, f"`{name}` is not {found!r}."))
    return found


def _integers(answer: object, name: str) -> tuple[int, ...]:
    answer = _plain(answer)
    _still_open(answer, name)
    if isinstance(answer, Real) and not isinstance(answer, bool):
        answer = (answer,)
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise Wrong(f"`{name}` should be a list of numbers, and is {answer!r}.")
    values = [_plain(value) for value in answer]
    for value in values:
        _still_open(value, name)
        real = isinstance(value, Real) and not isinstance(value, bool)
        if not real or not float(value).is_integer():
            raise Wrong(f"`{name}` should hold whole numbers, and holds {value!r}.")
    return tuple(int(value) for value in values)


def _still_open(answer: object, name: str) -> None:
    if answer is ... or answer is None:
        raise NotSolved(f"`{name}` is still open: write your answer in the cell above.")
