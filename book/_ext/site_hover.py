"""What a word of the glossary or a cited work is, shown where the mouse rests on it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from docutils import nodes
from pybtex.backends.plaintext import Backend
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

GLOSSARY = "book/glossary"
# Of formulas, in text.
SIGNS = {"to": "→", "leftarrow": "←", "eta": "η", ",": " "}


def setup(app: Sphinx) -> dict[str, bool]:
    """Add both."""
    app.add_post_transform(GlossaryWords)
    app.add_post_transform(CitedWorks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@cache
def definitions(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return what the glossary says of each term, without its last link, and the term's anchor.

    One common word, such as "body", may mean something else on another page, and is left out.
    """
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        term, paragraph = item[0], item[-1][0]
        name = term.astext()
        if " " in name or name != name.lower():
            # A citation is a number that is not known yet.
            texts = [part.astext() for part in paragraph if not isinstance(part, pending_xref)]
            meaning = re.sub(
                r"\\([a-z]+|.)", lambda sign: SIGNS.get(sign[1], sign[1]), "".join(texts)
            )
            meaning = " ".join(meaning.split()).removesuffix(" ()").replace(" .", ".")
            found[name] = meaning, term["ids"][0]
    return found


@cache
def works(env: BuildEnvironment) -> dict[str, str]:
    """Return the list's entry of each work with a number at arXiv or a DOI, by that."""
    # Asked for by its name, pybtex would look for its backend each time.
    found, backend = {}, Backend()
    for citation in env.get_domain("cite").citations:
        fields = citation.entry.fields
        for address in ("eprint", "doi", "url"):
            if address in fields:
                found[fields[address]] = citation.formatted_entry.text.render(backend)
    return found


class GlossaryWords(SphinxPostTransform):
    """Make the first mention of each term on a page a link to the glossary."""

    default_priority = 800

    def run(self, **options: object) -> None:
        """Go through the paragraphs in their order."""
        if self.app.builder.name != "html" or self.env.docname == GLOSSARY:
            return
        unseen = dict(definitions(self.env))
        page = self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
        for paragraph in list(self.document.findall(nodes.paragraph)):
            for text in [child for child in paragraph if isinstance(child, nodes.Text)]:
                paragraph.replace(text, list(linked(str(text), unseen, page)))


def linked(text: str, unseen: dict[str, tuple[str, str]], page: str) -> list[nodes.Node]:
    """Return a text in parts, its terms as links; they are taken out of `unseen`."""
    parts: list[nodes.Node] = []
    while unseen:
        names = "|".join(map(re.escape, sorted(unseen, key=len, reverse=True)))
        match = re.search(rf"(?<![\w-])({names})(?=s?(?![\w-]))", text)
        if match is None:
            break
        meaning, anchor = unseen.pop(match[1])
        link = nodes.reference("", match[1], refuri=f"{page}#{anchor}", reftitle=meaning)
        link["internal"], link["classes"] = True, ["glossary-word"]
        parts += [nodes.Text(text[: match.start()]), link]
        text = text[match.end() :]
    return [*parts, nodes.Text(text)]


class CitedWorks(SphinxPostTransform):
    """Give links to works of the references their entry as a title."""

    default_priority = 800

    def run(self, **options: object) -> None:
        """Find them by the end of the address."""
        known = works(self.env)
        for link in self.document.findall(nodes.reference):
            address = re.sub(r"^https?://(arxiv\.org/abs|doi\.org)/", "", link.get("refuri", ""))
            if address in known:
                link.setdefault("reftitle", known[address])
