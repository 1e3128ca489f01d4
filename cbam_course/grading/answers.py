"""Finding the answers in a submission, and nothing else."""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .cells import Cell, Unreadable, read_notebook
from .pristine import Exercise
from .submissions import Submission
from .text import one_line

LONGEST_ANSWER = 100_000
MOST_CODE = 1_000_000
"""Characters that are read of one submission's code. Python takes seconds to parse so many."""
MARKER = re.compile(r"\s*#\s*Answer\s+(\d+\.\d+)\b", re.IGNORECASE)
STEERS_NBVAL = re.compile(r"^([ \t]*)#+[ \t]*(?:NBVAL_|PYTEST_VALIDATE_)\w+[ \t]*$", re.MULTILINE)
# Spaces and tabs, not all white space: over many empty lines that would take for ever.
MAGIC_LINE = re.compile(r"^([ \t]*)[%!?].*$", re.MULTILINE)
MAGIC = re.compile(r"^[ \t]*[%!?]|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """The answer to one exercise.

    Attributes:
        source: the code, as it will be run; None if there is nothing to run.
        status: ``"answer"``, or why there is nothing: ``"missing"``, ``"unsolved"``, ``"wrong"`` or
            ``"error"``.
        note: the same in words.
        remarks: what was odd about it: duplicates, imports of the course's own classes.
        outside: names that are defined outside the answer cells, which are not graded.
    """

    source: str | None
    status: str
    note: str = ""
    remarks: tuple[str, ...] = ()
    outside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answers:
    """All answers of a submission.

    Attributes:
        by_number: for every exercise, by its number.
        remarks: what was odd about the files.
        touched: whether there was an answer cell of any exercise, even an unsolved one.
    """

    by_number: dict[str, Answer]
    remarks: tuple[str, ...]
    touched: frozenset[str]


def collect_answers(submission: Submission, exercises: Iterable[Exercise]) -> Answers:
    """Read a submission's notebooks and pick the answers to `exercises`."""
    exercises = {exercise.number: exercise for exercise in exercises}
    remarks = list(submission.remarks)
    places: dict[str, list[tuple[Path, Cell]]] = {number: [] for number in exercises}
    others: list[Cell] = []
    size = 0
    for path in submission.notebooks:
        # The one file of a submission needs no name in front of what is said about it.
        where = "" if path == submission.path else f"{path.relative_to(submission.path)}: "
        try:
            notebook = read_notebook(path)
        except Unreadable as error:
            remarks.append(f"{where}{error}")
            continue
        remarks += [f"{where}{remark}" for remark in notebook.remarks]
        size += sum(len(cell.source) for cell in notebook.cells if cell.kind == "code")
        if size > MOST_CODE:
            remarks.append(f"{where}more code than anybody writes; not read")
            break
        strangers = set()
        for cell in notebook.cells:
            number = answers_exercise(cell)
            if number in places:
                places[number].append((path, cell))
            elif number:
                strangers.add(number)
            elif cell.kind == "code" and not cell.role:
                others.append(cell)
        if strangers:
            listed = one_line(", ".join(sorted(strangers)), 80)
            remarks.append(f"{where}answers to exercises that are not graded here: {listed}")
        if not strangers and not any(path == p for found in places.values() for p, _ in found):
            remarks.append(f"{where}no answer cell of these exercises: another notebook?")
    outside = frozenset(name for cell in others for name in _defined(cell.source))
    return Answers(
        by_number={
            number: _pick(exercises[number], found, outside) for number, found in places.items()
        },
        remarks=tuple(one_line(remark) for remark in remarks),
        touched=frozenset(number for number, found in places.items() if found),
    )


def answers_exercise(cell: Cell) -> str:
    """Return the number of the exercise that a cell answers, or nothing.

    By its metadata, else by its id, else by its first line: Colab and copying lose the former.
    """
    if cell.exercise and cell.role:
        return cell.exercise if cell.role == "answer" else ""
    named = re.fullmatch(r"answer-(\d+)-(\d+)", cell.id)
    if named:
        return ".".join(named.groups())
    marked = MARKER.match(cell.source)
    return marked.group(1) if marked else ""


def _pick(exercise: Exercise, found: list[tuple[Path, Cell]], outside: frozenset[str]) -> Answer:
    """Choose among the answer cells of an exercise: the last one that is not as it came."""
    if not found:
        return Answer(None, "missing", "no answer cell")
    code = [(path, cell) for path, cell in found if cell.kind == "code"]
    if not code:
        return Answer(None, "missing", "the answer cell is no code cell")
    changed = [(path, cell) for path, cell in code if not _is_untouched(cell.source, exercise)]
    remarks = []
    if len(changed or code) > 1:
        paths = dict.fromkeys(path.name for path, _ in changed or code)
        where = f" (in {', '.join(paths)})" if len(paths) > 1 else ""
        remarks.append(f"{len(changed or code)} answer cells{where}: the last one counts")
    if not changed:
        return Answer(None, "unsolved", "not answered", tuple(remarks))
    source = changed[-1][1].source
    if len(source) > LONGEST_ANSWER:
        return Answer(None, "wrong", f"{len(source)} characters: too long for an answer")
    source = STEERS_NBVAL.sub(r"\1#", source)
    try:
        remarks += list(_worth_a_look(source))
    except SyntaxError as error:
        note = f"syntax error in line {error.lineno}: {error.msg}"
        return Answer(None, "wrong", note, tuple(remarks))
    return Answer(source, "answer", "", tuple(remarks), outside)


def _is_untouched(source: str, exercise: Exercise) -> bool:
    if len(source) > LONGEST_ANSWER:
        return False
    return any(same_code(source, stub) for stub in (exercise.stub, ""))


def same_code(one: str, other: str) -> bool:
    """Return whether two pieces of code differ in comments and layout alone."""
    try:
        return ast.dump(_parse(one)) == ast.dump(_parse(other))
    except (Unparsable, RecursionError):
        return one.split() == other.split()


class Unparsable(ValueError):
    """Code that is more than Python, or more than Python's parser can take."""


def _parse(source: str) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings
            return compile(source, "answer", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Unparsable(str(error)) from error


def _worth_a_look(source: str) -> Iterator[str]:
    """Tell what a person may want to look at in an answer. It is no defence, and costs no points.

    Raises:
        SyntaxError: if the kernel would raise it too.
    """
    has_magic = MAGIC.search(source)
    if has_magic:
        yield "worth a look: it has magic commands"
        source = MAGIC_LINE.sub(r"\1pass", source)
    try:
        nodes = list(ast.walk(_parse(source)))
    except Unparsable as error:
        if isinstance(error.__cause__, SyntaxError) and not has_magic:
            raise error.__cause__ from None
        yield "worth a look: Python's parser does not take it"
        return
    modules, calls, patched = set(), set(), set()
    for node in nodes:
        match node:
            case ast.Import(names=names):
                modules.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(name)):
                modules.add(name)
            case ast.Call(func=ast.Name(id=name)):
                calls.add(name)
            case ast.Assign(targets=targets):
                patched.update(ast.unparse(target) for target in targets if _is_of_another(target))
    course = sorted(m for m in modules if m.partition(".")[0] == "cbam_course")
    unusual = sorted({m.partition(".")[0] for m in modules} & UNUSUAL_MODULES)
    unusual += sorted(calls & UNUSUAL_CALLS)
    for does, found in (("imports", course), ("uses", unusual), ("sets", sorted(patched))):
        if found:
            yield f"worth a look: it {does} {one_line(', '.join(found), 80)}"


def _is_of_another(target: ast.AST) -> bool:
    """Return whether an assignment is to something in a module or another object."""
    match target:
        case ast.Attribute(value=ast.Name(id=name)):
            return name != "self"
    return False


UNUSUAL_MODULES = frozenset(
    "IPython atexit builtins ctypes gc importlib inspect io multiprocessing os pathlib shutil "
    "signal socket subprocess sys threading".split()
)
UNUSUAL_CALLS = frozenset("__import__ compile eval exec getattr globals open setattr vars".split())


def _defined(source: str) -> Iterator[str]:
    """Yield the names that a cell defines, to explain where a name may have gone."""
    try:
        body = _parse(MAGIC_LINE.sub(r"\1pass", source)).body
    except Unparsable:
        return
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (a.asname or a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
