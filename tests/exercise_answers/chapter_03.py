"""Answers to the exercises of chapter 3."""

from . import right, wrong
from .editing import changed

# 3.1 Who hears whom.


def predicted(kernel_size="5", heard_by_1="[0, 1, 2, 3]", entries="1274", fc_weights="8192"):
    return f"""
kernel_size = {kernel_size}
heard_by_1 = {heard_by_1}
entries = {entries}
fc_weights = {fc_weights}
"""


HEAR = [
    right(
        "3.1", "a set and a float", predicted("5.0", "{3, 2, 1, 0}", fc_weights="2 * 256**2 / 16")
    ),
    right("3.1", "a range", predicted(heard_by_1="range(4)", entries="2 * (3 + 4) + 252 * 5")),
    right("3.1", "tensors", predicted("torch.tensor(5)", "torch.arange(4)", "torch.tensor(1274)")),
    right(
        "3.1",
        "measured",
        """
        from cbam_course.attention import ECA, ChannelAttention
        conv = ECA(256, pools=("avg", "max"))
        pixel = torch.rand(1, 256, 1, 1)
        table = torch.autograd.functional.jacobian(conv.attention_map, pixel).reshape(256, 256)
        kernel_size = conv.kernel_size
        heard_by_1 = table[1].nonzero()[:, 0]
        entries = (table != 0).sum()
        fc_weights = sum(p.numel() for p in ChannelAttention(256).parameters())
        """,
    ),
    wrong("3.1", "an even kernel", predicted("4"), "no middle"),
    wrong("3.1", "a kernel of 3", predicted("3"), "log2 of 256"),
    wrong("3.1", "the quotient", predicted("4.5"), "cut the quotient"),
    wrong("3.1", "padding heard", predicted(heard_by_1="[-1, 0, 1, 2, 3]"), "1 too many"),
    wrong("3.1", "itself forgotten", predicted(heard_by_1="[0, 2, 3]"), "1 missing"),
    wrong("3.1", "one number", predicted(heard_by_1="1"), "3 missing"),
    wrong("3.1", "no edges", predicted(entries="5 * 256"), "the rows at the two ends"),
    wrong("3.1", "one edge", predicted(entries="1277"), "two ends"),
    wrong("3.1", "one layer", predicted(fc_weights="4096"), "two layers"),
    wrong("3.1", "with biases", predicted(fc_weights="8464"), "no biases"),
    wrong("3.1", "a word", predicted(heard_by_1="'all'"), "list of numbers"),
    wrong("3.1", "half a channel", predicted(heard_by_1="[0.5, 1]"), "whole numbers"),
]

# 3.2 Write the map.

MAP = """
def channel_map(x, W1, W2):
    def mlp(z):
        return torch.relu(z @ W1.T) @ W2.T

    average, maximum = x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
    scores = mlp(average) + mlp(maximum)
    return torch.sigmoid(scores)[:, :, None, None]
"""
SCORES, RESULT = "mlp(average) + mlp(maximum)", "torch.sigmoid(scores)[:, :, None, None]"

