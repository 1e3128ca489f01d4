"""The configuration of a training run: everything that decides what is learned.

Plain data, without PyTorch: the command line reads its options from here.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from cbam_course.labels import LABELS, MODEL_NAMES, TIMM

CHOICES = {
    "model": (*MODEL_NAMES, "custom"),
    "attention": tuple(LABELS),
    "control": ("none", "constant", "frozen"),
    "dataset": ("shapes", "cifar10", "cifar10-noise", "custom"),
    "watch": (None, "validation", "peek", "test"),
    "optimizer": ("adam", "sgd"),
    "schedule": ("onecycle", "cosine", "constant", "plateau"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
}
"""The allowed values of the fields that are names."""

LEAST = {
    "train_size": 1, "test_size": 1, "validation_size": 1, "peek_size": 1, "image_size": 1,
    "epochs": 1, "batch_size": 1, "learning_rate": 0, "weight_decay": 0, "label_smoothing": 0,
    "seed": 0,
}  # fmt: skip
"""The smallest values of the fields that are numbers."""


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how; fixed once made (``dataclasses.replace`` makes another).

    A network that cannot be built is refused when it is built, by what builds it.

    Args:
        model: the network to train. A name that :func:`~cbam_course.models.make_model` knows, such
            as ``"cifar-cnn"`` or ``"cifar-resnet"``, or ``"custom"`` for a network handed to
            :func:`~cbam_course.training.train`. What other fields say of that one, its widths for
            example, is noted in the record and has no effect.
        model_options: keyword arguments of the network's builder, such as ``depths=[9,9,9]``.
        widths: channels of the network's stages; ``None`` for its own.
        dropout: probability of zeroing a feature before the last layer; ``None`` for the network's
            own.
        attention: the attention block that the network gets. One of
            :data:`~cbam_course.attention.ATTENTION_NAMES`, or one of timm's, such as ``"timm:gc"``;
            see :func:`~cbam_course.attention.make_attention`.
        attention_options: keyword arguments of the block, such as ``reduction=8``.
        insertion_points: the modules after which the blocks go, by name or by a pattern such as
            ``"layer*"``; as ``where`` in :func:`~cbam_course.models.insert_attention`. ``None`` for
            the network's own insertion points.
        control: ``"constant"`` puts a constant gate in the place of each block, ``"frozen"`` keeps
            the blocks' random weights from learning, ``"none"`` does neither. The gate is a
            :class:`~cbam_course.attention.ConstantGate`.
        start_as_identity: let each block start as the identity, so that training starts from the
            network without attention. The block goes into an
            :class:`~cbam_course.attention.IdentityStart`.
        dataset: ``"shapes"`` (drawn on the spot), ``"cifar10"``, ``"cifar10-noise"`` (three
            channels of noise behind the colors), or ``"custom"`` for images of your own.
        train_size: number of images to learn from, the same of every class; ``None`` for all that
            are left.
        test_size: number of images to test on, the same of every class; ``None`` for all that are
            left.
        validation_size: number of training images, the same of every class, that are held out. The
            network never learns from them; each epoch's row tells the loss and the accuracy on
            them. ``None`` for none.
        peek_size: number of test images, the same of every class, that are set apart from those
            tested on. They are for an experiment on what it is worth to look at test images; each
            epoch's row tells the loss and the accuracy on them. ``None`` for none.
        watch: whose loss the schedule ``"plateau"`` looks at: ``"validation"``, ``"peek"`` or
            ``"test"``; ``None`` for the validation images or, if there are none, the test images.
        image_size: height and width to which the images are resized, bilinearly; ``None`` for
            their own.
        epochs: passes over the training images.
        batch_size: images in a step; the last step of an epoch takes what is left.
        optimizer: ``"adam"``, or ``"sgd"`` with Nesterov's momentum of 0.9.
        learning_rate: the optimizer's learning rate, the highest one of the schedule.
        weight_decay: the optimizer's weight decay (an L2 penalty).
        label_smoothing: share of the label that is spread over all classes, in the training loss
            only.
        schedule: how the learning rate moves in the course of the run. ``"onecycle"`` rises for
            30 % of the steps and then falls to nearly nothing, ``"cosine"`` falls from the start,
            ``"constant"`` stays. ``"plateau"``, the tutorial's, halves it when a loss, see
            ``watch``, has not fallen for more than 5 epochs. A run that watches the *test*
            images has seen them.
        crop: shift each training image by up to 4 pixels, chosen at random, with black coming in.
        flip: mirror each training image with probability one half.
        seed: the seed of the weights, the order of the images, the crops, the flips and dropout.
        device: ``"auto"`` (the GPU if there is one), or a name PyTorch knows, such as ``"cpu"``.
        compile: let ``torch.compile`` make the network's training faster. The compilation takes
            half a minute or more, and needs a C++ compiler on a CPU.
        precision: precision of the network's arithmetic. ``"auto"`` is ``"bfloat16"`` on an NVIDIA
            GPU that has it, ``"float16"`` on an older one, ``"float32"`` elsewhere. The weights are
            always float32.

    Raises:
        ValueError: if a name is unknown or a number too small, or if a field would be ignored:
            ``control`` without attention, or ``watch`` without a schedule that looks.
    """

    model: str = "cifar-cnn"
    model_options: dict[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] | None = None
    dropout: float | None = None
    attention: str = "none"
    attention_options: dict[str, Any] = field(default_factory=dict)
    insertion_points: tuple[str, ...] | None = None
    control: str = "none"
    start_as_identity: bool = False
    dataset: str = "shapes"
    train_size: int | None = None
    test_size: int | None = None
    validation_size: int | None = None
    peek_size: int | None = None
    watch: str | None = None
    image_size: int | None = None
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
        for name, allowed in CHOICES.items():
            timms = name == "attention" and str(getattr(self, name)).startswith(TIMM)
            if (value := getattr(self, name)) not in allowed and not timms:
                choices = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {choices}; got {value!r}")
        for name, least in LEAST.items():
            if (value := getattr(self, name)) is not None and not value >= least:
                raise ValueError(f"{name} must be at least {least}; got {value!r}")
        self._check_ignored()
        # What is read back from JSON equals what was written.
        for name in ("model_options", "attention_options"):
            object.__setattr__(self, name, json.loads(json.dumps(getattr(self, name))))
        for name in ("widths", "insertion_points"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))

    def _check_ignored(self) -> None:
        """Refuse what would be ignored without a word."""
        blocks = self.attention != "none" and self.model != "custom"
        for name in ("insertion_points", "control", "start_as_identity"):
            if not blocks and (value := getattr(self, name)) not in (None, "none", False):
                raise ValueError(
                    f"{name} {value!r} would be ignored: it needs attention, in a model that is "
                    f"not 'custom'; got {self.attention!r} in {self.model!r}"
                )
        if self.control == "frozen" and self.start_as_identity:
            raise ValueError(
                "control 'frozen' and start_as_identity exclude each other: the block would stay "
                "the identity; leave one of them out"
            )
        if self.watch is not None and self.schedule != "plateau":
            raise ValueError(
                f"watch {self.watch!r} would be ignored: it needs the schedule 'plateau'; got "
                f"{self.schedule!r}"
            )
        if self.watch in ("validation", "peek") and getattr(self, f"{self.watch}_size") is None:
            raise ValueError(f"watch {self.watch!r} needs a {self.watch}_size; got None")

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dictionary that JSON can hold; ``TrainConfig(**it)`` reads it back."""
        return json.loads(json.dumps(asdict(self)))
