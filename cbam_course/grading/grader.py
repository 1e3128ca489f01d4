"""Grading a class: every answer of every submission, whatever happens to one of them."""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Event

from tqdm import tqdm

from .answers import Answer, collect_answers
from .cells import one_line
from .outcome import Outcome, explain
from .pristine import PACKAGE, Exercise, default_folder, load_exercises
from .sandbox import Run, run_cells, why_no_sandbox
from .submissions import Submission, find_submissions

SECONDS, MEMORY = 120.0, 3 * 2**30
"""What one answer may use, if nothing else is said."""


@dataclass(frozen=True)
class Graded:
    """One submission with its outcomes.

    Attributes:
        submission: whose it is, and where.
        outcomes: how each exercise did, by its number.
        answers: the answers, by the same number.
        remarks: what was odd about the files.
    """

    submission: Submission
    outcomes: dict[str, Outcome]
    answers: dict[str, Answer]
    remarks: tuple[str, ...]

    @property
    def points(self) -> int:
        """The sum of the points."""
        return sum(outcome.points or 0 for outcome in self.outcomes.values())


@dataclass(frozen=True)
class Report:
    """A graded class.

    Attributes:
        exercises: those that were graded.
        graded: the submissions, in the order in which they were found.
        passed_over: the names of files that are no submissions.
        runs: how many answers were run this time; the others were recorded or equal.
    """

    exercises: tuple[Exercise, ...]
    graded: tuple[Graded, ...]
    passed_over: tuple[str, ...]
    runs: int

    @property
    def errors(self) -> int:
        """How many answers could not be graded."""
        return sum(o.status == "error" for g in self.graded for o in g.outcomes.values())


def grade(
    paths: Iterable[Path | str],
    *,
    exercises: Path | str | None = None,
    chapters: Iterable[str | int] = (),
    seconds: float = SECONDS,
    memory: int = MEMORY,
    jobs: int | None = None,
    record: Path | str | None = None,
    trusted: bool = False,
    single: bool = False,
) -> Report:
    """Grade submissions against the pristine exercises.

    Args:
        paths: notebooks, and folders as :func:`find_submissions` reads them.
        exercises: the folder of the pristine exercises, the repository's if it is None.
        chapters: the chapters to grade; if empty, those that any submission has an answer cell of.
        seconds: how long one answer may take, the start of Python included.
        memory: bytes that all processes of one answer together may hold.
        jobs: how many answers to run at a time; if it is None one a core, at most four.
        record: a file that keeps what is finished, so that a second call need not do it again.
        trusted: run the answers as any other program of this user, not in a sandbox.
        single: each folder is one learner's.

    Raises:
        ValueError: if there are no submissions or exercises at these paths.
        RuntimeError: if something that the grader needs is missing, such as a sandbox.
    """
    folder = default_folder() if exercises is None else Path(exercises)
    known = load_exercises(folder, chapters)
    paths = [Path(path) for path in paths]
    submissions, passed_over = find_submissions(paths, single=single)
    if not submissions:
        raise ValueError(f"there are no submissions in {', '.join(map(str, paths))}")
    if sys.platform == "win32":
        raise RuntimeError("the grader needs Linux or macOS; on Windows run it in WSL")
    if not (find_spec("IPython") and find_spec("psutil")):
        raise RuntimeError("the grader needs IPython and psutil: pip install 'cbam-course[grade]'")
    if not trusted and (why := why_no_sandbox()):
        raise RuntimeError(why)
    collected = [_collect(submission, known) for submission in submissions]
    handed_in = {
        exercise.chapter
        for exercise in known
        for answers, _ in collected
        if not (outcome := answers[exercise.number].outcome) or outcome.status != "missing"
    }
    wanted = [e for e in known if chapters or e.chapter in handed_in]
    circumstances = _fingerprint(PACKAGE), sys.version, seconds, memory, trusted
    # What is equal is run once, and has one key.
    keys = {
        (exercise, source): _key(circumstances, exercise, source)
        for exercise in wanted
        for answers, _ in collected
        if (source := answers[exercise.number].source) is not None
    }
    record = None if record is None else Path(record)
    outcomes = _recorded(record)
    todo = [pair for pair, key in keys.items() if key not in outcomes]

    def keep(pair: tuple[Exercise, str], outcome: Outcome) -> None:
        outcomes[keys[pair]] = outcome
        if record and outcome.status != "error":  # errors are tried again the next time
            with record.open("a", encoding="utf-8") as file:
                # The line before may have been cut off.
                file.write("\n" + json.dumps({"key": keys[pair], **asdict(outcome)}) + "\n")

    run = partial(
        run_cells, seconds=seconds, memory=memory, hidden=[folder.resolve()], trusted=trusted
    )
    _run_all(todo, run, jobs or min(4, os.cpu_count() or 1), keep)

    graded = []
    for submission, (answers, remarks) in zip(submissions, collected, strict=True):
        found = {
            e.number: answers[e.number].outcome or outcomes[keys[e, answers[e.number].source]]
            for e in wanted
        }
        graded.append(Graded(submission, found, answers, tuple(map(one_line, remarks))))
    return Report(tuple(wanted), tuple(graded), tuple(passed_over), len(todo))


