"""Every chapter and its exercises keep the rules; every rule can fail."""

import copy
from functools import cache

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.support import exercise_cells, exercise_rules, notebook_format, project
from tests.support import notebook_rules as rules
from tests.tools import execute

CHAPTERS = project.chapters()
EXERCISES = exercise_cells.exercise_notebooks()
RULES = [(path, rule) for path in CHAPTERS for rule in rules.RULES]
RULES += [(path, rule) for path in EXERCISES for rule in exercise_rules.RULES]


@cache
def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def problems(path, rule, notebook):
    """What a rule finds in a notebook that lies at `path`."""
    name = path.relative_to(project.ROOT).as_posix()
    return list(rule(notebook, rules.Chapter(name, project.address())))


@pytest.mark.parametrize(
    "path, rule", RULES, ids=[f"{path.parent.name}-{path.stem}-{r.__name__}" for path, r in RULES]
)
def test_the_notebook_keeps_the_rule(path, rule):
    found = problems(path, rule, read(path))
    assert not found, f"{path.name}: {rule.__doc__}\n" + "\n".join(found)


def test_figure_names_are_unique_in_the_book():
    names = [name for path in CHAPTERS for name in rules.figure_names(read(path))]
    assert len(set(names)) == len(names)


def test_exercises_have_the_names_and_titles_of_their_chapters():
    assert [path.name for path in EXERCISES] == [path.name for path in CHAPTERS]
    for path, chapter in zip(EXERCISES, CHAPTERS, strict=True):
        title = read(chapter).cells[0].source.splitlines()[0]
        own = read(path).cells[0].source.splitlines()[0]
        assert own == title.replace("# ", "# Exercises: ", 1)


# The rules themselves: chapter 12 and its exercises keep them all, and are broken in one way each.


def cell_of(notebook, name):
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def replace(name, old, new):
    """Replace a part of the cell with this id."""

    def change(notebook):
        cell = cell_of(notebook, name)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return change


def let(name, field, value):
    """Let the cell with this id have another source, count, outputs or metadata."""

    def change(notebook):
        cell_of(notebook, name)[field] = nbformat.from_dict(value)

    return change


def tagged(name, tag):
    return let(name, "metadata", {"tags": [tag]})


def printed(*lines):
    return [new_output("stream", name="stdout", text="".join(f"{line}\n" for line in lines))]


def prints(text):
    return let("toy", "outputs", printed(text))


def about(figure, alt="A line " * 6):
    mystnb = {"figure": figure, "image": {"alt": alt}}
    return let("family-figure", "metadata", {"mystnb": mystnb})


