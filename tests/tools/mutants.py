"""Mutation test of the exercises: do their checks notice mistakes in the solutions?

Every solution is changed in many small ways (mutant_operators.py) and in the ways of the museum,
the mistakes of public code (mutant_museum.py). Each mutant has to fail its check. Those that pass
are listed; mutant_survivors.py explains each, and one that nobody has explained is an error. So
are a museum's mistake that passes, a check that breaks, and a right answer that fails. A change
that leaves all predicted values as they are, such as 512 / 64 for 512 // 64, is no mutant.

`python -m tests.tools.mutants` runs all of it, `--chapter 2` one chapter (again for another).
The exit
code is 0 if everything holds.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from cbam_course.exercises import EXERCISES
from tests import exercise_answers
from tests.support import exercise_running
from tests.support.exercise_running import Outcome, all_exercises
from tests.tools.mutant_museum import museum_mutants
from tests.tools.mutant_operators import Mutant, mutants
from tests.tools.mutant_survivors import GAP, SURVIVORS

FEWEST, LEAST_SHARE, FEWEST_RIGHT = 200, 0.95, 20
SECONDS = 10
START_SECONDS = 300  # a busy machine may take long to import everything
MEMORY = 4 * 2**30
SEEDS = (None, 7)
SAME = "same"  # not another answer: the check gets the same numbers
# How a mutant may fail: what the check says of it, an error in the answer cell, time, a crash.
FAILED = ("Wrong", "NotSolved", "Stopped", "cell", "time", "died")


@dataclass(frozen=True)
class Judged:
    """A mutant and how its check ended.

    Attributes:
        mutant: the mutant.
        outcome: "passed", one of `FAILED`, `SAME`, or "check" if the check itself raised an error.
        text: what was printed, or the message.
        why: for one that passed, why that is right; "" if nobody has said.
    """

    mutant: Mutant
    outcome: str
    text: str
    why: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def problem(self) -> str:
        """What is wrong with this result, or ""."""
        if self.outcome == "check":
            return "its check breaks"
        if self.passed and self.mutant.operator.startswith("museum"):
            return "a mistake of the museum passes"
        if self.passed and not self.why:
            return "passes, and nobody has explained it"
        return ""


# The process that runs the answers.


def _values(number: str, code: str) -> list | None:
    """The values that the check gets, if all are plain numbers, words, and lists of them."""

    def plain(value: object) -> bool:
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return isinstance(value, int | float | str)

    namespace = exercise_running.answered(number, code)
    values = [namespace.get(name) for name in EXERCISES[number].answers]
    return values if all(map(plain, values)) else None


def _judge(mutant: Mutant, seed: int | None) -> tuple[str, str]:
    try:
        outcome = exercise_running.run(mutant.number, mutant.code, seed)
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


def _work(connection) -> None:
    torch.set_num_threads(1)
    with contextlib.suppress(ImportError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))
    while True:
        try:
            mutant, seed = connection.recv()
        except EOFError:
            return
        assert mutant.number in EXERCISES and mutant.number in all_exercises()  # imported now
        connection.send("ready")
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            result = _judge(mutant, seed)
        connection.send(result)


class Worker:
    """A process that runs answers one by one; another takes its place when one hangs or crashes.

    Use it in a `with` statement.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process = None

    def judge(self, mutant: Mutant, seed: int | None = None) -> Judged:
        """Run a mutant's check."""
        if self._process is None:
            self._start()
        ready = False
        try:
            self._connection.send((mutant, seed))
            if not self._connection.poll(START_SECONDS) or self._connection.recv() != "ready":
                raise RuntimeError("the process that runs the answers does not start")
            ready = True
            if self._connection.poll(self.seconds):
                return Judged(mutant, *self._connection.recv())
            outcome = "time"
        except (EOFError, OSError):
            if not ready:
                raise RuntimeError("the process that runs the answers does not start") from None
            outcome = "died"
        self._stop()
        return Judged(mutant, outcome, "")

    def run(self, number: str, code: str, seed: int | None = None) -> Outcome:
        """Run any answer."""
        judged = self.judge(Mutant(number, "", "", code), seed)
        return Outcome(judged.outcome, judged.text)


