"""The exercises of chapter 6, attention in real networks."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from cbam_course.attention import CBAM, ECA, SqueezeExcitation, make_attention, starting_as_identity
from cbam_course.models import ResNet
from cbam_course.models.resnet import BasicBlock

from .errors import NotSolved, Wrong
from .framework import exercise
from .predictions import number, shape
from .trial import Trial, close, difference

BLOCKS, GATES, CONV1, FC = 2_516_512, 16, 18_816, 20_490
FRESH = BLOCKS + GATES + CONV1 + FC
CONV1_LEFT, FC_LEFT = 9_408, 2_049_000


@exercise("6.1", "Before you press Enter")
def before_you_press_enter(trial: Trial, fresh_parameters, left_over, shape_v15, shape_v1) -> None:
    gates = "`fresh_parameters`: each block that starts as the identity has a gate, one number."
    conv1 = "`fresh_parameters`: the first convolution of the weights has 3 input channels, not 6."
    six = "`fresh_parameters`: the network's pictures have 6 channels."
    fc = "`fresh_parameters`: the classifier of the weights has 1000 classes, not 10."
    fresh_parameters = number(
        fresh_parameters,
        FRESH,
        "fresh_parameters",
        {
            FRESH - GATES: gates,
            FRESH - CONV1: conv1,
            FRESH - FC: fc,
            FRESH - CONV1 - GATES: conv1,
            FRESH - FC - GATES: fc,
            BLOCKS: "`fresh_parameters`: those are the sixteen CBAMs. What else starts fresh?",
            BLOCKS + GATES: "`fresh_parameters`: what starts fresh besides the attention?",
            FRESH - CONV1 + CONV1_LEFT: six,
            FRESH - CONV1 + CONV1_LEFT - GATES: six,
            FRESH - 10: "`fresh_parameters`: `fc` has a bias.",
            FRESH + 64: "`fresh_parameters`: `conv1` has no bias.",
            FRESH - FC + FC_LEFT: "`fresh_parameters`: the network's `fc` has 10 classes.",
        },
    )
    left_over = number(
        left_over,
        CONV1_LEFT + FC_LEFT,
        "left_over",
        {
            FC_LEFT: "`left_over`: `fc` is one of two layers that do not fit.",
            CONV1_LEFT: "`left_over`: `conv1` is one of two layers that do not fit.",
            CONV1_LEFT + FC_LEFT - 1000: "`left_over`: `fc` has a bias.",
            CONV1 + FC_LEFT: "`left_over`: the weights have 3 input channels.",
            CONV1 + FC: "`left_over`: count the layers as they are in the weights.",
            0: "`left_over`: not all layers of the weights fit.",
        },
    )
    channels = "`{}`: inside, a bottleneck block of 1024 channels has a quarter of them."
    early, late = (2, 256, 20, 28), (2, 256, 10, 14)
    shape_v15 = shape(
        shape_v15,
        early,
        "shape_v15",
        {
            late: "`shape_v15`: in v1.5 the stride is not on the first 1x1 convolution.",
            (2, 1024, 20, 28): channels.format("shape_v15"),
            (2, 1024, 10, 14): channels.format("shape_v15"),
            (
                2,
                512,
                20,
                28,
            ): "`shape_v15`: 512 channels come in. How many does `conv1` make of them?",
            (2, 256, 40, 56): "`shape_v15`: the first block of `layer2` has halved the map, too.",
        },
    )
    shape_v1 = shape(
        shape_v1,
        late,
        "shape_v1",
        {
            early: "`shape_v1`: in v1 the stride is on the first 1x1 convolution.",
            (2, 1024, 20, 28): channels.format("shape_v1"),
            (2, 1024, 10, 14): channels.format("shape_v1"),
            (
                2,
                512,
                10,
                14,
            ): "`shape_v1`: 512 channels come in. How many does `conv1` make of them?",
        },
    )
    block = trial.fill(SqueezeExcitation(shape_v1[1]))
    maps = [block.attention_map(trial.features(*found)) for found in (shape_v15, shape_v1)]
    trial.show("Gates for maps of your two shapes", torch.cat(maps))
    trial.stamp("Stamp of your counts", fresh_parameters, left_over)


@exercise("6.2", "A basic block with attention")
def basic_block_with_attention(trial: Trial, Block) -> None:
    se, eca = make_attention("se", reduction=2), make_attention("eca")
    cbam = make_attention("cbam-fc", reduction=2)
    for c_in, channels, stride, attention, size in (
        (8, 8, 1, se, (6, 5)),
        (8, 12, 2, cbam, (8, 6)),
        (12, 12, 2, cbam, (7, 9)),
        (6, 9, 1, eca, (4, 3)),
        (10, 10, 1, cbam, (1, 1)),
    ):
        x = trial.features(3, c_in, *size)
        truth = block_of_the_course(trial, c_in, channels, stride, attention)
        block = trial.call(Block, c_in, channels, stride, attention)
        if not isinstance(block, nn.Module):
            raise Wrong("`Block` should be a module: keep the class it inherits from.")
        if stride == 1 and c_in == channels:
            trial.call(block.double().eval(), x)  # open, or stopped: before any word on names
        take_state(block, truth, f"`Block({c_in}, {channels}, {stride}, ...)`")
        expected = truth(x)
        got = trial.compare(
            trial.call(block.double().eval(), x),
            expected,
            "Your block's output",
            mistakes_of_the_place(truth, x),
        )
        trial.show(f"{c_in} to {channels} channels, stride {stride}", got)


def block_of_the_course(trial: Trial, c_in: int, channels: int, stride: int, attention: Callable):
    """The course's block with random parameters and statistics."""
    shortcut = None
    if stride != 1 or c_in != channels:
        convolution = nn.Conv2d(c_in, channels, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))
    truth = BasicBlock(c_in, channels, stride, shortcut)
    truth.attention = attention(channels)
    trial.fill(truth)
    for name, buffer in truth.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(trial.randn(*buffer.shape))
        elif name.endswith("running_var"):
            buffer.copy_(0.3 + trial.rand(*buffer.shape))
    for norm in truth.modules():
        if isinstance(norm, nn.BatchNorm2d):  # loud, so that every place makes a difference
            norm.weight.data.mul_(2).add_(1)
    return truth.requires_grad_(False)


