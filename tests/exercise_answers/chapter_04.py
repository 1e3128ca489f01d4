"""Answers to the exercises of chapter 4."""

from . import right, wrong
from .editing import solution, wrongs

COUNT = [
    right(
        "4.1",
        "a tuple and floats",
        solution("4.1", "map_shape = (2, 1, 20, 30)", "with_norm, with_squeeze = 53.0, 75 + 96.0"),
    ),
    right(
        "4.1",
        "tensors",
        solution("4.1", "map_shape, touched = torch.tensor([2, 1, 20, 30]), torch.tensor(12)"),
    ),
    right(
        "4.1",
        "measured",
        """
        def count(module):
            return sum(p.numel() for p in module.parameters())

        with_norm = count(SpatialAttention(5, bias=True, batch_norm=True))
        with_squeeze = count(SpatialAttention(5, pools=("avg", "max", "conv"), channels=96))
        block, x = SpatialAttention(5), torch.rand(2, 96, 20, 30)
        before = block.attention_map(x)
        map_shape = before.shape
        x[0, :, 1, 0] += 5
        touched = (block.attention_map(x) != before).sum()
        """,
    ),
    *wrongs(
        "4.1",
        ("no channel axis", "an axis of size 1", "map_shape = [2, 20, 30]"),
        ("two maps", "How many come out", "map_shape = [2, 2, 20, 30]"),
        ("the kernel only", "bias and the BatchNorm", "with_norm = 50"),
        ("buffers too", "nobody learns them", "with_norm = 55"),
        ("two slices", "a slice for each", "with_squeeze = 146"),
        ("no border", "lies at the border", "touched = 25"),
        ("the corner", "This is row 1", "touched = 9"),
        ("another number", "is not 13", "touched = 13"),
    ),
]

BOTH, RESULT = "[average, maximum]", "x * torch.sigmoid(scores)"

WRITE = [
    right(
        "4.2",
        "the maximum first, in place",
        solution("4.2", (BOTH, "[maximum, average]"), (RESULT, "x.mul_(scores.sigmoid_())")),
    ),
    right(
        "4.2",
        "two convolutions, max with indices",
        """
        class Block(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                if not kernel_size % 2:
                    raise ValueError(kernel_size)
                self.of_maximum = nn.Conv2d(1, 1, kernel_size, padding="same", bias=False)
                self.of_average = nn.Conv2d(1, 1, kernel_size, padding="same", bias=False)

            def forward(self, x):
                scores = self.of_average(x.mean(1, True)) + self.of_maximum(x.max(1, True)[0])
                return x * scores.sigmoid()
        """,
    ),
    right(
        "4.2",
        "windows and a matrix",
        """
        class Block(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                if kernel_size / 2 == kernel_size // 2:
                    raise ValueError("even")
                self.unfold = nn.Unfold(kernel_size, padding=kernel_size // 2)
                self.linear = nn.Linear(2 * kernel_size**2, 1, bias=False)

            def forward(self, x):
                pooled = torch.stack([x.sum(1) / x.shape[1], x.max(dim=1).values], dim=1)
                scores = self.linear(self.unfold(pooled).transpose(1, 2))
                return torch.einsum("bchw,bhw->bchw", x, scores.sigmoid().view(x[:, 0].shape))
        """,
    ),
    right(
        "4.2",
        "a function that makes a lazy layer, channels last, float32",
        """
        class Gate(nn.Module):
            def __init__(self, *layers):
                super().__init__()
                self.layers = nn.Sequential(*layers)

            def forward(self, x):
                channels_last = x.permute(0, 2, 3, 1)
                pooled = torch.stack([channels_last.mean(-1), channels_last.amax(-1)], dim=1)
                return (x * self.layers(pooled)).float().to(memory_format=torch.channels_last)

        def Block(kernel_size=7):
            if kernel_size % 2 != 1:
                raise ValueError(f"kernel_size must be odd, got {kernel_size}")
            conv = nn.LazyConv2d(1, kernel_size, padding=kernel_size // 2, bias=False)
            return Gate(conv, nn.Sigmoid())
        """,
    ),
    *wrongs(
        "4.2",
        ("kernel 49", "conv.weight [1, 2, 49, 49]; expected", ("=7", "=49")),
        ("default 3", "A kernel of 7x7", ("=7", "=3")),
        (
            "always 7",
            "A kernel of 3x3",
            ("2, 1, kernel_size, padding=kernel_size", "2, 1, 7, padding=7"),
        ),
        ("a bias", "without a bias", (", bias=False", "")),
        ("even accepted", "there is no error", ("% 2 == 0", "% 2 == 2")),
        ("another error", "it raises TypeError", ("ValueError", "TypeError")),
        ("the map", "Did you multiply", (RESULT, "torch.sigmoid(scores)")),
        ("no sigmoid", "where is the sigmoid", ("torch.sigmoid(scores)", "scores")),
        ("sigmoid twice", "applied twice", ("(scores)", "(scores.sigmoid())")),
        ("a residual", "no residual", (RESULT, f"x + {RESULT}")),
        ("the average twice", "the maxima does not arrive", (BOTH, "[average, average]")),
        ("the maximum twice", "the averages does not arrive", (BOTH, "[maximum, maximum]")),
        (
            "the pool over the batch too",
            "images of the batch too",
            ("x.amax(dim=1, keepdim=True)", "x.amax(dim=(0, 1), keepdim=True).expand_as(average)"),
        ),
        ("the sum", "other values: at", ("x.mean(", "x.sum(")),
        (
            "a border of copies",
            "other values",
            ("bias=False", 'bias=False, padding_mode="replicate"'),
        ),
    ),
    *wrongs(
        "4.2",
        ("no padding", "in forward", (", padding=kernel_size // 2", "")),
        ("the pool over the batch", "line", ("mean(dim=1", "mean(dim=0")),
        outcome="Stopped",
    ),
    *wrongs("4.2", ("no return", "returns nothing", ("return x", "x")), outcome="NotSolved"),
    wrong(
        "4.2", "no module", "class Block:\n    def __init__(self, kernel_size=7): pass", "nn.Module"
    ),
]

