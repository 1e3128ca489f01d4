"""The training loop: what a run, an epoch and a test do."""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from cbam_course import data as image_sets
from cbam_course.attention import attention_blocks, attention_off
from cbam_course.config import CHOICES, TrainConfig
from cbam_course.data import ImageSet
from cbam_course.files import locked

from .checkpoint import load_state, save_state
from .device import autocast, choose_device, choose_precision, memory_format
from .history import History, Run, describe_data, describe_model
from .images import DeviceImages
from .learner import Learner
from .networks import build_model
from .process_group import check_batches, group_rank, group_size, share_buffers, total

SPLITS = (("train", "validation"), ("test", "peek"))
"""Each half of a set, and what may be set apart from it."""


def train(
    config: TrainConfig,
    data: ImageSet | None = None,
    *,
    model: nn.Module | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    data_folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    on_epoch: Callable[[History], None] | None = None,
) -> Run:
    """Train a network, testing it after every epoch.

    The test images are for the record alone: nothing that happens in a run depends on them, unless
    the schedule is ``"plateau"`` and watches them.

    Args:
        config: what to train, and how.
        data: the images; by default the set that ``config`` names is loaded.
        model: a network of your own, for a ``config`` whose model is ``"custom"``.
        folder: where to keep ``checkpoint.pt`` and ``history.json``, both written after every
            epoch.
        resume: continue the run in ``folder``, if there is one.
        data_folder: where CIFAR-10 is or is to be kept.
        progress: show a progress bar (on stderr).
        on_epoch: called with the history after every epoch, which is kept by then; an exception
            that it raises ends the run there.

    Returns:
        The network, on its device and in evaluation mode, and the history.

    Raises:
        ValueError: if the configuration does not fit the machine, the data or the run in
            ``folder``; if ``folder`` has a run and ``resume`` is not set; if the checkpoint is
            damaged; if another process is training in ``folder``.
        FloatingPointError: if the loss is no longer a number.

    PyTorch's global random state is set anew at the start of every epoch.

    Processes that ``torchrun`` has started train one network together: every batch is divided
    among them. The first process alone writes files, shows progress and calls ``on_epoch``. On
    NVIDIA GPUs the result is that of one process but for rounding, and but for dropout, which each
    process draws for itself. On CPUs BatchNorm sees the statistics of a process's share, see
    :class:`torch.nn.SyncBatchNorm`. Where the last batch cannot be divided evenly, the images of
    the smaller shares count for a little more.
    """
    if model is not None and config.model != "custom":
        raise ValueError(f"a model handed over needs model='custom', got {config.model!r}")
    if data is not None:  # the record names what was handed over
        name = data.name if data.name in CHOICES["dataset"] else "custom"
        config = replace(config, dataset=name)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # try which way to convolve is the fastest
    leads = group_rank() == 0

    with locked(folder) if folder is not None and leads else nullcontext():
        data = load_data(config, data_folder) if data is None else data
        groups = choose_images(config, data)
        if model is None:
            seed_epoch(config.seed, 0)
            model = build_model(config, len(data.classes), in_channels=data.x_train.shape[3])
        mean, std = image_sets.channel_statistics(groups["train"][0])
        options = {"image_size": config.image_size, "layout": memory_format(device, model)}
        tested = {
            name: DeviceImages(*group, mean, std, device, **options)
            for name, group in groups.items()
        }
        training = tested.pop("train")
        check_batches(len(training), config.batch_size)
        steps = ceil(len(training) / config.batch_size)
        learner = Learner(model, config, steps, device, precision)
        model = learner.model
        history = History(config, describe_model(model), describe_data(data, groups))
        history = load_state(folder, resume, learner, history)
        done = len(history.epochs)
        if done < config.epochs:
            history.begin_session(device, precision)
        watched = config.watch or ("validation" if "validation" in tested else "test")

        hidden = not (progress and leads)
        with tqdm(total=config.epochs * steps, initial=done * steps, disable=hidden) as bar:
            for epoch in range(done + 1, config.epochs + 1):
                started = time.perf_counter()
                losses, row = train_epoch(learner, training, config, epoch, bar.update)
                share_buffers(model)
                for name, images in tested.items():
                    loss, accuracy = evaluate(model, images, precision)
                    row |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
                learner.after_epoch(row[f"{watched}_loss"])
                if not np.isfinite(row["test_loss"]):
                    raise FloatingPointError(
                        f"the test loss is no longer a number in epoch {epoch}; "
                        f"try a learning rate below {config.learning_rate:g}"
                    )
                row["seconds"] = time.perf_counter() - started
                history.add_epoch(row, losses)
                if epoch == config.epochs:
                    history.final = {name: row[name] for name in ("test_loss", "test_accuracy")}
                    if attention_blocks(model):
                        with attention_off(model):
                            _, accuracy = evaluate(model, tested["test"], precision)
                        history.final["test_accuracy_attention_off"] = accuracy
                bar.set_postfix_str(f"epoch {epoch}, test accuracy {row['test_accuracy']:.2%}")
                if leads:
                    save_state(folder, learner, history)
                    if on_epoch is not None:
                        on_epoch(history)
    return Run(model.eval(), history)


