"""Checks of arguments: a mistake is refused with what was given and what is allowed."""

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any


def check(name: str, value: Any, fine: bool, allowed: str) -> Any:
    """Return ``value`` if it is ``fine``, else raise a ``ValueError`` with what is ``allowed``."""
    if not fine:
        raise ValueError(f"{name} must be {allowed}; got {value!r}")
    return value


def check_integer(name: str, value: object) -> int:
    """Return ``value`` as an ``int`` if it is a positive integer, NumPy's too, but no boolean."""
    try:
        number = 0 if isinstance(value, bool) else index(value)
    except TypeError:  # of floats as well, such as 16.0
        number = 0
    check(name, value, number > 0, "an integer of at least 1")
    return number


def check_odd(name: str, value: object) -> int:
    """Return ``value`` as an ``int`` if it is a positive odd integer."""
    number = check_integer(name, value)
    check(name, value, number % 2, "odd, so that the map keeps its size and stays centered")
    return number


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``."""
    allowed = tuple(allowed)
    fine = isinstance(value, str) and value in allowed
    return check(name, value, fine, f"one of {', '.join(map(repr, allowed))}")


def check_choices(name: str, value: object, allowed: Sequence[str]) -> tuple[str, ...]:
    """Return ``value``, a text or a sequence of them, as a tuple of some of ``allowed``."""
    # A set is refused: its order, and so the meaning of stored weights, can change between runs.
    given = (value,) if isinstance(value, str) else value if isinstance(value, Sequence) else ()
    fine = given and all(one in allowed for one in given) and len(set(given)) == len(given)
    names = ", ".join(map(repr, allowed))
    check(name, value, fine, f"one or more of {names}, each once, as a string, list or tuple")
    return tuple(given)
