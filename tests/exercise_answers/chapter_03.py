"""Answers to the exercises of chapter 3."""

from . import right, wrong
from .editing import solution, wrongs

HEAR = [
    right(
        "3.1",
        "a set and floats",
        solution("3.1", "kernel_size = 5.0", "heard_by_1 = {3, 2, 1, 0}", "fc_weights /= 1"),
    ),
    right("3.1", "a range", solution("3.1", "heard_by_1 = range(4)")),
    right(
        "3.1",
        "tensors",
        solution("3.1", "heard_by_1, entries = torch.arange(4), torch.tensor(1274)"),
    ),
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
    *wrongs(
        "3.1",
        ("an even kernel", "no middle", "kernel_size = 4"),
        ("the quotient", "Cut the quotient", "kernel_size = 4.5"),
        ("padding heard", "1 too many", "heard_by_1 = [-1, 0, 1, 2, 3]"),
        ("itself forgotten", "1 missing", "heard_by_1 = [0, 2, 3]"),
        ("one number", "3 missing", "heard_by_1 = 1"),
        ("no edges", "two ends", "entries = 5 * 256"),
        ("one layer", "two layers", "fc_weights = 4096"),
        ("a word", "list of numbers", "heard_by_1 = 'all'"),
        ("half a channel", "whole numbers", "heard_by_1 = [0.5, 1]"),
    ),
]

SCORES = "mlp(average) + mlp(maximum)"

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
        "vmap over the images",
        """
        def channel_map(x, W1, W2):
            def one(image):
                pooled = image.mean((1, 2)), image.amax((1, 2))
                return sum(W2 @ torch.relu(W1 @ z) for z in pooled).sigmoid()[:, None, None]

            return torch.vmap(one)(x)
        """,
    ),
    right("3.2", "in float32", solution("3.2", ("(scores)", "(scores.float())"))),
    *wrongs(
        "3.2",
        ("no axes", "keep the axes of size 1", ("[:, :, None, None]", "")),
        ("axes in front", "axes", ("[:, :, None, None]", "[None, None]")),
        ("refined", "the map alone", ("torch.sigmoid(scores)", "x * torch.sigmoid(scores)")),
        ("added first", "before the MLP", (SCORES, "mlp(average + maximum)")),
        ("the average twice", "with the maxima", ("mlp(maximum)", "mlp(average)")),
        ("the maximum twice", "with the averages", ("mlp(average)", "mlp(maximum)")),
        ("no sigmoid", "where is the sigmoid", ("torch.sigmoid(scores)", "scores")),
        (
            "a sigmoid each",
            "one for the sum",
            ("torch.relu(z @ W1.T) @ W2.T", "torch.sigmoid(torch.relu(z @ W1.T) @ W2.T)"),
            ("torch.sigmoid(scores)", "scores"),
        ),
        ("no ReLU", "no ReLU", ("torch.relu", "")),
        ("mean of the scores", "other values: at", (SCORES, f"({SCORES}) / 2")),
        ("over the batch", "other values", ("mean(dim=(2, 3))", "mean(dim=(0, 2, 3))[None]")),
    ),
    *wrongs("3.2", ("not transposed", "in mlp", ("z @ W1.T", "z @ W1")), outcome="Stopped"),
    wrong("3.2", "open", "def channel_map(x, W1, W2): ...", "returns nothing yet", "NotSolved"),
]

IF = "if kernel_size is None:\n            kernel_size ="

REPAIR = [
    right("3.3", "padding by name", solution("3.3", ("padding=padding", 'padding="same"'))),
    right(
        "3.3",
        "in place",
        solution(
            "3.3",
            ("return x * gates[", "return x.mul_(gates)["),
            ("gates)[:, :, None, None]", "gates[:, :, None, None])"),
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
    *wrongs(
        "3.3",
        ("kernel still overridden", "Who obeys the argument", (IF, "kernel_size =")),
        ("window left", "first 7 x 7 positions", ("AdaptiveMaxPool2d(1)", "MaxPool2d(7)")),
        (
            "window cut to the map",
            "first 7 x 7 positions",
            ("self.largest(x)[:, :, 0, 0]", "x[:, :, :7, :7].amax((2, 3))"),
        ),
        ("no adaptive size", "With kernel_size=None", ("eca_kernel_size(channels)", "3")),
        ("a bias", "one kernel, no bias", ("bias=False", "bias=True")),
        ("the map", "Did you multiply", ("return x * gates", "return gates")),
        ("maximum lost", "The maximum does not arrive", ("conv(maximum", "conv(average")),
        ("average lost", "The average does not arrive", ("conv(average", "conv(maximum")),
        ("no sigmoid", "other values", ("torch.sigmoid(scores)", "scores")),
    ),
    *wrongs("3.3", ("padding left", "line", ("padding=padding", "padding=1")), outcome="Stopped"),
]

MIDDLE = "((average + maximum) / 2).expand_as(x)"

TWIN = [
    right("3.4", "a new tensor", solution("3.4", (MIDDLE, "0 * x + (average + maximum) / 2"))),
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
    *wrongs(
        "3.4",
        ("x itself", "x itself", (MIDDLE, "x")),
        ("positions turned", "FC cannot tell", (MIDDLE, "x.flip(2, 3)")),
        (
            "flat averages",
            "average plus maximum should stay",
            ("(average + maximum) / 2", "average"),
        ),
        ("channels exchanged", "Conv tells them apart", (MIDDLE, "x.flip(1)")),
        ("not expanded", "it should be that of x", (".expand_as(x)", "")),
        ("nearly x", "hardly", (MIDDLE, "x + 1e-4 * ((average + maximum) / 2 - x)")),
    ),
]

ANSWERS = [*HEAR, *WRITE, *REPAIR, *TWIN]
