"""Answers to the exercises of chapter 8."""

from . import right, wrong
from .editing import changed

# 8.1 Runs that have looked.


def looked(steered="[1, 4]", picked="[3]", epoch="14"):
    return f"steered = {steered}\npicked = {picked}\nfirst_epoch_at_1 = {epoch}\n"


LOOKED = [
    right("8.1", "sets", looked("{4, 1}", "{3}", "14.0")),
    right("8.1", "a number for a list", looked("(4, 1)", "3")),
    right("8.1", "tensors", looked("torch.tensor([1, 4])", "torch.tensor(3)", "torch.tensor(14)")),
    right("8.1", "counted", looked("range(1, 5, 3)", "[3.0]", "11 + 2 + 1")),
    wrong("8.1", "the end overlooked", looked("[1]"), "1 missing, 0 too many"),
    wrong("8.1", "every halving", looked("[1, 2, 4, 6]"), "0 missing, 2 too many"),
    wrong("8.1", "nobody", looked("[]"), "2 missing"),
    wrong("8.1", "the best epoch is not the last", looked(picked="[2, 3, 4, 6]"), "3 too many"),
    wrong("8.1", "nothing picked", looked(picked="[]"), "`picked`: 1 missing"),
    wrong("8.1", "no new count", looked(epoch="12"), "the count begins again"),
    wrong("8.1", "one epoch", looked(epoch="13"), "A second one"),
    wrong("8.1", "compared with the epoch before", looked(epoch="15"), "the best value is 0.92"),
    wrong("8.1", "words", looked("'run 1'"), "list of numbers"),
    wrong("8.1", "half open", looked(epoch="..."), "still open", "NotSolved"),
]

# 8.2 Normalize.

NORMALIZE = """
def normalize(train, images):
    pixels = train.double()
    mean, std = pixels.mean(dim=(0, 1, 2)), pixels.std(dim=(0, 1, 2))
    return ((images.double() - mean) / std).permute(0, 3, 1, 2)
"""
STD = "pixels.std(dim=(0, 1, 2))"
RESULT = "((images.double() - mean) / std)"

NORMAL = [
    right("8.2", "float32", changed(NORMALIZE, ("double", "float"))),
    right(
        "8.2",
        "from 0 to 1, channels first",
        """
        def normalize(train, images):
            train, images = (x.permute(0, 3, 1, 2).double() / 255 for x in (train, images))
            mean = train.mean((0, 2, 3), keepdim=True)
            std = train.std((0, 2, 3), keepdim=True, correction=0)
            return images.sub(mean).div(std)
        """,
    ),
    right(
        "8.2",
        "NumPy",
        """
        def normalize(train, images):
            mean = train.numpy().mean((0, 1, 2))
            std = train.numpy().std((0, 1, 2))
            return torch.from_numpy(((images.numpy() - mean) / std).transpose(0, 3, 1, 2))
        """,
    ),
    right(
        "8.2",
        "one scale and one shift",
        """
        def normalize(train, images):
            pixels = train.reshape(-1, train.shape[-1]).float()
            variance = (pixels - pixels.mean(0)).square().mean(0)
            scale = variance.rsqrt()
            out = images.float().mul_(scale).add_(-pixels.mean(0) * scale)
            return torch.einsum("bhwc->bchw", out).contiguous()
        """,
    ),
    wrong(
        "8.2", "own numbers", changed(NORMALIZE, ("train.double", "images.double")), "of `images`"
    ),
    wrong(
        "8.2",
        "deviations of pictures",
        changed(NORMALIZE, (STD, "pixels.std(dim=(1, 2)).mean(dim=0)")),
        "deviations of single pictures",
    ),
    wrong(
        "8.2",
        "one number for all colors",
        changed(NORMALIZE, ("dim=(0, 1, 2)", "")),
        "Each color",
    ),
    wrong(
        "8.2",
        "picture by picture",
        """
        def normalize(train, images):
            images = images.double().permute(0, 3, 1, 2)
            std, mean = torch.std_mean(images, dim=(2, 3), keepdim=True)
            return (images - mean) / std
        """,
        "by its own statistics",
    ),
    wrong("8.2", "variance", changed(NORMALIZE, (STD, STD.replace("std", "var"))), "variance"),
    wrong("8.2", "mean only", changed(NORMALIZE, (" / std", "")), "What about the deviation"),
    wrong("8.2", "deviation only", changed(NORMALIZE, (" - mean", "")), "What about the mean"),
    wrong(
        "8.2",
        "divided by 255 once",
        changed(NORMALIZE, ("images.double()", "images.double() / 255")),
        "and the statistics are not",
    ),
    wrong(
        "8.2",
        "statistics divided by 255",
        changed(NORMALIZE, ("train.double()", "train.double() / 255")),
        "and the pictures are not",
    ),
    wrong("8.2", "channels last", changed(NORMALIZE, (".permute(0, 3, 1, 2)", "")), "takes [B,"),
    wrong(
        "8.2", "turned", changed(NORMALIZE, ("(0, 3, 1, 2)", "(0, 3, 2, 1)")), "in another order"
    ),
    wrong(
        "8.2",
        "bytes",
        changed(NORMALIZE, ("images.double() - mean", "(images - mean.byte()).double()")),
        "other values",
    ),
    wrong("8.2", "no return", changed(NORMALIZE, ("return", "_ =")), "nothing yet", "NotSolved"),
]

