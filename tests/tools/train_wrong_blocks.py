"""How well wrong blocks train: the runs behind the table of the page "Is my CBAM right?".

`python -m tests.tools.train_wrong_blocks runs.json` makes the runs in about a quarter of an hour of
one core, and writes each as it ends; without a file it prints the table of the recorded ones.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import torch

from cbam_course import data, models
from cbam_course.files import write_whole
from cbam_course.records.statistics import mean_interval
from cbam_course.training import TrainConfig, seed_epoch, train
from tests.support.project import ROOT
from tests.support.wrong_blocks import WRONG, Right

RECORD = ROOT / "book" / "wrong_blocks.json"
RIGHT = "right block"
CHOSEN = (
    "average added twice", "two MLPs", "maximum of a window", "no hidden unit", "features twice",
    "two sigmoids on the channel map", "no sigmoid on the spatial map", "residual",
    "pools added before the MLP",
)  # fmt: skip
SEEDS = range(5)
KINDS, DRAWN, TESTED = 5, 8000, 2000  # the first five of ten kinds of shapes: half of the images
NETWORK = {"name": "cifar-resnet", "depths": [1, 1, 1], "widths": [16, 32, 64]}
CONFIG = TrainConfig(
    model="custom", epochs=3, batch_size=64, learning_rate=8e-3, image_size=16, crop=False
)
CONFIG = replace(CONFIG, device="cpu", precision="float32")


def blocks() -> dict:
    """What makes each block from the number of channels, with r = 4; ``None`` without attention."""
    made = {name: WRONG[name][0] for name in CHOSEN}
    narrow = {k: v if isinstance(v, partial) else partial(v, reduction=4) for k, v in made.items()}
    return {"no attention": None, RIGHT: partial(Right, reduction=4), **narrow}


def network(block: partial | None) -> torch.nn.Module:
    """A small ResNet with the block at the end of each branch."""
    return models.make_model(attention=block, num_classes=KINDS, **NETWORK)


def shapes() -> data.ImageSet:
    """Drawn shapes of the first kinds only."""
    drawn = data.shapes(DRAWN, TESTED)
    train, test = drawn.y_train < KINDS, drawn.y_test < KINDS
    arrays = drawn.x_train[train], drawn.y_train[train], drawn.x_test[test], drawn.y_test[test]
    return data.ImageSet("shapes", *arrays, drawn.classes[:KINDS])


def main(path: Path) -> None:
    """Train every block with every seed, and write each run as it is finished."""
    torch.set_num_threads(1)
    images = shapes()
    record = {
        "command": "python -m tests.tools.train_wrong_blocks runs.json",
        "network": NETWORK,
        "config": {k: v for k, v in CONFIG.to_dict().items() if k not in ("model", "seed")},
        "images": [images.classes, len(images.y_train), len(images.y_test)],
        "seeds": list(SEEDS),
        "runs": [],
    }
    for seed, (name, block) in product(SEEDS, blocks().items()):
        seed_epoch(seed, 0)  # the seed of the weights
        history = train(replace(CONFIG, seed=seed), images, model=network(block)).history
        run = {"block": name, "seed": seed, "parameters": history.model["parameters"]}
        run["test_accuracy"] = [round(row["test_accuracy"], 6) for row in history.epochs]
        record["runs"].append(run | {"seconds": round(history.seconds, 1)})
        record["session"] = history.sessions[-1]  # of the last run: device and versions
        write_whole(path, lambda file: file.write(as_text(record).encode()))


def as_text(record: dict) -> str:
    """JSON with a line for each run."""
    runs = ",\n  ".join(map(json.dumps, record["runs"]))
    text = json.dumps(record | {"runs": None}, indent=1)
    return text.replace('"runs": null', f'"runs": [\n  {runs}\n ]') + "\n"


def table(record: dict) -> list[str]:
    """The page's rows: mean accuracy, and the difference from the right block, paired by seed."""
    last = {(run["block"], run["seed"]): 100 * run["test_accuracy"][-1] for run in record["runs"]}
    rows = []
    for name in blocks():
        own = [last[name, seed] for seed in record["seeds"]]
        mean, low, high = mean_interval([last[name, s] - last[RIGHT, s] for s in record["seeds"]])
        compared = f"{mean:+.1f} | {low:+.1f} to {high:+.1f}" if name != RIGHT else "|"
        rows.append(f"| {name} | {sum(own) / len(own):.1f} | {compared} |")
    return rows


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    print(*table(json.loads(Path(*sys.argv[1:] or [RECORD]).read_text("utf-8"))), sep="\n")
