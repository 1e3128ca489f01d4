"""A page of feedback for each submission: one HTML file without scripts."""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from cbam_course.files import write_whole

from .grader import Graded, Report
from .text import printable

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
body {{ font: 1rem/1.5 system-ui, sans-serif; }}
body {{ max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ overflow-x: auto; padding: .6rem; border: 1px solid #8886; border-radius: .3rem; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{points}</p>
{parts}
</body>
</html>
"""


def page(graded: Graded, report: Report) -> str:
    """Return the page of one submission."""
    titles = {exercise.number: exercise.title for exercise in report.exercises}
    return PAGE.format(
        title=_safe(graded.submission.name),
        points=f"{graded.points} of {len(graded.outcomes)} exercises passed.",
        parts="\n".join(_parts(graded, titles)),
    )


def _parts(graded: Graded, titles: dict[str, str]) -> Iterator[str]:
    if graded.remarks:
        yield "<h2>The files</h2>\n<ul>"
        yield from (f"<li>{_safe(remark)}</li>" for remark in graded.remarks)
        yield "</ul>"
    if graded.outcomes:
        yield "<table>\n<tr><th>Exercise</th><th></th><th>Points</th></tr>"
        for number, outcome in graded.outcomes.items():
            points = "not graded" if outcome.points is None else outcome.points
            name = f'<a href="#e{number}">{number}</a> {_safe(titles[number])}'
            yield f"<tr><td>{name}</td><td>{STATUS[outcome.status]}</td><td>{points}</td></tr>"
        yield "</table>"
    for number, outcome in graded.outcomes.items():
        answer = graded.answers[number]
        yield f'<h2 id="e{number}">{number} {_safe(titles[number])}: {STATUS[outcome.status]}</h2>'
        if outcome.note:
            yield f"<p>{_safe(outcome.note)}</p>"
        # What is worth a look is the instructor's business, not an accusation to be mailed.
        remarks = [r for r in answer.remarks if not r.startswith("worth a look")]
        yield from (f"<p>{_safe(remark)}</p>" for remark in remarks)
        if outcome.detail and outcome.detail != outcome.note:
            yield f"<pre>{_safe(outcome.detail)}</pre>"
        if answer.source is not None:
            summary = "<summary>The answer that was graded</summary>"
            yield f"<details>{summary}\n<pre>{_safe(answer.source)}</pre>\n</details>"


def _safe(text: str) -> str:
    return escape(printable(text, lines=True))


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write all pages into a folder, each named after its submission.

    Returns:
        their paths, in the order of the submissions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    used: set[str] = set()
    for graded in report.graded:
        # No name of a submission leads out of the folder, hides a file or is too long for it.
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", graded.submission.name)[:80].strip("-") or "page"
        name, number = stem, 1
        while name.lower() in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name.lower())
        path = folder / f"{name}.html"
        text = page(graded, report)
        write_whole(path, lambda file, text=text: file.write(text.encode()))
        paths.append(path)
    return paths
