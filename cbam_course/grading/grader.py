"""Grading a class: every answer of every submission, whatever happens to one of them."""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock

from tqdm import tqdm

from .answers import Answer, collect_answers
from .cells import one_line
from .outcome import DIFFERS, Outcome, explain, missing_name
from .pristine import PACKAGE, Exercise, default_folder, load_exercises, notebook_of
from .sandbox import Run, run_notebook, why_no_sandbox
from .submissions import Submission, find_submissions

NEEDED = ("ipykernel", "nbformat", "nbval", "pytest")
SECONDS, MEMORY = 120.0, 3 * 2**30
"""What one answer may use, if nothing else is said."""
RESEED = "import os\nos.environ['CBAM_COURSE_SEED'] = '{}'"


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
        ValueError: if there are no submissions or exercises at these places.
        RuntimeError: if something that the grader needs is missing, such as a sandbox.
    """
    folder = default_folder() if exercises is None else Path(exercises)
    chapters = [str(chapter) for chapter in chapters]
    known = load_exercises(folder, chapters)
    paths = [Path(path) for path in paths]
    submissions, passed_over = find_submissions(paths, single=single)
    if not submissions:
        raise ValueError(f"there are no submissions in {', '.join(map(str, paths))}")
    _check_requirements(trusted)
    collected = [_collect(submission, known) for submission in submissions]
    handed_in = {
        number.partition(".")[0]
        for answers, _ in collected
        for number, answer in answers.items()
        if answer.status != "missing"
    }
    wanted = [e for e in known if chapters or e.chapter in handed_in]
    run = partial(
        run_notebook, seconds=seconds, memory=memory, hidden=[folder.resolve()], trusted=trusted
    )
    circumstances = repr((_fingerprint(PACKAGE), sys.version, seconds, memory, trusted))
    grader = _Grader(run, circumstances, None if record is None else Path(record))
    before = len(grader.kept)
    jobs = jobs or min(4, os.cpu_count() or 1)
    grader.run_all(wanted, [answers for answers, _ in collected], jobs)
    graded = [
        Graded(
            submission,
            {e.number: grader.outcome(e, answers[e.number]) for e in wanted},
            answers,
            tuple(map(one_line, remarks)),
        )
        for submission, (answers, remarks) in zip(submissions, collected, strict=True)
    ]
    runs = len(grader.kept) - before
    return Report(tuple(wanted), tuple(graded), tuple(passed_over), runs)


def _check_requirements(trusted: bool) -> None:
    if sys.platform == "win32":
        raise RuntimeError("the grader needs Linux or macOS; on Windows run it in WSL")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise RuntimeError(
            f"the grader needs {', '.join(missing)}: pip install 'cbam-course[grade]'"
        )
    if not trusted and (why := why_no_sandbox()):
        raise RuntimeError(why)


def _collect(
    submission: Submission, exercises: Sequence[Exercise]
) -> tuple[dict[str, Answer], list[str]]:
    """Read a submission; what nobody has foreseen in it concerns no other."""
    try:
        return collect_answers(submission, exercises)
    except Exception as error:
        note = one_line(f"not graded: {error!r}")
        return {exercise.number: Answer(None, "error", note) for exercise in exercises}, [note]


def _fingerprint(folder: Path) -> str:
    """Return a text that changes with the code of the course, which holds the checks."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class _Grader:
    """Runs what is not on record, each different answer once.

    Args:
        run: runs a notebook, as :func:`.sandbox.run_notebook` with its limits filled in.
        circumstances: whatever else an outcome depends on.
        record: a file of outcomes, one a line, each written as soon as it is known.
    """

    def __init__(self, run: Callable[..., Run], circumstances: str, record: Path | None) -> None:
        self.run = run
        self.circumstances = circumstances
        self.record = record
        self.kept: dict[str, Outcome] = {}
        self.errors: dict[str, Outcome] = {}
        self.writing = Lock()
        self.cancelled = Event()
        if record is None or not record.exists():
            return
        for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError, KeyError):  # a line that was cut off
                content = json.loads(line)
                key = content.pop("key")
                self.kept[key] = Outcome(**content)

    def _keep(self, key: str, outcome: Outcome) -> None:
        with self.writing:
            self.kept[key] = outcome
            if self.record is not None:
                with self.record.open("a", encoding="utf-8") as file:
                    # The line before may have been cut off.
                    file.write("\n" + json.dumps({"key": key, **asdict(outcome)}) + "\n")

    def _key(self, exercise: Exercise, source: str) -> str:
        parts = repr((self.circumstances, exercise, source))
        return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()

    def outcome(self, exercise: Exercise, answer: Answer) -> Outcome:
        """Return the outcome of an answer, after :meth:`run_all`."""
        outcome, hint = Outcome(answer.status, answer.note), answer.hint
        if answer.source is not None:
            key = self._key(exercise, answer.source)
            outcome = self.kept.get(key) or self.errors[key]
        if name := missing_name(outcome, answer.other_code):
            hint = f"you define {name} in a cell of your own, but only the answer cells are graded"
            hint += ": move it there"
        if hint and outcome.points == 0:
            return replace(outcome, note=f"{outcome.note} ({hint})")
        return outcome

    def run_all(
        self, exercises: Sequence[Exercise], collected: Sequence[dict[str, Answer]], jobs: int
    ) -> None:
        """Run all answers that are neither on record nor equal to another."""
        todo: dict[Exercise, dict[str, str]] = {}
        for exercise in exercises:
            for answers in collected:
                source = answers[exercise.number].source
                if source is not None and (key := self._key(exercise, source)) not in self.kept:
                    todo.setdefault(exercise, {})[key] = source
        total = sum(map(len, todo.values()))
        # The bar is hidden where nobody watches.
        bar = tqdm(total=total, unit="answer", leave=False, disable=None)
        with ThreadPoolExecutor(jobs) as pool, bar:
            try:
                references = pool.map(self._references, todo)
                answers = [
                    pool.submit(self._answer, key, exercise, source, reference)
                    for exercise, reference in zip(todo, references, strict=True)
                    for key, source in todo[exercise].items()
                ]
                for future in as_completed(answers):
                    future.result()
                    bar.update()
            except BaseException:
                self.cancelled.set()  # Ctrl-C: the threads end what runs
                pool.shutdown(cancel_futures=True)
                raise

    def _references(self, exercise: Exercise) -> dict[int, list[dict]] | Outcome:
        """Return what the check prints for the solution under two fresh seeds, or why not.

        The second seed is for answers that differ from the solution under the first though the
        check found nothing wrong: a printed value may be rounded to the other side.
        """
        first, second = secrets.randbits(31), secrets.randbits(31)
        given = [*exercise.given, exercise.solution]
        cells = [*given, exercise.check, RESEED.format(second), exercise.check]
        outcome, run = self._run(notebook_of(cells, compared=[]), {}, first, len(given) - 1)
        if outcome.status != "passed":
            note = outcome.note.removeprefix("not graded: ")
            note = f"its own solution does not pass here: {note}"
        else:
            outputs = {seed: run.result["outputs"][i] for seed, i in ((first, -3), (second, -1))}
            texts = ["".join(o.get("text", "") for o in each) for each in outputs.values()]
            if texts[0] and texts[0] != texts[1]:
                return outputs
            note = "its check prints the same for every seed, so that it could be copied"
        return Outcome("error", one_line(f"not graded: {note}"), outcome.detail)

    def _answer(
        self,
        key: str,
        exercise: Exercise,
        source: str,
        references: dict[int, list[dict]] | Outcome,
    ) -> None:
        """Run one answer and keep its outcome."""
        if isinstance(references, Outcome):
            self.errors[key] = references
            return
        check = len(exercise.given) + 1
        notebook = notebook_of([*exercise.given, source, exercise.check], compared=[check])
        for seed, outputs in references.items():
            outcome, _ = self._run(notebook, {check: outputs}, seed, check - 1)
            if outcome.note != DIFFERS:
                break
        if outcome.status == "error":
            self.errors[key] = outcome
        elif not self.cancelled.is_set():
            self._keep(key, outcome)

    def _run(
        self, notebook: str, expected: dict[int, list], seed: int, answer: int
    ) -> tuple[Outcome, Run]:
        try:
            run = self.run(notebook, expected=expected, seed=seed, cancelled=self.cancelled)
            return explain(run, answer), run
        except Exception as error:  # whatever it is, the others are graded
            return Outcome("error", one_line(f"not graded: {error!r}")), Run()
