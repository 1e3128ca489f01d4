"""The noise-channel experiment: three channels of color, three of noise, and one gate on them."""

from collections import OrderedDict

from torch import nn

from cbam_course.attention import ChannelAttention
from cbam_course.data import shapes, with_noise
from cbam_course.models import CifarCNN
from cbam_course.training import Run, TrainConfig, seed_epoch, train

NOISE_ARMS = ("rgb", "plain", "gated")
"""The networks that are compared, without noise, with noise, and with a gate on noisy input."""

GATE = {"reduction": 1, "bias": True, "layer": "linear"}


class FirstGate(nn.Sequential):
    r"""A network behind a channel attention on its input: one weight for each color or noise.

    .. math:: y = \mathrm{network}\big(M_c(x) \otimes x\big)

    The gate is that of the tutorial: the shared MLP with r = 1 and biases.

    Args:
        network: the network, for images ``[B, channels, H, W]``; its attribute is ``network``.
        channels: channels of the images; the gate is the attribute ``first``.
    """

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__(OrderedDict(first=ChannelAttention(channels, **GATE), network=network))


def train_with_noise(arm: str, seed: int = 0, *, epochs: int = 8, images: int = 4000) -> Run:
    """Train one network of the noise experiment: a narrow :class:`~cbam_course.models.CifarCNN`.

    The images are the shapes, with :func:`~cbam_course.data.with_noise`. The convolutions of one
    seed begin alike with and without the gate.

    Args:
        arm: ``"rgb"`` (no noise), ``"plain"`` (three channels of noise), or ``"gated"`` (the same
            noise, behind a gate).
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
    gated = arm == "gated"
    data = with_noise(shapes(images), 0 if arm == "rgb" else 3)
    config = TrainConfig(
        model="custom",
        dataset="custom",
        widths=(8, 16, 32),
        dropout=0.1,
        attention="channel-fc" if gated else "none",
        attention_options=GATE if gated else {},
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
