"""The exercises of chapter 8, training on CIFAR-10."""

import copy
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbam_course.attention import make_attention
from cbam_course.models import CifarCNN

from .errors import Wrong
from .framework import exercise
from .intervals import limits, mistakes_of_intervals
from .trial import Trial, close, difference, with_bugs
from .values import number, numbers, same_numbers


@exercise("8.1", "Runs that have looked")
def runs_that_have_looked(trial: Trial, steered, picked, first_epoch_at_1) -> None:
    hint = "Which halvings and early ends follow two epochs without a new best test loss?"
    steered = numbers(steered, (1, 4), "steered", hint)
    hint = "Which reported accuracy needed a choice among the epochs?"
    picked = numbers(picked, (3,), "picked", hint)
    mistakes = {
        12: "0.92 is a new best value, and the count begins again.",
        13: "Epoch 12 is the first one without improvement. A second one has to be over.",
    }
    number(first_epoch_at_1, 14, "first_epoch_at_1", mistakes)
    weights = trial.rand(7)
    trial.show("Sum of the numbers drawn for runs that you call steered", weights[[*steered]].sum())
    trial.show("Sum of the numbers drawn for runs that you call picked", weights[[*picked]].sum())
    trial.stamp("Stamp of your answers", *steered, *picked, first_epoch_at_1)


