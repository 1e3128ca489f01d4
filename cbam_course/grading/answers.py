"""Finding the answers in a submission, and what a person should look at in them."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .cells import Cell, Unreadable, one_line, read_cells
from .outcome import Outcome
from .pristine import Exercise
from .submissions import Submission

MARK = re.compile(r"^[ \t]*#[ \t]*Answer[ \t]+(\d+\.\d+)\b", re.IGNORECASE | re.MULTILINE)
# What honest answers rarely use, and those that look into the check or the grader do.
LOOK = {
    "uses": re.compile(
        r"\b(?:exercises|cbam_course|get_ipython|getattr|setattr|delattr|globals|locals|vars"
        r"|builtins|ctypes|gc|importlib|inspect|os|pathlib|signal|socket|subprocess|sys|threading"
        r"|f_back|f_globals|f_locals|[gt]b_frame|gi_frame)\b"
        # Not the methods of these names, and no calls of super().__init__().
        r"|(?<![.\w])(?:compile|eval|exec|open)(?=\()|(?<=\.)__(?!init__\()\w+"
        r"|\b__(?!(?:init|call|len|iter|getitem|repr)__)\w+__\b"
    ),
    "sets": re.compile(r"^[ \t]*((?:torch|nn|F|math|np|random)\.[\w.]+)[ \t]*=(?!=)", re.MULTILINE),
    "has magic commands such as": re.compile(r"^[ \t]*([%!].{,20})", re.MULTILINE),
}


@dataclass(frozen=True)
class Answer:
    """The answer to one exercise.

    Attributes:
        source: the code, as it will be run; None if there is nothing to run.
        outcome: if there is nothing, what it earns all the same.
        remarks: what is odd about it, such as several answer cells.
        look: what a person should look at, such as a use of the checks themselves.
    """

    source: str | None
    outcome: Outcome | None = None
    remarks: tuple[str, ...] = ()
    look: tuple[str, ...] = ()


def collect_answers(
    submission: Submission, exercises: Sequence[Exercise]
) -> tuple[dict[str, Answer], list[str]]:
    """Pick the answers to `exercises`, by number, from a submission's notebooks.

    Returns:
        the answers, and remarks on the files.
    """
    found: dict[str, list[Cell]] = {exercise.number: [] for exercise in exercises}
    marked: set[str] = set()  # anywhere in a cell, which may be that of another answer
    remarks = [] if submission.notebooks else ["no notebook"]
    for path in submission.notebooks:
        where = f"{path.name}: " if len(submission.notebooks) > 1 else ""
        try:
            cells = [(answered(cell), cell) for cell in read_cells(path)]
        except Unreadable as error:
            remarks.append(f"{where}{error}")
            continue
        if found.keys().isdisjoint(number for number, _ in cells):
            remarks.append(f"{where}no answer cell of these exercises: another notebook?")
        for number, cell in cells:
            marked.update(MARK.findall(cell.source))
            if number in found:
                found[number].append(cell)
    answers = {e.number: _pick(e, found[e.number], e.number in marked) for e in exercises}
    return answers, remarks


def answered(cell: Cell) -> str:
    """Return the number of the exercise that a cell answers, or nothing.

    By the cell's metadata, else by its id, else by its mark ``# Answer 3.1``: Colab and copying
    lose the former.
    """
    if cell.role not in ("", "answer"):
        return ""
    if cell.role and cell.exercise:
        return cell.exercise
    if named := re.fullmatch(r"answer-(\d+)-(\d+)", cell.id):
        return ".".join(named.groups())
    mark = MARK.search(cell.source) if cell.kind == "code" else None
    return mark.group(1) if mark else ""


def _pick(exercise: Exercise, found: Sequence[Cell], marked: bool) -> Answer:
    """Choose among the answers to an exercise: the last one that is not as it came."""
    if not found:
        where = "in the cell of another answer: give it one of its own" if marked else "nowhere"
        note = f"no answer cell: its first line, # Answer {exercise.number}, is found {where}"
        return Answer(None, Outcome("missing", note))
    code = [cell.source for cell in found if cell.kind == "code"]
    if not code:
        return Answer(None, Outcome("missing", "the answer cell is no code cell"))
    changed = [source for source in code if _bare(source) not in ("", _bare(exercise.stub))]
    if not changed:
        return Answer(None, Outcome("unsolved", "not answered"))
    remarks = ()
    if len(changed) > 1:
        several = f"{len(changed)} answer cells: the last one counts"
        remarks = (f"{several}; if one answer is split in two cells, join them",)
    return Answer(changed[-1], remarks=remarks, look=tuple(worth_a_look(changed[-1])))


def _bare(source: str) -> str:
    """Return code without comments and white space, by which an untouched stub is known."""
    return re.sub(r"#.*|\s+", "", source)


def worth_a_look(source: str) -> Iterator[str]:
    """Tell what a person should look at in an answer. It is no defence, and costs no points."""
    source = unicodedata.normalize("NFKC", source)  # as Python reads names
    for what, pattern in LOOK.items():
        if found := sorted(set(pattern.findall(source))):
            yield f"it {what} {one_line(', '.join(found), 80)}"