def take_state(block: nn.Module, truth: nn.Module, name: str) -> None:
    """Copy the state of ``truth`` into ``block``, if their keys and shapes agree."""
    mine = {key: list(value.shape) for key, value in block.state_dict().items()}
    right = {key: list(value.shape) for key, value in truth.state_dict().items()}
    if missing := [key for key in right if key not in mine]:
        raise Wrong(f"{name}: its state dict lacks {_some(missing)}.")
    if extra := [key for key in mine if key not in right]:
        needless = "downsample" in extra[0] and truth.downsample is None
        about = " The input has the right shape already." if needless else ""
        raise Wrong(f"{name}: its state dict has {_some(extra)}, which should not be.{about}")
    for key, expected in right.items():
        if mine[key] != expected:
            raise Wrong(f"{name}: `{key}` has the shape {mine[key]}, expected {expected}.")
    block.load_state_dict(truth.state_dict())


def mistakes_of_the_place(truth: BasicBlock, x: Tensor) -> list[tuple[Tensor, str]]:
    """Outputs with the attention in a wrong place, and what to say of it."""
    gate, relu = truth.attention, torch.relu
    s = x if truth.downsample is None else truth.downsample(x)
    inside = relu(truth.bn1(truth.conv1(x)))
    loud = truth.conv2(inside)
    f = truth.bn2(loud)
    after = "The attention comes after the addition: a shut gate would cut the network in two."
    known = [
        (gate(relu(f + s)), after),
        (relu(gate(f + s)), after),
        (relu(f + gate(s)), "The attention is on the shortcut, where a shut gate cuts it."),
        (relu(truth.bn2(gate(loud)) + s), "The attention comes before `bn2`, not after it."),
        (
            relu(truth.bn2(truth.conv2(gate(inside))) + s),
            "The attention comes in the middle of the branch, not at its end.",
        ),
        (relu(f + s), "The attention is made, and never called."),
        (gate(f) + s, "The last ReLU is missing."),
        (relu(gate(f)) + s, "The last ReLU comes before the addition, not after it."),
        (gate(relu(f)) + s, "The last ReLU comes before the addition, not after it."),
        (relu(gate(relu(f)) + s), "There is a ReLU between `bn2` and the attention."),
        (relu(gate(f)), "The shortcut does not arrive."),
        (relu(f + gate(f) + s), "The branch is added twice, with attention and without."),
        (relu(gate(gate(f)) + s), "The attention is called twice."),
        (
            relu(gate(truth.bn2(truth.conv2(truth.bn1(truth.conv1(x))))) + s),
            "There is no ReLU between the two convolutions.",
        ),
    ]
    if x.shape == f.shape:
        known.append((relu(gate(f) + relu(x)), "The shortcut goes through a ReLU on its way."))
    return known


