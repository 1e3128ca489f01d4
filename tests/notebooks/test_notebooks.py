"""Every chapter keeps the rules of notebook_rules.py, and every rule can fail."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import notebook_format, project
from tests.support import notebook_rules as rules
from tests.tools import execute

CHAPTERS = project.chapters()
CHAPTER = rules.Chapter("notebooks/01_example.ipynb", "https://github.com/owner/course")
ALT = "A line that rises from zero to four, faster and faster."


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_the_rule(path, rule):
    chapter = rules.Chapter(path.relative_to(project.ROOT).as_posix(), project.address())
    problems = list(rule(nbformat.read(path, as_version=nbformat.NO_CONVERT), chapter))
    assert not problems, f"{path.name}: {rule.__doc__}\n" + "\n".join(problems)


def test_figure_names_are_unique_in_the_book():
    names = [
        (name, path.name)
        for path in CHAPTERS
        for name in rules.figure_names(nbformat.read(path, as_version=4))
    ]
    seen = {}
    for name, where in names:
        assert name not in seen, f"{name} is in {seen[name]} and in {where}"
        seen[name] = where


# The rules themselves: a small notebook that keeps them all, then one break at a time.


def picture(**metadata):
    """A code cell that shows a picture."""
    return new_code_cell(
        "figure",
        metadata=metadata,
        outputs=[
            new_output("display_data", {"image/png": "aGk=", "text/plain": "<Figure size 640x480>"})
        ],
    )


def good():
    """A notebook that keeps every rule."""
    title = (
        "# Example\n\n" + project.badge(CHAPTER.path, CHAPTER.repository) + "\n\nAdd.\n\n"
        "> **In this chapter** (5 minutes to read, 2 seconds to run)\n>\n"
        "> - You will add.\n>\n> **You need** arithmetic."
    )
    question = (
        "**Question.** What is one and one?\n\n"
        "<details>\n<summary>Answer</summary>\n\nTwo.\n\n</details>"
    )
    exercise = (
        "**{}. Add.** One and one.\n\n"
        "<details>\n<summary>Solution</summary>\n\nTwo.\n\n</details>\n\n"
    )
    closing = (
        "## Summary\n\nDone.\n\n## Exercises\n\n"
        + exercise.format(1)
        + exercise.format(2)
        + "## Where to read on\n\nElsewhere."
    )
    figure = {"figure": {"caption": "A line.", "name": "fig-line"}, "image": {"alt": ALT}}
    notebook = new_notebook(
        cells=[
            new_markdown_cell(title),
            new_code_cell(project.first_cell(CHAPTER.repository)),
            new_code_cell("import time"),
            new_markdown_cell(question),
            new_code_cell("1 + 1", outputs=[new_output("execute_result", {"text/plain": "2"})]),
            new_markdown_cell("A time."),
            new_code_cell("time.time()", metadata={"tags": [rules.IGNORE_TAG]}),
            new_markdown_cell("**Question.** What must hold?"),
            new_code_cell("assert time.time() > 0"),
            new_markdown_cell("A picture."),
            picture(mystnb=figure),
            new_markdown_cell(closing),
        ]
    )
    for count, cell in enumerate(rules.code_cells(notebook), 1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return notebook_format.normalize(notebook)


def printing(text):
    """Let the second code cell print `text`."""

    def change(notebook):
        rules.code_cells(notebook)[2].outputs = [new_output("stream", text=text, name="stdout")]

    return change


def source(index, text):
    """Give cell `index` another text."""

    def change(notebook):
        notebook.cells[index].source = text

    return change


def replace(index, old, new):
    """Replace a part of cell `index`."""

    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def tag(index, *names):
    """Give cell `index` these tags and no others."""

    def change(notebook):
        notebook.cells[index].metadata["tags"] = list(names)

    return change


def about_picture(key, value):
    """Change what the cell with the picture says about it."""

    def change(notebook):
        notebook.cells[10].metadata["mystnb"][key] = value

    return change


def clear(notebook):
    for cell in rules.code_cells(notebook):
        cell.execution_count, cell.outputs = None, []


def swap(notebook):
    cells = rules.code_cells(notebook)
    cells[1].execution_count, cells[2].execution_count = 3, 2


def old_format(notebook):
    notebook.nbformat_minor = 4


def same_ids(notebook):
    notebook.cells[1].id = notebook.cells[0].id


def timing(notebook):
    notebook.cells[2].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}


def python_version(notebook):
    notebook.metadata["language_info"]["version"] = "3.13.1"


def many_ignored(notebook):
    for _ in range(3):
        notebook.cells[6:6] = copy.deepcopy(notebook.cells[6:9])


def failed(notebook):
    notebook.cells[4].outputs = [
        new_output("error", ename="ValueError", evalue="no", traceback=["no"])
    ]


def to_stderr(notebook):
    notebook.cells[4].outputs = [new_output("stream", text="loading", name="stderr")]


def without_prose(notebook):
    del notebook.cells[5]


def two_pictures(notebook):
    notebook.cells[10].outputs *= 2


def no_picture(notebook):
    notebook.cells[10].outputs = []


def no_metadata(notebook):
    notebook.cells[10].metadata = {}


BREAKS = [
    (rules.valid_format, old_format),
    (rules.valid_format, same_ids),
    (rules.valid_format, timing),
    (rules.valid_format, python_version),
    (rules.executed, clear),
    (rules.executed, swap),
    (rules.executed, source(4, " ")),
    (rules.compared, many_ignored),
    (rules.compared, source(8, "print(1)")),
    (rules.compared, source(8, "assert True")),
    (rules.compared, source(8, "# assert time.time() > 0")),
    (rules.compared, tag(8, rules.IGNORE_TAG)),
    (rules.compared, tag(4, "nbval-skip")),
    (rules.compared, tag(4, "raises-exception")),
    (rules.compared, source(4, "# NBVAL_IGNORE_OUTPUT\n1 + 1")),
    (rules.compared, source(4, "#NBVAL_SKIP\n1 + 1")),
    (rules.compared, source(4, "figure = 1 + 1\nfigure;")),
    (rules.clean_outputs, failed),
    (rules.clean_outputs, to_stderr),
    (rules.clean_outputs, printing("<object at 0x7f3a2b1c4d5e>")),
    (rules.clean_outputs, printing("saved to /home/someone/file")),
    (rules.clean_outputs, printing("C:\\Users\\someone")),
    (rules.clean_outputs, printing("/tmp/run/model.pt")),
    (rules.clean_outputs, printing(" 50%|#####     | 5/10")),
    (rules.clean_outputs, printing("10\r20\r")),
    (rules.clean_outputs, printing("x.py:3: UserWarning: old")),
    (rules.clean_outputs, printing("<Figure size 640x480 with 1 Axes>")),
    (rules.opens, replace(0, "# Example", "Example")),
    (rules.opens, replace(0, "owner/course", "another/course")),
    (rules.opens, replace(0, "01_example", "02_example")),
    (rules.opens, replace(1, "owner/course", "another/course")),
    (rules.opens, source(1, "import cbam_course")),
    (rules.rhythm, without_prose),
    (rules.line_length, source(4, f"x = {'1 + ' * 22}1")),
    (rules.figures, no_metadata),
    (rules.figures, no_picture),
    (rules.figures, two_pictures),
    (rules.figures, about_picture("figure", {"name": "fig-line"})),
    (rules.figures, about_picture("figure", {"caption": "A line."})),
    (rules.figures, about_picture("figure", {"caption": "A line.", "name": "line"})),
    (rules.figures, about_picture("image", {"alt": "a plot"})),
    (rules.figures, about_picture("figure", {"caption": ALT, "name": "fig-line"})),
    (rules.no_image_files, source(5, "![a map](figures/map.png)")),
    (rules.no_image_files, source(5, "![a map](https://example.org/map.png)")),
    (rules.no_image_files, source(5, "<img src='map.png'>")),
    (rules.no_image_files, source(5, "```{figure} map.png\n```")),
    (rules.plain_markdown, source(5, ":::{note}\nNo.\n:::")),
    (rules.plain_markdown, source(5, "```{note}\nNo.\n```")),
    (rules.plain_markdown, source(5, "See {cite:p}`woo2018cbam`.")),
    (rules.plain_markdown, source(5, "(a-label)=\n## A part")),
    (rules.plain_markdown, replace(3, "</details>", "")),
    (rules.plain_markdown, replace(3, "</summary>\n", "</summary>")),
    (rules.plain_markdown, replace(3, "Two.\n", "Two.")),
    (rules.plain_markdown, replace(0, "5 minutes", "@READ minutes")),
    (rules.parts, replace(0, "> **In this chapter**", "In this chapter")),
    (rules.parts, replace(0, "5 minutes to read", "short")),
    (rules.parts, replace(0, "2 seconds to run", "short")),
    (rules.parts, replace(0, "- You will", "- We")),
    (rules.parts, replace(0, "**You need**", "Assumes")),
    (rules.parts, source(3, "Two.")),
    (rules.parts, replace(3, "**Question.**", "Hm.")),
    (rules.parts, source(5, "# Another title")),
    (rules.parts, source(5, "### A level too deep")),
    (rules.parts, replace(11, "## Summary", "## The end")),
    (rules.parts, replace(11, "## Exercises", "### Exercises")),
    (rules.parts, replace(11, "## Where to read on", "")),
    (rules.exercises, replace(11, "**1. Add.**", "1. Add.")),
    (rules.exercises, replace(11, "**1. Add.**", "**3. Add.**")),
    (rules.exercises, replace(11, "Solution", "Hint")),
    (rules.exercises, replace(11, "## Exercises", "## Tasks")),
]


def test_a_good_notebook_breaks_no_rule():
    notebook = good()
    assert [problem for rule in rules.RULES for problem in rule(notebook, CHAPTER)] == []


@pytest.mark.parametrize(
    "rule, change",
    BREAKS,
    ids=[f"{rule.__name__}-{number}" for number, (rule, _) in enumerate(BREAKS)],
)
def test_the_rule_sees_the_break(rule, change):
    notebook = good()
    change(notebook)
    assert list(rule(notebook, CHAPTER))


def test_every_rule_is_seen_to_fail():
    assert {rule for rule, _ in BREAKS} == set(rules.RULES)


def test_words_that_only_look_like_trouble_pass():
    notebook = good()
    printing("50 % of 3/4 channels; ratio and/or 0x10; a/b/c; warning signs")(notebook)
    assert list(rules.clean_outputs(notebook, CHAPTER)) == []


def test_storing_outputs_is_the_same_twice(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("print('one')\nprint('two')\n1 + 1")])
    path = tmp_path / "small.ipynb"
    notebook_format.write(notebook, path)
    execute.execute(path)
    first = path.read_text()
    execute.execute(path)
    assert path.read_text() == first
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.id == notebook.cells[0].id
    assert [output.get("text") for output in cell.outputs] == ["one\ntwo\n", None]
    assert list(rules.valid_format(nbformat.read(path, as_version=4), CHAPTER)) == []
