"""What must hold of every chapter's notebook, one rule a function.

A rule takes a notebook and a `Chapter` and returns the problems it finds, in words.
"""

import ast
import re
from dataclasses import dataclass

import nbformat

from tests.support.notebook_format import CELL_METADATA, normalize
from tests.support.project import badge, first_cell

# The parts that every chapter has: the box in its first cell, and these headings, in this order.
OPENING = "> **In this chapter**"
OPENING_SAYS = {
    "how long it takes to read": r"\d+ minutes? to read",
    "how long it takes to run": r"(second|minute)s? to run",
    "what you will be able to do": r"> - You will ",
    "what it builds on": r"\*\*You need\*\*",
}
CLOSING_HEADINGS = ("## Summary", "## Exercises", "## Where to read on")
FEWEST_QUESTIONS = 2

IGNORE_TAG = "nbval-ignore-output"
FORBIDDEN_TAGS = {"nbval-skip", "raises-exception", "nbval-raises-exception"}
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


def texts(cell):
    """Yield every text that a code cell's outputs hold, except of images."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join(output.traceback)
        else:
            picture = any(kind.startswith("image/") for kind in output.data)
            for kind, data in output.data.items():
                if kind.startswith("text/") and not (picture and kind == "text/plain"):
                    yield data if isinstance(data, str) else "".join(data)


def asserts(source: str) -> bool:
    """Return whether `source` holds an assert statement of something that could fail."""
    code = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in source.splitlines())
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    return any(
        isinstance(node, ast.Assert) and not isinstance(node.test, (ast.Constant, ast.Tuple))
        for node in ast.walk(tree)
    )


def valid_format(notebook, chapter, keep=CELL_METADATA):
    """nbformat 4.5 or newer, valid, and free of what editors and kernels leave behind."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield f"format {notebook.nbformat}.{notebook.nbformat_minor}; 4.5 gives cells their ids"
        return
    ids = [cell.get("id") for cell in notebook.cells]
    if len(set(ids)) < len(ids):
        yield "two cells have the same id"
        return
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"
        return
    if normalize(nbformat.from_dict(notebook), keep) != notebook:
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
        if re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source):
            yield f"{name(cell)} steers nbval by a comment: use the tag {IGNORE_TAG}"
        for tag in sorted(tags(cell) & FORBIDDEN_TAGS):
            yield f"{name(cell)} has the tag {tag}"
        if cell.source.rstrip().endswith(";"):
            yield f"{name(cell)} ends in a semicolon, which nbval ignores"
        if IGNORE_TAG in tags(cell) and (
            following is None or IGNORE_TAG in tags(following) or not asserts(following.source)
        ):
            yield f"{name(cell)} is not compared, and no cell with an assertion follows it"


def clean_outputs(notebook, chapter):
    """Outputs hold no errors and nothing that differs between machines."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{name(cell)} ended in {output.ename}"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"{name(cell)} wrote to stderr"
        for text in texts(cell):
            for what, pattern in BAD_OUTPUT.items():
                if found := re.search(pattern, text, re.MULTILINE):
                    yield f"{name(cell)} prints {what}: {found.group()!r}"


def opens(notebook, chapter):
    """The first cell is the title with the badge; the first code is the same everywhere."""
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        yield "the first cell is not a Markdown cell that begins with the title"
    if badge(chapter.path, chapter.repository) not in first.source:
        yield f"the first cell lacks the badge {badge(chapter.path, chapter.repository)}"
    cells = code_cells(notebook)
    if not cells or cells[0].source.strip() != first_cell(chapter.repository):
        yield f"the first code cell is not:\n{first_cell(chapter.repository)}"


def rhythm(notebook, chapter):
    """Prose stands before every code cell but the second, the imports."""
    previous, number = "markdown", 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            number += 1
            if previous == "code" and number > 2:
                yield f"{name(cell)} follows another code cell without prose"
        previous = cell.cell_type


def line_length(notebook, chapter):
    """Code fits into the book's column."""
    for cell in code_cells(notebook):
        for line in cell.source.splitlines():
            if len(line) > LONGEST_LINE:
                yield f"{name(cell)} has a line of {len(line)} characters: {line.strip()[:60]} ..."


def figures(notebook, chapter):
    """Every picture has a caption, a name to refer to and a text for who cannot see it."""
    for cell in code_cells(notebook):
        pictures = sum(
            any(kind.startswith("image/") for kind in output.get("data", {}))
            for output in cell.outputs
        )
        if not pictures:
            if "figure" in cell.metadata.get("mystnb", {}):
                yield f"{name(cell)} has a caption but shows no picture"
            continue
        if pictures > 1:
            yield f"{name(cell)} shows {pictures} pictures, but a caption belongs to one"
        about = cell.metadata.get("mystnb", {})
        figure, alt = about.get("figure", {}), about.get("image", {}).get("alt", "")
        if not figure.get("caption", "").strip():
            yield f"{name(cell)} shows a picture without a caption"
        if not re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")):
            yield f"{name(cell)} shows a picture whose name is not of the form fig-..."
        if len(alt.strip()) < SHORTEST_ALT_TEXT:
            yield f"{name(cell)} shows a picture whose alt text does not say what is to be seen"
        elif alt.strip() == figure.get("caption", "").strip():
            yield f"{name(cell)} repeats its caption as alt text"


