"""Every chapter keeps the rules; every rule, of chapters and of exercises, can fail."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import exercise_cells, exercise_rules, notebook_format, project
from tests.support import notebook_rules as rules
from tests.tools import execute

CHAPTERS = project.chapters()
ADDRESS = "https://github.com/owner/course"
CHAPTER = rules.Chapter("notebooks/02_example.ipynb", ADDRESS)
EXERCISES = rules.Chapter("notebooks/exercises/02_example.ipynb", ADDRESS)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_the_rule(path, rule):
    chapter = rules.Chapter(path.relative_to(project.ROOT).as_posix(), project.address())
    problems = list(rule(nbformat.read(path, as_version=nbformat.NO_CONVERT), chapter))
    assert not problems, f"{path.name}: {rule.__doc__}\n" + "\n".join(problems)


def test_figure_names_are_unique_in_the_book():
    notebooks = [nbformat.read(path, as_version=4) for path in CHAPTERS]
    names = [name for notebook in notebooks for name in rules.figure_names(notebook)]
    assert len(set(names)) == len(names)


# The rules themselves: notebooks that keep them all, then one break at a time.


def folded(summary, text):
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def printed(*lines):
    return [new_output("stream", name="stdout", text="".join(f"{line}\n" for line in lines))]


def stored(cells, keep):
    """A notebook of these cells as it is when it has been run."""
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate(rules.code_cells(notebook), 1):
        cell.execution_count = count
    return notebook_format.normalize(notebook, keep)


def good_chapter():
    title = (
        f"# Example\n\n{project.colab_link(CHAPTER.path, ADDRESS)}\n\nAdd.\n\n"
        "> **In this chapter** (5 minutes to read, 2 seconds to run)\n>\n"
        "> - You will add.\n>\n> **You need** arithmetic."
    )
    exercises = [f"**{k}. Add.** One.\n\n" + folded("Solution", "Two.") for k in (1, 2)]
    closing = ["## Summary", "Done.", "## Exercises", *exercises, "## Where to read on"]
    about = {"figure": {"caption": "A line.", "name": "fig-line"}, "image": {"alt": "A line " * 6}}
    figure = new_output("display_data", {"image/png": "aGk=", "text/plain": "<Figure size 640x4>"})
    return stored(
        [
            new_markdown_cell(title, id="title"),
            new_code_cell(project.first_cell(ADDRESS, CHAPTER.path), id="setup"),
            new_code_cell("import time", id="imports"),
            new_markdown_cell(f"**Question.** 1 + 1?\n\n{folded('Answer', 'Two.')}", id="question"),
            new_code_cell("1 + 1", id="sum", outputs=printed("2")),
            new_markdown_cell("A time.", id="prose"),
            new_code_cell("time.time()", id="time", metadata={"tags": [rules.IGNORE_TAG]}),
            new_markdown_cell("**Question.** What must hold?", id="another"),
            new_code_cell("assert time.time() > 0", id="assertion"),
            new_markdown_cell("A figure.", id="before"),
            new_code_cell("draw()", id="figure", metadata={"mystnb": about}, outputs=[figure]),
            new_markdown_cell("\n\n".join(closing), id="closing"),
        ],
        notebook_format.CELL_METADATA,
    )


def good_exercises():
    title = exercise_rules.opening("Example", EXERCISES.path, ADDRESS)
    cells = [
        new_markdown_cell(title, id="title"),
        new_code_cell(project.first_cell(ADDRESS, EXERCISES.path), id="setup"),
        new_code_cell("from cbam_course import exercises", id="imports"),
    ]
    solution = folded("Solution", "```python\ndef add(a, b):\n    return a + b\n```\n\nIts sum.")
    for k in (1, 2, 3):
        page = f"## 2.{k} Add\n\nAdd two.\n\n**Goal.** Their sum.\n\n{folded('Hint 1', 'One.')}"
        stub = f"# Answer 2.{k}\ndef add(a, b):\n    raise NotImplementedError"
        answer, check, solved = (
            {exercise_cells.KEY: {"exercise": f"2.{k}", "role": role}}
            for role in exercise_cells.ROLES
        )
        answer["tags"] = [rules.IGNORE_TAG]
        call, outputs = f'exercises.check("2.{k}", add)', printed("Sum: 3.000", "Passed.")
        cells += [
            new_markdown_cell(page, id=f"exercise-2-{k}"),
            new_code_cell(stub, id=f"answer-2-{k}", metadata=answer),
            new_code_cell(call, id=f"check-2-{k}", metadata=check, outputs=outputs),
            new_markdown_cell(solution, id=f"solution-2-{k}", metadata=solved),
        ]
    total = printed("3 of 3 exercises passed")
    cells += [
        new_markdown_cell("## Summary\n\nRun it last.", id="summary-page"),
        new_code_cell("exercises.summary()", id="summary", outputs=total),
    ]
    return stored(cells, exercise_cells.CELL_METADATA)


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


def says(name, key, value):
    """Let the cell with this id say something else of itself."""

    def change(notebook):
        cell_of(notebook, name).metadata[key] = value

    return change


def prints(text):
    return let("sum", "outputs", printed(text))


def without(name):
    """Leave out the cell with this id."""

    def change(notebook):
        notebook.cells.remove(cell_of(notebook, name))

    return change


def old_format(notebook):
    notebook.nbformat_minor = 4


def many_ignored(notebook):
    for _ in range(3):
        notebook.cells[6:6] = copy.deepcopy(notebook.cells[6:9])


def two_figures(notebook):
    cell_of(notebook, "figure").outputs *= 2


def exchanged(notebook):
    notebook.cells[3:7], notebook.cells[7:11] = notebook.cells[7:11], notebook.cells[3:7]


def solve(notebook):
    notebook.cells = exercise_cells.solved(notebook).cells


def about(figure, alt="A line " * 6):
    return says("figure", "mystnb", {"figure": figure, "image": {"alt": alt}})


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["no"])
LONG = "sum = " + " + ".join(["a"] * 25)
IN_CHAPTERS = {
    rules.valid_format: [old_format, says("setup", "execution", {"time": 1})],
    rules.executed: [let("sum", "execution_count", None), replace("sum", "1 + 1", " ")],
    rules.compared: [
        many_ignored,
        *(replace("assertion", "assert ", new) for new in ("print() or ", "# assert ")),
        let("assertion", "source", "assert True"),
        *(says(name, "tags", [rules.IGNORE_TAG]) for name in ("assertion", "sum")),
        *(says("sum", "tags", [tag]) for tag in ("nbval-skip", "raises-exception")),
        replace("sum", "1 +", "#NBVAL_SKIP\n1 +"),
        replace("sum", "1 + 1", "figure;"),
    ],
    rules.clean_outputs: [
        let("sum", "outputs", [ERROR]),
        let("sum", "outputs", [new_output("stream", text="loading", name="stderr")]),
        *map(prints, ("<object at 0x7f3a2b1c4d5e>", "in /home/someone/file", "C:\\Users\\one")),
        *map(prints, ("/tmp/run/model.pt", " 50%|#####     | 5/10", "10\r20\r")),
        *map(prints, ("x.py:3: UserWarning: old", "<Figure size 640x480 with 1 Axes>")),
    ],
    rules.opens: [
        replace("title", "# Example", "Example"),
        *(replace(name, "owner/course", "other/course") for name in ("title", "setup")),
        replace("title", "02_example", "03_example"),
    ],
    rules.rhythm: [without("prose")],
    rules.line_length: [replace("sum", "1 + 1", LONG)],
    rules.figures: [
        two_figures,
        says("figure", "mystnb", {}),
        let("figure", "outputs", []),
        *map(about, ({"name": "fig-line"}, {"caption": "A line.", "name": "line"})),
        about({"caption": "A line.", "name": "fig-line"}, alt="a plot"),
        about({"caption": "A line " * 6, "name": "fig-line"}),
    ],
    rules.plain_markdown: [
        *(
            replace("prose", "A time.", text)
            for text in (
                *("![a map](figures/map.png)", "<img src='map.png'>", "```{figure} map.png\n```"),
                *(":::{note}\nNo.\n:::", "See {cite:p}`woo2018cbam`.", "(a-label)=\n## A part"),
            )
        ),
        *(replace("question", old, "") for old in ("</details>", "\n\n</det")),
        replace("question", "</summary>\n", "</summary>"),
        replace("title", "5 minutes", "@READ minutes"),
    ],
    rules.parts: [
        *(
            replace("title", old, "")
            for old in ("> **In", "minutes to read", "seconds to run", "> - You", "**You need**")
        ),
        let("question", "source", "**Question.** Two."),
        replace("question", "**Question.**", "Hm."),
        *(replace("prose", "A time.", heading) for heading in ("# Another", "### Too deep")),
        replace("closing", "## Summary", "## The end"),
    ],
    rules.exercises: [
        *(replace("closing", "**1. Add.**", new) for new in ("1. Add.", "**3. Add.**")),
        replace("closing", "Solution", "Hint"),
    ],
}
IN_EXERCISES = {
    exercise_rules.valid_format: [says("check-2-1", "collapsed", True)],
    exercise_rules.opens: [
        replace("title", "# Exercises", "# Tasks"),
        *(replace(name, "owner/course", "other/course") for name in ("title", "setup")),
        replace("imports", "exercises", "data"),
    ],
    exercise_rules.order: [
        *(exchanged, without("summary-page")),
        says("check-2-1", exercise_cells.KEY, {"exercise": "2.2", "role": "check"}),
        replace("summary", "summary()", "summary(2)"),
    ],
    exercise_rules.line_length: [
        *(replace(name, "def add", f"{LONG}\ndef add") for name in ("answer-2-1", "solution-2-1"))
    ],
    exercise_rules.steering: [
        says("answer-2-1", "tags", []),
        says("check-2-1", "tags", [rules.IGNORE_TAG]),
        replace("check-2-2", "exercises.", "# NBVAL_SKIP\nexercises."),
    ],
    exercise_rules.pages: [
        replace("exercise-2-1", "## 2.1 Add", "## Add"),
        replace("exercise-2-1", "**Goal.**", "Goal:"),
        replace("exercise-2-1", "Hint 1", "Hint 2"),
        replace("solution-2-1", "<summary>Solution", "<summary>Answer"),
        replace("solution-2-1", "Its sum.\n", ""),
        replace("exercise-2-1", "Add two", "### Deep\n\nAdd two"),
        replace("summary-page", "Summary", "The end"),
    ],
    exercise_rules.answers: [
        replace("answer-2-1", "# Answer 2.1", "# Answer"),
        *(replace("answer-2-1", "(a, b)", new) for new in ("(b, a)", "(a, b=1)")),
        replace("solution-2-1", "def add", "c = 1\n\ndef add"),
        replace("solution-2-1", "def add", "# Answer 2.1\ndef add"),
        solve,
    ],
    exercise_rules.checks: [
        replace("check-2-1", '"2.1"', '"2.2"'),
        replace("check-2-1", "add)", "plus)"),
        replace("check-2-1", "exercises", "print(1); exercises"),
        *(let("check-2-1", "outputs", outputs) for outputs in ([], printed("Passed."))),
        let("answer-2-1", "outputs", printed("hello")),
        let("summary", "outputs", printed("2 of 3 exercises passed")),
    ],
}
BREAKS = [
    (rule, change, good, chapter)
    for good, chapter, table in (
        (good_chapter, CHAPTER, IN_CHAPTERS),
        (good_exercises, EXERCISES, IN_EXERCISES),
    )
    for rule, changes in table.items()
    for change in changes
]


@pytest.mark.parametrize(
    "notebook, chapter, tested",
    [(good_chapter(), CHAPTER, rules.RULES), (good_exercises(), EXERCISES, exercise_rules.RULES)],
)
def test_a_good_notebook_breaks_no_rule(notebook, chapter, tested):
    assert [problem for rule in tested for problem in rule(notebook, chapter)] == []


@pytest.mark.parametrize("rule, change, good, chapter", BREAKS)
def test_the_rule_sees_the_break(rule, change, good, chapter):
    notebook = good()
    change(notebook)
    assert list(rule(notebook, chapter))


def test_every_rule_is_seen_to_fail():
    assert {rule for rule, *_ in BREAKS} == {*rules.RULES, *exercise_rules.RULES}


def test_words_that_only_look_like_trouble_pass():
    notebook = good_chapter()
    prints("50 % of 3/4 channels; ratio and/or 0x10; a/b/c; warning signs")(notebook)
    assert list(rules.clean_outputs(notebook, CHAPTER)) == []


# What is made of the notebooks.


def test_an_exercise_that_lacks_a_cell_or_has_one_twice_is_refused():
    for name in ("exercise-2-1", "check-2-2", "solution-2-3"):
        notebook = good_exercises()
        without(name)(notebook)
        with pytest.raises(ValueError, match="lacks its"):
            exercise_cells.exercise_cells(notebook)
    notebook = good_exercises()
    notebook.cells.insert(4, cell_of(notebook, "answer-2-1"))
    with pytest.raises(ValueError, match="exercise 2.1 has the cell 'answer' twice"):
        exercise_cells.exercise_cells(notebook)


def test_a_solved_copy_leaves_the_original_alone():
    notebook = good_exercises()
    solved = exercise_cells.solved(notebook)
    assert notebook == good_exercises()
    assert cell_of(solved, "answer-2-2").source == "# Answer 2.2\ndef add(a, b):\n    return a + b"
    changed = [a.id for a, b in zip(notebook.cells, solved.cells, strict=True) if a != b]
    assert changed == ["answer-2-1", "answer-2-2", "answer-2-3"]


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
    assert list(rules.valid_format(nbformat.read(path, as_version=4), CHAPTER)) == []
