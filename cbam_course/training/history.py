"""What happened in a training run, and where, and with what: the record a chapter reads."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

import cbam_course
from cbam_course import plotting
from cbam_course.config import TrainConfig
from cbam_course.data import ImageSet
from cbam_course.files import write_whole

from .device import describe
from .process_group import group_size

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
        return self.epochs[-1]

    @property
    def seconds(self) -> float:
        """Seconds that all epochs took, training and testing."""
        return sum(row["seconds"] for row in self.epochs)

    def begin_session(self, device: torch.device, precision: torch.dtype) -> None:
        """Note where the next epochs are computed."""
        session = {
            "first_epoch": len(self.epochs) + 1,
            "started": _now(),
            "finished": None,
            "precision": str(precision).removeprefix("torch."),
            **origin(device),
        }
        several = {"processes": group_size()} if group_size() > 1 else {}
        self.sessions.append(session | several)

    def add_epoch(self, row: dict[str, Any], losses: list[float]) -> None:
        """Append an epoch's row and the losses of its steps."""
        self.epochs.append({"epoch": len(self.epochs) + 1, **row})
        self.iteration_loss.extend(round(loss, 6) for loss in losses)
        self.sessions[-1]["finished"] = _now()

    def to_dict(self) -> dict[str, Any]:
        """The record as a dictionary that JSON can hold."""
        return {"format": FORMAT, **asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "History":
        """The record that :meth:`to_dict` wrote.

        Raises:
            ValueError: if it is of another format, or no record.
        """
        parts = dict(values)
        if parts.pop("format", None) != FORMAT:
            raise ValueError(f"this is not the history of a training run in format {FORMAT}")
        return cls(**parts | {"config": TrainConfig(**parts["config"])})

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the record to a file, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1) + "\n"
        write_whole(Path(path), lambda file: file.write(text.encode()))

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "History":
        """Read the record that :meth:`to_json` wrote.

        Raises:
            ValueError: if the file is not such a record.
            OSError: if it cannot be read.
        """
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    @plotting.course_style()
    def plot(self) -> Figure:
        """Three panels: the loss of every step, the losses and the accuracies of every epoch.

        Training is gray and dashed, testing has the color of the run's attention, and the images
        held out, if there are any, are dotted.

        Raises:
            IndexError: if no epoch has been finished yet.
        """
        epochs = range(1, self.last["epoch"] + 1)
        gray = "#AEB6BD" if self.config.attention == "none" else "#8A939B"
        styles = {
            "train": {"color": gray, "marker": "o", "linestyle": "--"},
            "validation": {"color": plotting.INK, "marker": "^", "linestyle": ":"},
            "test": {"color": plotting.method_color(self.config.attention), "marker": "s"},
        }
        figure, ((steps, *panels),) = plotting.page(1, 3, 3.2)
        loss = np.array(self.iteration_loss)
        # Single steps are noisy: the line is the mean over a twentieth of the run.
        window = max(1, len(loss) // 20)
        mean = np.convolve(loss, np.full(window, 1 / window), mode="valid")
        steps.plot(np.arange(1, len(loss) + 1), loss, color="#C9CFD4", linewidth=0.8)
        steps.plot(np.arange(len(mean)) + (window + 1) / 2, mean, color=plotting.INK)
        steps.set(title="Training loss, each step", xlabel="step")
        for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
            for kind in [kind for kind in styles if kind in self.data]:
                axes.plot(
                    epochs, [row[f"{kind}_{quantity}"] for row in self.epochs], label=kind,
                    **styles[kind], markersize=5 if len(epochs) <= 12 else 0,  # else hidden
                )  # fmt: skip
            axes.set(title=f"{quantity.capitalize()}, each epoch", xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
            axes.legend()
        panels[1].yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        for axes in (steps, panels[0]):
            axes.set_ylim(bottom=0)
        for axes in figure.axes:
            axes.grid(axis="y")
        return figure

    def __repr__(self) -> str:
        result = f", test accuracy {self.last['test_accuracy']:.2%}" if self.epochs else ""
        return f"History({len(self.epochs)} of {self.config.epochs} epochs{result})"


class Run(NamedTuple):
    """What training returns: the network, in evaluation mode, and the record."""

    model: torch.nn.Module
    history: History

    def __repr__(self) -> str:
        return f"Run({self.history.model['class']}, {self.history})"


def describe_data(
    data: ImageSet, groups: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    """The images of a run: the set's name and classes, and each group's size and SHA-256 sum.

    ``groups`` holds the images and labels of each group, as the run uses them, in their order.
    """
    sizes, sums = {}, {}
    for name, arrays in groups.items():
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array))
        sizes[name], sums[name] = len(array), digest.hexdigest()
    return {"name": data.name, **sizes, "classes": list(data.classes), "sha256": sums}


def describe_model(model: torch.nn.Module) -> dict[str, Any]:
    """Class of a network and its number of parameters."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"class": type(model).__name__, "parameters": parameters}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def origin(device: torch.device) -> dict[str, Any]:
    """Where something is computed, for its record: device, system, versions and commit."""
    return {
        "device": describe(device),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            "cbam_course": cbam_course.__version__,
            **{name: version(name) for name in ("torch", "torchvision", "numpy")},
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit this package is at, ``-dirty`` if changed since; None if it is not in git."""
    here = Path(__file__).resolve()
    options = {"cwd": here.parent, "capture_output": True, "text": True, "timeout": 10}
    # An installed package may lie inside somebody else's repository, which does not track it.
    tracked = ["git", "ls-files", "--error-unmatch", here.name]
    described = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        subprocess.run(tracked, check=True, **options)
        return subprocess.run(described, check=True, **options).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
