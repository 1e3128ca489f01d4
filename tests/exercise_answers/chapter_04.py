"""Answers to the exercises of chapter 4."""

ANSWERS = r"""
## 4.1

lists | kernel[0, 1, 1, 2] = -4
  | kernel = [[3 * [3 * [-1 / 9]], [3 * [0], [0, 4, -4], 3 * [0]]]] | passed
slices exchanged | kernel[0, 1, 1, 2] = -4 | kernel[0, 1, 1, 2] = -4; kernel = kernel.flip(1)
  | average map first
left | kernel[0, 1, 1, 2] | kernel[0, 1, 1, 0] | reads the right neighbor
below | kernel[0, 1, 1, 2] | kernel[0, 1, 2, 1] | Rows and columns
the sum | -1 / 9 | -1 | not divided by their number
added | -1 / 9 | 1 / 9 | yours is added
not four times | = 4 | = 1 | = -4 | = -1 | counts four times
half | -1 / 9 | -1 / 18 | The score map of your kernel has the right shape
no axis | kernel[0, 1, 1, 2] = -4 | kernel = torch.zeros(2, 3, 3) | has shape [2, 3, 3]

## 4.2

the maximum first, in place | [average, maximum] | [maximum, average] | x * torch.sigmoid(scores)
  | x.mul_(scores.sigmoid_()) | passed
kernel 49 | =7 | =49 | conv.weight [1, 2, 49, 49]; expected
always 7 | 2, 1, kernel_size, padding=kernel_size | 2, 1, 7, padding=7 | A kernel of 3x3
a bias | , bias=False | | without a bias
even accepted | % 2 == 0 | % 2 == 2 | there is no error
the map | x * torch.sigmoid(scores) | torch.sigmoid(scores) | Did you multiply
no sigmoid | torch.sigmoid(scores) | scores | where is the sigmoid
sigmoid twice | (scores) | (scores.sigmoid()) | applied twice
the average twice | [average, maximum] | [average, average] | maximum does not arrive
a border of copies | bias=False | bias=False, padding_mode="replicate" | other values

# windows and a matrix
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

# a function that makes a lazy layer, channels last, float32
class Gate(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        channels_last = x.permute(0, 2, 3, 1)
        pooled = torch.stack([channels_last.mean(-1), channels_last.amax(-1)], dim=1)
        return (x * self.layers(pooled)).float().to(memory_format=torch.channels_last)

def Block(kernel_size=7):
    if kernel_size % 2 != 1:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}")
    conv = nn.LazyConv2d(1, kernel_size, padding=kernel_size // 2, bias=False)
    return Gate(conv, nn.Sigmoid())

## 4.3

transposed, the maximum first, in place | torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
  | torch.stack([x.amax(dim=1), x.mean(dim=1)]).transpose(0, 1) | return x * torch.sigmoid(scores)
  | return x.mul_(scores.sigmoid()) | passed
sigmoid twice | torch.sigmoid(scores) | torch.sigmoid(scores).sigmoid() | applied twice
sigmoid twice, ReLU | torch.sigmoid(scores) | torch.sigmoid(scores).sigmoid() | (scores)
  | (scores.relu()) | 2 bugs are left. No weight
a ReLU | (scores) | (scores.relu()) | negative scores
forced | torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)
  | torch.stack([x.mean(1), x.amax(1)]).reshape(len(x), 2, *x.shape[2:])
  | averages and maxima of other images

# written anew
SOLUTION 4.2
Repaired = Block

## 4.4

float32 | weight.flip(1) * scale | (weight.flip(1) * scale).float() | passed
order kept | weight.flip(1) | weight | not in the order
kernel as it is | * scale, b | , b | kernel is not scaled
no mean | beta - mean * scale | beta | mean does not arrive
no root | (var + eps).sqrt() | (var + eps) | where is its root
no eps | var + eps | var | eps does not arrive
eps outside | (var + eps).sqrt() | (var.sqrt() + eps) | under the root
mean as it is | mean * scale | mean | multiplies the mean too
the root of the root | .sqrt() | .sqrt().sqrt() | other values: at
only the kernel | , beta - mean * scale | | a pair
a bias each | - mean * scale | - weight | expected one

# one number for the bias, a parameter
def convert(weight, gamma, beta, mean, var, eps):
    a = gamma.item() / (var.item() + eps) ** 0.5
    weight = torch.cat([weight[:, 1:], weight[:, :1]], dim=1)
    return nn.Parameter(a * weight), torch.tensor(beta.item() - a * mean.item())
"""
