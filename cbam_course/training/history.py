"""What happened in a training run, and where, and with what: the record a chapter reads."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

import cbam_course
from cbam_course.config import TrainConfig
from cbam_course.files import write_whole

from .device import describe
from .process_group import group_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cbam_course.data import ImageSet

FORMAT = 2
"""Version of the layout of ``history.json``."""


@dataclass
class History:
    """The record of one training run.

    Args:
        config: the run's configuration.
        model: class of the network and its number of parameters.
        data: name and classes of the set, and the number and the SHA-256 sum of the images, with
            their labels and in their order, of each group: ``train`` (learned from) and ``test``,
            and where there are some ``validation`` and ``peek``.
        sessions: where and when the run was computed: one entry, and one more for each time it was
            continued. Each holds the versions, the device, the number of processes if there were
            several, the commit, and the first epoch it did.
        epochs: one row per epoch: ``epoch`` (from 1), ``learning_rate`` (of its last step),
            ``train_loss``, ``train_accuracy``, ``test_loss``, ``test_accuracy`` and ``seconds``;
            with images held out, also ``validation_loss`` and ``validation_accuracy``, and so for
            ``peek``. Accuracies are fractions from 0 to 1. Those of training are gathered while
            the epoch goes on: from the shifted and mirrored images, under dropout, with weights
            that change at every step.
        iteration_loss: the loss of every training step.
        final: of a finished run, ``test_loss``, ``test_accuracy`` and, with attention,
            ``test_accuracy_attention_off``, the accuracy with every gate set to 1.
    """

    config: TrainConfig
    model: dict[str, Any]
    data: dict[str, Any]
    sessions: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    iteration_loss: list[float] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, Any]:
        """The row of the last epoch, not of the best; choosing by the test images would flatter."""
        if not self.epochs:
            raise ValueError("no epoch has been finished yet")
        return self.epochs[-1]

    @property
    def seconds(self) -> float:
        """Seconds that all epochs took, training and testing."""
        return sum(row["seconds"] for row in self.epochs)

    def begin_session(self, device: torch.device, precision: torch.dtype) -> None:
        """Note where the next epochs are computed."""
        self.sessions.append(
            {
                "first_epoch": len(self.epochs) + 1,
                "started": _now(),
                "finished": None,
                "device": describe(device),
                "precision": str(precision).removeprefix("torch."),
                "system": f"{platform.system()} {platform.machine()}",
                "versions": _versions(),
                "commit": _commit(),
            }
        )
        if (processes := group_size()) > 1:
            self.sessions[-1]["processes"] = processes

    def add_epoch(self, row: dict[str, Any], losses: list[float]) -> None:
        """Append an epoch's row and the losses of its steps."""
        self.epochs.append({"epoch": len(self.epochs) + 1, **row})
        self.iteration_loss.extend(round(loss, 6) for loss in losses)
        self.sessions[-1]["finished"] = _now()

    def to_dict(self) -> dict[str, Any]:
        """The record as a dictionary that JSON can hold."""
        return {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "model": self.model,
            "data": self.data,
            "sessions": self.sessions,
            "epochs": self.epochs,
            "iteration_loss": self.iteration_loss,
            "final": self.final,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "History":
        """The record that :meth:`to_dict` wrote.

        Raises:
            ValueError: if it is not such a record, or of another format.
        """
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"this is not the history of a training run in format {FORMAT}")
        try:
            config = TrainConfig.from_dict(values["config"])
            names = ("model", "data", "sessions", "epochs", "iteration_loss")
            return cls(config, *(values[name] for name in names), values.get("final", {}))
        except KeyError as error:
            raise ValueError(f"the history of this training run lacks {error}") from None

    def dumps(self) -> str:
        """The record as JSON text."""
        entries = (f"{json.dumps(key)}: {_json(value)}" for key, value in self.to_dict().items())
        return "{\n" + ",\n".join(entries) + "\n}\n"

    @classmethod
    def loads(cls, text: str) -> "History":
        """The record that :meth:`dumps` wrote.

        Raises:
            ValueError: if the text is not such a record.
        """
        return cls.from_dict(json.loads(text))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the record to a file, whole or not at all."""
        text = self.dumps()
        write_whole(Path(path), lambda file: file.write(text.encode()))

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "History":
        """Read the record that :meth:`to_json` wrote.

        Raises:
            ValueError: if the file is not such a record.
            OSError: if it cannot be read.
        """
        try:
            return cls.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def table(self, last: int | None = None) -> str:
        """The epochs as text, one line each; ``last`` keeps only the last so many."""
        titles = {
            "train": "train loss", "validation": "valid loss", "peek": "peek loss",
            "test": "test loss",
        }  # fmt: skip
        titles = {name: title for name, title in titles.items() if name in self.data["sha256"]}
        header = "".join(f"  {title:>10}  accuracy" for title in titles.values())
        lines = [f"epoch{header}   seconds"]
        for row in self.epochs[-last:] if last else self.epochs:
            values = "".join(
                f"  {row[f'{kind}_loss']:10.4f}  {row[f'{kind}_accuracy']:8.2%}" for kind in titles
            )
            lines.append(f"{row['epoch']:5d}{values}  {row['seconds']:8.1f}")
        return "\n".join(lines)

    def plot(self) -> "Figure":
        """Three panels: the loss of every step, the losses and the accuracies of every epoch.

        Raises:
            ValueError: if no epoch has been finished yet.
        """
        from .curves import plot_history  # matplotlib is not needed for training

        return plot_history(self)

    def __repr__(self) -> str:
        done = f"{len(self.epochs)} of {self.config.epochs} epochs"
        if not self.epochs:
            return f"History({done})"
        return f"History({done}, test accuracy {self.last['test_accuracy']:.2%})"


class Run(NamedTuple):
    """What training returns: the network, in evaluation mode, and the record."""

    model: torch.nn.Module
    history: History

    def __repr__(self) -> str:
        return f"Run({self.history.model['class']}, {self.history})"


def describe_data(
    data: "ImageSet", groups: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    """The images of a run: the set's name and classes, and each group's size and SHA-256 sum.

    Args:
        data: the set.
        groups: images and labels of each group, as the run uses them, in their order.
    """
    return {
        "name": data.name,
        **{name: len(labels) for name, (_, labels) in groups.items()},
        "classes": list(data.classes),
        "sha256": {name: _sha256(*group) for name, group in groups.items()},
    }


def _sha256(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def describe_model(model: torch.nn.Module) -> dict[str, Any]:
    """Class of a network and its number of parameters."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"class": type(model).__name__, "parameters": parameters}


def _json(value: Any) -> str:
    # One line for each epoch and session; the thousands of steps share one.
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n " + ",\n ".join(map(json.dumps, value)) + "\n]"
    return json.dumps(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str | None]:
    versions = {"python": platform.python_version(), "cbam_course": cbam_course.__version__}
    for name in ("torch", "torchvision", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _commit() -> str | None:
    """The commit this package is at, ``-dirty`` if changed since; None if it is not in git."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        command = ["git", "-C", str(here.parent), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        # An installed package may lie inside somebody else's repository, which does not track it.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
