"""What the things to touch on the site are fed with: a network with scenes, and paired runs.

`python -m tests.tools.touch_data` writes both files again. They are scripts rather than JSON,
because a page that is opened from disk may load scripts and may not fetch files.
"""

import json
from base64 import b64encode
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex
from scipy import stats
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cbam_course import data, plotting, records, seeing
from cbam_course.records.statistics import LEVEL, paired_differences
from tests.support.project import ROOT

FOLDER = ROOT / "book" / "site" / "touch"
SCENES = 8
"""The first test images, those of the gallery in the chapter on seeing attention."""

LARGEST = 32_767
"""Of a 16-bit integer. Float16 would leave an answer off by 0.004, integers by less than 0.001."""

NETWORKS = {
    "the tutorial's network": {
        ("blocks", "no attention"): "",
        ("controls", "no attention"): "",
    },
    "ResNet-20": {
        ("order", "no attention"): "CBAM, ",
        ("eca-kernel", "no attention"): "ECA, ",
        ("start", "ResNet-20"): "CBAM ",
    },
    "ResNet-20, a second try with fresh seeds": {
        ("small-replication", "no attention"): "",
    },
    "a wide ResNet-20": {("backbone", "wide"): ""},
    "a ResNeXt": {("backbone", "ResNeXt"): ""},
    "a network without shortcuts": {("start", "plain"): ""},
}
"""From network to experiments and their baselines, and what is said before a variant's name."""


def network() -> dict[str, Any]:
    """The shapes network of seed 0, its scenes and colors, as ``network.js`` takes them."""
    run, shapes = seeing.shipped_run("shapes"), data.shapes()
    tensors = folded(run.model.double())  # so that no rounding depends on the processor
    scales = {name: float(tensor.abs().max()) / LARGEST for name, tensor in tensors.items()}
    integers = [(tensors[n] / scales[n]).round().flatten().numpy() for n in tensors]
    palette = colormaps[plotting.ATTENTION_COLORMAP](np.linspace(0, 1, 17))
    return {
        "classes": list(shapes.classes),
        "labels": shapes.y_test[:SCENES].tolist(),
        "size": shapes.x_test.shape[1],
        "mean": list(shapes.mean),
        "std": list(shapes.std),
        "colormap": [to_hex(color) for color in palette],
        "blocks": len(run.model.stages),
        "tensors": [[n, list(t.shape), float(f"{scales[n]:.9g}")] for n, t in tensors.items()],
        "weights": encoded(np.concatenate(integers).astype("<i2")),
        "scenes": encoded(shapes.x_test[:SCENES]),
    }


def folded(model: torch.nn.Module) -> dict[str, Tensor]:
    """The weights of a CifarCNN with CBAM, each BatchNorm folded into the convolution before."""
    tensors = {}
    for number, stage in enumerate(model.stages):
        layers = stage.convolutions
        for name, first in (("first", 0), ("second", 3)):
            convolution = fuse_conv_bn_eval(layers[first], layers[first + 1])
            tensors[f"{number}.{name}.weight"] = convolution.weight
            tensors[f"{number}.{name}.bias"] = convolution.bias
        channel, spatial = stage.attention.channel_attention, stage.attention.spatial_attention
        tensors[f"{number}.mlp1"] = channel.mlp[0].weight.flatten(1)
        tensors[f"{number}.mlp2"] = channel.mlp[2].weight.flatten(1)
        tensors[f"{number}.spatial"] = spatial.conv.weight
    tensors["classifier.weight"] = model.classifier.weight
    tensors["classifier.bias"] = model.classifier.bias
    return {name: tensor.detach() for name, tensor in tensors.items()}


def encoded(array: np.ndarray) -> str:
    """The bytes of an array as base64."""
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()


def seeds() -> dict[str, Any]:
    """The paired differences of recorded runs, in percentage points, and Student's quantiles."""
    networks = [of_network(name, sources) for name, sources in NETWORKS.items()]
    most = max(len(block["seeds"]) for each in networks for block in each["blocks"])
    upper = (1 + LEVEL) / 2
    quantiles = [round(float(stats.t.ppf(upper, n - 1)), 6) for n in range(2, most + 1)]
    return {"quantiles": quantiles, "networks": networks}


def of_network(name: str, sources: dict[tuple[str, str], str]) -> dict[str, Any]:
    """A network: how it was trained, its accuracy without a block, the differences with each."""
    # By the names of the runs: some variants stand in two experiments.
    blocks: dict[tuple[str, ...], dict[str, Any]] = {}
    for (experiment, baseline), before in sources.items():
        chosen = experiment if experiment.startswith("small-") else records.largest(experiment)
        table = records.table(chosen)
        for variant, runs in table.groupby("variant", sort=False):
            if runs["baseline"].iloc[0] == baseline:
                found = paired_differences(table, runs)
                block = {
                    "name": before + variant.removeprefix(f"{baseline} + "),
                    "seeds": found.index.tolist(),
                    "differences": found.tolist(),
                }
                blocks.setdefault(tuple(runs["run"]), block)
    plain = table[table["variant"] == baseline]
    run = records.load()[plain["run"].iloc[0]]
    return {
        "name": name,
        "epochs": run.config.epochs,
        "train": run.data["train"],
        "test": run.data["test"],
        "accuracy": round(float(plain["test_accuracy"].mean()), 1),
        "blocks": list(blocks.values()),
    }


FILES = {"network": network, "seeds": seeds}


def script(name: str) -> str:
    """The content of a data file."""
    return f"cbamTouch.data.{name} = {json.dumps(FILES[name]())};\n"


if __name__ == "__main__":
    for name in FILES:
        file = FOLDER / f"{name}-data.js"
        file.write_text(script(name), encoding="utf-8")
        print(file, file.stat().st_size)
