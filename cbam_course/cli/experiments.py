"""``cbam-course experiments``: the recorded runs of the course, and those that are still to do."""

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import DATA_FOLDER, interruptible, told_in_a_line

if TYPE_CHECKING:
    from cbam_course.records import Event, Experiment

NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
FOLDER = click.Path(file_okay=False, path_type=Path)
OUT = click.option(
    "--out", type=FOLDER, metavar="FOLDER", default=Path("records"), help="Where the records go."
)


def _seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    parts = re.fullmatch("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in "hms"), text)
    if not text or parts is None:
        raise click.BadParameter(f"{text!r} is not a time such as 20m, 90s or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds


@click.group()
def experiments() -> None:
    """List, run and follow the experiments of the course.

    An experiment puts a question to several variants of a network, each with the same seeds. What
    its runs have shown is kept in records, of which the course brings its own.

    \b
    What there is, and how far it is:
      cbam-course experiments list
      cbam-course experiments status --out records
    Do, within 20 minutes, what still lacks a record:
      cbam-course experiments run --budget 20m --out records
    """  # noqa: D301


@experiments.command("list")
def list_experiments() -> None:
    """List the experiments, the most valuable first.

    \b
    cbam-course experiments list
    """  # noqa: D301
    for each in _chosen(()):
        runs = f"{len(each.variants)} x {len(each.seeds)}"
        click.echo(f"{each.name:24} {each.tier} {runs:>7} runs  {each.question}")


@experiments.command(context_settings={"show_default": True})
@NAMES
@OUT
@click.option(
    "--budget",
    callback=_seconds,
    metavar="TIME",
    help="20m, 90s, 1h30m: no epoch is begun that would not fit.  [default: no limit]",
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps.")
@DATA_FOLDER
@interruptible()
@told_in_a_line(ValueError, RuntimeError, OSError)
def run(names: tuple[str, ...], out: Path, budget: float | None, **options: Any) -> None:
    """Do the runs that still lack a record, the most valuable first.

    NAME is an experiment; without one all of a tier are done: the full ones on a GPU, the small
    ones elsewhere. A run that the course or FOLDER has a record of is not done again. Each record
    is written when its run is finished. A run that is interrupted goes on, after its last whole
    epoch, with the same command; several such commands may share a folder.

    \b
    All that can be done in 20 minutes:
      cbam-course experiments run --budget 20m --out records
    """  # noqa: D301
    started = time.monotonic()
    from cbam_course.records import pending, run_queue
    from cbam_course.training import choose_device

    counts = {"recorded": 0, "failed": 0, "elsewhere": 0, "stopped": 0}

    def show(event: "Event") -> None:
        result = f"{event.test_accuracy:.2%} in {event.seconds:.0f} s"
        if event.kind == "epoch":
            click.echo(f"{event.run}: epoch {event.epochs}, {result}", err=True)
            return
        counts[event.kind] += 1
        if event.kind == "failed":
            click.echo(f"{event.run} failed: {event.error}", err=True)
        elif event.kind == "recorded":
            done = f"[{counts['recorded']}/{len(runs)}]"
            click.echo(f"{done} {event.run}: {result} on {event.device}")

    tier = None
    if not names:
        tier = "cpu" if choose_device(options["device"]).type == "cpu" else "gpu"
    out.mkdir(parents=True, exist_ok=True)
    runs = pending(_chosen(names, tier), out)
    click.echo(f"{len(runs)} runs without a record")
    if tier == "cpu" and not runs:
        rest = " ".join(experiment.name for experiment in _chosen((), "gpu"))
        click.echo(f"The others want a GPU, and take days without: {rest}")
    if budget is not None:  # what was spent on loading PyTorch counts, too
        budget = max(0.0, budget - (time.monotonic() - started))
    run_queue(runs, out, budget=budget, on_event=show, **options)
    left = len(runs) - sum(counts.values()) + counts["stopped"]
    click.echo(
        f"{counts['recorded']} recorded in {out}, {counts['failed']} failed, "
        f"{counts['elsewhere']} done elsewhere, {left} left"
    )
    if counts["failed"]:
        sys.exit(1)


@experiments.command(context_settings={"show_default": True})
@OUT
@click.option(
    "--budget",
    callback=_seconds,
    metavar="TIME",
    help="After which no further run is begun: 20m, 90s, 1h30m.  [default: when all is done]",
)
@interruptible()
@told_in_a_line(ImportError, OSError)
def detector(out: Path, budget: float | None) -> None:
    """Do the runs of the small detector (chapter 13) that still lack a record.

    All variants of one seed come before the next seed. Each run takes about a minute of one
    processor core. Needs: pip install "cbam-course[detection]".

    \b
    cbam-course experiments detector --budget 1h --out detector-records
    """  # noqa: D301
    from cbam_course.detector import run_all

    out.mkdir(parents=True, exist_ok=True)
    for name, record in run_all(out, budget):
        metrics = record["metrics"]
        click.echo(
            f"{name}: mAP@0.5 {metrics['map50']:.3f}, mAP {metrics['map']:.3f}, "
            f"{record['seconds']:.0f} s"
        )


@experiments.command()
@NAMES
@click.option(
    "--out", type=FOLDER, metavar="FOLDER", help="A folder whose records are added to the course's."
)
@told_in_a_line(FileNotFoundError)
def status(names: tuple[str, ...], out: Path | None) -> None:
    """Show what is recorded, and how much time the rest will take.

    \b
    cbam-course experiments status --out records
    """  # noqa: D301
    from cbam_course.records.status import status

    found = status(_chosen(names), out)
    for name, own in found.runs.groupby("experiment", sort=False):
        recorded, left = own["recorded"].sum(), _duration(own["seconds"].sum(skipna=False))
        devices = " and ".join(own["device"].dropna().unique())
        click.echo(f"{name:24} {recorded:3} of {len(own):3} runs, left {left:8} {devices}".rstrip())
    # A run that several experiments want counts once.
    runs = found.runs.groupby("run").agg({"recorded": "first", "seconds": "first"})
    click.echo(
        f"{runs['recorded'].sum()} of {len(runs)} runs are recorded. Left, going by these, one at "
        f"a time: {_duration(runs['seconds'].sum())}, without {runs['seconds'].isna().sum()} runs "
        "of which no record tells."
    )
    if found.unfinished:
        click.echo(f"Begun, to be continued: {', '.join(found.unfinished)}")
    for path, problem in found.problems.items():
        click.echo(f"No record, and not done again until it is moved away: {path}: {problem}")


def _chosen(names: tuple[str, ...], tier: str | None = None) -> "list[Experiment]":
    from cbam_course.records import experiments

    known = experiments(tier)
    if unknown := [name for name in names if name not in known]:
        raise click.ClickException(
            f"no experiment {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    return [experiment for name, experiment in known.items() if not names or name in names]


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return "unknown"
    return f"{seconds:.0f} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"