# What there is to judge, and the list of what may pass.


def explained(judged: Iterable[Judged]) -> list[Judged]:
    """Return `judged` with the reason from the list for those that passed and stand there.

    One entry explains one mutant: where two functions hold the same line, there are two.
    """
    left: dict[tuple[str, str], list[str]] = {}
    for entry in SURVIVORS:
        left.setdefault((entry.number, entry.change), []).append(entry.why)
    found = []
    for j in judged:
        reasons = left.get((j.mutant.number, j.mutant.change)) if j.passed else None
        found.append(Judged(j.mutant, j.outcome, j.text, reasons.pop(0)) if reasons else j)
    return found


def mutants_of(number: str) -> list[Mutant]:
    """Return the mutants of an exercise's solution, the museum's first."""
    code = all_exercises()[number][1].solution_code
    museum = museum_mutants(number, code)
    codes = {mutant.code for mutant in museum}
    return museum + [mutant for mutant in mutants(number, code) if mutant.code not in codes]


def sample(found: list[Mutant], count: int) -> list[Mutant]:
    """Return about `count` of the mutants, spread evenly."""
    step = max(1, len(found) // count)
    return found[step // 2 :: step][:count]


def stale(numbers: Iterable[str], judged: Iterable[Judged]) -> list[str]:
    """Return the entries of the list, for these exercises, that no mutant needs."""
    numbers = set(numbers)
    entries = Counter((entry.number, entry.change) for entry in SURVIVORS)
    passed = Counter((j.mutant.number, j.mutant.change) for j in judged if j.passed)
    return [f"{number}: {line!r}" for number, line in entries - passed if number in numbers]


def right_answers(worker: Worker, numbers: Iterable[str]) -> tuple[int, list[str]]:
    """Return how many other right answers there are, and which of them fail their check."""
    numbers, failed = set(numbers), []
    right = [a for a in exercise_answers.answers() if a.outcome == "passed" and a.number in numbers]
    for answer in right:
        solution = all_exercises()[answer.number][1].solution_code
        for seed in SEEDS:
            expected = worker.run(answer.number, solution, seed)
            if worker.run(answer.number, answer.code, seed) != expected:
                failed.append(f"{answer.number} {answer.name}, seed {seed}")
    return len(right), failed


# The command.


def judge_exercise(worker: Worker, number: str) -> list[Judged]:
    """Judge all mutants of an exercise; those that are the same answer are left out.

    Raises:
        ValueError: if the solution does not pass, so that nothing can be said of its mutants.
    """
    solution = all_exercises()[number][1].solution_code
    before = worker.run(number, solution)
    if before.kind != "passed":
        raise ValueError(f"the solution of {number} does not pass: {before}")
    judged = explained(worker.judge(mutant) for mutant in mutants_of(number))
    # A mutant may have changed something in the process that outlives it.
    after = worker.run(number, solution)
    if before != after:
        raise ValueError(f"after its mutants the solution of {number} gives {after}")
    return [j for j in judged if j.outcome != SAME]


def table(judged: list[Judged]) -> str:
    """Return the numbers of each exercise, each chapter and of all as a table of text."""
    head = ("", "mutants", "museum", "failed", "share", *FAILED, "passed", "explained")
    rows = [head]

    def row(name: str, some: list[Judged]) -> tuple:
        outcomes = Counter(j.outcome for j in some)
        failed = sum(outcomes[kind] for kind in FAILED)
        museum = sum(j.mutant.operator.startswith("museum") for j in some)
        share = f"{100 * failed / len(some):.1f} %" if some else ""
        kinds = [outcomes[kind] for kind in FAILED]
        why = sum(bool(j.why) for j in some)
        return (name, len(some), museum, failed, share, *kinds, outcomes["passed"], why)

    for chapter in dict.fromkeys(j.mutant.number.split(".")[0] for j in judged):
        of_chapter = [j for j in judged if j.mutant.number.startswith(f"{chapter}.")]
        for number in dict.fromkeys(j.mutant.number for j in of_chapter):
            rows.append(row(number, [j for j in of_chapter if j.mutant.number == number]))
        rows.append(row(f"chapter {chapter}", of_chapter))
    rows.append(row("all", judged))
    widths = [max(len(str(line[k])) for line in rows) for k in range(len(head))]
    return "\n".join(
        "  ".join(
            [str(line[0]).ljust(widths[0])]
            + [str(cell).rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        )
        for line in rows
    )


def told(judged: Judged) -> str:
    """Return a mutant and what became of it in words."""
    lines = "\n".join(f"    {line}" for line in judged.mutant.change.splitlines())
    about = judged.why or judged.problem or judged.outcome
    return f"{judged.mutant.number} {judged.mutant.operator}: {about}\n{lines}"


def problems(judged: list[Judged], right: int, failed: list[str], whole: bool) -> list[str]:
    """Return all that does not hold; of a part of the exercises the counts do not matter."""
    found = [told(j) for j in judged if j.problem]
    found += [f"no longer needed in mutant_survivors.py: {entry}" for entry in stale_of(judged)]
    found += [f"a right answer fails: {name}" for name in failed]
    share = sum(not j.passed for j in judged) / max(1, len(judged))
    if share < LEAST_SHARE:
        found.append(f"{100 * share:.1f} % of the mutants fail; {100 * LEAST_SHARE:g} % should")
    if whole and len(judged) < FEWEST:
        found.append(f"{len(judged)} mutants; there should be {FEWEST}")
    if whole and right < FEWEST_RIGHT:
        found.append(f"{right} other right answers; there should be {FEWEST_RIGHT}")
    return found


def stale_of(judged: list[Judged]) -> list[str]:
    """Return the stale entries among the exercises that were judged."""
    return stale({j.mutant.number for j in judged}, judged)


def as_json(judged: list[Judged], right: int, failed: list[str]) -> str:
    """Return all results as JSON."""
    rows = [
        {
            "exercise": j.mutant.number,
            "operator": j.mutant.operator,
            "change": j.mutant.change,
            "outcome": j.outcome,
            "message": "" if j.passed else j.text,
            "explanation": j.why,
        }
        for j in judged
    ]
    about = {"right answers": right, "right answers that fail": failed}
    return json.dumps({**about, "mutants": rows}, indent=1, ensure_ascii=False) + "\n"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    chapters = sorted({int(number.split(".")[0]) for number in all_exercises()})
    parser.add_argument("--chapter", type=int, action="append", choices=chapters)
    parser.add_argument("--list-survivors", action="store_true", help="list all that pass, and why")
    parser.add_argument("--json", type=Path, help="write every mutant and its outcome to this file")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of a mutant")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Judge the mutants and say what was found; return 0 if everything holds."""
    options = parse(arguments)
    wanted = options.chapter
    numbers = [n for n in all_exercises() if not wanted or int(n.split(".")[0]) in wanted]
    start, judged, found = time.perf_counter(), [], []
    with Worker(options.seconds) as worker:
        for number in numbers:
            if sys.stderr.isatty():
                print(f"\r{number} ... ", end="", file=sys.stderr, flush=True)
            try:
                judged += judge_exercise(worker, number)
            except ValueError as error:
                found.append(str(error))
        right, failed = right_answers(worker, numbers)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(table(judged))
    passed = [j for j in judged if j.passed]
    gaps = sum(j.why.startswith(GAP) for j in passed)
    print(f"\n{len(passed)} mutants pass: {gaps} through known gaps of the checks.")
    print(f"{right} other right answers, {len(failed)} of them failed.")
    print(f"{time.perf_counter() - start:.0f} s\n")
    if options.list_survivors:
        for survivor in passed:
            print(told(survivor))
    if options.json:
        options.json.write_text(as_json(judged, right, failed), encoding="utf-8")
    found += problems(judged, right, failed, whole=not wanted)
    for problem in found:
        print(f"Problem: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