WRITE = [
    right(
        "3.2",
        "convolutions",
        """
        from torch.nn.functional import conv2d

        def channel_map(x, W1, W2):
            scores = 0
            for pool in nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1):
                hidden = conv2d(pool(x), W1[:, :, None, None]).relu_()
                scores = scores + conv2d(hidden, W2[..., None, None])
            return scores.sigmoid_()
        """,
    ),
    right(
        "3.2",
        "one product for both squeezes",
        """
        def channel_map(x, W1, W2):
            flat = x.flatten(2)
            z = torch.stack([flat.mean(2), flat.max(2).values])
            scores = torch.einsum("ch,pbh->bc", W2, torch.einsum("hc,pbc->pbh", W1, z).clamp(min=0))
            return scores.sigmoid().reshape(*scores.shape, 1, 1)
        """,
    ),
    right(
        "3.2",
        "the package's class",
        """
        from cbam_course.attention import ChannelAttention

        def channel_map(x, W1, W2):
            hidden, channels = W1.shape
            block = ChannelAttention(channels, channels // hidden, layer="linear")
            block.mlp[0].weight.data, block.mlp[2].weight.data = W1, W2
            return block.attention_map(x)
        """,
    ),
    right("3.2", "a result in float32", changed(MAP, ("(scores)", "(scores.float())"))),
    right(
        "3.2",
        "ReLU of both, then one product",
        changed(MAP, (SCORES, "(torch.relu(average @ W1.T) + torch.relu(maximum @ W1.T)) @ W2.T")),
    ),
    wrong("3.2", "no axes", changed(MAP, ("[:, :, None, None]", "")), "keep the last 2 axes"),
    wrong("3.2", "axes in front", changed(MAP, ("[:, :, None, None]", "[None, None]")), "axes"),
    wrong("3.2", "refined", changed(MAP, (RESULT, f"x * {RESULT}")), "the map alone"),
    wrong("3.2", "added first", changed(MAP, (SCORES, "mlp(average + maximum)")), "before the MLP"),
    wrong(
        "3.2", "the average twice", changed(MAP, ("mlp(maximum)", "mlp(average)")), "second branch"
    ),
    wrong(
        "3.2", "the maximum twice", changed(MAP, ("mlp(average)", "mlp(maximum)")), "first branch"
    ),
    wrong(
        "3.2",
        "no sigmoid",
        changed(MAP, ("torch.sigmoid(scores)", "scores")),
        "where is the sigmoid",
    ),
    wrong("3.2", "sigmoid twice", changed(MAP, ("scores)", "scores.sigmoid())")), "twice"),
    wrong(
        "3.2",
        "a sigmoid each",
        changed(
            MAP,
            (
                "return torch.relu(z @ W1.T) @ W2.T",
                "return (torch.relu(z @ W1.T) @ W2.T).sigmoid()",
            ),
            ("torch.sigmoid(scores)", "scores"),
        ),
        "one for the sum",
    ),
    wrong("3.2", "mean of the scores", changed(MAP, (SCORES, f"({SCORES}) / 2")), "their mean"),
    wrong(
        "3.2",
        "product of the scores",
        changed(MAP, (SCORES, "mlp(average) * mlp(maximum)")),
        "multiply them",
    ),
    wrong("3.2", "no ReLU", changed(MAP, ("torch.relu", "")), "no ReLU"),
    wrong(
        "3.2",
        "over the batch",
        changed(MAP, ("x.mean(dim=(2, 3))", "x.mean(dim=(0, 2, 3))[None]")),
        "over the batch",
    ),
    wrong(
        "3.2",
        "the maximum over the batch",
        changed(MAP, ("x.amax(dim=(2, 3))", "x.amax(dim=(0, 2, 3))[None]")),
        "over the batch",
    ),
    wrong(
        "3.2",
        "over the channels",
        changed(MAP, ("x.amax(dim=(2, 3))", "x.amax(dim=1)")),
        "mat",
        "Stopped",
    ),
    wrong("3.2", "not transposed", changed(MAP, ("z @ W1.T", "z @ W1")), "in mlp", "Stopped"),
    wrong("3.2", "open", "def channel_map(x, W1, W2): ...", "returns nothing yet", "NotSolved"),
]

# 3.3 Right where it was tried.

CONV = """
class Repaired(nn.Module):
    def __init__(self, channels, kernel_size=None):
        super().__init__()
        if kernel_size is None:
            kernel_size = eca_kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.largest = nn.AdaptiveMaxPool2d(1)

    def forward(self, x):
        average = x.mean(dim=(2, 3))
        maximum = self.largest(x)[:, :, 0, 0]
        scores = self.conv(average[:, None]) + self.conv(maximum[:, None])
        gates = torch.sigmoid(scores)[:, 0]
        return x * gates[:, :, None, None]
"""
IF = "if kernel_size is None:\n            kernel_size ="

