"""Mutants that pass their check, each with the reason.

Most are right answers too. What begins with "A gap" is not, and its check does not notice it yet.
Reviewed by hand: an entry whose mutant is no longer made, or no longer passes, is stale, and
`python -m tests.tools.mutants` and the tests say so.
"""

from dataclasses import dataclass

GAP = "A gap"


@dataclass(frozen=True)
class Survivor:
    """A mutant that passes.

    Attributes:
        number: the exercise.
        change: the lines that differ, as in `Mutant.change`.
        why: why it is right to let it pass.
    """

    number: str
    change: str
    why: str


def survivors(number: str, was: str, now: list[str], why: str) -> list[Survivor]:
    """Return an entry for each of the lines `now` in the place of the line `was`.

    Lines are written as Python writes them, without indentation; several are joined by newlines.
    "" in `now` is the line left out.
    """

    def signed(sign: str, lines: str) -> list[str]:
        return [f"{sign} {line}" for line in lines.splitlines()]

    return [
        Survivor(number, "\n".join([*signed("-", was), *signed("+", line)]), why) for line in now
    ]


EITHER_FIRST = "Whether the average or the maximum comes first is the learner's choice."
SYMMETRIC = "Both names change sides, and the sum of the scores is the same."
NO_ORDER = "The result does not depend on the order."
ANOTHER_TEST = "Another experiment that tells the five blocks apart as well."

# Exercise 1.4 has one long line.
MADE = (
    "made = {{'channels': (C, {}), 'places': (H * W, {}), 'both': (C + H * W, {}), "
    "'full': (C * H * W, full - full)}}"
)
LEFT = ["full - what", "full - where", "full * full.max() - what * where"]
LEFT_TURNED = ["what - full", "where - full", "what * where - full * full.max()"]

