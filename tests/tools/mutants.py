"""Mutation test of the exercises: do their checks notice mistakes in the solutions?

Every solution is changed in many small ways (mutant_operators.py). Each mutant has to fail its
check. Those that pass are right answers too, by one of the kinds in mutant_survivors.py; one of no
kind is an error. So are a check that breaks, and a kind that no mutant needs. A change that leaves
all predicted values as they are, such as 512 / 64 for 512 // 64, is no mutant.

`python -m tests.tools.mutants` runs all of it, `--chapter 2` one chapter (again for another).
The exit code is 0 if everything holds.
"""

import argparse
import signal
import sys
from typing import NamedTuple

import pandas as pd
import torch

from cbam_course.exercises import EXERCISES
from tests.support.exercise_running import all_exercises, answered, run
from tests.tools.mutant_operators import Mutant, mutants
from tests.tools.mutant_survivors import KINDS, Kind, kind_of

SECONDS = 5  # of processor time, so that a busy machine changes nothing
SAME = "same"  # not another answer: the check gets the same numbers
# How a mutant may fail: what the check says of it, an error in the answer cell, no end.
FAILED = ("Wrong", "NotSolved", "Stopped", "cell", "hung")


class Judged(NamedTuple):
    """A mutant and how its check ended.

    Attributes:
        mutant: the mutant.
        outcome: "passed", one of `FAILED`, `SAME`, or the check's own error.
    """

    mutant: Mutant
    outcome: str

    @property
    def kind(self) -> Kind | None:
        """For one that passed, the kind of right answers that it belongs to."""
        return kind_of(self.mutant) if self.outcome == "passed" else None

    @property
    def problem(self) -> str:
        """What is wrong with this result, or ""."""
        if self.outcome == "passed":
            return "" if self.kind else "passes, and nobody has explained it"
        return "" if self.outcome in (*FAILED, SAME) else f"its check breaks, {self.outcome}"

    def __str__(self) -> str:
        about = self.kind.why if self.kind else self.problem or self.outcome
        head = f"{self.mutant.number} {self.mutant.operator}: {about}"
        return "\n    ".join([head, *self.mutant.change.splitlines()])


class Hung(BaseException):
    """No `except Exception` of an answer or a check catches it."""


def judge(mutant: Mutant, seconds: float = SECONDS) -> Judged:
    """Run a mutant's check."""

    def stop(*_):
        raise Hung

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return Judged(mutant, _outcome(mutant))
    except Hung:
        return Judged(mutant, "hung")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _outcome(mutant: Mutant) -> str:
    result = run(mutant.number, mutant.code)
    if result.kind == "passed":
        predicted, right = (_numbers(mutant.number, m) for m in (mutant.code, mutant.original))
        return SAME if predicted is not None and predicted == right else "passed"
    if result.kind in FAILED:
        return result.kind
    # No error of the exercises' own: it came from the answer cell, or the check is broken.
    try:
        _answers(mutant.number, mutant.code)
    except Exception:
        return "cell"
    return f"{result.kind}: {result.text}"


def _answers(number: str, code: str) -> list:
    """What the check gets."""
    namespace = answered(number, code)
    return [namespace[name] for name in EXERCISES[number].answers]


def _numbers(number: str, code: str) -> list | None:
    """What the check gets, if it is predicted numbers and nothing that is called."""
    answers = _answers(number, code)
    if any(map(callable, answers)):
        return None
    return [torch.as_tensor(answer).double().tolist() for answer in answers]


def main(arguments: list[str]) -> int:
    """Judge the mutants and say what was found; return 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chapter", action="append", help="one alone; may be repeated")
    parser.add_argument("--survivors", action="store_true", help="list all that pass, and why")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    judged, problems = [], []
    for number, (_, cells) in all_exercises().items():
        if not options.chapter or number.split(".")[0] in options.chapter:
            print(f"\r{number} ... ", end="", file=sys.stderr, flush=True)
            judged += map(judge, mutants(number, cells.solution_code))
            # Else nothing can be said of its mutants, or they have changed more than their own.
            if run(number, cells.solution_code).text != cells.check.outputs[0].text:
                problems.append(f"the solution of {number} does not print what is stored")
    judged = [one for one in judged if one.outcome != SAME]
    ended = pd.DataFrame([(one.mutant.number, one.outcome.split(":")[0]) for one in judged])
    print(f"\r{pd.crosstab(ended[0], ended[1], margins=True, margins_name='all')}\n")
    for one in judged if options.survivors else ():
        if one.outcome == "passed":
            print(one)
    problems += [str(one) for one in judged if one.problem]
    needed = {(one.mutant.number, one.kind) for one in judged}
    for number in {one.mutant.number for one in judged}:
        unused = [k for k in KINDS if number in k.exercises.split() and (number, k) not in needed]
        problems += [
            f"no mutant of {number} is of the kind {kind.why!r} any more" for kind in unused
        ]
    for problem in problems:
        print(f"Problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