def everywhere(old, new):
    """Replace a word in all cells."""

    def change(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def without(name):
    """Leave out the cell with this id."""
    return lambda notebook: notebook.cells.remove(cell_of(notebook, name))


def old_format(notebook):
    notebook.nbformat_minor = 4


def many_ignored(notebook):
    notebook.cells += 3 * [cell_of(notebook, name) for name in ("cost-time", "cost-check")]


def two_figures(notebook):
    cell_of(notebook, "family-figure").outputs *= 2


def exchanged(notebook):
    notebook.cells[3:7], notebook.cells[7:11] = notebook.cells[7:11], notebook.cells[3:7]


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["no"])
LONG = "sum = " + " + ".join(["a"] * 25)
UNEXPLAINED = "<details>\n<summary>Solution</summary>\n\n```python\na\n```\n\n</details>"
IN_THE_CHAPTER = {
    rules.valid_format: [old_format, let("setup", "metadata", {"execution": {"time": 1}})],
    rules.executed: [let("toy", "execution_count", None), let("toy", "source", " ")],
    rules.compared: [
        many_ignored,
        *(replace("cost-check", "assert ", new) for new in ("print() or ", "# assert ")),
        let("cost-check", "source", "assert True"),
        *(tagged(name, rules.IGNORE_TAG) for name in ("cost-check", "toy")),
        *(tagged("toy", tag) for tag in ("nbval-skip", "raises-exception")),
        *(let("toy", "source", source) for source in ("#NBVAL_SKIP\n1 + 1", "figure;")),
    ],
    rules.clean_outputs: [
        let("toy", "outputs", [ERROR]),
        let("toy", "outputs", [new_output("stream", text="loading", name="stderr")]),
        *map(prints, ("<object at 0x7f3a2b1c4d5e>", "in /home/someone/file", "C:\\Users\\one")),
        *map(prints, ("/tmp/run/model.pt", " 50%|#####     | 5/10", "10\r20\r")),
        *map(prints, ("x.py:3: UserWarning: old", "<Figure size 640x480 with 1 Axes>")),
    ],
    rules.opens: [
        replace("title", "# Relatives", "Relatives"),
        *(replace(name, "github", "gitlab") for name in ("title", "setup")),
        replace("title", "12_relatives", "03_relatives"),
    ],
    rules.rhythm: [without("pool-notes")],
    rules.line_length: [let("toy", "source", LONG)],
    rules.figures: [
        two_figures,
        let("family-figure", "metadata", {}),
        let("family-figure", "outputs", []),
        *map(about, ({"name": "fig-line"}, {"caption": "A line.", "name": "line"})),
        about({"caption": "A line.", "name": "fig-line"}, alt="a plot"),
        about({"caption": "A line " * 6, "name": "fig-line"}),
    ],
    rules.plain_markdown: [
        *(
            let("cost-assert", "source", text)
            for text in (
                *("![a map](figures/map.png)", "<img src='map.png'>", "```{figure} map.png\n```"),
                *(":::{note}\nNo.\n:::", "See {cite:p}`woo2018cbam`.", "(a-label)=\n## A part"),
                *("It grew from 3 to\n12. Then it stopped.", "@READ minutes", "TODO"),
            )
        ),
        *(replace("pool-answer", old, "") for old in ("</details>", "\n\n</det")),
        replace("pool-answer", "</summary>\n", "</summary>"),
    ],
    rules.parts: [
        *(
            replace("title", old, "")
            for old in ("> **In", "minutes to read", "minute to run", "> - You", "**You need**")
        ),
        *(everywhere(old, "") for old in ("**Question", "<details>")),
        *(replace("mix", "## Other", heading) for heading in ("# Other", "#### Other")),
        replace("choose", "## Summary", "## The end"),
    ],
    rules.exercises: [
        *(replace("choose", "**1. ", new) for new in ("1. ", "**3. ")),
        replace("choose", "<summary>Solution", "<summary>Hint"),
    ],
}
IN_ITS_EXERCISES = {
    exercise_rules.opens: [
        replace("title", "# Exercises", "# Tasks"),
        *(replace(name, "github", "gitlab") for name in ("title", "setup")),
        replace("imports", "exercises", "data"),
    ],
    exercise_rules.order: [
        *(exchanged, without("summary-page")),
        let("check-12-1", "metadata", {exercise_cells.KEY: {"exercise": "12.2", "role": "check"}}),
        replace("summary", "summary()", "summary(2)"),
    ],
    exercise_rules.line_length: [
        *(
            replace(name, "def soft_pool", f"{LONG}\ndef soft_pool")
            for name in ("answer-12-2", "solution-12-2")
        )
    ],
    exercise_rules.steering: [
        let("answer-12-1", "metadata", {}),
        tagged("check-12-1", rules.IGNORE_TAG),
        replace("check-12-2", "exercises.", "# NBVAL_SKIP\nexercises."),
    ],
    exercise_rules.pages: [
        replace("exercise-12-1", "## 12.1 ", "## "),
        replace("exercise-12-1", "**Goal.**", "Goal:"),
        replace("exercise-12-1", "Hint 1", "Hint 2"),
        replace("solution-12-1", "<summary>Solution", "<summary>Answer"),
        let("solution-12-1", "source", UNEXPLAINED),
        replace("exercise-12-1", "Five numbers", "### Deep\n\nFive numbers"),
        replace("summary-page", "Summary", "The end"),
    ],
    exercise_rules.answers: [
        replace("answer-12-1", "# Answer 12.1", "# Answer"),
        *(
            replace("answer-12-2", "(x, sharpness)", new)
            for new in ("(sharpness, x)", "(x, sharpness=1)")
        ),
        replace("solution-12-2", "def soft_pool", "c = 1\ndef soft_pool"),
    ],
    exercise_rules.outputs: [
        let("answer-12-2", "outputs", printed("hello")),
        let("summary", "outputs", printed("3 of 4 exercises passed")),
    ],
}
BREAKS = [
    (folder / "12_relatives.ipynb", rule, change)
    for folder, table in (
        (project.ROOT / "notebooks", IN_THE_CHAPTER),
        (exercise_cells.FOLDER, IN_ITS_EXERCISES),
    )
    for rule, changes in table.items()
    for change in changes
]


@pytest.mark.parametrize("path, rule, change", BREAKS)
def test_the_rule_sees_the_break(path, rule, change):
    notebook = copy.deepcopy(read(path))
    change(notebook)
    assert problems(path, rule, notebook)


def test_every_rule_is_seen_to_fail():
    assert {rule for _, rule, _ in BREAKS} == {*rules.RULES, *exercise_rules.RULES}


def test_storing_outputs_is_the_same_twice(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("print('one')\nprint('two')\n1 + 1", id="sum")])
    path = tmp_path / "small.ipynb"
    notebook_format.write(notebook, path)
    execute.execute(path)
    first = path.read_text()
    execute.execute(path)
    assert path.read_text() == first
    (cell,) = nbformat.read(path, as_version=4).cells
    assert cell.id == "sum"
    assert [output.get("text") for output in cell.outputs] == ["one\ntwo\n", None]
