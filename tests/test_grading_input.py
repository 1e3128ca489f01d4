"""What the grader makes of files that may be anything; no kernel runs here."""

import io
import json
import os
import shutil
import sys
import tarfile

import grading_toys as toys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbam_course import grading
from cbam_course.grading.answers import collect_answers, same_code
from cbam_course.grading.cells import Unreadable, parse_notebook, read_notebook
from cbam_course.grading.text import one_line, printable

RIGHT = f"# Answer 1.1\n{toys.SOLUTION}"


@pytest.fixture
def exercises(tmp_path):
    return grading.load_exercises(toys.write_exercises(tmp_path / "pristine", c1=2))


@pytest.fixture
def hand_in(tmp_path, exercises):
    """Return a function that writes a submission's one file and collects its answers."""

    def hand_in(content, name="alice.ipynb"):
        path = toys.write(tmp_path / "class" / name, content)
        [submission] = grading.find_submissions([path])
        return collect_answers(submission, exercises)

    return hand_in


def statuses(answers):
    return {number: answer.status for number, answer in answers.by_number.items()}


# Which cells are the answers


def test_an_answer_is_found_by_metadata_by_id_or_by_its_first_line(hand_in):
    for cell in (
        toys.code(toys.SOLUTION, "x", toys.about("1.1", "answer")),
        toys.code(toys.SOLUTION, "answer-1-1"),
        toys.code(RIGHT, "x"),
        toys.code(f"\n  #answer 1.1: mine\n{toys.SOLUTION}"),
    ):
        answers = hand_in(toys.notebook([cell]))
        assert statuses(answers) == {"1.1": "answer", "1.2": "missing"}
        assert toys.SOLUTION in answers.by_number["1.1"].source
        assert answers.remarks == ()


def test_metadata_goes_before_id_and_id_before_the_first_line(hand_in):
    answers = hand_in(
        toys.notebook(
            [
                toys.code("a = 1", "answer-1-2", toys.about("1.1", "answer")),
                toys.code("# Answer 1.1\na = 2", "answer-1-2"),
            ]
        )
    )
    assert answers.by_number["1.1"].source == "a = 1"
    assert answers.by_number["1.2"].source.endswith("a = 2")


def test_of_duplicates_the_last_counts_that_is_not_as_it_came(hand_in):
    first, second, stub = (
        toys.code(f"# Answer 1.1\n{source}", metadata=toys.about("1.1", "answer"))
        for source in ("a = 1", "a = 2", toys.STUB)
    )
    answer = hand_in(toys.notebook([first, second, stub])).by_number["1.1"]
    assert answer.source.endswith("a = 2")
    assert answer.remarks == ("2 answer cells: the last one counts",)
    answer = hand_in(toys.notebook([stub, first])).by_number["1.1"]
    assert answer.source.endswith("a = 1") and answer.remarks == ()


def test_duplicates_in_several_files(tmp_path, exercises):
    for name in ("a", "b"):
        toys.write(tmp_path / "c" / "bob" / f"{name}.ipynb", toys.notebook([toys.code(RIGHT)]))
    [submission] = grading.find_submissions([tmp_path / "c"])
    answers = collect_answers(submission, exercises)
    assert answers.by_number["1.1"].remarks == (
        "2 answer cells (in a.ipynb, b.ipynb): the last one counts",
    )


def test_a_stub_is_no_answer_however_it_is_laid_out(hand_in):
    for source in (toys.STUB, f"# Answer 1.1\n\n{toys.STUB}  # later\n\n", "# Answer 1.1", ""):
        cell = toys.code(source, "answer-1-1")
        assert hand_in(toys.notebook([cell])).by_number["1.1"].status == "unsolved"


def test_an_answer_in_a_cell_that_is_no_code(hand_in):
    cell = {**toys.code(RIGHT, "answer-1-1"), "cell_type": "markdown"}
    answer = hand_in(toys.notebook([cell])).by_number["1.1"]
    assert (answer.status, answer.note) == ("missing", "the answer cell is no code cell")


