"""What the grader makes of files that may be anything; nothing is run here."""

import json
import os

import pytest

from cbam_course import grading
from cbam_course.grading.answers import collect_answers
from cbam_course.grading.cells import Unreadable, one_line, printable, read_cells
from cbam_course.grading.outcome import Outcome
from tests.support import grading_toys as toys

RIGHT = f"# Answer 1.1\n{toys.SOLUTION}"


@pytest.fixture
def exercises(tmp_path):
    return grading.load_exercises(toys.write_exercises(tmp_path / "pristine", c1=2))


@pytest.fixture
def hand_in(tmp_path, exercises):
    """Return a function that writes a submission's one file and collects its answers."""

    def hand_in(content, name="alice.ipynb"):
        path = toys.write(tmp_path / "class" / name, content)
        [submission], _ = grading.find_submissions([path])
        return collect_answers(submission, exercises)

    return hand_in


def one_answer(hand_in, *cells):
    return hand_in(toys.notebook(cells))[0]["1.1"]


# Which cells are the answers


def test_an_answer_is_found_by_metadata_else_by_id_else_by_its_mark(hand_in):
    other = f"# Answer 1.2\n{toys.SOLUTION}"
    for cell in (
        toys.code(other, "answer-1-2", toys.about("1.1", "answer")),
        toys.code(other, "answer-1-1"),
        toys.code(RIGHT, "x"),
        toys.code(f"import torch\n  #answer 1.1: mine\n{toys.SOLUTION}"),
    ):
        answers, remarks = hand_in(toys.notebook([cell]))
        assert answers["1.2"].outcome.status == "missing"
        assert (answers["1.1"].outcome, answers["1.1"].source) == (None, cell["source"])
        assert remarks == [] and answers["1.1"].remarks == answers["1.1"].look == ()


def test_of_duplicates_the_last_counts_that_is_not_as_it_came(hand_in):
    first, second, stub = (
        toys.code(f"# Answer 1.1\n{source}", metadata=toys.about("1.1", "answer"))
        for source in ("a = 1", "a = 2", toys.STUB)
    )
    answer = one_answer(hand_in, first, second, stub)
    assert answer.source.endswith("a = 2")
    assert answer.remarks == (
        "2 answer cells: the last one counts; if one answer is split in two cells, join them",
    )
    answer = one_answer(hand_in, stub, first)
    assert answer.source.endswith("a = 1") and answer.remarks == ()


def test_an_answer_in_the_cell_of_another_is_told(hand_in):
    merged = toys.code("# Answer 1.1\na = 1\n\n# Answer 1.2\na = 2")
    answers, _ = hand_in(toys.notebook([merged]))
    assert answers["1.1"].outcome is None
    assert answers["1.2"].outcome.note.endswith(
        "in the cell of another answer: give it one of its own"
    )


def test_what_is_no_answer(hand_in):
    for source in (toys.STUB, f"# Answer 1.1\n\n{toys.STUB}  # later\n\n", "# Answer 1.1", ""):
        assert one_answer(hand_in, toys.code(source, "answer-1-1")).outcome.status == "unsolved"
    answer = one_answer(hand_in, {**toys.code(RIGHT, "answer-1-1"), "cell_type": "markdown"})
    assert answer.outcome == Outcome("missing", "the answer cell is no code cell")
    check = toys.code(RIGHT, "answer-1-1", toys.about("1.1", "check"))
    assert one_answer(hand_in, check).outcome.status == "missing"


@pytest.mark.parametrize(
    ("source", "look"),
    [
        ("e = exercises", "it uses exercises"),
        ("import os, sys", "it uses os, sys"),
        ("class A:\n    def __eq__(self, other):\n        return True", "it uses __eq__"),
        ("ｅxercises.check = print", "it uses exercises"),
        ("import torch\ntorch.allclose = 1", "it sets torch.allclose"),
        ("%pip install x", "it has magic commands such as %pip install x"),
        ("class A(nn.Module):\n    def __init__(self):\n        super().__init__()", ""),
        ("self.a.b = [0]\nmodel.eval()\nx == torch.e\n# evaluate os_x", ""),
    ],
)
def test_what_is_worth_a_look(hand_in, source, look):
    answer = one_answer(hand_in, toys.code(source, "answer-1-1"))
    assert answer.outcome is None
    assert answer.look == ((look,) if look else ())


