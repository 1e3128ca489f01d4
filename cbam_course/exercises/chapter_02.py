"""The exercises of chapter 2, squeeze-and-excitation."""

from functools import cache

import torch
from torch import Tensor, nn

from cbam_course.attention import SqueezeExcitation

from .errors import NotSolved, Wrong
from .framework import exercise
from .matching import count_parameters, match
from .predictions import number, shape
from .trial import Trial, difference


@exercise("2.1", "Read a checkpoint")
def read_checkpoint(trial: Trial, channels, reduction, map_shape, parameters) -> None:
    channels = number(
        channels,
        160,
        "channels",
        {10: "`channels`: 10 is what the bottleneck leaves. How many come in, and go out?"},
    )
    reduction = number(
        reduction,
        16,
        "reduction",
        {10: "`reduction`: 10 is the number of hidden units. By what is 160 divided to get it?"},
    )
    map_shape = shape(
        map_shape,
        (6, 160, 1, 1),
        "map_shape",
        {
            (6, 160): "`map_shape`: keep two axes of size 1, or the map does not multiply `x`.",
            (6, 160, 1): "`map_shape`: the feature map has four axes, and so has its map.",
            (160,): "`map_shape`: six images come in; each has a weight for every channel.",
            (6, 160, 14, 14): "`map_shape`: one weight per channel, whatever the place.",
            (1, 160, 1, 1): "`map_shape`: each image of the batch has weights of its own.",
            (160, 1, 1): "`map_shape`: each image of the batch has weights of its own.",
            (6, 10, 1, 1): "`map_shape`: 10 is the hidden layer. The map weighs every channel.",
        },
    )
    parameters = number(
        parameters,
        3370,
        "parameters",
        {
            3200: "`parameters`: the two weights have 3200. The biases are parameters too.",
            3210: "`parameters`: there is a second bias.",
            3360: "`parameters`: there is a second bias.",
            1600: "`parameters`: 1600 is one of the two weights.",
            1770: "`parameters`: there are two weights of the same size; you have one.",
        },
    )
    block = trial.fill(SqueezeExcitation(channels, reduction))
    gates = block.attention_map(trial.features(*map_shape[:2], 14, 14))
    trial.show("Gates of a block made from your numbers", gates)
    trial.stamp("Stamp of your four answers", channels, reduction, *map_shape, parameters)