def test_checks_are_no_answers_whatever_they_say(hand_in):
    cells = [
        toys.code(RIGHT, "answer-1-1", toys.about("1.1", "check")),
        toys.code("# Check 1.1\n# Answer 1.1"),
    ]
    assert statuses(hand_in(toys.notebook(cells)))["1.1"] == "missing"


def test_a_syntax_error_is_said_without_running_anything(hand_in):
    answer = hand_in(toys.notebook([toys.code("# Answer 1.1\n\ndef double(x:")])).by_number["1.1"]
    assert answer.status == "wrong" and answer.source is None
    assert answer.note.startswith("syntax error in line 3: ")


def test_what_ipython_understands_is_no_syntax_error(hand_in):
    for line in ("%timeit 1", "!ls", "files = !ls", "%%time\n1", "print?", "await f()"):
        cell = toys.code(f"{line}\n{toys.SOLUTION}", "answer-1-1")
        assert hand_in(toys.notebook([cell])).by_number["1.1"].status == "answer"


def test_what_steers_nbval_is_taken_out(hand_in):
    source = f"#NBVAL_SKIP\nif 1:\n    ## NBVAL_IGNORE_OUTPUT \n    a = '# NBVAL_SKIP'\n{RIGHT}"
    answer = hand_in(toys.notebook([toys.code(source, "answer-1-1")])).by_number["1.1"]
    assert answer.source == f"#\nif 1:\n    #\n    a = '# NBVAL_SKIP'\n{RIGHT}"


@pytest.mark.parametrize(
    ("source", "remark"),
    [
        ("from cbam_course.attention import ECA", "it imports cbam_course.attention"),
        ("import os, sys", "it uses os, sys"),
        ("text = open('x').read()", "it uses open"),
        ("import torch\ntorch.allclose = 1", "it sets torch.allclose"),
        ("%pip install x", "it has magic commands"),
        ("-" * 50_000 + "1", "Python's parser does not take it"),
        ("a = open" + " + 1" * 1500, ""),
    ],
)
def test_what_is_worth_a_look(hand_in, source, remark):
    answer = hand_in(toys.notebook([toys.code(source, "answer-1-1")])).by_number["1.1"]
    assert answer.status == "answer"
    assert answer.remarks == ((f"worth a look: {remark}",) if remark else ())


def test_an_honest_class_is_not_worth_a_look(hand_in):
    source = "class A:\n    def __init__(self):\n        self.a = 1\n        self.b.c = [0]"
    answer = hand_in(toys.notebook([toys.code(source, "answer-1-1")])).by_number["1.1"]
    assert answer.remarks == ()


def test_code_that_is_slow_to_read_is_read_at_once(hand_in):
    """Hours, if a pattern had to look at every pair of empty lines."""
    for source in ("\n" * 99_990 + "x", " " * 99_990 + "x", "? \n" * 30_000, "[" * 50_000):
        for id in ("answer-1-1", "mine"):
            hand_in(toys.notebook([toys.code(source, id), toys.code("1" * 10**7, id)]))


def test_an_answer_may_not_be_a_book(hand_in):
    answer = hand_in(toys.notebook([toys.code("a" * 100_001, "answer-1-1")])).by_number["1.1"]
    assert (answer.status, answer.note) == ("wrong", "100001 characters: too long for an answer")


def test_same_code():
    assert same_code("a=1  # one", "a = 1")
    assert same_code("%magic  x", "%magic x")
    assert not same_code("a = 1", "a = 2")


# Files