ALONG_THE_WIDTH = "The gates lie along the width. They belong to the channels."


@exercise("6.3", "Each channel wakes up by itself")
def each_channel_wakes_up(trial: Trial, Gently) -> None:
    for block, shapes in (
        # None of their parameters has the shape of the gates.
        (ECA(10), ((3, 10, 10, 10), (2, 10, 4, 6))),
        (CBAM(24, reduction=4), ((4, 24, 5, 3), (1, 24, 1, 1))),
    ):
        block = trial.fill(block)
        channels = shapes[0][1]
        # The learner's block is a copy: the other one stays the truth.
        gently = trial.call(Gently, deepcopy(block), channels)
        if not isinstance(gently, nn.Module):
            raise Wrong("`Gently` should be a module: keep the class it inherits from.")
        gently = gently.double().eval()
        identity_at_first(trial, gently, block, trial.features(*shapes[0]))
        gates = gates_of(gently, block, channels)
        gates_learn(trial, gently, gates, block, trial.features(*shapes[0]))
        for size in shapes:
            x = trial.features(*size)
            values = 0.5 + trial.randn(channels)
            got = with_gates(trial, gently, gates, values, block, x)
            trial.show(f"{list(size)}, random gates", got)
            with_gates(trial, gently, gates, torch.ones(channels).double(), block, x)


def identity_at_first(trial: Trial, gently: nn.Module, block: nn.Module, x: Tensor) -> None:
    """Raise :class:`Wrong` unless the fresh module is the identity, bit by bit."""
    got = trial.tensor(trial.call(gently, x), "Your module's output")
    if torch.equal(got, x):
        return
    if got.shape != x.shape:
        raise Wrong(f"Your module's output {difference(got, x)}")
    right = block(x)
    for wrong, message in (
        (right, "At first your module is the block: all gates are open. They should start at 0."),
        (torch.zeros_like(x), "At first nothing passes at all: your output is zero, not `x`."),
        (x + right, "At first your module is `x` plus the block. The gates should start at 0."),
        ((x + right) / 2, "At first your module is half open. Gates of 0 should shut it."),
        (2 * x, "At first your module is twice `x`."),
    ):
        if close(got, wrong):
            raise Wrong(message)
    if close(got, x):
        raise Wrong("At first your module is nearly the identity. It should be, to the last bit.")
    raise Wrong(f"At first your module should be the identity. Its output {difference(got, x)}")


def gates_of(gently: nn.Module, block: nn.Module, channels: int) -> nn.Parameter:
    """The one parameter that is not the block's, if it has one number for each channel."""
    shapes = [list(parameter.shape) for parameter in block.parameters()]
    others = []
    for parameter in gently.parameters():
        if list(parameter.shape) in shapes:
            shapes.remove(list(parameter.shape))
        else:
            others.append(parameter)
    if shapes:
        raise Wrong("The block's own parameters are not among your module's: hold it as it came.")
    if not others:
        raise Wrong("Your module has no parameters but the block's: who will train the gates?")
    if len(others) > 1 or others[0].numel() != channels:
        found = ", ".join(str(list(parameter.shape)) for parameter in others)
        hint = " Yours has one gate for the whole block." if others[0].numel() == 1 else ""
        raise Wrong(
            f"Besides the block's, your module has parameters of the shapes {found}. Expected "
            f"{channels} gates in one parameter, one for each channel.{hint}"
        )
    return others[0]


def gates_learn(
    trial: Trial, gently: nn.Module, gates: nn.Parameter, block: nn.Module, x: Tensor
) -> None:
    """Look at the gradients of the shut gates, and of the block behind open ones."""
    weights = trial.randn(*x.shape)
    trial.expect(gates.requires_grad, "The gates do not require a gradient: nobody trains them.")
    gradient = gradients(trial, gently, x, weights, [gates])[0]
    trial.expect(
        gradient is not None and gradient.any(),
        "No gradient arrives at the gates in the first step: they would stay shut forever.",
    )
    change = (weights * (block(x) - x)).detach()
    plus = (weights * block(x)).sum(dim=(0, 2, 3)).detach()
    known = [
        (plus, "With all gates open your module is not the block alone: is `x` still added?"),
        (change.sum(dim=(0, 1, 2)), ALONG_THE_WIDTH),
        (-change.sum(dim=(0, 2, 3)), "The gates have the wrong sign."),
    ]
    got = trial.compare(
        gradient.reshape(-1), change.sum(dim=(0, 2, 3)), "The gradient of your gates", known
    )
    trial.show(f"Gradients of {len(got)} gates", got)
    before = gates.data.clone()
    gates.data = torch.ones_like(before)
    others = [parameter for parameter in gently.parameters() if parameter is not gates]
    found = gradients(trial, gently, x, weights, others)
    trial.expect(
        all(gradient is not None for gradient in found),
        "Behind open gates no gradient arrives in the block: it would never learn.",
    )
    gates.data = before