# Files


def test_renamed_files_count_and_other_notebooks_are_named(hand_in):
    assert hand_in(toys.notebook([toys.code(RIGHT)], minor=0), "my (2).txt")[0]["1.1"].source
    _, remarks = hand_in(toys.notebook([toys.code("# Answer 9.7\n1"), toys.code("1 + 1")]))
    assert remarks == ["no answer cell of these exercises: another notebook?"]


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("", "not a notebook: not JSON (Expecting value: line 1 column 1"),
        (b"\x93NUMPY\x01\x00\xff\xfe", "not a notebook: not JSON"),
        ('{"cells": {"a": 1}}', "not a notebook: it has no list of cells"),
        ("[" * 100_000, "not a notebook: not JSON (maximum recursion depth"),
        ('{"cells": ' + "9" * 5000 + "}", "not a notebook"),
        ('{"cells": [1, null, {}], "nbformat": 4}', "no answer cell of these exercises"),
    ],
)
def test_what_is_no_notebook(hand_in, content, remark):
    answers, remarks = hand_in(content)
    assert remark in "; ".join(remarks)
    assert {answer.outcome.status for answer in answers.values()} == {"missing"}


def test_the_size_of_a_file_is_looked_at_before_it_is_read(hand_in, monkeypatch):
    monkeypatch.setattr("cbam_course.grading.cells.LARGEST_FILE", 100)
    monkeypatch.delattr("pathlib.Path.read_bytes")
    _, [remark] = hand_in(" " * 101)
    assert remark.endswith("too large for a notebook, clear its outputs")


def test_undecodable_bytes_and_other_encodings(hand_in):
    text = json.dumps(toys.notebook([toys.code(RIGHT), toys.markdown("caf@")]))
    for data in (
        text.encode().replace(b"@", b"\xe9\xff"),
        text.encode("utf-16"),
        text.encode("utf-8-sig"),
    ):
        assert hand_in(data)[0]["1.1"].outcome is None
    answer = one_answer(hand_in, toys.code(f"{RIGHT}\na = '\ud800 \0'", "answer-1-1"))
    assert answer.source.encode()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "none", ""):
        with pytest.raises(Unreadable, match="not a file"):
            read_cells(tmp_path / name)


# Whose files they are


def submissions(*paths, **options):
    return {
        s.name: [p.name for p in s.notebooks] for s in grading.find_submissions(paths, **options)[0]
    }


def test_a_folder_is_a_class(tmp_path):
    here = tmp_path / "class"
    for name in ("carol.ipynb", "alice/03.ipynb", "alice/more/05.ipynb", "alice/data.csv",
                 "alice/.ipynb_checkpoints/03.ipynb", "bob/answers.pdf", "dave.ipynb.txt",
                 ".DS_Store", "__MACOSX/x.ipynb", "roster.xlsx", "Thumbs.db", "a.zip"):  # fmt: skip
        toys.write(here / name, "x")
    found = {
        "alice": ["03.ipynb", "05.ipynb"],
        "bob": [],
        "carol": ["carol.ipynb"],
        "dave": ["dave.ipynb.txt"],
    }
    assert submissions(here) == found
    assert grading.find_submissions([here])[1] == ["Thumbs.db", "a.zip", "roster.xlsx"]
    assert submissions(here / "alice", single=True) == {"alice": found["alice"]}
    assert list(submissions(here / "alice")) == ["03", "more"]
    # A class by its folder, and again by what is in it, is one class.
    assert submissions(here, here / "carol.ipynb", here) == found


