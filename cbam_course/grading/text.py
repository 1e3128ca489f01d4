"""Text from strangers, made fit to be shown."""

import re

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` without what steers a terminal, turns the reading direction or is no character.

    Args:
        text: any text.
        lines: whether line breaks and tabs may stay.
    """
    text = ANSI.sub("", text)
    kept = "\n\t" if lines else ""
    text = "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)
    # Names of files may hold bytes that are no UTF-8, as halves of characters.
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str, longest: int = 300) -> str:
    """Return the beginning of `text` on one line."""
    words = " ".join(printable(text, lines=True).split())
    return words if len(words) <= longest else words[: longest - 4].rstrip() + " ..."
