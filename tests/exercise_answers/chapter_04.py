"""Answers to the exercises of chapter 4."""

from . import right, wrong
from .editing import changed

# 4.1 Count and reach.


def predicted(map_shape="[2, 1, 20, 30]", with_norm="53", with_squeeze="171", touched="12"):
    return f"""
map_shape = {map_shape}
with_norm = {with_norm}
with_squeeze = {with_squeeze}
touched = {touched}
"""


COUNT = [
    right("4.1", "a tuple and floats", predicted("(2, 1, 20, 30)", "53.0", "75 + 96.0")),
    right("4.1", "tensors", predicted("torch.tensor([2, 1, 20, 30])", touched="torch.tensor(12)")),
    right(
        "4.1",
        "measured",
        """
        def count(module):
            return sum(p.numel() for p in module.parameters())
        with_norm = count(SpatialAttention(5, bias=True, batch_norm=True))
        with_squeeze = count(SpatialAttention(5, pools=("avg", "max", "conv"), channels=96))
        x = torch.rand(2, 96, 20, 30)
        before = SpatialAttention(5).attention_map(x)
        map_shape = before.shape
        torch.manual_seed(0)
        before = SpatialAttention(5).attention_map(x)
        x[0, :, 1, 0] += 5
        torch.manual_seed(0)
        touched = (SpatialAttention(5).attention_map(x) != before).sum()
        """,
    ),
    wrong("4.1", "no channel axis", predicted("[2, 20, 30]"), "an axis of size 1"),
    wrong("4.1", "one for all pictures", predicted("[1, 1, 20, 30]"), "a map of its own"),
    wrong("4.1", "a channel map", predicted("[2, 96, 1, 1]"), "channel attention map"),
    wrong("4.1", "two maps", predicted("[2, 2, 20, 30]"), "How many come out"),
    wrong("4.1", "no padding", predicted("[2, 1, 16, 26]"), "no place is lost"),
    wrong("4.1", "kernel only", predicted(with_norm="50"), "bias and the BatchNorm"),
    wrong("4.1", "no BatchNorm", predicted(with_norm="51"), "BatchNorm has"),
    wrong("4.1", "buffers too", predicted(with_norm="55"), "nobody learns them"),
    wrong("4.1", "one map", predicted(with_norm="28"), "reads two maps"),
    wrong("4.1", "squeeze only", predicted(with_squeeze="121"), "three maps"),
    wrong("4.1", "two slices", predicted(with_squeeze="146"), "a slice for each"),
    wrong("4.1", "no squeeze", predicted(with_squeeze="75"), "weights of its own"),
    wrong("4.1", "no border", predicted(touched="25"), "lies at the border"),
    wrong("4.1", "columns only", predicted(touched="15"), "one row above"),
    wrong("4.1", "rows only", predicted(touched="20"), "left of column 0"),
    wrong("4.1", "the corner", predicted(touched="9"), "This is row 1"),
    wrong("4.1", "a 3x3 kernel", predicted(touched="6"), "two places in each direction"),
    wrong("4.1", "another number", predicted(touched="13"), "is not 13"),
    wrong("4.1", "half open", predicted(touched="..."), "`touched` is still", "NotSolved"),
]

# 4.2 Write the block.

BLOCK = """
class Block(nn.Module):
    def __init__(self, kernel_size=7):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError("kernel_size must be odd")
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x):
        average = x.mean(dim=1, keepdim=True)
        maximum = x.amax(dim=1, keepdim=True)
        scores = self.conv(torch.cat([average, maximum], dim=1))
        return x * torch.sigmoid(scores)
"""
ERROR = """        if kernel_size % 2 == 0:
            raise ValueError("kernel_size must be odd")
"""
BOTH, RESULT = "[average, maximum]", "x * torch.sigmoid(scores)"
CAT = "torch.cat([average, maximum], dim=1)"


def block(*pairs):
    return changed(BLOCK, *pairs)


