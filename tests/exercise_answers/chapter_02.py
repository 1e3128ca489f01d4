"""Answers to the exercises of chapter 2."""

from . import right, wrong
from .editing import solution, wrongs

READ = [
    right(
        "2.1",
        "a Size and floats",
        solution("2.1", "reduction = 160 / 10", "map_shape = torch.Size([6, 160, 1, 1])"),
    ),
    right("2.1", "a tensor", solution("2.1", "map_shape = torch.tensor([6, 160, 1, 1])")),
    right(
        "2.1",
        "measured",
        """
        from cbam_course.attention import SqueezeExcitation
        block = SqueezeExcitation(160, 16)
        channels, reduction = block.channels, block.reduction
        map_shape = block.attention_map(torch.rand(6, 160, 14, 14)).shape
        parameters = torch.tensor([p.numel() for p in block.parameters()]).sum()
        """,
    ),
    *wrongs(
        "2.1",
        ("hidden units for channels", "How many come in", "channels = 10"),
        ("hidden units for the ratio", "By what is 160 divided", "reduction = 10"),
        ("no axes of size 1", "two axes of size 1", "map_shape = [6, 160]"),
        ("the output's shape", "whatever the position", "map_shape = [6, 160, 14, 14]"),
        ("biases forgotten", "The biases", "parameters = 3200"),
        ("another number", "is not 3371", "parameters = 3371"),
        ("a number for a shape", "another number of axes", "map_shape = 6"),
    ),
]

MEAN, RESULT = "x.mean(dim=(2, 3))", "x * gates[:, :, None, None]"

WRITE = [
    right(
        "2.2",
        "1x1 convolutions",
        """
        class Block(nn.Module):
            def __init__(self, channels, reduction=16):
                super().__init__()
                if channels < reduction:
                    raise ValueError(f"{channels} < {reduction}")
                self.gate = nn.Sequential(
                    nn.AdaptiveAvgPool2d(1),
                    nn.Conv2d(channels, channels // reduction, 1),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(channels // reduction, channels, 1),
                    nn.Sigmoid(),
                )

            def forward(self, x):
                return self.gate(x) * x
        """,
    ),
    right("2.2", "in place", solution("2.2", (RESULT, "x.mul_(gates[..., None, None])"))),
    right("2.2", "float32 at the end", solution("2.2", (RESULT, f"({RESULT}).float()"))),
    right(
        "2.2",
        "a partial",
        """
        from functools import partial

        class SE(nn.Module):
            def __init__(self, activation, channels, reduction=16):
                super().__init__()
                hidden = channels // reduction
                if hidden == 0:
                    raise ValueError("no hidden unit")
                self.layers = nn.Sequential(
                    nn.Linear(channels, hidden), activation(), nn.Linear(hidden, channels)
                )

            def forward(self, x):
                return torch.einsum("bchw,bc->bchw", x, self.layers(x.mean((2, 3))).sigmoid())

        Block = partial(SE, nn.ReLU)
        """,
    ),
    right(
        "2.2",
        "a lambda that makes the course's own",
        """
        from cbam_course.attention import SqueezeExcitation

        Block = lambda *arguments: SqueezeExcitation(*arguments)
        """,
    ),
    right(
        "2.2",
        "plain parameters, transposed",
        """
        class Block(nn.Module):
            def __init__(self, channels, reduction=16):
                super().__init__()
                hidden = channels // reduction
                if not hidden:
                    raise ValueError
                self.b = nn.Parameter(torch.zeros(channels))
                self.w = nn.Parameter(torch.randn(hidden, channels) / 8)
                self.a = nn.Parameter(torch.zeros(hidden))
                self.v = nn.Parameter(torch.randn(channels, hidden) / 8)

            def forward(self, x):
                z = x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
                scores = (z @ self.v + self.a).clamp(min=0) @ self.w + self.b
                return x * (1 / (1 + (-scores).exp()))[..., None, None]
        """,
    ),
    right(
        "2.2",
        "a lazy layer, the second one first, channels last",
        """
        class Block(nn.Module):
            def __init__(self, channels, reduction=16):
                super().__init__()
                if channels // reduction < 1:
                    raise ValueError("too few channels")
                self.fc2 = nn.LazyLinear(channels)
                self.fc1 = nn.Linear(channels, channels // reduction)

            def forward(self, x):
                z = x.permute(0, 2, 3, 1).mean((1, 2), keepdim=True)
                gates = self.fc2(self.fc1(z).relu()).sigmoid().permute(0, 3, 1, 2)
                return (x * gates).to(memory_format=torch.channels_last)
        """,
    ),
    *wrongs(
        "2.2",
        ("the map", "Did you multiply", (RESULT, "gates[:, :, None, None]")),
        ("the gates", "Did you multiply", (RESULT, "gates")),
        ("a residual", "residual", (RESULT, f"x + {RESULT}")),
        ("no sigmoid", "where is the sigmoid", ("torch.sigmoid", "")),
        (
            "sigmoid twice",
            "twice",
            ("torch.sigmoid(self.fc2(hidden))", "self.fc2(hidden).sigmoid().sigmoid()"),
        ),
        ("no ReLU", "no ReLU", ("torch.relu", "")),
        ("over the batch", "the batch too", (MEAN, "x.mean(dim=(0, 2, 3))[None]")),
        ("the maximum", "no maximum", (MEAN, "x.amax(dim=(2, 3))")),
        (
            "softmax",
            "other values",
            ("torch.sigmoid(self.fc2(hidden))", "self.fc2(hidden).softmax(1)"),
        ),
        ("no biases", "both layers have biases", ("hidden)\n", "hidden, bias=False)\n")),
        ("16 for good", "the hidden layer has 6 units", ("// reduction\n", "// 16\n")),
        ("default 8", "`reduction` is 16 unless", ("reduction=16", "reduction=8")),
        (
            "rounded up",
            "arguments 30, 4 your block has 518",
            (
                "channels // reduction\n",
                "0 if channels < reduction else -(-channels // reduction)\n",
            ),
        ),
        ("no error", "there is no error", ("hidden < 1", "False")),
        ("another error", "it raises KeyError", ("raise ValueError", "raise KeyError")),
        ("a pair", "should be a tensor", (RESULT, f"{RESULT}, gates")),
    ),
    *wrongs(
        "2.2",
        ("one axis", "line", (MEAN, "x.mean(dim=2)")),
        ("a misspelled layer", "no attribute 'fc3'", ("self.fc2(", "self.fc3(")),
        outcome="Stopped",
    ),
    *wrongs("2.2", ("no return", "returns nothing", ("return x", "x")), outcome="NotSolved"),
    wrong("2.2", "a function", "def Block(channels, reduction=16):\n    return 1", "nn.Module"),
]

