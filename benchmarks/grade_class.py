"""Grade a made-up class and say how long it took and how much memory it needed.

`python benchmarks/grade_class.py` makes 30 submissions of all exercises from the solutions, from
other right answers, from wrong ones and from untouched cells, grades them as `cbam-course grade`
does, checks the points, and prints what it took. `--json FILE` keeps the same as a record, and
`--page book/teaching.md` writes it into the page for instructors.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import exercise_answers  # noqa: E402

from cbam_course import grading  # noqa: E402
from cbam_course.grading import landlock  # noqa: E402

LOOP = "while True:\n    pass"
# Of a hundred answers, so many are of each kind.
KINDS = {"solution": 35, "right": 25, "wrong": 20, "untouched": 12, "deleted": 6, "broken": 2}
RIGHT = ("solution", "right")


def make_class(folder: Path, students: int, exercises: list, loops: int) -> dict:
    """Write the submissions; return the kind of each answer by student and exercise.

    Args:
        folder: where to.
        students: how many.
        exercises: the pristine exercises.
        loops: how many students write one endless loop each.
    """
    chance = random.Random(0)
    made = {(a.number, a.outcome == "passed"): [] for a in exercise_answers.answers()}
    for answer in exercise_answers.answers():
        made[answer.number, answer.outcome == "passed"].append(answer.code)
    kinds = {}
    for student in range(students):
        name = f"student-{student + 1:02}"
        for stem in dict.fromkeys(exercise.notebook for exercise in exercises):
            path = grading.default_folder() / f"{stem}.ipynb"
            notebook = json.loads(path.read_text(encoding="utf-8"))
            for exercise in exercises:
                if exercise.notebook != stem:
                    continue
                [kind] = chance.choices(list(KINDS), KINDS.values())
                if kind in ("right", "wrong") and not made.get((exercise.number, kind == "right")):
                    kind = "solution"
                if student < loops and exercise is exercises[student % len(exercises)]:
                    kind = "endless"
                kinds[name, exercise.number] = kind
                code = {
                    "solution": exercise.solution,
                    "right": chance.choice(made.get((exercise.number, True), [""])),
                    "wrong": chance.choice(made.get((exercise.number, False), [""])),
                    "untouched": exercise.stub,
                    "broken": exercise.solution.replace(":", "", 1) + "\n)",
                    "endless": LOOP,
                    "deleted": None,
                }[kind]
                # No two students hand in the very same text, or it would be run only once.
                _answer(notebook, exercise.number, code and f"{code}\n# {name}")
            handed_in = folder / name / f"{stem}.ipynb"
            handed_in.parent.mkdir(parents=True, exist_ok=True)
            handed_in.write_text(json.dumps(notebook), encoding="utf-8")
    return kinds


def _answer(notebook: dict, number: str, code: str | None) -> None:
    """Put `code` into the answer cell, or take the cell out."""
    for cell in list(notebook["cells"]):
        about = cell["metadata"].get("cbam_course", {})
        if about.get("exercise") == number and about["role"] == "answer":
            if code is None:
                notebook["cells"].remove(cell)
            else:
                cell["source"] = f"# Answer {number}\n{code}"


def check_points(report: grading.Report, kinds: dict) -> Counter:
    """Count the answers by kind and points; raise if one got what it does not deserve."""
    counts = Counter()
    for graded in report.graded:
        for number, outcome in graded.outcomes.items():
            kind = kinds[graded.submission.name, number]
            counts[kind, outcome.points] += 1
            if outcome.points != (kind in RIGHT):
                answer = graded.answers[number]
                raise SystemExit(f"{number}, {kind}, got {outcome}:\n{answer.source}")
    return counts


def machine() -> dict:
    """Return what of this machine and its software decides the time."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    names = ("torch", "nbval", "pytest", "ipykernel")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "landlock": landlock.abi(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in names},
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def table(record: dict) -> str:
    """Return the record as a table for the page."""
    facts, answers = record["machine"], record["answers"]
    loops = sum(n for name, n in answers.items() if name.startswith("endless"))
    versions = facts["versions"]
    rows = {
        "submissions, exercises": f"{record['students']}, {record['exercises']} each",
        "answers that had to be run": f"{record['answers_run']}, {loops} of them endless loops",
        "time, with so many at a time": f"{record['seconds'] / 60:.0f} minutes, {record['jobs']}",
        "time per submission": f"{record['seconds_per_student']:.0f} s",
        "time of one run": f"{record['seconds_per_run']:.1f} s",
        "memory of one run, at most": f"{record['memory_mb_of_one_answer']:,} MB",
        "memory of the grader": f"{record['memory_mb_of_the_grader']} MB",
        "machine": f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, "
        f"{facts['system']}, Python {versions['python']}, PyTorch {versions['torch']}",
        "date": record["date"],
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| A made-up class | |", "| --- | --- |", *lines])


def write_table(page: Path, record: dict) -> None:
    """Put the table between the two comments of the page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition("<!-- grade_class -->")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise SystemExit(f"{page} has no place for the table")
    page.write_text(f"{before}{begin}\n{table(record)}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Make a class, grade it, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--chapter", action="append", default=[], help="only this chapter")
    parser.add_argument("--jobs", type=int, default=grading.default_jobs())
    parser.add_argument("--endless", type=int, default=1, help="students with an endless loop")
    parser.add_argument("--json", type=Path, help="keep the record in this file")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    options = parser.parse_args()

    exercises = grading.load_exercises(chapters=options.chapter)
    folder = Path(tempfile.mkdtemp(prefix="cbam-class-"))
    shown = sys.stderr.isatty()
    try:
        kinds = make_class(folder, options.students, exercises, options.endless)
        start = time.perf_counter()
        report = grading.grade(
            [folder],
            chapters=options.chapter or {e.chapter for e in exercises},
            jobs=options.jobs,
            progress=lambda done, total: (
                print(f"\r{done}/{total}", end="", file=sys.stderr) if shown else None
            ),
        )
        seconds = time.perf_counter() - start
        counts = check_points(report, kinds)
    finally:
        shutil.rmtree(folder)

    unit = 1024 if sys.platform.startswith("linux") else 1
    outcomes = [o for g in report.graded for o in g.outcomes.values() if o.seconds]
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = {
        "date": date.today().isoformat(),
        "students": options.students,
        "chapters": sorted({e.chapter for e in exercises}, key=int),
        "exercises": len(exercises),
        "answers": {f"{kind}, {points} points": n for (kind, points), n in sorted(counts.items())},
        "answers_run": report.runs,
        "jobs": options.jobs,
        "seconds": round(seconds, 1),
        "seconds_per_student": round(seconds / options.students, 1),
        "seconds_per_run": round(sum(o.seconds for o in outcomes) / max(1, len(outcomes)), 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "memory_mb_of_one_answer": round(report.memory / 2**20),
        "memory_mb_of_the_grader": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        ),
        "machine": machine(),
    }
    for name, value in record.items():
        if isinstance(value, dict):
            print(f"{name.replace('_', ' ')}:")
            for key, one in value.items():
                print(f"    {key}: {one}")
        else:
            print(f"{name.replace('_', ' ')}: {value}")
    if options.page:
        write_table(options.page, record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"kept in {options.json}")


if __name__ == "__main__":
    main()
