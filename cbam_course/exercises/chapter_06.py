"""The exercises of chapter 6, attention in real networks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from cbam_course.attention import CBAM, ECA, make_attention, starting_as_identity
from cbam_course.models import ResNet

from .errors import Stopped, Wrong
from .framework import exercise
from .matching import as_module
from .trial import Trial


@exercise("6.1", "Only the new part learns")
def only_the_new_part_learns(trial: Trial, prepare) -> None:
    network = trial.fill(nn.Sequential(BasicBlock(6, 6), nn.Sequential(BasicBlock(6, 6))))
    truth, trained, made = deepcopy(network), network.state_dict(keep_vars=True), []
    kept, blocks = truth.state_dict(), [truth[0], truth[1][0]]
    network.train()

    def make(channels: int) -> nn.Module:
        made.append(trial.fill(CBAM(channels, reduction=2)))
        return made[-1]

    optimizer = trial.call(prepare, network, make)
    returned = f"`prepare` should return torch.optim.SGD; it returns {type(optimizer).__name__}."
    trial.expect(isinstance(optimizer, torch.optim.SGD), returned)
    inside = [module for module in network.modules() if module in made]
    found = f"The network has two basic blocks, and {len(inside)} new blocks in it."
    trial.expect(len(inside) == 2, found)
    new = [parameter for block in made for parameter in block.parameters()]
    frozen = "The new blocks are frozen too. Which parameters were there when you froze them?"
    trial.expect(all(parameter.requires_grad for parameter in new), frozen)
    before = [parameter.detach().clone() for parameter in new]
    optimizer.zero_grad()
    loss = trial.call(network, trial.features(3, 6, 5, 4)).square().mean()
    trial.expect(loss.requires_grad, "No gradient arrives in a new block: is it called?")
    loss.backward()
    optimizer.step()
    for name, value in trained.items():
        hint = "In which mode is the network?" if ".running" in name else "Who trains it?"
        trial.expect(torch.equal(value, kept[name]), f"After one step `{name}` is another. {hint}")
    for parameter, old in zip(new, before, strict=True):
        stays = "A step leaves a new block as it was: does the optimizer know its parameters?"
        after = old - 0.1 * parameter.grad
        trial.compare(parameter, after, "After one step a new parameter", [(old, stays)])
    for block, attention in zip(blocks, inside, strict=True):
        block.bn2 = nn.Sequential(block.bn2, attention)
    x = trial.features(1, 6, 4, 3)
    elsewhere = "Is the new block behind `bn2`, and `bn2` still there? The output"
    got = trial.compare(trial.call(network, x), truth(x), elsewhere)
    trial.show("The network after one step", got)


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
        block = as_module(trial.call(Block, c_in, channels, stride, attention))
        if stride == 1 and c_in == channels:
            trial.call(block, x)  # open, or stopped: before any word on names
        try:
            block.load_state_dict(truth.state_dict())
        except RuntimeError as error:
            case = f"Block({c_in}, {channels}, {stride}, ...)"
            raise Wrong(f"`{case}` does not take torchvision's weights. {error}") from None
        with torch.no_grad():
            right, *mistakes = where_attention_may_be(truth, x)
        got = trial.compare(trial.call(block, x), right[0], "Your block's output", mistakes)
        trial.show(f"{c_in} to {channels} channels, stride {stride}", got)


def block_of_the_course(
    trial: Trial, c_in: int, channels: int, stride: int, attention: Callable
) -> BasicBlock:
    """torchvision's block with ``attention``, and random parameters and statistics."""
    shortcut = None
    if stride != 1 or c_in != channels:
        convolution = nn.Conv2d(c_in, channels, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))
    truth = BasicBlock(c_in, channels, stride, shortcut)
    truth.attention = attention(channels)
    trial.fill(truth)
    for norm in truth.modules():
        if isinstance(norm, nn.BatchNorm2d):  # so large that every position makes a difference
            norm.weight.data.mul_(2).add_(1)
    return truth