# 8.3 Crop and mirror.

AUGMENT = """
def augment(images, padding=4):
    batch, channels, height, width = images.shape
    padded = F.pad(images, 4 * [padding])
    corners = torch.randint(2 * padding + 1, (batch, 2)).tolist()
    cut = [
        picture[:, top : top + height, left : left + width]
        for picture, (top, left) in zip(padded, corners)
    ]
    images = torch.stack(cut)
    mirrored = torch.rand(batch) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
"""
CORNERS = "torch.randint(2 * padding + 1, (batch, 2)).tolist()"
COIN = "torch.rand(batch) < 0.5"
PAD = "F.pad(images, 4 * [padding])"

AUGMENTED = [
    right(
        "8.3",
        "all at once, mirrored first",
        """
        def augment(images, padding=4):
            B, C, H, W = images.shape
            images = F.pad(images, (padding,) * 4)
            rows = torch.randint(0, 2 * padding + 1, (B, 1)) + torch.arange(H)
            columns = torch.randint(0, 2 * padding + 1, (B, 1)) + torch.arange(W)
            columns = torch.where(torch.rand(B, 1) > 0.5, columns, columns.flip(1))
            pictures, channels = torch.arange(B), torch.arange(C)
            return images[
                pictures[:, None, None, None],
                channels[None, :, None, None],
                rows[:, None, :, None],
                columns[:, None, None, :],
            ]
        """,
    ),
    right(
        "8.3",
        "Python's chance, picture by picture",
        """
        import random

        def augment(images, padding=4):
            height, width = images.shape[2:]
            out = torch.zeros_like(images)
            for k, picture in enumerate(images):
                down = random.randint(-padding, padding)
                right = random.randint(-padding, padding)
                rows = [r for r in range(height) if 0 <= r - down < height]
                for r in rows:
                    for c in range(width):
                        if 0 <= c - right < width:
                            out[k, :, r, c] = picture[:, r - down, c - right]
                if random.random() < 0.5:
                    out[k] = out[k].flip(-1)
            return out
        """,
    ),
    right(
        "8.3",
        "NumPy's chance, in float32 and in place",
        """
        import numpy as np

        def augment(images, padding=4):
            images = images.float()
            padded = F.pad(images, [padding] * 4)
            height, width = images.shape[-2:]
            corners = np.random.randint(0, 2 * padding + 1, (len(images), 2))
            for k, (top, left) in enumerate(corners):
                images[k] = padded[k, :, top:top + height, left:left + width]
            mirrored = torch.from_numpy(np.random.rand(len(images)) < 0.5)
            images[mirrored] = images[mirrored].flip(3)
            return images
        """,
    ),
    wrong(
        "8.3",
        "one corner",
        changed(AUGMENT, (CORNERS, "torch.randint(2 * padding + 1, (1, 2)).tolist() * batch")),
        "All pictures of a batch are shifted alike",
    ),
    wrong("8.3", "one coin", changed(AUGMENT, (COIN, "torch.rand(1) < 0.5")), "or none is"),
    wrong("8.3", "on its head", changed(AUGMENT, ("flip(3)", "flip(2)")), "upside down"),
    wrong("8.3", "turned round", changed(AUGMENT, ("flip(3)", "flip(2, 3)")), "upside down"),
    wrong(
        "8.3", "one end lost", changed(AUGMENT, ("padding + 1", "padding")), "in both directions"
    ),
    wrong(
        "8.3",
        "one number for rows and columns",
        changed(AUGMENT, ("padding + 1, (batch, 2))", "padding + 1, (batch, 1)).expand(-1, 2)")),
        "not independent",
    ),
    wrong(
        "8.3",
        "mirrored where shifted down",
        changed(AUGMENT, (COIN, "torch.tensor([top < padding for top, _ in corners])")),
        "not independent",
    ),
    wrong("8.3", "never mirrored", changed(AUGMENT, ("images.flip(3)", "images")), "No picture"),
    wrong(
        "8.3", "always mirrored", changed(AUGMENT, (", images)", ", images.flip(3))")), "or none"
    ),
    wrong("8.3", "mostly mirrored", changed(AUGMENT, ("< 0.5", "< 0.8")), "About half"),
    wrong("8.3", "4 for good", changed(AUGMENT, (PAD, "F.pad(images, 4 * [4])")), "by 4 pixels"),
    wrong(
        "8.3",
        "shifted too far",
        changed(
            AUGMENT,
            (PAD, "F.pad(images, 4 * [2 * padding])"),
            ("2 * padding + 1", "4 * padding + 1"),
        ),
        "is shifted by",
    ),
    wrong(
        "8.3",
        "the middle preferred",
        changed(
            AUGMENT,
            (
                CORNERS,
                "(torch.randint(padding + 1, (2, batch, 2)).sum(0)).tolist()",
            ),
        ),
        "not equally likely",
    ),
    wrong(
        "8.3",
        "a seed",
        changed(AUGMENT, ("    padded =", "    torch.manual_seed(0)\n    padded =")),
        "Two calls",
    ),
    wrong(
        "8.3",
        "shuffled",
        changed(AUGMENT, ("torch.stack(cut)", "torch.stack(cut)[torch.randperm(batch)]")),
        "is made from picture",
    ),
    wrong("8.3", "default 3", changed(AUGMENT, ("padding=4", "padding=3")), "in both directions"),
    wrong(
        "8.3",
        "reflected",
        changed(AUGMENT, (PAD, 'F.pad(images, 4 * [padding], mode="reflect")')),
        "should be zero",
    ),
    wrong(
        "8.3",
        "rolled",
        """
        def augment(images, padding=4):
            shifts = torch.randint(-padding, padding + 1, (len(images), 2)).tolist()
            return torch.stack([x.roll(s, (1, 2)) for x, s in zip(images, shifts)])
        """,
        "should be zero",
    ),
    wrong("8.3", "not cut", changed(AUGMENT, ("torch.stack(cut)", "padded")), "has the shape"),
    wrong(
        "8.3",
        "other numbers",
        changed(AUGMENT, ("torch.stack(cut)", "torch.stack(cut) * 2")),
        "no shifted or mirrored version",
    ),
    wrong(
        "8.3",
        "rows not cut",
        changed(AUGMENT, ("top : top + height", "top:height")),
        "line",
        "Stopped",
    ),
]

