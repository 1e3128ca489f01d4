"""The grades as a table, CSV, JSON and JUnit XML."""

import csv
import io
import json
import platform
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

import cbam_course

from .grader import Graded, Report
from .text import one_line


class Row(NamedTuple):
    """One line of the report. Remarks about files have no exercise and no points."""

    submission: str
    exercise: str
    points: int | None
    note: str


def rows(report: Report) -> Iterator[Row]:
    """Yield one row per exercise of each submission, and one per remark."""
    for graded in report.graded:
        yield from submission_rows(graded)


def submission_rows(graded: Graded) -> Iterator[Row]:
    """Yield the rows of one submission, the remarks about its files first."""
    name = graded.submission.name
    for remark in graded.remarks:
        yield Row(name, "", None, remark)
    for number, outcome in graded.outcomes.items():
        notes = [outcome.note, *graded.answers[number].remarks]
        yield Row(name, number, outcome.points, "; ".join(filter(None, notes)))


def table(report: Report, width: int = 100) -> str:
    """Return the rows as a table for a terminal, and a sum for each submission.

    Args:
        report: the grades.
        width: how long a line may get; the notes are cut.
    """
    header = ("submission", "exercise", "points", "note")
    lines = []
    for graded in report.graded:
        for row in submission_rows(graded):
            points = "-" if row.points is None else str(row.points)
            lines.append((row.submission, row.exercise or "-", points, row.note))
        lines.append((graded.submission.name, "all", _sum(graded), ""))
    names, numbers, points = (
        max(len(line[column]) for line in [header, *lines]) for column in range(3)
    )
    names = min(names, 30)
    longest = max(20, width - names - numbers - points - 6)
    return "\n".join(
        f"{one_line(name, names):{names}}  {number:{numbers}}  {point:>{points}}  "
        f"{one_line(note, longest)}".rstrip()
        for name, number, point, note in [header, *lines]
    )


def _sum(graded: Graded) -> str:
    return f"{graded.points}/{len(graded.outcomes)}"


def csv_text(report: Report) -> str:
    """Return the rows as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in rows(report):
        points = "" if row.points is None else row.points
        writer.writerow([_no_formula(row.submission), row.exercise, points, _no_formula(row.note)])
    return file.getvalue()


def _no_formula(text: str) -> str:
    """Keep a spreadsheet from computing what a submission's name says."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def json_text(report: Report) -> str:
    """Return everything as JSON."""
    content = {
        "course": cbam_course.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "sandbox": report.sandbox,
        "seconds": round(report.seconds, 1),
        "memory": report.memory,
        "exercises": [{"number": e.number, "title": e.title} for e in report.exercises],
        "submissions": [
            {
                "submission": graded.submission.name,
                "points": graded.points,
                "remarks": list(graded.remarks),
                "exercises": [
                    {
                        "exercise": number,
                        "status": outcome.status,
                        "points": outcome.points,
                        "note": outcome.note,
                        "detail": outcome.detail,
                        "remarks": list(graded.answers[number].remarks),
                        "seconds": round(outcome.seconds, 2),
                        "memory": outcome.memory,
                    }
                    for number, outcome in graded.outcomes.items()
                ],
            }
            for graded in report.graded
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def junit_text(report: Report) -> str:
    """Return a JUnit file: a suite per submission, a case per exercise."""
    suites = ElementTree.Element("testsuites", name="cbam-course grade")
    for graded in report.graded:
        outcomes = graded.outcomes
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=graded.submission.name,
            tests=str(len(outcomes)),
            failures=str(sum(o.points == 0 for o in outcomes.values())),
            errors=str(sum(o.points is None for o in outcomes.values())),
        )
        for number, outcome in outcomes.items():
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=graded.submission.name,
                name=number,
                time=f"{outcome.seconds:.3f}",
            )
            if outcome.points != 1:
                kind = "error" if outcome.points is None else "failure"
                problem = ElementTree.SubElement(case, kind, message=outcome.note)
                problem.text = outcome.detail
        if graded.remarks:
            ElementTree.SubElement(suite, "system-out").text = "\n".join(graded.remarks)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
