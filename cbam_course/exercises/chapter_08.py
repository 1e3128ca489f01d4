"""The exercises of chapter 8, training on CIFAR-10."""

import copy
from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbam_course.attention import make_attention
from cbam_course.models import CifarCNN

from .errors import NotSolved, Wrong
from .framework import exercise
from .predictions import number, numbers
from .trial import Trial, close


@exercise("8.1", "Runs that have looked")
def runs_that_have_looked(trial: Trial, steered, picked, first_epoch_at_1) -> None:
    steered = numbers(
        steered,
        (1, 4),
        "steered",
        "Look at each place where a rate is halved, and at an early end: which of them follow two "
        "epochs without a new best test loss?",
    )
    picked = numbers(
        picked, (3,), "picked", "Which reported accuracy needed a choice among the epochs?"
    )
    first_epoch_at_1 = number(
        first_epoch_at_1,
        14,
        "first_epoch_at_1",
        {
            12: "`first_epoch_at_1`: 0.92 is a new best value, and the count begins again.",
            13: "`first_epoch_at_1`: epoch 12 is the first one without improvement. A second one "
            "has to be over.",
            15: "`first_epoch_at_1`: 0.94 is below 0.95, but the best value is 0.92.",
            11: "`first_epoch_at_1`: the test loss of epoch 10 was a new best value.",
        },
    )
    weights = trial.rand(7)
    trial.show("Sum of the numbers drawn for runs that you call steered", weights[[*steered]].sum())
    trial.show("Sum of the numbers drawn for runs that you call picked", weights[[*picked]].sum())
    trial.stamp("Stamp of your answers", *steered, *picked, first_epoch_at_1)


# 8.2 Normalize.


