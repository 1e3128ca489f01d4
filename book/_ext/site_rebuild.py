"""Which pages are made again when something else than their own source has changed.

Sphinx reads a page again when its source changes, and writes it. Two things it cannot know: that
the pages of the reference show docstrings of the package, and that pages show each other's titles,
numbers and names. What concerns every page (the table of contents, the configuration, the style)
makes tests/tools/build_book.py start from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

REFERENCE = "book/api"


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions below."""
    app.connect("env-get-outdated", read_again)
    # After Sphinx has numbered the figures, which it does at this event, too.
    app.connect("env-get-updated", write_again, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def read_again(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    """Return the pages of the reference if the package's source is not what they were made from."""
    before, now = getattr(env, "course_source", None), env.autoapi_source_hashes
    env.course_source = now
    if now == before:
        return []
    return [name for name in env.found_docs if name.startswith(REFERENCE)]


def shown_elsewhere(env: BuildEnvironment) -> set[str]:
    """Return all that one page may show of another: titles, labels, numbers, names, citations."""
    std, py, cite = (env.get_domain(name) for name in ("std", "py", "cite"))
    numbers = {name: str(found) for name, found in env.toc_fignumbers.items()}
    cited = {(ref.docname, t.key): "" for ref in cite.citation_refs for t in ref.targets}
    titles = {name: title.astext() for name, title in env.titles.items()}
    words = {"glossary": env.get_doctree("book/glossary").astext()}
    shown = (titles, std.labels, std.anonlabels, std.objects, py.objects, numbers, cited, words)
    return {repr(item) for table in shown for item in table.items()}


def write_again(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Return all pages if one of them shows something else to the others than it did."""
    before, now = getattr(env, "course_shown", None), shown_elsewhere(env)
    env.course_shown = now
    return [] if now == before else env.found_docs
