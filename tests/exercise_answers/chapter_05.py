"""Answers to the exercises of chapter 5."""

from . import right, wrong
from .editing import solution, wrongs

PRICES = [
    right(
        "5.1",
        "floats",
        solution("5.1", "reduction_a = 2 * 96**2 / 1152", "kernel_size_b = (50 / 2) ** 0.5"),
    ),
    right("5.1", "tensors", solution("5.1", "reduction_a, reduction_d = torch.tensor([16, 12])")),
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
    *wrongs(
        "5.1",
        ("hidden units", "the number of hidden units", "reduction_a = 6"),
        ("one layer", "two layers", "reduction_a = 8"),
        ("one map", "How long is a side", "kernel_size_b = 25"),
        ("the adaptive size", "the adaptive size", "along_the_channels_c = 3"),
        ("hidden units of D", "the number of hidden units", "reduction_d = 8"),
        ("another number", "is not 97", "reduction_d = 97"),
    ),
]

SECOND = "return x * torch.sigmoid(scores)"
MAXIMA = "self.mlp(x.amax(dim=(2, 3)))"
KEEP_F = ("        scores = self.mlp", "        F = x\n        scores = self.mlp")
POOLED = "[x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)]"

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
        "two convolutions of one channel, in place",
        solution(
            "5.2",
            (
                "self.conv = nn.Conv2d(2, 1, kernel_size, padding=padding, bias=False)",
                "self.a, self.b = (\n"
                "            nn.Conv2d(1, 1, kernel_size, padding=padding, bias=False)\n"
                "            for _ in range(2)\n"
                "        )",
            ),
            ("self.conv(torch.cat(pooled, dim=1))", "self.a(pooled[0]) + self.b(pooled[1])"),
            (SECOND, "return x.mul_(torch.sigmoid(scores))"),
        ),
    ),
    right(
        "5.2",
        "a partial, in float32",
        solution(
            "5.2",
            ("def __init__(self, channels", "def __init__(self, activation, channels"),
            ("        padding", "        self.activation = activation\n        padding"),
            ("torch.relu", "self.activation"),
            (SECOND, "return (x * torch.sigmoid(scores)).float()"),
            "from functools import partial",
            "Block = partial(Block, torch.relu)",
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
        "a lambda, the course's halves one after the other",
        """
        from cbam_course.attention import ChannelAttention, SpatialAttention

        Block = lambda c, r=16, k=7: nn.Sequential(ChannelAttention(c, r), SpatialAttention(k))
        """,
    ),
    *wrongs(
        "5.2",
        ("map of F", "from F", KEEP_F, (POOLED, POOLED.replace("x.", "F."))),
        ("a residual", "residual", KEEP_F, (SECOND, "return F + x * torch.sigmoid(scores)")),
        ("half of it", "Where is the second product", (SECOND, "return x")),
        ("the map", "Did you multiply", (SECOND, "return torch.sigmoid(scores)")),
        ("twice", "the square", KEEP_F, (SECOND, "return F * x * torch.sigmoid(scores)")),
        (
            "maximum lost",
            "maximum does not arrive in the channel",
            (MAXIMA, MAXIMA.replace("amax", "mean")),
        ),
        ("added first", "before the MLP", (f") + {MAXIMA}", " + x.amax(dim=(2, 3)))")),
        ("no ReLU", "other values: at", ("torch.relu", "")),
        ("no sigmoid at the end", "other values", (SECOND, "return x * scores")),
        ("maximum lost in the second half", "other values", ("x.amax(dim=1", "x.mean(dim=1")),
        ("a bias", "nothing has a bias", ("padding=padding, bias=False", "padding=padding")),
        ("16 for good", "6 hidden units", ("// reduction\n", "// 16\n")),
        ("default 49", "`kernel_size` 7", ("kernel_size=7", "kernel_size=49")),
        ("default 8", "`reduction` is 16", ("reduction=16", "reduction=8")),
        ("no hidden unit", "leave no hidden unit", ("hidden < 1", "False")),
        ("even", "has no middle", ("kernel_size % 2 == 0", "False")),
        ("an assertion", "it raises AssertionError", ("raise ValueError", "assert False,")),
    ),
    wrong(
        "5.2",
        "the spatial half first",
        """
        from cbam_course.attention import CBAM

        class Block(CBAM):
            def __init__(self, channels, reduction=16, kernel_size=7):
                super().__init__(channels, reduction, kernel_size, order="spatial-channel")
        """,
        "spatial half comes first",
    ),
    *wrongs("5.2", ("no padding", "in forward", (", padding=padding", "")), outcome="Stopped"),
    *wrongs("5.2", ("no return", "returns nothing", (SECOND, "x")), outcome="NotSolved"),
]

