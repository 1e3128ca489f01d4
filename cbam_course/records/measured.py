"""What blocks and networks once took, and what others measured on ImageNet."""

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cbam_course import plotting

MEASURED = Path(__file__).parent / "measured"

COLORS = {"SE": plotting.COLORS["se"], "CBAM": plotting.COLORS["cbam-fc"]} | dict(
    zip(("ECA", "GC", "GE", "SRM", "BAM", "SGE"), plotting.OTHER_COLORS * 2, strict=False)
)


def speed(name: str) -> pd.DataFrame:
    """The fastest of the recorded runs of ``cbam-course bench block`` or ``bench networks``.

    All of a table were measured by turns in one process; ``table.attrs`` holds the machine, the
    versions and the number of threads. Other machines give other milliseconds, and
    often other factors.

    Args:
        name: ``"block"``: CBAM, with a row per ``shape``, ``layout`` and ``block``; or
            ``"networks"``, with a row per ``network`` and ``block``. The columns ``training``
            (forward and backward) and ``inference`` are in milliseconds; of networks ``kept`` and
            ``peak``, the memory of a pass, are in megabytes (of 10^6 bytes), as counted by
            :func:`~cbam_course.cost.traffic`.

    Raises:
        FileNotFoundError: for another name.
    """
    found = json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(found.pop("rows"))
    kinds = ["training", "inference"]
    table[kinds] = table[kinds].map(min)
    if "shape" in table:
        table["shape"] = table["shape"].map(tuple)
    else:
        table[["kept", "peak"]] /= 1e6
    table.attrs = found
    return table


def imagenet_pairs() -> pd.DataFrame:
    """Public pairs of one network without and with a block, trained by the same recipe.

    Each was read in the file of a public repository that its row names. Pairs whose networks or
    recipes differ in more than the block are left out. All are the maintainers' own runs, most of
    them one run each.

    Returns:
        A row per pair: ``network``; ``parameters`` without the block, in millions; ``block``;
        ``without`` and ``with``, top-1 accuracies on the validation images in percent;
        ``difference``; ``plus_minus``, the spread of the difference where spreads of both are
        printed (the source does not say of what kind), else NaN; and ``source``, with the commit.
    """
    pairs = pd.read_csv(MEASURED / "imagenet.csv")
    pairs.insert(5, "difference", pairs["with"] - pairs["without"])
    return pairs


@plotting.course_style()
def show_imagenet_pairs() -> Figure:
    """Draw the differences of :func:`imagenet_pairs` against the size of the network.

    Lines mark those whose source prints a spread; everything else is a difference of single runs.
    """
    pairs = imagenet_pairs()
    figure, ((axes,),) = plotting.page(1, 1, 4.4)
    axes.axhline(0, color=plotting.INK, linewidth=1)
    for number, (block, color) in enumerate(COLORS.items()):
        own = pairs[pairs["block"] == block]
        at = own["parameters"], own["difference"]
        axes.errorbar(*at, yerr=own["plus_minus"], fmt="none", ecolor=color, elinewidth=2)
        axes.plot(*at, "osD^vPX*"[number], color=color, label=block, markersize=7)
    axes.set_xscale("log")
    axes.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axes.minorticks_off()
    axes.grid(axis="y")
    axes.set(xlabel="parameters of the network without the block, millions")
    axes.set_ylabel("top-1 with the block minus without, points")
    axes.legend(ncols=2)
    return figure
