"""The museum's mistakes, put into the solutions by hand.

Each has stood in public code; chapter by chapter the exercises let learners meet them. A check
has to notice every one of them.
"""

from dataclasses import dataclass

from tests.exercise_answers.editing import changed
from tests.tools.mutant_operators import Mutant, plain

MUSEUM = {
    1: "reduction ratio accepted and ignored, 16 is hard-coded",
    2: "sigmoid(avg + avg): the max branch never arrives",
    3: "the same branch added twice (x1 + x1)",
    4: "no sigmoid on the spatial map",
    5: "sigmoid applied twice",
    6: "default spatial kernel 49",
    7: "max pooling with a fixed window instead of a global one",
    8: "a residual added inside the block (x + CBAM(x))",
    9: "fewer channels than the reduction ratio give a zero-width MLP",
    10: "an even kernel accepted, failing only in forward",
    11: "ECA's kernel_size silently overridden by the adaptive one",
    12: "an argument swallowed",
    13: "an undefined name; a default of 6 input channels",
    14: "strict loading of ImageNet weights into a network with extra keys",
    15: "a removed scheduler argument (verbose=True)",
}
# Those that no exercise could hold, and why.
NOWHERE: dict[int, str] = {
    13: "Python's own NameError stops the one; no exercise has input channels by default.",
    15: "PyTorch's own TypeError stops it.",
}


@dataclass(frozen=True)
class Exhibit:
    """A mistake of the museum in one solution.

    Attributes:
        place: its number in the museum.
        number: the exercise.
        pairs: what is replaced in the solution, and by what.
    """

    place: int
    number: str
    pairs: tuple[tuple[str, str], ...]


def exhibit(place: int, number: str, *pairs: tuple[str, str]) -> Exhibit:
    return Exhibit(place, number, pairs)


