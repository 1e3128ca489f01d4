"""``cbam-course experiments``: the recorded runs of the course, and those that are still to do."""

import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import DATA_FOLDER

if TYPE_CHECKING:
    from cbam_course.records import Event, Experiment

SECONDS = {"h": 3600, "m": 60, "s": 1}

NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")

TIER = click.option(
    "--tier",
    type=click.Choice(["cpu", "gpu"]),
    help="Small experiments for a CPU, or full ones for a GPU.",
)


def _seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text.strip())
    if not parts or "".join(map("".join, parts)) != text.strip():
        raise click.BadParameter(f"{text!r} is not a time such as 20m, 90s or 1h30m")
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def _out(help: str, **options: object) -> Callable:
    path = click.Path(file_okay=False, path_type=Path)
    return click.option("--out", type=path, metavar="FOLDER", help=help, **options)


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
@TIER
def list_experiments(tier: str | None) -> None:
    """List the experiments, the most valuable first.

    \b
    cbam-course experiments list --tier cpu
    """  # noqa: D301
    rows = [
        (e.name, e.tier, f"{len(e.variants)} x {len(e.seeds)}", e.question)
        for e in _chosen((), tier)
    ]
    _echo_table(("experiment", "tier", "variants x seeds", "question"), rows)


@experiments.command(context_settings={"show_default": True})
@NAMES
@_out("Where the records go.", default=Path("records"))
@click.option(
    "--budget",
    callback=_seconds,
    metavar="TIME",
    help="When to stop: 20m, 90s, 1h30m.  [default: when all is done]",
)
@TIER
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Runs at a time.")
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps.")
@DATA_FOLDER
def run(
    names: tuple[str, ...],
    out: Path,
    budget: float | None,
    tier: str | None,
    jobs: int,
    device: str,
    data_folder: Path | None,
) -> None:
    """Do the runs that still lack a record, the most valuable first.

    NAME is an experiment; without one all of a tier are done: the full ones on a GPU, the small
    ones elsewhere. A run that the course or FOLDER has a record of is not done again. Each record
    is written when its run is finished. What is interrupted, in the middle of an epoch
    too, goes on with the same command; several such commands may share a folder.

    Several runs at a time use a GPU better if a single one leaves it waiting. How many are best
    depends on the GPU: the images a second at the end of each of these tell it.

    \b
    All that can be done in 20 minutes:
      cbam-course experiments run --budget 20m --out records
    How many runs at a time are best here:
      for jobs in 1 2 4 8; do
        cbam-course experiments run blocks --jobs $jobs --budget 2m --out trial-$jobs
      done
    """  # noqa: D301
    started = time.monotonic()
    from cbam_course.data import DatasetUnavailable
    from cbam_course.records import pending, run_queue
    from cbam_course.records.reading import folders
    from cbam_course.training import choose_device

    try:
        if tier is None and not names:
            tier = "cpu" if choose_device(device).type == "cpu" else "gpu"
        chosen = _chosen(names, tier)
        out.mkdir(parents=True, exist_ok=True)
        runs = pending(chosen, folders(out))
        report = _Report(chosen, len(runs))
        if not runs and tier == "cpu" and not names:
            _say_what_is_left(out)
        if budget is not None:  # what was spent on loading PyTorch counts, too
            budget = max(0.0, budget - (time.monotonic() - started))
        run_queue(
            runs,
            out,
            budget=budget,
            jobs=jobs,
            device=device,
            data_folder=data_folder,
            on_event=report.show,
        )
    except KeyboardInterrupt:
        click.echo("Stopped; the same command goes on from here.", err=True)
        sys.exit(130)
    except (ValueError, RuntimeError, DatasetUnavailable, OSError) as error:
        raise click.ClickException(str(error)) from None
    report.show_end(out)
    if report.counts["failed"]:
        sys.exit(1)


