"""The site as a browser shows it: every page, light and dark, wide and narrow."""

import gzip

import pytest
from axe_playwright_python.base import AXE_FILE_PATH

from tests.support.site import page_names

# Bytes of all that a page loads, as a server sends it.
HEAVIEST = 1_000_000
# Sent as they are: they are compressed already.
COMPRESSED = (".woff", ".woff2", ".png", ".webp", ".jpg")
PHONE = 390

# The text of a page. Code and formulas have colors of their own, the same on all pages.
TEXT = {"include": [["article"]], "exclude": [["pre"], [".math"], ["dt.sig"]]}
# Pages on which the rest is looked at: the frame around the text, code, a formula, signatures.
WHOLE = ("notebooks/exercises/01_what_and_where.html", "book/api/export.html")
# Contrast takes longest to find, and the style sheet gives the same to all pages: text, boxes and
# cards, tables of links, a chapter with its outputs.
COLORS = (
    "book/intro.html",
    "book/api.html",
    "book/exercises.html",
    "notebooks/02_squeeze_and_excitation.html",
)
# What axe-core finds that docutils, Sphinx or the theme write, and why it stays.
LEFT = {
    "aria-allowed-role": "docutils marks each reference as a bibliography entry, as ARIA 1.0 did",
    "aria-deprecated-role": "the same role, which ARIA has dropped since",
    "aria-required-children": "the same list of references holds the links of its entries",
    "definition-list": "Sphinx sets a long signature as a list that has no terms",
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
DARK = "document.documentElement.dataset.theme = 'dark'"
AXE = """async ([where, options]) => {
  const { violations } = await axe.run(where || document, { preload: false, ...options });
  return violations.flatMap((found) => found.nodes.map((node) => found.id + ': ' +
    node.target.join(' ') + ' ' + node.any.concat(node.all).map((c) => c.message).join('; ')));
}"""


def weight(opened) -> int:
    """Bytes of what the page has loaded, compressed as a server does."""
    sizes = {}
    for request in opened.requests:
        response = request.response()
        if response and request.url not in sizes:
            body = response.body()
            packed = request.url.split("?")[0].endswith(COMPRESSED)
            sizes[request.url] = len(body if packed else gzip.compress(body))
    return sum(sizes.values())


def axe(page, where=None, **options) -> list[str]:
    """What axe-core says of the page or of a part of it."""
    found = page.evaluate(AXE, [where, {"resultTypes": ["violations"], **options}])
    return [line for line in found if line.split(":")[0] not in LEFT]


def contrast(page, where=None) -> list[str]:
    """What axe-core says of the contrast in light and in dark colors."""
    only = {"type": "rule", "values": ["color-contrast"]}
    found = axe(page, where, runOnly=only)
    page.evaluate(DARK)
    return found + [f"dark: {line}" for line in axe(page, where, runOnly=only)]


def problems(opened) -> list[str]:
    """All that is wrong with an open page, wide and on a phone, except for its colors."""
    page = opened.page
    page.evaluate(READY)
    found = page.evaluate(UNDRAWN) + page.evaluate(RAW_MATH)
    heavy = weight(opened)
    if heavy > HEAVIEST:
        found.append(f"heavy: {heavy:,} bytes")
    page.add_script_tag(path=AXE_FILE_PATH)
    found += axe(page, TEXT, rules={"color-contrast": {"enabled": False}})
    page.set_viewport_size({"width": PHONE, "height": 800})
    return opened.problems + found + page.evaluate(TOO_WIDE)


def test_every_page(visit, address, site_folder):
    lines = []
    for name in page_names(site_folder):
        with visit(address + name) as opened:
            lines += [f"{name}: {line}" for line in problems(opened)]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("name", COLORS)
def test_text_stands_out_from_its_ground(visit, address, name):
    with visit(address + name) as opened:
        opened.page.add_script_tag(path=AXE_FILE_PATH)
        assert contrast(opened.page, TEXT) == []


@pytest.mark.parametrize("name", WHOLE)
def test_the_frame_and_the_code_around_the_text(visit, address, name):
    with visit(address + name) as opened:
        opened.page.evaluate(READY)
        opened.page.add_script_tag(path=AXE_FILE_PATH)
        assert axe(opened.page) + contrast(opened.page) == []


@pytest.mark.parametrize(
    "words, page",
    [
        ("GFLOPs", "notebooks/07_cost.html"),
        ("receptive field", "notebooks/04_spatial_attention.html"),
        ("does it help", "notebooks/09_does_it_help.html"),
        ("SpatialAttention", "book/api/attention.html"),
    ],
)
def test_the_search_finds_the_page(visit, address, words, page):
    with visit(f"{address}search.html?q={words.replace(' ', '+')}") as opened:
        first = opened.page.locator("#search-results ul.search li")
        first.first.wait_for()
        opened.page.locator("#search-results ul.search p.context").first.wait_for()
        links = first.locator("a").evaluate_all("links => links.slice(0, 5).map((a) => a.href)")
        assert any(page in link for link in links), links
        assert opened.problems == []


def test_on_paper_a_page_is_light_and_open_and_its_code_is_whole(visit, address):
    place = address + "notebooks/02_squeeze_and_excitation.html"
    with visit(place, theme="dark") as opened:
        page = opened.page
        theme = "document.documentElement.dataset.theme"
        closed = "document.querySelectorAll('article details:not([open])').length"
        cut = """[...document.querySelectorAll('article pre')]
          .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).length"""
        before = page.evaluate(theme), page.evaluate(closed)
        assert before[0] == "dark" and before[1] > 0
        page.emulate_media(media="print", color_scheme="dark")
        page.wait_for_function(f"{theme} === 'light'")
        assert (page.evaluate(closed), page.evaluate(cut)) == (0, 0)
        page.emulate_media(media="screen", color_scheme="dark")
        page.wait_for_function(f"{theme} === 'dark'")
        assert page.evaluate(closed) == before[1]


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
    for place in (address + name, (site_folder / name).as_uri()):
        with visit(place, width=390, theme=theme) as opened:
            assert opened.problems == []
            assert opened.page.evaluate("innerWidth") == 390
            assert opened.page.get_attribute("html", "data-theme") == theme
