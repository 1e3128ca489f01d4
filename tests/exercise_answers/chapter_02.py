"""Answers to the exercises of chapter 2."""

from . import right, wrong
from .editing import changed

# 2.1 Read a checkpoint.

PREDICTIONS = """
channels, reduction = {}, {}
map_shape = {}
parameters = {}
"""


def predicted(channels="160", reduction="16", map_shape="[6, 160, 1, 1]", parameters="3370"):
    return PREDICTIONS.format(channels, reduction, map_shape, parameters)


READ = [
    right("2.1", "a tuple", predicted(map_shape="(6, 160, 1, 1)")),
    right("2.1", "a torch.Size", predicted(map_shape="torch.Size([6, 160, 1, 1])")),
    right(
        "2.1", "a tensor and floats", predicted("160.0", "160 / 10", "torch.tensor([6,160,1,1])")
    ),
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
    wrong("2.1", "hidden units for channels", predicted("10"), "what the bottleneck leaves"),
    wrong("2.1", "hidden units for the ratio", predicted(reduction="10"), "number of hidden units"),
    wrong("2.1", "no axes of size 1", predicted(map_shape="[6, 160]"), "two axes of size 1"),
    wrong(
        "2.1", "the output's shape", predicted(map_shape="[6, 160, 14, 14]"), "whatever the place"
    ),
    wrong("2.1", "no batch", predicted(map_shape="[1, 160, 1, 1]"), "weights of its own"),
    wrong("2.1", "biases forgotten", predicted(parameters="3200"), "The biases"),
    wrong("2.1", "one layer", predicted(parameters="1770"), "two weights"),
    wrong("2.1", "one bias", predicted(parameters="3360"), "a second bias"),
    wrong("2.1", "the other bias", predicted(parameters="3210"), "a second bias"),
    wrong("2.1", "one axis of size 1", predicted(map_shape="[6, 160, 1]"), "four axes"),
    wrong("2.1", "channels alone", predicted(map_shape="[160]"), "six images"),
    wrong("2.1", "another number", predicted(parameters="3371"), "is not 3371"),
    wrong("2.1", "text", predicted(parameters="'3370'"), "should be a number"),
    wrong("2.1", "a number for a shape", predicted(map_shape="6"), "another number of axes"),
    wrong("2.1", "half open", predicted(parameters="..."), "`parameters` is still", "NotSolved"),
]

# 2.2 Write the block.

LINEAR = """
class Block(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = channels // reduction
        if hidden == 0:
            raise ValueError("no hidden unit")
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x):
        z = x.mean(dim=(2, 3))
        gates = torch.sigmoid(self.fc2(torch.relu(self.fc1(z))))
        return x * gates[:, :, None, None]
"""