STACKED = "torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)"
TWICE = ("torch.sigmoid(scores)", "torch.sigmoid(scores).sigmoid()")
RELU = ("(scores)", "(scores.relu())")
FORCED = (STACKED, "torch.stack([x.mean(1), x.amax(1)]).reshape(len(x), 2, *x.shape[2:])")

REPAIR = [
    right("4.3", "written anew", solution("4.2", ("class Block", "class Repaired"))),
    right(
        "4.3",
        "two convolutions",
        """
        class Repaired(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                def conv():
                    return nn.Conv2d(1, 1, kernel_size, padding="same", bias=False)
                self.first, self.second = conv(), conv()

            def forward(self, x):
                scores = self.first(x.mean(1, True)) + self.second(x.amax(1, True))
                return torch.mul(x, F.sigmoid(scores)).float()
        """,
    ),
    right(
        "4.3",
        "transposed, the maximum first, in place",
        solution(
            "4.3",
            (STACKED, "torch.stack([x.amax(dim=1), x.mean(dim=1)]).transpose(0, 1)"),
            ("return x * torch.sigmoid(scores)", "return x.mul_(scores.sigmoid())"),
        ),
    ),
    *wrongs(
        "4.3",
        ("sigmoid twice", "applied twice", TWICE),
        ("sigmoid twice, ReLU", "2 bugs are left. No weight", TWICE, RELU),
        ("sigmoid twice, forced", "2 bugs are left. An image", TWICE, FORCED),
        ("a ReLU", "negative scores", RELU),
        ("a ReLU, forced", "negative scores", RELU, FORCED),
        ("forced", "averages and maxima of other images", FORCED),
        ("no sigmoid", "where is the sigmoid", ("torch.sigmoid(scores)", "scores")),
        ("a residual", "no residual", ("return x *", "return x + x *")),
        ("the average twice", "the maxima does not arrive", ("amax", "mean")),
        ("a bias", "without a bias", (", bias=False", "")),
        ("kernel 3", "7x7", ("=7", "=3")),
        ("the map", "Did you multiply", ("return x *", "return")),
    ),
    *wrongs("4.3", ("not stacked so", "line", ("dim=1)], dim=1", "dim=1)]")), outcome="Stopped"),
]

SCALE, ROOT = "beta - mean * scale", "(var + eps).sqrt()"

MOVE = [
    right(
        "4.4",
        "in place, a list",
        """
        def convert(weight, gamma, beta, mean, var, eps):
            gamma *= torch.rsqrt(var + eps)
            weight = weight[:, [1, 0]].mul_(gamma.view(1, 1, 1, 1))
            return [weight, beta.sub_(gamma * mean)]
        """,
    ),
    right(
        "4.4",
        "asked of BatchNorm itself",
        """
        def convert(weight, gamma, beta, mean, var, eps):
            def norm(s):
                s = torch.full((1, 1), s, dtype=mean.dtype)
                return F.batch_norm(s, mean, var, gamma, beta, eps=eps)[0]
            bias = norm(0.0)
            maximum, average = weight.unbind(1)
            return torch.stack([average, maximum], dim=1) * (norm(1.0) - bias), bias
        """,
    ),
    right(
        "4.4",
        "one number for the bias, a parameter",
        """
        def convert(weight, gamma, beta, mean, var, eps):
            a = gamma.item() / (var.item() + eps) ** 0.5
            weight = torch.cat([weight[:, 1:], weight[:, :1]], dim=1)
            return nn.Parameter(a * weight), torch.tensor(beta.item() - a * mean.item())
        """,
    ),
    right(
        "4.4",
        "float32",
        solution("4.4", ("weight.flip(1) * scale", "(weight.flip(1) * scale).float()")),
    ),
    *wrongs(
        "4.4",
        ("order kept", "not in the order", ("weight.flip(1)", "weight")),
        ("kernel as it is", "kernel is not scaled", (" * scale, b", ", b")),
        ("no eps", "missing under the root", (ROOT, "var.sqrt()")),
        ("no mean", "mean does not arrive", (SCALE, "beta")),
        ("mean unscaled", "before the scores", ("mean * scale", "mean")),
        ("no root", "other values: at", (ROOT, "(var + eps)")),
        ("no beta", "other values", ("beta - ", "- ")),
        ("all reversed", "other values", ("flip(1)", "flip(1, 2, 3)")),
        ("only the kernel", "a pair", (f", {SCALE}", "")),
        ("one slice", "Your weight has shape", ("flip(1)", "flip(1)[:, :1]")),
        ("a bias each", "expected one", ("- mean * scale", "- weight")),
        ("a number", "should be a tensor", (SCALE, "0.5")),
    ),
]

ANSWERS = [*COUNT, *WRITE, *REPAIR, *MOVE]
