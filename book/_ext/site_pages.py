"""What pages say of themselves, the map of the site, its front door, and the page not found."""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

LOST = (
    "<h1>There is no such page</h1><p>It may have been renamed. The chapters are listed in the "
    'sidebar, the <a href="search.html">search</a> finds a word in any of them, and the '
    '<a href="book/intro.html">first page</a> tells what the course is about.</p>'
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions below."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", mend_for_all_readers)
    app.connect("html-page-context", leave_mathjax_out, priority=900)
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def pages_address(repository: str) -> str:
    """Return where GitHub Pages shows the site of a repository: the rule that GitHub gives.

    https://github.com/Owner/course is shown on https://owner.github.io/course/.
    """
    owner, name = urlsplit(repository).path.strip("/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def set_address(app: Sphinx, config: Config) -> None:
    """Give the site its address, which Sphinx names on each page as the canonical one."""
    config.html_baseurl = pages_address(config.html_theme_options["repository_url"])


def description(doctree: nodes.document, title: str) -> str:
    """Return the title and the first paragraph that says something, cut at 200 characters."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = paragraph.astext()
        if len(text) > 60 and "Colab" not in text:
            return shorten(f"{title}: {text}", 200, placeholder=" ...")
    return title


def describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add a description for search engines, and what is shown where someone shares the page."""
    if doctree is None:
        return
    base, title = app.config.html_baseurl, re.sub(r"<[^>]+>", "", context["title"])
    text = description(doctree, title)
    shared = {
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:site_name": app.config.html_title or app.config.project,
        "og:title": title,
        "og:description": text,
        "og:url": f"{base}{pagename}.html",
        "og:image": f"{base}_static/strip.png",
    }
    tags = [f'<meta name="description" content="{escape(text)}" />']
    tags += [
        f'<meta property="{key}" content="{escape(value)}" />' for key, value in shared.items()
    ]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def mend_for_all_readers(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Make an empty header of a table a plain cell, and let the works of the references be a list.

    pandas writes such a header in the corner; docutils gives each work a role that is out of use.
    """
    empty = re.compile(r"<th([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>")
    body = empty.sub(r"<td\1></td>", context.get("body", ""))
    context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def leave_mathjax_out(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load MathJax only where a formula stands; Sphinx loads it on pages that list such a page."""
    if not app.env.get_domain("math").data["has_equations"].get(pagename):
        scripts = context["script_files"]
        context["script_files"] = [s for s in scripts if "mathjax" not in source_of(s).lower()]


def source_of(script: Any) -> str:
    """Return a script's file and its text, of which it has one."""
    return f"{script.filename} {script.attributes.get('body')}"


def lost_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the page that GitHub Pages shows in place of one that does not exist."""
    yield "404", {"title": "There is no such page", "body": LOST}, "page.html"


def with_base(page: str, base: str) -> str:
    """Return a page whose links are read as if it stood at `base`."""
    return page.replace("<head>", f'<head>\n    <base href="{base}">', 1)


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Write the map of the site and its front door, and lead the lost page's links to the site."""
    if exception or app.builder.name != "html":
        return
    out, base = Path(app.outdir), app.config.html_baseurl
    rows = [f"<url><loc>{base}{name}.html</loc></url>" for name in sorted(app.env.found_docs)]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{}">\n'
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    sitemap = head.format(space) + "\n".join(rows) + "\n</urlset>\n"
    (out / "sitemap.xml").write_text(sitemap, encoding="utf-8")
    # The front door is the first page itself: no empty page that leads on to it.
    first = f"{app.config.root_doc}.html"
    door = with_base((out / first).read_text(encoding="utf-8"), first)
    (out / "index.html").write_text(door, encoding="utf-8")
    lost = (out / "404.html").read_text(encoding="utf-8")
    (out / "404.html").write_text(with_base(lost, urlsplit(base).path), encoding="utf-8")
