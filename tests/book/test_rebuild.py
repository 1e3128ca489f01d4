"""Which pages a second build makes again."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from tests.support.project import ROOT
from tests.tools import build_book

PAGES = ("book/intro", "book/api", "book/api/models", "notebooks/05_cbam")


@pytest.fixture(scope="module")
def site_rebuild():
    """The extension of the site, which lies in no package."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import site_rebuild as extension
    finally:
        sys.path.pop(0)
    return extension


@pytest.fixture
def book(tmp_path):
    """A book that was built after the last change of its files."""
    for name in (*build_book.EVERYWHERE, "notebooks/05_cbam.ipynb", "cbam_course/a.py"):
        path = tmp_path / name
        if "." in path.name or path.name == "ready":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True)
            (path / "file.txt").touch()
    (tmp_path / "_build").mkdir()
    now = build_book.sources(tmp_path)
    (tmp_path / "_build" / "ready").write_text(json.dumps(now))
    return tmp_path


def test_the_book_is_as_new_as_its_sources_until_one_changes(book):
    def fresh():
        return build_book.built_from(book) == build_book.sources(book)

    # Python keeps what it has compiled beside the source.
    (book / "book" / "_ext" / "__pycache__").mkdir()
    (book / "book" / "_ext" / "__pycache__" / "a.pyc").touch()
    assert fresh()
    page = book / "notebooks" / "05_cbam.ipynb"
    kept = page.stat()
    os.utime(page, (300, 300))
    assert not fresh()
    os.utime(page, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert fresh()
    (book / "cbam_course" / "b.py").touch()
    assert not fresh()
    (book / "cbam_course" / "b.py").unlink()
    (book / "cbam_course" / "a.py").unlink()
    assert not fresh()


def test_a_book_without_a_finished_build_is_built_from_nothing(book):
    assert not build_book.start_over(book)
    (book / "_build" / "ready").unlink()
    assert build_book.start_over(book)


@pytest.mark.parametrize("name", build_book.EVERYWHERE)
def test_what_shows_on_every_page_builds_from_nothing(book, name):
    path = book / name
    os.utime(path / "file.txt" if path.is_dir() else path, (300, 300))
    assert build_book.start_over(book)


def test_a_file_that_was_removed_builds_from_nothing(book):
    (book / "book" / "_static" / "file.txt").unlink()
    assert build_book.start_over(book)


def test_a_page_of_its_own_does_not(book):
    os.utime(book / "notebooks" / "05_cbam.ipynb", (300, 300))
    assert not build_book.start_over(book)


def test_all_that_shows_on_every_page_is_there():
    missing = [name for name in build_book.EVERYWHERE if not (ROOT / name).exists()]
    assert missing in ([], [".venv-book/ready"])


def test_the_reference_is_read_again_when_the_package_changes(site_rebuild):
    env = SimpleNamespace(found_docs=PAGES, autoapi_source_hashes={"cbam.py": "a"})
    reference = ["book/api", "book/api/models"]
    assert site_rebuild.read_again(None, env, set(), set(), set()) == reference
    assert site_rebuild.read_again(None, env, set(), set(), set()) == []
    env.autoapi_source_hashes = {"cbam.py": "b"}
    assert site_rebuild.read_again(None, env, set(), set(), set()) == reference


def test_pages_are_compared_when_sphinx_has_numbered_the_figures(site_rebuild):
    """Before, all pages were written a second time after the first build."""
    connected = {}

    def connect(event, function, priority=500):
        connected[function] = event, priority

    site_rebuild.setup(SimpleNamespace(connect=connect))
    event, priority = connected[site_rebuild.write_again]
    assert event == "env-get-updated" and priority > 500


@pytest.fixture
def env():
    """The parts of Sphinx's environment that pages show of each other."""
    domains = {
        "std": SimpleNamespace(labels={"cbam": ("book/intro", "id1", "CBAM")}, anonlabels={}),
        "py": SimpleNamespace(objects={"CBAM": "book/api/models"}),
        "cite": SimpleNamespace(citation_refs=[]),
    }
    domains["std"].objects = {}
    titles = {name: SimpleNamespace(astext=lambda name=name: name) for name in PAGES}
    return SimpleNamespace(
        found_docs=PAGES,
        titles=titles,
        toc_fignumbers={},
        get_domain=domains.__getitem__,
        get_doctree=lambda name: SimpleNamespace(astext=lambda: name),
    )


def rename(env):
    """Change a page's title."""
    env.titles["book/intro"] = SimpleNamespace(astext=lambda: "another title")


def number(env):
    """Add a figure with a number."""
    env.toc_fignumbers["book/intro"] = {"figure": {"fig-strip": (1,)}}


def label(env):
    """Change the text of a label."""
    env.get_domain("std").labels["cbam"] = ("book/intro", "id1", "another text")


def define(env):
    """Add a name to the reference."""
    env.get_domain("py").objects["SE"] = "book/api/models"


def cite(env):
    """Cite a paper on one more page."""
    reference = SimpleNamespace(docname="book/intro", targets=[SimpleNamespace(key="woo2018cbam")])
    env.get_domain("cite").citation_refs.append(reference)


def explain(env):
    """Change what the glossary says."""
    env.get_doctree = lambda name: SimpleNamespace(astext=lambda: "another explanation")


@pytest.mark.parametrize("change", [rename, number, label, define, cite, explain])
def test_all_pages_are_written_when_one_shows_something_else_to_the_others(
    site_rebuild, env, change
):
    assert site_rebuild.write_again(None, env) == PAGES
    assert site_rebuild.write_again(None, env) == []
    change(env)
    assert site_rebuild.write_again(None, env) == PAGES
    assert site_rebuild.write_again(None, env) == []
