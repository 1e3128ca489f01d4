"""The built site: every link and anchor leads somewhere, and nothing needs the network."""

import gc
import os
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.support.project import ROOT, address, chapters, site_address
from tests.support.site import GENERATED, page_names

# What a page loads by itself, as opposed to a link that a reader may follow.
LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src"}
# The site's folder on its host.
PREFIX = urlsplit(site_address()).path
# Words; a reader of the reference looks for a name, and does not read.
LONGEST_PAGE = 5000


class Site:
    """The pages of a built site, parsed once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.pages = {
            name: BeautifulSoup((folder / name).read_text(encoding="utf-8"), "html.parser")
            for name in page_names(folder)
        }
        self.anchors = {
            name: {tag[key] for key in ("id", "name") for tag in page.find_all(attrs={key: True})}
            for name, page in self.pages.items()
        }
        # The front door and the lost page: their links lead as if they stood elsewhere.
        self.stands = {
            name: page.base["href"].removeprefix(PREFIX) or "404.html" if page.base else name
            for name, page in self.pages.items()
        }

    def content(self):
        """Yield the pages that have an article of their own."""
        for name, page in self.pages.items():
            if name not in GENERATED and page.find("article"):
                yield name, page.find("article")

    def target(self, page: str, link: str) -> tuple[str, str] | None:
        """Return the file and the anchor of an internal link, or None for an external one."""
        if urlsplit(link).scheme or link.startswith("//"):
            return None
        path, anchor = urldefrag(link)
        path = unquote(path.split("?")[0])
        page = self.stands[page]
        file = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        return Path(file).as_posix(), unquote(anchor)


def broken_links(site: Site):
    """Yield the links whose page, file or anchor does not exist."""
    for name, page in site.pages.items():
        for link in page.find_all("a", href=True):
            target = site.target(name, link["href"])
            if target is None:
                continue
            file, anchor = target
            if not (site.folder / file).is_file():
                yield f"{name}: {link['href']} leads to no file"
            elif anchor and file in site.anchors and anchor not in site.anchors[file]:
                yield f"{name}: {link['href']} leads to no such anchor"


def loaded_from_elsewhere(site: Site):
    """Yield what pages load, if it is not a file of the site."""
    for name, page in site.pages.items():
        for tag, key in LOADED.items():
            for element in page.find_all(tag, attrs={key: True}):
                if element[key].startswith("data:"):
                    continue
                if tag == "link" and {"canonical", "next", "prev"} & set(element.get("rel", [])):
                    continue
                target = site.target(name, element[key])
                if target is None or not (site.folder / target[0]).is_file():
                    yield f"{name}: {element[key]}"


def without_alt_text(site: Site):
    """Yield the images of the text that say nothing to whom cannot see them."""
    for name, article in site.content():
        for image in article.find_all("img"):
            if not image.get("alt", "").strip() or image["alt"].endswith((".png", ".svg")):
                yield f"{name}: {image.get('src')}"


def headers_without_text(site: Site):
    """Yield the tables with a header that is read aloud as nothing."""
    for name, article in site.content():
        if not all(header.get_text().strip() for header in article.find_all("th")):
            yield f"{name}: a table has an empty header"


def without_title(site: Site):
    """Yield pages that lack a title of their own or a single first heading."""
    titles = {}
    for name, page in site.pages.items():
        if name == "index.html":
            continue  # it is the first page once more
        title = page.title.get_text().strip() if page.title else ""
        if not title or title.startswith("<"):
            yield f"{name}: no title"
        if title in titles:
            yield f"{name}: the title {title!r} is also that of {titles[title]}"
        titles[title] = name
    for name, article in site.content():
        if len(article.find_all("h1")) != 1:
            yield f"{name}: {len(article.find_all('h1'))} headings of the first level"


def raw_markup(site: Site):
    """Yield markup that reached the reader as it was typed."""
    patterns = (r"\{[\w:-]+\}`", r":{3,}\{?", r"\[\^?[^\]\n]+\]\([^)\n]+\)", r"\$\$", r"^#{2,} \w")
    for name, article in site.content():
        hidden = ("pre", "code", "script", "style")
        typed = {id(string) for tag in article.find_all(hidden) for string in tag.strings}
        text = "".join(string for string in article.strings if id(string) not in typed)
        for pattern in patterns:
            for found in re.findall(pattern, text, re.MULTILINE):
                yield f"{name}: {found}"


def tripping_scripts(site: Site):
    """Yield what makes a browser stop a script: anchors no selector can name, twofold constants."""
    for name, page in site.pages.items():
        for link in page.find_all("a", href=re.compile(r"^#.")):
            if not re.fullmatch(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", unquote(link["href"][1:])):
                yield f"{name}: {link['href']} is no selector"
        code = "\n".join(script.get_text() for script in page.find_all("script", src=False))
        constants = re.findall(r"\bconst (\w+)", code)
        for constant in {c for c in constants if constants.count(c) > 1}:
            yield f"{name}: {constant} is declared twice"


CHECKS = (
    broken_links,
    loaded_from_elsewhere,
    without_alt_text,
    headers_without_text,
    without_title,
    raw_markup,
    tripping_scripts,
)


@pytest.fixture(scope="module")
def site(site_folder):
    """The pages of the built site."""
    gc.disable()  # looking for garbage among what is kept took a third of the time
    yield Site(site_folder)
    gc.enable()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_site(site, check):
    problems = sorted(set(check(site)))
    assert not problems, f"{check.__doc__}\n" + "\n".join(problems)


def test_every_page_is_there_and_the_front_door_leads_to_the_first(site):
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    root, *files = re.findall(r"(?:root|file): (\S+)", contents)
    assert {f"{file}.html" for file in (root, *files)} <= site.pages.keys()
    door, first = (str(site.pages[name].body) for name in ("index.html", f"{root}.html"))
    assert door == first and site.pages["index.html"].base["href"] == f"{root}.html"
    assert not site.pages["index.html"].find("meta", attrs={"http-equiv": "Refresh"})


def test_pages_say_what_they_are_and_where(site):
    descriptions = {}
    for name, page in site.pages.items():
        canonical = page.find("link", rel="canonical")["href"]
        real = "book/intro.html" if name == "index.html" else name
        assert canonical == f"{site_address()}{real}"
        if name in GENERATED | {"404.html", "index.html"}:
            continue
        tags = {tag.get("property"): tag["content"] for tag in page.select("meta[property^='og:']")}
        described = page.find("meta", attrs={"name": "description"})["content"]
        assert tags["og:url"] == canonical and tags["og:description"] == described
        assert tags["og:title"] and 0 < len(described) <= 200, name
        image = tags["og:image"].removeprefix(site_address())
        assert (site.folder / image).is_file()
        descriptions.setdefault(described, []).append(name)
    assert not [names for names in descriptions.values() if len(names) > 1]


def test_the_map_of_the_site_lists_what_the_contents_list(site):
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = re.findall("<loc>(.+?)</loc>", (site.folder / "sitemap.xml").read_text())
    files = re.findall(r"(?:root|file): (\S+)", contents)
    assert sorted(listed) == sorted(f"{site_address()}{file}.html" for file in files)


def test_pages_of_notebooks_open_themselves_in_colab(site):
    slug = address().removeprefix("https://github.com/")
    for name, page in site.pages.items():
        if name.startswith("notebooks/"):
            notebook = name.removesuffix(".html") + ".ipynb"
            links = page.select("a[href^='https://colab.research.google.com/']")
            right = f"https://colab.research.google.com/github/{slug}/blob/main/{notebook}"
            assert links and {link["href"] for link in links} == {right}, name


def test_every_icon_has_its_sign(site):
    style = (site.folder / "_static" / "icons.css").read_text(encoding="utf-8")
    there = set(re.findall(r"\.(fa-[\w-]+)", style))
    for name, page in site.pages.items():
        used = {c for tag in page.select("[class*='fa-']") for c in tag["class"] if c[:3] == "fa-"}
        assert used <= there, name


def test_the_api_pages_are_short_enough_to_find_a_name(site):
    for name, page in site.content():
        if name.startswith("book/api"):
            assert len(page.get_text().split()) < LONGEST_PAGE, name


def test_formulas_are_set_by_the_site_itself(site):
    for name, page in site.pages.items():
        scripts = [s["src"] for s in page.find_all("script", src=True) if "mathjax" in s["src"]]
        assert len(scripts) == bool(page.select("article .math")), name
    fonts = site.folder / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2"
    assert len(list(fonts.glob("*.woff"))) > 20


def test_figures_have_numbers_and_captions(site):
    for path in chapters():
        page = site.pages[f"notebooks/{path.stem}.html"]
        for figure in page.select("article figure"):
            assert figure.select_one("figcaption .caption-number"), path.name
            assert figure.select_one("figcaption .caption-text"), path.name


def test_words_of_the_glossary_are_explained_where_they_stand_first(site):
    link = site.pages["notebooks/05_cbam.html"].select("a.glossary-word[href$='#term-shared-MLP']")
    assert len(link) == 1 and link[0].get_text() == "shared MLP"
    assert link[0]["title"].startswith("The two fully connected layers")
    for name, article in site.content():
        links = [a["href"] for a in article.select("a.glossary-word")]
        assert len(links) == len(set(links)), name
    assert not site.pages["book/glossary.html"].select("a.glossary-word")


def test_cited_papers_are_named_under_the_mouse_and_in_the_references(site):
    """Those of a preprint server, as the chapters cite."""
    for name, article in site.content():
        for link in article.select(
            "a[href^='https://arxiv.org/abs/'], a[href^='https://doi.org/']"
        ):
            assert link.get("title") or name == "book/references.html", f"{name}: {link['href']}"


# The checks themselves, on a small site with one fault.

PAGE = "<html><head><title>{0}</title></head><body><article><h1>{0}</h1>{1}</article></body></html>"


def small_site(folder: Path, text: str, title: str = "One") -> Site:
    """Write a site of two pages, the first with `text`, and read it."""
    (folder / "one.html").write_text(PAGE.format(title, text))
    (folder / "two.html").write_text(PAGE.format("Two", "<p id='here'>Text.</p>"))
    (folder / "map.png").write_bytes(b"")
    return Site(folder)


@pytest.mark.parametrize(
    "check, text",
    [
        (broken_links, "<a href='three.html'>three</a>"),
        (broken_links, "<a href='two.html#there'>two</a>"),
        (broken_links, "<a href='#there'>here</a>"),
        (loaded_from_elsewhere, "<script src='https://example.org/x.js'></script>"),
        (loaded_from_elsewhere, "<script src='//example.org/x.js'></script>"),
        (loaded_from_elsewhere, "<link rel='stylesheet' href='https://example.org/x.css'>"),
        (loaded_from_elsewhere, "<img src='https://example.org/map.png' alt='A map.'>"),
        (loaded_from_elsewhere, "<img src='missing.png' alt='A map.'>"),
        (without_alt_text, "<img src='map.png'>"),
        (without_alt_text, "<img src='map.png' alt=' '>"),
        (without_alt_text, "<img src='map.png' alt='../map.png'>"),
        (without_title, "<h1>Another</h1>"),
        (headers_without_text, "<table><tr><th></th><th>b</th></tr></table>"),
        (raw_markup, "<p>See {cite:p}`woo2018cbam`.</p>"),
        (raw_markup, "<p>:::{note}</p>"),
        (raw_markup, "<p>See [chapter 2](02.ipynb).</p>"),
        (raw_markup, "<p>$$</p>"),
        (tripping_scripts, "<p id='v1.5'></p><a href='#v1.5'>v1.5</a>"),
        (tripping_scripts, "<script>const a = 1</script><script>const a = 1</script>"),
    ],
)
def test_the_check_sees_the_fault(tmp_path, check, text):
    assert list(check(small_site(tmp_path, text)))


@pytest.mark.parametrize("title", ["", "Two"])
def test_a_missing_or_repeated_title_is_seen(tmp_path, title):
    assert list(without_title(small_site(tmp_path, "", title)))
