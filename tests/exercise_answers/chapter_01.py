"""Answers to the exercises of chapter 1."""

from . import right, wrong
from .editing import changed

# 1.1 From pictures to weights.


def predicted(
    feature_map="[4, 16, 28, 44]",
    channel_map="[4, 16, 1, 1]",
    spatial_map="[4, 1, 28, 44]",
    saved="18464",
):
    return f"""
feature_map = {feature_map}
channel_map = {channel_map}
spatial_map = {spatial_map}
saved = {saved}
"""


READ = [
    right("1.1", "tuples and a float", predicted("(4, 16, 28, 44)", "4, 16, 1, 1", saved="18464.")),
    right(
        "1.1",
        "a Size and tensors",
        predicted("torch.Size([4, 16, 28, 44])", "torch.tensor([4, 16, 1, 1])"),
    ),
    right(
        "1.1",
        "measured",
        """
        layer = torch.nn.Conv2d(3, 16, 5)
        features = layer(torch.rand(4, 3, 32, 48))
        feature_map = features.shape
        channel_map = features.mean(dim=(2, 3), keepdim=True).shape
        spatial_map = features.mean(dim=1, keepdim=True).shape
        saved = features[0].numel() - torch.tensor([16, 28 * 44]).sum()
        """,
    ),
    wrong("1.1", "no edges", predicted("[4, 16, 32, 48]"), "without padding"),
    wrong("1.1", "one too few", predicted("[4, 16, 27, 43]"), "twice, not once"),
    wrong("1.1", "channels of the picture", predicted("[4, 3, 28, 44]"), "makes one channel"),
    wrong("1.1", "a channel a color", predicted("[4, 48, 28, 44]"), "adds up the colors"),
    wrong("1.1", "no batch", predicted("[16, 28, 44]"), "where are the four pictures"),
    wrong("1.1", "width first", predicted("[4, 16, 44, 28]"), "height comes before"),
    wrong("1.1", "no axes of size 1", predicted(channel_map="[4, 16]"), "two axes of size 1"),
    wrong("1.1", "one map for all", predicted(channel_map="[1, 16, 1, 1]"), "map of its own"),
    wrong("1.1", "the other map", predicted(channel_map="[4, 1, 28, 44]"), "weighs places"),
    wrong("1.1", "no channel axis", predicted(spatial_map="[4, 28, 44]"), "an axis of size 1"),
    wrong("1.1", "channel axis last", predicted(spatial_map="[4, 28, 44, 1]"), "it is axis 1"),
    wrong("1.1", "one side cut", predicted("[4, 16, 30, 46]"), "four in all"),
    wrong("1.1", "pixels", predicted(spatial_map="[4, 1, 32, 48]"), "not pixels"),
    wrong("1.1", "four pictures", predicted(saved="73856"), "for four pictures"),
    wrong("1.1", "the small maps", predicted(saved="1248"), "How many do they save"),
    wrong("1.1", "only the places", predicted(saved="18480"), "spatial map only"),
    wrong("1.1", "only the channels", predicted(saved="19696"), "channel map only"),
    wrong("1.1", "another number", predicted(saved="18465"), "is not 18465"),
    wrong("1.1", "half open", predicted(saved="..."), "`saved` is still open", "NotSolved"),
]

# 1.2 Weigh a batch.

WEIGH = """
def weigh(x, what, where):
    return x * what[:, :, None, None] * where[:, None]
"""
WHAT, WHERE = "what[:, :, None, None]", "where[:, None]"

