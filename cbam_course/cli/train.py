"""``cbam-course train``: one training run, kept in a folder."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import DATA_FOLDER, configuration

if TYPE_CHECKING:
    from cbam_course.training import History


@click.command(context_settings={"show_default": True})
@configuration
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where to keep the run.  [default: runs/DATASET-ATTENTION-seedSEED, with the model and "
    "the control in the middle where they are not the default]",
)
@click.option("--resume", is_flag=True, help="Continue the run in FOLDER, if there is one.")
@DATA_FOLDER
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def train(
    context: click.Context,
    out: Path | None,
    resume: bool,
    data_folder: Path | None,
    quiet: bool,
    **fields: Any,
) -> None:
    """Train a network, and test it after every epoch.

    The run is kept in FOLDER: history.json (the record), checkpoint.pt (after every epoch) and, at
    the end, curves.png. A run that was stopped continues with --resume, which takes every option
    that is not given from the run itself.

    \b
    A minute or two on a laptop:
      cbam-course train --attention cbam-fc --attention-option reduction=4 \\
        --widths 16,32,64 --lr 4e-3 --batch-size 64 --dropout 0.1
    The tutorial's network on CIFAR-10, for a GPU:
      cbam-course train --attention cbam-fc --dataset cifar10 --epochs 50
    Continue:
      cbam-course train --out runs/cifar10-cbam-fc-seed0 --resume
    On several GPUs, or several processes on a CPU:
      torchrun --nproc_per_node=2 -m cbam_course train --dataset cifar10
    """  # noqa: D301
    if out is None:
        out = _default_folder(fields)
    given = {
        name: value
        for name, value in fields.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    epochs = _Epochs(quiet)
    try:
        with _signals():
            _train(out, resume, data_folder, fields, given, epochs)
    except _Stopped as stopped:
        epochs.say_stopped(out, data_folder)
        context.exit(128 + stopped.signal)


def _default_folder(fields: dict[str, Any]) -> Path:
    usual = {"model": "cifar-cnn", "control": "none"}
    unusual = [fields[name] for name, value in usual.items() if fields[name] != value]
    parts = [fields["dataset"], *unusual, fields["attention"], f"seed{fields['seed']}"]
    return Path("runs", "-".join(parts))


def _train(
    out: Path,
    resume: bool,
    data_folder: Path | None,
    fields: dict[str, Any],
    given: dict[str, Any],
    epochs: "_Epochs",
) -> None:
    import torch

    from cbam_course import training
    from cbam_course.data import DatasetUnavailable
    from cbam_course.training.process_group import group_rank, group_size, process_group

    rank = epochs.rank = group_rank()
    epochs.processes = group_size()
    try:
        if resume and (out / "checkpoint.pt").exists():
            epochs.history = training.History.loads(training.read_checkpoint(out)["history"])
            config = replace(epochs.history.config, **given)
        else:
            if resume and rank == 0:
                click.echo(f"There is no run in {out} to continue: a new one starts.", err=True)
            config = training.TrainConfig(**fields)
        with process_group(config.device):
            run = training.train(
                config,
                folder=out,
                resume=resume,
                data_folder=data_folder,
                progress=epochs.show_bar,
                on_epoch=epochs.finished,
            )
        if rank == 0:
            _save_curves(run.history, out / "curves.png")
    except torch.cuda.OutOfMemoryError:
        raise click.ClickException(
            f"the GPU's memory is too small for this; try a --batch-size below {config.batch_size}"
        ) from None
    except (ValueError, FloatingPointError) as error:
        if rank > 0:  # it is the same in all processes, and the first one says it
            raise click.exceptions.Exit(1) from None
        raise click.ClickException(str(error)) from None
    except (DatasetUnavailable, OSError) as error:
        raise click.ClickException(f"process {rank}: {error}" if rank else str(error)) from None
    except RuntimeError as error:
        if rank == 0:
            raise
        # Most likely another process has ended, and this one was waiting for it.
        raise click.ClickException(f"process {rank}: {str(error).splitlines()[0]}") from None
    if rank == 0:
        _say_finished(run.history, out)


def _save_curves(history: "History", path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")  # a file is wanted, no window
    from matplotlib import pyplot

    from cbam_course.files import write_whole

    figure = history.plot()
    write_whole(path, lambda file: figure.savefig(file, format="png"))
    pyplot.close(figure)


def _say_finished(history: "History", out: Path) -> None:
    click.echo(history.table(last=5))
    count = len(history.epochs)
    click.echo(
        f"{count} epoch{'s' * (count > 1)} in {history.seconds:.1f} s on "
        f"{history.sessions[-1]['device']}; {history.model['parameters']:,} parameters"
    )
    names = "history.json, checkpoint.pt, curves.png"
    click.echo(f"Kept in {out}: {names}")


class _Epochs:
    """Follows a run: how far it is, and what to show of it on the way."""

    def __init__(self, quiet: bool) -> None:
        # Where nobody watches, a log with one line per epoch is worth more than a bar.
        self.show_bar = not quiet and sys.stderr.isatty()
        self.show_lines = not quiet and not self.show_bar
        self.history: History | None = None
        self.rank, self.processes = 0, 1

    def finished(self, history: "History") -> None:
        self.history = history
        if self.show_lines:
            header, line = history.table(last=1).splitlines()
            if len(history.epochs) == history.sessions[-1]["first_epoch"]:
                click.echo(header, err=True)
            click.echo(line, err=True)

    def say_stopped(self, out: Path, data_folder: Path | None) -> None:
        if self.rank > 0:
            return
        if self.history is None or not self.history.epochs:
            click.echo("Stopped before the end of the first epoch: nothing was kept.", err=True)
            return
        command = ["cbam-course"]
        if self.processes > 1:
            command = ["torchrun", f"--nproc_per_node={self.processes}", "-m", "cbam_course"]
        command += ["train", "--out", str(out), "--resume"]
        if data_folder is not None:
            command += ["--data-folder", str(data_folder)]
        click.echo(
            f"Stopped after epoch {len(self.history.epochs)} of {self.history.config.epochs}; "
            f"continue with: {shlex.join(command)}",
            err=True,
        )


class _Stopped(BaseException):
    """Ctrl-C, or a request to end. Not an Exception, so that nothing on the way keeps it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into :class:`_Stopped` meanwhile."""

    def stop(number: int, frame: object) -> None:
        raise _Stopped(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as `nohup` and shells set it in the background
                signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
