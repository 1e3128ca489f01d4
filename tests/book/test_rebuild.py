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
    names = [f"{name}/file.txt" if "." not in name else name for name in build_book.EVERYWHERE]
    for name in (*names, "notebooks/05_cbam.ipynb", "cbam_course/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "_build").mkdir()
    now = build_book.sources(tmp_path)
    (tmp_path / "_build" / "ready").write_text(json.dumps(now))
    return tmp_path


def is_fresh(book):
    return build_book.built_from(book) == build_book.sources(book)


def test_a_page_that_changes_is_built_again_with_what_was_built_before(book):
    # Python keeps what it has compiled beside the source.
    (book / "cbam_course" / "__pycache__").mkdir()
    (book / "cbam_course" / "__pycache__" / "a.pyc").touch()
    assert is_fresh(book)
    os.utime(book / "notebooks" / "05_cbam.ipynb", (300, 300))
    assert not is_fresh(book) and not build_book.start_over(book)


@pytest.mark.parametrize("name", [*build_book.EVERYWHERE, "_build/ready"])
def test_what_shows_on_every_page_builds_from_nothing(book, name):
    """A build that did not finish, too."""
    path = book / name
    (path / "file.txt" if path.is_dir() else path).unlink()
    assert not is_fresh(book) and build_book.start_over(book)


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


def test_all_pages_are_written_when_one_shows_something_else_to_the_others(site_rebuild):
    labels, names, cited, numbers = {}, {}, [], {}
    domains = {
        "std": SimpleNamespace(labels=labels, anonlabels={}, objects={}),
        "py": SimpleNamespace(objects=names),
        "cite": SimpleNamespace(citation_refs=cited),
    }
    env = SimpleNamespace(
        found_docs=PAGES,
        titles={"book/intro": SimpleNamespace(astext=lambda: "a title")},
        toc_fignumbers=numbers,
        get_domain=domains.__getitem__,
        get_doctree=lambda name: SimpleNamespace(astext=lambda: "an explanation"),
    )
    reference = SimpleNamespace(docname="book/intro", targets=[SimpleNamespace(key="woo2018cbam")])
    another = SimpleNamespace(astext=lambda: "another")
    for change in (
        lambda: None,  # the first build
        lambda: env.titles.update({"book/intro": another}),
        lambda: numbers.update({"book/intro": {"figure": {"fig-strip": (1,)}}}),
        lambda: labels.update({"cbam": ("book/intro", "id1", "CBAM")}),
        lambda: names.update({"SE": "book/api/models"}),
        lambda: cited.append(reference),
        lambda: setattr(env, "get_doctree", lambda glossary: another),
    ):
        change()
        assert site_rebuild.write_again(None, env) == PAGES
        assert site_rebuild.write_again(None, env) == []
