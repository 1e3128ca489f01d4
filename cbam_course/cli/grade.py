"""``cbam-course grade``: the points of a class, computed from its answers alone."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from .options import interruptible, told_in_a_line

LIMIT = click.FloatRange(0.1, 1e5)
PATH = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True})
@click.argument("submissions", nargs=-1, required=True, metavar="SUBMISSION...", type=PATH)
@click.option("--out", type=PATH, metavar="FILE", default="grades.csv", help="The grades as CSV.")
@click.option("--feedback", type=PATH, metavar="FOLDER", help="A page for each submission.")
@click.option(
    "--exercises", type=PATH, metavar="FOLDER",
    help="The exercises as they came.  [default: notebooks/exercises of the repository]",
)  # fmt: skip
@click.option(
    "--chapter", "chapters", type=int, multiple=True, metavar="N",
    help="Grade this chapter; may be repeated.  [default: all that somebody has handed in]",
)  # fmt: skip
@click.option("--single", is_flag=True, help="A folder is one learner's, not a class.")
@click.option(
    "--jobs", type=click.IntRange(min=1),
    help="Answers to run at a time.  [default: one a core, at most 4]",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Grade again what is graded already.")
@click.option("--seconds", type=LIMIT, default=120.0, help="Limit for one answer.")
@click.option("--memory", type=LIMIT, default=3.0, help="Limit for one answer, in GB.")
@click.option(
    "--trusted", is_flag=True,
    help="Run the answers, of people you trust, without bubblewrap: they can do what you can.",
)  # fmt: skip
@interruptible()
@told_in_a_line(ValueError, RuntimeError, OSError)
def grade(
    submissions: tuple[Path, ...],
    out: Path,
    feedback: Path | None,
    again: bool,
    memory: float,
    **options: Any,
) -> None:
    """Grade the exercises of a class.

    SUBMISSION is a notebook, or a folder: a class, in which each notebook and each folder is one
    submission. Only the code in the answer cells counts; it is run in the exercises as they came.
    An exercise that passes is one point.

    What is finished is kept beside the grades, in grades.jsonl: the same command after Ctrl-C goes
    on where it was stopped, and grades only what is new.

    \b
    A class, with a page for each learner:
      cbam-course grade submissions/ --out grades.csv --feedback feedback/
    One notebook:
      cbam-course grade 03_channel_attention.ipynb
    """  # noqa: D301
    from cbam_course import grading

    record = out.with_suffix(".jsonl")
    if again:
        record.unlink(missing_ok=True)
    if feedback and any(feedback.resolve().parent == path.resolve() for path in submissions):
        raise click.UsageError(f"{feedback} would be a learner's: put it beside the submissions")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        click.echo("You are root, whom little holds back: better be another user.", err=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    memory = int(memory * 2**30)
    report = grading.grade(submissions, memory=memory, record=record, **options)
    grading.write_csv(report, out)
    if feedback is not None:
        grading.write_pages(report, feedback)
    click.echo(grading.table(report, shutil.get_terminal_size((100, 24)).columns))
    if report.passed_over:
        click.echo(f"No notebooks, passed over: {', '.join(report.passed_over)}", err=True)
    count = len(report.graded)
    click.echo(
        f"{count} submission{'s' * (count != 1)}, {len(report.exercises)} exercises, "
        f"{report.runs} answers run; kept in {out}"
    )
    if report.errors:
        again = "The same command tries them again."
        click.echo(f"{report.errors} answers could not be graded: see the notes. {again}", err=True)
        sys.exit(1)