@exercise("8.2", "Normalize")
def normalize_bytes(trial: Trial, normalize) -> None:
    train = some_images(trial, 96, 28, 36)
    for name, images in (
        ("training images", train[:8]),
        ("darker images", some_images(trial, 3, 20, 24) // 3),
        ("one image", some_images(trial, 1, 5, 4)),
    ):
        right, *mistakes = normalized(train.double().movedim(3, 1), images.double().movedim(3, 1))
        got = trial.call(normalize, train, images)
        got = trial.compare(got, right[0], f"Your result for {name}", mistakes)
        # Two digits: whether n or n - 1 divides must not show.
        trial.show(f"Of {name}", got, digits=2)


def some_images(trial: Trial, count: int, height: int, width: int) -> Tensor:
    """Bytes ``[N, H, W, 3]`` whose brightness and contrast differ by image and by color."""
    bright = 60 + 110 * trial.rand(count, 1, 1, 1) + torch.tensor([0, 15, -25])
    contrast = 12 + 25 * trial.rand(count, 1, 1, 3)
    values = bright + contrast * trial.randn(count, height, width, 3)
    return values.clamp(0, 255).to(torch.uint8)


def normalized(train: Tensor, images: Tensor) -> list[tuple[Tensor, str]]:
    """``[B, C, H, W]`` normalized as it should be, then with mistakes and what to say of them."""

    def by_statistics(of: Tensor, axes: tuple[int, ...]) -> Tensor:
        std, mean = torch.std_mean(of, axes, keepdim=True)
        return (images - mean) / std

    std, mean = torch.std_mean(train, (0, 2, 3), keepdim=True)
    right = (images - mean) / std
    return [
        (right, ""),
        (
            (images - mean) / train.std((2, 3)).mean(0)[:, None, None],
            "That is the mean of the images' deviations; that of all pixels is larger.",
        ),
        ((images - mean) / std**2, "You divide by the variance. The deviation is its root."),
        (by_statistics(images, (0, 2, 3)), "These are the statistics of `images`, not of `train`."),
        (by_statistics(train, (0, 1, 2, 3)), "Each color has a mean and deviation of its own."),
        ((images / 255 - mean) / std, "The images are divided by 255, and the statistics are not."),
        (
            (images - mean / 255) * 255 / std,
            "The statistics are of bytes divided by 255; the images are not divided.",
        ),
        (right.movedim(1, 3), "The channels are still the last axis."),
        (
            right.movedim(1, 3).reshape(right.shape),
            "`reshape` moves no axis: it mixes colors and positions. `permute` moves them.",
        ),
    ]


DEFAULT = 4


@exercise("8.3", "Crop and mirror")
def crop_and_mirror(trial: Trial, augment) -> None:
    for padding in (DEFAULT, 2):
        first = look(trial, augment, 300, padding, f"Shifted by up to {padding}, undone")
        about_chances(trial, first, padding)
        trial.expect(
            not torch.equal(first, look(trial, augment, 300, padding)),
            "Two calls shift and mirror the images alike. Each epoch should bring other views.",
        )
    look(trial, augment, 5, 0, "Not shifted, mirrored back")


def look(trial: Trial, augment: Callable, count: int, padding: int, label: str = "") -> Tensor:
    """Augment a random batch and find out what was done to each image.

    Returns:
        ``[B, 3]``: the row and the column of the padded image in which each crop begins, and
        whether it was mirrored.
    """
    # Never 0, and exact in float32 too.
    images = 0.5 + torch.floor(1000 * trial.rand(count, 2, 12, 10)) / 1024
    got = trial.call(augment, images, *(() if padding == DEFAULT else (padding,)))
    got = trial.tensor(got, "Your batch")
    trial.expect(got.shape == images.shape, f"Your batch {difference(got, images)}")
    padded, shifts = F.pad(images, 4 * [padding]), range(2 * padding + 1)
    done = torch.full((count, 3), -1)
    for row, column, mirrored in product(shifts, shifts, (False, True)):
        view = padded[:, :, row : row + 12, column : column + 10]
        view = view.flip(3) if mirrored else view
        done[(got == view).flatten(1).all(dim=1)] = torch.tensor([row, column, int(mirrored)])
    for k in (done[:, 0] < 0).nonzero().flatten().tolist():
        raise Wrong(
            f"With padding={padding} image {k} of your batch is not image {k} of `images`, shifted "
            f"by up to {padding} pixels and perhaps mirrored from left to right, with zeros coming "
            "in."
        )
    if label:
        trial.show(label, images[..., padding : 12 - padding, padding : 10 - padding])
    return done


def about_chances(trial: Trial, done: Tensor, padding: int) -> None:
    """Raise :class:`Wrong` unless all shifts and both sides are about equally likely."""
    shifts, count = 2 * padding + 1, len(done)
    names = ("shifts up or down", "shifts to the left or right", "two sides")
    for name, kinds, column in zip(names, (shifts, shifts, 2), done.T, strict=True):
        seen = torch.bincount(column, minlength=kinds)
        # Six standard deviations: chance does that once in hundreds of millions of times.
        margin = 6 * (count * (kinds - 1)) ** 0.5 / kinds
        trial.expect(
            (seen - count / kinds).abs().max() < margin,
            f"With padding={padding} the {name} are not equally likely in a batch: of {count} "
            f"images they get {seen.tolist()}. Each image needs its own.",
        )
    trial.expect(
        (torch.corrcoef(done.T.double()) - torch.eye(3)).abs().max() < 6 / count**0.5,
        "Rows, columns and mirroring are not independent: one number decides for two of them.",
    )


MISTAKES_LEFT = (
    "Images and labels do not belong together.",
    "The gradients of a step are still there in the next one.",
    "The network trains in evaluation mode.",
)


@exercise("8.4", "The loop that learns")
def the_loop(trial: Trial, train_epoch, accuracy) -> None:
    """Compare two epochs with ours, then accuracies."""
    images, labels = trial.randn(22, 3, 8, 8), torch.floor(3 * trial.rand(22)).long()
    start = some_network(trial)
    orders = [trial.rand(22).argsort() for _ in range(2)]
    model = copy.deepcopy(start)
    optimizer = sgd(model)
    for epoch in (1, 2):
        losses = trial.call(train_epoch, model, optimizer, images, labels, orders[epoch - 1], 8)

        def trained(*bugs: bool, orders: list[Tensor] = orders[:epoch]) -> tuple[Tensor, list]:
            ours = copy.deepcopy(start)
            steps = sgd(ours)
            for order in orders:
                expected = run_epoch(ours, steps, images, labels, order, *bugs)
            return state(ours), expected

        pairs = zip(model.parameters(), start.parameters(), strict=True)
        trial.expect(
            not all(torch.equal(mine, before) for mine, before in pairs),
            "No weight has changed. Which gradients are there when the optimizer steps?",
        )
        right, expected = trained(False, False, False)
        about = (
            f"After epoch {epoch} the state of your network is not what one step for each batch "
            "gives, the last batch too, with the images in the order of `order`. It"
        )
        mistakes = with_bugs(lambda *bugs: trained(*bugs)[0], *MISTAKES_LEFT)
        trial.compare(state(model), right, about, mistakes)
        about = "The training is right, but for three steps `train_epoch`"
        trial.show(f"Your losses in epoch {epoch}", same_numbers(losses, expected, about))
    with torch.no_grad():
        trial.show("Your network's answers to an image", model.eval()(images[:1]))
    check_accuracy(trial, accuracy)


def some_network(trial: Trial) -> nn.Module:
    """A random CifarCNN of the smallest kind, in float64 and evaluation mode, as a test left it."""
    model = trial.fill(CifarCNN(make_attention("eca"), 3, widths=(4, 6), dropout=0.0))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
    return model


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def state(model: nn.Module) -> Tensor:
    """All numbers of a network in one vector, its running statistics too."""
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def run_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    order: Tensor,
    unordered: bool,
    piling: bool,
    resting: bool,
) -> list[float]:
    """An epoch in batches of 8 with these bugs, and its losses."""
    model.train(not resting)
    losses = []
    for start in range(0, len(images), 8):
        chosen = order[start : start + 8]
        right = labels[start : start + 8] if unordered else labels[chosen]
        loss = F.cross_entropy(model(images[chosen]), right)
        if not piling:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def check_accuracy(trial: Trial, accuracy: Callable) -> None:
    """Compare accuracies with ours; the network must stay as it is."""
    found = []
    for count, batch_size in ((50, 8), (21, 20), (6, 32)):
        model = some_network(trial)
        images = trial.randn(count, 3, 8, 8)
        said = model(images).argmax(dim=1)
        # Most answers are right, fewer in the last batch.
        lucky = trial.rand(count) < torch.linspace(1.0, 0.5, count)
        lucky[-1] &= not lucky.all()
        labels = torch.where(lucky, said, (said + 1) % 3)
        before = state(model.train())  # as a training has left it
        got = trial.call(accuracy, model, images, labels, batch_size)
        trial.expect(
            close(state(model), before),
            "`accuracy` changes the network: its running averages move with the test images. In "
            "which mode is it?",
        )
        hits = lucky.double()
        batches = torch.stack([batch.mean() for batch in hits.split(batch_size)])
        about = f"Where {int(hits.sum())} of {count} answers are right, `accuracy`"
        mistakes = [
            ([100 * hits.mean()], "Return a fraction, not a percentage."),
            ([batches.mean()], "That is the mean of the batches; the last one has fewer images."),
        ]
        found += same_numbers(got, [float(hits.mean())], about, mistakes)
    trial.show("Your accuracies", found)


