"""``cbam-course train``: one training run, kept in a folder."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import DATA_FOLDER, FOLDER, configuration, interruptible, told_in_a_line

if TYPE_CHECKING:
    from cbam_course.training import History


@click.command(context_settings={"show_default": True})
@configuration
@click.option(
    "--out", type=FOLDER, metavar="FOLDER",
    help="Where to keep the run.  [default: runs/DATASET-ATTENTION-seedSEED]",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the run in FOLDER.")
@DATA_FOLDER
@click.pass_context
def train(
    context: click.Context, out: Path | None, resume: bool, data_folder: Path | None, **fields: Any
) -> None:
    """Train a network, and test it after every epoch.

    The run is kept in FOLDER: history.json (the record), checkpoint.pt (after every epoch) and, at
    the end, curves.png. Ctrl-C ends a run; it continues after its last whole epoch with --resume,
    which takes every option that is not given from the run itself.

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
    import matplotlib
    import torch

    from cbam_course import training
    from cbam_course.data import DatasetUnavailable
    from cbam_course.training.checkpoint import read_checkpoint
    from cbam_course.training.process_group import group_rank, process_group

    if out is None:
        block = fields["attention"].replace(":", "-")  # no colon, for Windows
        out = Path("runs", f"{fields['dataset']}-{block}-seed{fields['seed']}")
    how = f"the same command with --out {out} --resume continues after the last whole epoch"
    errors = (ValueError, FloatingPointError, DatasetUnavailable, OSError, ModuleNotFoundError)
    with interruptible(how), told_in_a_line(*errors, torch.cuda.OutOfMemoryError):
        if resume:
            _, saved = read_checkpoint(out)
            default = ParameterSource.DEFAULT
            given = {n: v for n, v in fields.items() if context.get_parameter_source(n) != default}
            config = replace(saved.config, **given)
        else:
            config = training.TrainConfig(**fields)
        with process_group(config.device):
            _, history = training.train(
                config,
                folder=out,
                resume=resume,
                data_folder=data_folder,
                progress=sys.stderr.isatty(),  # a bar in a log would be no pleasure to read
                on_epoch=_say_epoch,
            )
        if group_rank() > 0:
            return
        matplotlib.use("Agg")  # a file is wanted, no window
        history.plot().savefig(out / "curves.png")
    click.echo(
        f"{history.model['parameters']:,} parameters, trained in {history.seconds:.1f} s on "
        f"{history.sessions[-1]['device']}"
    )
    click.echo(f"Kept in {out}: history.json, checkpoint.pt, curves.png")


def _say_epoch(history: "History") -> None:
    """A line for the epoch that has just ended, under a header."""
    from tqdm import tqdm

    row = history.last
    kinds = [kind for kind in ("train", "validation", "peek", "test") if f"{kind}_loss" in row]
    if row["epoch"] == history.sessions[-1]["first_epoch"]:
        titles = "".join(f"  {kind + ' loss':>15}  accuracy" for kind in kinds)
        tqdm.write(f"epoch{titles}   seconds")
    values = "".join(
        f"  {row[f'{kind}_loss']:15.4f}  {row[f'{kind}_accuracy']:8.2%}" for kind in kinds
    )
    tqdm.write(f"{row['epoch']:5d}{values}  {row['seconds']:8.1f}")
    sys.stdout.flush()  # a log is read while it is written
