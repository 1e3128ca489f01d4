"""The training loop: what a run, an epoch and a test do."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from cbam_course.attention import attention_blocks, attention_off
from cbam_course.data.image_set import channel_statistics

from .checkpoint import RunFolder, locked
from .config import DATASET_NAMES, OF_THE_NETWORK, TrainConfig
from .device import autocast, choose_device, choose_precision, prepare
from .distributed import team as current_team
from .history import History, describe_data, describe_model
from .images import DeviceImages
from .input_weights import mean_input_weights
from .learner import Learner
from .run import Run

if TYPE_CHECKING:
    from cbam_course.data import ImageSet


def train(
    config: TrainConfig,
    data: "ImageSet | None" = None,
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
    the schedule is ``"plateau"`` and no images are held out for it.

    Args:
        config: what to train, and how.
        data: the images; by default the set that ``config`` names is loaded.
        model: a network of your own, to be trained in place of the one ``config`` names. In the
            record the model is then ``"custom"``, without the fields that describe the other one.
        folder: where to keep ``checkpoint.pt`` and ``history.json``, both written after every
            epoch.
        resume: continue the run in ``folder``, if there is one.
        data_folder: where CIFAR-10 is or is to be kept.
        progress: show a progress bar (on stderr).
        on_epoch: called with the history after every epoch.

    Returns:
        The network, on its device and in evaluation mode, and the history.

    Raises:
        ValueError: if the configuration does not fit the machine, the data or the run in
            ``folder``; if ``folder`` has a run and ``resume`` is not set; if the checkpoint is
            damaged; if another process is training in ``folder``.
        FloatingPointError: if the loss is no longer a number.

    PyTorch's global random state is set anew at the start of every epoch.

    In a process group of ``torch.distributed`` all processes train one network together: every
    batch is divided among them. The first process alone writes files, shows progress and calls
    ``on_epoch``. On NVIDIA GPUs the result is that of one process but for rounding, and but for
    dropout, which each process draws for itself. On CPUs BatchNorm sees the statistics of a
    process's share, see :class:`torch.nn.SyncBatchNorm`. Where the last batch cannot be divided
    evenly, the images of the smaller shares count for a little more.
    """
    config = _as_trained(config, data, model)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    prepare(device)
    team = current_team()

    with ExitStack() as kept:

        def open_folder() -> RunFolder:
            kept.enter_context(locked(folder))
            return RunFolder(folder, resume)

        run_folder = team.lead(open_folder)
        run_folder.check_config(config)
        data = load_data(config, data_folder) if data is None else data
        groups = choose_images(config, data)
        mean, std = channel_statistics(groups["train"][0])

        def on_device(images: np.ndarray, labels: np.ndarray) -> DeviceImages:
            return DeviceImages(
                images, labels, mean, std, device,
                image_size=config.image_size, noise_channels=config.noise_channels, team=team,
            )  # fmt: skip

        described = describe_data(data, groups)
        training = on_device(*groups.pop("train"))
        watched = {name: on_device(*group) for name, group in groups.items()}
        team.check_batches(len(training), config.batch_size)
        if model is None:
            seed_epoch(config.seed, 0)
            model = config.build_model(len(data.classes), in_channels=data.x_train.shape[3])
        steps = -(-len(training) // config.batch_size)
        learner = Learner.prepare(model, config, steps, device, precision, team)
        model = learner.model
        history = History(config, describe_model(model), described)
        history = run_folder.load(learner, history)
        done = len(history.epochs)
        if done < config.epochs:
            history.begin_session(device, precision)

        hidden = not (progress and team.leads)
        with tqdm(total=config.epochs * steps, initial=done * steps, disable=hidden) as bar:
            for epoch in range(done + 1, config.epochs + 1):
                started = time.perf_counter()
                losses, row = train_epoch(learner, training, config, epoch, on_step=bar.update)
                team.share_statistics(model)
                for name, images in watched.items():
                    loss, accuracy = evaluate(model, images, precision)
                    row |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
                learner.after_epoch(row[f"{config.watched}_loss"])
                if not np.isfinite(row["test_loss"]):
                    raise FloatingPointError(
                        f"the test loss is no longer a number in epoch {epoch}; "
                        f"try a learning rate below {config.learning_rate:g}"
                    )
                row["seconds"] = time.perf_counter() - started
                history.add_epoch(row, losses)
                if epoch == config.epochs:
                    history.final = _final(row, model, watched["test"], precision)
                run_folder.save(learner, history)
                bar.set_postfix_str(f"epoch {epoch}, test accuracy {row['test_accuracy']:.2%}")
                if on_epoch is not None and team.leads:
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
    model.train()
    losses, correct = [], 0
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

    losses = images.team.mean(torch.stack(losses)).tolist()
    [correct] = images.team.sum(int(correct))
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
        "train_accuracy": correct / len(images),
    }


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    images: DeviceImages,
    precision: torch.dtype = torch.float32,
    batch_size: int | None = None,
) -> tuple[float, float]:
    """Test a network, which is in evaluation mode afterwards.

    Args:
        model: the network, on the same device as the images.
        images: the images to test it with.
        precision: type of number to calculate with.
        batch_size: images at a time, which decides the time it takes and nothing else.

    Returns:
        The mean cross-entropy, and the accuracy as a fraction from 0 to 1.
    """
    model.eval()
    loss, correct = 0.0, 0
    for x, y in images.batches(batch_size or images.large_batch):
        with autocast(images.labels.device, precision):
            logits = model(x)
        loss += F.cross_entropy(logits.float(), y, reduction="sum")
        correct += (logits.argmax(dim=1) == y).sum()
    loss, correct = images.team.sum(float(loss), int(correct))
    return loss / len(images), correct / len(images)


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Start the random numbers of an epoch: dropout's, and those of the generator that is returned.

    Epoch 0 is the network's initialization.
    """
    # All chance in an epoch comes from the run's seed and the epoch's number. So a run that
    # continues draws what it would have drawn anyway, and no random state has to be saved.
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0])
    # Each process of a team drops other features; the order of the images is the same for all.
    torch.manual_seed((mixed + current_team().rank) % 2**64)
    return torch.Generator("cpu").manual_seed(mixed)


def load_data(config: TrainConfig, folder: str | os.PathLike[str] | None = None) -> "ImageSet":
    """The set of images that a configuration names, of which it may want a part only.

    Args:
        config: names the set.
        folder: where CIFAR-10 is or is to be kept.

    Raises:
        ValueError: if the set is ``"custom"``, or has too few images.
        DatasetUnavailable: if CIFAR-10 is not there and cannot be downloaded.
    """
    from cbam_course import data

    if config.dataset == "custom":
        raise ValueError("the data set 'custom' has to be handed over: train(config, data)")
    if config.dataset == "cifar10":
        return data.cifar10(folder)
    # The shapes are drawn on the spot, so there are as many as one wishes.
    sizes = {
        "train": config.train_size and config.train_size + (config.validation_size or 0),
        "test": config.test_size and config.test_size + (config.peek_size or 0),
    }
    return data.shapes(**{name: size for name, size in sizes.items() if size is not None})


def choose_images(
    config: TrainConfig, data: "ImageSet"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The images of a run and their labels, chosen once: no image is in two groups.

    Args:
        config: how many images of each group.
        data: where they come from.

    Returns:
        The groups ``"train"`` and ``"test"`` and, where the configuration wants them,
        ``"validation"``, of the training images, and ``"peek"``, of the test images. Two
        configurations that want equally many images to learn from learn from the same ones.

    Raises:
        ValueError: if there are too few images.
    """
    groups = {}
    for split, apart in (("train", "validation"), ("test", "peek")):
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


def _final(
    row: dict[str, float], model: nn.Module, testing: DeviceImages, precision: torch.dtype
) -> dict[str, Any]:
    """What the finished network is worth, with its attention and with every gate set to 1."""
    final: dict[str, Any] = {name: row[name] for name in ("test_loss", "test_accuracy")}
    if attention_blocks(model):
        with attention_off(model):
            _, final["test_accuracy_attention_off"] = evaluate(model, testing, precision)
        if weights := mean_input_weights(model, testing, precision):
            final["mean_input_weights"] = weights
    return final


def _as_trained(
    config: TrainConfig, data: "ImageSet | None", model: nn.Module | None
) -> TrainConfig:
    """The configuration with what was handed over named in it: the record has to be true."""
    if data is not None:
        name = data.name if data.name in DATASET_NAMES else "custom"
        config = replace(config, dataset=name)
    if model is not None and config.model != "custom":
        defaults = TrainConfig()
        nothing = {name: getattr(defaults, name) for name in OF_THE_NETWORK}
        config = replace(config, model="custom", **nothing)
    return config
