"""What a teacher gives back: the grades as a table and as CSV, and a page for each learner."""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator
from html import escape
from pathlib import Path

from cbam_course.files import write_whole

from .answers import Answer
from .cells import one_line, printable
from .grader import Graded, Report
from .outcome import Outcome

STATUS = {
    "passed": "passed",
    "wrong": "not right yet",
    "unsolved": "not answered",
    "missing": "no answer found",
    "stopped": "stopped",
    "error": "not graded",
}
# Nothing on the page may load or run anything, whatever stands in it.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; }}
pre {{ overflow-x: auto; padding: .6rem; border: 1px solid #8886; border-radius: .3rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{points}</p>
{parts}
</body>
</html>
"""


def rows(report: Report) -> Iterator[tuple[str, str, int | str, str]]:
    """Yield the submission, the exercise, the points and a note, for each line of the grades.

    Remarks about files have no exercise and no points; the exercise ``"total"`` is a learner's sum.
    """
    for graded in report.graded:
        name = graded.submission.name
        for remark in graded.remarks:
            yield name, "", "", remark
        for number, outcome in graded.outcomes.items():
            answer = graded.answers[number]
            points = "" if outcome.points is None else outcome.points
            yield name, number, points, "; ".join(_notes(outcome, answer))
        yield name, "total", graded.points, f"of {len(graded.outcomes)}"


def _notes(outcome: Outcome, answer: Answer) -> list[str]:
    look = [f"worth a look: {what}" for what in answer.look]
    return [text for text in (outcome.note, *answer.remarks, *look) if text]


def table(report: Report, width: int = 100) -> str:
    """Return the rows as a table for a terminal, with lines of at most so many characters."""
    lines = [f"{'submission':30}  {'exercise':>8}  points  note"]
    for name, number, points, note in rows(report):
        note = one_line(note, max(20, width - 50))
        shown = "-" if points == "" else points
        lines.append(f"{one_line(name, 30):30}  {number or '-':>8}  {shown:>6}  {note}".rstrip())
    return "\n".join(lines)


def write_csv(report: Report, path: Path) -> None:
    """Write the rows as CSV, with the mark by which Excel knows that it is UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["submission", "exercise", "points", "note"])
    for name, number, points, note in rows(report):
        # A spreadsheet would compute what begins like a formula.
        name, note = (re.sub("^(?=[=+@-])", "'", text) for text in (name, note))
        writer.writerow([name, number, points, note])
    write_whole(path, lambda out: out.write(file.getvalue().encode("utf-8-sig")))


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write a page of feedback for each submission, named after it: one HTML file without scripts.

    Returns:
        their paths, in the order of the submissions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for graded, name in zip(report.graded, _file_names(report), strict=True):
        path, text = folder / f"{name}.html", _page(graded, report)
        write_whole(path, lambda file, text=text: file.write(text.encode()))
        paths.append(path)
    return paths


def _file_names(report: Report) -> list[str]:
    """Return a name for each page that no other has and that does not depend on their order.

    A submission's own name, where a file may have it alone; else a digest of it is appended.
    """
    names = [graded.submission.name for graded in report.graded]
    # Some systems take names for equal that differ in case or in the form of accents.
    same = [unicodedata.normalize("NFC", name).casefold() for name in names]
    found = []
    for name, alike in zip(names, same, strict=True):
        # No name leads out of the folder, hides a file or is too long for it, on any system.
        stem = re.sub(r"[^\w .,()@&'-]+", "-", name)[:50].strip(" .-")
        if stem != name or same.count(alike) > 1:
            stem = f"{stem or 'page'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        found.append(stem)
    return found


def _page(graded: Graded, report: Report) -> str:
    return PAGE.format(
        title=_safe(graded.submission.name),
        points=f"{graded.points} of {len(graded.outcomes)} exercises passed.",
        parts="\n".join(_parts(graded, {e.number: e.title for e in report.exercises})),
    )


def _parts(graded: Graded, titles: dict[str, str]) -> Iterator[str]:
    for remark in graded.remarks:
        yield f"<p>{_safe(remark)}</p>"
    for number, outcome in graded.outcomes.items():
        answer = graded.answers[number]
        yield f"<h2>{number} {_safe(titles[number])}: {STATUS[outcome.status]}</h2>"
        yield from (f"<p>{_safe(text)}</p>" for text in _notes(outcome, answer))
        if outcome.detail and outcome.detail != outcome.note:
            yield f"<pre>{_safe(outcome.detail)}</pre>"
        if answer.source is not None:
            summary = "<summary>The answer that was graded</summary>"
            yield f"<details>{summary}\n<pre>{_safe(answer.source)}</pre>\n</details>"


def _safe(text: str) -> str:
    return escape(printable(text))
