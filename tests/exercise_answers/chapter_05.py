"""Answers to the exercises of chapter 5."""

from . import right, wrong
from .editing import changed

# 5.1 Price tags.


def tags(a="16", b="5", c="5", d="12"):
    return f"""
reduction_a = {a}
kernel_size_b = {b}
along_the_channels_c = {c}
reduction_d = {d}
"""


PRICES = [
    right("5.1", "floats", tags("2 * 96**2 / 1152", "(50 / 2) ** 0.5", "5.0", "96 / (1544 / 193)")),
    right("5.1", "tensors", tags("torch.tensor(16)", "torch.tensor(25.0).sqrt()")),
    right(
        "5.1",
        "searched",
        """
        from cbam_course.attention import CBAM

        def find(make, cost, values):
            for value in values:
                if sum(p.numel() for p in make(value).parameters()) == cost:
                    return value

        options = {
            "channel_options": {"bias": True}, "spatial_options": {"batch_norm": True}
        }
        odd = range(1, 30, 2)
        reduction_a = find(lambda r: CBAM(96, r), 1250, (2, 4, 8, 16, 32))
        kernel_size_b = find(lambda k: CBAM(96, 8, k), 2354, odd)
        along_the_channels_c = find(
            lambda k: CBAM(96, mode="conv", channel_options={"kernel_size": k}), 103, odd
        )
        reduction_d = find(lambda r: CBAM(96, r, **options), 1740, (2, 4, 6, 8, 12, 16))
        """,
    ),
    wrong("5.1", "hidden units", tags("6"), "6 is the number of hidden units"),
    wrong("5.1", "one layer", tags("8"), "two layers"),
    wrong("5.1", "the usual kernel", tags(b="7"), "7 would cost 98"),
    wrong("5.1", "one map", tags(b="25"), "How long is a side"),
    wrong("5.1", "the adaptive size", tags(c="3"), "the adaptive size"),
    wrong("5.1", "one plane", tags(c="103 - 49"), "two maps"),
    wrong("5.1", "nothing taken off", tags(c="103"), "take off"),
    wrong("5.1", "the default", tags(d="16"), "1,354"),
    wrong("5.1", "hidden units of D", tags(d="8"), "8 is the number of hidden units"),
    wrong("5.1", "no divisor", tags("15"), "divide 96"),
    wrong("5.1", "eleven", tags(d="11"), "divide 96"),
    wrong("5.1", "another divisor", tags("32"), "block A would have 674"),
    wrong("5.1", "another divisor for D", tags(d="24"), "block D would have 968"),
    wrong("5.1", "ten", tags(d="10"), "divide 96"),
    wrong("5.1", "another number", tags(d="97"), "is not 97"),
    wrong("5.1", "half open", tags(d="..."), "`reduction_d` is still open", "NotSolved"),
]

# 5.2 Write the block.

BLOCK = """
class Block(nn.Module):
    def __init__(self, channels, reduction=16, kernel_size=7):
        super().__init__()
        hidden = channels // reduction
        if hidden == 0:
            raise ValueError("no hidden unit")
        if kernel_size % 2 == 0:
            raise ValueError("even")
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def mlp(self, z):
        return self.fc2(torch.relu(self.fc1(z)))

    def forward(self, f):
        scores = self.mlp(f.mean(dim=(2, 3))) + self.mlp(f.amax(dim=(2, 3)))
        Mc = torch.sigmoid(scores)[:, :, None, None]
        g = Mc * f
        pooled = torch.cat([g.mean(dim=1, keepdim=True), g.amax(dim=1, keepdim=True)], dim=1)
        Ms = torch.sigmoid(self.conv(pooled))
        return Ms * g
"""
SCORES = "self.mlp(f.mean(dim=(2, 3))) + self.mlp(f.amax(dim=(2, 3)))"
POOLED = "torch.cat([g.mean(dim=1, keepdim=True), g.amax(dim=1, keepdim=True)], dim=1)"
RESULT = "return Ms * g"
HIDDEN_ERROR = '        if hidden == 0:\n            raise ValueError("no hidden unit")\n'
EVEN_ERROR = '        if kernel_size % 2 == 0:\n            raise ValueError("even")\n'

