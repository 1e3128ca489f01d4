"""Right attention blocks in the spellings that are met in public code, for the checker to pass.

``RIGHT`` names for each how it is made, its kind, and the codes of the deviations to be named.
"""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.others import AuthorsECA, MoskomuleSE, OfficialCBAM


class Linears(nn.Module):
    """Linear layers, functional pools, view and expand_as."""

    def __init__(self, in_planes, ratio=16):
        super().__init__()
        self.fc1 = nn.Linear(in_planes, in_planes // ratio, bias=False)
        self.fc2 = nn.Linear(in_planes // ratio, in_planes, bias=False)
        self.c = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        b, c, _, _ = x.size()
        a = self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1).view(b, c))))
        m = self.fc2(F.relu(self.fc1(F.adaptive_max_pool2d(x, 1).view(b, c))))
        x = x * torch.sigmoid(a + m).view(b, c, 1, 1).expand_as(x)
        s = torch.cat([torch.mean(x, 1, keepdim=True), torch.max(x, 1, keepdim=True)[0]], dim=1)
        return torch.sigmoid(self.c(s)) * x


class Einsum(nn.Module):
    """Parameters by hand, stored the other way round, and einsum."""

    def __init__(self, dim, r=8):
        super().__init__()
        self.down = nn.Parameter(torch.randn(dim, dim // r))
        self.up = nn.Parameter(torch.randn(dim // r, dim))
        self.k = nn.Parameter(torch.randn(1, 2, 3, 3))

    def forward(self, x):
        pools = torch.stack([x.mean(dim=(-2, -1)), x.amax(dim=(-2, -1))])
        hidden = torch.einsum("pbc,ch->pbh", pools, self.down).clamp(min=0)
        x = torch.einsum("bchw,bc->bchw", x, torch.einsum("pbh,hc->bc", hidden, self.up).sigmoid())
        planes = torch.stack([x.mean(1), x.max(1).values], 1)
        return x * F.conv2d(planes, self.k, padding=1).sigmoid()


class OneByOneOverTheBatch(nn.Module):
    """Both pools one after the other in the batch."""

    def __init__(self, c):
        super().__init__()
        self.fc = nn.ModuleList([nn.Conv1d(c, c // 16, 1), nn.Conv1d(c // 16, c, 1)])
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x):
        flat = x.reshape(x.shape[0], x.shape[1], -1)
        z = torch.cat([flat.mean(-1, keepdim=True), flat.max(-1, keepdim=True).values])
        a, m = self.fc[1](self.fc[0](z).relu()).chunk(2)
        x = x * (a + m).sigmoid().unsqueeze(-1)
        return x * self.conv(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid()


class NHWC(nn.Module):
    """Channels last inside."""

    def __init__(self, c):
        super().__init__()
        self.w1, self.w2 = nn.Linear(c, c // 16, False), nn.Linear(c // 16, c, False)
        self.conv = nn.Conv2d(2, 1, 7, 1, 3, bias=False)

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        pools = [x.mean((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)]
        x = x * sum(self.w2(self.w1(p).relu()) for p in pools).sigmoid()
        planes = torch.cat([x.mean(-1, keepdim=True), x.amax(-1, keepdim=True)], -1)
        return (x * self.conv(planes.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).sigmoid()).permute(
            0, 3, 1, 2
        )


class Lazy(nn.Module):
    """The number of channels is found on the first call."""

    def __init__(self, hidden=4):
        super().__init__()
        self.fc1, self.fc2 = nn.LazyConv2d(hidden, 1, bias=False), None
        self.conv = nn.LazyConv2d(1, 7, padding=3, bias=False)
        self.hidden = hidden

    def forward(self, x):
        if self.fc2 is None:
            self.fc2 = nn.Conv2d(self.hidden, x.shape[1], 1, bias=False).to(x)
        pools = x.mean((2, 3), True), x.amax((2, 3), True)
        x = x * sum(self.fc2(self.fc1(p).relu()) for p in pools).sigmoid()
        return x * self.conv(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid()


class Options(nn.Module):
    """A CBAM with what is allowed to differ."""

    def __init__(
        self, c, order="cs", act=nn.ReLU, gate=torch.sigmoid, pools=("avg", "max"), returns="x",
        planes=("avg", "max"), one_layer=False, hidden=None
    ):  # fmt: skip
        super().__init__()
        hidden = hidden or c // 16
        self.mlp = nn.Sequential(
            nn.Conv2d(c, hidden, 1, bias=False), act(), nn.Conv2d(hidden, c, 1, bias=False)
        )
        if one_layer:
            self.mlp = nn.Conv2d(c, c, 1)
        if order != "c":
            self.conv = nn.Conv2d(len(planes), 1, 7, padding=3, bias=False)
        self.order, self.gate, self.pools, self.planes = order, gate, pools, planes
        self.returns = returns

    def channel(self, x):
        pools = {"avg": x.mean((2, 3), True), "max": x.amax((2, 3), True)}
        return self.gate(sum(self.mlp(pools[name]) for name in self.pools))

    def spatial(self, x):
        planes = {"avg": x.mean(1, True), "max": x.amax(1, True)}
        return self.gate(self.conv(torch.cat([planes[name] for name in self.planes], 1)))

    def forward(self, x):
        if self.order == "parallel":
            return x * self.channel(x) * self.spatial(x)
        maps = []
        for half in self.order:
            maps.append((self.channel if half == "c" else self.spatial)(x))
            x = x * maps[-1]
        answers = {"x": x, "both": (x, *maps), "map": maps[0], "flat": maps[0].flatten(1)}
        return answers[self.returns]


def options(**given):
    return lambda c: Options(c, **given)


class Spatial(nn.Module):
    """The spatial half by itself, which takes any number of channels."""

    def __init__(self, kernel_size=7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x):
        avg_out = torch.mean(x, dim=1, keepdim=True)
        max_out, _ = torch.max(x, dim=1, keepdim=True)
        return torch.sigmoid(self.conv(torch.cat([avg_out, max_out], dim=1)))


class ConvMode(nn.Module):
    """CBAM with the convolution along the channels."""

    def __init__(self, c, k=5):
        super().__init__()
        self.one = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)
        self.two = Spatial()

    def forward(self, x):
        x = (
            x
            * sum(
                self.one(p.squeeze(-1).mT).mT.unsqueeze(-1)
                for p in (x.mean((2, 3), True), x.amax((2, 3), True))
            ).sigmoid()
        )
        return x * self.two(x)


class AtLeast(Options):
    """No fewer than 8 hidden units, and an open gate at first."""

    def __init__(self, c, reduction=16):
        super().__init__(c, hidden=max(c // reduction, 8))
        nn.init.zeros_(self.mlp[2].weight)


class TwoKernels(nn.Module):
    """A learned share of two convolutions, which are one convolution together."""

    def __init__(self, sizes=(3, 7)):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(2, 1, k, padding=k // 2, bias=False) for k in sizes])
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        planes = torch.cat([x.mean(1, True), x.amax(1, True)], 1)
        small, large = (conv(planes) for conv in self.convs)
        return x * (self.share * large + (1 - self.share) * small).sigmoid()


class KeepsMaps(Options):
    """The last maps are kept, to be drawn."""

    def forward(self, x):
        x, *self.maps = super().forward(x)
        self.last = self.maps[0]
        return x


class Start(nn.Module):
    """Starts as the identity, by a learned number."""

    def __init__(self, c):
        super().__init__()
        self.block, self.alpha = Linears(c), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.alpha * (self.block(x) - x)


NOTHING = frozenset()
RIGHT = {
    "linear layers": (Linears, "CBAM", NOTHING),
    "einsum": (Einsum, "CBAM", NOTHING),
    "pools in the batch, biases": (OneByOneOverTheBatch, "CBAM", {"bias"}),
    "CBAM's authors'": (OfficialCBAM, "CBAM", {"bias", "batch-norm", "max-first"}),
    "channels last inside": (NHWC, "CBAM", NOTHING),
    "lazy layers": (Lazy(), "CBAM", NOTHING),
    "plain": (options(), "CBAM", NOTHING),
    "kept in a tuple": (options(returns="both"), "CBAM", NOTHING),
    "spatial first": (options(order="sc"), "CBAM", {"order"}),
    "parallel": (options(order="parallel"), "CBAM", {"order"}),
    "maximum first": (options(planes=("max", "avg")), "CBAM", {"max-first"}),
    "GELU": (options(act=nn.GELU), "CBAM", {"activation"}),
    "SiLU": (options(act=nn.SiLU, hidden=16), "CBAM", {"activation"}),
    "hard sigmoid": (options(gate=F.hardsigmoid), "CBAM", {"hard-sigmoid"}),
    "Keras's hard sigmoid": (
        options(gate=lambda x: (0.2 * x + 0.5).clamp(0, 1)), "CBAM", {"hard-sigmoid"},
    ),
    "average alone in the channel half": (options(pools=("avg",)), "CBAM", {"one-pool"}),
    "maximum alone in the spatial half": (options(planes=("max",)), "CBAM", {"one-pool"}),
    "one layer, as in Ultralytics": (
        options(one_layer=True, pools=("avg",)), "CBAM", {"single-layer", "one-pool", "bias"},
    ),
    "one hidden unit": (options(hidden=1), "CBAM", NOTHING),
    "no reduction": (options(hidden=64), "CBAM", NOTHING),
    "channel map": (options(order="c", returns="map"), "channel attention", {"returns-map"}),
    "channel map without axes": (
        options(order="c", returns="flat"), "channel attention", {"returns-map"},
    ),
    "channel half": (options(order="c"), "channel attention", NOTHING),
    "spatial map": (Spatial, "spatial attention", {"returns-map"}),
    "mode conv": (ConvMode, "CBAM", NOTHING),
    "ECA": (AuthorsECA, "ECA", NOTHING),
    "SE": (MoskomuleSE, "squeeze-and-excitation", NOTHING),
    "at least 8 hidden units": (AtLeast, "CBAM", NOTHING),
    "two kernels": (TwoKernels, "spatial attention", NOTHING),
    "starts as the identity": (Start, "CBAM", {"identity-start"}),
}  # fmt: skip


def elsewhere():
    """Blocks of timm and torchvision, and the codes that name how each differs from the papers."""
    from timm.layers import CecaModule, EcaModule, EffectiveSEModule, SEModule
    from timm.layers.cbam import CbamModule, LightCbamModule
    from torchvision.ops import SqueezeExcitation

    gates = {"hard": nn.Hardsigmoid, "silu": nn.SiLU}
    width = {"squeeze_channels": 8}
    names = frozenset({"bias", "batch-norm"})
    return {
        "timm's CBAM": (CbamModule, {}, "CBAM", names),
        "timm's CBAM, narrower": (CbamModule, {"rd_ratio": 1 / 8}, "CBAM", names),
        "timm's light CBAM": (LightCbamModule, {}, "CBAM", names | {"light"}),
        "timm's SE": (SEModule, {}, "squeeze-and-excitation", {"bias"}),
        "timm's SE with another gate": (
            SEModule, {"gate_layer": "hard_sigmoid"}, "squeeze-and-excitation",
            {"bias", "hard-sigmoid"},
        ),
        "timm's effective SE": (
            EffectiveSEModule, {}, "channel attention",
            {"bias", "hard-sigmoid", "one-pool", "single-layer"},
        ),
        "timm's ECA": (EcaModule, {}, "ECA", {"unused-argument"}),
        "timm's circular ECA": (CecaModule, {}, "ECA", {"circular", "unused-argument"}),
        "torchvision's SE": (SqueezeExcitation, width, "squeeze-and-excitation", {"bias"}),
        "torchvision's SE in MobileNetV3": (
            SqueezeExcitation, width | {"scale_activation": gates["hard"]},
            "squeeze-and-excitation", {"bias", "hard-sigmoid"},
        ),
        "torchvision's SE in EfficientNet": (
            SqueezeExcitation, width | {"activation": gates["silu"]},
            "squeeze-and-excitation", {"bias", "activation"},
        ),
    }  # fmt: skip
