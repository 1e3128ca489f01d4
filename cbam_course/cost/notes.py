"""What is to be said of single cells: why they do not match, or what they would be otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .networks import Network, eca_parameters, network_cost

Count = Callable[[Network, str], int]


@dataclass(frozen=True)
class Note:
    """A remark on one cell.

    Attributes:
        text: in words; ``{0}``, ``{1}``, ... stand for ``counts``, written like the cell.
        counts: each made from the network and the rule of the cell. The first is what another
            reading of the cell gives.
    """

    text: str
    counts: tuple[Count, ...] = ()


def _parameters(**changes) -> Count:
    """The parameters of the network with changes."""
    return lambda network, rule: network_cost(replace(network, **changes), rule)[0]


def _flops(by: str | None = None, **changes) -> Count:
    """The FLOPs of the network with changes, by another rule if one is named."""
    return lambda network, rule: network_cost(replace(network, **changes), by or rule)[1]


def _additions_twice(**changes) -> Count:
    once, without = (_flops(r, **changes) for r in ("conv + FC + additions", "conv + FC"))
    return lambda network, rule: 2 * once(network, rule) - without(network, rule)


def _bam_twice(network: Network, rule: str) -> int:
    with_bam, without = _flops(attention="bam"), _flops(attention="none")
    return 2 * with_bam(network, rule) - without(network, rule)


_BAM = (
    "The block in every residual block, as the text has it, is what was computed. {0} is ResNet-50 "
    "with a BAM block (r = 16) after each of its first three stages: these columns may come from "
    "models with BAM. This is an inference; the paper does not say so."
)
_BAM_TWICE = _BAM.replace("stages:", "stages, with the cost of BAM taken twice:")
_SINGLE_POOL, _TWO_POOLS = (
    ("ResNet50 + AvgPool (SE)", "ResNet50 + MaxPool"),
    ("ResNet50 + AvgPool & MaxPool"),
)

NOTES: dict[tuple[str, str, str, str], Note] = {
    **{
        ("CBAM", "1", row, "parameters"): Note(_BAM, (_parameters(attention="bam"),))
        for row in (*_SINGLE_POOL, _TWO_POOLS)
    },
    **{("CBAM", "1", row, "flops"): Note(_BAM, (_flops(attention="bam"),)) for row in _SINGLE_POOL},
    ("CBAM", "1", _TWO_POOLS, "flops"): Note(_BAM_TWICE, (_bam_twice,)),
    ("CBAM", "2", "ResNet50 + channel", "flops"): Note(
        "{0} if the shared MLP counts once; the rows with spatial attention count it twice.",
        (_flops("conv + FC, shared once"),),
    ),
    ("CBAM", "2", "ResNet50 + channel + spatial (1x1 conv, k=3)", "flops"): Note(
        "Not explained. With the shared MLP counted once it is {0}; what is printed is then the "
        "cost of the last row, avg&max with k = 7, {1}, perhaps by chance.",
        (_flops("conv + FC, shared once"), _flops("conv + FC, shared once", attention="cbam")),
    ),
    ("CBAM", "4", "ResNet50", "flops"): Note(
        "{0} for v1.5, which torchvision and the authors' code have.", (_flops(version="v1.5"),)
    ),
    ("CBAM", "5", "MobileNet alpha=0.7 + SE", "parameters"): Note(
        "{0} with round(C / 16) hidden units instead of C // 16.",
        (_parameters(attention="rounded se"),),
    ),
    ("ECA-Net", "3", "ResNet-50 + SENet", "parameters"): Note(
        "{0} if the MLP has biases.", (_parameters(bias=True),)
    ),
    ("ECA-Net", "3", "ResNet-50 + CBAM", "flops"): Note(
        "{0} is the row of SENet; its two numbers are printed for CBAM again.",
        (_flops(attention="se"),),
    ),
    ("ECA-Net", "3", "ResNet-50 + ECA-Net", "parameters"): Note(
        f"The ECA blocks hold {eca_parameters()} parameters by the paper's equation 12. Its text "
        f"says {eca_parameters((3, 5, 5, 7))}, which is k = 3, 5, 5, 7; with these digits the "
        "total is the same."
    ),
    ("ECA-Net", "supplement", "ResNet-18", "flops"): Note(
        "{0} by the rule of table 3, which counts ReLU and max-pools.", (_flops("thop 0.0.22"),)
    ),
    ("SE-Net", "2", "SE-ResNet-50", "flops"): Note(
        "{0} without the averages, which the other three SE rows need.",
        (_flops("conv + FC + additions + scaling"),),
    ),
    ("SE-Net", "2", "ResNeXt-101 (re-implementation)", "flops"): Note(
        "Not explained. {0} with two operations for each addition, which leaves ResNeXt-50 at {1}, "
        "but makes {2} of ResNet-50.",
        (
            _additions_twice(),
            _additions_twice(builder="resnext50_32x4d"),
            _additions_twice(builder="resnet50", version="v1"),
        ),
    ),
    ("SE-Net", "3", "SE-MobileNet", "parameters"): Note(
        "With SE after the 1x1 convolutions alone. {0} with SE after every convolution.",
        (_parameters(attention="se"),),
    ),
    ("SE-Net", "3", "SE-MobileNet", "flops"): Note(
        "With SE after the 1x1 convolutions alone. {0} by the rule of table 2.",
        (_flops("conv + FC + additions + scaling + averages"),),
    ),
}
"""Notes by paper, table, row and quantity; every cell without a match has one."""

NOT_COMPUTED = {
    "A2-Nets": "Double attention (Chen et al., 2018) is no block of this course.",
    "GCNet": "The global context block (Cao et al., 2019) is no block of this course.",
    "GSoP": "Global second-order pooling (Gao et al., 2019) is no block of this course.",
    "AA-Net": "Self-attention beside convolutions (Bello et al., 2019) is not in this course.",
    "ShuffleNet": "ShuffleNet v1 is not in this course; torchvision has version 2 alone.",
}
"""Why a row was not computed, by a word in it."""
