"""Answers to the exercises of chapter 3."""

ANSWERS = r"""
## 3.1

lists | W2 = torch.zeros(8, 2)\nW2[0] = 1 | W2 = [[1, 1]] + 7 * [[0, 0]] | passed
another scale | W1 = torch.zeros(2, 8) | W1 = torch.zeros(2, 8, dtype=torch.float64)
  | W2[0] = 1 | W1, W2[0] = 4 * W1, 0.25 | passed
transposed | W2[0] = 1 | W2[0] = 1; W2 = W2.T | `W2` has shape [2, 8]
ragged | W2[0] = 1 | W2 = [[1, 2], [3]] | lists of numbers of one length
one unit | W2[0] = 1 | W2[0, 0] = 1 | One unit is not enough
signed | W2[0] = 1 | W2[0, 0], W2[0, 1] = 1, -1 | is negative where channel 7
all channels | W2[0] = 1 | W2[:] = 1 | Which rows of `W2`
a channel each | W2[0] = 1 | W1 = torch.eye(8)[6:]; W2[0, 0], W2[0, 1] = 1, -1 | reads one channel
other channels | W2[0] = 1 | W1, W2[0] = W1.roll(-1, dims=1), 1 | Scores, [vector, channel]

## 3.2

in float32 | (scores) | (scores.float()) | passed
added first | mlp(average) + mlp(maximum) | mlp(average + maximum) | before the MLP
the average twice | mlp(maximum) | mlp(average) | with the maxima
no ReLU | torch.relu | | No ReLU
a sigmoid each | torch.relu(z @ W1.T) @ W2.T | torch.sigmoid(torch.relu(z @ W1.T) @ W2.T)
  | torch.sigmoid(scores) | scores | one for the sum

# convolutions
from torch.nn.functional import conv2d

def channel_map(x, W1, W2):
    scores = 0
    for pool in nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1):
        hidden = conv2d(pool(x), W1[:, :, None, None]).relu_()
        scores = scores + conv2d(hidden, W2[..., None, None])
    return scores.sigmoid_()

## 3.3

padding by name | padding=padding | padding="same" | passed
in place | return x * gates[ | return x.mul_(gates)[ | gates)[:, :, None, None]
  | gates[:, :, None, None]) | passed
kernel still overridden | if kernel_size is None:\n            kernel_size = | kernel_size =
  | Who obeys the argument
window left | AdaptiveMaxPool2d(1) | MaxPool2d(7) | first 7 x 7 positions
no adaptive size | eca_kernel_size(channels) | 3 | With kernel_size=None
a bias | bias=False | bias=True | one kernel, no bias
maximum lost | conv(maximum | conv(average | The maximum does not arrive

# by hand, the kernel reversed
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

## 3.4

a new tensor | ((average + maximum) / 2).expand_as(x) | 0 * x + (average + maximum) / 2 | passed
x itself | ((average + maximum) / 2).expand_as(x) | x | x itself
positions turned | ((average + maximum) / 2).expand_as(x) | x.flip(2, 3) | FC cannot tell
flat averages | (average + maximum) / 2 | average | average plus maximum should stay
channels exchanged | ((average + maximum) / 2).expand_as(x) | x.flip(1) | Conv tells them apart
nearly x | ((average + maximum) / 2).expand_as(x) | x + 1e-4 * ((average + maximum) / 2 - x)
  | hardly

# one spot
def twin(x):
    n = x.shape[2] * x.shape[3]
    total = x.mean((2, 3)) + x.amax((2, 3))  # of v everywhere and v + 1 once: 2v + 1 + 1/n
    y = torch.zeros_like(x) + ((total - 1 - 1 / n) / 2)[:, :, None, None]
    y[:, :, 0, 0] += 1
    return y
"""
