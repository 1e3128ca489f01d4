"""Answers to the exercises of chapter 2."""

ANSWERS = r"""
## 2.1

hidden units for the ratio | reduction = 10 | is the number of hidden units
no axes of size 1 | map_shape = [6, 160] | two axes of size 1
one map for all | map_shape = [1, 160, 1, 1] | map of its own
biases forgotten | parameters = 3200 | The biases

# measured
from cbam_course.attention import SqueezeExcitation
block = SqueezeExcitation(160, 16)
channels, reduction = block.channels, block.reduction
map_shape = block.attention_map(torch.rand(6, 160, 14, 14)).shape
parameters = torch.tensor([p.numel() for p in block.parameters()]).sum()

## 2.2

in place | x * gates[:, :, None, None] | x.mul_(gates[..., None, None]) | passed
the map | x * gates[:, :, None, None] | gates[:, :, None, None] | Did you multiply
a residual | x * gates[:, :, None, None] | x + x * gates[:, :, None, None] | residual
no sigmoid | torch.sigmoid | | where is the sigmoid
sigmoid twice | torch.sigmoid(self.fc2(hidden)) | self.fc2(hidden).sigmoid().sigmoid() | twice
over the batch | x.mean(dim=(2, 3)) | x.mean(dim=(0, 2, 3))[None] | the batch too
no ReLU | torch.relu | | No ReLU
softmax | torch.sigmoid(self.fc2(hidden)) | self.fc2(hidden).softmax(dim=1) | gates compete
the maximum | x.mean | x.amax | by the maximum
no biases | hidden)\n | hidden, bias=False)\n | both layers have biases
16 for good | // reduction\n | // 16\n | the hidden layer has 6 units
default 8 | reduction=16 | reduction=8 | `reduction` is 16 unless
rounded up | channels // reduction\n | 0 if channels < reduction else -(-channels // reduction)\n
  | arguments 30, 4 your block has 518
no error | hidden < 1 | False | there is no error

# a lambda that makes the course's own
from cbam_course.attention import SqueezeExcitation

Block = lambda *arguments: SqueezeExcitation(*arguments)

# a lazy layer, the second one first, channels last
class Block(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        if channels // reduction < 1:
            raise ValueError("too few channels")
        self.fc2 = nn.LazyLinear(channels)
        self.fc1 = nn.Linear(channels, channels // reduction)

    def forward(self, x):
        z = x.permute(0, 2, 3, 1).mean((1, 2), keepdim=True)
        gates = self.fc2(self.fc1(z).relu()).sigmoid().permute(0, 3, 1, 2)
        return (x * gates).to(memory_format=torch.channels_last)

## 2.3

the other sigmoid removed | nn.Sigmoid(), | | x * gates | x * gates.sigmoid() | passed
ratio still ignored | // reduction | // 16 | Who uses the reduction ratio
residual left | x * gates | x + x * gates | no residual
sigmoid left | x * gates | x * gates.sigmoid() | applied twice

# written anew
SOLUTION 2.2
Repaired = Block

## 2.4

no biases | + hidden + channels | | the biases
one of the biases | + hidden + channels | + channels | expected 2,530,992
below the budget | <= | < | the smallest ratio is
the last one anyway | return 0, 0 | return ratio, parameters | expected (0, 0)
all ratios | (2, 4, 8, 16, 32, 64) | range(2, 65) | expected (32

# a tensor
def smallest_ratio(stages, budget):
    n, c = torch.tensor(stages).T
    r = 2 ** torch.arange(1, 7)[:, None]
    cost = (n * (2 * c * (c // r) + c // r + c)).sum(dim=1)
    fits = cost <= budget
    if not fits.any():
        return torch.zeros(2)
    return torch.stack([r[fits][0, 0], cost[fits][0]])
"""
