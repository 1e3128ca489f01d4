"""The exercises of chapter 13, in a detector."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from cbam_course.attention import CBAM

from .errors import Wrong
from .framework import exercise
from .trial import Trial
from .values import same_numbers

Rows = list[list]


@exercise("13.1", "The overlap of boxes")
def overlap_of_boxes(trial: Trial, iou) -> None:
    for first, second in ((3, 4), (4, 3), (1, 5)):
        some, others = boxes(trial, first), boxes(trial, second)
        others[0] = some[0] + torch.tensor([1.0, 0.5, 1.0, 0.5])  # one pair that does overlap
        shared, areas = overlaps(some, others), area(some)[:, None] + area(others)
        right = shared / (areas - shared)
        unclamped = overlaps(some, others, clamp=False)
        products = some[:, 2:].prod(dim=1)[:, None] + others[:, 2:].prod(dim=1)
        mistakes = [
            (
                unclamped / (areas - unclamped),
                "Boxes apart from each other share nothing: a negative width or height is 0.",
            ),
            (shared / areas, "What both cover is counted twice in the sum of the areas."),
            (
                shared / (products - shared),
                "A width is right minus left, a height bottom minus top.",
            ),
        ]
        got = trial.call(iou, some, others)
        got = trial.compare(got, right, "Your IoU", mistakes)
        trial.show(f"{first} boxes with {second}", got)


def boxes(trial: Trial, count: int) -> Tensor:
    """Random boxes, ``[count, 4]``."""
    corner, size = 10 * trial.rand(count, 2), 1 + 6 * trial.rand(count, 2)
    return torch.cat([corner, corner + size], dim=1)


def area(boxes: Tensor) -> Tensor:
    """``[N, 4]`` -> ``[N]``."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def overlaps(some: Tensor, others: Tensor, clamp: bool = True) -> Tensor:
    """The areas that pairs of boxes share, ``[N, M]``."""
    low = torch.maximum(some[:, None, :2], others[None, :, :2])
    high = torch.minimum(some[:, None, 2:], others[None, :, 2:])
    sides = (high - low).clamp(min=0) if clamp else high - low
    return sides.prod(dim=2)


@exercise("13.2", "A row more")
def row_more(trial: Trial, insert_row) -> None:
    for _ in range(4):
        count = trial.integer(7, 9)
        position = trial.integer(3, count - 3)
        rows = listed_rows(trial, count, position)
        new = [[-1], "cbam"]
        given, row = deepcopy(rows), deepcopy(new)
        returned = trial.call(insert_row, given, position, row)
        if given != rows:
            raise Wrong("The list that was handed over has changed: other code may use it.")
        right = inserted(rows, position, new)
        got = as_rows(returned)
        if got is None or len(got) != len(right):
            size = f"a list of {len(right)} rows"
            raise Wrong(f"`insert_row` should return {size}; it returns {returned!r:.200}.")
        hints = (
            (
                inserted(rows, position, new, back=False),
                "Numbers that count back change too, where they reach across the new row.",
            ),
            (
                inserted(rows, position, new, around=True),
                "The row right behind the new one is to read it, and yours goes around it.",
            ),
        )
        hint = next((said for wrong, said in hints if got == wrong), "")
        for k, (mine, expected) in enumerate(zip(got, right, strict=True)):
            about = f"With a row at {position}, row {k} is {mine}; expected {expected}."
            trial.expect(mine == expected, f"{about} {hint}".rstrip())
        numbers = [source for sources, *_ in got for source in sources]
        trial.show(f"Row {position} of {count}", [*numbers, position])


def listed_rows(trial: Trial, count: int, position: int) -> Rows:
    """Rows that read by both kinds of numbers, also across the position and right before it."""
    rows: Rows = []
    for number in range(count):
        sources = [-1]
        if number > 1:
            sources.append(trial.integer(0, number - 1) - trial.choice((0, number)))
        rows.append([sources, f"conv{trial.integer(8, 99)}"])
    rows[position][0] = [-1, -3]  # the first is to read the new row, the other goes around it
    rows[position + 1][0] = [-1, -2, -3]  # across the new row, at once and by one row more
    rows[position + 2][0] = [-1, -2, position, position - 1]  # none across it
    return rows


