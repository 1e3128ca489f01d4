"""What must hold of every chapter's notebook, one rule a function.

A rule takes a notebook and a `Chapter` and yields the problems it finds, in words.
"""

import ast
import re
from dataclasses import dataclass

import nbformat

from tests.support.notebook_format import normalize
from tests.support.project import colab_link, first_cell

# What the box in a chapter's first cell says, and the headings at its end, in this order.
OPENING = {
    "that it is the box": r"^> \*\*In this chapter\*\*",
    "how long it takes to read": r"\d+ minutes? to read",
    "how long it takes to run": r"(second|minute)s? to run",
    "what you will be able to do": r"^> - You will ",
    "what it builds on": r"^> \*\*You need\*\*",
}
CLOSING = ["## Summary", "## Exercises", "## Where to read on"]
FEWEST_QUESTIONS = 2

IGNORE_TAG = "nbval-ignore-output"
FORBIDDEN_TAGS = {"nbval-skip", "raises-exception", "nbval-raises-exception"}
STEERING_COMMENT = r"#\s*(NBVAL_|PYTEST_VALIDATE)"
MOST_IGNORED = 3
SHORTEST_ALT_TEXT = 30
# What the book's column holds; longer lines would have to be scrolled.
LONGEST_LINE = 88

BAD_OUTPUT = {
    "an object's address": r"\b0x[0-9a-fA-F]{6,}",
    "a path of one machine": r"(?<![\w.])/(?:home|Users|root|tmp|work|opt|usr|var|content)/\w"
    r"|\b[A-Z]:\\\\?\w|site-packages|ipykernel_\d",
    "a progress bar": r"\d%\|| it/s|\dit/s|s/it\b|\r(?!\n)",
    "a warning": r"\b\w*Warning\b:?",
    "an object's bare representation": r"^<(?:Figure size|Axes|matplotlib)|\[<matplotlib",
}
BAD_MARKDOWN = {
    "what only the book understands": r"^:{3,}.*|^`{3,}\{.*|\{[\w:-]+\}`[^`]*`|^\([\w-]+\)=$",
    "an image file": r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>",
    "<details> without blank lines around its Markdown": r"</summary>(?!\n\n)|(?<!\n)\n</details>",
    "a sentence that Markdown takes for a list": r"^(?!\s|\d+\.|$).+\n\d+\. .*",
    "a placeholder": r"@[A-Z]{3,}|\bTODO\b|\bFIXME\b|\bXXX\b",
}


@dataclass(frozen=True)
class Chapter:
    """Where a notebook lies in the repository, and the repository's address."""

    path: str
    repository: str


def tags(cell) -> set[str]:
    """Return a cell's tags."""
    return set(cell.metadata.get("tags", []))


def code_cells(notebook) -> list:
    """Return the notebook's code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook) -> str:
    """Return all Markdown of the notebook."""
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def headings(notebook) -> list[str]:
    """Return the headings, outside fenced code, in order."""
    text = re.sub(r"^(`{3,}).*?^\1", "", markdown(notebook), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#{1,6} .+?$", text, re.MULTILINE)


def name(cell) -> str:
    """Name a cell by its count, or its id, and its first line."""
    first = cell.source.strip().splitlines()[:1] or ["(empty)"]
    return f"cell {cell.get('execution_count') or cell.get('id')} ({first[0][:60]})"


def asserts(source: str) -> bool:
    """Return whether `source` holds an assert statement of something that could fail."""
    code = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in source.splitlines())
    return any(
        isinstance(node, ast.Assert) and not isinstance(node.test, (ast.Constant, ast.Tuple))
        for node in ast.walk(ast.parse(code))
    )


def valid_format(notebook, chapter):
    """nbformat 4.5 or newer, valid, and free of what editors and kernels leave behind."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield f"format {notebook.nbformat}.{notebook.nbformat_minor}; 4.5 gives cells their ids"
        return
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"
        return
    if normalize(nbformat.from_dict(notebook)) != notebook:
        yield "metadata of an editor or a kernel is left: `make notebooks` removes it"


def executed(notebook, chapter):
    """Every code cell was run, once, from top to bottom: nbval compares no others."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"cells were not run once from top to bottom: their counts are {counts}"
    for cell in code_cells(notebook):
        if not cell.source.strip():
            yield f"{name(cell)} is empty"


def compared(notebook, chapter):
    """Few outputs are left uncompared, and an assertion follows each of them."""
    cells = code_cells(notebook)
    ignored = [cell for cell in cells if IGNORE_TAG in tags(cell)]
    if len(ignored) > MOST_IGNORED:
        yield f"{len(ignored)} cells are not compared; at most {MOST_IGNORED} may be"
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if re.search(STEERING_COMMENT, cell.source):
            yield f"{name(cell)} steers nbval by a comment: use the tag {IGNORE_TAG}"
        for tag in sorted(tags(cell) & FORBIDDEN_TAGS):
            yield f"{name(cell)} has the tag {tag}"
        if cell.source.rstrip().endswith(";"):
            yield f"{name(cell)} ends in a semicolon, which nbval ignores"
        if cell in ignored and (
            following is None or following in ignored or not asserts(following.source)
        ):
            yield f"{name(cell)} is not compared, and no cell with an assertion follows it"


def clean_outputs(notebook, chapter):
    """Outputs hold no errors and nothing that differs between machines."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{name(cell)} ended in {output.ename}"
                continue
            if output.get("name") == "stderr":
                yield f"{name(cell)} wrote to stderr"
            data = output.get("data", {"text/plain": output.get("text", "")})
            texts = [text for kind, text in data.items() if kind.startswith("text/")]
            for text in [] if any(kind.startswith("image/") for kind in data) else texts:
                for what, pattern in BAD_OUTPUT.items():
                    if found := re.search(pattern, text, re.MULTILINE):
                        yield f"{name(cell)} prints {what}: {found.group()!r}"


