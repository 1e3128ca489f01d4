"""What the pages for learners and instructors say holds: commands, options, limits, numbers."""

import importlib.util
import json
import re

import grading_attacks
import grading_toys as toys
import pytest
from packaging.requirements import Requirement

from cbam_course import grading
from cbam_course.cli import main
from cbam_course.grading.answers import collect_answers
from tests.support.project import ROOT, address, pyproject

PAGES = {name: (ROOT / "book" / f"{name}.md").read_text("utf-8") for name in
         ("exercises", "teaching")}  # fmt: skip
TEACHING = PAGES["teaching"]
RECORD = ROOT / "benchmarks" / "grade_class.json"


def commands(page):
    """The commands of a page, each as a list of words."""
    code = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := line.partition("#")[0].split())]


@pytest.fixture
def benchmark():
    path = ROOT / "benchmarks" / "grade_class.py"
    spec = importlib.util.spec_from_file_location("grade_class", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PAGES)
def test_the_options_exist(name):
    known = {option for parameter in main.commands["grade"].params for option in parameter.opts}
    called = [c[c.index("cbam-course") :] for c in commands(PAGES[name]) if "cbam-course" in c]
    assert called and all(words[1] == "grade" for words in called)
    for words in called:
        assert {word for word in words if word.startswith("--")} <= known
    mentioned = set(re.findall(r"`(--[a-z-]+)", PAGES[name])) - {"--nbval"}
    assert mentioned <= known


@pytest.mark.parametrize("name", PAGES)
def test_the_files_and_extras_exist(name):
    page = PAGES[name]
    for path in re.findall(r"\b(?:notebooks|benchmarks)/[\w/]+\.(?:ipynb|py)\b", page):
        assert (ROOT / path).is_file(), path
    extras = pyproject()["project"]["optional-dependencies"]
    assert set(re.findall(r"(?:\.|cbam-course)\[(\w+)\]", page)) <= set(extras)
    for url in re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", page):
        assert url == address()


def test_the_extra_holds_what_the_grader_asks_for():
    extra = pyproject()["project"]["optional-dependencies"]["grade"]
    names = {Requirement(line).name for line in extra}
    assert {"ipykernel", "nbformat", "nbval", "psutil", "pytest"} <= names


def test_the_limits_are_those_of_the_code():
    limits = grading.Limits()
    assert f"{limits.cell:g} s, {limits.total:g} s, {limits.memory // 2**30} GB" in TEACHING
    assert f"A cell has {limits.cell:g} seconds and an answer {limits.total:g}." in TEACHING
    for name, value in (("cell_seconds", limits.cell), ("total_seconds", limits.total)):
        option = next(p for p in main.commands["grade"].params if p.name == name)
        assert option.default == value
    memory = next(p for p in main.commands["grade"].params if p.name == "memory")
    assert memory.default * 2**30 == limits.memory
    assert len(grading_attacks.ATTACKS) > 50


def test_the_example_of_a_class_is_read_as_the_page_says(tmp_path):
    drawn = re.search(r"```text\nsubmissions/\n(.*?)```", TEACHING, re.DOTALL).group(1)
    entries = [line[:30].rstrip() for line in drawn.splitlines()]
    folder = tmp_path
    for entry in entries:
        depth, name = len(entry) - len(entry.lstrip()), entry.strip()
        folder = tmp_path if depth == 4 else folder
        if name.endswith("/"):
            folder = tmp_path / name
        else:
            toys.write(folder / drawn_name(drawn, name), "{}")
    found = {s.name: len(s.notebooks) for s in grading.find_submissions([tmp_path])}
    assert found == {"ada": 1, "emmy": 2, "grace": 1}
    assert list(found) == re.findall(r'submission "(\w+)"', drawn) + ["grace"]


def drawn_name(drawn, start):
    """The whole name of a file, which the column of comments may have cut."""
    return re.search(rf"{re.escape(start)}[\w.]*", drawn).group()


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


def test_the_recorded_class_is_the_one_on_the_page(benchmark, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(TEACHING, encoding="utf-8")
    if RECORD.exists():
        benchmark.write_table(page, json.loads(RECORD.read_text("utf-8")))
        assert page.read_text("utf-8") == TEACHING


def test_the_made_up_class_is_made_of_every_kind_of_answer(benchmark, tmp_path):
    exercises = grading.load_exercises()
    kinds = benchmark.make_class(tmp_path, 12, exercises, loops=1)
    assert set(kinds.values()) == {*benchmark.KINDS, "endless"}
    submissions = grading.find_submissions([tmp_path])
    assert len(submissions) == 12
    expected = {"deleted": "missing", "untouched": "unsolved", "broken": "wrong"}
    texts = []
    for submission in submissions:
        for number, answer in collect_answers(submission, exercises).by_number.items():
            kind = kinds[submission.name, number]
            assert answer.status == expected.get(kind, "answer"), (number, kind, answer)
            texts += [answer.source] if answer.source else []
    assert len(set(texts)) == len(texts)
