"""Does a gate help a small detector? The variants, their runs, and what the records say."""

import json
import os
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from itertools import product
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cbam_course import plotting
from cbam_course.attention import ConstantGate, make_attention
from cbam_course.files import write_whole
from cbam_course.models import insert_attention
from cbam_course.records.figures import axis_limits, compared, draw_differences
from cbam_course.training.history import origin

from .network import WIDTHS, small_ssd
from .scenes import SIZE, Scenes, scenes

SHIPPED = Path(__file__).parent / "runs"
"""The records that come with the course."""

SEEDS = range(20)
"""The seeds that are planned for each variant."""

RECIPE = {
    "train_scenes": 500, "test_scenes": 200, "epochs": 8, "batch_size": 16,
    "learning_rate": 4e-3, "weight_decay": 1e-4,
}  # fmt: skip
"""What all runs have in common: AdamW with a one-cycle schedule that ends after the last epoch."""

REDUCTION = 4
"""Of the inserted CBAM: 16 would leave two hidden units for the 32 channels of the first stage."""

POINTS = {"body": "stages.*", "neck": "neck.*"}
"""Where blocks go: the end of each stage, or of each convolution of the neck, before the head."""


class Variant(NamedTuple):
    """One of the detectors that are compared.

    Attributes:
        attention: ``"none"``, ``"cbam-fc"`` or ``"constant"``.
        point: one of :data:`POINTS`, or ``""``.
        start_as_identity: whether the blocks start as the identity.
        widths: channels of the stem and of the three stages.
    """

    attention: str = "none"
    point: str = ""
    start_as_identity: bool = False
    widths: tuple[int, ...] = WIDTHS


VARIANTS = {
    "plain": Variant(),
    "CBAM, body": Variant("cbam-fc", "body"),
    "CBAM, body, identity": Variant("cbam-fc", "body", True),
    "CBAM, neck": Variant("cbam-fc", "neck"),
    "CBAM, neck, identity": Variant("cbam-fc", "neck", True),
    "constant gate, body": Variant("constant", "body"),
    "wider body": Variant(widths=(18, 36, 54, 72)),
}
"""The variants by their names; the first is what the others are compared with."""


def make_detector(variant: str, seed: int) -> nn.Module:
    """The detector of a variant, with the random weights of a seed.

    The plain detector is made first and the blocks are put into it, so that all that two variants
    share starts with the same weights, but for those of the wider body.

    Args:
        variant: one of :data:`VARIANTS`.
        seed: of the weights.

    Raises:
        KeyError: if there is no such variant.
    """
    attention, point, start_as_identity, widths = VARIANTS[variant]
    torch.manual_seed(seed)
    detector = small_ssd(widths)
    if attention != "none":
        cbam = make_attention("cbam-fc", reduction=REDUCTION)
        insert_attention(
            detector.backbone,
            ConstantGate if attention == "constant" else cbam,
            POINTS[point],
            start_as_identity=start_as_identity,
            example=torch.zeros(1, 3, SIZE, SIZE),
        )
    return detector


def train(detector: nn.Module, data: Scenes, seed: int, recipe: dict[str, Any] = RECIPE) -> list:
    """Train a detector in place, by the recipe, with the scenes in the order of a seed.

    Returns:
        The mean loss of each epoch.
    """
    torch.manual_seed(seed)  # again, whatever the blocks have drawn
    batch, epochs = recipe["batch_size"], recipe["epochs"]
    steps = len(data) // batch
    optimizer = torch.optim.AdamW(
        detector.parameters(), recipe["learning_rate"], weight_decay=recipe["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe["learning_rate"], total_steps=epochs * steps
    )
    detector.train()
    losses = []
    for _ in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(data))[: steps * batch].view(steps, batch).tolist():
            images = [data.images[number] for number in chosen]
            loss = sum(detector(images, [data.targets[number] for number in chosen]).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / steps)
    return losses


def detect(detector: nn.Module, data: Scenes) -> list[dict[str, Tensor]]:
    """What a detector finds in each scene: ``boxes``, ``labels`` and ``scores``."""
    detector.eval()
    with torch.no_grad():
        return [found for part in data.images.split(50) for found in detector(list(part))]


def mean_average_precision(
    found: list[dict[str, Tensor]], targets: list[dict[str, Tensor]]
) -> dict[str, float]:
    """COCO's two numbers, from 0 to 1: ``map50`` at an IoU of 0.5, ``map`` the mean of ten.

    Args:
        found: for each image ``boxes``, ``labels`` and ``scores``.
        targets: for each image ``boxes`` and ``labels``.

    Raises:
        ModuleNotFoundError: without torchmetrics and pycocotools, which are in
            ``pip install "cbam-course[detection]"``.

    Source: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014 (arXiv 1405.0312),
    as pycocotools compute it: precision at 101 recalls, at most 100 boxes an image.
    """
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(backend="pycocotools")
    metric.update(found, targets)
    result = metric.compute()
    return {"map50": float(result["map_50"]), "map": float(result["map"])}