def figure_names(notebook) -> list[str]:
    """Return the names of the notebook's figures."""
    abouts = (cell.metadata.get("mystnb", {}) for cell in code_cells(notebook))
    return [about["figure"]["name"] for about in abouts if "name" in about.get("figure", {})]


def no_image_files(notebook, chapter):
    """Pictures are drawn by code: an image file breaks in Colab, a remote one without network."""
    text = markdown(notebook).replace(badge(chapter.path, chapter.repository), "")
    for pattern in (r"!\[[^\]]*\]\([^)]*\)", r"<img\b[^>]*>", r"\{(?:image|figure)\}\s*\S+"):
        for found in re.findall(pattern, text):
            yield f"an image file: {found}"


def plain_markdown(notebook, chapter):
    """Markdown that every viewer reads (Colab, GitHub, an editor, the book), and whole."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        prose = re.sub(r"^(`{3,})[\w ]*$.*?^\1$", "", cell.source, flags=re.MULTILINE | re.DOTALL)
        for pattern in (r"^:{3,}.*", r"^`{3,}\{.*", r"\{[\w:-]+\}`[^`]*`", r"^\([\w-]+\)=$"):
            for found in re.findall(pattern, prose, re.MULTILINE):
                yield f"only the book understands {found!r}"
        if prose.count("<details>") != prose.count("</details>"):
            yield f"a <details> is not closed in its cell: {cell.source[:60]!r}"
        for opened in re.findall(r"</summary>(?!\n\n)|(?<!\n)\n</details>", prose):
            yield f"Markdown in <details> needs a blank line at {opened.strip()!r}"
        for found in re.findall(r"@[A-Z]{3,}|\bTODO\b|\bFIXME\b|\bXXX\b", cell.source):
            yield f"a placeholder is left: {found}"


def parts(notebook, chapter):
    """The chapter has its opening, questions with a hidden answer, and its closing parts."""
    opening = re.search(
        rf"^{re.escape(OPENING)}.*(?:\n>.*)*", notebook.cells[0].source, re.MULTILINE
    )
    if not opening:
        yield f"the first cell has no box that begins with {OPENING!r}"
    else:
        for what, pattern in OPENING_SAYS.items():
            if not re.search(pattern, opening.group()):
                yield f"the box {OPENING!r} does not say {what}"
    text = markdown(notebook)
    if len(re.findall(r"^\*\*Question\b", text, re.MULTILINE)) < FEWEST_QUESTIONS:
        yield f"fewer than {FEWEST_QUESTIONS} paragraphs begin with **Question.**"
    if "<details>" not in text.split("## Exercises")[0]:
        yield "no answer is hidden in <details>"
    found = headings(notebook)
    if sum(heading.startswith("# ") for heading in found) != 1:
        yield "the title is not the only heading of the first level"
    if tuple(heading for heading in found if heading in CLOSING_HEADINGS) != CLOSING_HEADINGS:
        yield f"the chapter does not close with {', '.join(CLOSING_HEADINGS)}"
    levels = [len(heading.split()[0]) for heading in found]
    for above, below, heading in zip(levels, levels[1:], found[1:], strict=False):
        if below > above + 1:
            yield f"the heading {heading!r} skips a level"


def exercises(notebook, chapter):
    """There are exercises, **1.**, **2.** and so on, and each has its solution."""
    closing = re.search(
        r"^## Exercises$(.*?)(?=^## |\Z)", markdown(notebook), re.MULTILINE | re.DOTALL
    )
    pieces = re.split(r"^\*\*(\d+)\. ", closing.group(1) if closing else "", flags=re.MULTILINE)
    numbers, texts_of = pieces[1::2], pieces[2::2]
    if not numbers or numbers != [str(n) for n in range(1, len(numbers) + 1)]:
        yield f"exercises are not numbered **1.**, **2.** and so on: {numbers}"
    for number, text in zip(numbers, texts_of, strict=True):
        if not re.search(r"<summary>Solution.*?</summary>\s*\S", text):
            yield f"exercise {number} has no solution"


RULES = (
    valid_format,
    executed,
    compared,
    clean_outputs,
    opens,
    rhythm,
    line_length,
    figures,
    no_image_files,
    plain_markdown,
    parts,
    exercises,
)
