"""Grading a class: every answer of every submission, whatever happens to one of them."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock
from typing import BinaryIO

from .answers import Answer, Answers, collect_answers
from .kernel import can_lock_in
from .outcome import Outcome, explain
from .pristine import Exercise, assemble, default_folder, load_exercises, package_fingerprint
from .processes import hide_memory
from .record import Record
from .reference import NoReference, Reference, fresh_seed, make_references
from .run import Cancelled, run_notebook, sandbox_folders
from .submissions import Submission, find_submissions
from .text import one_line
from .watch import Limits

NEEDED = ("ipykernel", "nbformat", "nbval", "psutil", "pytest")


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
        sandbox: whether answers could read no files but their own and Python's.
        runs: how many answers were run this time; the others were recorded or equal.
        seconds: it took.
        memory: bytes that one answer held at most.
    """

    exercises: tuple[Exercise, ...]
    graded: tuple[Graded, ...]
    sandbox: bool
    runs: int
    seconds: float
    memory: int

    @property
    def errors(self) -> int:
        """How many answers could not be graded."""
        return sum(o.status == "error" for g in self.graded for o in g.outcomes.values())


def check_requirements() -> None:
    """Raise if something that only the grader needs is missing.

    Raises:
        RuntimeError: naming what is missing, or a system that the grader does not run on.
    """
    if sys.platform == "win32":
        raise RuntimeError("the grader needs Linux or macOS; on Windows run it in WSL")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise RuntimeError(
            f"the grader needs {', '.join(missing)}: pip install 'cbam-course[grade]'"
        )


def default_jobs() -> int:
    """Return how many answers to run at a time: one a core, at most four."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(4, mine or 1)


def grade(
    paths: Iterable[Path | str],
    *,
    exercises: Path | str | BinaryIO | None = None,
    chapters: Iterable[str | int] = (),
    limits: Limits | None = None,
    jobs: int | None = None,
    record: Path | str | None = None,
    again: bool = False,
    sandbox: bool = True,
    single: bool = False,
    leave_out: Iterable[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Grade submissions against the pristine exercises.

    Args:
        paths: notebooks, and folders as :func:`find_submissions` reads them.
        exercises: the folder of the pristine exercises, the repository's if it is None; or an open
            tar archive of them.
        chapters: the chapters to grade; if empty, those that any submission has an answer cell of.
        limits: what one answer may use.
        jobs: how many answers to run at a time; :func:`default_jobs` if it is None.
        record: a file that keeps what is finished, so that a second call need not do it again.
        again: do it again all the same.
        sandbox: lock answers out of all other files, where the system can.
        single: each folder is one learner's.
        leave_out: files among the submissions that are none.
        progress: is called with the number of runs that are done and their total.

    Raises:
        ValueError: if there are no submissions or exercises at these places.
        RuntimeError: if something that the grader needs is missing.
    """
    check_requirements()
    start = time.monotonic()
    limits = limits or Limits()
    jobs = default_jobs() if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    # Read before anything of a submission runs: what happens to the files later is no matter.
    chapters = [str(chapter) for chapter in chapters]
    exercises = default_folder() if exercises is None else exercises
    folder = Path(exercises) if isinstance(exercises, Path | str) else None
    all_exercises = load_exercises(folder or exercises, chapters)
    paths = [Path(path) for path in paths]
    submissions = find_submissions(paths, single=single, leave_out=leave_out)
    if not submissions:
        raise ValueError(f"there are no submissions in {', '.join(map(str, paths))}")
    collected = [_collect(s, all_exercises) for s in submissions]
    touched = {n.partition(".")[0] for answers in collected for n in answers.touched}
    graded_here = [e for e in all_exercises if chapters or e.chapter in touched]

    hide_memory()
    sandbox = sandbox and can_lock_in()
    run = partial(run_notebook, limits=limits, sandbox=sandbox_folders(folder) if sandbox else None)
    with Record(None if record is None else Path(record), again=again) as kept:
        grader = _Grader(graded_here, run, kept, f"{package_fingerprint()}{sandbox}{limits}")
        grader.run_all(collected, jobs, progress)
        graded = [
            Graded(
                submission,
                {e.number: grader.outcome(e, answers) for e in graded_here},
                answers.by_number,
                answers.remarks,
            )
            for submission, answers in zip(submissions, collected, strict=True)
        ]
    return Report(
        exercises=tuple(graded_here),
        graded=tuple(graded),
        sandbox=sandbox,
        runs=grader.runs,
        seconds=time.monotonic() - start,
        memory=grader.memory,
    )


