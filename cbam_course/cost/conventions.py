"""What each printed table silently assumes: units, network version, biases, what counts."""

from dataclasses import dataclass

import pandas as pd

from .rules import RULES


@dataclass(frozen=True)
class Convention:
    r"""What one has to know to get the numbers of a table.

    .. math:: \text{printed} = \text{count} / \text{unit}

    Attributes:
        million: the unit called M.
        billion: the unit called G.
        resnet: ``"v1"`` or ``"v1.5"``: where a ResNet's bottleneck blocks have their stride.
        resnext: the same of ResNeXts.
        se_bias: whether the MLP of SE has biases.
        cbam_bias: whether the MLP of CBAM has them.
        rule: what counts as an operation, a name of :data:`RULES`.
        because: how it is known.
    """

    million: int
    billion: int
    resnet: str
    resnext: str
    se_bias: bool
    cbam_bias: bool
    rule: str
    because: str

    def unit(self, letter: str) -> int:
        """The number that ``"M"`` or ``"G"`` stands for."""
        return {"M": self.million, "G": self.billion}[letter]


_DECIMAL = {"million": 10**6, "billion": 10**9}
_BINARY = {"million": 2**20, "billion": 2**30}

CONVENTIONS: dict[str, Convention] = {
    "CBAM": Convention(
        **_DECIMAL, resnet="v1", resnext="v1", se_bias=True, cbam_bias=True,
        rule="conv + FC",
        because="it gives all cells of table 4; the biases are in the authors' code, whose ResNet, "
        "however, is v1.5",
    ),
    "ECA-Net, table 3": Convention(
        **_BINARY, resnet="v1.5", resnext="v1.5", se_bias=False, cbam_bias=False,
        rule="thop 0.0.22",
        because="the authors name the unit (issue 35 of their repository) and the tool; its "
        "version is the one that fits",
    ),
    "ECA-Net, supplement": Convention(
        **_BINARY, resnet="v1.5", resnext="v1.5", se_bias=False, cbam_bias=True,
        rule="thop 0.0.31 of September 2019",
        because="as above; a later version of the tool fits here",
    ),
    "SE-Net, table 2": Convention(
        **_DECIMAL, resnet="v1", resnext="v1.5", se_bias=True, cbam_bias=True,
        rule="conv + FC + additions + scaling + averages",
        because="of the rules here it gives the most cells",
    ),
    "SE-Net, table 3": Convention(
        **_DECIMAL, resnet="v1", resnext="v1.5", se_bias=True, cbam_bias=True,
        rule="conv + FC + additions + scaling",
        because="it gives all cells; with the rule of table 2, SE-MobileNet would cost more",
    ),
}  # fmt: skip
"""The conventions under which the printed tables come out, as far as they do."""


def convention_of(paper: str, table: str) -> str:
    """The name of the convention of a table."""
    return paper if paper in CONVENTIONS else f"{paper}, {'table ' * table.isdigit()}{table}"


def conventions() -> pd.DataFrame:
    """The :data:`CONVENTIONS` as a table, one row each, in words."""
    return pd.DataFrame(
        [
            {
                "convention": name,
                "M": "2^20" if c.million == 2**20 else "10^6",
                "G": "2^30" if c.billion == 2**30 else "10^9",
                "ResNet": c.resnet,
                "ResNeXt": c.resnext,
                "SE's MLP": _bias(c.se_bias),
                "CBAM's MLP": _bias(c.cbam_bias),
                "rule": c.rule,
                "formula": RULES[c.rule].formula,
                "a shared layer": RULES[c.rule].shared,
                "because": c.because,
            }
            for name, c in CONVENTIONS.items()
        ]
    )


def _bias(bias: bool) -> str:
    return "with bias" if bias else "no bias"