@exercise("8.5", "What five seeds show")
def five_seeds(trial: Trial, shown, compare) -> None:
    hint = "A sentence follows if it says no more than these ten numbers, or `compare`, do."
    shown = numbers(shown, (2, 3, 5), "shown", hint)
    for k, (count, *lacking) in enumerate(((3, 0, 0), (10, 0, 2), (9, 1, 1)), 1):
        plain, attention = made_up(trial, count, *lacking)
        d, best, in_order = gains(plain, attention)
        mistakes = [
            (limits(best), "You take the best epoch: the test images have chosen it."),
            (limits(in_order), "Runs with different seeds are no pairs."),
            *mistakes_of_intervals(d),
        ]
        mistakes = [([mean, high - mean], said) for (mean, _, high), said in mistakes]
        mean, _, high = limits(d)
        half = high - mean
        mistakes += [
            ([-mean, half], "The mean is positive if the attention has done better."),
            ([100 * mean, 100 * half], "Fractions are asked for, as the accuracies are."),
        ]
        name = f"For {len(plain)} and {len(attention)} made-up runs `compare`, as (mean, half),"
        got = same_numbers(trial.call(compare, plain, attention), [mean, half], name, mistakes)
        trial.show(f"Made-up runs {k}: mean and half, in points", [100 * value for value in got])
    trial.stamp("Stamp of the sentences", *shown)


def made_up(trial: Trial, count: int, first: int, last: int) -> tuple[list[dict], list[dict]]:
    """Two lists of runs: the one lacks the ``first`` seeds, the other one the ``last``."""
    seeds = [3 * k + trial.integer(0, 2) for k in range(count)]
    level = (0.6 + 0.1 * trial.rand(count)).tolist()
    plain, attention = [], []
    for side, extra in ((plain, 0.0), (attention, 0.01)):
        for seed, height in zip(seeds, level, strict=True):
            end = height + extra + 0.01 * float(trial.randn())
            steps = [end * (0.5 + 0.1 * k) for k in range(4)]
            better = end + 0.002 + 0.02 * float(trial.rand())
            side.append({"seed": seed, "test_accuracy": [*steps, better, end]})
    attention = attention[: count - last]
    return plain[first:], [attention[k] for k in trial.rand(len(attention)).argsort().tolist()]


def gains(plain: list[dict], attention: list[dict]) -> list[np.ndarray]:
    """The differences of pairs in the last epoch, in the best one, and of runs in their order."""

    def by_seed(runs: list[dict], choose: Callable) -> pd.Series:
        return pd.Series({run["seed"]: choose(run["test_accuracy"]) for run in runs})

    last, best = (
        (by_seed(attention, choose) - by_seed(plain, choose)).dropna().to_numpy()
        for choose in (lambda accuracies: accuracies[-1], max)
    )
    pairs = zip(plain, attention, strict=False)
    in_order = [y["test_accuracy"][-1] - x["test_accuracy"][-1] for x, y in pairs]
    return [last, best, np.array(in_order)]