EXHIBITS = [
    # Chapter 1.
    exhibit(8, "1.2", ("return x *", "return x + x *")),
    exhibit(7, "1.3", ("loudness.amax(dim=(2, 3), keepdim=True)", "loudness[:, :, :2, :2].amax()")),
    exhibit(8, "1.3", ("return x *", "return x + x *")),
    # Chapter 2.
    exhibit(1, "2.2", ("channels // reduction", "channels // 16")),
    exhibit(4, "2.2", ("torch.sigmoid(self.fc2(hidden))", "self.fc2(hidden)")),
    exhibit(5, "2.2", ("gates[:", "gates.sigmoid()[:")),
    exhibit(8, "2.2", ("return x *", "return x + x *")),
    exhibit(9, "2.2", ("hidden < 1", "False")),
    exhibit(1, "2.3", ("channels // reduction", "channels // 16")),
    exhibit(4, "2.3", ("            nn.Sigmoid(),\n", "")),
    exhibit(5, "2.3", ("x * gates", "x * torch.sigmoid(gates)")),
    exhibit(8, "2.3", ("x * gates", "x + x * gates")),
    # Chapter 3.
    exhibit(2, "3.2", ("mlp(maximum)", "mlp(average)")),
    exhibit(3, "3.2", ("mlp(average)", "mlp(maximum)")),
    exhibit(4, "3.2", ("torch.sigmoid(scores)", "scores")),
    exhibit(5, "3.2", ("torch.sigmoid(scores)", "torch.sigmoid(scores.sigmoid())")),
    exhibit(7, "3.2", ("x.amax(dim=(2, 3))", "nn.MaxPool2d((3, 1))(x)[:, :, 0, 0]")),
    exhibit(2, "3.3", ("maximum[:", "average[:")),
    exhibit(3, "3.3", ("average[:", "maximum[:")),
    exhibit(4, "3.3", ("torch.sigmoid(scores)", "scores")),
    exhibit(5, "3.3", ("gates[:", "gates.sigmoid()[:")),
    exhibit(7, "3.3", ("nn.AdaptiveMaxPool2d(1)", "nn.MaxPool2d(7)")),
    exhibit(8, "3.3", ("return x *", "return x + x *")),
    exhibit(11, "3.3", ("if kernel_size is None:", "if True:")),
    # Chapter 4.
    exhibit(2, "4.2", ("[average, maximum]", "[average, average]")),
    exhibit(3, "4.2", ("[average, maximum]", "[maximum, maximum]")),
    exhibit(4, "4.2", ("torch.sigmoid(scores)", "scores")),
    exhibit(5, "4.2", ("torch.sigmoid(scores)", "torch.sigmoid(scores.sigmoid())")),
    exhibit(6, "4.2", ("kernel_size=7", "kernel_size=49")),
    exhibit(8, "4.2", ("return x *", "return x + x *")),
    exhibit(10, "4.2", ("kernel_size % 2 == 0", "False")),
    exhibit(12, "4.2", ("1, kernel_size, padding=kernel_size // 2", "1, 7, padding=3")),
    exhibit(2, "4.3", ("x.amax(dim=1)", "x.mean(dim=1)")),
    exhibit(3, "4.3", ("x.mean(dim=1)", "x.amax(dim=1)")),
    exhibit(4, "4.3", ("torch.sigmoid(scores)", "scores")),
    exhibit(5, "4.3", ("torch.sigmoid(scores)", "torch.sigmoid(scores.sigmoid())")),
    exhibit(6, "4.3", ("kernel_size=7", "kernel_size=49")),
    exhibit(8, "4.3", ("return x *", "return x + x *")),
    exhibit(12, "4.3", ("1, kernel_size, padding=padding", "1, 7, padding=3")),
    # Chapter 5.
    exhibit(1, "5.2", ("channels // reduction", "channels // 16")),
    exhibit(2, "5.2", ("self.mlp(x.amax(dim=(2, 3)))", "self.mlp(x.mean(dim=(2, 3)))")),
    exhibit(3, "5.2", ("self.mlp(x.mean(dim=(2, 3)))", "self.mlp(x.amax(dim=(2, 3)))")),
    exhibit(4, "5.2", ("return x * torch.sigmoid(scores)", "return x * scores")),
    exhibit(
        5,
        "5.2",
        ("return x * torch.sigmoid(", "return x * torch.sigmoid(torch.sigmoid("),
        ("(scores)  # F''", "(scores))  # F''"),
    ),
    exhibit(6, "5.2", ("kernel_size=7", "kernel_size=49")),
    exhibit(7, "5.2", ("x.amax(dim=(2, 3))", "x[:, :, :3, :3].amax(dim=(2, 3))")),
    exhibit(8, "5.2", ("return x * torch", "return x + x * torch")),
    exhibit(9, "5.2", ("hidden < 1", "False")),
    exhibit(10, "5.2", ("kernel_size % 2 == 0", "False")),
    exhibit(12, "5.2", ("padding = kernel_size // 2", "kernel_size, padding = 7, 3")),
    exhibit(1, "5.3", ("channels // reduction", "channels // 16")),
    exhibit(2, "5.3", ("self.mlp(maximum)", "self.mlp(average)")),
    exhibit(3, "5.3", ("self.mlp(average)", "self.mlp(maximum)")),
    exhibit(4, "5.3", ("torch.sigmoid(self.conv", "(self.conv")),
    exhibit(5, "5.3", ("x * self.spatial_map(x)", "x * torch.sigmoid(self.spatial_map(x))")),
    exhibit(6, "5.3", ("kernel_size=7", "kernel_size=49")),
    exhibit(7, "5.3", ("x.amax(dim=(2, 3))", "x[:, :, :3, :3].amax(dim=(2, 3))")),
    exhibit(8, "5.3", ("return x * self", "return x + x * self")),
    exhibit(12, "5.3", ("padding = kernel_size // 2", "kernel_size, padding = 7, 3")),
    # Chapter 6.
    exhibit(12, "6.2", ("= attention(channels)", "= nn.Identity()")),
    exhibit(
        8,
        "6.2",
        (
            "x = self.attention(self.bn2(self.conv2(x)))",
            "x = self.bn2(self.conv2(x))\n        x = x + self.attention(x)",
        ),
    ),
    exhibit(8, "6.3", ("(self.block(x) - x)", "self.block(x)")),
    exhibit(14, "6.4", ("strict=False", "strict=True")),
]


def museum_mutants(number: str, code: str) -> list[Mutant]:
    """Return the museum's mistakes in an answer to exercise `number`.

    Raises:
        ValueError: if a part that should be replaced is not there.
    """
    return [
        Mutant(number, f"museum {e.place}", plain(code), plain(changed(code, *e.pairs)))
        for e in EXHIBITS
        if e.number == number
    ]