def where_attention_may_be(truth: BasicBlock, x: Tensor) -> list[tuple[Tensor, str]]:
    """The block's output, then those with the attention elsewhere and what to say of them."""
    gate, relu = truth.attention, torch.relu
    s = x if truth.downsample is None else truth.downsample(x)
    raw = truth.conv2(relu(truth.bn1(truth.conv1(x))))
    f = truth.bn2(raw)
    after = "The attention comes after the addition: a shut gate would cut the network in two."
    return [
        (relu(gate(f) + s), ""),
        (gate(relu(f + s)), after),
        (relu(gate(f + s)), after),
        (relu(f + gate(s)), "The attention is on the shortcut, where a shut gate cuts it."),
        (relu(f + s), "The attention is made, and never called."),
        (
            relu(truth.bn2(gate(raw)) + s),
            "The attention comes before the last batch normalization, which divides gates away.",
        ),
        (gate(f) + s, "The last ReLU is missing."),
    ]


@exercise("6.3", "Each channel wakes up by itself")
def each_channel_wakes_up(trial: Trial, Gently) -> None:
    for block, shapes in (
        (ECA(10), ((3, 10, 10, 10), (2, 10, 4, 6))),
        (CBAM(24, reduction=4), ((4, 24, 5, 3), (1, 24, 1, 1))),
    ):
        block = trial.fill(block)
        channels = shapes[0][1]
        held = deepcopy(block)  # the other one stays the truth
        gently = as_module(trial.call(Gently, held, channels))
        x = trial.features(*shapes[0])
        open_gates = [
            (block(x), "At first your module is the block: its gates are open, not at 0.")
        ]
        got = trial.compare(trial.call(gently, x), x, "At first your output", open_gates)
        trial.expect(
            torch.equal(got, x), "At first your output is nearly `x`, not to the last bit."
        )
        gates = gates_of(gently, held, channels)
        gates_learn(trial, gently, [gates, *held.parameters()], block, trial.features(*shapes[0]))
        for size in shapes:
            x = trial.features(*size)
            values = 0.5 + trial.randn(channels)
            gates.data = values.reshape(gates.shape).clone()
            change = values[:, None, None] * (block(x) - x)
            got = trial.call(gently, x)
            got = trial.compare(got, x + change, "With random gates your output")
            trial.show(f"{list(size)}, random gates", got)


def gates_of(gently: nn.Module, held: nn.Module, channels: int) -> nn.Parameter:
    """The one parameter that is not the block's, if it has one number for each channel."""
    known = {id(parameter) for parameter in held.parameters()}
    others = [parameter for parameter in gently.parameters() if id(parameter) not in known]
    if len(others) + len(known) != len([*gently.parameters()]):
        raise Wrong("The block's own parameters are not among your module's: hold it as it came.")
    if [parameter.numel() for parameter in others] != [channels]:
        found = ", ".join(str(list(parameter.shape)) for parameter in others) or "none"
        raise Wrong(
            f"Besides the block's, the shapes of your module's parameters are: {found}. Expected "
            f"{channels} gates in one `nn.Parameter`, one for each channel."
        )
    return others[0]


def gates_learn(
    trial: Trial, gently: nn.Module, parameters: list, block: nn.Module, x: Tensor
) -> None:
    """Look at the gradients that arrive at the shut gates, the first parameter, and behind them."""
    weights = trial.randn(*x.shape)
    out = (weights * trial.call(gently, x)).sum()
    found = [None]
    if out.requires_grad:
        found = torch.autograd.grad(out, parameters, allow_unused=True)
    arrives = "No gradient arrives at the gates, or in the block: what it does not reach stays."
    trial.expect(all(gradient is not None for gradient in found), arrives)
    with_x, change = ((weights * at).sum(dim=(0, 2, 3)) for at in (block(x), block(x) - x))
    added = "With all gates open your module is not the block alone: is `x` still added?"
    got = found[0].reshape(-1)
    mistakes = [(with_x, added)]
    for axis in (2, 3):
        if x.shape[axis] == len(change):
            others = [k for k in range(4) if k != axis]
            along = (weights * (block(x) - x)).sum(dim=others)
            mistakes.append(
                (along, f"Your gates meet axis {axis} of `x`; the channels are axis 1.")
            )
    got = trial.compare(got, change, "The gradient of your gates", mistakes)
    trial.show(f"Gradients of {len(got)} gates", got)


State = Mapping[str, Tensor]