# 8.4 The loop that learns.

TRAIN = """
def train_epoch(model, optimizer, images, labels, order, batch_size):
    model.train()
    losses = []
    for start in range(0, len(images), batch_size):
        chosen = order[start : start + batch_size]
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses

"""
TEST = """
def accuracy(model, images, labels, batch_size):
    model.eval()
    correct = 0
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        answers = model(images[batch]).argmax(dim=1)
        correct += (answers == labels[batch]).sum().item()
    return correct / len(images)
"""
ZERO, TRAIN_MODE, EVAL = (
    "        optimizer.zero_grad()\n",
    "    model.train()\n",
    "    model.eval()\n",
)
MIXED = ("labels[chosen]", "labels[start : start + batch_size]")
PILED, RESTING = (ZERO, ""), (TRAIN_MODE, "")
LOOP = TRAIN + TEST
BROKEN = changed(TRAIN, MIXED, PILED, RESTING)

LOOPS = [
    right(
        "8.4",
        "gradients cleared at the end, tensors",
        changed(
            LOOP,
            (ZERO, ""),
            ("optimizer.step()\n", "optimizer.step()\n        model.zero_grad()\n"),
            ("loss.item()", "loss.detach()"),
            ("return losses", "return torch.stack(losses)"),
            (".sum().item()", ".sum()"),
        ),
    ),
    right(
        "8.4",
        "shuffled beforehand, split",
        """
        def train_epoch(model, optimizer, images, labels, order, batch_size):
            images, labels = images[order], labels[order]
            batches = zip(images.split(batch_size), labels.split(batch_size))
            losses = []
            for x, y in batches:
                optimizer.zero_grad(set_to_none=False)
                loss = torch.nn.CrossEntropyLoss()(model.train()(x), y)
                loss.backward()
                optimizer.step()
                losses += [float(loss)]
            return tuple(losses)

        @torch.no_grad()
        def accuracy(model, images, labels, batch_size):
            before = model.training
            model.eval()
            hits = [model(x).argmax(1) for x in images.split(batch_size)]
            model.train(before)
            return (torch.cat(hits) == labels).double().mean()
        """,
    ),
    right(
        "8.4",
        "all at once in the test",
        changed(TRAIN, (ZERO, "        optimizer.zero_grad()\n"))
        + """
@torch.inference_mode()
def accuracy(model, images, labels, batch_size):
    return (model.eval()(images).argmax(-1) == labels).float().mean().item()
""",
    ),
    wrong("8.4", "labels left", changed(LOOP, MIXED), "do not belong together"),
    wrong("8.4", "gradients left", changed(LOOP, PILED), "The gradients of a step"),
    wrong("8.4", "mode left", changed(LOOP, RESTING), "in evaluation mode"),
    wrong("8.4", "labels and gradients left", changed(LOOP, MIXED, PILED), "Mistakes left: 2"),
    wrong("8.4", "labels and mode left", changed(LOOP, MIXED, RESTING), "Mistakes left: 2"),
    wrong("8.4", "gradients and mode left", changed(LOOP, PILED, RESTING), "Mistakes left: 2"),
    wrong("8.4", "the test repaired only", BROKEN + TEST, "`accuracy` is right"),
    wrong("8.4", "nothing repaired", BROKEN + changed(TEST, (EVAL, "")), "did", "NotSolved"),
    wrong("8.4", "the training repaired only", changed(LOOP, (EVAL, "")), "running averages"),
    wrong(
        "8.4",
        "order ignored",
        changed(LOOP, ("order[start", "torch.arange(99)[: len(order)][start")),
        "who uses `order`",
    ),
    wrong(
        "8.4",
        "cleared too late",
        changed(LOOP, (ZERO, ""), ("optimizer.step()", "optimizer.zero_grad(); optimizer.step()")),
        "has the weights that it had",
    ),
    wrong("8.4", "no step", changed(LOOP, ("        optimizer.step()\n", "")), "weights"),
    wrong(
        "8.4",
        "the last batch lost",
        changed(
            LOOP,
            (
                "for start in range(0, len(images), batch_size):\n        chosen",
                "for start in range(0, len(images) - batch_size, batch_size):\n        chosen",
            ),
        ),
        "the last batch, which is smaller",
    ),
    wrong(
        "8.4",
        "one step in an epoch",
        changed(
            LOOP,
            ("        optimizer.step()\n", ""),
            ("return losses", "optimizer.step()\n    return losses"),
        ),
        "one step for each batch",
    ),
    wrong(
        "8.4", "the mean loss", changed(LOOP, ("return losses", "return sum(losses) / 3")), "list"
    ),
    wrong("8.4", "no losses", changed(LOOP, ("return losses", "return 'done'")), "the list"),
    wrong(
        "8.4",
        "a percentage",
        changed(LOOP, ("correct / len", "100 * correct / len")),
        "a percentage",
    ),
    wrong("8.4", "a count", changed(LOOP, ("correct / len(images)", "correct")), "number of right"),
    wrong("8.4", "errors", changed(LOOP, ("(answers ==", "(answers !=")), "wrong answers"),
    wrong(
        "8.4",
        "mean of the batches",
        TRAIN
        + """
def accuracy(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    parts = [(model(x).argmax(1) == y).float().mean() for x, y in batches]
    return sum(parts) / len(parts)
""",
        "The last batch has fewer",
    ),
    wrong(
        "8.4",
        "a pair",
        changed(LOOP, ("correct / len(images)", "correct, len(images)")),
        "one number",
    ),
    wrong(
        "8.4",
        "a misspelled method",
        changed(LOOP, ("zero_grad", "zero_grads")),
        "zero_grads",
        "Stopped",
    ),
]