def train_epoch(
    learner: Learner,
    images: DeviceImages,
    config: TrainConfig,
    epoch: int,
    on_step: Callable[[], object] = lambda: None,
) -> tuple[list[float], dict[str, float]]:
    """Show the network every training image once.

    Returns:
        The loss of each step, and the epoch's row: its learning rate, mean loss and
        accuracy.

    Raises:
        FloatingPointError: if the loss is no longer a number.
    """
    model, optimizer, scaler = learner.network, learner.optimizer, learner.scaler
    generator = seed_epoch(config.seed, epoch)
    losses, correct = [], 0
    model.train()
    for x, y in images.shuffled_batches(
        config.batch_size, generator, crop=config.crop, flip=config.flip
    ):
        with autocast(learner.device, learner.precision):
            logits = model(x)
            loss = F.cross_entropy(logits, y, label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        learning_rate = learner.after_step()
        # Left on the device: to read a number is to wait for the GPU.
        losses.append(loss.detach())
        correct += (logits.argmax(dim=1) == y).sum()
        on_step()

    losses = (total(torch.stack(losses)) / group_size()).tolist()
    if not np.isfinite(losses).all():
        raise FloatingPointError(
            f"the training loss is no longer a number in epoch {epoch}; "
            f"try a learning rate below {config.learning_rate:g}"
        )
    # The last batch may be smaller, and then counts for less.
    sizes = np.diff([*range(0, len(images), config.batch_size), len(images)])
    return losses, {
        "learning_rate": learning_rate,
        "train_loss": float(np.average(losses, weights=sizes)),
        "train_accuracy": total(correct).item() / len(images),
    }


@torch.inference_mode()
def evaluate(
    model: nn.Module, images: DeviceImages, precision: torch.dtype = torch.float32
) -> tuple[float, float]:
    """Test a network, which is in evaluation mode afterwards.

    Args:
        model: the network, on the same device as the images.
        images: the images to test it with.
        precision: type of number to calculate with.

    Returns:
        The mean cross-entropy, and the accuracy as a fraction from 0 to 1.
    """
    model.eval()
    sums = torch.zeros(2, device=images.labels.device)  # losses, right answers
    for x, y in images.batches(images.large_batch):
        with autocast(images.labels.device, precision):
            logits = model(x)
        sums[0] += F.cross_entropy(logits.float(), y, reduction="sum")
        sums[1] += (logits.argmax(dim=1) == y).sum()
    loss, correct = total(sums).tolist()
    return loss / len(images), correct / len(images)


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Start the random numbers of an epoch: dropout's, and those of the generator that is returned.

    Epoch 0 is the network's initialization.
    """
    # All chance in an epoch comes from the run's seed and the epoch's number. So a run that
    # continues draws what it would have drawn anyway.
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    # Each process of a group drops other features; the order of the images is the same for all.
    torch.manual_seed((mixed + group_rank()) % 2**64)
    return torch.Generator("cpu").manual_seed(mixed)


def load_data(config: TrainConfig, folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """The set of images that a configuration names, of which it may want a part only.

    CIFAR-10 is or is to be kept in ``folder``.

    Raises:
        ValueError: if the set is ``"custom"``, or has too few images.
        DatasetUnavailable: if CIFAR-10 is not there and cannot be downloaded.
    """
    if config.dataset == "custom":
        raise ValueError("the data set 'custom' has to be handed over: train(config, data)")
    if config.dataset == "cifar10":
        return image_sets.cifar10(folder)
    if config.dataset == "cifar10-noise":
        return image_sets.with_noise(image_sets.cifar10(folder), 3)
    # The shapes are drawn on the spot, so there are as many as one wishes.
    sizes = {}
    for split, apart in SPLITS:
        wanted, aside = getattr(config, f"{split}_size"), getattr(config, f"{apart}_size")
        if wanted is not None:
            # Of every class enough for both groups, also where ten does not divide their sizes.
            both = (10 * ceil(size / 10) for size in (wanted, aside or 0))
            sizes[split] = wanted if aside is None else sum(both)
    return image_sets.shapes(**sizes)


def choose_images(config: TrainConfig, data: ImageSet) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The images of a run and their labels, chosen once: no image is in two groups.

    Returns:
        The groups ``"train"`` and ``"test"`` and, where the configuration wants them,
        ``"validation"``, of the training images, and ``"peek"``, of the test images. Two
        configurations that want equally many images to learn from learn from the same ones.

    Raises:
        ValueError: if there are too few images.
    """
    groups = {}
    for split, apart in SPLITS:
        images, labels = getattr(data, f"x_{split}"), getattr(data, f"y_{split}")
        wanted, aside = getattr(config, f"{split}_size"), getattr(config, f"{apart}_size")
        if aside is None and wanted in (None, len(labels)):
            groups[split] = images, labels  # all images are all images, balanced or not
            continue
        chosen = data.draw(split, wanted, aside or 0)
        for name, part in zip((split, apart), chosen, strict=True):
            if len(part) or name == split:
                groups[name] = images[part], labels[part]
    return groups