WRITE = [
    right(
        "5.2",
        "convolutions, the maximum first",
        """
        class Block(nn.Module):
            def __init__(self, channels, reduction=16, kernel_size=7):
                super().__init__()
                if channels < reduction or not kernel_size % 2:
                    raise ValueError(f"{channels}, {reduction}, {kernel_size}")
                self.spatial = nn.Conv2d(2, 1, kernel_size, padding="same", bias=False)
                self.mlp = nn.Sequential(
                    nn.Conv2d(channels, channels // reduction, 1, bias=False),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(channels // reduction, channels, 1, bias=False),
                )
                self.pools = nn.ModuleList([nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)])

            def forward(self, x):
                x = x * sum(self.mlp(pool(x)) for pool in self.pools).sigmoid()
                both = torch.stack([x.max(dim=1).values, x.mean(dim=1)], dim=1)
                return x * self.spatial(both).sigmoid()
        """,
    ),
    right(
        "5.2",
        "in place",
        changed(
            BLOCK,
            ("g = Mc * f", "g = f.mul_(Mc)"),
            ("return Ms * g", "g *= Ms\n        return g"),
        ),
    ),
    right(
        "5.2",
        "raw parameters, functions",
        """
        import torch.nn.functional as F

        class Block(nn.Module):
            def __init__(self, channels, reduction=16, kernel_size=7):
                super().__init__()
                if kernel_size % 2 != 1:
                    raise ValueError
                h = channels // reduction
                if not h:
                    raise ValueError
                self.kernel = nn.Parameter(torch.randn(1, 2, kernel_size, kernel_size))
                self.up = nn.Parameter(torch.randn(h, channels))
                self.down = nn.Parameter(torch.randn(channels, h))

            def forward(self, x):
                z = torch.stack([x.flatten(2).sum(2) / x[0, 0].numel(), x.flatten(2).max(2)[0]])
                hidden = (z @ self.down).clamp(min=0).sum(0)
                x = torch.einsum("bchw,bc->bchw", x, (hidden @ self.up).sigmoid())
                z = torch.stack([x.sum(1) / x.shape[1], x.max(1)[0]], 1)
                scores = F.conv2d(z, self.kernel, padding=self.kernel.shape[-1] // 2)
                return (x * scores.sigmoid()).to(memory_format=torch.channels_last)
        """,
    ),
    right(
        "5.2",
        "inheriting the halves, in float32 at the end",
        """
        from cbam_course.attention import ChannelAttention, SpatialAttention

        class Block(nn.Module):
            def __init__(self, channels, reduction=16, kernel_size=7):
                super().__init__()
                self.halves = nn.Sequential(
                    ChannelAttention(channels, reduction), SpatialAttention(kernel_size)
                )

            def forward(self, x):
                return self.halves(x).float()
        """,
    ),
    wrong("5.2", "map of F", changed(BLOCK, (POOLED, POOLED.replace("g.", "f."))), "from F"),
    wrong(
        "5.2",
        "places first",
        """
        from cbam_course.attention import CBAM

        class Block(CBAM):
            def __init__(self, channels, reduction=16, kernel_size=7):
                super().__init__(channels, reduction, kernel_size, order="spatial-channel")
        """,
        "spatial half comes first",
    ),
    wrong("5.2", "a residual", changed(BLOCK, (RESULT, "return f + Ms * g")), "residual"),
    wrong("5.2", "a residual inside", changed(BLOCK, ("g = Mc * f", "g = Mc * f + f")), "residual"),
    wrong("5.2", "half of it", changed(BLOCK, (RESULT, "return g")), "Where is the second product"),
    wrong("5.2", "second map times F", changed(BLOCK, (RESULT, "return Ms * f")), "multiplies F"),
    wrong("5.2", "the map", changed(BLOCK, (RESULT, "return Ms")), "Did you multiply"),
    wrong("5.2", "both maps", changed(BLOCK, (RESULT, "return Ms * Mc")), "Did you multiply"),
    wrong("5.2", "twice", changed(BLOCK, (RESULT, "return Ms * g * f")), "the square of the input"),
    wrong(
        "5.2",
        "maximum lost",
        changed(BLOCK, ("self.mlp(f.amax(dim=(2, 3)))", "self.mlp(f.mean(dim=(2, 3)))")),
        "maximum does not arrive in the channel half",
    ),
    wrong(
        "5.2",
        "average lost",
        changed(BLOCK, (SCORES, "self.mlp(f.amax(dim=(2, 3)))")),
        "average does not arrive in the channel half",
    ),
    wrong(
        "5.2",
        "maximum lost in the second half",
        changed(BLOCK, ("g.amax", "g.mean")),
        "maximum does not arrive in the spatial half",
    ),
    wrong(
        "5.2",
        "added before the MLP",
        changed(BLOCK, (SCORES, "self.mlp(f.mean(dim=(2, 3)) + f.amax(dim=(2, 3)))")),
        "before the MLP",
    ),
    wrong("5.2", "no ReLU", changed(BLOCK, ("torch.relu", "")), "no ReLU"),
    wrong(
        "5.2",
        "no sigmoid in the first half",
        changed(BLOCK, ("torch.sigmoid(scores)", "scores")),
        "channel map is not between 0 and 1",
    ),
    wrong(
        "5.2",
        "no sigmoid in the second half",
        changed(BLOCK, ("torch.sigmoid(self.conv(pooled))", "self.conv(pooled)")),
        "spatial map is not between 0 and 1",
    ),
    wrong("5.2", "two sigmoids", changed(BLOCK, (RESULT, "return Ms.sigmoid() * g")), "two"),
    wrong(
        "5.2",
        "sigmoid of each",
        changed(
            BLOCK,
            ("torch.relu(self.fc1(z)))", "torch.relu(self.fc1(z))).sigmoid()"),
            ("torch.sigmoid(scores)", "scores"),
        ),
        "one for the sum",
    ),
    wrong(
        "5.2",
        "pooled over the places",
        changed(BLOCK, ("g.mean(dim=1, keepdim=True)", "g.mean(dim=(2, 3), keepdim=True)")),
        "line",
        "Stopped",
    ),
    wrong("5.2", "a bias", changed(BLOCK, ("// 2, bias=False", "// 2")), "nothing has a bias"),
    wrong("5.2", "16 for good", changed(BLOCK, ("// reduction", "// 16")), "6 hidden units"),
    wrong(
        "5.2",
        "no padding",
        changed(BLOCK, ("padding=kernel_size // 2, ", "")),
        "in forward",
        "Stopped",
    ),
    wrong("5.2", "default 49", changed(BLOCK, ("kernel_size=7", "kernel_size=49")), "default"),
    wrong("5.2", "default 8", changed(BLOCK, ("reduction=16", "reduction=8")), "default"),
    wrong("5.2", "no hidden unit", changed(BLOCK, (HIDDEN_ERROR, "")), "leave no hidden unit"),
    wrong("5.2", "even", changed(BLOCK, (EVEN_ERROR, "")), "no middle, and"),
    wrong(
        "5.2", "an assertion", changed(BLOCK, ("raise ValueError", "assert False,")), "Assertion"
    ),
    wrong("5.2", "no return", changed(BLOCK, (RESULT, "Ms * g")), "returns nothing", "NotSolved"),
]

