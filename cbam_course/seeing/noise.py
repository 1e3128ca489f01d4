"""The noise-channel experiment: three channels of color, three of noise, and one gate on them."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from cbam_course.attention import ChannelAttention
from cbam_course.data import shapes
from cbam_course.models import CifarCNN
from cbam_course.training import TrainConfig, seed_epoch, train
from cbam_course.training.run import Run

NOISE_ARMS = ("rgb", "plain", "gated")
"""The networks that are compared, without noise, with noise, and with a gate on noisy input."""


@dataclass(frozen=True, eq=False)
class NoisyImages:
    """Labelled images with further channels of noise, for :func:`~cbam_course.training.train`.

    Args:
        name: name of the set.
        x_train, x_test: bytes, ``[N, 32, 32, 3 + noise channels]``.
        y_train, y_test: labels, ``[N]``.
        classes: names of the classes.

    Attributes:
        mean: of the training pixels in [0, 1], one value for each channel.
        std: their standard deviation, likewise.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    mean: tuple[float, ...] = field(init=False)
    std: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        # Counts of bytes are exact, so all machines normalize alike.
        counts = [np.bincount(c.ravel(), minlength=256) for c in np.moveaxis(self.x_train, -1, 0)]
        levels = np.arange(256)
        means = [int(count @ levels) / int(count.sum()) for count in counts]
        squares = [int(count @ levels**2) / int(count.sum()) for count in counts]
        deviations = [(s - m * m) ** 0.5 for m, s in zip(means, squares, strict=True)]
        object.__setattr__(self, "mean", tuple(m / 255 for m in means))
        object.__setattr__(self, "std", tuple(d / 255 for d in deviations))


def noisy_shapes(
    train: int = 4000, test: int = 1000, *, noise_channels: int = 3, seed: int = 0
) -> NoisyImages:
    """The shapes with channels of uniform noise behind red, green and blue.

    Every image has noise of its own, which says nothing about it; it is drawn once, as the image.

    Args:
        train, test: number of images.
        noise_channels: how many channels of noise; 0 gives the plain shapes.
        seed: of the noise; the shapes are those of seed 0.

    Raises:
        ValueError: if a number is negative.
    """
    if (
        isinstance(noise_channels, bool)
        or not isinstance(noise_channels, int)
        or noise_channels < 0
    ):
        raise ValueError(f"noise_channels must be an integer of at least 0, got {noise_channels!r}")
    plain = shapes(train, test)
    arrays = []
    for split, images in enumerate((plain.x_train, plain.x_test)):
        bits = np.random.PCG64(np.random.SeedSequence([seed, split]))
        number = len(images) * 32 * 32 * noise_channels
        # Raw bits, eight bytes a word: the same on every machine and with every version.
        words = bits.random_raw(-(-number // 8)).astype("<u8")
        noise = words.view(np.uint8)[:number].reshape(len(images), 32, 32, noise_channels)
        arrays.append(np.concatenate([images, noise], axis=-1))
    name = f"shapes with {noise_channels} noise channels"
    return NoisyImages(name, arrays[0], plain.y_train, arrays[1], plain.y_test, plain.classes)


class FirstGate(nn.Module):
    r"""A network behind a channel attention on its input: one weight for each color or noise.

    .. math:: y = \mathrm{network}\big(M_c(x) \otimes x\big)

    The gate is that of the tutorial: the shared MLP with r = 1 and biases.

    Args:
        network: the network.
        channels: channels of the images.

    Attributes:
        first: the gate.
        network: the network.
    """

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.network = network
        self.first = ChannelAttention(channels, reduction=1, bias=True, layer="linear")

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[B, channels, H, W]`` -> what the network makes of them."""
        return self.network(self.first(x))


def train_with_noise(arm: str, seed: int = 0, *, epochs: int = 8, images: int = 4000) -> Run:
    """Train one network of the noise experiment: a narrow :class:`~cbam_course.models.CifarCNN`.

    The convolutions of one seed begin alike with and without the gate.

    Args:
        arm: ``"rgb"`` (no noise), ``"plain"`` (three channels of noise), or ``"gated"`` (the same
            noise, behind a :class:`FirstGate`).
        seed: of the weights, the order of the images and their shifts; the noise is the same.
        epochs: passes over the training images.
        images: number of training images.

    Returns:
        The network and its record.

    Raises:
        ValueError: if there is no such arm.
    """
    if arm not in NOISE_ARMS:
        raise ValueError(f"arm must be one of {', '.join(map(repr, NOISE_ARMS))}; got {arm!r}")
    data = noisy_shapes(images, noise_channels=0 if arm == "rgb" else 3)
    gated = arm == "gated"
    config = TrainConfig(
        model="custom",
        dataset="custom",
        widths=(8, 16, 32),
        dropout=0.1,
        attention="channel-fc" if gated else "none",
        attention_options={"reduction": 1, "bias": True, "layer": "linear"} if gated else {},
        epochs=epochs,
        batch_size=64,
        learning_rate=4e-3,
        seed=seed,
        device="cpu",
    )
    seed_epoch(seed, 0)
    channels = len(data.mean)
    model: nn.Module = CifarCNN(widths=config.widths, dropout=config.dropout, in_channels=channels)
    return train(config, data, model=FirstGate(model, channels) if gated else model, progress=False)
