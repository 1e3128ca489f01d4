"""Numbers that an answer returns, one or a few, in whatever they came."""

from collections.abc import Iterable, Sequence

import numpy as np

from .errors import Wrong


def returned_numbers(value: object, count: int | None, name: str) -> list[float]:
    """The numbers in what an answer has returned.

    Args:
        value: a number, or a tuple, list, array, tensor, Series or iterator of numbers.
        count: how many there should be; ``None`` for any number of them.
        name: what returned them, such as ``"`interval`"``.

    Raises:
        Wrong: if it is something else, or another number of them.
    """
    single = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    try:
        found = [float(number) for number in ([value] if single else value)]
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or count not in (None, len(found)):
        wanted = "numbers" if count is None else "one number" if count == 1 else f"{count} numbers"
        raise Wrong(f"{name} should return {wanted}; it returns {value!r:.200}.")
    return found


def same_numbers(
    value: object,
    expected: Sequence[float],
    name: str,
    mistakes: Iterable[tuple[Sequence[float], str]] = (),
) -> list[float]:
    """The numbers in what an answer has returned, if they are the right ones; NaN equals NaN.

    Args:
        value: what was returned.
        expected: the right numbers.
        name: what returned them, and for which input.
        mistakes: pairs of wrong numbers and what to say to whoever has computed them.

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