def _collect(
    submission: Submission, exercises: Sequence[Exercise]
) -> tuple[dict[str, Answer], list[str]]:
    """Read a submission; what nobody has foreseen in it concerns no other."""
    try:
        return collect_answers(submission, exercises)
    except Exception as error:
        note = one_line(f"not graded: {error!r}")
        return {e.number: Answer(None, Outcome("error", note)) for e in exercises}, [note]


def _fingerprint(folder: Path) -> str:
    """Return a text that changes with the code of the course, which holds the checks."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _key(circumstances: object, exercise: Exercise, source: str) -> str:
    """Return a text that changes with whatever an outcome depends on."""
    parts = repr((circumstances, exercise, source))
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()


def _recorded(path: Path | None) -> dict[str, Outcome]:
    """Return the outcomes that a file keeps, one a line, by their keys."""
    outcomes = {}
    for line in path.read_text("utf-8", "replace").splitlines() if path and path.exists() else ():
        with suppress(ValueError, TypeError, KeyError):  # a line that was cut off
            content = json.loads(line)
            key = content.pop("key")
            outcomes[key] = Outcome(**content)
    return outcomes


def _run_all(
    todo: Sequence[tuple[Exercise, str]],
    run: Callable[..., Run],
    jobs: int,
    keep: Callable[[tuple[Exercise, str], Outcome], None],
) -> None:
    """Run answers, so many jobs at a time, and hand each with its outcome to `keep`."""
    cancelled = Event()
    run = partial(run, cancelled=cancelled)
    with ThreadPoolExecutor(jobs) as pool:
        exercises = dict.fromkeys(exercise for exercise, _ in todo)
        references = {exercise: pool.submit(_reference, run, exercise) for exercise in exercises}
        answers = {pool.submit(_judge, run, *pair, references[pair[0]]): pair for pair in todo}
        try:
            done = as_completed(answers)
            # The bar is hidden where nobody watches.
            for future in tqdm(done, total=len(answers), unit="answer", leave=False, disable=None):
                keep(answers[future], future.result())
        except BaseException:
            cancelled.set()  # Ctrl-C: the threads end what runs
            pool.shutdown(cancel_futures=True)
            raise


def _judge(run: Callable[..., Run], exercise: Exercise, source: str, reference: Future) -> Outcome:
    found = reference.result()
    if isinstance(found, Outcome):
        return found
    seeds, expected = found
    return explain(_run(run, exercise, source, seeds), len(exercise.given) + 1, expected)


def _reference(
    run: Callable[..., Run], exercise: Exercise
) -> tuple[tuple[int, int], dict[int, str]] | Outcome:
    """Return two fresh seeds and what the check prints for the solution under them, or why not.

    The second one is for answers that differ from the solution under the first though the check
    found nothing wrong: a printed value may be rounded to the other side.
    """
    seeds = secrets.randbits(31), secrets.randbits(31)
    ran = _run(run, exercise, exercise.solution, seeds)
    wrong = explain(ran, len(exercise.given) + 1, {})
    if ran.printed and not ran.raised:
        *_, first, _, second = range(len(ran.printed))
        expected = {cell: ran.printed[cell] for cell in (first, second)}
        if all(expected.values()) and len(set(expected.values())) == 2:
            return seeds, expected
        note = "its check prints the same for every seed, so that it could be copied"
    else:
        note = f"its own solution does not pass here: {wrong.note.removeprefix('not graded: ')}"
    return Outcome("error", one_line(f"not graded: {note}"), wrong.detail)


def _run(run: Callable[..., Run], exercise: Exercise, source: str, seeds: tuple[int, int]) -> Run:
    """Run an answer in its exercise, and the check under one seed and then under another."""
    # Without a name that an answer might lack elsewhere.
    first, second = (f"__import__('os').environ['CBAM_COURSE_SEED'] = '{seed}'" for seed in seeds)
    try:
        return run([first, *exercise.given, source, exercise.check, second, exercise.check])
    except Exception as error:  # whatever it is, the others are graded
        return Run(errors=repr(error))