# 5.3 The shape is right.

REPAIRED = """
class Repaired(nn.Module):
    def __init__(self, channels, reduction=16, kernel_size=7):
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, channels, bias=False),
        )
        padding = kernel_size // 2
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=padding, bias=False)

    def weigh_channels(self, x):
        average, maximum = x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
        from_average, from_maximum = self.mlp(average), self.mlp(maximum)
        gates = torch.sigmoid(from_average + from_maximum)
        return x * gates[:, :, None, None]

    def spatial_map(self, x):
        average, maximum = x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)
        return torch.sigmoid(self.conv(torch.cat([average, maximum], dim=1)))

    def forward(self, x):
        features = self.weigh_channels(x)
        return features * self.spatial_map(features)
"""
DEAF = ("self.mlp(maximum)", "self.mlp(average)")
OUTPUT = "return features * self.spatial_map(features)"
SQUARED = (OUTPUT, "return x * features * self.spatial_map(features)")
UNREFINED = (OUTPUT, "return features * self.spatial_map(x)")
BOTH = (OUTPUT, "return x * features * self.spatial_map(x)")

REPAIR = [
    right("5.3", "written anew", changed(BLOCK, ("class Block", "class Repaired"))),
    right(
        "5.3",
        "gates returned",
        changed(
            REPAIRED,
            ("return x * gates", "return gates"),
            ("features = self", "features = x * self"),
        ),
    ),
    right(
        "5.3",
        "in place, the maximum first",
        changed(
            REPAIRED,
            ("return x * gates[:, :, None, None]", "return x.mul_(gates[..., None, None])"),
            ("[average, maximum]", "[maximum, average]"),
            (OUTPUT, "return features.mul_(self.spatial_map(features))"),
        ),
    ),
    wrong("5.3", "maximum left", changed(REPAIRED, DEAF), "maximum does not arrive"),
    wrong("5.3", "product left", changed(REPAIRED, SQUARED), "the square of the input"),
    wrong(
        "5.3",
        "product left, its map too",
        changed(REPAIRED, ("features = self", "features = x * self")),
        "the square of the input",
    ),
    wrong("5.3", "map left", changed(REPAIRED, UNREFINED), "from F"),
    wrong("5.3", "maximum and product left", changed(REPAIRED, DEAF, SQUARED), "Two bugs"),
    wrong("5.3", "maximum and map left", changed(REPAIRED, DEAF, UNREFINED), "Two bugs"),
    wrong("5.3", "product and map left", changed(REPAIRED, BOTH), "Two bugs"),
    wrong("5.3", "all left", changed(REPAIRED, DEAF, BOTH), "all three bugs", "NotSolved"),
    wrong(
        "5.3",
        "the first product lost",
        changed(REPAIRED, (OUTPUT, "return x * self.spatial_map(features)")),
        "multiplies F",
    ),
    wrong(
        "5.3",
        "the average lost",
        changed(REPAIRED, ("self.mlp(average), self", "self.mlp(maximum), self")),
        "average does not arrive in the channel half",
    ),
    wrong(
        "5.3",
        "hidden units rounded up",
        changed(REPAIRED, ("channels // reduction", "-(-channels // reduction)")),
        "30 // 4 = 7 hidden units",
    ),
]