@experiments.command()
@NAMES
@_out("A folder whose records are added to the course's.")
@TIER
def status(names: tuple[str, ...], out: Path | None, tier: str | None) -> None:
    """Show what is recorded, and how much time the rest will take.

    \b
    cbam-course experiments status --out records
    """  # noqa: D301
    from cbam_course.records.status import status

    try:
        found = status(_chosen(names, tier), out)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    rows = [
        (
            name,
            f"{row['variants']} x {row['seeds']}",
            f"{row['recorded']} / {row['wanted']}",
            row["device"] or "-",
            _duration(row["seconds_left"]),
        )
        for name, row in found.table.to_dict("index").items()
    ]
    columns = ("experiment", "variants x seeds", "recorded", "device", "time left")
    _echo_table(columns, rows)
    click.echo(f"{found.wanted - len(found.left)} of {found.wanted} runs are recorded.")
    if found.left:
        known = [seconds for seconds in found.left.values() if seconds == seconds]
        unknown = len(found.left) - len(known)
        more = f", and {unknown} runs of which no record tells" if unknown else ""
        click.echo(
            "Time left, if they take as long as those recorded, one at a time: "
            f"{_duration(sum(known))}{more}."
        )
    if found.unfinished:
        click.echo(f"Begun, to be continued: {', '.join(found.unfinished)}")
    if found.strangers:
        click.echo("Of no experiment any more:")
        for path in found.strangers:
            click.echo(f"  {path}")
    if found.problems:
        click.echo("No records; to do such a run again, move the file away:")
        for path, problem in found.problems.items():
            click.echo(f"  {path}: {problem}")


class _Report:
    """Tells, line by line, what the workers have done."""

    def __init__(self, experiments: Iterable["Experiment"], total: int) -> None:
        from cbam_course.records import run_name

        self.titles: dict[str, str] = {}
        for experiment in experiments:
            for variant, config in experiment.runs():
                title = f"{experiment.name}: {variant.name}, seed {config.seed}"
                self.titles.setdefault(run_name(config), title)
        self.total = total
        self.counts = dict.fromkeys(("recorded", "failed", "elsewhere"), 0)
        self.images = 0
        self.started = time.monotonic()
        click.echo(f"{total} run{'s' * (total != 1)} without a record")

    def show(self, event: "Event") -> None:
        title = self.titles.get(event.run, event.run)
        if event.kind == "epoch":
            if not sys.stderr.isatty():  # a log is read later; a person waits for the run
                click.echo(
                    f"{title}: epoch {event.epochs}, {event.test_accuracy:.2%} "
                    f"in {event.seconds:.0f} s",
                    err=True,
                )
            return
        self.images += event.images
        if event.kind in self.counts:
            self.counts[event.kind] += 1
        if event.kind == "recorded":
            click.echo(
                f"[{self.counts['recorded']}/{self.total}] {title}: {event.test_accuracy:.2%} "
                f"in {event.seconds:.0f} s on {event.device}"
            )
        elif event.kind == "failed":
            click.echo(f"{title} ({event.run}) failed: {event.error}", err=True)

    def show_end(self, out: Path) -> None:
        counts = self.counts | {"left": self.total - sum(self.counts.values())}
        words = {
            "recorded": f"recorded in {out}",
            "failed": "failed",
            "elsewhere": "done elsewhere",
            "left": "left",
        }
        told = [kind for kind in words if counts[kind] or kind == "recorded"]
        click.echo("; ".join(f"{counts[kind]} {words[kind]}" for kind in told))
        if self.images:
            seconds = time.monotonic() - self.started
            click.echo(
                f"{self.images:,} training images in {seconds:.0f} s: "
                f"{self.images / seconds:,.0f} a second"
            )


def _say_what_is_left(out: Path) -> None:
    from cbam_course.records import pending
    from cbam_course.records.reading import folders

    left = len(pending(_chosen((), "gpu"), folders(out)))
    click.echo(
        f"Nothing is left for a CPU. {left} runs of the full experiments have no record; they want "
        f"a GPU, and take days without: cbam-course experiments run --tier gpu --out {out}"
    )


def _chosen(names: tuple[str, ...], tier: str | None) -> "list[Experiment]":
    from cbam_course.records import experiments

    known = experiments(tier)
    if unknown := [name for name in names if name not in known]:
        raise click.ClickException(
            f"no experiment {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    return [experiment for name, experiment in known.items() if not names or name in names]


def _echo_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return "unknown"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
