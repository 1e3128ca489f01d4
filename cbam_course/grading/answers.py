"""Finding the answers in a submission, and what a person should look at in them."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .cells import Cell, Unreadable, one_line, read_cells
from .outcome import Outcome
from .pristine import Exercise
from .submissions import Submission

LONGEST_ANSWER = 100_000
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
        remarks: what happened to it on the way: duplicates, answers that shared a cell.
        look: what a person should look at, such as a use of the checks themselves.
        followed: whether a cell of the learner's own stands between it and its check.
        other_code: the code of all such cells of the submission, which is not graded.
    """

    source: str | None
    outcome: Outcome | None = None
    remarks: tuple[str, ...] = ()
    look: tuple[str, ...] = ()
    followed: bool = False
    other_code: str = ""


def collect_answers(
    submission: Submission, exercises: Sequence[Exercise]
) -> tuple[dict[str, Answer], list[str]]:
    """Pick the answers to `exercises`, by number, from a submission's notebooks.

    Returns:
        the answers, and remarks on the files.
    """
    found: dict[str, list[tuple[Cell, str]]] = {exercise.number: [] for exercise in exercises}
    checks = {exercise.check.strip() for exercise in exercises}
    followed: set[str] = set()  # by a cell of the learner's own
    remarks = [] if submission.notebooks else ["no notebook"]
    others = []
    for path in submission.notebooks:
        where = f"{path.name}: " if len(submission.notebooks) > 1 else ""
        try:
            cells = read_cells(path)
        except Unreadable as error:
            remarks.append(f"{where}{error}")
            continue
        seen, last = set(), ""
        for cell in cells:
            pieces = answers_in(cell)
            for last, source in pieces:
                found.setdefault(last, []).append((cell, source))
                seen.add(last)
            if cell.role == "check" or cell.source.strip() in checks:
                last = ""
            elif cell.kind == "code" and not cell.role and not pieces and cell.source.strip():
                others.append(cell.source)
                followed.add(last)
        if strangers := seen - {exercise.number for exercise in exercises}:
            listed = ", ".join(sorted(strangers))
            remarks.append(f"{where}answers to exercises that are not graded here: {listed}")
        if not seen:
            remarks.append(f"{where}no answer cell of these exercises: another notebook?")
    answers = {}
    for exercise in exercises:
        number = exercise.number
        answer = _pick(exercise, found[number])
        own = {"followed": number in followed, "other_code": "\n".join(others)}
        answers[number] = replace(answer, **own)
    return answers, remarks


def answers_in(cell: Cell) -> list[tuple[str, str]]:
    """Return the numbers of the exercises that a cell answers, each with its code.

    The first by the cell's metadata, else by its id, else by its mark ``# Answer 3.1``: Colab and
    copying lose the former. Further marks begin other answers: merged cells are cut there.
    """
    if cell.role not in ("", "answer"):
        return []
    own = cell.exercise if cell.role else ""
    if not own and (named := re.fullmatch(r"answer-(\d+)-(\d+)", cell.id)):
        own = ".".join(named.groups())
    starts = [(own, 0)] if own else []
    for mark in MARK.finditer(cell.source) if cell.kind == "code" else ():
        if not starts:
            starts.append((mark.group(1), 0))
        elif mark.group(1) != starts[-1][0] and cell.source[: mark.start()].strip():
            starts.append((mark.group(1), mark.start()))
    ends = [*(start for _, start in starts[1:]), len(cell.source)]
    return [(n, cell.source[start:end]) for (n, start), end in zip(starts, ends, strict=False)]


def _pick(exercise: Exercise, found: list[tuple[Cell, str]]) -> Answer:
    """Choose among the answers to an exercise: the last one that is not as it came."""
    if not found:
        note = f"no answer cell: its first line, # Answer {exercise.number}, is found nowhere"
        return Answer(None, Outcome("missing", note))
    code = [source for cell, source in found if cell.kind == "code"]
    if not code:
        return Answer(None, Outcome("missing", "the answer cell is no code cell"))
    changed = [source for source in code if _bare(source) not in ("", _bare(exercise.stub))]
    remarks = []
    if any(source != cell.source for cell, source in found):
        remarks.append("several answers in one cell: it was cut at the lines # Answer ...")
    if len(changed) > 1:
        several = f"{len(changed)} answer cells: the last one counts"
        remarks.append(f"{several}; if one answer is split in two cells, join them")
    if not changed:
        return Answer(None, Outcome("unsolved", "not answered"), tuple(remarks))
    source = changed[-1]
    if len(source) > LONGEST_ANSWER:
        note = f"{len(source)} characters: too long for an answer"
        return Answer(None, Outcome("wrong", note))
    return Answer(source, remarks=tuple(remarks), look=tuple(worth_a_look(source)))


def hinted(outcome: Outcome, answer: Answer) -> Outcome:
    """Add to what earned nothing that a part of it may stand in a cell that is not graded."""
    lacks = re.search(r"name '(\w+)' is not defined", f"{outcome.note}\n{outcome.detail}")
    elsewhere = lacks and re.search(rf"\b{lacks.group(1)}\b", answer.other_code)
    if outcome.points != 0 or not (answer.followed or elsewhere):
        return outcome
    what = lacks.group(1) if elsewhere else "a part of it"
    hint = f"only the answer cell is graded: if {what} stands in a cell of your own, move it there"
    return replace(outcome, note=f"{outcome.note} ({hint})")


def _bare(source: str) -> str:
    """Return code without comments and white space, by which an untouched stub is known."""
    return re.sub(r"#.*|\s+", "", source)


def worth_a_look(source: str) -> Iterator[str]:
    """Tell what a person should look at in an answer. It is no defence, and costs no points."""
    source = unicodedata.normalize("NFKC", source)  # as Python reads names
    for what, pattern in LOOK.items():
        if found := sorted(set(pattern.findall(source))):
            yield f"it {what} {one_line(', '.join(found), 80)}"
