"""How well wrong blocks train: the runs behind the table of the page "Is my CBAM right?".

`python -m tests.tools.train_wrong_blocks` prints the table of the recorded runs, and
`python -m tests.tools.train_wrong_blocks runs.json` makes them again, a quarter of an hour on one
core; what is in `runs.json` already is kept. All blocks get the same images and the same seeds.
"""

import json
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cbam_course import data, models
from cbam_course.files import write_whole
from cbam_course.records.statistics import mean_interval
from cbam_course.training import TrainConfig, seed_epoch, train
from tests.support.project import ROOT
from tests.support.wrong_blocks import WRONG, Right

RECORD = ROOT / "book" / "wrong_blocks.json"
RIGHT, NONE = "right block", "no attention"
CHOSEN = (
    "average added twice", "two MLPs", "pools added before the MLP", "maximum of a window",
    "no hidden unit", "two sigmoids on the channel map", "no sigmoid on the spatial map",
    "residual", "features twice",
)  # fmt: skip
SEEDS = range(5)
KINDS, DRAWN, TESTED = 5, 8000, 2000  # of the ten kinds of shapes the first five, half the images
NETWORK = {"depths": [1, 1, 1], "widths": [16, 32, 64]}
CONFIG = TrainConfig(
    epochs=3, batch_size=64, learning_rate=8e-3, image_size=16, crop=False, device="cpu",
    precision="float32",
)  # fmt: skip


def blocks() -> dict:
    """What makes each block from the number of channels; with r = 4, where it has an r."""
    wrong = {name: WRONG[name][0] for name in CHOSEN}
    return {NONE: None, RIGHT: partial(Right, reduction=4)} | {
        name: block if isinstance(block, partial) else partial(block, reduction=4)
        for name, block in wrong.items()
    }


def images() -> data.ImageSet:
    """Drawn shapes of the first kinds only."""
    drawn = data.shapes(DRAWN, TESTED)
    kept = [labels < KINDS for labels in (drawn.y_train, drawn.y_test)]
    parts = (drawn.x_train, drawn.y_train), (drawn.x_test, drawn.y_test)
    arrays = [array[keep] for keep, part in zip(kept, parts, strict=True) for array in part]
    return data.ImageSet("shapes", *arrays, drawn.classes[:KINDS])


def main(path: Path) -> None:
    """Train what is not in the file yet, and write each run as it is finished."""
    warnings.simplefilter("ignore")  # of a layer without elements
    torch.set_num_threads(1)
    shapes = images()
    config = {k: v for k, v in CONFIG.to_dict().items() if k not in ("model", "seed", "attention")}
    record = {
        "command": "python -m tests.tools.train_wrong_blocks runs.json",
        "network": {"model": "cifar-resnet", **NETWORK}, "config": config,
        "data": {"kinds": list(shapes.classes), "train": len(shapes.y_train),
                 "test": len(shapes.y_test)},
        "seeds": list(SEEDS), "machine": {}, "runs": [],
    }  # fmt: skip
    if path.exists():
        record["runs"] = json.loads(path.read_text("utf-8"))["runs"]
    done = {(run["block"], run["seed"]) for run in record["runs"]}
    for seed in SEEDS:
        for name, block in blocks().items():
            if (name, seed) in done:
                continue
            seed_epoch(seed, 0)
            network = models.make_model("cifar-resnet", block, num_classes=KINDS, **NETWORK)
            trained = train(
                TrainConfig(**CONFIG.to_dict() | {"seed": seed}), shapes, model=network,
                progress=False,
            ).history  # fmt: skip
            record["machine"] = {k: trained.sessions[-1][k] for k in ("device", "system", "versions")}
            accuracies = [round(row["test_accuracy"], 6) for row in trained.epochs]
            run = {"block": name, "seed": seed, "parameters": trained.model["parameters"],
                   "test_accuracy": accuracies, "seconds": round(trained.seconds, 1)}  # fmt: skip
            record["runs"].append(run)
            print(run, flush=True)
            text = json.dumps(record | {"runs": []}, indent=1).removesuffix("[]\n}")
            text += "[\n  " + ",\n  ".join(map(json.dumps, record["runs"])) + "\n ]\n}\n"
            write_whole(path, lambda file, text=text: file.write(text.encode()))


def table(record: dict) -> list[str]:
    """The page's rows: mean accuracy, and the difference from the right block, paired by seed."""
    last = {(run["block"], run["seed"]): 100 * run["test_accuracy"][-1] for run in record["runs"]}
    rows = []
    for name in dict.fromkeys(run["block"] for run in record["runs"]):
        own = np.array([last[name, seed] for seed in record["seeds"]])
        mean, low, high = mean_interval(own - [last[RIGHT, seed] for seed in record["seeds"]])
        difference = "" if name == RIGHT else f"{mean:+.1f}"
        interval = "" if name == RIGHT else f"{low:+.1f} to {high:+.1f}"
        rows.append(f"| {name} | {own.mean():.1f} | {difference} | {interval} |")
    return rows


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        print(*table(json.loads(RECORD.read_text("utf-8"))), sep="\n")
