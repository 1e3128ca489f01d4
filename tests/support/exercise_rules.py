"""What must hold of every exercise notebook, one rule a function.

A rule takes a notebook and a `Chapter` (notebook_rules.py) and yields the problems it finds, in
words. What the code does is not looked at here: the tests of the exercises run it.
"""

import ast
import re

from tests.support import notebook_rules
from tests.support.exercise_cells import KEY, MARKER, exercise_cells
from tests.support.notebook_rules import code_cells, headings, tags
from tests.support.project import colab_link, first_cell

FEWEST_EXERCISES = 3
BOX = """\
> **How to work**
>
> - Run the two cells below first. Then, for each exercise, write your answer into the answer
>   cell, run it, and run the check below it: it prints values made with your answer, or says what
>   is wrong and where to look.
> - In the file as it comes, the checks show what they print for right answers.
> - Hints open one at a time. The solution is folded away below each check.
> - The last cell sums up. In a terminal, `pytest --nbval {path}` runs all checks.
>   If you work in a copy, name that instead.
>
> These exercises belong to [chapter {number}]({chapter})."""
SUMMARY = "exercises.summary()"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def opening(title: str, path: str, repository: str) -> str:
    """Return how the first cell of the exercises at `path` begins."""
    name = path.rsplit("/", 1)[-1]
    box = BOX.format(path=path, number=int(name[:2]), chapter=f"../{name}")
    return f"# Exercises: {title}\n\n{colab_link(path, repository)}\n\n{box}"


def line_length(notebook, chapter):
    """Code fits into the book's column, in the Markdown too."""
    yield from notebook_rules.line_length(notebook, chapter, fenced=FENCE)


def opens(notebook, chapter):
    """Title, link and box are those of every exercise notebook; then set-up and imports."""
    title, setup, imports = (cell.source for cell in notebook.cells[:3])
    name = title.splitlines()[0].removeprefix("# Exercises: ")
    expected = opening(name, chapter.path, chapter.repository)
    if not f"{title}\n".startswith(f"{expected}\n"):
        yield f"the first cell does not begin with:\n{expected}"
    expected = first_cell(chapter.repository, chapter.path)
    if setup != expected:
        yield f"the second cell is not:\n{expected}"
    if "from cbam_course import exercises" not in imports:
        yield "the third cell does not import exercises from cbam_course"


def order(notebook, chapter):
    """The cells are those of the format, with their ids and roles, in this order."""
    number = int(chapter.path.rsplit("/", 1)[-1][:2])
    count = sum(cell.id.startswith("check-") for cell in notebook.cells)
    if count < FEWEST_EXERCISES:
        yield f"{count} exercises; at least {FEWEST_EXERCISES} are wanted"
    kinds = {"exercise": "markdown", "answer": "code", "check": "code", "solution": "markdown"}
    expected = [("title", "markdown", None), ("setup", "code", None), ("imports", "code", None)]
    for k in range(1, count + 1):
        for role, kind in kinds.items():
            about = {"exercise": f"{number}.{k}", "role": role} if role != "exercise" else None
            expected.append((f"{role}-{number}-{k}", kind, about))
    expected += [("summary-page", "markdown", None), ("summary", "code", None)]
    found = [(cell.id, cell.cell_type, cell.metadata.get(KEY)) for cell in notebook.cells]
    if found != expected:
        yield f"the cells are {found}, expected {expected}"
    if notebook.cells[-1].source != SUMMARY:
        yield f"the last cell is not {SUMMARY}"


def steering(notebook, chapter):
    """Answer cells are not compared, all others are, and no comment steers nbval."""
    for cell in code_cells(notebook):
        expected = {notebook_rules.IGNORE_TAG} if cell.id.startswith("answer-") else set()
        if tags(cell) != expected:
            yield f"cell {cell.id} has the tags {sorted(tags(cell))}, expected {sorted(expected)}"
        if re.search(notebook_rules.STEERING_COMMENT, cell.source):
            yield f"cell {cell.id} steers nbval by a comment"


def pages(notebook, chapter):
    """Each exercise has its heading, a goal and numbered hints; the solution is folded away."""
    for number, cells in exercise_cells(notebook).items():
        page, solution = cells.page.source, cells.solution.source
        if not page.startswith(f"## {number} {cells.title}\n") or not cells.title.strip():
            yield f"exercise {number} does not begin with its heading, ## {number} Title"
        if not re.search(r"^\*\*Goal\.\*\* \S", page, re.MULTILINE):
            yield f"exercise {number} has no paragraph that begins with **Goal.**"
        hints = re.findall(r"<summary>Hint (\d+)</summary>", page)
        if not hints or hints != [str(k) for k in range(1, len(hints) + 1)]:
            yield f"exercise {number} has the hints {hints}; they are numbered from 1"
        if not solution.startswith("<details>\n<summary>Solution</summary>\n"):
            yield f"solution {number} is not folded away"
        if not FENCE.split(solution)[-1].replace("</details>", "").strip():
            yield f"solution {number} does not say why it is so"
    levels = [heading.split()[0] for heading in headings(notebook)]
    if levels.count("#") != 1 or set(levels) != {"#", "##"}:
        yield f"headings are one # and the rest ##; they are {levels}"
    if headings(notebook)[-1] != "## Summary":
        yield "the last heading is not ## Summary"


def answers(notebook, chapter):
    """An answer cell begins with its marker; its solution defines the same with other insides."""
    for number, cells in exercise_cells(notebook).items():
        marker, code = MARKER.format(number), cells.solution_code
        if cells.stub.splitlines()[0] != marker:
            yield f"answer {number} does not begin with {marker}"
        stub, solution = defined(cells.stub), defined(code)
        for name in stub.keys() | solution.keys():
            if stub.get(name) != solution.get(name):
                yield (
                    f"exercise {number}: {name} is {stub.get(name)} in the answer cell and "
                    f"{solution.get(name)} in the solution"
                )


def outputs(notebook, chapter):
    """No answer stores an output, and the sum counts all exercises."""
    exercises = exercise_cells(notebook)
    for number, cells in exercises.items():
        if cells.answer.outputs:
            yield f"answer {number} stores an output"
    text = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    if not text.endswith(f"{len(exercises)} of {len(exercises)} exercises passed\n"):
        yield f"the summary stores {text!r}"


def defined(code: str) -> dict[str, str]:
    """The names that `code` defines, each with its signature."""
    names = {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = f"({ast.unparse(node.args)})"
        elif isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            names[node.name] = f"class ({bases})"
            for method in node.body:
                # Methods besides those of the stub are the solution's own affair.
                if isinstance(method, ast.FunctionDef) and method.name in ("__init__", "forward"):
                    names[f"{node.name}.{method.name}"] = f"({ast.unparse(method.args)})"
        elif isinstance(node, ast.Assign):
            targets = [name for target in node.targets for name in ast.walk(target)]
            names |= {name.id: "a value" for name in targets if isinstance(name, ast.Name)}
    return names


SHARED = (
    notebook_rules.valid_format,
    notebook_rules.executed,
    notebook_rules.clean_outputs,
    notebook_rules.plain_markdown,
)
RULES = (*SHARED, line_length, opens, order, steering, pages, answers, outputs)