def gradients(trial: Trial, gently: nn.Module, x: Tensor, weights: Tensor, of: list) -> list:
    """The gradients of a weighted sum of the output, ``None`` where there are none."""
    with torch.enable_grad():
        out = trial.call(gently, x)
        if not out.requires_grad:
            return [None] * len(of)
        return list(torch.autograd.grad((weights * out).sum(), of, allow_unused=True))


def with_gates(
    trial: Trial,
    gently: nn.Module,
    gates: nn.Parameter,
    values: Tensor,
    block: nn.Module,
    x: Tensor,
) -> Tensor:
    """The learner's output with these gates, if it is right."""
    gates.data = values.reshape(gates.shape).clone()
    with torch.no_grad():
        right, g = block(x), values[:, None, None]
        change = right - x
        last = values if x.shape[3] == len(values) else g  # broadcast without axes of size 1
        function = "The gates go through a function first. They multiply as they are."
        known = [
            (x + g * right, "With gates of 1 the block should be left alone. You add `x` to it."),
            (x + last * change, ALONG_THE_WIDTH),
            (x + g * x * change, "The block multiplies already: you have one `x` too many."),
            (x + torch.tanh(g) * change, function),
            (x + torch.sigmoid(g) * change, function),
            (x - g * change, "The gates have the wrong sign."),
        ]
        got = trial.call(gently, x)
    return trial.compare(got, x + g * change, "With other gates your output", known)


@exercise("6.4", "It never fails")
def it_never_fails(trial: Trial, load) -> None:
    if as_it_came(trial, load):
        raise NotSolved("The function does what it did when it came: it never fails.")
    weights = random_state(trial, small())
    body = [name for name in weights if not name.startswith("fc.")]
    prefixed = {f"module.{name}": value for name, value in weights.items()}
    for label, network, given, loaded in (
        ("Plain weights", small(CBAM, 5), weights, body),
        ("The same number of classes", small(CBAM), weights, list(weights)),
        ("Weights without a classifier", small(), {n: weights[n] for n in body}, body),
        ("Names with `module.`", small(start(SqueezeExcitation), 5), prefixed, body),
    ):
        fits(trial, load, label, network, given, loaded)
    full = random_state(trial, small(SE))
    fits(trial, load, "Weights with attention", small(SE), full, list(full))
    for label, network, given in misfits(trial):
        refuses(trial, load, label, network, given)


def start(attention: Callable) -> Callable:
    """A factory of blocks for few channels that start as the identity."""
    return starting_as_identity(lambda channels: attention(channels, reduction=4))


def SE(channels: int) -> nn.Module:
    """Squeeze-and-excitation for few channels."""
    return SqueezeExcitation(channels, reduction=4)


def small(
    attention: Callable | None = None,
    classes: int = 10,
    depths: Iterable[int] = (1, 1),
    widths: Iterable[int] = (16, 24),
    **options,
) -> ResNet:
    """A small residual network."""
    options = {"widths": tuple(widths), "stem": "cifar", **options}
    return ResNet("basic", tuple(depths), attention, classes, **options).eval()


def random_state(trial: Trial, network: nn.Module) -> dict[str, Tensor]:
    """Random weights for ``network``."""
    state = {}
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            state[name] = torch.full_like(value, trial.integer(1, 99))
        elif name.endswith("running_var"):
            state[name] = 0.5 + trial.rand(*value.shape).float()
        else:
            scale = max(1, value[0].numel()) ** -0.5 if value.dim() > 1 else 1
            state[name] = trial.randn(*value.shape).float() * scale
    return state