# 5.4 A diagnosis from outside.

DIAGNOSE = """
def diagnose(block):
    def spatial_pattern(x):
        weights = block(x) / x
        return weights / weights[:, :, :1, :1]

    x = 0.5 + torch.rand(4, 8, 20, 20)
    if (block(-x) > 0).any():
        return "twice"
    if (block(x) > x).any():
        return "residual"

    jump, spiked = 30 * torch.rand(4, 8), x.clone()
    spiked[:, :, 0, 0] += jump
    spiked[:, :, 0, 1] -= jump
    far = slice(8, None)
    if torch.allclose(block(spiked)[:, :, far], block(x)[:, :, far]):
        return "no maximum"
    if torch.allclose(spatial_pattern(x), spatial_pattern(x.flip(1))):
        return "unrefined"
    return "right"
"""


def without(word, told="right"):
    return changed(DIAGNOSE, (f'return "{word}"', f'return "{told}"'))


SEEN = [
    right("5.4", "one picture, float64", changed(DIAGNOSE, ("4, 8", "1, 8"), ("20, 20", "25, 30"))),
    right(
        "5.4",
        "by gradients, capitals",
        """
        def diagnose(block):
            x = (torch.rand(2, 8, 17, 9, dtype=torch.float64) + 1) / 100  # no gate saturates
            y = block(x)
            if block(-x).min() > 0:
                return "Twice"
            if (y / x).min() > 1:
                return "Residual"

            # How the far end depends on a maximum at the other end, and on its neighbor.
            high = x.clone()
            high[:, :, 0, 4] = 0.03
            high.requires_grad_()
            (slope,) = torch.autograd.grad(block(high)[:, :, 12:].sum(), high)
            if (slope[:, :, 0, 4] - slope[:, :, 0, 5]).abs().max() < 1e-9:
                return "No maximum "

            turned = block(x.roll(1, dims=1)) / x.roll(1, dims=1)
            logs = [(y / x).log(), turned.log()]
            logs = [log - log.mean(dim=(2, 3), keepdim=True) for log in logs]
            return "unrefined" if (logs[0] - logs[1]).abs().max() < 1e-6 else "right"
        """,
    ),
    right(
        "5.4",
        "one channel scaled",
        """
        def diagnose(block):
            x = torch.randn(6, 8, 24, 16).abs() + 0.1
            y = block(x)
            answer = "right"
            same_average = x.clone()
            same_average[:, :, -1, -1] += 50
            same_average[:, :, -1, -2] -= 50
            if (block(same_average) - y)[:, :, :12].abs().max() < 1e-4:
                answer = "no maximum"
            order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
            other = block(x[:, order])[:, order.argsort()]
            # y / other is Mc / Mc': the same at all places
            quotient = y / other
            if (quotient.amax((2, 3)) / quotient.amin((2, 3)) - 1).max() < 1e-4:
                answer = "unrefined"
            if (y > 1.0001 * x).any():
                answer = "residual"
            if (block(-x) > 0).any():
                answer = "twice"
            return answer
        """,
    ),
    wrong("5.4", "always right", 'def diagnose(block):\n    return "right"', "diagnose` says"),
    wrong("5.4", "no test for residuals", without("residual"), "largest factor"),
    wrong("5.4", "no test of signs", without("twice", "residual"), "sign of a negative"),
    wrong("5.4", "no test of maxima", without("no maximum"), "only maxima change"),
    wrong("5.4", "no test of the order", without("unrefined"), "change places"),
    wrong(
        "5.4",
        "tolerances too narrow",
        changed(
            DIAGNOSE,
            (
                "torch.allclose(spatial_pattern(x), spatial_pattern(x.flip(1)))",
                "torch.equal(spatial_pattern(x), spatial_pattern(x.flip(1)))",
            ),
        ),
        "change places",
    ),
    wrong(
        "5.4",
        "tolerances too wide",
        changed(DIAGNOSE, ("flip(1)))", "flip(1)), atol=100)")),
        "its tolerance",
    ),
    wrong("5.4", "near the spike", changed(DIAGNOSE, ("slice(8, None)", "slice(2)")), "no maximum"),
    wrong(
        "5.4", "another word", 'def diagnose(block):\n    return "ill"', "should be one of 'right'"
    ),
    wrong("5.4", "a number", "def diagnose(block):\n    return 1", "should be one of 'right'"),
    wrong(
        "5.4",
        "three channels",
        "def diagnose(block):\n    return block(torch.rand(1, 3, 8, 8))",
        "in diagnose",
        "Stopped",
    ),
]

ANSWERS = [*PRICES, *WRITE, *REPAIR, *SEEN]
