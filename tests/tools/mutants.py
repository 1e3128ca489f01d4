"""Mutation test of the exercises: do their checks notice mistakes in the solutions?

Every solution is changed in many small ways (mutant_operators.py) and in the ways of the museum,
the mistakes of public code (mutant_museum.py). Each mutant has to fail its check. Those that pass
are right answers too, by one of the kinds in mutant_survivors.py; one of no kind is an error. So
are a check that breaks, and a kind that no mutant needs. A change that leaves all predicted values
as they are, such as 512 / 64 for 512 // 64, is no mutant.

`python -m tests.tools.mutants` runs all of it, `--chapter 2` one chapter (again for another).
The exit code is 0 if everything holds.
"""

import argparse
import contextlib
import io
import multiprocessing
import resource
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache

import pandas as pd
import torch

from cbam_course.exercises import EXERCISES
from tests.support import exercise_running
from tests.support.exercise_running import all_exercises
from tests.tools.mutant_museum import museum_mutants
from tests.tools.mutant_operators import Mutant, mutants
from tests.tools.mutant_survivors import KINDS, Kind, kind_of

LEAST_SHARE = 0.95
SECONDS = 10  # of processor time, so that a busy machine changes nothing
MEMORY = 4 * 2**30
SAME = "same"  # not another answer: the check gets the same numbers
# How a mutant may fail: what the check says of it, an error in the answer cell, time or a crash.
FAILED = ("Wrong", "NotSolved", "Stopped", "cell", "ended")


@dataclass(frozen=True)
class Judged:
    """A mutant and how its check ended.

    Attributes:
        mutant: the mutant.
        outcome: "passed", one of `FAILED`, `SAME`, or "check" if the check itself raised an error.
        text: what was printed, or the message.
    """

    mutant: Mutant
    outcome: str
    text: str = ""

    @property
    def kind(self) -> Kind | None:
        """For one that passed, the kind of right answers that it belongs to."""
        return kind_of(self.mutant) if self.outcome == "passed" else None

    @property
    def problem(self) -> str:
        """What is wrong with this result, or ""."""
        if self.outcome == "check":
            return f"its check breaks, {self.text}"
        if self.outcome == "passed" and not self.kind:
            return "passes, and nobody has explained it"
        return ""

    def __str__(self) -> str:
        lines = self.mutant.change.splitlines()
        about = self.kind.why if self.kind and not self.problem else self.problem or self.outcome
        head = f"{self.mutant.number} {self.mutant.operator}: {about}"
        return "\n    ".join([head, *lines])


def _values(number: str, code: str) -> list | None:
    """The values that the check gets, if all are plain numbers, words, and lists of them."""

    def plain(value: object) -> bool:
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return isinstance(value, int | float | str)

    namespace = exercise_running.answered(number, code)
    values = [namespace.get(name) for name in EXERCISES[number].answers]
    return values if all(map(plain, values)) else None


def _limited() -> None:
    torch.set_num_threads(1)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))


def _judge(mutant: Mutant, seconds: float) -> tuple[str, str]:
    exercise_running.answered(mutant.number, "")  # imports what the exercise needs
    signal.setitimer(signal.ITIMER_PROF, seconds)  # it ends the process
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        result = _outcome(mutant)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return result


def _outcome(mutant: Mutant) -> tuple[str, str]:
    try:
        outcome = exercise_running.run(mutant.number, mutant.code)
    except SystemExit:
        return "cell", "SystemExit"
    if outcome.kind == "passed":
        values = _values(mutant.number, mutant.code)
        same = values is not None and values == _values(mutant.number, mutant.original)
        return SAME if same else "passed", outcome.text
    if outcome.kind in FAILED:
        return outcome.kind, outcome.text
    # No error of the exercises' own: it came from the answer cell, or the check is broken.
    try:
        exercise_running.answered(mutant.number, mutant.code)
    except Exception:
        return "cell", f"{outcome.kind}: {outcome.text}"
    return "check", f"{outcome.kind}: {outcome.text}"


class Worker:
    """A process that runs answers, in a `with`; one that hangs or crashes is replaced."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.pool = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None

    def judge(self, mutant: Mutant) -> Judged:
        """Run a mutant's check."""
        if self.pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["tests.support.exercise_running"])
            self.pool = ProcessPoolExecutor(1, context, _limited)
        try:
            return Judged(mutant, *self.pool.submit(_judge, mutant, self.seconds).result())
        except BrokenProcessPool:
            self.__exit__()
            return Judged(mutant, "ended")


# What there is to judge.


@cache
def mutants_of(number: str) -> list[Mutant]:
    """Return the mutants of an exercise's solution, the museum's first."""
    code = all_exercises()[number][1].solution_code
    museum = museum_mutants(number, code)
    codes = {mutant.code for mutant in museum}
    return museum + [mutant for mutant in mutants(number, code) if mutant.code not in codes]


def judge_exercise(worker: Worker, number: str) -> list[Judged]:
    """Judge all mutants of an exercise; those that are the same answer are left out.

    Raises:
        ValueError: if the solution does not pass, so that nothing can be said of its mutants, or
            prints something else after them.
    """
    solution = all_exercises()[number][1].solution_code
    right = Mutant(number, "", solution, solution)
    before = worker.judge(right)
    if before.outcome not in ("passed", SAME):
        raise ValueError(f"the solution of {number} does not pass: {before.text}")
    judged = [worker.judge(mutant) for mutant in mutants_of(number)]
    if worker.judge(right) != before:
        raise ValueError(f"after its mutants the solution of {number} gives something else")
    return [j for j in judged if j.outcome != SAME]


def table(judged: list[Judged]) -> str:
    """Return how the mutants of each exercise, and of all, ended, as a table of text."""
    ended = pd.DataFrame([(j.mutant.number, j.outcome) for j in judged])
    return pd.crosstab(ended[0], ended[1], margins=True, margins_name="all").to_string()


def problems(judged: list[Judged], kinds: Iterable[Kind]) -> list[str]:
    """Return all that does not hold; each of `kinds` has to be the kind of some mutant."""
    found = [str(j) for j in judged if j.problem]
    needed = {j.kind for j in judged}
    found += [f"no mutant is of the kind {kind.why!r} any more" for kind in kinds - needed]
    share = sum(j.outcome in FAILED for j in judged) / max(1, len(judged))
    if share < LEAST_SHARE:
        found.append(f"{share:.1%} of the mutants fail; {LEAST_SHARE:.0%} should")
    return found


def main(arguments: list[str]) -> int:
    """Judge the mutants and say what was found; return 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chapter", action="append", help="one alone; may be repeated")
    parser.add_argument("--survivors", action="store_true", help="list all that pass, and why")
    options = parser.parse_args(arguments)

    judged, found = [], []
    with Worker() as worker:
        for number in all_exercises():
            if options.chapter and number.split(".")[0] not in options.chapter:
                continue
            print(f"\r{number} ... ", end="", file=sys.stderr, flush=True)
            try:
                judged += judge_exercise(worker, number)
            except ValueError as error:
                found.append(str(error))
    print(f"\r{table(judged)}\n")
    for survivor in judged if options.survivors else ():
        if survivor.outcome == "passed":
            print(survivor)
    found += problems(judged, set() if options.chapter else set(KINDS))
    for problem in found:
        print(f"Problem: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