@exercise("8.2", "Normalize")
def normalize_bytes(trial: Trial, normalize) -> None:
    train = pictures(trial, 96, 28, 36)
    for name, images in (
        ("training pictures", train[:8]),
        ("darker pictures", pictures(trial, 3, 20, 24) // 3),
        ("one picture", pictures(trial, 1, 5, 4)),
    ):
        mistakes = mistakes_of_normalizing(train.double(), images.double())
        expected, *mistakes = [(t.permute(0, 3, 1, 2), said) for t, said in mistakes]
        channels_last = (expected[0].permute(0, 2, 3, 1), "The network takes [B, C, H, W].")
        got = trial.call(normalize, train, images)
        got = trial.compare(got, expected[0], "Your result", [channels_last, *mistakes])
        # Two digits: whether n or n - 1 divides must not show.
        trial.show(f"Of {name}", got, digits=2)


def pictures(trial: Trial, count: int, height: int, width: int) -> Tensor:
    """Bytes ``[N, H, W, 3]`` whose brightness and contrast differ by picture and by color."""
    bright = 60 + 110 * trial.rand(count, 1, 1, 1) + torch.tensor([0, 15, -25])
    contrast = 12 + 25 * trial.rand(count, 1, 1, 3)
    values = bright + contrast * trial.randn(count, height, width, 3)
    return values.clamp(0, 255).to(torch.uint8)


def mistakes_of_normalizing(train: Tensor, images: Tensor) -> list[tuple[Tensor, str]]:
    """The right result, then those of mistakes and what to say of them."""
    places = (0, 1, 2)
    mean, std = train.mean(dim=places), train.std(dim=places)
    each = images.mean(dim=(1, 2), keepdim=True), images.std(dim=(1, 2), keepdim=True)
    apart = train.std(dim=(1, 2)).mean(dim=0)
    own = images.mean(dim=places), images.std(dim=places)
    own_numbers = "You use the statistics of `images`. Those of `train` are for all pictures."
    scaled = images / 255
    return [
        ((images - mean) / std, ""),
        ((images - own[0]) / own[1], own_numbers),
        ((images - each[0]) / each[1], "Each picture is normalized by its own statistics."),
        (
            (images - mean) / apart,
            "You average the deviations of single pictures. Take the deviation of all pixels "
            "together.",
        ),
        ((images - train.mean()) / train.std(), "Each color has a mean and deviation of its own."),
        ((images - mean) / std**2, "You divide by the variance."),
        (images - mean, "The mean is right. What about the deviation?"),
        (images / std, "The deviation is right. What about the mean?"),
        ((scaled - mean) / std, "The pictures are divided by 255, and the statistics are not."),
        (
            (images - mean / 255) / (std / 255),
            "The statistics are divided by 255, and the pictures are not.",
        ),
        (scaled, "The pixels are between 0 and 1: where are the mean and the deviation?"),
        (images * std + mean, "You have it the other way round: subtract the mean, then divide."),
    ]


# 8.3 Crop and mirror.


@exercise("8.3", "Crop and mirror")
def crop_and_mirror(trial: Trial, augment) -> None:
    small = [look(trial, augment, 6, 1) for _ in range(8)]
    moved_together = all(len(set(views.shifts)) == 1 for views in small)
    together = all(len(set(views.mirrored)) == 1 for views in small)
    upside_down = any(any(views.upside_down) for views in small)
    one_end = min(number for views in small for shift in views.shifts for number in shift)
    mirrored = any(any(views.mirrored) for views in small)
    if moved_together and upside_down and not mirrored and one_end > -1:
        raise NotSolved("The function does what it did when it came.")
    trial.expect(
        not upside_down, "Some pictures are turned upside down. Which axis runs from left to right?"
    )
    trial.expect(
        not moved_together, "All pictures of a batch are shifted alike: each needs its own shift."
    )
    trial.expect(mirrored, "No picture is mirrored.")
    trial.expect(not together, "All pictures of a batch are mirrored, or none is.")
    for padding in (DEFAULT, 2):
        views = [look(trial, augment, 300, padding) for _ in range(2)]
        trial.expect(
            views[0].shifts != views[1].shifts and views[0].mirrored != views[1].mirrored,
            "Two calls shift or mirror the pictures alike. Each epoch should bring other views.",
        )
        shifts = torch.tensor([*views[0].shifts, *views[1].shifts])
        mirrored = torch.tensor([*views[0].mirrored, *views[1].mirrored])
        about_chances(trial, shifts, mirrored, padding)
        trial.show(f"Shifted by up to {padding}, undone", views[0].undone)
    none = look(trial, augment, 5, 0)
    trial.show("Not shifted, mirrored back", none.undone)


class Views(NamedTuple):
    """What ``augment`` has done to each picture of a batch."""

    shifts: list[tuple[int, int]]  # down and to the right
    mirrored: list[bool]
    upside_down: list[bool]
    undone: Tensor  # the part that is always seen, as found in the result


FARTHEST = 6  # shifts up to here are recognized
DEFAULT = 4


def look(trial: Trial, augment: Callable, count: int, padding: int) -> Views:
    """Augment a random batch and find out what was done to each picture."""
    channels, height, width = 2, 12, 10
    # Never 0, and exact in float32 too.
    images = 0.5 + torch.floor(1000 * trial.rand(count, channels, height, width)) / 1024
    arguments = () if padding == DEFAULT else (padding,)
    got = trial.tensor(trial.call(augment, images, *arguments), "Your batch")
    trial.expect(
        got.shape == images.shape,
        f"Your batch has the shape {list(got.shape)}; it should be that of `images`, "
        f"{list(images.shape)}.",
    )
    padded = F.pad(images, 4 * [FARTHEST])
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # [B, C, down, right, H, W]
    middle = height // 2, width // 2
    found: list = [None] * count
    for turned in ((), (3,), (2,), (2, 3)):
        back = got.flip(turned)
        # The pixel in the middle tells where to look closer.
        near = windows[:, 0, :, :, *middle] == back[:, 0, *middle][:, None, None]
        picture, top, left = near.nonzero().T
        same = (windows[picture, :, top, left] == back[picture]).all(dim=(1, 2, 3))
        for k, t, x in torch.stack([picture, top, left], dim=1)[same].tolist():
            found[k] = found[k] or (FARTHEST - t, FARTHEST - x, turned)
    if None in found:
        raise Wrong(about_unknown(got[found.index(None)], found.index(None), images, windows))
    farthest = max(abs(number) for down, right, _ in found for number in (down, right))
    trial.expect(
        farthest <= padding,
        f"With padding={padding} a picture is shifted by {farthest} pixels.",
    )
    undone = []
    for picture, (down, right, turned) in zip(got, found, strict=True):
        rows = slice(padding + down, height - padding + down)
        columns = slice(padding + right, width - padding + right)
        undone.append(picture.flip([axis - 1 for axis in turned])[:, rows, columns])
    return Views(
        [(down, right) for down, right, _ in found],
        [3 in turned for *_, turned in found],
        [2 in turned for *_, turned in found],
        torch.stack(undone),
    )


def about_unknown(picture: Tensor, place: int, images: Tensor, windows: Tensor) -> str:
    """What to say of a picture that is no shifted or mirrored version of the original."""
    for axes in ((), (2,), (1,), (1, 2)):
        same = (windows == picture.flip(axes)[:, None, None]).all(dim=(1, 4, 5)).flatten(1).any(1)
        if same.any():
            other = int(same.nonzero()[0])
            return (
                f"Picture {place} of your batch is made from picture {other}. Pictures should keep "
                "their places, or the labels no longer fit."
            )
    if not (picture == 0).any() and torch.isin(picture, images[place]).all():
        return (
            f"Picture {place} of your batch holds pixels of the original only, in other places. "
            "What comes in from outside should be zero."
        )
    return (
        f"Picture {place} of your batch is no shifted or mirrored version of picture {place} with "
        "zeros coming in."
    )


def about_chances(trial: Trial, shifts: Tensor, mirrored: Tensor, padding: int) -> None:
    """Raise :class:`Wrong` unless all shifts and both sides are about equally likely."""
    count, kinds = len(shifts), 2 * padding + 1
    for axis, name in enumerate(("up or down", "to the left or right")):
        seen = shifts[:, axis]
        for end in (-padding, padding):
            trial.expect(
                (seen == end).any(),
                f"With padding={padding}, none of {count} pictures is shifted {name} by "
                f"{padding} pixels in both directions: they go from {seen.min():+d} to "
                f"{seen.max():+d}.",
            )
        counts = torch.bincount(seen + padding, minlength=kinds)
        # Six standard deviations: chance does that once in hundreds of millions of times.
        margin = 6 * (count * (kinds - 1)) ** 0.5 / kinds
        trial.expect(
            (counts - count / kinds).abs().max() < margin,
            f"The shifts {name} are not equally likely: of {count} pictures, "
            f"{counts.min()} have the rarest and {counts.max()} the commonest one.",
        )
    share = mirrored.double().mean()
    trial.expect(
        0.37 < share < 0.63, f"About half of the pictures should be mirrored; {share:.0%} are."
    )
    together = torch.corrcoef(torch.stack([*shifts.T.double(), mirrored.double()]))
    trial.expect(
        (together - torch.eye(3)).abs().max() < 0.27,
        "Rows, columns and mirroring are not independent: one number decides for two of them.",
    )


# 8.4 The loop that learns.


@exercise("8.4", "The loop that learns")
def the_loop(trial: Trial, train_epoch, accuracy) -> None:
    untouched = check_training(trial, train_epoch)
    check_accuracy(trial, accuracy, untouched)


def check_training(trial: Trial, train_epoch: Callable) -> bool:
    """Compare two epochs with ours; whether they are those of the function as it came."""
    images, labels = trial.randn(22, 3, 8, 8), torch.floor(3 * trial.rand(22)).long()
    start = network(trial)
    orders = [trial.rand(22).argsort() for _ in range(2)]
    model = copy.deepcopy(start).eval()  # as a test has left it
    optimizer = sgd(model)
    for epoch, order in enumerate(orders, 1):
        losses = trial.call(train_epoch, model, optimizer, images, labels, order, 8)
        got = state(model)

        def trained(bugs: tuple, epochs: int = epoch, **options) -> tuple[Tensor, Tensor]:
            """The state after so many epochs with these bugs, and the losses of the last."""
            ours = copy.deepcopy(start).eval()
            steps = sgd(ours)
            for order in orders[:epochs]:
                found = run_epoch(ours, steps, images, labels, order, 8, bugs, **options)
            return state(ours), found

        right, expected = trained(NONE)
        about = f"Your network after epoch {epoch}"
        if not close(got, right):
            if close(weights(model), weights(start)):
                raise Wrong(
                    f"{about} has the weights that it had: `backward` and `step` belong together."
                )
            for bugs in BUGS[1:]:
                if close(got, trained(bugs)[0]):
                    if bugs == ALL:
                        return True
                    left = [message for there, message in zip(bugs, TRAINING, strict=True) if there]
                    raise Wrong(f"Mistakes left: {len(left)}. " + " ".join(left))
            if close(got, trained(NONE, whole_batches=True)[0]):
                raise Wrong(f"{about} has not seen the last batch, which is smaller.")
            if close(got, trained(NONE, straight=True)[0]):
                raise Wrong(f"{about} has seen the images in their own order: who uses `order`?")
            raise Wrong(
                f"{about} is not what one step for each batch gives. Which lines did you change?"
            )
        losses = as_numbers(losses)
        if close(losses, expected):
            trial.show(f"Your losses in epoch {epoch}", losses)
            continue
        raise Wrong(
            f"The training is right, but `train_epoch` returns {losses.tolist()} for "
            f"{len(expected)} steps: return the list of the losses, one for each step."
        )
    with torch.no_grad():
        trial.show("Your network's answers to a picture", model.eval()(images[:1]))
    return False


NONE, ALL = (False, False, False), (True, True, True)
BUGS = list(product((False, True), repeat=3))
TRAINING = (
    "Images and labels do not belong together.",
    "The gradients of a step are still there in the next one.",
    "The network trains in evaluation mode.",
)


def network(trial: Trial) -> nn.Module:
    """A random CifarCNN of the smallest kind, in float64, with some running statistics."""
    model = CifarCNN(make_attention("eca"), 3, widths=(4, 6), dropout=0.0)
    trial.fill(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
            module.running_mean.copy_(trial.randn(*module.running_mean.shape))
            module.running_var.copy_(0.5 + trial.rand(*module.running_var.shape))
    return model


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def state(model: nn.Module) -> Tensor:
    """All numbers of a network in one vector, its running statistics too."""
    return torch.cat([v.double().flatten() for v in model.state_dict().values()]).clone()


def weights(model: nn.Module) -> Tensor:
    """What the optimizer moves, in one vector."""
    return torch.cat([v.detach().flatten() for v in model.parameters()]).clone()


def run_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    order: Tensor,
    batch_size: int,
    bugs: tuple[bool, bool, bool],
    *,
    whole_batches: bool = False,
    straight: bool = False,
) -> Tensor:
    """An epoch with the bugs that are named, and its losses."""
    order = torch.arange(len(images)) if straight else order
    unordered, piling, resting = bugs
    model.train(not resting)
    losses = []
    for start in range(0, len(images), batch_size):
        chosen = order[start : start + batch_size]
        if whole_batches and len(chosen) < batch_size:
            break
        right = labels[start : start + batch_size] if unordered else labels[chosen]
        loss = F.cross_entropy(model(images[chosen]), right)
        if not piling:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def as_numbers(losses: object) -> Tensor:
    """The losses as a vector, whatever they were collected in; empty if they are something else."""
    try:
        values = list(losses) if isinstance(losses, Iterable) else [losses]
        return torch.tensor([float(value) for value in values], dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        message = "`train_epoch` should return the list of the losses, one for each step."
        raise Wrong(message) from None


def check_accuracy(trial: Trial, accuracy: Callable, untouched: bool) -> None:
    """Compare accuracies with ours; the network must stay as it is."""
    found = []
    for count, batch_size in ((50, 8), (21, 20), (6, 32)):
        model = network(trial)
        images = trial.randn(count, 3, 8, 8)
        said = model.eval()(images).argmax(dim=1)
        # Most answers are right, fewer in the last batch.
        lucky = trial.rand(count) < torch.linspace(1.0, 0.5, count)
        labels = torch.where(lucky, said, (said + 1) % 3)
        if lucky.all():
            labels[-1] = (said[-1] + 1) % 3
        before = state(model.train())  # as a training has left it
        got = trial.call(accuracy, model, images, labels, batch_size)
        moved = not close(state(model), before)
        if moved and untouched:
            raise NotSolved("Both functions do what they did when they came.")
        trial.expect(
            not moved,
            "`accuracy` changes the network: its running averages move with the test pictures. "
            "In which mode is it?",
        )
        hits = (said == labels).double()
        found.append(compare_accuracy(got, hits, batch_size))
    trial.expect(not untouched, "`accuracy` is right. `train_epoch` does what it did when it came.")
    trial.show("Your accuracies", found)


def compare_accuracy(got: object, hits: Tensor, batch_size: int) -> float:
    """The accuracy as a float, if it is the right one."""
    try:
        got = float(got)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("`accuracy` should return one number.") from None
    right = float(hits.mean())
    if abs(got - right) < 1e-6:
        return got
    case = f"For {len(hits)} images in batches of {batch_size}, `accuracy` returns {got:.4g}"
    batches = hits.split(batch_size)
    by_batch = float(torch.stack([batch.mean() for batch in batches]).mean())
    for wrong, message in (
        (100 * right, "a percentage. Return a fraction."),
        (float(hits.sum()), "the number of right answers. Return a fraction."),
        (1 - right, "the share of wrong answers."),
        (by_batch, "the mean of the batches' accuracies. The last batch has fewer images."),
    ):
        if abs(got - wrong) < 1e-6:
            raise Wrong(f"{case}, {message}")
    raise Wrong(f"{case}; {int(hits.sum())} answers are right, which is {right:.4g}.")


# 8.5 What five seeds show.


@exercise("8.5", "What five seeds show")
def five_seeds(trial: Trial, shown, compare) -> None:
    shown = numbers(
        shown,
        (2, 3, 5),
        "shown",
        "A sentence follows if it says no more than these ten numbers, or `compare`, do.",
    )
    cases = [(TABLE, "The table")]
    for k, (count, lacking) in enumerate(((3, (0, 0)), (10, (0, 2)), (9, (1, 1))), 1):
        cases.append((made_up(trial, count, *lacking), f"Made-up runs {k}"))
    for (plain, attention), name in cases:
        got = trial.call(compare, copy.deepcopy(plain), copy.deepcopy(attention))
        mean, half = compared(got, plain, attention, name)
        if plain is not TABLE[0]:
            trial.show(f"{name}: mean and half, in points", [100 * mean, 100 * half])
    trial.stamp("Stamp of the sentences", *shown)


T95 = {1: 12.706205, 2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582}
T95 |= {6: 2.446912, 7: 2.364624, 8: 2.306004, 9: 2.262157}


def made_up(trial: Trial, count: int, first: int, last: int) -> tuple[list[dict], list[dict]]:
    """Two lists of runs: the one lacks the ``first`` seeds, the other one the ``last``."""
    seeds = [3 * k + trial.integer(0, 2) for k in range(count)]
    level = 0.6 + 0.1 * trial.rand(len(seeds))
    sides = []
    for extra in (0.0, 0.01):
        runs = []
        for seed, height in zip(seeds, level.tolist(), strict=True):
            end = height + extra + 0.01 * float(trial.randn())
            steps = [end * (0.5 + 0.1 * k) for k in range(4)]
            better = end + 0.002 + 0.02 * float(trial.rand())
            runs.append({"seed": seed, "test_accuracy": [*steps, better, end]})
        sides.append(runs)
    plain, attention = sides
    attention = attention[: count - last]
    shuffled = [attention[k] for k in trial.rand(len(attention)).argsort().tolist()]
    return plain[first:], shuffled


def _table(*accuracies: float) -> list[dict]:
    return [
        {"seed": seed, "test_accuracy": [0.3, 0.5, last]} for seed, last in enumerate(accuracies)
    ]


TABLE = (_table(0.701, 0.734, 0.682, 0.75, 0.713), _table(0.71, 0.741, 0.695, 0.756, 0.722))


def compared(got: object, plain: list[dict], attention: list[dict], name: str) -> tuple:
    """The learner's mean and half width, if they are right."""
    try:
        mean, half = (float(value) for value in got)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("`compare` should return two numbers, (mean, half).") from None

    def paired(which: Callable) -> Tensor:
        before = {run["seed"]: which(run["test_accuracy"]) for run in plain}
        after = {run["seed"]: which(run["test_accuracy"]) for run in attention}
        both = sorted(before.keys() & after.keys())
        return torch.tensor([after[s] - before[s] for s in both], dtype=torch.float64)

    def last(runs: list[dict]) -> Tensor:
        return torch.tensor([run["test_accuracy"][-1] for run in runs], dtype=torch.float64)

    def same(value: float, other: object) -> bool:
        return abs(value - float(other)) < 2e-6

    d, best = paired(lambda a: a[-1]), paired(max)
    n = len(d)
    right_mean, error = float(d.mean()), float(d.std()) / n**0.5
    right = T95[n - 1] * error
    if same(mean, right_mean) and same(half, right):
        return mean, half
    a, b = last(plain), last(attention)
    fewer = min(len(a), len(b))
    unpaired = float((a.var() / len(a) + b.var() / len(b)) ** 0.5)
    case = f"{name}: your mean is {100 * mean:.4g} points, your half width {100 * half:.4g}. "
    for value, message in (
        (-right_mean, "The mean should be positive if the attention has done better."),
        (100 * right_mean, "Return fractions, not points."),
        (best.mean(), "You take the best epoch: the test pictures have chosen it."),
        ((b[:fewer] - a[:fewer]).mean(), "Runs with different seeds are no pairs."),
        (b.mean() - a.mean(), "A run without its partner does not count."),
        (d.median(), "That is the median of the differences."),
    ):
        if same(mean, value) and not same(mean, right_mean):
            raise Wrong(case + message)
    if not same(mean, right_mean):
        raise Wrong(f"{case}The differences of its {n} pairs have the mean {100 * right_mean:.4g}.")
    for value, message in (
        (T95[n - 1] * float(d.std()), "That tells how far single pairs are spread: where is n?"),
        (1.96 * error, "1.96 is for many runs. For few, t is larger."),
        (T95[n - 1] * float(d.std(correction=0)) / n**0.5, "Divide the squares by n - 1."),
        (T95.get(n, 0) * error, "t belongs to n - 1 degrees of freedom."),
        (error, "That is the standard error. The interval takes t of them."),
        (2 * right, "That is the whole width of the interval."),
        (T95[n - 1] * float(d.var()) / n**0.5, "Take the square root of the variance."),
        (T95[n - 1] * float(d.std()) / n, "Divide s by the square root of n."),
        (
            T95[fewer - 1] * float((b[:fewer] - a[:fewer]).std()) / fewer**0.5,
            "Runs with different seeds are no pairs.",
        ),
        (T95[n - 1] * unpaired, "You compare two means and have forgotten the pairs."),
    ):
        if same(half, value):
            raise Wrong(case + message)
    raise Wrong(f"{case}The mean is right; the half width should be {100 * right:.4g}.")