@exercise("2.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    block_like_the_course(trial, Block)
    trial.call(
        trial.call(Block, 16, 16).double(), trial.features(1, 16, 2, 3)
    )  # one unit is enough
    try:
        trial.call(Block, 8, 16)
    except ValueError:
        pass
    except Exception as error:
        raise Wrong(
            f"8 channels with reduction 16 leave no hidden unit. `Block(8, 16)` raises "
            f"{type(error).__name__}; it should raise a ValueError that says so."
        ) from None
    else:
        raise Wrong(
            "8 channels with reduction 16 leave no hidden unit, and `Block(8, 16)` is made without "
            "an error. Raise a ValueError where the block is made."
        )


@exercise("2.3", "Three bugs in one block")
def three_bugs(trial: Trial, Repaired) -> None:
    x = trial.features(1, 64, 2, 2)
    counts = [count_parameters(trial, trial.call(Repaired, 64, ratio), x) for ratio in (4, 16)]
    factor = factor_of_zero_weights(trial, trial.call(Repaired, 24, 4))
    ignored = counts[0] == counts[1]
    if ignored and abs(factor - 1 - SIGMOID_TWICE) < 1e-4:
        raise NotSolved("The block does what it did when it came: all three bugs are there.")
    trial.expect(
        not ignored,
        f"`Repaired(64, 4)` and `Repaired(64, 16)` both have {counts[0]} parameters. "
        "Who uses the reduction ratio?",
    )
    trial.expect(
        abs(factor - 0.5) < 1e-4,
        "With all parameters zero each gate should be one half, and the output half of the input. "
        f"Yours is {factor:.4g} times the input. "
        + SYMPTOMS.get(round(factor, 3), "Look at what happens after the last layer."),
    )
    block_like_the_course(trial, Repaired)


SIGMOID_TWICE = 0.62246  # of zero
SYMPTOMS = {
    1.5: "What is added to the product?",
    0.622: "How often do the scores go through a sigmoid?",
    1.622: "Two bugs are left, both after the last layer.",
    0.0: "Where is the sigmoid? There should be one.",
    1.0: "Where is the sigmoid? There should be one, and no sum.",
}


def factor_of_zero_weights(trial: Trial, block: nn.Module) -> float:
    """By how much a block whose parameters are all zero multiplies its input."""
    x = trial.features(2, 24, 5, 3)
    count_parameters(trial, block, x)
    for parameter in block.eval().parameters():
        parameter.data.zero_()
    got = trial.tensor(trial.call(block, x), "Your block's output")
    trial.expect(got.shape == x.shape, f"Your block's output {difference(got, x)}")
    return float((got * x).sum() / (x * x).sum())


def block_like_the_course(trial: Trial, Block) -> None:
    """The answer is squeeze-and-excitation with biases, for any channels and reduction."""
    for channels, reduction in ((24, 4), (16, 2)):
        block = trial.call(Block, channels, reduction)
        inputs = [trial.features(2, channels, 5, 3), trial.features(3, channels, 4, 4)]
        outputs = match(
            trial,
            block,
            SqueezeExcitation(channels, reduction),
            inputs,
            hint=(
                f"With {channels} channels and reduction {reduction} the hidden layer has "
                f"{channels // reduction} units, and both layers have biases."
            ),
            mistakes=mistakes_of_squeeze_excitation,
        )
        trial.show(f"{channels} channels, reduction {reduction}", outputs[0])
    # 240 // 16 is 15, and no other ratio gives that.
    default = count_parameters(trial, trial.call(Block, 240), trial.features(1, 240, 2, 2))
    trial.expect(
        default == cost([(1, 240)], 16),
        f"`{Block.__name__}(240)` has {default} parameters: the default reduction should be 16.",
    )
    uneven = count_parameters(trial, trial.call(Block, 30, 4), trial.features(1, 30, 2, 2))
    trial.expect(
        uneven == cost([(1, 30)], 4),
        f"`{Block.__name__}(30, 4)` has {uneven} parameters. The hidden layer has 30 // 4 units.",
    )


def mistakes_of_squeeze_excitation(truth: SqueezeExcitation, x: Tensor) -> list:
    """Outputs of blocks with one mistake each, and what to say of it."""

    def excite(z: Tensor) -> Tensor:
        return truth.mlp(z[:, :, None, None])

    average = x.mean(dim=(2, 3))
    scores = excite(average)
    gates = scores.sigmoid()
    first, _, second = truth.mlp
    unbent = second(first(average[:, :, None, None])).sigmoid()
    over_batch = excite(x.mean(dim=(0, 2, 3))[None]).sigmoid()
    return [
        (gates, "Your block returns the map. Did you multiply the feature map by it?"),
        (gates.expand_as(x), "Your block returns the map. Did you multiply the feature map by it?"),
        (
            gates.flatten(1),
            "Your block returns the gates. Did you multiply the feature map by them?",
        ),
        (x + x * gates, "Your block adds its input to the result: there is no residual inside it."),
        (x + gates, "Your block adds the gates. A gate multiplies its channel."),
        (x * scores, "Your gates are not between 0 and 1: where is the sigmoid?"),
        (x * gates.sigmoid(), "The sigmoid is applied twice: no gate can be below one half."),
        (x * unbent, "There is no ReLU between the two layers, so that they are only one."),
        (x * scores.softmax(dim=1), "A softmax lets the channels compete: use a sigmoid for each."),
        (x * over_batch, "The squeeze runs over the batch too: all images share their gates."),
        (x * excite(x.amax(dim=(2, 3))).sigmoid(), "The squeeze is the average, not the maximum."),
        (x * excite(x.sum(dim=(2, 3))).sigmoid(), "The squeeze is the average, not the sum."),
        (x * scores.relu(), "The last function is a ReLU: the gates need a sigmoid."),
        (x * scores.tanh(), "The last function is a tanh: the gates need a sigmoid."),
        (x * (1 - gates), "Your gates are upside down: 1 minus the right ones."),
    ]


@exercise("2.4", "A budget for the reduction ratio")
def ratio_within_budget(trial: Trial, smallest_ratio) -> None:
    networks = {"ResNet-50, a tenth": (RESNET50, 2_555_703)}
    for k in range(1, 4):
        stages = [(trial.integer(1, 6), 64 * trial.integer(1, 12)) for _ in range(3)]
        spare = trial.integer(0, 40)
        networks[f"made-up network {k}"] = stages, cost(stages, trial.choice(RATIOS[1:])) + spare
    for name, (stages, budget) in networks.items():
        ratio, parameters = smallest_within(trial, smallest_ratio, stages, budget)
        trial.show(f"{name}: ratio, parameters, left", [ratio, parameters, budget - parameters])
    for ratio in RATIOS:
        for budget in (cost(stages, ratio), cost(stages, ratio) - 1):
            smallest_within(trial, smallest_ratio, stages, budget)


RATIOS = (2, 4, 8, 16, 32, 64)
RESNET50 = [(3, 256), (4, 512), (6, 1024), (3, 2048)]


def cost(stages: list[tuple[int, int]], ratio: int) -> int:
    """The parameters of one squeeze-and-excitation block in every block of every stage."""
    return sum(blocks * _of_one_block(channels, ratio) for blocks, channels in stages)


@cache
def _of_one_block(channels: int, ratio: int) -> int:
    """The parameters of one squeeze-and-excitation block."""
    with torch.device("meta"):
        return sum(p.numel() for p in SqueezeExcitation(channels, ratio).parameters())


def smallest_within(trial: Trial, function, stages, budget) -> tuple[int, int]:
    """Call the learner's function and return its pair, if it is the right one."""
    got = trial.call(function, list(stages), budget)
    try:
        ratio, parameters = (round(float(value)) for value in got)
    except (TypeError, ValueError):
        raise Wrong(f"`smallest_ratio` should return two numbers; it returns {got!r}.") from None
    costs = {r: cost(stages, r) for r in RATIOS}
    fitting = [r for r in RATIOS if costs[r] <= budget]
    right = (fitting[0], costs[fitting[0]]) if fitting else (0, 0)
    if (ratio, parameters) == right:
        return ratio, parameters
    case = f"For the stages {stages} and a budget of {budget:,} parameters"
    if not fitting:
        raise Wrong(f"{case} no ratio fits: return (0, 0), not ({ratio}, {parameters:,}).")
    if ratio in costs and parameters != costs[ratio]:
        about = f"{case} you count {parameters:,} parameters with ratio {ratio}; "
        once = sum(cost([(1, channels)], ratio) for _, channels in stages)
        weights = sum(2 * blocks * c * (c // ratio) for blocks, c in stages)
        if parameters == once:
            raise Wrong(about + "every stage has several blocks, each with an SE block.")
        if parameters == weights:
            raise Wrong(about + "did you forget the biases?")
        raise Wrong(about + f"there are {costs[ratio]:,}.")
    if ratio not in costs:
        raise Wrong(f"{case} you return the ratio {ratio}; it should be one of {RATIOS}.")
    if costs[ratio] > budget:
        raise Wrong(f"{case} the ratio {ratio} is too expensive: {costs[ratio]:,} parameters.")
    if budget == costs[right[0]]:
        raise Wrong(f"{case} the ratio {right[0]} fits exactly, and exactly is within the budget.")
    raise Wrong(f"{case} the ratio {ratio} fits, but a smaller one does too.")
