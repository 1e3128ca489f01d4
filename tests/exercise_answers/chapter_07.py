"""Answers to the exercises of chapter 7."""

ANSWERS = r"""
## 7.1

floats and words of mathematics
  | depthwise, pointwise = (64 * 28**2 / 4) * 9, 1605632; mlp, spatial = 2.0**12, 19208 | passed
no groups | depthwise, pointwise = 7225344, 1605632 | reads one channel
no stride | depthwise, pointwise = 451584, 1605632 | 14 x 14
weights for work | depthwise, pointwise = 576, 1605632 | How often is each one used
the MLP once | mlp, spatial = 2048, 19208 | runs twice
one map | mlp, spatial = 4096, 9604 | reads two maps
the MLP there twice | parameters = 12962 | there once

# measured
network = nn.Sequential(
    nn.Conv2d(64, 64, 3, stride=2, padding=1, groups=64, bias=False),
    nn.Conv2d(64, 128, 1, bias=False),
    CBAM(128, reduction=16),
)
found = count(network, (64, 28, 28))
depthwise, pointwise, first, second, spatial = found.layers["macs"]
mlp = first + second
parameters = found.parameters

## 7.2

roots and quotients | side = int((497664 / 864) ** 0.5); groups = 18432 // 4608 | passed
places | side = 576 | How many in a row
channels of a group | groups = 8 | groups of 8
MACs for weights | hidden = 16 | Read the parameters
one run | calls = 1 | in one run
places of the kernel | kernel_size = 25 | 25 weights a map
biases multiplied | fc_macs = 650 | are biases

## 7.3

a tensor | return total | return torch.tensor(total) | passed
hooks in a copy | total = 0 | from copy import deepcopy\n    network, total = deepcopy(network), 0
  | for hook in hooks:\n        hook.remove() | | passed
hooks stay | hook.remove() | pass | a hook is left
positions left | output.numel() | len(layer.weight) * inputs[0][0, 0].numel() | those of the output
groups left | layer.weight[0].numel() | layer.weight[0].numel() * getattr(layer, "groups", 1)
  | some of the channels
last run left | total = 0 | total, seen = 0, [] | += output | += (layer not in seen) * output
  | layer.weight[0].numel() | layer.weight[0].numel(); seen.append(layer) | counts twice
Conv1d left | nn.Conv1d, | | `Conv1d`
two operations | return total | return 2 * total | you count 101,088

# a list of all runs
def count_macs(network, x):
    runs, hooks = [], []
    for layer in network.modules():
        weight = getattr(layer, "weight", None)
        if weight is not None and weight.dim() > 1:
            hooks.append(layer.register_forward_hook(
                lambda layer, _, y: runs.append(y.numel() * layer.weight[0].numel())
            ))
    try:
        with torch.no_grad():
            network(x)
    finally:
        [hook.remove() for hook in hooks]
    return sum(runs)

## 7.4

cut | round(number, digits) | int(number * 10**digits) / 10**digits | fits
decimal alone | (10**9, 2**30) | (10**9,) | 1073741824
names alone | (version, operations, billion) | version | tuples of three
a set | return found | return set(found) | passed
half a digit | round(number, digits) == float(printed)
  | abs(number - float(printed)) <= 0.5 * 0.1**digits | passed
nearly | round(number, digits) == float(printed) | abs(number - float(printed)) < 0.1 | does not fit

# decimals and a generator
from decimal import Decimal
from itertools import product

def readings(printed, counts):
    wanted = Decimal(printed)
    for name, per, unit in product(counts, [2, 1], [2**30, 1e9]):
        if (Decimal(counts[name] * per) / Decimal(unit)).quantize(wanted) == wanted:
            yield name, per, unit
"""
