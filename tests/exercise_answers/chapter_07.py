"""Answers to the exercises of chapter 7."""

from . import right, wrong
from .editing import edited, written

# 7.1 Count by hand.


def counted(
    depthwise="112896", pointwise="1605632", mlp="4096", spatial="19208", parameters="10914"
):
    return f"""
depthwise, pointwise = {depthwise}, {pointwise}
mlp, spatial = {mlp}, {spatial}
parameters = {parameters}
"""


COUNT = [
    *written(
        "7.1",
        r"""
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
""",
    ),
    right("7.1", "floats and words of mathematics", counted("(64 * 28**2 / 4) * 9", mlp="2.0**12")),
    right("7.1", "tensors", counted("torch.tensor(112896)", parameters="torch.tensor([10914])[0]")),
    wrong("7.1", "no groups", counted("7225344"), "reads one channel"),
    wrong("7.1", "no stride", counted("451584"), "14 x 14"),
    wrong("7.1", "weights for work", counted("576"), "How often is each one used"),
    wrong("7.1", "the MLP once", counted(mlp="2048"), "runs twice"),
    wrong("7.1", "the MLP everywhere", counted(mlp="802816"), "one vector"),
    wrong("7.1", "one map", counted(spatial="9604"), "reads two maps"),
    wrong("7.1", "the MLP there twice", counted(parameters="12962"), "there once"),
    wrong("7.1", "a dense filter", counted(parameters="47202"), "for one channel"),
    wrong("7.1", "work for parameters", counted(parameters="1741832"), "multiply-accumulates"),
    wrong("7.1", "another number", counted(spatial="19207"), "is not 19207"),
    wrong("7.1", "half open", counted(spatial="..."), "`spatial` is still", "NotSolved"),
]

# 7.2 Read the layers.


def read(side="24", groups="4", hidden="8", calls="2", kernel_size="5", fc_macs="640"):
    return f"""
side = {side}
groups = {groups}
hidden = {hidden}
calls = {calls}
kernel_size = {kernel_size}
fc_macs = {fc_macs}
"""


READ = [
    right("7.2", "numbers", read()),
    right("7.2", "roots and quotients", read("int((497664 / 864) ** 0.5)", "18432 // 4608")),
    right("7.2", "tensors", read("torch.tensor(24.0)", calls="torch.ones(2).sum()")),
    wrong("7.2", "places", read("576"), "How many in a row"),
    wrong("7.2", "one group", read(groups="1"), "18,432"),
    wrong("7.2", "channels of a group", read(groups="8"), "groups of 8"),
    wrong("7.2", "MACs for weights", read(hidden="16"), "Read the parameters"),
    wrong("7.2", "one run", read(calls="1"), "in one run"),
    wrong("7.2", "places of the kernel", read(kernel_size="25"), "25 weights a map"),
    wrong("7.2", "biases multiplied", read(fc_macs="650"), "are biases"),
    wrong("7.2", "half open", read(calls="None"), "`calls` is still", "NotSolved"),
]

# 7.3 A counter that was tried on one network.

COUNTER = """
import math

def count_macs(network, x):
    counts = {}

    def see(layer, inputs, output):
        if isinstance(layer, nn.Linear):
            macs = layer.in_features * layer.out_features
        else:
            places = output[0, 0].numel()
            kernel = math.prod(layer.kernel_size)
            channels = layer.in_channels // layer.groups
            macs = places * kernel * channels * layer.out_channels
        counts[layer] = counts.get(layer, 0) + macs

    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(see) for layer in layers]
    network(x)
    for hook in hooks:
        hook.remove()
    return sum(counts.values())
"""

COUNTER_OF_MACS = [
    *written(
        "7.3",
        r"""
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

# forward wrapped for a while
def count_macs(network, x):
    total, wrapped = [], []
    for layer in network.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            def forward(x, layer=layer, own=layer.forward):
                out = own(x)
                total.append(out.numel() * layer.weight[0].numel())
                return out

            layer.forward = forward
            wrapped.append(layer)
    network(x)
    for layer in wrapped:
        del layer.forward
    return sum(total)

# a hook for all modules
def count_macs(network, x):
    total = 0

    def see(layer, inputs, output):
        nonlocal total
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            total += output.numel() * layer.weight[0].numel()

    with nn.modules.module.register_module_forward_hook(see):
        network(x)
    return total
""",
    ),
    right("7.3", "piece by piece", COUNTER),
    *edited(
        "7.3",
        r"""
    a tensor | return total | return torch.tensor(total) | passed
    hooks in a copy | total = 0
      | from copy import deepcopy\n    network, total = deepcopy(network), 0
      | for hook in hooks:\n        hook.remove() |  | passed
    hooks stay | hook.remove() | pass | a hook is left
    the last hook stays | for hook in hooks: | for hook in hooks[:-1]: | a hook is left
    positions left | output.numel() | len(layer.weight) * inputs[0][0, 0].numel()
      | those of the output
    groups left | layer.weight[0].numel() | layer.weight[0].numel() * getattr(layer, "groups", 1)
      | some of the channels
    last run left | total = 0 | total, seen = 0, [] | += output | += (layer not in seen) * output
      | layer.weight[0].numel() | layer.weight[0].numel(); seen.append(layer) | counts twice
    Conv1d left | nn.Conv1d, |  | `Conv1d`
    two operations | return total | return 2 * total | you count 101,088
    what is no number | return total | return [total, x] | one number
    another name | output.numel() | outputs.numel() | NameError | Stopped
    no result | return total | total | nothing yet | NotSolved
    """,
    ),
]

# 7.4 What they counted.


WHAT = [
    *written(
        "7.4",
        r"""
# decimals and a generator
from decimal import Decimal
from itertools import product

def readings(printed, counts):
    wanted = Decimal(printed)
    for name, per, unit in product(counts, [2, 1], [2**30, 1e9]):
        if (Decimal(counts[name] * per) / Decimal(unit)).quantize(wanted) == wanted:
            yield name, per, unit
""",
    ),
    *edited(
        "7.4",
        r"""
    cut | round(number, digits) | int(number * 10**digits) / 10**digits | fits
    decimal alone | (10**9, 2**30) | (10**9,) | 2**30
    half an operation | (1, 2) | (1, 2, 0.5, 4) | none of
    names alone | (version, operations, billion) | version | tuples of three
    numbers | return found | return len(found) | tuples of three
    no result | return found |  | nothing yet | NotSolved
    a set | return found | return set(found) | passed
    half a digit | round(number, digits) == float(printed)
      | abs(number - float(printed)) <= 0.5 * 0.1**digits | passed
    digits of the float | len(printed.partition(".")[2])
      | len(str(float(printed)).split(".")[1]) | fits
    nearly | round(number, digits) == float(printed) | abs(number - float(printed)) < 0.1
      | which gives
    """,
    ),
]

ANSWERS = [*COUNT, *READ, *COUNTER_OF_MACS, *WHAT]
