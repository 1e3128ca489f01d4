"""The noise-channel experiment: the runs behind the recorded gates on color and noise (chapter 10).

`python -m tests.tools.train_noise gated 3 noise-gated-3.json` makes the run of one arm and seed.
"""

import sys
from collections import OrderedDict

from torch import nn

from cbam_course.attention import ChannelAttention
from cbam_course.data import shapes, with_noise
from cbam_course.models import CifarCNN
from cbam_course.training import Run, TrainConfig, seed_epoch, train

GATE = {"reduction": 1, "bias": True, "layer": "linear"}
"""The tutorial's gate: the shared MLP with r = 1 and biases."""


class FirstGate(nn.Sequential):
    r"""A network behind a gate on its input: :math:`\mathrm{network}(M_c(x) \otimes x)`."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__(OrderedDict(first=ChannelAttention(channels, **GATE), network=network))


def run(arm: str, seed: int, epochs: int = 8, images: int = 4000) -> Run:
    """Train a narrow CifarCNN on the shapes alone, or with noise, ``"gated"`` or not.

    The convolutions of one seed begin alike in all arms, and the noise is the same for all seeds.
    """
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
    model = CifarCNN(widths=config.widths, dropout=config.dropout, in_channels=channels)
    return train(config, data, model=FirstGate(model, channels) if gated else model, progress=False)


if __name__ == "__main__":
    arm, seed, file = sys.argv[1:]
    run(arm, int(seed)).history.to_json(file)
