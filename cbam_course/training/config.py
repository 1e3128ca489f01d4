"""The configuration of a training run: everything that decides what is learned."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from operator import index
from typing import Any

import torch
from torch import nn

from cbam_course import models
from cbam_course.attention import (
    ATTENTION_NAMES,
    AttentionFactory,
    ConstantGate,
    attention_blocks,
    make_attention,
    starting_as_identity,
)

MODEL_NAMES = (*(name.replace("_", "-") for name in models.MODEL_NAMES), "custom")
DATASET_NAMES = ("shapes", "cifar10", "custom")
CONTROLS = ("none", "constant", "frozen")
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("onecycle", "cosine", "constant", "plateau")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
OF_THE_NETWORK = (
    "model_options", "widths", "dropout", "attention", "attention_options", "attention_places",
    "control", "start_as_identity",
)  # fmt: skip
"""The fields that describe a network, apart from its name."""


_CAN_BE_BUILT: set[str] = set()
"""Networks that have been built once, as JSON of their fields."""


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how; fixed once made (``dataclasses.replace`` makes another).

    Args:
        model: a name that :func:`~cbam_course.models.make_model` knows, such as ``"cifar-cnn"`` or
            ``"cifar-resnet"``, or ``"custom"`` for a network handed to
            :func:`~cbam_course.training.train`. What other fields say of a custom network, its
            widths for example, is noted in the record and has no effect.
        model_options: keyword arguments of the network's builder, such as
            ``{"depths": [9, 9, 9]}``.
        widths: channels of the network's stages; ``None`` for its own.
        dropout: probability of zeroing a feature before the last layer; ``None`` for the network's
            own.
        attention: one of :data:`~cbam_course.attention.ATTENTION_NAMES`.
        attention_options: keyword arguments of the block, such as ``{"reduction": 8}``.
        attention_places: names or patterns of the modules after which the blocks go, as ``where``
            in :func:`~cbam_course.models.insert_attention`; ``None`` for the network's own places.
        control: ``"constant"`` puts a :class:`~cbam_course.attention.ConstantGate` in the place of
            each block, ``"frozen"`` keeps the blocks' random weights from learning, ``"none"``
            does neither.
        start_as_identity: put each block into an :class:`~cbam_course.attention.IdentityStart`, so
            that training starts from the network without attention.
        dataset: ``"shapes"`` (drawn on the spot), ``"cifar10"``, or ``"custom"`` for images of your
            own.
        train_size, test_size: number of images: so many shapes are drawn, or of another set so many
            are chosen, the same of every class; ``None`` for all there are.
        validation_size: number of training images, the same of every class, that are held out. The
            network never learns from them; each epoch's row tells the loss and the accuracy on
            them, and ``"plateau"`` looks at them and not at the test images. ``None`` for none.
        image_size: height and width to which the images are resized, bilinearly; ``None`` for
            their own.
        noise_channels: channels of random noise behind those of the images. In training they are
            drawn anew in every epoch, from the seed; the test images always have the same noise.
        epochs: passes over the training images.
        batch_size: images in a step; the last step of an epoch takes what is left.
        optimizer: ``"adam"``, or ``"sgd"`` with Nesterov's momentum of 0.9.
        learning_rate: the optimizer's learning rate, the highest one of the schedule.
        weight_decay: the optimizer's weight decay (an L2 penalty).
        label_smoothing: share of the label that is spread over all classes, in the training loss
            only.
        schedule: how the learning rate moves. ``"onecycle"`` rises for 30 % of the steps and then
            falls to nearly nothing, ``"cosine"`` falls from the start, ``"constant"`` stays.
            ``"plateau"``, the tutorial's, halves it when a loss has not fallen for more than 5
            epochs: that of the images held out or, if there are none, that of the *test* images.
            Such a run has seen them.
        crop: shift each training image by up to 4 pixels, chosen at random, with black coming in.
        flip: mirror each training image with probability one half.
        seed: of the weights, the order of the images, the crops, the flips and dropout.
        device: ``"auto"`` (the GPU if there is one), or a name PyTorch knows, such as ``"cpu"``.
        compile: let ``torch.compile`` make the network's training faster, after half a minute or
            more for the compilation, which needs a C++ compiler on a CPU.
        precision: of the network's arithmetic. ``"auto"`` is ``"bfloat16"`` on an NVIDIA GPU that
            has it, ``"float16"`` on an older one, ``"float32"`` elsewhere. The weights are always
            float32.

    Raises:
        ValueError: if a value is not of its kind or out of its range, or if a field would be
            ignored: ``control`` without attention, or for a ``"custom"`` network.
    """

    model: str = "cifar-cnn"
    model_options: dict[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] | None = None
    dropout: float | None = None
    attention: str = "none"
    attention_options: dict[str, Any] = field(default_factory=dict)
    attention_places: tuple[str, ...] | None = None
    control: str = "none"
    start_as_identity: bool = False
    dataset: str = "shapes"
    train_size: int | None = None
    test_size: int | None = None
    validation_size: int | None = None
    image_size: int | None = None
    noise_channels: int = 0
    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    schedule: str = "onecycle"
    crop: bool = True
    flip: bool = True
    seed: int = 0
    device: str = "auto"
    compile: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("model", MODEL_NAMES),
            ("attention", ATTENTION_NAMES),
            ("control", CONTROLS),
            ("dataset", DATASET_NAMES),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if (value := getattr(self, name)) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {choices}; got {value!r}")
        # NumPy's float64 passes for a float, but a checkpoint that holds one cannot be read again.
        for name in ("dropout", "learning_rate", "weight_decay", "label_smoothing"):
            if isinstance(value := getattr(self, name), float):
                object.__setattr__(self, name, float(value))
        for name, least in (("noise_channels", 0), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            _check_integer(name, getattr(self, name), least)
        for name in ("train_size", "test_size", "validation_size", "image_size"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), 1)
        _check_number("learning_rate", self.learning_rate, above_zero=True)
        _check_number("weight_decay", self.weight_decay, above_zero=False)
        _check_number("label_smoothing", self.label_smoothing, above_zero=False)
        if self.label_smoothing > 1:
            raise ValueError(f"label_smoothing must be at most 1, got {self.label_smoothing!r}")
        for name in ("start_as_identity", "crop", "flip", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if not isinstance(self.device, str):
            raise ValueError(f"device must be a name such as 'cpu' or 'cuda', got {self.device!r}")
        self._check_network()

    def _check_network(self) -> None:
        for name, example in (("model_options", "depths"), ("attention_options", "reduction")):
            object.__setattr__(self, name, _as_options(name, getattr(self, name), example))
        for name in ("widths", "attention_places"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.widths is not None:
            object.__setattr__(self, "widths", _as_widths(self.widths))
        places = self.attention_places
        if places is not None and not (
            isinstance(places, tuple) and places and all(isinstance(place, str) for place in places)
        ):
            raise ValueError(
                "attention_places must be names or patterns of modules such as "
                f"('layer1', 'layer2'), or None; got {places!r}"
            )
        for name in ("attention_places", "control", "start_as_identity"):
            if (value := getattr(self, name)) in (None, "none", False):
                continue
            if self.model == "custom":
                raise ValueError(
                    f"{name} {value!r} would be ignored: the model 'custom' is trained as it is "
                    "handed over"
                )
            if self.attention == "none":
                raise ValueError(f"{name} {value!r} needs attention; got attention 'none'")
        if self.control == "frozen" and self.start_as_identity:
            raise ValueError(
                "control 'frozen' and start_as_identity exclude each other: a frozen block would "
                "be the identity for ever"
            )
        if self.model == "custom":
            return
        # Building the network checks its options and the attention's. Configurations that differ in
        # their training alone have one network.
        fields = ("model", *OF_THE_NETWORK, "noise_channels")
        network = json.dumps({name: getattr(self, name) for name in fields}, sort_keys=True)
        if network not in _CAN_BE_BUILT:
            with torch.device("meta"):
                self.build_model(num_classes=10)
            _CAN_BE_BUILT.add(network)

    def build_model(self, num_classes: int, in_channels: int = 3) -> nn.Module:
        """The network this configuration names, with fresh random weights.

        Args:
            num_classes: number of classes.
            in_channels: channels of the images; ``noise_channels`` come on top.

        Raises:
            ValueError: if the model is ``"custom"``, or for whatever the network or the block
                refuses.
        """
        if self.model == "custom":
            raise ValueError("the model 'custom' has to be handed over: train(config, model=...)")
        if decided := sorted({"weights", "num_classes", "in_channels"} & self.model_options.keys()):
            raise ValueError(
                f"{' and '.join(decided)} cannot be among the model_options: a run starts from "
                "random weights, and the images decide the classes and channels"
            )
        given = {"widths": self.widths, "dropout": self.dropout}
        options = {name: value for name, value in given.items() if value is not None}
        if twice := sorted(options.keys() & self.model_options.keys()):
            raise ValueError(f"{' and '.join(twice)} is given twice: also in model_options")
        options |= self.model_options
        in_channels += self.noise_channels
        attention = self._attention()
        at_builder = attention if self.attention_places is None else None
        try:
            model = models.make_model(
                self.model, at_builder, num_classes=num_classes, in_channels=in_channels, **options
            )
            if self.attention_places is not None:
                example = torch.zeros(1, in_channels, 32, 32)
                models.insert_attention(model, attention, self.attention_places, example=example)
        except TypeError as error:
            raise ValueError(
                f"attention_options {self.attention_options} and model options {options} do not "
                f"fit {self.attention!r} and {self.model!r}: {error}"
            ) from None
        if self.control == "frozen":
            for block in attention_blocks(model).values():
                block.requires_grad_(False)
        return model

    def _attention(self) -> AttentionFactory | None:
        if self.control == "constant":
            if self.attention_options:
                raise ValueError(
                    f"control 'constant' takes no attention_options, got {self.attention_options}"
                )
            factory = ConstantGate
        else:
            factory = make_attention(self.attention, **self.attention_options)
        return starting_as_identity(factory) if self.start_as_identity else factory

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dictionary that JSON can hold."""
        values = asdict(self)
        for name in ("widths", "attention_places"):
            if values[name] is not None:
                values[name] = list(values[name])
        return values

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


def _as_options(name: str, value: object, example: str) -> dict[str, Any]:
    """``value`` as it comes back from JSON, so that what is read equals what was written."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a dictionary such as {{{example!r}: 8}}, got {value!r}")
    try:
        return json.loads(json.dumps(dict(value)))
    except TypeError as error:
        raise ValueError(f"{name} must hold numbers, texts and lists only: {error}") from None


def _as_widths(value: object) -> tuple[int, ...]:
    try:
        widths = tuple(map(index, value))
    except TypeError:
        widths = ()
    if not widths or min(widths) < 1:
        raise ValueError(
            f"widths must be the channels of each stage, such as (64, 128, 256); got {value!r}"
        )
    return widths


def _check_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _check_number(name: str, value: object, *, above_zero: bool) -> None:
    kind = "a number above 0" if above_zero else "a number of at least 0"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    if value < 0 or (above_zero and value == 0):
        raise ValueError(f"{name} must be {kind}, got {value!r}")
