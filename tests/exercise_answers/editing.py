"""Small changes to the code of an answer."""

from . import Answer, wrong


def changed(code: str, *pairs: tuple[str, str]) -> str:
    """Return `code` with the old part of each pair replaced by the new one, everywhere.

    Raises:
        ValueError: if an old part is not there, so that no change gets lost unseen.
    """
    for old, new in pairs:
        if old not in code:
            raise ValueError(f"{old!r} is not in the code:\n{code}")
        code = code.replace(old, new)
    return code


def edited(number: str, code: str, table: str) -> list[Answer]:
    r"""Return a wrong answer for each row of `table`: `code` with one change or several.

    A row is `name | old | new | what the check says`, with more pairs of old and new if need be. It
    may end with `| Stopped` or `| NotSolved`. In the code `\n` is a new line.
    """
    found = []
    for row in table.strip().splitlines():
        cells = [cell.strip().replace("\\n", "\n") for cell in row.split(" |")]
        outcome = cells.pop() if cells[-1] in ("Stopped", "NotSolved") else "Wrong"
        name, *parts, says = cells
        pairs = zip(parts[::2], parts[1::2], strict=True)
        found.append(wrong(number, name, changed(code, *pairs), says, outcome))
    return found