def _collect(submission: Submission, exercises: Sequence[Exercise]) -> Answers:
    """Read a submission; what nobody has foreseen in it concerns no other."""
    try:
        return collect_answers(submission, exercises)
    except Exception as error:
        note = one_line(f"not graded: {error!r}")
        answers = {exercise.number: Answer(None, "error", note) for exercise in exercises}
        return Answers(answers, (note,), frozenset())


class _Grader:
    """Runs what is not on record, each different answer once."""

    def __init__(
        self, exercises: Sequence[Exercise], run: Callable, kept: Record, circumstances: str
    ) -> None:
        self.exercises = exercises
        self.run = run
        self.kept = kept
        self.circumstances = circumstances
        self.seed = fresh_seed()
        self.errors: dict[str, Outcome] = {}
        self.runs = 0
        self.memory = 0
        self.counting = Lock()
        self.cancelled = Event()

    def key(self, exercise: Exercise, answer: Answer) -> str:
        """Return what an outcome depends on."""
        parts = [self.circumstances, exercise.fingerprint(), answer.source]
        parts += sorted(answer.outside)
        parts += [sys.version, sys.executable]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def outcome(self, exercise: Exercise, answers: Answers) -> Outcome:
        """Return the outcome of one exercise of a submission, after :meth:`run_all`."""
        answer = answers.by_number[exercise.number]
        if answer.source is None:
            return Outcome(answer.status, answer.note)
        key = self.key(exercise, answer)
        return self.kept[key] if key in self.kept else self.errors[key]

    def run_all(
        self,
        collected: Sequence[Answers],
        jobs: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Run all answers that are neither on record nor equal to another."""
        todo: dict[str, dict[str, tuple[Exercise, Answer]]] = {}
        for answers in collected:
            for exercise in self.exercises:
                answer = answers.by_number[exercise.number]
                if answer.source is not None:
                    key = self.key(exercise, answer)
                    if key not in self.kept:
                        todo.setdefault(exercise.number, {})[key] = exercise, answer
        by_number = {exercise.number: exercise for exercise in self.exercises}
        done, total = 0, len(todo) + sum(map(len, todo.values()))
        pool = ThreadPoolExecutor(jobs)

        def follow(futures: Iterable[Future]) -> None:
            nonlocal done
            for future in as_completed(futures):
                future.result()
                done += 1
                if progress:
                    progress(done, total)

        if progress:
            progress(done, total)
        try:
            # Nothing of a submission runs at the same time as a solution.
            references = {
                number: pool.submit(self._references, by_number[number]) for number in todo
            }
            follow(references.values())
            follow(
                [
                    pool.submit(self._answer, key, exercise, answer, references[number].result())
                    for number, answers in todo.items()
                    for key, (exercise, answer) in answers.items()
                ]
            )
        except BaseException:
            self.cancelled.set()  # Ctrl-C: what runs is ended by its own thread
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _references(self, exercise: Exercise) -> list[Reference] | Outcome:
        """Return the outputs to compare with, or why there are none."""
        try:
            return make_references(exercise, self.seed, self._run)
        except NoReference as error:
            return Outcome("error", f"not graded: {error.args[0]}", "\n".join(error.args[1:]))
        except OSError as error:
            return Outcome("error", one_line(f"not graded: {error}"))

    def _answer(
        self, key: str, exercise: Exercise, answer: Answer, references: list[Reference] | Outcome
    ) -> None:
        """Run one answer and keep its outcome."""
        if isinstance(references, Outcome):
            self.errors[key] = references
            return
        notebook = assemble(exercise, answer.source)
        outcome = Outcome("error")
        for reference in references:
            try:
                run = self._run(
                    notebook.text,
                    expected={notebook.check: reference.outputs},
                    seed=reference.seed,
                )
                outcome = explain(run, notebook, answer.outside)
            except Cancelled:
                raise
            except Exception as error:  # whatever it is, the others are graded
                outcome = Outcome("error", one_line(f"not graded: {error!r}"))
            # A machine that was short of something may have recovered; a value that was rounded to
            # the other side will hardly be so again.
            if outcome.status != "error" and not outcome.differs:
                break
        if outcome.status == "error":
            self.errors[key] = outcome
            return
        with self.counting:
            self.runs += 1
        self.kept.add(key, outcome)

    def _run(self, *arguments: object, **options: object):
        run = self.run(*arguments, **options, cancelled=self.cancelled.is_set)
        with self.counting:
            self.memory = max(self.memory, run.memory)
        return run
