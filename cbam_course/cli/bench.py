"""``cbam-course bench training``: the course's loop and a tutorial's, timed side by side."""

import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from .bench_block import block, networks
from .options import DATA_FOLDER, told_in_a_line

# As the tutorial prints them; the deviations are not those of all pixels, see `ImageSet.std`.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


@click.group()
def bench() -> None:
    """Time the course against others on this machine: its training, or the CBAM block.

    \b
      cbam-course bench training --epochs 2
      cbam-course bench block
      cbam-course bench networks
    """  # noqa: D301


bench.add_command(block)
bench.add_command(networks)


@bench.command(context_settings={"show_default": True})
@click.option("--dataset", type=click.Choice(("cifar10", "shapes")), default="cifar10")
@DATA_FOLDER
@click.option("--images", "train_size", type=int, help="Train on so many images.  [default: all]")
@click.option("--test-images", "test_size", type=int, help="Test on so many.  [default: all]")
@click.option("--epochs", type=click.IntRange(1), default=10)
@click.option("--seeds", type=click.IntRange(1), default=1, help="Runs of each loop, by turns.")
@click.option("--device", default="auto")
def training(data_folder: Path | None, seeds: int, **chosen: Any) -> None:
    """Train one network by a tutorial's loop and by the course's, and compare the seconds.

    Both train the same network with CBAM on the same images and device, by turns. All that a loop
    has to do is timed: from the images in memory to the trained network, tested after every epoch.

    \b
      cbam-course bench training --epochs 2
      cbam-course bench training --dataset shapes --images 200 --test-images 100 --epochs 1
    """  # noqa: D301
    import torch

    from cbam_course.data import DatasetUnavailable
    from cbam_course.training import TrainConfig, choose_device, load_data, train
    from cbam_course.training.loop import choose_images

    with told_in_a_line(ValueError, OSError, DatasetUnavailable):
        config = TrainConfig(attention="cbam-fc", **chosen)
        data, device = load_data(config, data_folder), choose_device(config.device)
        groups = choose_images(config, data)
    seconds = Counter()
    for seed in range(seeds):
        # The course lets cuDNN search for fast algorithms, the tutorial does not.
        torch.backends.cudnn.benchmark = False
        for loop in ("tutorial", "course"):
            started = time.perf_counter()
            if loop == "tutorial":
                accuracy = tutorial(groups, config.epochs, seed, device)
            else:
                _, history = train(replace(config, seed=seed), data, progress=False)
                accuracy = history.last["test_accuracy"]
            took = time.perf_counter() - started
            click.echo(f"{loop:8}  seed {seed}  {took:8.1f} s  test accuracy {accuracy:.2%}")
            seconds[loop] += took
    factor = seconds["tutorial"] / seconds["course"]
    click.echo(f"The tutorial's loop takes {factor:.2f} times as long on {device}.")


def tutorial(groups: dict, epochs: int, seed: int, device: Any, workers: int = 2) -> float:
    """The test accuracy after training on the groups "train" and "test" by the tutorial's recipe.

    Float32, images cut one by one in other processes, a number read from the device in every step,
    and a schedule that looks at the test loss.
    """
    import torch
    from PIL import Image
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision import transforms as T

    from cbam_course.attention import make_attention
    from cbam_course.models import CifarCNN

    numbers = [T.ToTensor(), T.Normalize(MEAN, STD)]
    chance = [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip()]

    def batches(images: Any, labels: Any, steps: list, **options: Any) -> DataLoader:
        cut = partial(_cut, T.Compose([Image.fromarray, *steps]))
        pairs = list(zip(images, labels, strict=True))
        return DataLoader(pairs, collate_fn=cut, num_workers=workers, **options)

    torch.manual_seed(seed)
    shown = batches(*groups["train"], chance + numbers, batch_size=128, shuffle=True)
    tested = batches(*groups["test"], numbers, batch_size=100)
    model = CifarCNN(make_attention("cbam-fc")).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
    for _ in range(epochs):
        model.train()
        for x, y in shown:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()  # as for a progress bar
        model.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for x, y in tested:
                x, y = x.to(device), y.to(device)
                logits = model(x)
                total += criterion(logits, y).item()
                correct += (logits.argmax(1) == y).sum().item()
        scheduler.step(total / len(tested))
    return correct / len(groups["test"][1])


def _cut(transform: Any, pairs: list) -> tuple[Any, Any]:
    """A batch of images, each through the transforms by itself, and their labels."""
    import torch

    images, labels = zip(*pairs, strict=True)
    return torch.stack([transform(image) for image in images]), torch.tensor(labels)