# 8.5 What five seeds show.

SEEDS = """
shown = [2, 3, 5]


def compare(plain, attention):
    before = {run["seed"]: run["test_accuracy"][-1] for run in plain}
    after = {run["seed"]: run["test_accuracy"][-1] for run in attention}
    pairs = before.keys() & after.keys()
    differences = [after[seed] - before[seed] for seed in pairs]
    n = len(differences)
    mean = sum(differences) / n
    variance = sum((d - mean) ** 2 for d in differences) / (n - 1)
    return mean, T95[n - 1] * (variance / n) ** 0.5
"""
SHOWN, HALF = "shown = [2, 3, 5]", "T95[n - 1] * (variance / n) ** 0.5"


def positions(body):
    """A comparison that does not look at the seeds."""
    return f"""
{SHOWN}


def compare(plain, attention):
    a = torch.tensor([run["test_accuracy"][-1] for run in plain]).double()
    b = torch.tensor([run["test_accuracy"][-1] for run in attention]).double()
    {body}
"""


FIVE = [
    right(
        "8.5",
        "tensors",
        """
        shown = {5, 2, 3}

        def compare(plain, attention):
            plain = {run["seed"]: run for run in plain}
            d = torch.tensor([
                run["test_accuracy"][-1] - plain[run["seed"]]["test_accuracy"][-1]
                for run in attention
                if run["seed"] in plain
            ], dtype=torch.float64)
            error = d.std() / len(d) ** 0.5
            return torch.stack([d.mean(), T95[len(d) - 1] * error])
        """,
    ),
    right(
        "8.5",
        "NumPy",
        """
        import numpy as np

        shown = np.array([2, 3, 5])

        def compare(plain, attention):
            d = np.array([
                b["test_accuracy"][-1] - a["test_accuracy"][-1]
                for a in plain for b in attention if a["seed"] == b["seed"]
            ])
            return [d.mean(), T95[d.size - 1] * d.std(ddof=1) / np.sqrt(d.size)]
        """,
    ),
    right(
        "8.5",
        "the statistics module",
        """
        from statistics import mean, stdev

        shown = (2, 3, 5)

        def compare(plain, attention):
            lists = attention, plain
            last = [{r["seed"]: r["test_accuracy"].pop() for r in runs} for runs in lists]
            d = [last[0][s] - last[1][s] for s in sorted(set(last[0]) & set(last[1]))]
            return mean(d), T95[len(d) - 1] * stdev(d) / len(d) ** 0.5
        """,
    ),
    wrong("8.5", "the next seed", changed(SEEDS, (SHOWN, "shown = [1, 2, 3, 5]")), "1 too many"),
    wrong("8.5", "CIFAR-10", changed(SEEDS, (SHOWN, "shown = [2, 3, 5, 6]")), "1 too many"),
    wrong("8.5", "pairs forgotten", changed(SEEDS, (SHOWN, "shown = [2, 3, 4, 5]")), "1 too many"),
    wrong("8.5", "nothing shown", changed(SEEDS, (SHOWN, "shown = [2]")), "2 missing"),
    wrong(
        "8.5",
        "the best epoch",
        changed(
            SEEDS,
            ('run["test_accuracy"][-1]', 'max(run["test_accuracy"])'),
        ),
        "best epoch",
    ),
    wrong(
        "8.5",
        "the other way round",
        changed(SEEDS, ("after[seed] - before[seed]", "before[seed] - after[seed]")),
        "should be positive",
    ),
    wrong(
        "8.5",
        "points",
        changed(SEEDS, ("after[seed] - before[seed]", "100 * after[seed] - 100 * before[seed]")),
        "fractions",
    ),
    wrong("8.5", "divided by n", changed(SEEDS, ("/ (n - 1)", "/ n")), "n - 1"),
    wrong("8.5", "1.96", changed(SEEDS, ("T95[n - 1]", "1.96")), "t is larger"),
    wrong("8.5", "t of n", changed(SEEDS, ("T95[n - 1]", "T95[n]")), "degrees of freedom"),
    wrong("8.5", "no t", changed(SEEDS, ("T95[n - 1] * ", "")), "standard error"),
    wrong("8.5", "no n", changed(SEEDS, ("variance / n", "variance")), "where is n"),
    wrong("8.5", "the whole width", changed(SEEDS, (HALF, f"2 * {HALF}")), "whole width"),
    wrong("8.5", "no root", changed(SEEDS, (" ** 0.5", "")), "should be"),
    wrong(
        "8.5",
        "by position",
        positions("""d = b - a
    return d.mean(), T95[len(d) - 1] * d.std() / len(d) ** 0.5"""),
        "no pairs",
    ),
    wrong(
        "8.5",
        "two means",
        positions("""error = (a.var() / len(a) + b.var() / len(b)) ** 0.5
    return b.mean() - a.mean(), T95[len(a) - 1] * error"""),
        "forgotten the pairs",
    ),
    wrong("8.5", "mean only", changed(SEEDS, (f"mean, {HALF}", "mean")), "two numbers"),
    wrong("8.5", "no missing runs", changed(SEEDS, (" & after.keys()", "")), "KeyError", "Stopped"),
    wrong(
        "8.5",
        "runs of the second list only",
        changed(SEEDS, ("before.keys() & after.keys()", "after")),
        "KeyError",
        "Stopped",
    ),
    wrong(
        "8.5",
        "half open",
        f"{SHOWN}\n\n\ndef compare(plain, attention):\n    raise NotImplementedError",
        "NotImplementedError",
        "NotSolved",
    ),
]

ANSWERS = [*LOOKED, *NORMAL, *AUGMENTED, *LOOPS, *FIVE]