BATCH = [
    right(
        "1.2",
        "in place, unsqueezed",
        """
        def weigh(x, what, where):
            x *= what.unsqueeze(2).unsqueeze(-1)
            x.mul_(where.unsqueeze(1))
            return x
        """,
    ),
    right(
        "1.2",
        "einsum",
        """
        def weigh(x, what, where):
            return torch.einsum("bchw,bc,bhw->bchw", x, what, where)
        """,
    ),
    right(
        "1.2",
        "picture by picture, in float32",
        """
        def weigh(x, what, where):
            pictures = []
            for picture, w, p in zip(x.float(), what.float(), where.float()):
                pictures.append(picture * w.reshape(-1, 1, 1) * p)
            return torch.stack(pictures)
        """,
    ),
    right(
        "1.2",
        "the full map, channels last",
        """
        def weigh(x, what, where):
            B, C, H, W = x.shape
            full = what.view(B, C, 1) @ where.reshape(B, 1, H * W)
            return (x * full.view(x.shape)).to(memory_format=torch.channels_last)
        """,
    ),
    wrong("1.2", "as they come", changed(WEIGH, (WHAT, "what"), (WHERE, "where")), "wrong axes"),
    wrong("1.2", "what as it comes", changed(WEIGH, (WHAT, "what")), "`what`, as it comes"),
    wrong("1.2", "where as it comes", changed(WEIGH, (WHERE, "where")), "`where`, as it comes"),
    wrong("1.2", "only what", changed(WEIGH, (f" * {WHERE}", "")), "is `where` used"),
    wrong("1.2", "only where", changed(WEIGH, (f"{WHAT} * ", "")), "is `what` used"),
    wrong(
        "1.2",
        "sum of the maps",
        changed(WEIGH, (f"{WHAT} * {WHERE}", f"({WHAT} + {WHERE})")),
        "add",
    ),
    wrong("1.2", "the map", changed(WEIGH, ("x * ", "")), "Did you multiply x"),
    wrong("1.2", "transposed", changed(WEIGH, ("what[", "what.T[")), "transposed"),
    wrong("1.2", "where turned", changed(WEIGH, (WHERE, f"{WHERE}.mT")), "Rows and columns"),
    wrong("1.2", "where behind", changed(WEIGH, (WHERE, "where[..., None]")), "too far"),
    wrong("1.2", "where at the rows", changed(WEIGH, (WHERE, "where[:, :, None]")), "rows of `wh"),
    wrong("1.2", "the first picture", changed(WEIGH, (WHERE, "where[:1, None]")), "first one"),
    wrong(
        "1.2",
        "one picture",
        changed(WEIGH, ("where[:, None]", "where[:, None])[:1]"), ("return x", "return (x")),
        "has shape",
    ),
    wrong("1.2", "a typing error", changed(WEIGH, ("what[", "waht[")), "in weigh", "Stopped"),
    wrong("1.2", "open", "def weigh(x, what, where): ...", "returns nothing yet", "NotSolved"),
]

# 1.3 Right for one picture.

SPOTLIGHT = """
def spotlight(x):
    loudness = x.mean(dim=1, keepdim=True)
    where = loudness / loudness.amax(dim=(2, 3), keepdim=True)
    return x * where
"""
LARGEST = "loudness.amax(dim=(2, 3), keepdim=True)"

REPAIR = [
    right(
        "1.3",
        "axes added later",
        """
        def spotlight(x):
            loudness = x.mean(dim=1)
            where = loudness / loudness.amax(dim=(1, 2))[:, None, None]
            return x * where[:, None]
        """,
    ),
    right(
        "1.3",
        "a copy, then in place",
        """
        def spotlight(x):
            x = x.clone()
            loudness = x.sum(1, keepdim=True)
            loudness /= loudness.flatten(1).max(dim=1).values.view(-1, 1, 1, 1)
            x *= loudness
            return x
        """,
    ),
    right(
        "1.3",
        "a pool, in float32",
        """
        def spotlight(x):
            x = x.float()
            loudness = torch.einsum("bchw->bhw", x).unsqueeze(1)
            return x * loudness / torch.nn.AdaptiveMaxPool2d(1)(loudness)
        """,
    ),
    right(
        "1.3",
        "picture by picture",
        """
        def spotlight(x):
            def one(picture):
                loudness = picture.mean(dim=0)
                return picture * loudness / loudness.max()
            return torch.stack([one(picture) for picture in x])
        """,
    ),
    wrong(
        "1.3",
        "only no longer in place",
        changed(SPOTLIGHT, (LARGEST, "loudness.max()"), ("x * where", "x * where[:, 0]")),
        "Two things are wrong",
    ),
    wrong("1.3", "one largest", changed(SPOTLIGHT, (LARGEST, "loudness.max()")), "loudest picture"),
    wrong(
        "1.3",
        "where on the channels",
        changed(SPOTLIGHT, ("x * where", "x * where[:, 0]")),
        "on which axes does it land",
    ),
    wrong(
        "1.3",
        "still in place",
        changed(SPOTLIGHT, ("return x * where", "x *= where\n    return x")),
        "writes into x",
    ),
    wrong(
        "1.3",
        "in place and one largest",
        changed(
            SPOTLIGHT, ("return x * where", "x *= where\n    return x"), (LARGEST, "loudness.max()")
        ),
        "loudest picture",
    ),
    wrong("1.3", "the map", changed(SPOTLIGHT, ("x * where", "where")), "the map alone"),
    wrong(
        "1.3",
        "over the batch",
        changed(SPOTLIGHT, ("mean(dim=1", "mean(dim=0"), (LARGEST, "loudness.max()")),
        "over the batch",
    ),
    wrong("1.3", "the maximum", changed(SPOTLIGHT, ("mean", "amax")), "not the maximum"),
    wrong("1.3", "columns", changed(SPOTLIGHT, ("dim=(2, 3)", "dim=2")), "Each column"),
    wrong("1.3", "sum 1", changed(SPOTLIGHT, (".amax(", ".sum(")), "add up to 1"),
    wrong(
        "1.3",
        "a map a channel",
        "def spotlight(x):\n    return x * x / x.amax((2, 3), True)",
        "map of its own",
    ),
    wrong("1.3", "open", "def spotlight(x): ...", "returns nothing yet", "NotSolved"),
    wrong("1.3", "no function", "spotlight = 1", "should be a function"),
    wrong("1.3", "an error", changed(SPOTLIGHT, ("dim=1,", "dim=7,")), "line", "Stopped"),
]