@exercise("6.4", "It never fails")
def it_never_fails(trial: Trial, load) -> None:
    do_not_fit = misfits(trial)
    weights = random_state(trial, small())
    body = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    # As they are saved from `nn.DataParallel`.
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    gated = random_state(trial, small(SE))
    for label, network, given, loaded in (
        ("Plain weights", small(CBAM, 5), weights, body),
        ("The same number of classes", small(CBAM), weights, weights),
        ("Weights without a classifier", small(), body, body),
        ("Names with `module.`", small(starting_as_identity(SE), 5), wrapped, body),
        ("Weights with attention", small(SE), gated, gated),
    ):
        fits(trial, load, label, network, given, loaded)
    for label, network, given in do_not_fit:
        refuses(trial, load, label, network, given)


SE = make_attention("se", reduction=4)


def small(
    attention: Callable | None = None,
    classes: int = 10,
    depths: Sequence[int] = (1, 1),
    widths: Sequence[int] = (16, 24),
    in_channels: int = 3,
) -> ResNet:
    """A small residual network."""
    options = {"widths": widths, "stem": "cifar", "in_channels": in_channels}
    return ResNet("basic", depths, attention, classes, **options).eval()


def random_state(trial: Trial, network: nn.Module) -> State:
    """Random weights for ``network``, and running statistics."""
    return trial.fill(network).float().state_dict()


def misfits(trial: Trial) -> list[tuple[str, ResNet, State]]:
    """Networks and weights that do not fit."""
    plain, gated = random_state(trial, small()), random_state(trial, small(SE))
    # One name, the first in any order, and none beside it that may start fresh; and one too many.
    lacking = {name: value for name, value in plain.items() if name != "bn1.bias"}
    deeper = random_state(trial, small(depths=(2, 1)))
    return [
        ("weights of a deeper network", small(CBAM), deeper),
        ("weights of a shallower network", small(CBAM, depths=(1, 2)), plain),
        ("weights of a wider network", small(), random_state(trial, small(widths=(16, 28)))),
        ("weights without `bn1.bias`", small(), lacking),
        ("weights with a tensor too many", small(), {**plain, "bn1.shift": torch.zeros(16)}),
        ("weights with attention blocks and a network without", small(), gated),
        (
            "weights whose attention has other shapes",
            small(make_attention("se", reduction=8)),
            gated,
        ),
        (
            "weights with a layer that is not there",
            small(),
            {**plain, "layer1.0.fc.bias": torch.zeros(4)},
        ),
        ("weights for three input channels and a network for six", small(in_channels=6), plain),
    ]


def fits(
    trial: Trial, load: Callable, label: str, network: ResNet, weights: State, loaded: State
) -> None:
    """Check that ``loaded`` is in the network and nothing else, and what the function returns."""
    before = deepcopy(network.state_dict())
    try:
        found = trial.call(load, network, dict(weights))
    except Stopped as error:
        raise Stopped(f"{label}: they fit, and your function refuses them.\n{error}") from None
    for name in changed(network, {**before, **loaded}):
        message = "fits, and was not loaded" if name in loaded else "should start fresh"
        raise Wrong(f"{label}: `{name}` {message}.")
    names = [*found] if isinstance(found, Iterable) and not isinstance(found, str) else [None]
    trial.expect(
        all(isinstance(name, str) for name in names),
        f"`load` should return a list of names; it returns {found!r:.200}.",
    )
    found, fresh = set(names), before.keys() - loaded.keys()
    for name in sorted(fresh ^ found):
        raise Wrong(
            f"{label}: `{name}` starts fresh, and you do not return it."
            if name in fresh
            else f"{label}: `{name}` does not start fresh, and you return it."
        )
    total = float(sum(value.double().sum() for value in loaded.values()))
    trial.show(f"{label}: fresh tensors, sum of the loaded", [len(found), total])


def refuses(trial: Trial, load: Callable, label: str, network: ResNet, weights: State) -> None:
    """Check that the function raises a ValueError and leaves the network alone."""
    before = deepcopy(network.state_dict())
    _, error = trial.attempt(load, network, dict(weights))
    said = f"For {label} it should raise a ValueError; its error is {error!r}."
    trial.expect(isinstance(error, ValueError), said)
    for name in changed(network, before):
        raise Wrong(
            f"It refuses {label}, but has loaded some of them: `{name}` has changed. Decide first, "
            "then load."
        )


def changed(network: nn.Module, before: State) -> list[str]:
    """The names of the tensors that are not what they were."""
    now = network.state_dict()
    return [name for name in before if not torch.equal(now[name], before[name])]