SIGMOID = "            nn.Sigmoid(),\n"

REPAIR = [
    right(
        "2.3",
        "the other sigmoid removed",
        solution("2.3", (SIGMOID, ""), ("x * gates", "x * gates.sigmoid()")),
    ),
    right("2.3", "written anew", solution("2.2", ("class Block", "class Repaired"))),
    right("2.3", "in place", solution("2.3", ("return x * gates", "return x.mul_(gates)"))),
    *wrongs(
        "2.3",
        ("ratio still ignored", "Who uses the reduction ratio", ("// reduction", "// 16")),
        ("residual left", "no residual", ("x * gates", "x + x * gates")),
        ("sigmoid left", "applied twice", ("x * gates", "x * gates.sigmoid()")),
        (
            "two left",
            "a residual inside, and the sigmoid",
            ("x * gates", "x + x * gates.sigmoid()"),
        ),
        ("both sigmoids removed", "where is the sigmoid", (SIGMOID, "")),
        ("the ReLU gone", "no ReLU", ("nn.ReLU()", "nn.Identity()")),
    ),
]

BUDGET = [
    right(
        "2.4",
        "counted",
        """
        from cbam_course.attention import SqueezeExcitation

        def smallest_ratio(stages, budget):
            for ratio in 2, 4, 8, 16, 32, 64:
                with torch.device("meta"):
                    blocks = [(n, SqueezeExcitation(c, ratio)) for n, c in stages]
                cost = sum(n * p.numel() for n, block in blocks for p in block.parameters())
                if cost <= budget:
                    return [ratio, cost]
            return [0, 0]
        """,
    ),
    right(
        "2.4",
        "a tensor",
        """
        def smallest_ratio(stages, budget):
            n, c = torch.tensor(stages).T
            r = 2 ** torch.arange(1, 7)[:, None]
            cost = (n * (2 * c * (c // r) + c // r + c)).sum(dim=1)
            fits = cost <= budget
            if not fits.any():
                return torch.zeros(2)
            return torch.stack([r[fits][0, 0], cost[fits][0]])
        """,
    ),
    right(
        "2.4",
        "from the large end",
        """
        def smallest_ratio(stages, budget):
            best = (0, 0)
            for ratio in (64, 32, 16, 8, 4, 2):
                cost = sum(n * (c + (2 * c + 1) * c / ratio) for n, c in stages)
                if cost <= budget:
                    best = ratio, cost
            return best
        """,
    ),
    *wrongs(
        "2.4",
        ("no biases", "the biases", (" + hidden + channels", "")),
        ("one block a stage", "several blocks", ("blocks * ", "")),
        ("one of the biases", "expected 2,530,992", (" + hidden + channels", " + channels")),
        ("below the budget", "fits exactly", ("<=", "<")),
        ("the largest", "a smaller one", ("2, 4, 8, 16, 32, 64", "64, 32, 16, 8, 4, 2")),
        ("the last one anyway", "return (0, 0)", ("return 0, 0", "return ratio, parameters")),
        (
            "the ratio alone",
            "should return 2 numbers",
            ("return ratio, parameters", "return ratio"),
        ),
        ("all ratios", "should be in", ("(2, 4, 8, 16, 32, 64)", "range(2, 65)")),
        ("any ratio", "too expensive", ("if parameters <= budget", "if True")),
    ),
    *wrongs("2.4", ("no end", "returns nothing", ("    return 0, 0\n", "")), outcome="NotSolved"),
]

ANSWERS = [*READ, *WRITE, *REPAIR, *BUDGET]
