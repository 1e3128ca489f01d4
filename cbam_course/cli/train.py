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

from .options import MODEL_NAMES, attention_options, model_options

if TYPE_CHECKING:
    from cbam_course.training import History

# The names are those of cbam_course.training, written out because importing it loads PyTorch, and
# help should not take seconds. A test compares them.
DATASETS = ("shapes", "cifar10")
CONTROLS = ("none", "constant", "frozen")
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("onecycle", "cosine", "constant", "plateau")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def _widths(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 64,128,256") from None


def _places(
    context: click.Context, option: click.Parameter, places: tuple[str, ...]
) -> tuple[str, ...] | None:
    return places or None


@click.command(context_settings={"show_default": True})
@click.option(
    "--model",
    type=click.Choice(MODEL_NAMES),
    default="cifar-cnn",
    help="The network.",
)
@model_options("An argument of the network, such as depths=[9,9,9]")
@click.option(
    "--widths",
    metavar="N,N,N",
    callback=_widths,
    help="Channels of the network's stages.  [default: the network's own]",
)
@click.option(
    "--dropout",
    type=float,
    help="Probability of zeroing a feature before the last layer.  [default: the network's own]",
)
@attention_options("The block in each place that the network has for one.")
@click.option(
    "--attention-place",
    "attention_places",
    multiple=True,
    metavar="PATTERN",
    callback=_places,
    help="After which modules the blocks go instead, such as layer3.*.bn2; may be repeated.",
)
@click.option(
    "--control",
    type=click.Choice(CONTROLS),
    default="none",
    help="constant: gates that do not look at the image; frozen: blocks that do not learn.",
)
@click.option(
    "--start-as-identity/--no-start-as-identity",
    default=False,
    help="Blocks that do nothing at first and learn how much of themselves to let through.",
)
@click.option(
    "--dataset",
    type=click.Choice(DATASETS),
    default="shapes",
    help="shapes are drawn on the spot; cifar10 is downloaded once.",
)
@click.option("--train-size", type=int, help="Train on so many images only.")
@click.option("--test-size", type=int, help="Test on so many images only.")
@click.option(
    "--validation-size",
    type=int,
    help="Hold out so many training images, to tell how the network does without the test images.",
)
@click.option("--image-size", type=int, help="Resize the images.  [default: their own size]")
@click.option(
    "--noise-channels", type=int, default=0, help="Channels of noise to put behind the colors."
)
@click.option("--epochs", type=int, default=10, help="Passes over the images.")
@click.option("--batch-size", type=int, default=128, help="Images in a step.")
@click.option(
    "--optimizer",
    type=click.Choice(OPTIMIZERS),
    default="adam",
    help="sgd has Nesterov's momentum of 0.9.",
)
@click.option(
    "--lr",
    "--learning-rate",
    "learning_rate",
    type=float,
    default=1e-3,
    help="The learning rate, the highest of the schedule.",
)
@click.option("--weight-decay", type=float, default=1e-4, help="The optimizer's weight decay.")
@click.option(
    "--label-smoothing",
    type=float,
    default=0.0,
    help="Share of the label that is spread over all classes.",
)
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    default="onecycle",
    help="How the learning rate moves; plateau, the tutorial's, looks at the images held out or, "
    "if there are none, at the test images.",
)
@click.option("--crop/--no-crop", default=True, help="Shift images at random.")
@click.option("--flip/--no-flip", default=True, help="Mirror images at random.")
@click.option(
    "--seed",
    type=int,
    default=0,
    help="Decides the weights, the order of the images, and all else left to chance.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps.")
@click.option(
    "--compile/--no-compile", default=False, help="Compile the network: slow to start, then fast."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    help="Of the network's arithmetic; auto is float32 on a CPU and half as many bits on a GPU.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where to keep the run.  [default: runs/DATASET-ATTENTION-seedSEED, with the model and "
    "the control in the middle where they are not the default]",
)
@click.option("--resume", is_flag=True, help="Continue the run in FOLDER, if there is one.")
@click.option(
    "--data-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where CIFAR-10 is or is to be kept.",
)
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
    from cbam_course.training import distributed

    rank = epochs.rank = distributed.group_rank()
    epochs.processes = distributed.group_size()
    try:
        if resume and (out / "checkpoint.pt").exists():
            epochs.history = training.History.loads(training.read_checkpoint(out)["history"])
            config = replace(epochs.history.config, **given)
        else:
            if resume and rank == 0:
                click.echo(f"There is no run in {out} to continue: a new one starts.", err=True)
            config = training.TrainConfig(**fields)
        with distributed.joined(config.device):
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
    except distributed.FirstProcessFailed:
        raise click.exceptions.Exit(1) from None
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
