"""Grades and pages: whose they are, and what the pages for learners and teachers say of them."""

import json
import re

import pytest
from packaging.requirements import Requirement

from cbam_course import grading
from cbam_course.cli import main
from cbam_course.grading.grader import MEMORY, SECONDS
from tests.support import grading_toys as toys
from tests.support.project import ROOT, pyproject

PAGES = {name: (ROOT / "book" / f"{name}.md").read_text("utf-8") for name in
         ("exercises", "teaching")}  # fmt: skip
TEACHING = PAGES["teaching"]


def report(*names, **answers):
    """A made-up report of submissions with these names, which all have the same answers."""
    outcomes = {number: grading.Outcome("passed") for number in answers}
    graded = [grading.Graded(grading.Submission(name, ()), outcomes, answers, ()) for name in names]
    exercises = [grading.Exercise(number, "", (), "", "", "") for number in answers]
    return grading.Report(tuple(exercises), tuple(graded), (), 0)


def test_each_page_has_its_learners_name_in_any_order(tmp_path):
    names = ["张伟", "李娜", "Zoë Ada_12", "a/b", "a-b", "../up", "...", "", "=dan", "dan", "Ann",
             "ann", "x" * 300, "x" * 301]  # fmt: skip
    pages = {}
    for order in (names, names[::-1]):
        paths = grading.write_pages(report(*order), tmp_path)
        found = dict(zip(order, (path.name for path in paths), strict=True))
        assert pages in ({}, found)
        pages = found
    assert pages["张伟"] == "张伟.html" and pages["Zoë Ada_12"] == "Zoë Ada_12.html"
    # Exact names win; Ann and ann are one file on some systems.
    assert pages["a-b"] == "a-b.html" and re.fullmatch(r"a-b-\w{8}.html", pages["a/b"])
    assert pages["dan"] == "dan.html" and re.fullmatch(r"page-\w{8}.html", pages["..."])
    assert len({name.casefold() for name in pages.values()}) == len(names)
    assert {path.name for path in tmp_path.iterdir()} == set(pages.values())
    for name, page in pages.items():
        assert f"<h1>{name}</h1>" in (tmp_path / page).read_text("utf-8")


def test_what_is_worth_a_look_is_marked_and_costs_nothing(tmp_path):
    look = grading.Answer("exercises", remarks=("odd",), look=("it uses exercises",))
    made = report("ann", **{"1.1": look, "1.2": grading.Answer("1")})
    assert list(grading.rows(made)) == [
        ("ann", "1.1", 1, "odd; worth a look: it uses exercises"),
        ("ann", "1.2", 1, ""),
        ("ann", "total", 2, "of 2"),
    ]
    [path] = grading.write_pages(made, tmp_path)
    assert "worth a look: it uses exercises" in path.read_text()


# The pages of the book


@pytest.mark.parametrize("name", PAGES)
def test_the_options_exist(name):
    known = {option for parameter in main.commands["grade"].params for option in parameter.opts}
    called = re.findall("cbam-course grade (.*)", PAGES[name])
    mentioned = re.findall(r"`(--[a-z-]+)", PAGES[name])
    assert called and {*re.findall("--[a-z-]+", " ".join(called)), *mentioned} <= {
        *known,
        "--nbval",
    }


def test_the_limits_and_requirements_are_those_of_the_code():
    assert f"the limits of one answer: {SECONDS:g} s, {MEMORY // 2**30} GB" in TEACHING
    options = {parameter.name: parameter.default for parameter in main.commands["grade"].params}
    assert (options["seconds"], options["memory"] * 2**30) == (SECONDS, MEMORY)
    extra = pyproject()["project"]["optional-dependencies"]["grade"]
    names = {Requirement(line).name for line in extra}
    assert names == {"ipython", "psutil"}


def test_the_example_of_a_class_is_read_as_the_page_says(tmp_path):
    drawn = re.search(r"```text\nsubmissions/\n(.*?)```", TEACHING, re.DOTALL).group(1)
    folder = tmp_path
    for line in drawn.splitlines():
        name = re.split(r" {2,}", line.strip())[0]
        folder = tmp_path if line[:5].strip() else folder
        if name.endswith("/"):
            folder = tmp_path / name
        else:
            toys.write(folder / name, "{}")
    found = {s.name: len(s.notebooks) for s in grading.find_submissions([tmp_path])[0]}
    assert found == {"ada": 1, "emmy": 2, "Grace Hopper_31": 2}


def test_exercises_of_your_own_are_read_from_the_cells_of_the_table(tmp_path):
    rows = re.findall(r"^\| (code|Markdown) \| `(.*?)` \|", TEACHING, re.MULTILINE)
    sources = ["# Answer 12.1\n...", "print(1)", "```python\n1\n```"]
    cells = [toys.markdown("## 12.1 Mine", "exercise-12-1")]
    for (kind, metadata), source in zip(rows, sources, strict=True):
        make = toys.code if kind == "code" else toys.markdown
        cells.append(make(source, metadata=json.loads(metadata)))
    toys.write(tmp_path / "12.ipynb", toys.notebook(cells))
    [exercise] = grading.load_exercises(tmp_path)
    assert (exercise.number, exercise.title) == ("12.1", "Mine")
    assert (exercise.check, exercise.solution) == ("print(1)", "1")