REPAIR = [
    right("3.3", "padding by name", changed(CONV, ("kernel_size // 2", '"same"'))),
    right(
        "3.3",
        "amax, in place",
        changed(
            CONV,
            ("self.largest(x)[:, :, 0, 0]", "x.amax((2, 3))"),
            ("return x * gates", "return x.mul_(gates"),
            ("None, None]", "None, None])"),
            ("gates[:, :, None, None])", "gates[:, :, None, None])"),
        ),
    ),
    right(
        "3.3",
        "added before the convolution, along an axis of its own",
        """
        class Repaired(nn.Module):
            def __init__(self, channels, kernel_size=None):
                super().__init__()
                k = kernel_size or eca_kernel_size(channels)
                self.listen = nn.Conv2d(1, 1, (k, 1), padding=(k // 2, 0), bias=False)

            def forward(self, x):
                both = x.mean((2, 3), keepdim=True) + x.amax((2, 3), keepdim=True)
                scores = self.listen(both.transpose(1, 2))  # [B, 1, C, 1]
                return x * scores.sigmoid().transpose(1, 2)
        """,
    ),
    right(
        "3.3",
        "by hand, the kernel reversed",
        """
        class Repaired(nn.Module):
            def __init__(self, channels, kernel_size=None):
                super().__init__()
                self.k = eca_kernel_size(channels) if kernel_size is None else kernel_size
                self.kernel = nn.Parameter(torch.randn(self.k))

            def forward(self, x):
                z = x.flatten(2)
                z = z.mean(2) + z.max(2)[0]
                padded = nn.functional.pad(z, (self.k // 2, self.k // 2))
                scores = padded.unfold(1, self.k, 1) @ self.kernel.flip(0)
                return x * torch.sigmoid(scores)[..., None, None]
        """,
    ),
    wrong(
        "3.3",
        "kernel still overridden",
        changed(CONV, (IF, "kernel_size =")),
        "Who obeys the argument",
    ),
    wrong(
        "3.3",
        "window left",
        changed(CONV, ("nn.AdaptiveMaxPool2d(1)", "nn.MaxPool2d(7)")),
        "first 7 x 7 places",
    ),
    wrong(
        "3.3",
        "window cut to the map",
        changed(CONV, ("self.largest(x)[:, :, 0, 0]", "x[:, :, :7, :7].amax((2, 3))")),
        "first 7 x 7 places",
    ),
    wrong(
        "3.3",
        "padding left",
        changed(CONV, ("padding=kernel_size // 2", "padding=1")),
        "line",
        "Stopped",
    ),
    wrong(
        "3.3",
        "no adaptive size",
        changed(CONV, ("eca_kernel_size(channels)", "3")),
        "With kernel_size=None",
    ),
    wrong("3.3", "a bias", changed(CONV, ("bias=False", "bias=True")), "One kernel, no bias"),
    wrong(
        "3.3",
        "maximum lost",
        changed(CONV, ("self.conv(maximum[:, None])", "self.conv(average[:, None])")),
        "The maximum does not arrive",
    ),
    wrong("3.3", "a residual", changed(CONV, ("return x *", "return x + x *")), "residual"),
    wrong(
        "3.3",
        "no sigmoid",
        changed(CONV, ("torch.sigmoid(scores)", "scores")),
        "not between 0 and 1",
    ),
    wrong(
        "3.3", "the map", changed(CONV, ("return x * gates", "return gates")), "Did you multiply"
    ),
]

# 3.4 Twins.

FLAT = """
def twin(x):
    average = x.mean(dim=(2, 3), keepdim=True)
    maximum = x.amax(dim=(2, 3), keepdim=True)
    return ((average + maximum) / 2).expand_as(x)
"""

TWIN = [
    right(
        "3.4",
        "flat, as a new tensor",
        changed(
            FLAT,
            (
                "((average + maximum) / 2).expand_as(x)",
                "torch.zeros_like(x) + average / 2 + maximum / 2",
            ),
        ),
    ),
    right(
        "3.4",
        "half the contrast",
        changed(
            FLAT, ("((average + maximum) / 2).expand_as(x)", "(x + (average + maximum) / 2) / 2")
        ),
    ),
    right(
        "3.4",
        "three times the contrast, in place",
        """
        def twin(x):
            average, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
            x -= (average + maximum) / 2
            x *= 3
            x += (average + maximum) / 2
            return x
        """,
    ),
    right(
        "3.4",
        "one spot",
        """
        def twin(x):
            n = x.shape[2] * x.shape[3]
            total = x.mean((2, 3)) + x.amax((2, 3))  # of v everywhere and v + 1 once: 2v + 1 + 1/n
            y = torch.zeros_like(x) + ((total - 1 - 1 / n) / 2)[:, :, None, None]
            y[:, :, 0, 0] += 1
            return y
        """,
    ),
    wrong("3.4", "x itself", "def twin(x):\n    return x", "x itself"),
    wrong("3.4", "places turned", "def twin(x):\n    return x.flip(2, 3)", "FC cannot tell"),
    wrong(
        "3.4",
        "flat averages",
        changed(FLAT, ("(average + maximum) / 2", "average")),
        "the averages are those of x",
    ),
    wrong(
        "3.4",
        "flat maxima",
        changed(FLAT, ("(average + maximum) / 2", "maximum")),
        "the maxima are those of x",
    ),
    wrong("3.4", "the sum, not half of it", changed(FLAT, (" / 2", "")), "which number is that"),
    wrong("3.4", "twice x", "def twin(x):\n    return 2 * x", "Conv tells them apart"),
    wrong(
        "3.4", "channels exchanged", "def twin(x):\n    return x.flip(1)", "Conv tells them apart"
    ),
    wrong("3.4", "not expanded", changed(FLAT, (".expand_as(x)", "")), "it should be that of x"),
    wrong(
        "3.4",
        "nearly x",
        """
        def twin(x):
            middle = (x.mean((2, 3), keepdim=True) + x.amax((2, 3), keepdim=True)) / 2
            return x + 1e-4 * (middle - x)
        """,
        "hardly",
    ),
]

ANSWERS = [*HEAR, *WRITE, *REPAIR, *TWIN]
