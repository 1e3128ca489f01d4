"""Train the tutorial's network twice, by the tutorial's own loop and by the course's, and compare.

`python benchmarks/train_speed.py` does both with the same images on the same device, one after the
other, and prints seconds and test accuracy of each run and the factor between them. What one loop
has to do is all timed: from the images in memory to the trained network, tested after every epoch,
compilation included. `--json FILE` keeps the same as a record.

A trial for a small computer adds `--dataset shapes --images 200 --test-images 100 --epochs 1`.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision import transforms  # noqa: E402

from cbam_course import training  # noqa: E402
from cbam_course.attention import make_attention  # noqa: E402
from cbam_course.config import CHOICES  # noqa: E402
from cbam_course.data import ImageSet  # noqa: E402
from cbam_course.models import CifarCNN  # noqa: E402

# As the tutorial prints them; the deviations are not those of all pixels, see `ImageSet.std`.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Pictures(Dataset):
    """Images one by one, each through the transforms, as torchvision's CIFAR10 gives them."""

    def __init__(self, images, labels, transform) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        picture = Image.fromarray(self.images[index])
        return self.transform(picture), int(self.labels[index])


def tutorial(
    data: ImageSet, epochs: int, seed: int, device: torch.device, workers: int = 2
) -> list[float]:
    """The tutorial's recipe: the test accuracy after each epoch.

    Float32, images cut one by one in two processes, a number read from the device in every step,
    and a schedule that looks at the test loss.
    """
    as_numbers = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    chance = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    shown = Pictures(data.x_train, data.y_train, transforms.Compose([*chance, *as_numbers]))
    tested = Pictures(data.x_test, data.y_test, transforms.Compose(as_numbers))
    torch.manual_seed(seed)
    train_batches = DataLoader(shown, batch_size=128, shuffle=True, num_workers=workers)
    test_batches = DataLoader(tested, batch_size=100, shuffle=False, num_workers=workers)

    model = CifarCNN(make_attention("cbam-fc"), len(data.classes)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
    accuracies = []
    for _ in range(epochs):
        model.train()
        losses = []
        for x, y in train_batches:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for x, y in test_batches:
                x, y = x.to(device), y.to(device)
                logits = model(x)
                total += criterion(logits, y).item()
                correct += (logits.argmax(1) == y).sum().item()
        scheduler.step(total / len(test_batches))
        accuracies.append(correct / len(tested))
    return accuracies


def timed(work):
    """What ``work`` returns, and the seconds it took. It must wait for the GPU by itself."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def compare(
    data: ImageSet, config: training.TrainConfig, seeds: list[int], workers: int = 2
) -> dict:
    """Train by both loops with each seed, by turns; return the record.

    Args:
        data: the images.
        config: the course's run; its number of epochs and its device are the tutorial's too.
        seeds: for each of them both loops run once.
        workers: processes that cut the tutorial's images.
    """
    device = training.choose_device(config.device)
    rows, history = [], None
    for seed in seeds:
        # The course lets cuDNN search for fast algorithms, the tutorial does not.
        torch.backends.cudnn.benchmark = False
        accuracies, seconds = timed(
            lambda s=seed: tutorial(data, config.epochs, s, device, workers)
        )
        rows.append(row("tutorial", seed, seconds, accuracies[-1]))
        run = replace(config, seed=seed)
        (_, history), seconds = timed(lambda r=run: training.train(r, data, progress=False))
        rows.append(row("course", seed, seconds, history.last["test_accuracy"]))
    session = history.sessions[-1]
    means = {
        loop: {
            name: mean(r[name] for r in rows if r["loop"] == loop)
            for name in ("seconds", "test_accuracy")
        }
        for loop in ("tutorial", "course")
    }
    return {
        "date": date.today().isoformat(),
        "factor": round(means["tutorial"]["seconds"] / means["course"]["seconds"], 2),
        "means": means,
        "runs": rows,
        "course": history.config.to_dict() | {"seed": None},
        "tutorial": {"workers": workers, "epochs": config.epochs, "batch_size": 128},
        "data": history.data,
        **{name: session[name] for name in ("device", "precision", "system", "versions", "commit")},
    }


def row(loop: str, seed: int, seconds: float, accuracy: float) -> dict:
    """One run, for the record and on the screen."""
    print(f"{loop:8}  seed {seed}  {seconds:8.1f} s  test accuracy {accuracy:.2%}", flush=True)
    return {"loop": loop, "seed": seed, "seconds": round(seconds, 2), "test_accuracy": accuracy}


def main() -> None:
    """Read the arguments, compare, tell and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=("cifar10", "shapes"), default="cifar10")
    parser.add_argument("--data-folder", type=Path, help="where CIFAR-10 is")
    parser.add_argument("--images", type=int, help="train on so many images only")
    parser.add_argument("--test-images", type=int, help="test on so many images only")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=2, help="of the tutorial's data loader")
    parser.add_argument("--batch-size", type=int, default=128, help="the course's")
    parser.add_argument("--lr", type=float, default=1e-3, help="the course's highest learning rate")
    schedules = CHOICES["schedule"]
    parser.add_argument("--schedule", choices=schedules, default="cosine", help="the course's")
    parser.add_argument("--compile", action="store_true", help="compile the course's network")
    parser.add_argument("--json", type=Path, help="keep the record here")
    given = parser.parse_args()

    config = training.TrainConfig(
        attention="cbam-fc",
        dataset=given.dataset,
        train_size=given.images,
        test_size=given.test_images,
        epochs=given.epochs,
        batch_size=given.batch_size,
        learning_rate=given.lr,
        schedule=given.schedule,
        device=given.device,
        compile=given.compile,
    )
    record = compare(
        training.load_data(config, given.data_folder), config, given.seeds, given.workers
    )
    print(f"The course's loop takes {record['factor']:.1f} times less on {record['device']}.")
    if given.json:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
