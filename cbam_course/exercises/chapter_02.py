"""The exercises of chapter 2, squeeze-and-excitation."""

from torch import Tensor

from cbam_course.attention import SqueezeExcitation

from .errors import Wrong
from .framework import exercise
from .matching import count_parameters, expect_parameters, match
from .trial import Mistakes, Trial
from .values import number, returned_numbers, shape


@exercise("2.1", "Read a checkpoint")
def read_checkpoint(trial: Trial, channels, reduction, map_shape, parameters) -> None:
    hidden = {10: "10 is the number of hidden units."}
    channels = number(channels, 160, "channels", hidden)
    reduction = number(reduction, 16, "reduction", hidden)
    mistakes = {
        (6, 160): "Keep two axes of size 1, or the map does not multiply `x`.",
        (1, 160, 1, 1): "Each image has a map of its own.",
    }
    map_shape = shape(map_shape, (6, 160, 1, 1), "map_shape", mistakes)
    parameters = number(parameters, 3370, "parameters", {3200: "The biases are parameters too."})
    block = trial.fill(SqueezeExcitation(channels, reduction))
    gates = block.attention_map(trial.features(*map_shape[:2], 14, 14))
    trial.show("Gates of a block made from your numbers", gates)
    trial.stamp("Stamp of your four answers", channels, reduction, *map_shape, parameters)


@exercise("2.2", "Write the block")
def write_block(trial: Trial, Block) -> None:
    block_like_the_course(trial, Block)
    one_unit = trial.call(Block, 16, 16).double()
    trial.call(one_unit, trial.features(1, 16, 2, 3))
    trial.refused(Block, 8, 16, why="8 channels with reduction 16 leave no hidden unit")


def block_like_the_course(trial: Trial, Block) -> None:
    """The answer is squeeze-and-excitation with biases, for any channels and reduction."""
    for channels, reduction in ((24, 4), (16, 2)):
        outputs = match(
            trial,
            trial.call(Block, channels, reduction),
            SqueezeExcitation(channels, reduction),
            [trial.features(2, channels, 5, 3), trial.features(3, channels, 4, 4)],
            hint=(
                f"With {channels} channels and reduction {reduction} the hidden layer has "
                f"{channels // reduction} units, and both layers have biases."
            ),
            mistakes=mistakes_of_squeeze_excitation,
        )
        trial.show(f"{channels} channels, reduction {reduction}", outputs[0])
    # 240 // 16 is 15, and no other ratio gives that; 30 / 4 is no integer.
    hint = "`reduction` is 16 unless it is given; there are channels // reduction hidden units."
    for arguments, right in (((240,), 2 * 240 * 15 + 255), ((30, 4), 2 * 30 * 7 + 37)):
        expect_parameters(trial, Block, arguments, right, hint)


NO_RELU = "No ReLU is between the two layers: two linear layers in a row are one."


def mistakes_of_squeeze_excitation(truth: SqueezeExcitation, x: Tensor) -> Mistakes:
    """Outputs of blocks with one mistake each, and what to say of it."""
    scores, average = truth.mlp, x.mean(dim=(2, 3), keepdim=True)
    gates = scores(average).sigmoid()
    return [
        (gates, "Your block returns the gates. Did you multiply the feature map by them?"),
        (x + x * gates, "Your block adds its input to the result: there is no residual inside it."),
        (x * scores(average), "Your gates are not between 0 and 1: where is the sigmoid?"),
        (x * gates.sigmoid(), "The sigmoid is applied twice: no gate can be below one half."),
        (x * scores(average.mean(0, True)).sigmoid(), "The squeeze runs over the batch too."),
        (
            x * scores(x.amax((2, 3), True)).sigmoid(),
            "You squeeze by the maximum: take the average.",
        ),
        (
            x * scores(average).softmax(1),
            "With a softmax the gates compete. Take a sigmoid of each.",
        ),
        (x * scores[2](scores[0](average)).sigmoid(), NO_RELU),
    ]


@exercise("2.3", "Three bugs in one block")
def three_bugs(trial: Trial, Repaired) -> None:
    for x in (trial.features(1, 64, 2, 2), trial.features(2, 24, 5, 3)):
        blocks = [trial.call(Repaired, x.shape[1], ratio) for ratio in (4, 12)]
        few, many = sorted(count_parameters(trial, block, x) for block in blocks)
        trial.expect(
            few < many,
            f"Made for {x.shape[1]} channels with reduction 4 and with 12, the block has {few} "
            "parameters both times. Who uses the reduction ratio?",
        )
    block_like_the_course(trial, Repaired)


RATIOS = (2, 4, 8, 16, 32, 64)
RESNET50 = [(3, 256), (4, 512), (6, 1024), (3, 2048)]


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
    for ratio in (1, *RATIOS):  # what a ratio of 1 costs is enough for all that are asked for
        for budget in (cost(stages, ratio), cost(stages, ratio) - 1):
            smallest_within(trial, smallest_ratio, stages, budget)


def cost(stages: list[tuple[int, int]], ratio: int) -> int:
    """The parameters of one squeeze-and-excitation block in every block of every stage."""
    hidden = [channels // ratio for _, channels in stages]
    return sum(n * (2 * c * h + h + c) for (n, c), h in zip(stages, hidden, strict=True))


def smallest_within(trial: Trial, function, stages, budget) -> tuple[int, int]:
    """Call the learner's function and return its pair, if it is the right one."""
    got = trial.call(function, list(stages), budget)
    ratio, parameters = returned_numbers(got, 2, "`smallest_ratio`")
    costs = {r: cost(stages, r) for r in RATIOS}
    right = next(((r, n) for r, n in costs.items() if n <= budget), (0, 0))
    if (ratio, parameters) == right:
        return right
    case = f"For the stages {stages} and a budget of {budget:,} parameters"
    if right == (0, 0) or ratio not in costs:
        raise Wrong(f"{case} `smallest_ratio` returns {got}, expected {right}.")
    without_biases = sum(2 * n * c * (c // ratio) for n, c in stages)
    hint = "Did you forget the biases?" if parameters == without_biases else ""
    trial.expect(
        parameters == costs[ratio],
        f"{case} you count {parameters:,.0f} parameters with ratio {ratio:g}, expected "
        f"{costs[ratio]:,}. {hint}".rstrip(),
    )
    raise Wrong(f"{case} the smallest ratio is {right[0]}, with {right[1]:,}; not {ratio:g}.")
