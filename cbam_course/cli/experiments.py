"""``cbam-course experiments``: the recorded runs of the course, and those that are still to do."""

import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import DATA_FOLDER, FOLDER, interruptible, told_in_a_line

if TYPE_CHECKING:
    from cbam_course.records import Experiment

NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
OUT = click.option(
    "--out", type=FOLDER, metavar="FOLDER", default="records", help="Where the records go."
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
    """List and run the experiments of the course.

    An experiment puts a question to several variants of a network, each with the same seeds. What
    its runs have shown is kept in records, of which the course brings its own.

    \b
    What there is, and how far it is:
      cbam-course experiments list --out records
    Do, within 20 minutes, what still lacks a record:
      cbam-course experiments run --budget 20m --out records
    """  # noqa: D301


@experiments.command("list")
@NAMES
@click.option(
    "--out", type=FOLDER, metavar="FOLDER", help="A folder whose records are added to the course's."
)
@told_in_a_line(FileNotFoundError)
def list_experiments(names: tuple[str, ...], out: Path | None) -> None:
    """List experiments, the most valuable first, and how many of their runs are recorded.

    A line tells an experiment's name, its tier (gpu, or cpu for what any computer can do), how many
    variants and seeds it has, how many of its runs are recorded, how many lack a record, and the
    question. A file that is no record is named; its run is not done again until it is moved away.

    \b
      cbam-course experiments list
      cbam-course experiments list blocks order --out records
    """  # noqa: D301
    from cbam_course.records import reading, run_name

    found = reading.read(out)
    for each in _chosen(names):
        done = [run_name(run) in found for _, run in each.runs()]
        click.echo(
            f"{each.name:24} {each.tier} {len(each.variants):2} x {len(each.seeds):<2} runs,"
            f" {sum(done):3} recorded, {len(done) - sum(done):3} to do  {each.question}"
        )


@experiments.command(context_settings={"show_default": True})
@NAMES
@OUT
@click.option(
    "--budget", callback=_seconds, metavar="TIME",
    help="20m, 90s, 1h30m: no epoch is begun that would not fit.  [default: no limit]",
)  # fmt: skip
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
    ends = run_queue(runs, out, budget=budget, say=partial(click.echo, err=True), **options)
    click.echo(
        f"{ends['recorded']} recorded in {out}, {ends['failed']} failed, "
        f"{ends['elsewhere']} done elsewhere, {len(runs) - ends.total()} left"
    )
    if ends["failed"]:
        sys.exit(1)


@experiments.command(context_settings={"show_default": True})
@OUT
@click.option(
    "--budget", callback=_seconds, metavar="TIME",
    help="After which no further run is begun: 20m, 90s, 1h30m.  [default: when all is done]",
)  # fmt: skip
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


def _chosen(names: tuple[str, ...], tier: str | None = None) -> "list[Experiment]":
    from cbam_course.records import experiments

    known = experiments(tier)
    if unknown := [name for name in names if name not in known]:
        raise click.ClickException(
            f"no experiment {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    return [experiment for name, experiment in known.items() if not names or name in names]
