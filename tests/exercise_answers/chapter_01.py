"""Answers to the exercises of chapter 1."""

from . import right, wrong
from .editing import solution, wrongs

FROM_IMAGES = [
    right(
        "1.1",
        "tuples and a float",
        solution(
            "1.1", "feature_map = 4, 16, 28, 44", "channel_map = (4, 16, 1, 1)", "saved *= 1.0"
        ),
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
    right("1.1", "a tensor", solution("1.1", "spatial_map = torch.tensor([4, 1, 28, 44])")),
    *wrongs(
        "1.1",
        ("no edges", "Without padding", "feature_map = [4, 16, 32, 48]"),
        ("a channel a color", "adds up the colors", "feature_map = [4, 48, 28, 44]"),
        ("no batch", "another number of axes", "feature_map = [16, 28, 44]"),
        ("no axes of size 1", "the axes of size 1", "channel_map = [4, 16]"),
        ("no channel axis", "the axes of size 1", "spatial_map = [4, 28, 44]"),
        ("four images", "for four images", "saved = 73856"),
        ("the small maps", "How many do they save", "saved = 1248"),
        ("another number", "is not 18465. Count again", "saved = 18465"),
        ("text", "should be a number", "saved = '18464'"),
    ),
    wrong("1.1", "open", solution("1.1", "saved = ..."), "`saved` is still open", "NotSolved"),
    wrong(
        "1.1",
        "half open",
        solution("1.1", "channel_map = [4, ..., 1, 1]"),
        "`channel_map` is still open",
        "NotSolved",
    ),
]

WEIGH = [
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
        "a lambda, einsum",
        'weigh = lambda f, a, b: torch.einsum("bchw,bc,bhw->bchw", f, a, b)',
    ),
    right(
        "1.2",
        "vmap, in float32",
        """
        def one(image, what, where):
            return image.float() * what.float().view(-1, 1, 1) * where.float()

        weigh = torch.vmap(one)
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
    *wrongs(
        "1.2",
        ("as they come", "And `where` lands", ("[:, :, None, None]", ""), ("[:, None]", "")),
        ("what as it comes", "`what` lands on the last two", ("[:, :, None, None]", "")),
        ("where as it comes", "`where` lands on the last three", ("[:, None]", "")),
        ("only what", "is `where` used", ("* where", "")),
        ("only where", "is `what` used", ("* what", "")),
        ("a sum", "are added", ("what * where", "(what + where)")),
        ("the maps alone", "other values: at", ("x * what", "what")),
        ("rows and columns", "other values", ("where[:, None]", "where[:, None].mT")),
        (
            "one image",
            "has shape [1, 4, 4, 4], expected",
            ("* where", "* where)[:1]"),
            ("x *", "(x *"),
        ),
    ),
    *wrongs("1.2", ("a typing error", "in weigh", ("what[", "waht[")), outcome="Stopped"),
    wrong("1.2", "open", "def weigh(x, what, where): ...", "returns nothing yet", "NotSolved"),
]

LARGEST = "loudness.amax(dim=(2, 3), keepdim=True)"
IN_PLACE = ("return x * where", "x *= where\n    return x")

SPOTLIGHT = [
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
    *wrongs(
        "1.3",
        ("one largest", "brightest image", (LARGEST, "loudness.max()")),
        ("where on the channels", "on which axes does it land", ("x * where", "x * where[:, 0]")),
        ("still in place", "writes into x", IN_PLACE),
        ("in place, one largest", "brightest image", IN_PLACE, (LARGEST, "loudness.max()")),
        ("the map", "Did you multiply", ("x * where", "where")),
        ("the maximum", "other values", ("mean", "amax")),
        ("no function", "yours is 1 (int)", "spotlight = 1"),
    ),
    *wrongs(
        "1.3",
        (
            "only no longer in place",
            "still that of the code as it came",
            (LARGEST, "loudness.max()"),
            ("x * where", "x * where[:, 0]"),
        ),
        outcome="NotSolved",
    ),
    *wrongs("1.3", ("an axis too many", "line 3", ("dim=1,", "dim=7,")), outcome="Stopped"),
]

BOTH = "(C + H * W, full * full.max() - what * where)"

CHEAPEST = [
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
    right(
        "1.4",
        "in float32",
        solution("1.4", ("    C, H, W", "    full = full.float()\n    C, H, W")),
    ),
    *wrongs(
        "1.4",
        ("by kind", "with fewer", ("min(fitting, key=lambda pair: pair[0])", "fitting[0]")),
        (
            "ties",
            "A way above it",
            ("in made.items()", "in [*made.items()][::-1]"),
        ),
        ("no products", "with fewer", (BOTH, "(C * H * W, full)")),
        ("all are products", "cannot make it", (BOTH, "(C + H * W, 0 * full)")),
        ("a row", "numbers, not", ('"places": (H * W', '"places": (W')),
        ("another name", "is none of", ('"places"', '"where"')),
        ("only the way", "a way and a number", ("return way, numbers", "return way")),
    ),
    wrong("1.4", "open", "def cheapest(full): ...", "returns nothing yet", "NotSolved"),
]

ANSWERS = [*FROM_IMAGES, *WEIGH, *SPOTLIGHT, *CHEAPEST]
