"""The museum's mistakes, put into every solution that has room for them.

Each has stood in public code; chapter by chapter the exercises let learners meet them. A check
has to notice every one of them.
"""

import re

from tests.tools.mutant_operators import Mutant, plain

# Each mistake: the chapters whose solutions may hold it, and what replaces what, as regular
# expressions on code as Python writes it.
MISTAKES: dict[str, tuple[set[int], dict[str, str]]] = {
    "the reduction ratio ignored": ({2, 5}, {r"channels // reduction": "channels // 16"}),
    "the maximum never arrives": (
        {3, 4, 5},
        {r"\.amax\(": ".mean(", r"\bmaximum\[": "average[", r"\bmaximum\]": "average]"},
    ),
    "the maximum twice": (
        {3, 4, 5},
        {r"\.mean\(": ".amax(", r"\baverage\[": "maximum[", r"\[average,": "[maximum,"},
    ),
    "no sigmoid": ({2, 3, 4, 5}, {r"torch\.sigmoid\(": "(", r", nn\.Sigmoid\(\)": ""}),
    "sigmoid twice": (
        {2, 3, 4, 5},
        {
            r"torch\.sigmoid\(": "(lambda scores: scores.sigmoid().sigmoid())(",
            r"nn\.Sigmoid\(\)": "nn.Sigmoid(), nn.Sigmoid()",
        },
    ),
    "a spatial kernel of 49": ({4, 5}, {r"kernel_size=7": "kernel_size=49"}),
    "max pooling with a fixed window": (
        {1, 3, 5},
        {
            r"(\w+)\.amax\(dim=\(2, 3\)": r"\1[:, :, :3, :3].amax(dim=(2, 3)",
            r"nn\.AdaptiveMaxPool2d\(1\)": "nn.MaxPool2d(7)",
        },
    ),
    "a residual inside the block": (
        {1, 2, 3, 4, 5, 6},
        {
            r"return x \*": "return x + x *",
            r"= self\.attention\(": "= (lambda x: x + self.attention(x))(",
            r"\(self\.block\(x\) - x\)": "self.block(x)",
        },
    ),
    "a zero-width MLP": ({2, 5}, {r"hidden < 1": "False"}),
    "an even kernel accepted": ({4, 5}, {r"kernel_size % 2 == 0": "False"}),
    "ECA's kernel size overridden": ({3}, {r"kernel_size is None": "True"}),
    "an argument swallowed": (
        {4, 5, 6},
        {
            r"\bpadding = kernel_size // 2": "kernel_size, padding = (7, 3)",
            r"kernel_size, padding=kernel_size // 2": "7, padding=3",
            r"= attention\(channels\)": "= nn.Identity()",
        },
    ),
    "strict loading of partial weights": ({6}, {r"strict=False": "strict=True"}),
}
# Python and PyTorch stop the others themselves: an undefined name, an argument that was removed.


def museum_mutants(number: str, code: str) -> list[Mutant]:
    """The museum's mistakes in an answer to exercise `number`, one at a time."""
    original = plain(code)
    return [
        Mutant(number, f"museum: {mistake}", original, plain(made))
        for mistake, (chapters, patterns) in MISTAKES.items()
        if int(number.split(".")[0]) in chapters
        for old, new in patterns.items()
        for found in re.finditer(old, original)
        for made in [original[: found.start()] + found.expand(new) + original[found.end() :]]
    ]
