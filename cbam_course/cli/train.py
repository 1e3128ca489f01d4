"""``cbam-course train``: one training run, kept in a folder."""

import json
import os
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
    the end, curves.png. Ctrl-C stops a run in the middle of an epoch; it continues from there with
    --resume, which takes every option that is not given from the run itself.

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
        usual = {"model": "cifar-cnn", "control": "none"}
        unusual = [fields[name] for name, value in usual.items() if fields[name] != value]
        parts = [fields["dataset"], *unusual, fields["attention"], f"seed{fields['seed']}"]
        out = Path("runs", "-".join(parts))
    given = {
        name: value
        for name, value in fields.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    try:
        with _signals() as signals:
            history = _train(out, resume, data_folder, quiet, fields, given, signals)
    except _Stopped as stopped:
        if _from_torchrun("RANK") == 0:  # the first process speaks for all
            click.echo(f"Stopped {_kept(out, data_folder)}", err=True)
        context.exit(128 + stopped.signal)
    if history is not None:
        _say_finished(history, out)


def _train(
    out: Path,
    resume: bool,
    data_folder: Path | None,
    quiet: bool,
    fields: dict[str, Any],
    given: dict[str, Any],
    signals: "_Signals",
) -> "History | None":
    """The run's history, in the first process."""
    import torch

    from cbam_course import training
    from cbam_course.data import DatasetUnavailable
    from cbam_course.training.process_group import group_rank, group_size, process_group

    rank = group_rank()
    # Where nobody watches, a log with one line per epoch is worth more than a bar.
    bar = not quiet and sys.stderr.isatty()
    try:
        if resume and (out / "checkpoint.pt").exists():
            saved = training.History.loads(training.read_checkpoint(out)["history"])
            config = replace(saved.config, **given)
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
                progress=bar,
                on_epoch=None if quiet or bar else _say_epoch,
                keep_going=signals.none_came if group_size() == 1 else None,
            )
        signals.wait = False
        if rank > 0:
            return None
        _save_curves(run.history, out / "curves.png")
        return run.history
    except training.Interrupted:
        raise _Stopped(signals.last) from None
    except torch.cuda.OutOfMemoryError:
        raise click.ClickException(
            f"the GPU's memory is too small for this; try a --batch-size below {config.batch_size}"
        ) from None
    except (ValueError, FloatingPointError) as error:
        if rank > 0:  # it is the same in all processes, and the first one says it
            raise click.exceptions.Exit(1) from None
        raise click.ClickException(str(error)) from None
    except (DatasetUnavailable, OSError) as error:
        if rank > 0:
            raise click.ClickException(f"process {rank}: {error}") from None
        more = f". Stopped {_kept(out, data_folder)}" if (out / "checkpoint.pt").exists() else ""
        raise click.ClickException(f"{error}{more}") from None
    except RuntimeError as error:
        if rank == 0:
            raise
        # Most likely another process has ended, and this one was waiting for it.
        raise click.ClickException(f"process {rank}: {str(error).splitlines()[0]}") from None


def _save_curves(history: "History", path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")  # a file is wanted, no window
    from matplotlib import pyplot

    from cbam_course.files import write_whole

    figure = history.plot()
    write_whole(path, lambda file: figure.savefig(file, format="png"))
    pyplot.close(figure)


def _say_epoch(history: "History") -> None:
    header, line = history.table(last=1).splitlines()
    if len(history.epochs) == history.sessions[-1]["first_epoch"]:
        click.echo(header, err=True)
    click.echo(line, err=True)


def _say_finished(history: "History", out: Path) -> None:
    click.echo(history.table(last=5))
    count = len(history.epochs)
    click.echo(
        f"{count} epoch{'s' * (count > 1)} in {history.seconds:.1f} s on "
        f"{history.sessions[-1]['device']}; {history.model['parameters']:,} parameters"
    )
    click.echo(f"Kept in {out}: history.json, checkpoint.pt, curves.png")


def _kept(out: Path, data_folder: Path | None) -> str:
    """What is kept in a run's folder, and how to continue it."""
    try:  # without PyTorch, which may not be loaded yet
        record = json.loads((out / "history.json").read_text(encoding="utf-8"))
        epochs, wanted = len(record["epochs"]), record["config"]["epochs"]
    except (OSError, ValueError):
        return "before anything was kept."
    command = ["cbam-course"]
    if (processes := _from_torchrun("WORLD_SIZE")) > 1:
        command = ["torchrun", f"--nproc_per_node={processes}", "-m", "cbam_course"]
    command += ["train", "--out", str(out), "--resume"]
    if data_folder is not None:
        command += ["--data-folder", str(data_folder)]
    return f"after {epochs} of {wanted} epochs; continue with: {shlex.join(command)}"


def _from_torchrun(name: str) -> int:
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


class _Stopped(BaseException):
    """Ctrl-C, or a request to end. Not an Exception, so that nothing on the way keeps it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class _Signals:
    """Ctrl-C and requests to end: from the first step on they wait for the end of a step."""

    def __init__(self) -> None:
        self.wait = False
        self.last = 0

    def none_came(self) -> bool:
        """Asked after every step."""
        self.wait = True
        return not self.last

    def __call__(self, number: int, frame: object) -> None:
        if self.last or not self.wait:  # the second one does not wait
            raise _Stopped(number)
        self.last = number


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Handle SIGINT and SIGTERM meanwhile."""
    handle = _Signals()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as `nohup` and shells set it in the background
                signal.signal(number, handle)
        yield handle
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