def test_flat_downloads_of_learning_platforms(tmp_path):
    """Two files of one learner are one submission."""
    for name in ("Zoë Ada_1234567_assignsubmission_file_02_squeeze.ipynb",
                 "Zoë Ada_1234567_assignsubmission_file_03.ipynb",
                 "Zoë Ada_7654321_assignsubmission_file_03.ipynb",
                 "张 伟_11_assignsubmission_file_/03.ipynb",
                 "张 伟_11_assignsubmission_onlinetext_/onlinetext.html",
                 "lovelaceada_12345_678901_02_squeeze.ipynb",
                 "lovelaceada_LATE_12345_678902_03-1.ipynb",
                 "group_2_03.ipynb"):  # fmt: skip
        toys.write(tmp_path / "class" / name, "x")
    assert {name: len(notebooks) for name, notebooks in submissions(tmp_path / "class").items()
            } == {"Zoë Ada_1234567": 2, "Zoë Ada_7654321": 1, "张 伟_11": 1,
                  "lovelaceada_12345": 2, "group_2_03": 1}  # fmt: skip


def test_links_are_not_followed(tmp_path):
    folder = tmp_path / "class" / "eve"
    folder.mkdir(parents=True)
    solved = toys.write(tmp_path / "solved.ipynb", toys.notebook([toys.code(RIGHT)]))
    for link, target in ((folder / "03.ipynb", solved), (folder / "loop", folder),
                         (tmp_path / "class" / "mallory.ipynb", solved)):  # fmt: skip
        link.symlink_to(target)
    assert submissions(tmp_path / "class") == {"eve": []}
    assert grading.find_submissions([tmp_path / "class"])[1] == ["mallory.ipynb"]


def test_learners_of_several_classes_are_told_apart(tmp_path):
    for name in ("a/x.ipynb", "b/x.ipynb", "b/x/03.ipynb", "b/y.ipynb"):
        toys.write(tmp_path / name, "x")
    found = submissions(tmp_path / "a", tmp_path / "b")
    assert list(found) == [f"{tmp_path}/a/x", f"{tmp_path}/b/x", "y"]
    assert found[f"{tmp_path}/b/x"] == ["03.ipynb", "x.ipynb"]


def test_text_of_strangers_steers_nothing():
    text = "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x1b(B\u202egnp\udce9\n"
    assert printable(text) == "red \N{REPLACEMENT CHARACTER}gnp\N{REPLACEMENT CHARACTER}\n"
    assert one_line("many words on\na line", 16) == "many words o ..."


# The exercises


def test_exercises_are_read_in_the_order_of_their_numbers(tmp_path, exercises):
    assert [e.number for e in exercises] == ["1.1", "1.2"]
    first = exercises[0]
    assert (first.title, first.chapter) == ("Twice, time 1.1", "1")
    assert first.given == (toys.SETUP, toys.IMPORTS)
    assert first.solution == toys.SOLUTION
    assert first.check == 'exercises.check("1.1", double)'
    folder = toys.write_exercises(tmp_path / "more", c2=11, c10=1)
    toys.write(folder / "._02_toys.ipynb", b"\0\5\26\7")  # what macOS puts beside
    numbers = [e.number for e in grading.load_exercises(folder)]
    assert numbers[:3] == ["2.1", "2.2", "2.3"] and numbers[-2:] == ["2.11", "10.1"]


def test_broken_exercises_are_refused(tmp_path, monkeypatch):
    def refused(cells, message):
        toys.write(tmp_path / "01_toys.ipynb", toys.notebook(cells))
        with pytest.raises(ValueError, match=f"01_toys.ipynb: {message}"):
            grading.load_exercises(tmp_path)

    _, answer, check, solution = toys.exercise_cells("1.1")
    refused([answer, solution], "exercise 1.1 has no check cell")
    refused([answer, check], "exercise 1.1 has no solution cell")
    refused([answer, check, {**solution, "source": "none"}], ".* with a ```python block")
    toys.write_exercises(tmp_path, c1=1)
    toys.write(tmp_path / "02_more.ipynb", (tmp_path / "01_toys.ipynb").read_text())
    with pytest.raises(ValueError, match="02_more.ipynb: exercise 1.1 is in another notebook too"):
        grading.load_exercises(tmp_path)
    monkeypatch.setattr("cbam_course.grading.pristine.PACKAGE", tmp_path / "cbam_course")
    with pytest.raises(ValueError, match="name that folder with --exercises"):
        grading.load_exercises()