# 1.4 The cheapest weights.

CHEAPEST = """
def cheapest(full):
    C, H, W = full.shape
    what, where = full.amax((1, 2), True), full.amax(0, True)
    ways = []
    if torch.allclose(full, what.expand(C, H, W)):
        ways.append((C, 0, "channels"))
    if torch.allclose(full, where.expand(C, H, W)):
        ways.append((H * W, 1, "places"))
    if torch.allclose(full * full.max(), what * where):
        ways.append((C + H * W, 2, "both"))
    ways.append((C * H * W, 3, "full"))
    numbers, _, way = min(ways)
    return way, numbers
"""

CHOOSE = [
    right("1.4", "allclose and sorted", CHEAPEST),
    right(
        "1.4",
        "a matrix and its rank",
        """
        def cheapest(full):
            C, H, W = full.shape
            table = full.reshape(C, -1)
            ways = {"full": C * H * W}
            if torch.linalg.svdvals(table)[1:].sum() < 1e-9:
                ways["both"] = C + H * W
            if table.std(dim=0, correction=0).max() < 1e-9:
                ways["places"] = H * W
            if table.std(dim=1, correction=0).max() < 1e-9:
                ways["channels"] = C
            best = min(ways.values())
            return [way for way, n in ways.items() if n == best][-1].upper(), float(best)
        """,
    ),
    right(
        "1.4",
        "sums for maxima, a list, a tensor",
        """
        def cheapest(full):
            C, H, W = full.shape
            what, where = full.sum((1, 2))[:, None, None], full.sum(0)
            same = lambda a, b: bool((a - b).abs().max() < 1e-6)
            numbers, way = C * H * W, "full"
            if same(full * full.sum(), what * where) and C + H * W <= numbers:
                numbers, way = C + H * W, "both"
            if same(full[:1], full) and H * W <= numbers:
                numbers, way = H * W, "places"
            if same(full[:, :1, :1], full) and C <= numbers:
                numbers, way = C, "channels"
            return [way, torch.tensor(numbers)]
        """,
    ),
    wrong(
        "1.4", "always full", "def cheapest(full):\n    return 'full', full.numel()", "with fewer"
    ),
    wrong(
        "1.4",
        "always both",
        "def cheapest(full):\n    C, H, W = full.shape\n    return 'both', C + H * W",
        "you choose 'both'",
    ),
    wrong("1.4", "only by kind", changed(CHEAPEST, ("min(ways)", "ways[0]")), "with fewer"),
    wrong("1.4", "ties", changed(CHEAPEST, (", 0, ", ", 4, ")), "is above"),
    wrong("1.4", "no products", changed(CHEAPEST, ('"both"', '"full"')), "you choose 'full'"),
    wrong(
        "1.4",
        "a division by the first channel",
        changed(
            CHEAPEST,
            (
                "(full * full.max(), what * where)",
                "(full / full[:1], (full / full[:1])[:, :1, :1].expand(C, H, W))",
            ),
        ),
        "with fewer",
    ),
    wrong(
        "1.4",
        "the peak alone",
        changed(CHEAPEST, ("(full * full.max(), what * where)", "(full.max(), what.max())")),
        "cannot make it",
    ),
    wrong("1.4", "one row", changed(CHEAPEST, ("(H * W, 1", "(W, 1")), "numbers"),
    wrong("1.4", "the product", changed(CHEAPEST, ("(C + H * W", "(C * H * W")), "'both'"),
    wrong("1.4", "another name", changed(CHEAPEST, ('"places"', '"where"')), "is none of"),
    wrong("1.4", "only the way", "def cheapest(full):\n    return 'full'", "a way and a number"),
    wrong("1.4", "open", "def cheapest(full): ...", "returns nothing yet", "NotSolved"),
]

ANSWERS = [*READ, *BATCH, *REPAIR, *CHOOSE]