def as_rows(value: object) -> Rows | None:
    """Rows of any sequences as lists of lists; None if it is something else."""
    try:
        return [[list(sources), *rest] for sources, *rest in value]
    except (TypeError, ValueError):
        return None


def inserted(
    rows: Rows, position: int, row: list, *, back: bool = True, around: bool = False
) -> Rows:
    """The rows with one more.

    Without ``back`` numbers that count back are not corrected; with ``around`` no row reads it.
    """
    made: Rows = []
    for number, (sources, *rest) in enumerate(rows):
        moved = []
        for source in sources:
            if source >= 0:
                source += source >= position
            elif back and number + source < position <= number:
                follows = number == position and source == -1  # that row reads the new one
                source -= around or not follows
            moved.append(source)
        made.append([moved, *rest])
    return [*made[:position], row, *made[position:]]


@exercise("13.3", "Two learning rates")
def two_learning_rates(trial: Trial, groups) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), CBAM(8, reduction=4),
        *(nn.Conv2d(8, 8, 1) for _ in range(trial.integer(9, 12))),
        nn.Sequential(nn.Conv2d(8, 8, 1), CBAM(8, reduction=4)),
    )  # fmt: skip
    last = len(network) - 1
    blocks = ["1", f"{last}.1"]
    for parameter in (*network[0].parameters(), network[1].spatial_attention.conv.weight):
        parameter.requires_grad = False
    slow = round(0.001 + 0.01 * float(trial.rand(1)), 4)
    fast = round(10 * slow, 3)
    found = trial.call(groups, network, blocks, slow, fast)
    optimizer = trial.call(lambda: torch.optim.SGD(found, lr=0.0))
    rates = {
        id(parameter): group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in network.named_parameters():
        inside = name.startswith(tuple(f"{block}." for block in blocks))
        right = fast if inside else slow
        hint = ""
        if not parameter.requires_grad:
            right, hint = "none", " It is frozen."
        elif name.startswith(f"{last}."):
            hint = f' The block is "{blocks[1]}"; the layer beside it is a trained one.'
        elif not inside and name.startswith("1"):
            hint = ' A name that begins with "1" may belong to layer 10.'
        found_rate = rates.get(id(parameter), "none")
        about = f"The rate of {name} is {found_rate}, expected {right}.{hint}"
        trial.expect(found_rate == right, about)
    trial.show("Sum of the rates", sum(rates.values()), digits=4)


@exercise("13.4", "Read the pairs")
def read_the_pairs(trial: Trial, paired) -> None:
    for missing in (1, 3, 0):  # pairs by position have another mean in the first ones
        luck = {seed: 80 + 10 * float(trial.rand(1)) for seed in range(8)}
        plain = {seed: round(value, 1) for seed, value in luck.items()}
        gated = {s: round(v + float(trial.randn(1)), 1) for s, v in luck.items() if s >= missing}
        gated[4] = plain[4]  # a tie
        plain.pop(7 if missing else None, None)
        gated = dict(sorted(gated.items(), reverse=True))
        differences = [gated[seed] - plain[seed] for seed in sorted(plain.keys() & gated.keys())]
        count, above = len(differences), sum(value > 0 for value in differences)
        right = [count, sum(differences) / count, above]
        below = sum(value < 0 for value in differences)
        apart = sum(gated.values()) / len(gated) - sum(plain.values()) / len(plain)
        zipped = [g - p for g, p in zip(gated.values(), plain.values(), strict=False)]
        in_order = [len(zipped), sum(zipped) / len(zipped), sum(v > 0 for v in zipped)]
        mistakes = [
            ([count, -right[1], below], "Gated minus plain, not the other way round."),
            (in_order, "The runs of a pair have the same seed, whatever their order."),
            (
                [count, right[1], sum(value >= 0 for value in differences)],
                "A detector that is as good as the other one is not better.",
            ),
            ([count, right[1], above / count], "The last number counts seeds; yours is a share."),
            (
                [count, apart, above],
                "The difference of two means takes in seeds without a partner: pair them first.",
            ),
        ]
        result = trial.call(paired, dict(plain), dict(gated))
        name = f"`paired`, with {len(plain)} plain and {len(gated)} gated runs,"
        got = same_numbers(result, right, name, mistakes)
        trial.show(f"{len(plain)} and {len(gated)} runs", got)