MEAN, GATES = "x.mean(dim=(2, 3))", "torch.sigmoid(self.fc2(torch.relu(self.fc1(z))))"
RESULT = "x * gates[:, :, None, None]"
ERROR = """        if hidden == 0:
            raise ValueError("no hidden unit")
"""

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
    right(
        "2.2",
        "in place",
        changed(LINEAR, (f"return {RESULT}", "return x.mul_(gates[..., None, None])")),
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
                return torch.einsum("bchw,bc->bchw", x, 1 / (1 + (-scores).exp()))
        """,
    ),
    right(
        "2.2",
        "lazy layers, channels last",
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
    right(
        "2.2",
        "half of it in float32",
        changed(LINEAR, (f"return {RESULT}", f"return ({RESULT}).float()")),
    ),
    wrong(
        "2.2", "the map", changed(LINEAR, (RESULT, "gates[:, :, None, None]")), "Did you multiply"
    ),
    wrong("2.2", "the gates", changed(LINEAR, (RESULT, "gates")), "Did you multiply"),
    wrong("2.2", "a residual", changed(LINEAR, (RESULT, f"x + {RESULT}")), "residual"),
    wrong("2.2", "added", changed(LINEAR, (RESULT, RESULT.replace("*", "+"))), "adds the gates"),
    wrong("2.2", "no sigmoid", changed(LINEAR, ("torch.sigmoid", "")), "where is the sigmoid"),
    wrong("2.2", "tanh", changed(LINEAR, ("sigmoid", "tanh")), "is a tanh"),
    wrong("2.2", "sigmoid twice", changed(LINEAR, (GATES, f"{GATES}.sigmoid()")), "twice"),
    wrong("2.2", "no ReLU", changed(LINEAR, ("torch.relu", "")), "no ReLU"),
    wrong(
        "2.2",
        "softmax",
        changed(LINEAR, (GATES, "self.fc2(self.fc1(z).relu()).softmax(1)")),
        "compete",
    ),
    wrong("2.2", "over the batch", changed(LINEAR, (MEAN, "x.mean(dim=(0, 2, 3))[None]")), "batch"),
    wrong("2.2", "maximum", changed(LINEAR, (MEAN, "x.amax(dim=(2, 3))")), "not the maximum"),
    wrong("2.2", "sum", changed(LINEAR, (MEAN, "x.sum(dim=(2, 3))")), "not the sum"),
    wrong("2.2", "one axis", changed(LINEAR, (MEAN, "x.mean(dim=2)")), "line", "Stopped"),
    wrong(
        "2.2",
        "no biases",
        changed(LINEAR, ("hidden)", "hidden, bias=False)")),
        "both layers have biases",
    ),
    wrong(
        "2.2",
        "16 hard-coded",
        changed(LINEAR, ("// reduction", "// 16")),
        "the hidden layer has 6 units",
    ),
    wrong(
        "2.2", "default 8", changed(LINEAR, ("reduction=16", "reduction=8")), "default reduction"
    ),
    wrong(
        "2.2",
        "rounded up",
        changed(
            LINEAR,
            ("channels // reduction", "0 if channels < reduction else -(-channels // reduction)"),
        ),
        "30 // 4 units",
    ),
    wrong("2.2", "no error", changed(LINEAR, (ERROR, "")), "without an error"),
    wrong(
        "2.2",
        "another error",
        changed(LINEAR, ("raise ValueError", "raise KeyError")),
        "raises KeyError",
    ),
    wrong("2.2", "a pair", changed(LINEAR, (RESULT, f"{RESULT}, gates")), "should be a tensor"),
    wrong(
        "2.2",
        "no return",
        changed(LINEAR, (f"return {RESULT}", "x * 2")),
        "returns nothing",
        "NotSolved",
    ),
    wrong("2.2", "a function", "def Block(channels, reduction=16):\n    return 1", "nn.Module"),
    wrong(
        "2.2",
        "a misspelled layer",
        changed(LINEAR, ("self.fc2(", "self.fc3(")),
        "no attribute 'fc3'",
        "Stopped",
    ),
]

# 2.3 Three bugs in one block.

SUSPECT = """
class Repaired(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        hidden = channels // reduction
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        gates = self.excite(self.squeeze(x))
        return x * gates
"""

REPAIR = [
    right(
        "2.3",
        "the other sigmoid removed",
        changed(SUSPECT, ("            nn.Sigmoid(),\n", ""), ("x * gates", "x * gates.sigmoid()")),
    ),
    right("2.3", "written anew", changed(LINEAR, ("class Block", "class Repaired"))),
    right(
        "2.3",
        "in place",
        changed(SUSPECT, ("return x * gates", "x *= gates\n        return x")),
    ),
    wrong(
        "2.3", "ratio still ignored", changed(SUSPECT, ("// reduction", "// 16")), "reduction ratio"
    ),
    wrong("2.3", "residual left", changed(SUSPECT, ("x * gates", "x + x * gates")), "added"),
    wrong(
        "2.3", "sigmoid left", changed(SUSPECT, ("x * gates", "x * gates.sigmoid()")), "How often"
    ),
    wrong(
        "2.3",
        "two left",
        changed(SUSPECT, ("x * gates", "x + x * gates.sigmoid()")),
        "Two bugs are left",
    ),
    wrong(
        "2.3",
        "both sigmoids removed",
        changed(SUSPECT, ("            nn.Sigmoid(),\n", "")),
        "There should be one",
    ),
    wrong(
        "2.3",
        "rounded up",
        changed(SUSPECT, ("channels // reduction", "-(-channels // reduction)")),
        "30 // 4 units",
    ),
    wrong(
        "2.3",
        "the ReLU gone",
        changed(SUSPECT, ("nn.ReLU()", "nn.Identity()")),
        "no ReLU",
    ),
]

# 2.4 A budget for the reduction ratio.

LOOP = """
def smallest_ratio(stages, budget):
    for ratio in (2, 4, 8, 16, 32, 64):
        cost = 0
        for blocks, channels in stages:
            hidden = channels // ratio
            cost += blocks * (2 * channels * hidden + hidden + channels)
        if cost <= budget:
            return ratio, cost
    return 0, 0
"""

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
    wrong("2.4", "no biases", changed(LOOP, (" + hidden + channels", "")), "the biases"),
    wrong("2.4", "one block a stage", changed(LOOP, ("blocks * ", "")), "several blocks"),
    wrong("2.4", "below the budget", changed(LOOP, ("<=", "<")), "fits exactly"),
    wrong(
        "2.4",
        "the largest",
        changed(LOOP, ("2, 4, 8, 16, 32, 64", "64, 32, 16, 8, 4, 2")),
        "a smaller one",
    ),
    wrong(
        "2.4", "no end", changed(LOOP, ("    return 0, 0\n", "")), "returns nothing", "NotSolved"
    ),
    wrong(
        "2.4",
        "the last one anyway",
        changed(LOOP, ("return 0, 0", "return ratio, cost")),
        "return (0, 0)",
    ),
    wrong(
        "2.4", "ratio alone", changed(LOOP, ("return ratio, cost", "return ratio")), "two numbers"
    ),
    wrong("2.4", "odd ratios", changed(LOOP, ("(2, 4, 8, 16, 32, 64)", "range(2, 65)")), "one of"),
    wrong(
        "2.4",
        "one of the biases",
        changed(LOOP, (" + hidden + channels", " + channels")),
        "there are",
    ),
]

ANSWERS = [*READ, *WRITE, *REPAIR, *BUDGET]