SURVIVORS = [
    # Chapter 1.
    *survivors(
        "1.3",
        "loudness = x.mean(dim=1, keepdim=True)",
        ["loudness = x.sum(dim=1, keepdim=True)"],
        "The number of channels cancels out in the division by the maximum.",
    ),
    *survivors(
        "1.3",
        "where = loudness / loudness.amax(dim=(2, 3), keepdim=True)",
        ["where = loudness / loudness.amax(dim=(1, 2, 3), keepdim=True)"],
        "Axis 1 of the loudness has size 1.",
    ),
    *survivors(
        "1.4",
        "where = full.amax(dim=0, keepdim=True)",
        ["where = full.amax(dim=0)", "where = full.amax(dim=0, keepdim=False)"],
        "Broadcasting puts a missing first axis back.",
    ),
    *survivors(
        "1.4",
        MADE.format(*LEFT),
        [MADE.format(*LEFT[:k], LEFT_TURNED[k], *LEFT[k + 1 :]) for k in range(len(LEFT))],
        "Only the absolute value of what is left over counts.",
    ),
    *survivors(
        "1.4",
        "fitting = [(n, way) for way, (n, left) in made.items() if left.abs().max() < 1e-06]",
        [
            "fitting = [(n, way) for way, (n, left) in made.items() if left.abs().max() <= 1e-06]",
            "fitting = [(n, way) for way, (n, left) in made.items() if left.abs().max() < 2e-06]",
        ],
        "Any small tolerance will do.",
    ),
    # Chapter 2.
    *survivors(
        "2.4",
        "for blocks, channels in stages:",
        ["for blocks, channels in list(stages)[::-1]:"],
        NO_ORDER,
    ),
    *survivors(
        "2.4",
        "hidden = channels // ratio",
        ["hidden = channels / ratio", "hidden = -(-channels // ratio)"],
        "The page writes C / r: the channels of all stages are multiples of 64.",
    ),
    # Chapter 3.
    *survivors(
        "3.1",
        "heard_by_1 = [0, 1, 2, 3]",
        [
            "heard_by_1 = [1, 0, 2, 3]",
            "heard_by_1 = [0, 2, 1, 3]",
            "heard_by_1 = [0, 1, 3, 2]",
        ],
        "The page asks which channels, not in which order.",
    ),
    *survivors(
        "3.2",
        "average, maximum = (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))",
        ["average, maximum = (x.amax(dim=(2, 3)), x.mean(dim=(2, 3)))"],
        SYMMETRIC,
    ),
    *survivors(
        "3.3",
        "maximum = self.largest(x)[:, :, 0, 0]",
        ["maximum = self.largest(x)[:, :, -1, 0]", "maximum = self.largest(x)[:, :, 0, -1]"],
        "The pooled map has one place, which is the first and the last.",
    ),
    *survivors(
        "3.3",
        "gates = torch.sigmoid(scores)[:, 0]",
        ["gates = torch.sigmoid(scores)[:, -1]"],
        "The convolution has one output channel, which is the first and the last.",
    ),
    *survivors(
        "3.4",
        "average = x.mean(dim=(2, 3), keepdim=True)",
        ["average = x.mean(dim=(0, 2, 3), keepdim=True)"],
        "The page promises a batch of one image.",
    ),
    *survivors(
        "3.4",
        "maximum = x.amax(dim=(2, 3), keepdim=True)",
        ["maximum = x.amax(dim=(0, 2, 3), keepdim=True)"],
        "The page promises a batch of one image.",
    ),
    # Chapter 4.
    *survivors(
        "4.2",
        "scores = self.conv(torch.cat([average, maximum], dim=1))",
        ["scores = self.conv(torch.cat([maximum, average], dim=1))"],
        EITHER_FIRST,
    ),
    *survivors(
        "4.3",
        "pooled = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)",
        ["pooled = torch.stack([x.amax(dim=1), x.mean(dim=1)], dim=1)"],
        EITHER_FIRST,
    ),
    # Chapter 5.
    *survivors(
        "5.2",
        "pooled = [x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)]",
        ["pooled = [x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)]"],
        EITHER_FIRST,
    ),
    *survivors(
        "5.3",
        "average, maximum = (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))",
        ["average, maximum = (x.amax(dim=(2, 3)), x.mean(dim=(2, 3)))"],
        SYMMETRIC,
    ),
    *survivors(
        "5.3",
        "from_average, from_maximum = (self.mlp(average), self.mlp(maximum))",
        ["from_average, from_maximum = (self.mlp(maximum), self.mlp(average))"],
        SYMMETRIC,
    ),
    *survivors(
        "5.3",
        "average, maximum = (x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True))",
        ["average, maximum = (x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True))"],
        EITHER_FIRST,
    ),
    *survivors(
        "5.3",
        "return torch.sigmoid(self.conv(torch.cat([average, maximum], dim=1)))",
        ["return torch.sigmoid(self.conv(torch.cat([maximum, average], dim=1)))"],
        EITHER_FIRST,
    ),
    *survivors(
        "5.4",
        "weights = block(x) / x",
        ["weights = x / block(x)"],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "return weights / weights[:, :, :1, :1]",
        [
            "return weights // weights[:, :, :1, :1]",
            "return weights[:, :, :1, :1] / weights",
            "return weights / weights[:, :, :1]",
            "return weights / weights[:, :, :, :1]",
            "return weights / weights[:, :, :1, :]",
        ],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "x = 0.5 + torch.rand(4, 8, 20, 20)",
        [
            "x = 0.5 * torch.rand(4, 8, 20, 20)",
            "x = torch.rand(4, 8, 20, 20)",
            "x = 1.0 + torch.rand(4, 8, 20, 20)",
            "x = 1.5 + torch.rand(4, 8, 20, 20)",
            "x = 0.5 + torch.rand(4, 8, 21, 20)",
            "x = 0.5 + torch.rand(4, 8, 19, 20)",
            "x = 0.5 + torch.rand(4, 8, 20, 21)",
            "x = 0.5 + torch.rand(4, 8, 20, 19)",
        ],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "if (block(-x) > 0).any():",
        ["if (block(-x) > 0).all():", "if (block(-x) >= 0).any():"],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "if (block(x) > x).any():",
        ["if (block(x) > x).all():", "if (block(x) >= x).any():"],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "jump, spiked = (30 * torch.rand(4, 8), x.clone())",
        [
            "jump, spiked = (30 + torch.rand(4, 8), x.clone())",
            "jump, spiked = (30 / torch.rand(4, 8), x.clone())",
            "jump, spiked = (30, x.clone())",
            "jump, spiked = (torch.rand(4, 8), x.clone())",
            "jump, spiked = (31 * torch.rand(4, 8), x.clone())",
            "jump, spiked = (29 * torch.rand(4, 8), x.clone())",
            "jump, spiked = (30 * 4, x.clone())",
        ],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "spiked[:, :, 0, 0] += jump",
        ["spiked[:, :, 1, 0] += jump", "spiked[:, :, 0, -1] += jump"],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "spiked[:, :, 0, 1] -= jump",
        ["spiked[:, :, 1, 0] -= jump", "spiked[:, :, 1, 1] -= jump", "spiked[:, :, 0, 2] -= jump"],
        ANOTHER_TEST,
    ),
    *survivors(
        "5.4",
        "far = slice(8, None)",
        ["far = 8", "far = slice(9, None)", "far = slice(7, None)"],
        ANOTHER_TEST,
    ),
    # Chapter 6.
    *survivors(
        "6.4",
        "weights = {name.removeprefix('module.'): value for name, value in weights.items()}",
        [
            (
                "weights = {name.removeprefix('module.'): value for name, value in "
                "list(weights.items())[::-1]}"
            )
        ],
        NO_ORDER,
    ),
    *survivors(
        "6.4",
        "for name, value in weights.items():",
        ["for name, value in list(weights.items())[::-1]:"],
        NO_ORDER,
    ),
    *survivors(
        "6.4",
        "fresh = sorted(own.keys() - fitting.keys())",
        ["fresh = own.keys() - fitting.keys()", "fresh = list(own.keys() - fitting.keys())"],
        "The names may be returned in any order, in a set too.",
    ),
    *survivors(
        "6.4",
        "fresh = sorted(own.keys() - fitting.keys())",
        ["fresh = sorted(own - fitting.keys())", "fresh = sorted(own.keys() - fitting)"],
        "A set of keys and a dictionary differ by the same names.",
    ),
    *survivors(
        "6.4",
        "left_over = sorted(weights.keys() - fitting.keys())",
        [
            "left_over = weights.keys() - fitting.keys()",
            "left_over = list(weights.keys() - fitting.keys())",
            "left_over = sorted(weights - fitting.keys())",
            "left_over = sorted(weights.keys() - fitting)",
        ],
        "It is only gone through, in any order.",
    ),
    *survivors(
        "6.4",
        "wrong = [n for n in fresh if '.attention.' not in n and (not n.startswith('fc.'))]",
        [
            (
                "wrong = [left_over for n in fresh if '.attention.' not in n and (not "
                "n.startswith('fc.'))]"
            )
        ],
        "Only the words of the error change.",
    ),
    *survivors(
        "6.4",
        "wrong = [n for n in fresh if '.attention.' not in n and (not n.startswith('fc.'))]",
        [
            (
                "wrong = [n for n in list(fresh)[::-1] if '.attention.' not in n and (not "
                "n.startswith('fc.'))]"
            )
        ],
        NO_ORDER,
    ),
    *survivors(
        "6.4",
        "wrong += [name for name in left_over if not name.startswith('fc.')]",
        [
            "wrong += [network for name in left_over if not name.startswith('fc.')]",
            "wrong += [left_over for name in left_over if not name.startswith('fc.')]",
        ],
        "Only the words of the error change.",
    ),
    *survivors(
        "6.4",
        "wrong += [name for name in left_over if not name.startswith('fc.')]",
        ["wrong += [name for name in list(left_over)[::-1] if not name.startswith('fc.')]"],
        NO_ORDER,
    ),
    # Chapter 7.
    *survivors(
        "7.3",
        "total += output.numel() * layer.weight[0].numel()",
        ["total += output.numel() * layer.weight[-1].numel()"],
        "All filters of a layer have the same size.",
    ),
    *survivors(
        "7.3",
        "kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)",
        ["kinds = (nn.Conv2d, nn.Conv1d, nn.Linear)", "kinds = (nn.Conv1d, nn.Linear, nn.Conv2d)"],
        NO_ORDER,
    ),
    *survivors(
        "7.3",
        "layers = [layer for layer in network.modules() if isinstance(layer, kinds)]",
        [
            (
                "layers = [layer for layer in list(network.modules())[::-1] if "
                "isinstance(layer, kinds)]"
            )
        ],
        NO_ORDER,
    ),
    *survivors(
        "7.3",
        "hooks = [layer.register_forward_hook(see) for layer in layers]",
        ["hooks = [layer.register_forward_hook(see) for layer in list(layers)[::-1]]"],
        NO_ORDER,
    ),
    *survivors(
        "7.3",
        "for hook in hooks:",
        ["for hook in list(hooks)[::-1]:"],
        NO_ORDER,
    ),
    *survivors(
        "7.4",
        "for version, macs in counts.items():",
        ["for version, macs in list(counts.items())[::-1]:"],
        "The readings may be returned in any order.",
    ),
    *survivors(
        "7.4",
        "for operations in (1, 2):",
        ["for operations in list((1, 2))[::-1]:", "for operations in (2, 1):"],
        "The readings may be returned in any order.",
    ),
    *survivors(
        "7.4",
        "for billion in (10 ** 9, 2 ** 30):",
        ["for billion in list((10 ** 9, 2 ** 30))[::-1]:", "for billion in (2 ** 30, 10 ** 9):"],
        "The readings may be returned in any order.",
    ),
    # Chapter 8.
    *survivors(
        "8.1",
        "steered = [1, 4]",
        ["steered = [4, 1]"],
        "The page asks which runs, not in which order.",
    ),
    *survivors(
        "8.2",
        "return ((images.double() - mean) / std).permute(0, 3, 1, 2)",
        ["return ((images - mean) / std).permute(0, 3, 1, 2)"],
        "Bytes minus numbers in float64 are in float64 anyway.",
    ),
    *survivors(
        "8.3",
        "corners = torch.randint(2 * padding + 1, (batch, 2)).tolist()",
        ["corners = torch.randint(2 * padding + 1, (batch, 2))"],
        "Tensors of integers cut a picture as integers do.",
    ),
    *survivors(
        "8.3",
        "mirrored = torch.rand(batch) < 0.5",
        ["mirrored = torch.rand(batch) <= 0.5", "mirrored = torch.rand(batch) >= 0.5"],
        "Half of the pictures are mirrored, whichever half.",
    ),
    *survivors(
        "8.3",
        "return torch.where(mirrored[:, None, None, None], images.flip(3), images)",
        ["return torch.where(mirrored[:, None, None, None], images, images.flip(3))"],
        "Half of the pictures are mirrored, whichever half.",
    ),
    *survivors(
        "8.4",
        "for start in range(0, len(images), batch_size):",
        [
            "for start in range(0, len(labels), batch_size):",
            "for start in range(0, len(labels), batch_size):",
        ],
        "There are as many labels as images.",
    ),
    *survivors(
        "8.4",
        "optimizer.zero_grad()",
        ["model.zero_grad()"],
        "The optimizer has all parameters of the model.",
    ),
    *survivors(
        "8.4",
        "losses.append(loss.item())",
        ["losses.append(loss)"],
        "A loss may be a tensor with one number.",
    ),
    *survivors(
        "8.4",
        "for start in range(0, len(images), batch_size):",
        ["for start in list(range(0, len(images), batch_size))[::-1]:"],
        "A fraction does not depend on the order of the batches.",
    ),
    *survivors(
        "8.4",
        "correct += (answers == labels[batch]).sum().item()",
        ["correct += (answers == labels[batch]).sum()"],
        "A count may be a tensor with one number.",
    ),
    *survivors(
        "8.4",
        "return correct / len(images)",
        ["return correct / len(labels)"],
        "There are as many labels as images.",
    ),
    *survivors(
        "8.5",
        "shown = [2, 3, 5]",
        ["shown = [3, 2, 5]", "shown = [2, 5, 3]"],
        "The page asks which sentences, not in which order.",
    ),
    *survivors(
        "8.5",
        "before = {run['seed']: run['test_accuracy'][-1] for run in plain}",
        ["before = {run['seed']: run['test_accuracy'][-1] for run in list(plain)[::-1]}"],
        NO_ORDER,
    ),
    *survivors(
        "8.5",
        "after = {run['seed']: run['test_accuracy'][-1] for run in attention}",
        ["after = {run['seed']: run['test_accuracy'][-1] for run in list(attention)[::-1]}"],
        NO_ORDER,
    ),
    *survivors(
        "8.5",
        "pairs = before.keys() & after.keys()",
        [
            "pairs = after.keys() & before.keys()",
            "pairs = before & after.keys()",
            "pairs = before.keys() & after",
        ],
        "A dictionary stands for its keys here, and both are taken together in any order.",
    ),
    *survivors(
        "8.5",
        "differences = [after[seed] - before[seed] for seed in pairs]",
        ["differences = [after[seed] - before[seed] for seed in list(pairs)[::-1]]"],
        NO_ORDER,
    ),
    *survivors(
        "8.5",
        "n = len(differences)",
        ["n = len(pairs)"],
        "There is one difference for each pair.",
    ),
    *survivors(
        "8.5",
        "variance = sum(((d - mean) ** 2 for d in differences)) / (n - 1)",
        ["variance = sum(((mean - d) ** 2 for d in differences)) / (n - 1)"],
        "A square has no sign.",
    ),
    *survivors(
        "8.5",
        "variance = sum(((d - mean) ** 2 for d in differences)) / (n - 1)",
        ["variance = sum(((d - mean) ** 2 for d in list(differences)[::-1])) / (n - 1)"],
        NO_ORDER,
    ),
    # Chapter 9.
    *survivors(
        "9.1",
        "settled = [2, 4]",
        ["settled = [4, 2]"],
        "The page asks which results, not in which order.",
    ),
    *survivors(
        "9.2",
        "if n < 2:",
        ["if False:", "if n < 1:"],
        "Of a single number NumPy's deviation is NaN, and so are the limits.",
    ),
    *survivors(
        "9.2",
        "if n < 2:\nreturn (mean, float('nan'), float('nan'))",
        [""],
        "Of a single number NumPy's deviation is NaN, and so are the limits.",
    ),
    *survivors(
        "9.5",
        "tries = delta + s * torch.randn(20000, n)",
        ["tries = delta - s * torch.randn(20000, n)"],
        "A normal distribution is symmetric.",
    ),
    *survivors(
        "9.5",
        "tries = delta + s * torch.randn(20000, n)",
        [
            "tries = delta + s * torch.randn(20001, n)",
            "tries = delta + s * torch.randn(19999, n)",
        ],
        "One try more or less makes no difference that one could see.",
    ),
    *survivors(
        "9.5",
        "seen = mean.abs() > stats.t.ppf(0.975, n - 1) * error",
        ["seen = mean.abs() >= stats.t.ppf(0.975, n - 1) * error"],
        "A limit is never exactly 0.",
    ),
    *survivors(
        "9.5",
        "return seen.double().mean().item()",
        ["return seen.double().mean()"],
        "A share may be a tensor with one number.",
    ),
    # Chapter 10.
    *survivors(
        "10.3",
        "blocks = masks.reshape(B, h, H // h, w, W // w).double()",
        [
            "blocks = masks.reshape(B, h, -(-H // h), w, W // w).double()",
            "blocks = masks.reshape(B, h, H // h, w, -(-W // w)).double()",
        ],
        "The height and the width of the masks are multiples of the map's, so nothing is rounded.",
    ),
    *survivors(
        "10.5",
        "B, H, W = maps.shape",
        ["B, H, W = masks.shape"],
        "Maps and masks have one shape.",
    ),
]