# The bugs of the given block, one by one.
DEAF = ("self.mlp(maximum)", "self.mlp(average)")
RETURNED = "x = self.weigh_channels(x)  # F': [B, C, H, W]\n        return x * self.spatial_map(x)"
SQUARED = (RETURNED, "F = self.weigh_channels(x)\n        return x * F * self.spatial_map(F)")
UNREFINED = (RETURNED, "return self.weigh_channels(x) * self.spatial_map(x)")
BOTH = (RETURNED, "return x * self.weigh_channels(x) * self.spatial_map(x)")

REPAIR = [
    right("5.3", "written anew", solution("5.2", ("class Block", "class Repaired"))),
    right(
        "5.3",
        "gates returned",
        solution(
            "5.3", ("return x * gates", "return gates"), ("x = self.weigh", "x = x * self.weigh")
        ),
    ),
    right(
        "5.3",
        "in place, the maximum first",
        solution(
            "5.3",
            ("return x * gates[:, :, None, None]", "return x.mul_(gates[..., None, None])"),
            ("[average, maximum]", "[maximum, average]"),
        ),
    ),
    *wrongs(
        "5.3",
        ("maximum left", "maximum does not arrive", DEAF),
        ("product left", "the square of the input", SQUARED),
        ("map left", "from F", UNREFINED),
        ("maximum and product left", "2 bugs are left", DEAF, SQUARED),
        ("maximum and map left", "2 bugs are left", DEAF, UNREFINED),
        ("product and map left", "2 bugs are left", BOTH),
        (
            "rounded up",
            "30, 4, 3 your block has 498",
            ("channels // reduction", "-(-channels // reduction)"),
        ),
    ),
    *wrongs("5.3", ("all left", "as it came", DEAF, BOTH), outcome="NotSolved"),
]

PATTERNS = "torch.allclose(spatial_pattern(x), spatial_pattern(x.flip(1)))"

SEEN = [
    right("5.4", "one image", solution("5.4", ("4, 8", "1, 8"), ("20, 20", "25, 30"))),
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
        "a quotient that is flat",
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
            quotient = y / block(x[:, order])[:, order.argsort()]  # Mc / Mc' if Ms is the same
            if (quotient.amax((2, 3)) / quotient.amin((2, 3)) - 1).max() < 1e-4:
                answer = "unrefined"
            if (y > 1.0001 * x).any():
                answer = "residual"
            if (block(-x) > 0).any():
                answer = "twice"
            return answer
        """,
    ),
    *wrongs(
        "5.4",
        ("no test for residuals", "largest factor", ('return "residual"', 'return "right"')),
        ("no test of signs", "sign of a negative", ('return "twice"', 'return "right"')),
        ("no test of maxima", "only maxima change", ('return "no maximum"', 'return "right"')),
        ("no test of the order", "another order", ('return "unrefined"', 'return "right"')),
        (
            "tolerances too narrow",
            "another order",
            (PATTERNS, PATTERNS.replace("allclose", "equal")),
        ),
        ("tolerances too wide", "its tolerance", ("x.flip(1)))", "x.flip(1)), atol=100)")),
        ("near the spike", "no maximum", ("slice(8, None)", "slice(2)")),
        ("another word", "the words are ['right'", ('return "right"', 'return "fine"')),
    ),
    wrong("5.4", "a number", "def diagnose(block):\n    return 1", "the words are ['right'"),
    wrong(
        "5.4",
        "three channels",
        "def diagnose(block):\n    return block(torch.rand(1, 3, 8, 8))",
        "in diagnose",
        "Stopped",
    ),
]

ANSWERS = [*PRICES, *WRITE, *REPAIR, *SEEN]
