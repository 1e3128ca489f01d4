"""The site as a browser shows it: every page, light and dark, wide and narrow."""

import gzip
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import browser as browsers
from tests.support.site import SITE, page_names

# Bytes of all that a page loads, as a server sends it.
HEAVIEST = 1_000_000
# Sent as they are: they are compressed already.
COMPRESSED = (".woff", ".woff2", ".png", ".webp", ".jpg")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}

# One page of each kind, which axe-core reads: cards and boxes, tables of links, a chapter with its
# outputs, an exercise, signatures, a list of terms.
KINDS = (
    "book/intro.html",
    "book/api.html",
    "book/exercises.html",
    "book/glossary.html",
    "book/references.html",
    "book/api/export.html",
    "notebooks/03_channel_attention.html",
    "notebooks/exercises/01_what_and_where.html",
    "404.html",
)
# What axe-core finds that docutils, Sphinx, the theme or MathJax write, and why it stays.
LEFT = {
    "definition-list": "Sphinx sets a long signature as a list that has no terms",
    "empty-table-header": "a header that is a formula: its MathML has a text, test_book.py looks",
    "region": "the theme's search field and switches of the sidebars lie outside of landmarks",
}

READY = """async () => {
  for (const image of document.images) image.loading = "eager";
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => 0)));
}"""
UNDRAWN = "[...document.images].filter((i) => !i.naturalWidth).map((i) => 'undrawn: ' + i.src)"
RAW_MATH = """[...document.querySelectorAll('.math')]
  .filter((m) => !m.querySelector('mjx-container'))
  .map((m) => 'raw formula: ' + m.textContent)"""
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  return document.documentElement.scrollWidth <= room ? [] : [...document.querySelectorAll('*')]
    .filter((e) => e.getBoundingClientRect().right > room + 1)
    .map((e) => 'too wide: ' + e.tagName + '.' + e.className).slice(0, 5);
}"""
# Reading colors takes a time that grows with the square of a page's length: of what is alike a few
# remain.
FEWER = """() => {
  for (const [alike, few] of [[".cell", 5], ["mjx-container", 3]]) {
    [...document.querySelectorAll(alike)].slice(few).forEach((element) => element.remove());
  }
  const later = [
    "tbody > tr:nth-child(n + 5)", "dl.glossary > :nth-child(n + 17)",
    ".citation:nth-child(n + 9)", ".toctree-l1:nth-child(n + 6)",
  ];
  document.querySelectorAll(later.join()).forEach((element) => element.remove());
}"""
SEARCHED = """() => {
  const said = document.querySelector("#search-results .search-summary");
  return said && said.textContent.trim();
}"""


@cache
def sent_bytes(file: Path) -> int:
    """Bytes of a file as a server sends it: compressed, if that helps."""
    body = file.read_bytes()
    return len(body if file.suffix in COMPRESSED else gzip.compress(body))


def weight(opened, address) -> int:
    """Bytes of all that the page has loaded from the site at `address`."""
    addresses = {request.url.split("?")[0] for request in opened.requests}
    names = {url.removeprefix(address) for url in addresses if url.startswith(address)}
    return sum(sent_bytes(SITE / name) for name in names)


def problems(opened, address) -> list[str]:
    """All that is wrong with an open page, wide and on a phone; the window is a phone's then."""
    page = opened.page
    page.evaluate(READY)
    found = page.evaluate(UNDRAWN) + page.evaluate(RAW_MATH)
    heavy = weight(opened, address)
    if heavy > HEAVIEST:
        found.append(f"heavy: {heavy:,} bytes")
    page.set_viewport_size(PHONE)
    return found + page.evaluate(TOO_WIDE) + opened.problems


def unreadable(page) -> list[str]:
    """What axe-core says of an open page in a wide window."""
    page.set_viewport_size(WIDE)
    page.evaluate(FEWER)
    return [line for line in browsers.axe(page) if line.split(":")[0] not in LEFT]


@pytest.fixture(scope="module")
def window(browser):
    """One window for many pages, which keeps the files that they share."""
    with browsers.visit(browser, "about:blank") as opened:
        yield opened


def test_every_page(window, address, site_folder):
    """A page is loaded once for all that is asked of it."""
    names = page_names(site_folder)
    assert set(KINDS) <= set(names)
    lines = []
    for name in names:
        window.open(address + name, WIDE)
        found = problems(window, address)
        if name in KINDS:
            found += unreadable(window.page)
        lines += [f"{name}: {line}" for line in found]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(
    "words, name",
    [
        ("GFLOPs", "notebooks/07_cost.html"),
        ("bottleneck", "notebooks/03_channel_attention.html"),
        ("does it help", "notebooks/09_does_it_help.html"),
        ("SpatialAttention", "book/api/attention.html"),
    ],
)
def test_the_search_finds_the_page(window, address, words, name):
    window.open(f"{address}search.html?q={words.replace(' ', '+')}")
    window.page.wait_for_function(SEARCHED)
    links = window.page.locator("#search-results ul.search li > a")
    found = [urlsplit(link).path for link in links.evaluate_all("a => a.map((l) => l.href)")]
    assert urlsplit(address + name).path in found[:5]
    assert window.problems == []


def test_the_search_says_that_it_has_found_nothing(window, address):
    window.open(f"{address}search.html?q=xylophone")
    window.page.wait_for_function(SEARCHED)
    assert "did not match any" in window.page.inner_text("#search-results")


def test_on_paper_a_page_is_light_and_open_and_its_code_is_whole(visit, address):
    theme = "document.documentElement.dataset.theme"
    closed = "document.querySelectorAll('article details:not([open])').length"
    cut = """[...document.querySelectorAll('article pre')]
      .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).length"""
    with visit(address + "notebooks/02_squeeze_and_excitation.html", theme="dark") as opened:
        page = opened.page
        hidden = page.evaluate(closed)
        assert page.evaluate(theme) == "dark" and hidden > 0
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("matchMedia('print').matches")
        page.wait_for_function(f"{theme} === 'light'")
        assert (page.evaluate(closed), page.evaluate(cut)) == (0, 0)
        page.emulate_media(media="screen", color_scheme="dark")
        page.wait_for_function(f"{theme} === 'dark'")
        assert page.evaluate(closed) == hidden


def test_the_browser_sees_what_is_wrong_with_a_page(visit, tmp_path):
    (tmp_path / "good.html").write_text("<h1>Good</h1><script>console.log('fine')</script>")
    (tmp_path / "bad.html").write_text(
        "<img src='missing.png'><script>console.error('oh'); nothing.here()</script>"
        "<img src='https://example.org/map.png'>"
    )
    with visit((tmp_path / "good.html").as_uri()) as opened:
        assert opened.problems == []
    with visit((tmp_path / "bad.html").as_uri()) as opened:
        kinds = {problem.split(":")[0] for problem in opened.problems}
    assert kinds == {"console", "script", "failed", "outside"}
    assert len([problem for problem in opened.problems if problem.startswith("outside")]) == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_opens_from_a_server_and_from_disk(visit, address, site_folder, theme):
    name = "book/intro.html"
    with visit("about:blank", width=390, theme=theme) as opened:
        for place in (address + name, (site_folder / name).as_uri()):
            opened.open(place)
            assert opened.problems == []
            assert opened.page.evaluate("innerWidth") == 390
            assert opened.page.get_attribute("html", "data-theme") == theme
