"""``cbam-course grade``: the points of a class, computed from its answers alone."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

if TYPE_CHECKING:
    from cbam_course.grading import Report

GB = 2**30


def _file(name: str, help: str, **options: object):
    return click.option(
        name, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=help, **options
    )


@click.command(context_settings={"show_default": True})
@click.argument(
    "submissions",
    nargs=-1,
    required=True,
    metavar="SUBMISSION...",
    type=click.Path(path_type=Path),
)
@_file("--out", "The grades as CSV.", default=Path("grades.csv"))
@_file("--json", "The same with all messages and times, as JSON.")
@_file("--junit", "The same as JUnit XML.")
@click.option(
    "--feedback",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="A page for each submission.",
)
@click.option(
    "--exercises",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The exercises as they came; - reads a tar archive of them from the standard input.  "
    "[default: notebooks/exercises of the repository]",
)
@click.option(
    "--chapter",
    "chapters",
    type=int,
    multiple=True,
    metavar="N",
    help="Grade this chapter; may be repeated.  [default: all that somebody has handed in]",
)
@click.option("--single", is_flag=True, help="A folder is one learner's, not a class.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Answers to run at a time.  [default: one a core, at most 4]",
)
@click.option("--again", is_flag=True, help="Grade again what is graded already.")
@click.option(
    "--cell-seconds", type=click.FloatRange(1, 1e5), default=60.0, help="Limit for one cell."
)
@click.option(
    "--total-seconds", type=click.FloatRange(1, 1e5), default=180.0, help="Limit for one answer."
)
@click.option(
    "--memory", type=click.FloatRange(0.1, 1e5), default=3.0, help="Limit for one answer, in GB."
)
@click.option(
    "--no-sandbox",
    is_flag=True,
    help="Let answers do with your files whatever you can, as where Landlock is missing.",
)
def grade(
    submissions: tuple[Path, ...],
    out: Path,
    json: Path | None,
    junit: Path | None,
    feedback: Path | None,
    exercises: Path | None,
    chapters: tuple[int, ...],
    single: bool,
    jobs: int | None,
    again: bool,
    cell_seconds: float,
    total_seconds: float,
    memory: float,
    no_sandbox: bool,
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

    try:
        grading.check_requirements()
        _warn(no_sandbox)
        # The bar is hidden where nobody watches.
        with _ends_as_after_ctrl_c(), tqdm(unit="run", leave=False, disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = grading.grade(
                submissions,
                exercises=sys.stdin.buffer if exercises == Path("-") else exercises,
                chapters=chapters,
                limits=grading.Limits(
                    cell=cell_seconds, total=total_seconds, memory=int(memory * GB)
                ),
                jobs=jobs,
                record=out.with_suffix(".jsonl"),
                again=again,
                sandbox=not no_sandbox,
                single=single,
                leave_out=[p for p in (out, out.with_suffix(".jsonl"), json, junit, feedback) if p],
                progress=show,
            )
        _write(report, out, json, junit, feedback)
    except (ValueError, RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("Stopped; the same command goes on from here.", err=True)
        sys.exit(130)
    click.echo(grading.table(report, shutil.get_terminal_size((100, 24)).columns))
    _say_finished(report, out)
    if report.errors:
        sys.exit(1)


def _write(
    report: "Report", out: Path, json: Path | None, junit: Path | None, feedback: Path | None
) -> None:
    from cbam_course import grading
    from cbam_course.files import write_whole

    for path, text in (
        (out, grading.csv_text),
        (json, grading.json_text),
        (junit, grading.junit_text),
    ):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text(report).encode()
            write_whole(path, lambda file, content=content: file.write(content))
    if feedback is not None:
        grading.write_pages(report, feedback)


def _warn(no_sandbox: bool) -> None:
    """Say what is dangerous, before anything of a submission runs."""
    from cbam_course.grading.kernel import can_lock_in

    if not no_sandbox and not can_lock_in():
        click.echo(
            "This system cannot lock answers in (Linux with Landlock and seccomp can): they can "
            "read and change your files. Submissions that you do not trust are for a container.",
            err=True,
        )
    if os.geteuid() == 0:
        click.echo("You are root, whom little holds back: better grade as another user.", err=True)


def _say_finished(report: "Report", out: Path) -> None:
    count = len(report.graded)
    click.echo(
        f"{count} submission{'s' * (count != 1)}, {len(report.exercises)} exercises, "
        f"{report.runs} answers run in {report.seconds:.0f} s; kept in {out}"
    )
    if report.errors:
        click.echo(
            f"{report.errors} answers could not be graded: see the notes. "
            "The same command tries them again.",
            err=True,
        )


@contextmanager
def _ends_as_after_ctrl_c() -> Iterator[None]:
    """Take a request to end, and a closed terminal, as Ctrl-C: no answer goes on running."""
    requests = [signal.SIGTERM, signal.SIGHUP]
    before = {request: signal.getsignal(request) for request in requests}
    try:
        for request, handler in before.items():
            if handler is not signal.SIG_IGN:  # as under nohup
                signal.signal(request, signal.default_int_handler)
        yield
    finally:
        for request, handler in before.items():
            signal.signal(request, handler)