WRITE = [
    right(
        "4.2",
        "the maximum first, in place",
        block(
            (BOTH, "[maximum, average]"), (f"return {RESULT}", "return x.mul_(scores.sigmoid_())")
        ),
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
        "a lazy layer, channels last, float32",
        """
        class Block(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                if kernel_size % 2 != 1:
                    raise ValueError(f"kernel_size must be odd, got {kernel_size}")
                self.gate = nn.Sequential(
                    nn.LazyConv2d(1, kernel_size, padding=kernel_size // 2, bias=False),
                    nn.Sigmoid(),
                )

            def forward(self, x):
                places = x.permute(0, 2, 3, 1)
                pooled = torch.stack([places.mean(-1), places.amax(-1)], dim=1)
                return (x * self.gate(pooled)).float().to(memory_format=torch.channels_last)
        """,
    ),
    right(
        "4.2",
        "a raw kernel",
        """
        class Block(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                if kernel_size % 2 == 0:
                    raise ValueError
                self.kernel = nn.Parameter(torch.randn(2, kernel_size, kernel_size))

            def forward(self, x):
                pooled = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
                side = self.kernel.shape[-1] // 2
                return x * F.conv2d(pooled, self.kernel[None], padding=side).sigmoid()
        """,
    ),
    wrong("4.2", "kernel 49", block(("=7", "=49")), "49x49"),
    wrong("4.2", "default 3", block(("=7", "=3")), "A kernel of 7x7"),
    wrong(
        "4.2",
        "always 7",
        block(("2, 1, kernel_size, padding=kernel_size // 2", "2, 1, 7, padding=3")),
        "A kernel of 3x3",
    ),
    wrong("4.2", "a bias", block((", bias=False", "")), "without a bias"),
    wrong("4.2", "even accepted", block((ERROR, "")), "made without an error"),
    wrong("4.2", "another error", block(("ValueError", "TypeError")), "raises TypeError"),
    wrong("4.2", "no sigmoid", block(("torch.sigmoid(scores)", "scores")), "where is the sigmoid"),
    wrong("4.2", "sigmoid twice", block(("(scores)", "(scores.sigmoid())")), "applied twice"),
    wrong("4.2", "a ReLU", block(("(scores)", "(scores.relu())")), "cuts the scores off"),
    wrong("4.2", "a residual", block((RESULT, f"x + {RESULT}")), "no residual"),
    wrong("4.2", "the map", block(("x * torch", "torch")), "Did you multiply"),
    wrong("4.2", "the average twice", block((BOTH, "[average, average]")), "second map"),
    wrong("4.2", "the maximum twice", block((BOTH, "[maximum, maximum]")), "average map does not"),
    wrong(
        "4.2",
        "softmax over the places",
        block(("torch.sigmoid(scores)", "scores.flatten(1).softmax(1).view_as(scores)")),
        "lets the places compete",
    ),
    wrong(
        "4.2",
        "the pool over the batch too",
        block(
            ("maximum = x.amax(dim=1", "maximum = x.amax(dim=(0, 1)"),
            (BOTH, "[average, maximum.expand_as(average)]"),
        ),
        "not over the batch",
    ),
    wrong("4.2", "the pool over the batch", block(("mean(dim=1", "mean(dim=0")), "line", "Stopped"),
    wrong("4.2", "the pool over places", block(("mean(dim=1", "mean(dim=2")), "line", "Stopped"),
    wrong(
        "4.2",
        "one value a picture",
        block(
            (
                CAT,
                "torch.cat([v.amax((2, 3), True).expand_as(v) for v in (average, maximum)], dim=1)",
            )
        ),
        "other values",
    ),
    wrong("4.2", "the sum", block(("x.mean(", "x.sum(")), "the sum, not the average"),
    wrong("4.2", "the smallest", block(("amax", "amin")), "smallest value"),
    wrong(
        "4.2",
        "replicated border",
        block(("bias=False", 'bias=False, padding_mode="replicate"')),
        "there should be zeros",
    ),
    wrong("4.2", "no padding", block((", padding=kernel_size // 2", "")), "in forward", "Stopped"),
    wrong("4.2", "no return", block(("return x", "x")), "returns nothing", "NotSolved"),
    wrong(
        "4.2", "no module", "class Block:\n    def __init__(self, kernel_size=7): pass", "nn.Module"
    ),
]

# 4.3 It trained without complaint.

REPAIRED = """
class Repaired(nn.Module):
    def __init__(self, kernel_size=7):
        super().__init__()
        padding = kernel_size // 2
        self.score = nn.Sequential(
            nn.Conv2d(2, 1, kernel_size, padding=padding, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        B, C, H, W = x.shape
        pooled = torch.stack([x.mean(dim=1), x.amax(dim=1)])
        return x * self.score(pooled.transpose(0, 1))
"""
TURNED = "pooled.transpose(0, 1)"
TWICE = ("self.score(pooled", "torch.sigmoid(self.score(pooled"), ("(0, 1))", "(0, 1)))")
RELU = ("            nn.Sigmoid()", "            nn.ReLU(),\n            nn.Sigmoid()")
FORCED = (TURNED, "pooled.reshape(B, 2, H, W)")


def repaired(*pairs):
    return changed(REPAIRED, *pairs)


