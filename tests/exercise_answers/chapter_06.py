"""Answers to the exercises of chapter 6."""

ANSWERS = r"""
## 6.1

normalizations alone in evaluation mode | network.eval()
  | [m.eval() for m in network.modules() if isinstance(m, nn.BatchNorm2d)] | passed
the optimizer first | new = [] | new = []\n    old = torch.optim.SGD(network.parameters(), lr=0.1)
  | return torch.optim.SGD(new, lr=0.1) | return old | does the optimizer know
the optimizer first, nothing frozen | new = [] | new = [*network.parameters()] | = False | = True
  | `0.conv1.weight` is another. Who trains it
frozen at the end | network.eval() | network.requires_grad_(False) | are frozen too
in training mode | network.eval() | | In which mode
no blocks | new += | block.bn2 = block.bn2[0]; new += | and 0 new blocks
behind the addition | block.bn2 = nn.Sequential(block.bn2, attention)
  | block.gate = attention | No gradient arrives
before the normalization | nn.Sequential(block.bn2, attention) | nn.Sequential(attention, block.bn2)
  | Is the new block behind `bn2`
the parameters returned | torch.optim.SGD(new, lr=0.1) | new | it returns list
another rate | lr=0.1 | lr=0.01 | After one step a new parameter has the right shape

# by names, the blocks among the trained ones
def prepare(network, make):
    for name, block in [*network.named_modules()]:
        if type(block) is BasicBlock:
            block.bn2 = nn.Sequential(block.bn2, make(block.conv2.out_channels))
    new = [p for n, p in network.named_parameters() if ".bn2.1." in n]
    network.requires_grad_(False)
    for parameter in new:
        parameter.requires_grad_()
    network.eval()
    return torch.optim.SGD([{"params": new}], lr=0.1)

## 6.2

in place | return self.relu(x + shortcut) | x += shortcut; return x.relu_() | passed
after the addition | self.attention(self.bn2(self.conv2(x))) | self.bn2(self.conv2(x))
  | x + shortcut | self.attention(x + shortcut) | after the addition
on the shortcut | self.attention(self.bn2(self.conv2(x))) | self.bn2(self.conv2(x)) | x + shortcut
  | x + self.attention(shortcut) | on the shortcut
not called | self.attention(self.bn2(self.conv2(x))) | self.bn2(self.conv2(x)) | never called
shortcut for a stride alone | != 1 or c_in | != 1 and c_in | Unexpected key(s)
before the normalization | self.attention(self.bn2(self.conv2(x)))
  | self.bn2(self.attention(self.conv2(x))) | before the last batch normalization
no ReLU at the end | return self.relu(x + shortcut) | return x + shortcut | last ReLU is missing
a bias in the shortcut | bias=False | bias=True | downsample.0.bias
no stride in the shortcut | stride=stride, | | line | Stopped
another name | self.attention | self.gate | attention.mlp

# attention behind bn2, by torchvision's forward
class Block(BasicBlock):
    def __init__(self, c_in, channels, stride, attention):
        super().__init__(c_in, channels, stride)
        if stride > 1 or c_in - channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, channels, (1, 1), (stride, stride), bias=False),
                nn.BatchNorm2d(channels),
            )
        self.attention = attention(channels)
        self.bn2.register_forward_hook(lambda norm, inputs, out: self.attention(out))

    def forward(self, x):
        return super().forward(x)

## 6.3

a mean of the two | x + self.gates * (self.block(x) - x)
  | (1 - self.gates) * x + self.gates * self.block(x) | passed
four axes | zeros(channels, 1, 1) | zeros(1, channels, 1, 1) | passed
a residual | * (self.block(x) - x) | * self.block(x) | is `x` still added
open at first | zeros | ones | gates are open
nearly shut | zeros(channels, 1, 1) | full((channels, 1, 1), 1e-8) | not to the last bit
one gate | zeros(channels, 1, 1) | zeros(()) | one for each channel
along the columns | zeros(channels, 1, 1) | zeros(channels) | meet axis 3
along the rows | zeros(channels, 1, 1) | zeros(channels, 1) | meet axis 2
no parameter | nn.Parameter(torch.zeros(channels, 1, 1)) | torch.zeros(channels, 1, 1)
  | nn.Parameter
detached | self.gates * | self.gates.detach() * | No gradient arrives at
block without gradients | (self.block(x) - x) | (self.block(x) - x).detach() | or in the block
the block forgotten | self.block = block | self.block = [block] | self.block( | self.block[0](
  | own parameters are not among
wrong sign | (self.block(x) - x) | (x - self.block(x)) | The gradient of your gates

# a depthwise convolution
class Gently(nn.Module):
    def __init__(self, block, channels):
        super().__init__()
        self.open = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        nn.init.zeros_(self.open.weight)
        self.block = block

    def forward(self, x):
        return x + self.open(self.block(x) - x)

## 6.4

a set | return fresh | return set(fresh) | passed
strict, with what is missing filled up | load_state_dict(fitting, strict=False)
  | load_state_dict({**own, **fitting}) | passed
prefix left | name.removeprefix("module.") | name | refuses them | Stopped
fresh looked at alone | wrong += [name for name in left_over if not name.startswith("fc.")]
  | | For weights of a deeper network it should raise
left-overs looked at alone | for n in fresh if | for n in () if
  | For weights of a shallower network it should raise
attention left over | if not name.startswith("fc.")
  | if not name.startswith("fc.") and "attention" not in name
  | For weights with attention blocks and a network without it should
a name too many let through | for name in left_over if | for name in left_over[1:] if
  | For weights with a tensor too many it should
the classifier anywhere | not name.startswith("fc.") | "fc." not in name
  | For weights with a layer that is not there it should
one tensor let through | if wrong: | if wrong[1:]: | For weights without `bn1.bias` it should
another shape let through | weights.keys() - fitting.keys() | weights.keys() - own.keys()
  | For weights whose attention has other shapes it should
loaded first | fresh = sorted | network.load_state_dict(fitting, strict=False)\n    fresh = sorted
  | Decide first
what was loaded | return fresh | return sorted(fitting) | does not start fresh
a number | return fresh | return len(fresh) | a list of names
one text | return fresh | return ", ".join(fresh) | a list of names
two lists | return fresh | return fresh, left_over | a list of names
PyTorch's own report | network.load_state_dict(fitting, strict=False)\n    return fresh
  | return network.load_state_dict(fitting, strict=False) | a list of names
not loaded | network.load_state_dict(fitting, strict=False) | | was not loaded
another error | ValueError( | RuntimeError( | should raise a ValueError; its error is RuntimeError

# the package's
def load(network, weights):
    weights = {n.removeprefix("module."): v for n, v in weights.items()}
    first = weights.get("conv1.weight")
    if first is not None and first.shape != network.conv1.weight.shape:
        raise ValueError("the first convolution is another one")
    own = network.state_dict()
    if any(".attention." in name and name not in own for name in weights):
        raise ValueError("there is no attention in the network")
    return models.load_weights(network, weights).fresh
"""
