"""Why some mutants pass their check: the kinds of changes that leave a right answer right.

Reviewed by hand, with `python -m tests.tools.mutants --survivors`, which also says if a kind has
no mutant any more. A kind covers certain exercises and certain lines, so that a check that becomes
blind to anything else is noticed.
"""

import re
from typing import NamedTuple

from tests.tools.mutant_operators import Mutant


class Kind(NamedTuple):
    """Mutants that may pass, for one reason.

    Attributes:
        exercises: their numbers, separated by blanks.
        lines: a regular expression for what stands in `Mutant.change`.
        why: the reason.
    """

    exercises: str
    lines: str
    why: str


# fmt: off
KINDS = (
    Kind("1.3", r"\(1, 2, 3\)|\.sum\(dim=1",
         "The maximum over an axis of size 1 changes nothing, and the number of channels cancels "
         "out in the division."),
    Kind("1.4", r"dim=0\)|dim=False|where\.max\(\)",
         "Broadcasting puts an axis back, and the largest of the maxima is the largest of all."),
    Kind("1.4 8.5 9.5", r"what - full|where - full|mean - d|delta - s",
         "Only the absolute value or the square counts, or the distribution is symmetric."),
    Kind("1.4 9.5", r"2e-06|<= 1e-06|>= stats|20001|19999",
         "A tolerance, a limit that is never met exactly, or a number of tries, and a bit more."),
    Kind("2.4 10.3", r"-\(-|channels / ratio",
         "The division leaves no remainder."),
    Kind("3.2 4.2 4.3 5.2 5.3", r"\[maximum, average|amax\([^)]*\)+, x\.mean|mlp\(maximum\), self",
         "The average and the maximum are treated alike, so either may come first."),
    Kind("3.3", r"-1\]$|-1, 0\]$",
         "On an axis of size 1 the first entry is the last."),
    Kind("3.4", r"\(0, 2, 3\)",
         "A mean or a maximum over an axis of size 1 changes nothing."),
    Kind("5.4", r"rand|spiked|far|weights|pattern|block\(",
         "Another experiment tells the five blocks apart as well."),
    Kind("6.1", r"^- (for parameter|parameter\.requires)|new \+= block",
         "Frozen, or unknown to the optimizer: one of the two is enough."),
    Kind("6.1", r"in network\.modules|list\(list\(network\.modules",
         "Neither the first module nor the last is a basic block, and what is put in is none."),
    Kind("6.4", r"(own|weights) - |- fitting\)|(fresh|left_over) = (own|weights|list)",
         "A dictionary stands for its keys, and a set of names for their sorted list."),
    Kind("6.4", r"wrong \+?= \[(wrong|left_over) for",
         "Only the words of the error change."),
    Kind("7.3 7.4", r"\(nn\.Conv2d|Linear, nn\.Conv2d\)|\(2 \*\* 30, 10",
         "The page asks for all of them, in any order."),
    Kind("7.3 10.5", r"weight\[-1|W = masks\.shape",
         "Both have one shape: all filters of a layer, maps and masks."),
    Kind("8.2 8.3 8.4 9.5", r"\(\(images - |\(batch, 2\)\)$|append\(loss\)|(sum|mean)\(\)$",
         "A tensor may stand for its number, and one operand in float64 is enough."),
    Kind("8.3", r"<= 0\.5|images, images\.flip",
         "Half of the images are mirrored, whichever half."),
    Kind("8.5 13.4", r"(before|plain) &|& (after|gated)$|(after|gated)\.keys\(\) &",
         "The seeds that both have, in either order; a dictionary stands for its keys."),
    Kind("9.2", r"^- if n < 2|, 'nan'",
         "Of a single number NumPy's deviation is NaN, and so are the limits; 'nan' is one too."),
    Kind("11.3", r"sum_to_size\(to_x",
         "Autograd itself sums a gradient that is larger than its input."),
    Kind("11.4", r"max\((bytes|\(read)",
         "The larger of two numbers, in either order."),
    Kind("12.3", r"= folded\.weight",
         "The copy has the weights of the original."),
    Kind("12.4", r"view\(-1, 1, 1\)",
         "Broadcasting puts an axis in front."),
    Kind("13.1", r"imum\(second\[None|second\[:, :?2|\+ area\[1\]$|b\[:, :2\] - ",
         "Broadcasting, the order of two operands, or a product of two differences turned around."),
    Kind("13.2", r"\+ (crosses = (number|s <)|follows = s|if s >)",
         "A -1 crosses the new row only where it is to read it; no row is put before row 0."),
    Kind("13.3", r"\[\{'params': new|\[1:\]",
         "The first layer is frozen, and groups stand in any order."),
)
# fmt: on


def kind_of(mutant: Mutant) -> Kind | None:
    """The kind of a mutant that passes, or None if it should not pass."""
    kinds = [kind for kind in KINDS if mutant.number in kind.exercises.split()]
    return next((k for k in kinds if re.search(k.lines, mutant.change, re.MULTILINE)), None)