def opens(notebook, chapter):
    """The first cell is the title with the link to Colab; the first code is the same everywhere."""
    first, cells = notebook.cells[0], code_cells(notebook)
    if first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        yield "the first cell is not a Markdown cell that begins with the title"
    if colab_link(chapter.path, chapter.repository) not in first.source:
        yield f"the first cell lacks the link {colab_link(chapter.path, chapter.repository)}"
    expected = first_cell(chapter.repository, chapter.path)
    if not cells or cells[0].source.strip() != expected:
        yield f"the first code cell is not:\n{expected}"


def rhythm(notebook, chapter):
    """Prose stands before every code cell but the second, the imports."""
    second = code_cells(notebook)[1]
    for previous, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if previous.cell_type == cell.cell_type == "code" and cell is not second:
            yield f"{name(cell)} follows another code cell without prose"


def line_length(notebook, chapter, fenced=r"(?!)"):
    """Code fits into the book's column; `fenced` finds code in Markdown."""
    for cell in notebook.cells:
        code = [cell.source] if cell.cell_type == "code" else re.findall(fenced, cell.source)
        for line in "\n".join(code).splitlines():
            # The line that installs the course has the repository's address in it.
            if len(line) > LONGEST_LINE and "%pip install" not in line:
                yield f"{name(cell)} has a line of {len(line)} characters: {line[:60]} ..."


def figures(notebook, chapter):
    """Every figure has a caption, a name to refer to and a text for who cannot see it."""
    for cell in code_cells(notebook):
        count = sum(
            any(kind.startswith("image/") for kind in output.get("data", {}))
            for output in cell.outputs
        )
        about = cell.metadata.get("mystnb", {})
        figure, alt = about.get("figure", {}), about.get("image", {}).get("alt", "").strip()
        caption = figure.get("caption", "").strip()
        if count != bool(figure):
            yield f"{name(cell)} shows {count} figures; a caption belongs to one, and one to it"
        if count and not caption:
            yield f"{name(cell)} shows a figure without a caption"
        if count and not re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")):
            yield f"{name(cell)} shows a figure whose name is not of the form fig-..."
        if count and (len(alt) < SHORTEST_ALT_TEXT or alt == caption):
            yield f"{name(cell)} shows a figure whose alt text does not say what is to be seen"


def figure_names(notebook) -> list[str]:
    """Return the names of the notebook's figures."""
    abouts = (cell.metadata.get("mystnb", {}) for cell in code_cells(notebook))
    return [about["figure"]["name"] for about in abouts if "name" in about.get("figure", {})]


def plain_markdown(notebook, chapter):
    """Markdown that every viewer reads (Colab, GitHub, an editor, the book), and whole."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = cell.source.replace(colab_link(chapter.path, chapter.repository), "")
            fenced = r"^(`{3,})[\w ]*$.*?^\1$"
            prose = re.sub(fenced, "", prose, flags=re.MULTILINE | re.DOTALL)
            if prose.count("<details>") != prose.count("</details>"):
                yield f"a <details> is not closed in its cell: {cell.source[:60]!r}"
            for what, pattern in BAD_MARKDOWN.items():
                for found in re.findall(pattern, prose, re.MULTILINE):
                    yield f"{what}: {found!r}"


def parts(notebook, chapter):
    """The chapter has its opening, questions with a hidden answer, and its closing parts."""
    for what, pattern in OPENING.items():
        if not re.search(pattern, notebook.cells[0].source, re.MULTILINE):
            yield f"the box **In this chapter** does not say {what}"
    text, found = markdown(notebook), headings(notebook)
    if len(re.findall(r"^\*\*Question\b", text, re.MULTILINE)) < FEWEST_QUESTIONS:
        yield f"fewer than {FEWEST_QUESTIONS} paragraphs begin with **Question.**"
    if "<details>" not in text.split("## Exercises")[0]:
        yield "no answer is hidden in <details>"
    if [heading for heading in found if heading in CLOSING] != CLOSING:
        yield f"the chapter does not close with {', '.join(CLOSING)}"
    levels = [len(heading.split()[0]) for heading in found]
    if levels.count(1) != 1:
        yield "the title is not the only heading of the first level"
    for above, below, heading in zip(levels, levels[1:], found[1:], strict=False):
        if below > above + 1:
            yield f"the heading {heading!r} skips a level"


def exercises(notebook, chapter):
    """There are exercises, **1.**, **2.** and so on, and each has its solution."""
    closing = markdown(notebook).partition("## Exercises\n")[2].partition("\n## ")[0]
    _, *pieces = re.split(r"^\*\*(\d+)\. ", closing, flags=re.MULTILINE)
    numbers, pages = pieces[::2], pieces[1::2]
    if not numbers or numbers != [str(n) for n in range(1, len(numbers) + 1)]:
        yield f"exercises are not numbered **1.**, **2.** and so on: {numbers}"
    for number, page in zip(numbers, pages, strict=True):
        if not re.search(r"<summary>Solution.*?</summary>\s*\S", page):
            yield f"exercise {number} has no solution"


RULES = (
    *(valid_format, executed, compared, clean_outputs, opens, rhythm, line_length, figures),
    *(plain_markdown, parts, exercises),
)
