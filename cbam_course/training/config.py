"""The configuration of a training run: everything that decides what is learned."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

import torch
from torch import nn

from cbam_course.attention import ATTENTION_NAMES, make_attention
from cbam_course.models import CifarCNN

MODEL_NAMES = ("cifar-cnn", "custom")
DATASET_NAMES = ("shapes", "cifar10", "custom")
SCHEDULES = ("onecycle", "cosine", "constant")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how; fixed once made (``dataclasses.replace`` makes another).

    Args:
        model: ``"cifar-cnn"``, or ``"custom"`` for a network handed to
            :func:`~cbam_course.training.train`.
        attention: one of :data:`~cbam_course.attention.ATTENTION_NAMES`.
        attention_options: keyword arguments of the block, such as ``{"reduction": 8}``.
        widths: channels of the network's stages.
        dropout: probability of zeroing a feature before the last layer.
        dataset: ``"shapes"`` (drawn on the spot), ``"cifar10"``, or ``"custom"`` for images of your
            own.
        train_size, test_size: number of images: so many shapes are drawn, or of another set so many
            are chosen, the same of every class; ``None`` for all there are.
        epochs: passes over the training images.
        batch_size: images in a step; the last step of an epoch takes what is left.
        learning_rate: Adam's learning rate, the highest one of the schedule.
        weight_decay: Adam's weight decay (an L2 penalty).
        schedule: how the learning rate moves from step to step. ``"onecycle"`` rises for 30 % of
            the steps and then falls to nearly nothing, ``"cosine"`` falls from the start,
            ``"constant"`` stays.
        crop: shift each training image by up to 4 pixels, chosen at random, with black coming in.
        flip: mirror each training image with probability one half.
        seed: of the weights, the order of the images, the crops, the flips and dropout.
        device: ``"auto"`` (the GPU if there is one), or a name PyTorch knows, such as ``"cpu"``.
        precision: of the network's arithmetic. ``"auto"`` is ``"bfloat16"`` on an NVIDIA GPU that
            has it, ``"float16"`` on an older one, ``"float32"`` elsewhere. The weights are always
            float32.

    Raises:
        ValueError: if a value is not of its kind or out of its range.
    """

    model: str = "cifar-cnn"
    attention: str = "none"
    attention_options: dict[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = (64, 128, 256)
    dropout: float = 0.5
    dataset: str = "shapes"
    train_size: int | None = None
    test_size: int | None = None
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "onecycle"
    crop: bool = True
    flip: bool = True
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("model", MODEL_NAMES),
            ("attention", ATTENTION_NAMES),
            ("dataset", DATASET_NAMES),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if (value := getattr(self, name)) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {choices}; got {value!r}")
        # NumPy's float64 passes for a float, but a checkpoint that holds one cannot be read again.
        for name in ("dropout", "learning_rate", "weight_decay"):
            if isinstance(value := getattr(self, name), float):
                object.__setattr__(self, name, float(value))
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            _check_integer(name, getattr(self, name), least)
        for name in ("train_size", "test_size"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), 1)
        _check_number("learning_rate", self.learning_rate, above_zero=True)
        _check_number("weight_decay", self.weight_decay, above_zero=False)
        for name in ("crop", "flip"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if not isinstance(self.device, str):
            raise ValueError(f"device must be a name such as 'cpu' or 'cuda', got {self.device!r}")
        self._check_network()

    def _check_network(self) -> None:
        if not isinstance(self.attention_options, Mapping):
            raise ValueError(
                "attention_options must be a dictionary such as {'reduction': 8}, "
                f"got {self.attention_options!r}"
            )
        # Tuples become lists and back, so that a configuration read from JSON equals the one
        # written.
        try:
            options = json.loads(json.dumps(dict(self.attention_options)))
        except TypeError as error:
            raise ValueError(
                f"attention_options must hold numbers, texts and lists only: {error}"
            ) from None
        object.__setattr__(self, "attention_options", options)
        if isinstance(self.widths, (list, tuple)):
            object.__setattr__(self, "widths", tuple(self.widths))
        if self.model == "cifar-cnn":
            # Building the network checks the widths, the dropout and the attention's options; on
            # the "meta" device it takes no memory and draws no random numbers.
            with torch.device("meta"):
                self.build_model(num_classes=10)

    def build_model(self, num_classes: int, in_channels: int = 3) -> nn.Module:
        """The network this configuration names, with fresh random weights.

        Args:
            num_classes: number of classes.
            in_channels: channels of the images.

        Raises:
            ValueError: if the model is ``"custom"``, or for whatever the network or the block
                refuses.
        """
        if self.model == "custom":
            raise ValueError("the model 'custom' has to be handed over: train(config, model=...)")
        try:
            attention = make_attention(self.attention, **self.attention_options)
            return CifarCNN(
                attention,
                num_classes,
                widths=self.widths,
                dropout=self.dropout,
                in_channels=in_channels,
            )
        except TypeError as error:
            raise ValueError(
                f"attention_options {self.attention_options} do not fit {self.attention!r}: {error}"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dictionary that JSON can hold."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The configuration that :meth:`to_dict` wrote; fields left out take their defaults.

        Raises:
            ValueError: if there is a field that ``TrainConfig`` does not have, or a bad value.
        """
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ValueError(f"TrainConfig has no field {', '.join(map(repr, unknown))}")
        return cls(**values)

    def differences(self, other: "TrainConfig") -> list[str]:
        """Names of the fields in which two configurations differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


def _check_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _check_number(name: str, value: object, *, above_zero: bool) -> None:
    kind = "a number above 0" if above_zero else "a number of at least 0"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    if value < 0 or (above_zero and value == 0):
        raise ValueError(f"{name} must be {kind}, got {value!r}")