def misfits(trial: Trial) -> list[tuple[str, ResNet, dict[str, Tensor]]]:
    """Networks and weights that do not fit."""
    plain = random_state(trial, small())

    def without(missing: str) -> dict[str, Tensor]:
        return {name: value for name, value in plain.items() if name != missing}

    def with_another(name: str) -> dict[str, Tensor]:
        return {**plain, name: plain["layer2.0.bn1.bias"]}

    deeper = random_state(trial, small(depths=(2, 1)))
    return [
        ("weights of a deeper network", small(CBAM), deeper),
        ("weights of a shallower network", small(CBAM, depths=(1, 2)), plain),
        ("weights of a wider network", small(), random_state(trial, small(widths=(16, 28)))),
        ("weights without `layer2.0.bn1.bias`", small(CBAM), without("layer2.0.bn1.bias")),
        # One name, the first in any order, and none beside it that may start fresh.
        ("weights without `bn1.bias`", small(), without("bn1.bias")),
        (
            "weights with one tensor too many, `layer2.0.bn3.bias`",
            small(),
            with_another("layer2.0.bn3.bias"),
        ),
        (
            "weights with attention blocks and a network without",
            small(),
            random_state(trial, small(SE)),
        ),
        ("weights for three input channels and a network for six", small(in_channels=6), plain),
        (
            "weights of a deeper network with `module.`",
            small(CBAM),
            {f"module.{name}": value for name, value in deeper.items()},
        ),
        ("no weights at all", small(CBAM), {}),
    ]


def as_it_came(trial: Trial, load: Callable) -> bool:
    """Whether ``module.`` hides all weights from the function, and no misfit makes it fail."""
    network = small()
    before = _copy(network)
    state = random_state(trial, network)
    prefixed = {f"module.{name}": value for name, value in state.items()}
    cases = [(network, prefixed), *((network, given) for _, network, given in misfits(trial))]
    try:
        for each, given in cases:
            trial.call(load, each, dict(given))
    except NotSolved:
        raise
    except Exception:
        return False
    return not _changed(network, before)


def fits(
    trial: Trial,
    load: Callable,
    label: str,
    network: ResNet,
    weights: Mapping[str, Tensor],
    loaded: Iterable[str],
) -> None:
    """Check that these tensors are loaded and nothing else, and what the function returns."""
    before = _copy(network)
    own = {name.removeprefix("module."): value for name, value in weights.items()}
    try:
        found = trial.call(load, network, dict(weights))
    except ValueError as error:
        raise Wrong(f"{label}: they fit, and your function refuses them: {error}") from None
    now = network.state_dict()
    for name in before:
        if name in loaded and not torch.equal(now[name], own[name]):
            raise Wrong(f"{label}: `{name}` fits, and was not loaded.")
        if name not in loaded and not torch.equal(now[name], before[name]):
            raise Wrong(f"{label}: `{name}` has changed, and should start fresh.")
    expected = {name for name in before if name not in loaded}
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise Wrong(f"`load` should return names; it returns {found!r}.")
    found = set(found)
    if missing := sorted(expected - found, key=str):
        starts, it = ("start", "them") if missing[1:] else ("starts", "it")
        raise Wrong(f"{label}: {_some(missing)} {starts} fresh, and you do not return {it}.")
    if extra := sorted(found - expected, key=str):
        do = "do" if extra[1:] else "does"
        raise Wrong(f"{label}: you return {_some(extra)}, which {do} not start fresh.")
    trial.show(f"{label}: fresh tensors, sum of the loaded", [len(found), _sum(now, loaded)])


def refuses(
    trial: Trial, load: Callable, label: str, network: ResNet, weights: Mapping[str, Tensor]
) -> None:
    """Check that the function raises a ValueError and leaves the network alone."""
    before = _copy(network)
    try:
        trial.call(load, network, dict(weights))
    except ValueError:
        pass
    except (RuntimeError, KeyError) as error:
        kind = type(error).__name__
        raise Wrong(f"For {label} it raises {kind}; it should be a ValueError.") from None
    else:
        raise Wrong(f"It raises no ValueError for {label}.")
    if name := _changed(network, before):
        raise Wrong(
            f"It refuses {label}, but has loaded some of them: `{name}` has changed. Decide first, "
            "then load."
        )


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _changed(network: nn.Module, before: Mapping[str, Tensor]) -> str | None:
    """The first tensor that is not what it was."""
    now = network.state_dict()
    return next((name for name in before if not torch.equal(now[name], before[name])), None)


def _sum(state: Mapping[str, Tensor], names: Iterable[str]) -> float:
    return float(sum(state[name].double().sum() for name in names))


def _some(names: list) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{names[0]}`{more}"