REPAIR = [
    right("4.3", "transposed, the sigmoid in the layers", REPAIRED),
    right(
        "4.3",
        "permuted, in place",
        repaired(
            (f"return x * self.score({TURNED})", "return x.mul_(self.score(pooled))"),
            ("x.amax(dim=1)])", "x.amax(dim=1)]).permute(1, 0, 2, 3)"),
        ),
    ),
    right(
        "4.3",
        "the maximum first, put together",
        repaired(
            (
                "torch.stack([x.mean(dim=1), x.amax(dim=1)])",
                "torch.cat([x.amax(1, True), x.mean(1, True)], 1)",
            ),
            (TURNED, "pooled"),
        ),
    ),
    right(
        "4.3",
        "functional, float32",
        """
        class Repaired(nn.Module):
            def __init__(self, kernel_size=7):
                super().__init__()
                self.score = nn.Conv2d(2, 1, kernel_size, padding="same", bias=False)

            def forward(self, x):
                pooled = torch.stack([x.mean(dim=1), x.max(dim=1).values], dim=1)
                return torch.mul(x, F.sigmoid(self.score(pooled))).float()
        """,
    ),
    wrong("4.3", "only the batch repaired", repaired(*TWICE, RELU), "How often"),
    wrong("4.3", "sigmoid twice", repaired(*TWICE), "How often"),
    wrong("4.3", "sigmoid twice and forced", repaired(*TWICE, FORCED), "How often"),
    wrong("4.3", "a ReLU", repaired(RELU), "negative scores"),
    wrong("4.3", "a ReLU and forced", repaired(RELU, FORCED), "negative scores"),
    wrong("4.3", "forced", repaired(FORCED), "other pictures of its batch"),
    wrong("4.3", "no sigmoid", repaired(("nn.Sigmoid()", "nn.Identity()")), "Where is the sigmoid"),
    wrong("4.3", "a ReLU for the sigmoid", repaired(("nn.Sigmoid()", "nn.ReLU()")), "one half"),
    wrong("4.3", "a residual", repaired(("return x *", "return x + x *")), "what else happens"),
    wrong("4.3", "the average twice", repaired(("amax", "mean")), "Does the second map"),
    wrong(
        "4.3", "places turned", repaired((TURNED, "pooled.transpose(0, 1).flip(3)")), "other values"
    ),
    wrong("4.3", "a bias", repaired((", bias=False", "")), "without a bias"),
    wrong("4.3", "kernel 3", repaired(("=7", "=3")), "7x7"),
    wrong("4.3", "kernel 49", repaired(("=7", "=49")), "49x49"),
    wrong("4.3", "not transposed", repaired((TURNED, "pooled")), "line", "Stopped"),
    wrong("4.3", "the map", repaired(("return x *", "return")), "has shape"),
]

# 4.4 Fold the BatchNorm away.

CONVERT = """
def convert(weight, gamma, beta, mean, var, eps):
    scale = gamma / (var + eps).sqrt()
    return weight.flip(1) * scale, beta - mean * scale
"""
ROOT = "(var + eps).sqrt()"


def converted(*pairs):
    return changed(CONVERT, *pairs)


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
        "one number for the bias, parameters",
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
        converted((") * scale", ") * scale.float()"), ("weight.flip", "weight.float().flip")),
    ),
    wrong("4.4", "order kept", converted(("weight.flip(1)", "weight")), "not in the order"),
    wrong("4.4", "all reversed", converted(("flip(1)", "flip(1, 2, 3)")), "leave the places"),
    wrong("4.4", "rows reversed", converted(("flip(1)", "flip(2)")), "not in the order"),
    wrong("4.4", "kernel as it is", converted((" * scale, b", ", b")), "kernel is not scaled"),
    wrong("4.4", "only gamma", converted((f" / {ROOT}", "")), "Where does the variance go"),
    wrong("4.4", "no eps", converted((ROOT, "var.sqrt()")), "missing under the root"),
    wrong("4.4", "eps outside", converted((ROOT, "(var.sqrt() + eps)")), "belongs under the root"),
    wrong("4.4", "no root", converted((ROOT, "(var + eps)")), "not by a variance"),
    wrong(
        "4.4", "slices alone", changed(CONVERT, (" * scale, beta - mean * scale", ", beta")), "go?"
    ),
    wrong("4.4", "mean by gamma", converted(("mean * scale", "mean * gamma")), "In your bias"),
    wrong("4.4", "no mean", converted(("beta - mean * scale", "beta")), "mean does not arrive"),
    wrong("4.4", "mean added", converted(("beta - ", "beta + ")), "subtracted, not added"),
    wrong("4.4", "mean unscaled", converted(("mean * scale", "mean")), "before the scores"),
    wrong("4.4", "no beta", converted(("beta - ", "- ")), "lacks beta"),
    wrong(
        "4.4", "beta scaled", converted(("beta - mean * scale", "(beta - mean) * scale")), "Beta is"
    ),
    wrong("4.4", "no bias", converted(("beta - mean * scale", "0 * beta")), "bias is zero"),
    wrong("4.4", "only the kernel", converted((", beta - mean * scale", "")), "a pair"),
    wrong("4.4", "one slice", converted(("flip(1)", "flip(1)[:, :1]")), "Your weight has shape"),
    wrong("4.4", "a bias each", converted(("- mean * scale", "- weight")), "expected one"),
    wrong("4.4", "a number", converted(("beta - mean * scale", "0.5")), "should be a tensor"),
    wrong(
        "4.4",
        "open",
        "def convert(weight, gamma, beta, mean, var, eps): ...",
        "returns nothing yet",
        "NotSolved",
    ),
]

ANSWERS = [*COUNT, *WRITE, *REPAIR, *MOVE]
