"""Made-up exercises and submissions for the tests of the grader: runs are quick without torch.

The format is that of the course's exercises; what they ask for is trivial.
"""

import json
import random
from pathlib import Path

IMPORTS = """\
import math
import os
import random
from types import SimpleNamespace


class Wrong(AssertionError):
    pass


class NotSolved(AssertionError):
    pass


def chance(exercise):
    return random.Random(os.environ.get("CBAM_COURSE_SEED", "0") + exercise)


def check(exercise, answer):
    x = chance(exercise).uniform(-9, 9)
    got = answer(x)
    if got is None or got is ...:
        raise NotSolved("the function returns nothing yet")
    if got != 2 * x and not math.isclose(got, 2 * x):
        raise Wrong(f"twice {x:.3f} is not {got}; did you multiply?")
    print(exercise, f"{got:.6f}")


exercises = SimpleNamespace(check=check)
"""
SETUP = "try:\n    import cbam_course\nexcept ModuleNotFoundError:\n    %pip install nothing"
STUB = "def double(x):\n    ..."
SOLUTION = "def double(x):\n    return 2 * x"
OTHER_SOLUTION = "double = lambda x: x + x"
MISTAKE = "def double(x):\n    return x * x"


def code(source, id="", metadata=None, outputs=(), count=None):
    """Make a code cell."""
    cell = {
        "cell_type": "code",
        "execution_count": count,
        "metadata": metadata or {},
        "outputs": list(outputs),
        "source": source,
    }
    return {**cell, "id": id} if id else cell


def markdown(source, id="", metadata=None):
    """Make a Markdown cell."""
    cell = {"cell_type": "markdown", "metadata": metadata or {}, "source": source}
    return {**cell, "id": id} if id else cell


def stored_output(number, seed=0):
    """What the check prints for a right answer under a seed."""
    return f"{number} {2 * random.Random(f'{seed}{number}').uniform(-9, 9):.6f}"


def stream(text):
    """Make an output."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def about(number, role):
    """Make a cell's metadata."""
    tags = {"tags": ["nbval-ignore-output"]} if role == "answer" else {}
    return {**tags, "cbam_course": {"exercise": number, "role": role}}


def notebook(cells, minor=5):
    """Make a notebook."""
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": minor}


def exercise_cells(number, answer=STUB, solution=SOLUTION):
    """Make the cells of one exercise."""
    dashed = number.replace(".", "-")
    block = f"<details>\n<summary>Solution</summary>\n\n```python\n{solution}\n```\n\n</details>"
    return [
        markdown(f"## {number} Twice, time {number}", f"exercise-{dashed}"),
        code(f"# Answer {number}\n{answer}", f"answer-{dashed}", about(number, "answer")),
        code(f'exercises.check("{number}", double)', f"check-{dashed}", about(number, "check")),
        markdown(block, f"solution-{dashed}", about(number, "solution")),
    ]


def exercises_notebook(chapter, answers, **parts):
    """Make a notebook of exercises, with these answers in their cells."""
    cells = [markdown("# Exercises", "title"), code(SETUP, "setup"), code(IMPORTS, "imports")]
    for k, answer in enumerate(answers, 1):
        cells += exercise_cells(f"{chapter}.{k}", answer, **parts)
    return notebook([*cells, code("exercises.summary()", "summary")])


def write(path: Path, content) -> Path:
    """Write a notebook, or bytes, or text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
    return path


def write_exercises(folder: Path, **counts: int) -> Path:
    """Write pristine notebooks; ``c3=2`` is chapter 3 with two exercises."""
    for name, count in counts.items():
        chapter = int(name[1:])
        pristine = exercises_notebook(chapter, [STUB] * count)
        write(folder / f"{chapter:02d}_toys.ipynb", pristine)
    return folder