def test_older_formats(hand_in):
    minor = toys.notebook([toys.code(RIGHT)], minor=0)
    assert hand_in(minor).remarks == ()
    cells = [{"cell_type": "code", "input": RIGHT, "language": "python", "outputs": []}]
    answers = hand_in({"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]})
    assert statuses(answers)["1.1"] == "answer"
    assert answers.remarks == ("notebook format 3 instead of 4; read all the same",)


def test_renamed_files_count_and_other_notebooks_are_named(hand_in):
    assert statuses(hand_in(toys.notebook([toys.code(RIGHT)]), "my (2).txt"))["1.1"] == "answer"
    answers = hand_in(toys.notebook([toys.code("# Answer 9.7\n1"), toys.code("1")]))
    assert answers.remarks == ("answers to exercises that are not graded here: 9.7",)
    answers = hand_in(toys.notebook([toys.code("1 + 1")]))
    assert answers.remarks == ("no answer cell of these exercises: another notebook?",)


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("", "not a notebook: the file is empty"),
        ("# 1\nprint(2)", "not a notebook: not JSON in line 1"),
        ("%PDF-1.7", "not a notebook: not JSON in line 1"),
        (b"\x93NUMPY\x01\x00\xff\xfe", "not a notebook: not JSON in line 1"),
        ("[]", "not a notebook: its JSON is no object"),
        ("{}", "not a notebook: it has no list of cells"),
        ('{"cells": {"a": 1}}', "not a notebook: it has no list of cells"),
        ('{"worksheets": [{"cells": 3}, 4]}', "no answer cell of these exercises"),
        ("[" * 100_000, "not a notebook: its JSON is nested too deeply"),
        ('{"cells": ' + "9" * 5000 + "}", "not a notebook"),
        ('{"cells": [1, null, {}], "nbformat": 4}', "2 of its cells are no cells; passed over"),
        ('{"cells": [], "nbformat": [[]]}', "notebook format [[]] instead of 4"),
    ],
)
def test_what_is_no_notebook(hand_in, content, remark):
    answers = hand_in(content)
    assert remark in "; ".join(answers.remarks)
    assert statuses(answers) == {"1.1": "missing", "1.2": "missing"}


def test_undecodable_bytes_are_replaced(hand_in):
    text = json.dumps(toys.notebook([toys.code(RIGHT), toys.markdown("caf@")]))
    answers = hand_in(text.encode().replace(b"@", b"\xe9\xff"))
    assert statuses(answers)["1.1"] == "answer"
    assert answers.remarks == ("some bytes are not UTF-8; they were replaced",)
    assert statuses(hand_in(text.encode("utf-16")))["1.1"] == "answer"
    assert statuses(hand_in(text.encode("utf-8-sig")))["1.1"] == "answer"


def test_half_characters_and_null_bytes(hand_in):
    cell = toys.code(f"{RIGHT}\na = '\ud800 \0'", "answer-1-1")
    answer = hand_in(toys.notebook([cell])).by_number["1.1"]
    assert (answer.source or answer.note).encode()


def test_fifty_megabytes_of_output(hand_in):
    outputs = [toys.stream("x" * 50_000_000)]
    answers = hand_in(toys.notebook([toys.code(RIGHT, outputs=outputs), toys.code("1")]))
    assert statuses(answers)["1.1"] == "answer" and answers.remarks == ()


