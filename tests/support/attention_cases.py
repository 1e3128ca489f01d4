"""The blocks under test with their options, and what the NumPy reference expects of each."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from cbam_course.attention import CBAM, ECA, ChannelAttention, SpatialAttention, SqueezeExcitation
from tests.support import equations as reference

ORDERS = ("channel-spatial", "spatial-channel", "parallel", "channel", "spatial")


@dataclass(frozen=True)
class Case:
    """A kind of block and its options; ``str`` gives the name of the test."""

    kind: str
    options: dict = field(default_factory=dict)

    def __str__(self):
        return "-".join([self.kind, *(f"{key}={value}" for key, value in self.options.items())])

    def make(self, channels, dtype=torch.float64, seed=0):
        """The block with random parameters and statistics, in eval mode."""
        options = dict(self.options)
        if self.kind == "spatial":
            if "conv" in options.get("pools", ()):
                options["channels"] = channels
            block = SpatialAttention(**options)
        else:
            kinds = {"se": SqueezeExcitation, "fc": ChannelAttention, "eca": ECA, "cbam": CBAM}
            block = kinds[self.kind](channels, **options)
        generator = torch.Generator().manual_seed(seed)
        for name, value in block.state_dict().items():
            if value.is_floating_point():
                random = torch.randn(value.shape, generator=generator)
                value.copy_(random.abs() + 0.5 if name.endswith("running_var") else random / 2)
        return block.to(dtype).eval()

    def expected(self, block, x):
        """The refined features and the maps, all float64 arrays, from the reference."""
        weights = {
            name: value.detach().double().numpy() for name, value in block.state_dict().items()
        }
        if self.kind != "cbam":
            if self.kind == "spatial":
                half = spatial_half(self.options, weights)
            else:
                half = channel_half(self.kind, self.options, weights)
            return half(x) * x, half(x)
        halves = {"channel": {}, "spatial": {}}
        for name, value in weights.items():
            half, name = name.split("_attention.")
            halves[half][name] = value
        options = self.options
        mode = {"fc": "fc", "conv": "eca"}[options.get("mode", "fc")]
        pools = {"pools": ("avg", "max")}
        refined, *maps = reference.arrange(
            x,
            channel_half(mode, {**pools, **options.get("channel_options", {})}, halves["channel"]),
            spatial_half({**pools, **options.get("spatial_options", {})}, halves["spatial"]),
            options.get("order", "channel-spatial"),
        )
        return refined, tuple(maps)


def channel_half(kind, options, weights):
    """A function from features to the channel attention map that the reference expects."""
    default = ("avg", "max") if kind == "fc" else ("avg",)
    pools = as_tuple(options.get("pools", default))
    if kind == "eca":
        return lambda x: reference.channel_map_conv(x, pools, weights["conv.weight"][0, 0])
    b1, b2 = weights.get("mlp.0.bias", 0.0), weights.get("mlp.2.bias", 0.0)

    def channel_map(x):
        w1 = weights["mlp.0.weight"].reshape(-1, x.shape[1])
        w2 = weights["mlp.2.weight"].reshape(x.shape[1], -1)
        return reference.channel_map_fc(x, pools, w1, w2, b1, b2)

    return channel_map


def spatial_half(options, weights):
    """A function from features to the spatial attention map that the reference expects."""
    pools = as_tuple(options.get("pools", ("avg", "max")))

    def spatial_map(x):
        squeeze = weights["squeeze.weight"][0, :, 0, 0] if "conv" in pools else None
        bias = weights["conv.bias"][0] if options.get("bias") else 0.0
        scores = reference.spatial_scores(x, pools, weights["conv.weight"][0], squeeze, bias)
        if options.get("batch_norm"):
            names = ("weight", "bias", "running_mean", "running_var")
            scores = reference.batch_norm(scores, *(weights[f"bn.{name}"][0] for name in names))
        return reference.spatial_map(scores)

    return spatial_map


def as_tuple(pools):
    return (pools,) if isinstance(pools, str) else tuple(pools)


def features(*shape, seed=0, dtype=torch.float64):
    """A feature map whose values all differ by much more than rounding: no ties at the maxima."""
    count = int(np.prod(shape))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return ((order.double() + 0.5) / count * 4 - 2).reshape(shape).to(dtype)


SE = [
    Case("se", {"reduction": 2, "bias": b, "layer": y})
    for b in (True, False)
    for y in ("conv", "linear")
]
FC = [
    *(Case("fc", {"reduction": 2, "pools": p}) for p in ("avg", "max", ("max", "avg"))),
    *(
        Case("fc", {"reduction": 2, "bias": bias, "layer": layer})
        for bias in (False, True)
        for layer in ("conv", "linear")
    ),
]
ECAS = [
    *(Case("eca", {"pools": pools}) for pools in ("avg", "max", ("avg", "max"))),
    *(Case("eca", {"kernel_size": k, "pools": ("avg", "max")}) for k in (1, 5, 9)),
]
SPATIAL = [
    *(
        Case("spatial", {"kernel_size": 3, "pools": pools})
        for pools in (
            *("avg", "max", "conv"),
            *(("max", "avg"), ("avg", "conv"), ("max", "conv", "avg")),
        )
    ),
    *(Case("spatial", {"kernel_size": k}) for k in (1, 5, 7)),
    Case("spatial"),
    Case("spatial", {"bias": True}),
    Case("spatial", {"batch_norm": True}),
    Case("spatial", {"batch_norm": True, "bias": True, "pools": ("max", "avg")}),
]


def cbam(order, mode="fc", **options):
    """A CBAM case without the arguments that its order and mode have no use for."""
    options = {"order": order, **options}
    if order == "spatial":
        options.pop("channel_options", None)
    else:
        options["mode"] = mode
        if mode == "fc":
            options["reduction"] = 2
    if order == "channel":
        options.pop("spatial_options", None)
        options.pop("kernel_size", None)
    return Case("cbam", options)


CBAMS = [
    *(cbam(order) for order in ORDERS),
    *(cbam(order, "conv", kernel_size=3) for order in ORDERS[:4]),
    cbam(
        "channel-spatial",
        channel_options={"bias": True, "layer": "linear"},
        spatial_options={"batch_norm": True, "pools": ("max", "avg")},
    ),
    cbam("parallel", "conv", channel_options={"kernel_size": 5, "pools": "max"}, kernel_size=5),
    cbam("spatial-channel", spatial_options={"pools": ("max", "conv"), "bias": True}),
]
ALL = [*SE, *FC, *ECAS, *SPATIAL, *CBAMS]

# One of each kind, for the tests where each case takes time.
FEW = {
    "se": Case("se", {"reduction": 2}),
    "channel-fc": Case("fc", {"reduction": 2}),
    "channel-linear": Case("fc", {"reduction": 2, "layer": "linear", "bias": True}),
    "eca": Case("eca", {"pools": ("avg", "max")}),
    "spatial": Case("spatial", {"kernel_size": 3, "pools": ("avg", "max", "conv")}),
    "spatial-bn": Case("spatial", {"kernel_size": 3, "batch_norm": True}),
    "cbam-fc": cbam("channel-spatial", kernel_size=3),
    "cbam-conv": cbam("spatial-channel", "conv", kernel_size=3),
    "parallel": cbam("parallel", kernel_size=3),
}
few = pytest.mark.parametrize("case", FEW.values(), ids=FEW)
