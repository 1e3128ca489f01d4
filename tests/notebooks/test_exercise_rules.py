"""Every rule for exercise notebooks can fail."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import exercise_cells, notebook_format, notebook_rules, project
from tests.support import exercise_rules as rules
from tests.support.exercise_cells import CELL_METADATA

CHAPTER = rules.Chapter("notebooks/exercises/02_example.ipynb", "https://github.com/owner/course")
PAGE = (
    "## 2.{k} Add\n\nAdd two numbers.\n\n**Goal.** Their sum.\n\n"
    "<details>\n<summary>Hint 1</summary>\n\nOne and one.\n\n</details>"
)
STUB = "# Answer 2.{k}\ndef add(a, b):\n    raise NotImplementedError"
SOLUTION = (
    "<details>\n<summary>Solution</summary>\n\n```python\n"
    "def add(a, b):\n    return a + b\n```\n\nIt is the sum.\n\n</details>"
)


def printed(*lines):
    return [new_output("stream", name="stdout", text="".join(f"{line}\n" for line in lines))]


def good():
    """A notebook that keeps every rule."""
    title = rules.opening("Example", CHAPTER.path, CHAPTER.repository)
    cells = [
        new_markdown_cell(title, id="title"),
        new_code_cell(project.first_cell(CHAPTER.repository), id="setup"),
        new_code_cell("from cbam_course import exercises", id="imports"),
    ]
    for k in range(1, 4):

        def about(role, number=f"2.{k}"):
            return {exercise_cells.KEY: {"exercise": number, "role": role}}

        answer = {"tags": [notebook_rules.IGNORE_TAG], **about("answer")}
        cells += [
            new_markdown_cell(PAGE.format(k=k), id=f"exercise-2-{k}"),
            new_code_cell(STUB.format(k=k), id=f"answer-2-{k}", metadata=answer),
            new_code_cell(
                f'exercises.check("2.{k}", add)',
                id=f"check-2-{k}",
                metadata=about("check"),
                outputs=printed("Sum: 3.000", f"Exercise 2.{k} passed."),
            ),
            new_markdown_cell(SOLUTION, id=f"solution-2-{k}", metadata=about("solution")),
        ]
    summary = printed("2.1  Add  passed", "3 of 3 exercises passed")
    cells += [
        new_markdown_cell("## Summary\n\nRun it last.", id="summary-page"),
        new_code_cell("exercises.summary()", id="summary", outputs=summary),
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate(notebook_rules.code_cells(notebook), 1):
        cell.execution_count = count
    return notebook_format.normalize(notebook, CELL_METADATA)


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


def outputs(name, *lines):
    """Let the cell with this id store these lines."""

    def change(notebook):
        cell_of(notebook, name).outputs = printed(*lines) if lines else []

    return change


def metadata(name, key, value):
    """Let the cell with this id say something else of itself."""

    def change(notebook):
        cell_of(notebook, name).metadata[key] = value

    return change


def without(name):
    """Leave out the cell with this id."""

    def change(notebook):
        notebook.cells.remove(cell_of(notebook, name))

    return change


def exchanged(notebook):
    notebook.cells[3:7], notebook.cells[7:11] = notebook.cells[7:11], notebook.cells[3:7]


def two_exercises(notebook):
    del notebook.cells[11:15]


def solve(notebook):
    solved = exercise_cells.solved(notebook)
    notebook.cells = solved.cells


def cleared(notebook):
    for cell in notebook_rules.code_cells(notebook):
        cell.execution_count = None


LONG = "    return " + " + ".join(["a"] * 25)
BREAKS = [
    (rules.valid_format, metadata("check-2-1", "collapsed", True)),
    (notebook_rules.executed, cleared),
    (notebook_rules.clean_outputs, outputs("check-2-1", "<object at 0x7f3a2b1c4d5e>", "passed")),
    (notebook_rules.no_image_files, replace("exercise-2-1", "Add two", "![](sum.png) Add two")),
    (notebook_rules.plain_markdown, replace("exercise-2-1", "Add two", ":::{note}\nAdd two")),
    (rules.opens, replace("title", "# Exercises", "# Tasks")),
    (rules.opens, replace("title", "owner/course", "another/course")),
    (rules.opens, replace("title", "02_example.ipynb`", "03_example.ipynb`")),
    (rules.opens, replace("setup", "owner/course", "another/course")),
    (rules.opens, replace("imports", "exercises", "data")),
    (rules.order, exchanged),
    (rules.order, two_exercises),
    (rules.order, without("summary-page")),
    (rules.order, without("imports")),
    (rules.order, metadata("check-2-1", "cbam_course", {"exercise": "2.2", "role": "check"})),
    (rules.order, metadata("imports", "cbam_course", {"exercise": "2.1", "role": "check"})),
    (rules.order, replace("summary", "summary()", "summary(2)")),
    (rules.steering, metadata("answer-2-1", "tags", [])),
    (rules.steering, metadata("check-2-1", "tags", [notebook_rules.IGNORE_TAG])),
    (rules.steering, metadata("summary", "tags", ["nbval-skip"])),
    (rules.steering, replace("check-2-2", "exercises.", "# NBVAL_SKIP\nexercises.")),
    (rules.pages, replace("exercise-2-1", "## 2.1 Add", "## Add")),
    (rules.pages, replace("exercise-2-1", "**Goal.**", "Goal:")),
    (rules.pages, replace("exercise-2-1", "Hint 1", "Hint 2")),
    (rules.pages, replace("exercise-2-1", "Hint 1", "Help")),
    (rules.pages, replace("solution-2-1", "<summary>Solution", "<summary>Answer")),
    (rules.pages, replace("solution-2-1", "It is the sum.\n", "")),
    (rules.pages, replace("exercise-2-1", "Add two", "### Deep\n\nAdd two")),
    (rules.pages, replace("exercise-2-1", "Add two", "# Title\n\nAdd two")),
    (rules.pages, replace("summary-page", "Summary", "The end")),
    (rules.answers, replace("answer-2-1", "# Answer 2.1", "# Answer")),
    (rules.answers, replace("answer-2-1", "(a, b)", "(b, a)")),
    (rules.answers, replace("answer-2-1", "(a, b)", "(a, b=1)")),
    (rules.answers, replace("answer-2-1", "def add", "def plus")),
    (rules.answers, replace("solution-2-1", "def add", "import math\nc = 1\n\ndef add")),
    (rules.answers, replace("solution-2-1", "def add", "# Answer 2.1\ndef add")),
    (rules.answers, solve),
    (rules.checks, replace("check-2-1", '"2.1"', '"2.2"')),
    (rules.checks, replace("check-2-1", "add)", "plus)")),
    (rules.checks, replace("check-2-1", "exercises", "print(1); exercises")),
    (rules.checks, outputs("check-2-1")),
    (rules.checks, outputs("check-2-1", "Exercise 2.1 passed.")),
    (rules.checks, outputs("answer-2-1", "hello")),
    (rules.summed_up, outputs("summary", "2 of 3 exercises passed")),
    (rules.line_length, replace("answer-2-1", "    raise NotImplementedError", LONG)),
    (rules.line_length, replace("solution-2-1", "    return a + b", LONG)),
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


@pytest.mark.parametrize("name", ["exercise-2-1", "check-2-2", "solution-2-3"])
def test_an_exercise_without_one_of_its_cells_is_refused(name):
    notebook = good()
    without(name)(notebook)
    with pytest.raises(ValueError, match="lacks its"):
        exercise_cells.exercise_cells(notebook)


def test_an_exercise_with_a_cell_twice_is_refused():
    notebook = good()
    notebook.cells.insert(4, cell_of(notebook, "answer-2-1"))
    with pytest.raises(ValueError, match="exercise 2.1 has the cell 'answer' twice"):
        exercise_cells.exercise_cells(notebook)


def test_a_solved_copy_leaves_the_original_alone():
    notebook = good()
    solved = exercise_cells.solved(notebook)
    assert notebook == good()
    assert cell_of(solved, "answer-2-2").source == "# Answer 2.2\ndef add(a, b):\n    return a + b"
    changed = [a.id for a, b in zip(notebook.cells, solved.cells, strict=True) if a != b]
    assert changed == ["answer-2-1", "answer-2-2", "answer-2-3"]
