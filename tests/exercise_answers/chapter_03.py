"""Answers to the exercises of chapter 3."""

ANSWERS = r"""
## 3.1

a set and floats | kernel_size = 5.0; read_by_1 = {3, 2, 1, 0}; fc_weights /= 1 | passed
an even kernel | kernel_size = 4 | no middle
the quotient | kernel_size = 4.5 | Cut the quotient
padding read | read_by_1 = [-1, 0, 1, 2, 3] | 1 too many
itself forgotten | read_by_1 = [0, 2, 3] | 1 missing
one number | read_by_1 = 1 | 3 missing
no edges | entries = 5 * 256 | two ends
one layer | fc_weights = 4096 | two layers

# measured
from cbam_course.attention import ECA, ChannelAttention
conv = ECA(256, pools=("avg", "max"))
pixel = torch.rand(1, 256, 1, 1)
table = torch.autograd.functional.jacobian(conv.attention_map, pixel).reshape(256, 256)
kernel_size = conv.kernel_size
read_by_1 = table[1].nonzero()[:, 0]
entries = (table != 0).sum()
fc_weights = sum(p.numel() for p in ChannelAttention(256).parameters())

## 3.2

in float32 | (scores) | (scores.float()) | passed
no axes | [:, :, None, None] | | keep the axes of size 1
refined | torch.sigmoid(scores) | x * torch.sigmoid(scores) | the map alone
added first | mlp(average) + mlp(maximum) | mlp(average + maximum) | before the MLP
the average twice | mlp(maximum) | mlp(average) | with the maxima
the maximum twice | mlp(average) | mlp(maximum) | with the averages
no sigmoid | torch.sigmoid(scores) | scores | where is the sigmoid
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
window cut to the map | self.largest(x)[:, :, 0, 0] | x[:, :, :7, :7].amax((2, 3))
  | first 7 x 7 positions
no adaptive size | eca_kernel_size(channels) | 3 | With kernel_size=None
a bias | bias=False | bias=True | one kernel, no bias
the map | return x * gates | return gates | Did you multiply
maximum lost | conv(maximum | conv(average | The maximum does not arrive
average lost | conv(average | conv(maximum | The average does not arrive

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
not expanded | .expand_as(x) | | has shape
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