def do_run(variant: str, seed: int, recipe: dict[str, Any] = RECIPE) -> dict[str, Any]:
    """Train and measure one variant with one seed, on one thread of the CPU.

    Returns:
        The record: ``config``, ``metrics`` (after the last epoch, on the test scenes; no epoch is
        chosen), ``losses``, ``parameters``, ``data`` (checksums), ``seconds`` (of the processor,
        for the training) and where it was computed.

    Raises:
        KeyError: if there is no such variant.
        ModuleNotFoundError: if the metric's packages are missing; before the training.
    """
    detector = make_detector(variant, seed)
    metric_packages = {name: version(name) for name in ("torchmetrics", "pycocotools")}
    torch.set_num_threads(1)
    data, test = _drawn(recipe["train_scenes"], 0), _drawn(recipe["test_scenes"], 1)
    started = time.process_time()
    losses = train(detector, data, seed, recipe)
    seconds = time.process_time() - started
    where = origin(torch.device("cpu"))
    where["versions"] |= metric_packages
    return {
        "config": {"variant": variant, "seed": seed, **VARIANTS[variant]._asdict(), **recipe},
        "metrics": mean_average_precision(detect(detector, test), test.targets),
        "losses": [round(loss, 6) for loss in losses],
        "parameters": sum(parameter.numel() for parameter in detector.parameters()),
        "data": {"train": data.checksum(), "test": test.checksum()},
        "seconds": round(seconds, 2),
        **where,
    }


@cache
def _drawn(count: int, seed: int) -> Scenes:
    """All runs have the same scenes: they are drawn once."""
    return scenes(count, seed)


def run_all(
    out: str | os.PathLike[str], budget: float | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Do the runs that lack a record, all variants of one seed before the next seed.

    Args:
        out: the folder of the records, one JSON file a run, written whole when the run is finished.
        budget: seconds after which no further run is begun; ``None`` for no limit.

    Yields:
        The name and the record of each run that was done.
    """
    deadline = inf if budget is None else time.monotonic() + budget
    for seed, variant in product(SEEDS, VARIANTS):
        path = Path(out, f"{run_name(variant, seed)}.json")
        if path.exists() or (SHIPPED / path.name).exists():
            continue
        if time.monotonic() >= deadline:
            return
        record = do_run(variant, seed)
        text = json.dumps(record, indent=1) + "\n"
        write_whole(path, lambda file, text=text: file.write(text.encode()))
        yield path.stem, record


def run_name(variant: str, seed: int) -> str:
    """The name of a run's record, such as ``cbam-neck-identity-seed3``."""
    return f"{variant.lower().replace(', ', '-').replace(' ', '-')}-seed{seed}"


def results(folder: str | os.PathLike[str] | None = None, metric: str = "map50") -> pd.DataFrame:
    """The recorded runs, a row each, as :func:`cbam_course.records.summary` wants them.

    Args:
        folder: a folder of records to read instead of the course's.
        metric: ``"map50"`` or ``"map"``.

    Returns:
        A table with the columns ``experiment``, ``variant``, ``attention`` (whose color a figure
        takes), ``baseline`` (``None`` for the plain one), ``seed``, ``parameters``, ``seconds`` and
        ``test_accuracy``, which is the metric in percent.

    Raises:
        FileNotFoundError: if there are no records.
        KeyError: for another metric.
    """
    folder, rows = Path(folder or SHIPPED), []
    for variant, seed in product(VARIANTS, SEEDS):
        path = folder / f"{run_name(variant, seed)}.json"
        if not path.exists():
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        rows.append(
            {
                "experiment": "detector",
                "variant": variant,
                "attention": "none" if VARIANTS[variant].attention == "none" else "cbam-fc",
                "baseline": None if variant == "plain" else "plain",
                "seed": seed,
                "parameters": record["parameters"],
                "seconds": record["seconds"],
                "test_accuracy": 100 * record["metrics"][metric],
            }
        )
    if not rows:
        raise FileNotFoundError(f"there are no records in {folder}")
    return pd.DataFrame(rows)


def show_results(runs: pd.DataFrame) -> Figure:
    """Draw how much better or worse than the plain detector each variant is: a row each.

    Args:
        runs: as :func:`results` gives them.

    Returns:
        The figure: a dot for each seed, and the mean with its 95 % interval.
    """
    variants = compared(runs)
    figure, ((axes,),) = plotting.page(1, 1, 0.4 * len(variants) + 1.2)
    draw_differences(axes, variants, axis_limits([variants]))
    axes.set_xlabel("mAP above that of “plain”, percentage points")
    return figure