def test_files_that_are_too_large(hand_in, monkeypatch):
    monkeypatch.setattr("cbam_course.grading.cells.LARGEST_FILE", 100)
    assert hand_in(" " * 101).remarks[0].endswith("too large for a notebook, clear its outputs")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["cells", "worksheets", "source", "metadata", "cbam_course", "id", "nbformat"]
                    + ["cell_type", "exercise", "role", "input", "outputs"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(content):
    try:
        notebook = parse_notebook(json.dumps(content).encode())
    except Unreadable as error:
        assert str(error).startswith("not a notebook: ")
    else:
        for cell in notebook.cells:
            cell.source.encode()


@given(st.binary())
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(Unreadable):
        parse_notebook(data)


def test_more_code_than_anybody_writes_is_not_read(tmp_path, exercises):
    """Python's parser would be at it for minutes."""
    folder = tmp_path / "class" / "eve"
    toys.write(folder / "1.ipynb", toys.notebook([toys.code(RIGHT)]))
    toys.write(folder / "2.ipynb", toys.notebook([toys.code("a = 1\n" * 10**4)] * 20))
    [submission] = grading.find_submissions([tmp_path / "class"])
    answers = collect_answers(submission, exercises)
    assert answers.remarks == ("2.ipynb: more code than anybody writes; not read",)
    assert statuses(answers)["1.1"] == "answer"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    os.symlink(tmp_path / "b", tmp_path / "a")
    os.symlink(tmp_path / "a", tmp_path / "b")
    for name, message in (
        ("fifo", "not a file"),
        ("a", "cannot be read: "),
        ("none", "cannot be read: "),
        ("", "not a file|cannot be read"),
    ):
        with pytest.raises(Unreadable, match=message):
            read_notebook(tmp_path / name)


# Whose files they are


def submissions(*paths, **options):
    return {
        s.name: ([p.name for p in s.notebooks], s.remarks)
        for s in grading.find_submissions(paths, **options)
    }


def test_a_folder_is_a_class(tmp_path):
    for name in ("carol.ipynb", "alice/03.ipynb", "alice/more/05.ipynb", "alice/data.csv",
                 "alice/.ipynb_checkpoints/03.ipynb", "bob/answers.pdf", "dave.ipynb.txt",
                 ".DS_Store", "__MACOSX/x.ipynb", "grades.csv"):  # fmt: skip
        toys.write(tmp_path / "class" / name, "x")
    (tmp_path / "class" / "empty").mkdir()
    found = submissions(tmp_path / "class", leave_out=[tmp_path / "class" / "grades.csv"])
    assert found == {
        "alice": (["03.ipynb", "05.ipynb"], ()),
        "bob": ([], ("no notebook in the folder, 1 other files",)),
        "carol": (["carol.ipynb"], ()),
        "dave.ipynb.txt": (["dave.ipynb.txt"], ()),
        "empty": ([], ("no notebook in the folder, no other files",)),
    }
    assert submissions(tmp_path / "class" / "alice", single=True) == {"alice": found["alice"]}
    assert list(submissions(tmp_path / "class" / "alice")) == ["03", "data.csv", "more"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX links")
def test_links_are_not_followed(tmp_path):
    folder = tmp_path / "class" / "eve"
    folder.mkdir(parents=True)
    toys.write(tmp_path / "solved.ipynb", toys.notebook([toys.code(RIGHT)]))
    (folder / "03.ipynb").symlink_to(tmp_path / "solved.ipynb")
    (folder / "loop").symlink_to(folder)
    (tmp_path / "class" / "mallory.ipynb").symlink_to(tmp_path / "solved.ipynb")
    assert submissions(tmp_path / "class") == {
        "eve": (
            [],
            (
                "loop: a link; links are not followed",
                "03.ipynb: a link; links are not followed",
                "no notebook in the folder, no other files",
            ),
        ),
        "mallory": ([], ("a link; links are not followed",)),
    }


def test_folders_without_end(tmp_path):
    folder = tmp_path / "class" / "eve"
    for _ in range(30):
        folder = folder / "d"
    toys.write(folder / "x.ipynb", "{}")
    assert submissions(tmp_path / "class")["eve"][1] == (
        "folders more than 20 deep; not read further",
        "no notebook in the folder, no other files",
    )


def test_equal_names_are_told_apart(tmp_path):
    for name in ("a/x.ipynb", "b/x.ipynb", "b/x/03.ipynb"):
        toys.write(tmp_path / name, "x")
    names = list(submissions(tmp_path / "a", tmp_path / "b", tmp_path / "a" / "x.ipynb"))
    assert len(set(names)) == 3 and all("x" in name for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names(tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    for name in (b"caf\xe9.ipynb", b"\x1b[31mred.ipynb", b"a\nb.ipynb", "\u202egnp.ipynb".encode()):
        with open(os.path.join(os.fsencode(folder), name), "w") as file:
            file.write("{}")
    for submission in grading.find_submissions([folder]):
        assert submission.name.isprintable()
        submission.name.encode()


def test_a_path_with_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="there is nothing at"):
        grading.find_submissions([tmp_path / "none"])


# Text of strangers


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_text_of_strangers_steers_nothing(text):
    shown = printable(text)
    assert shown.isprintable() and shown.encode() is not None
    assert "\n" not in one_line(text) and len(one_line(text, 20)) <= 20


def test_ansi_is_taken_out():
    assert printable("\x1b[31mred\x1b[0m\x1b]0;title\x07 \x1b(B") == "red "
    assert printable("a\tb\nc", lines=True) == "a\tb\nc"


# The exercises


def test_exercises_are_read(exercises):
    assert [e.number for e in exercises] == ["1.1", "1.2"]
    first = exercises[0]
    assert (first.title, first.notebook, first.chapter) == ("Twice, time 1.1", "01_toys", "1")
    assert first.given == (toys.SETUP, toys.IMPORTS)
    assert first.solution == toys.SOLUTION
    assert first.check == 'exercises.check("1.1", double)'


def test_numbers_are_ordered_as_numbers(tmp_path):
    folder = toys.write_exercises(tmp_path, c2=11, c10=1)
    numbers = [e.number for e in grading.load_exercises(folder)]
    assert numbers[:3] == ["2.1", "2.2", "2.3"] and numbers[-2:] == ["2.11", "10.1"]
    assert [e.number for e in grading.load_exercises(folder, ["10"])] == ["10.1"]


def test_broken_exercises_are_refused(tmp_path):
    def refused(cells, message):
        toys.write(tmp_path / "01_toys.ipynb", toys.notebook(cells))
        with pytest.raises(ValueError, match=message):
            grading.load_exercises(tmp_path)

    with pytest.raises(ValueError, match="there are no exercises in"):
        grading.load_exercises(tmp_path)
    _, answer, check, solution = toys.exercise_cells("1.1")
    refused([answer, solution], "exercise 1.1 has no check cell")
    refused([answer, check], "exercise 1.1 has no solution cell")
    empty = {**solution, "source": "none"}
    refused([answer, check, empty], "the solution of exercise 1.1 has no ```python block")
    odd = toys.code("x", metadata=toys.about("one", "answer"))
    refused([odd], "'one' is no exercise")
    toys.write(tmp_path / "01_toys.ipynb", "{}")
    with pytest.raises(ValueError, match="01_toys.ipynb: not a notebook"):
        grading.load_exercises(tmp_path)
    toys.write_exercises(tmp_path, c1=1)
    toys.write(tmp_path / "02_more.ipynb", (tmp_path / "01_toys.ipynb").read_text())
    with pytest.raises(ValueError, match="exercise 1.1 is in 01_toys and in 02_more"):
        grading.load_exercises(tmp_path)
    with pytest.raises(ValueError, match="has no exercises of chapter 7"):
        (tmp_path / "02_more.ipynb").unlink()
        grading.load_exercises(tmp_path, ["7"])


def test_exercises_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("cbam_course.grading.pristine.PACKAGE", tmp_path / "cbam_course")
    with pytest.raises(ValueError, match="name that folder with --exercises"):
        grading.load_exercises()


def test_exercises_are_read_from_an_archive_too(tmp_path, exercises):
    # What Jupyter and macOS put beside the files.
    shutil.copytree(tmp_path / "pristine", tmp_path / "pristine" / ".ipynb_checkpoints")
    toys.write(tmp_path / "pristine" / "._01_toys.ipynb", b"\0\5\26\7")
    assert grading.load_exercises(tmp_path / "pristine") == exercises
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        file.add(tmp_path / "pristine", "./exercises")
    archive.seek(0)
    assert grading.load_exercises(archive) == exercises
    with pytest.raises(ValueError, match="the exercises are no tar archive"):
        grading.load_exercises(io.BytesIO(b"no archive" * 100))
    with pytest.raises(ValueError, match="the exercises are no tar archive"):
        grading.load_exercises(io.BytesIO(b""))
