"""Answers to the exercises of chapter 5."""

ANSWERS = r"""
## 5.1

sets | spatial_map = [6] | spatial_map = {6.0} | passed
one number | spatial_map = [6] | spatial_map = 6 | passed
twice as large | channel_map = [1, 2, 6] | channel_map = [1, 2, 5, 6] | 0 missing, 1 too many
the order of the channels | spatial_map = [6] | spatial_map = [3, 6] | behind the channel map
mirrored | spatial_map_of_f = [3, 4, 6] | spatial_map_of_f = [1, 3, 4, 6] | in which channel

# measured
from cbam_course.attention import CBAM

block, F = CBAM(8, reduction=1).double(), torch.rand(2, 8, 6, 6).double()
traded, moved, other = F.clone(), F.clone(), F.clone()
traded[0, 3, 0, 0], traded[0, 3, 4, 2] = F[0, 3, 4, 2], F[0, 3, 0, 0]
moved[0, 2, 1, 1], moved[0, 5, 1, 1] = F[0, 5, 1, 1], F[0, 2, 1, 1]
other[1] = 1
nn.init.constant_(block.spatial_attention.conv.weight, 0.02)
for parameter in block.channel_attention.parameters():
    nn.init.uniform_(parameter, 0.1, 0.3)
changes = [F.flip(3), traded, F.roll(1, dims=1), moved, 2 * F, other]

def maps(x):
    refined, (channel, spatial) = block(x, return_map=True)
    return channel[0], spatial[0], block.spatial_attention.attention_map(x)[0]

same = [[torch.allclose(*pair, 1e-9) for pair in zip(maps(F), maps(x))] for x in changes]
lists = [[k for k, row in enumerate(same, 1) if row[map_]] for map_ in range(3)]
channel_map, spatial_map, spatial_map_of_f = lists

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
twice | scores = self.mlp | F = x\n        scores = self.mlp | return x * torch.sigmoid(scores)
  | return F * x * torch.sigmoid(scores) | the square
maximum lost | self.mlp(x.amax(dim=(2, 3))) | self.mlp(x.mean(dim=(2, 3)))
  | maximum does not arrive in the channel
added first | ) + self.mlp(x.amax(dim=(2, 3))) | + x.amax(dim=(2, 3))) | before the MLP
a bias | padding=padding, bias=False | padding=padding | nothing has a bias
16 for good | // reduction\n | // 16\n | 6 hidden units
default 49 | kernel_size=7 | kernel_size=49 | `kernel_size` 7
the map | return x * torch.sigmoid(scores) | return torch.sigmoid(scores) | Multiply F' by it
no sigmoid of the channels | torch.sigmoid(scores)[:, | scores[:, | channel map is not between
no sigmoid of the positions | torch.sigmoid(scores)  # | scores  # | spatial map is not between
a sigmoid each | self.fc2(torch.relu(self.fc1(z))) | self.fc2(torch.relu(self.fc1(z))).sigmoid()
  | torch.sigmoid(scores)[:, | scores[:, | one for the sum
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

# the halves exchanged | positions first
from cbam_course.attention import ChannelAttention, SpatialAttention

Block = lambda c, r=16, k=7: nn.Sequential(SpatialAttention(k), ChannelAttention(c, r))

# a lambda, the course's halves one after the other
from cbam_course.attention import ChannelAttention, SpatialAttention

Block = lambda c, r=16, k=7: nn.Sequential(ChannelAttention(c, r), SpatialAttention(k))

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
tolerances too wide | x.flip(1))) | x.flip(1)), atol=100) | its tolerance
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
