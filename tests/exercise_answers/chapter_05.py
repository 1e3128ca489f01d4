"""Answers to the exercises of chapter 5."""

ANSWERS = r"""
## 5.1

hidden units | reduction_a = 6 | the number of hidden units
one layer | reduction_a = 8 | two layers
one map | kernel_size_b = 25 | How long is a side
the adaptive size | along_the_channels_c = 3 | the adaptive size
hidden units of D | reduction_d = 8 | the number of hidden units

# searched
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

## 5.2

a partial, in float32 | def __init__(self, channels | def __init__(self, activation, channels
  | padding = | self.activation = activation\n        padding = | torch.relu | self.activation
  | return x * torch.sigmoid(scores) | return (x * torch.sigmoid(scores)).float()
  | from functools import partial; Block = partial(Block, torch.relu) | passed
map of F | scores = self.mlp | F = x\n        scores = self.mlp
  | [x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)]
  | [F.mean(dim=1, keepdim=True), F.amax(dim=1, keepdim=True)] | from F
a residual | scores = self.mlp | F = x\n        scores = self.mlp | return x * torch.sigmoid(scores)
  | return F + x * torch.sigmoid(scores) | residual
half of it | return x * torch.sigmoid(scores) | return x | Where is the second product
the map | return x * torch.sigmoid(scores) | return torch.sigmoid(scores) | Did you multiply
twice | scores = self.mlp | F = x\n        scores = self.mlp | return x * torch.sigmoid(scores)
  | return F * x * torch.sigmoid(scores) | the square
maximum lost | self.mlp(x.amax(dim=(2, 3))) | self.mlp(x.mean(dim=(2, 3)))
  | maximum does not arrive in the channel
added first | ) + self.mlp(x.amax(dim=(2, 3))) | + x.amax(dim=(2, 3))) | before the MLP
a bias | padding=padding, bias=False | padding=padding | nothing has a bias
16 for good | // reduction\n | // 16\n | 6 hidden units
default 49 | kernel_size=7 | kernel_size=49 | `kernel_size` 7
default 8 | reduction=16 | reduction=8 | `reduction` is 16
no hidden unit | hidden < 1 | False | leave no hidden unit
even | kernel_size % 2 == 0 | False | has no middle

# convolutions, the maximum first
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

# a lambda, the course's halves one after the other
from cbam_course.attention import ChannelAttention, SpatialAttention

Block = lambda c, r=16, k=7: nn.Sequential(ChannelAttention(c, r), SpatialAttention(k))

# the spatial half first | spatial half comes first
from cbam_course.attention import CBAM

class Block(CBAM):
    def __init__(self, channels, reduction=16, kernel_size=7):
        super().__init__(channels, reduction, kernel_size, order="spatial-channel")

## 5.3

gates returned | return x * gates | return gates | x = self.weigh | x = x * self.weigh | passed
in place, the maximum first | return x * gates[:, :, None, None]
  | return x.mul_(gates[..., None, None]) | [average, maximum] | [maximum, average] | passed
maximum left | self.mlp(maximum) | self.mlp(average) | maximum does not arrive
product left
  | x = self.weigh_channels(x)  # F': [B, C, H, W]\n        return x * self.spatial_map(x)
  | F = self.weigh_channels(x)\n        return x * F * self.spatial_map(F) | the square of the input
map left | x = self.weigh_channels(x)  # F': [B, C, H, W]\n        return x * self.spatial_map(x)
  | return self.weigh_channels(x) * self.spatial_map(x) | from F
maximum and product left | self.mlp(maximum) | self.mlp(average)
  | x = self.weigh_channels(x)  # F': [B, C, H, W]\n        return x * self.spatial_map(x)
  | F = self.weigh_channels(x)\n        return x * F * self.spatial_map(F) | 2 bugs are left
rounded up | channels // reduction | -(-channels // reduction) | 30, 4, 3 your block has 498
all left | self.mlp(maximum) | self.mlp(average)
  | x = self.weigh_channels(x)  # F': [B, C, H, W]\n        return x * self.spatial_map(x)
  | return x * self.weigh_channels(x) * self.spatial_map(x) | as it came

# written anew
SOLUTION 5.2
Repaired = Block

## 5.4

one image | 4, 8 | 1, 8 | 20, 20 | 25, 30 | passed
no test for residuals | return "residual" | return "right" | largest factor
no test of signs | return "twice" | return "right" | sign of a negative
no test of maxima | return "no maximum" | return "right" | only maxima change
no test of the order | return "unrefined" | return "right" | another order
tolerances too narrow | torch.allclose(spatial_pattern(x), spatial_pattern(x.flip(1)))
  | torch.equal(spatial_pattern(x), spatial_pattern(x.flip(1))) | another order
tolerances too wide | x.flip(1))) | x.flip(1)), atol=100) | its tolerance
near the spike | slice(8, None) | slice(2) | no maximum
another word | return "right" | return "fine" | the words are ['right'

# by gradients, capitals
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
"""
