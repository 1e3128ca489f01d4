"""What the tests of training share: a tiny run, and what two equal runs have in common."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from cbam_course.training import History, Run, TrainConfig, build_model, train
from cbam_course.training.loop import seed_epoch

TINY = TrainConfig(
    attention="cbam-fc",
    attention_options={"reduction": 4},
    widths=(4, 8),
    epochs=3,
    batch_size=16,
    learning_rate=0.01,
    device="cpu",
)
"""A run on 40 images: the last of its three steps an epoch is a smaller one."""

CUSTOM = replace(TINY, model="custom", attention="none", attention_options={}, widths=None)
"""The same for a network that is handed over."""


class Stop(Exception):
    """Ends a run between two epochs, as a crash would."""


def train_quietly(config: TrainConfig, images=None, **options) -> Run:
    return train(config, images, progress=False, **options)


def stop_after(epochs: int) -> Callable[[History], None]:
    """What ends a run that has done so many epochs, for ``on_epoch``."""

    def stop(history: History) -> None:
        if len(history.epochs) == epochs:
            raise Stop

    return stop


def fresh(config: TrainConfig) -> torch.nn.Module:
    """The network as the run of ``config`` begins with it."""
    seed_epoch(config.seed, 0)
    return build_model(config, 10)


def assert_same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def metrics(history: History) -> tuple:
    """What is the same whenever and wherever a run is repeated: all but the seconds."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return rows, history.iteration_loss, history.final


def files(folder: Path) -> dict[str, bytes]:
    """The names and contents of a run's files; the lock is none of them."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}
