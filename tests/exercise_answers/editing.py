"""Small changes to the code of an answer."""


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
