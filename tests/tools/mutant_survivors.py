"""Why some mutants pass their check: the kinds of changes that leave a right answer right.

Reviewed by hand, with `python -m tests.tools.mutants --survivors`, which also says if a kind has
no mutant any more. A kind covers certain exercises, certain operators and certain lines, so that
a check that becomes blind to anything else is noticed.
"""

import re
from dataclasses import dataclass

from tests.tools.mutant_operators import Mutant


@dataclass(frozen=True)
class Kind:
    """Mutants that may pass, for one reason.

    Attributes:
        exercises: their numbers, separated by blanks.
        operators: what makes them, separated by blanks; "" for all but the museum.
        lines: a regular expression for what stands in `Mutant.change`.
        why: the reason.
    """

    exercises: str
    operators: str
    lines: str
    why: str

    def holds(self, mutant: Mutant) -> bool:
        """Whether the mutant is of this kind."""
        return (
            mutant.number in self.exercises.split()
            and mutant.operator in (self.operators.split() or [mutant.operator])
            and re.search(self.lines, mutant.change) is not None
        )


# fmt: off
KINDS = (
    Kind("3.2 4.2 4.3 5.2 5.3", "elements", r"\+ .*(amax|maximum).*(mean|average)",
         "The average and the maximum are treated alike, so either may come first."),
    Kind("5.1 7.3 7.4 8.1 8.5 9.1", "elements", r"= \[\d|for \w+ in \(|= \(nn\.",
         "The page asks which, in any order."),
    Kind("6.4 8.5", "call function", r"\.keys\(\)",
         "A dictionary stands for its keys, and a set of names for their sorted list."),
    Kind("8.5", "arithmetic", r" & ",
         "Whichever set comes first, their intersection is the same."),
    Kind("1.3 1.4 3.3 3.4", "axes number arguments", r"\((0|1), 2, 3\)|\[.*-1|dim=0",
         "A mean or maximum over an axis of size 1 changes nothing, its first entry is its last, "
         "and broadcasting puts it back."),
    Kind("1.3", "function", r"\.sum\(dim=1",
         "The number of channels cancels out in the division."),
    Kind("7.3 8.4 8.5 10.5", "variable number", r"len\(labels|len\(pairs|masks\.shape|weight\[-1",
         "Both have one length or shape: images and labels, pairs and differences, maps and masks, "
         "all filters of a layer."),
    Kind("1.4 8.5 9.5", "arithmetic", r"made = |mean - d|delta - s",
         "Only the absolute value or the square counts, or the distribution is symmetric."),
    Kind("1.4 9.5", "logic number", r"1e-06|ppf|randn",
         "A tolerance, a limit that is never met exactly, or a number of tries, and a bit more."),
    Kind("8.3", "logic arguments", r"mirrored",
         "Half of the images are mirrored, whichever half."),
    Kind("8.2 8.3 8.4 9.5", "call", r"\.(double|tolist|item)\(\)",
         "A tensor may stand for its number, and one operand in float64 is enough."),
    Kind("2.4 10.3", "arithmetic", r"hidden = |blocks = ",
         "The division leaves no remainder."),
    Kind("6.4", "variable", r"wrong \+?= ",
         "Only the words of the error change."),
    Kind("9.2", "condition logic number statement call", r"if n < 2|'nan'",
         "Of a single number NumPy's deviation is NaN, and so are the limits; 'nan' is one too."),
    Kind("11.3", "call variable", r"sum_to_size",
         "Autograd itself sums a gradient that is larger than its input."),
    Kind("11.4", "arguments", r"max\(",
         "The larger of two numbers, in either order."),
    Kind("12.3", "variable", r"folded\.weight\.data = folded",
         "The copy has the weights of the original."),
    Kind("12.4", "elements", r"norm = x\.norm",
         "A norm over two axes, in either order."),
    Kind("13.1", "arguments elements arithmetic index", r"low = |high = |area = |covered = ",
         "Broadcasting, the order of two operands, or a product of two differences turned around."),
    Kind("13.2", "logic number variable",
         r"crosses = |\+ +follows = (position == position and )?s|if s >",
         "A -1 crosses the new row only where it is to read it; no row is put before row 0."),
    Kind("13.3", "rounds elements", r"named_parameters|return",
         "The first layer is frozen, and groups stand in any order."),
    Kind("13.4", "arithmetic call", r"seeds = ",
         "The seeds that both have, in either order; a dictionary stands for its keys."),
    Kind("5.4", "", r"rand|spiked|jump|far|weights|block\(|pattern",
         "Another experiment tells the five blocks apart as well."),
)
# fmt: on


def kind_of(mutant: Mutant) -> Kind | None:
    """The kind of a mutant that passes, or None if it should not pass."""
    museum = mutant.operator.startswith("museum")
    return None if museum else next((kind for kind in KINDS if kind.holds(mutant)), None)
