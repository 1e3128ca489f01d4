"""The costs that three papers print, row by row, and under which conventions they come out.

CBAM's tables 1 to 5 (Woo et al., ECCV 2018, arXiv 1807.06521), ECA-Net's tables 2 and 3 and the
table of its supplement (Wang et al., CVPR 2020, arXiv 1910.03151), SE-Net's tables 2 and 3 (Hu et
al., CVPR 2018, arXiv 1709.01507) are in ``published.json``, with the errors that they print beside
the costs. Parameters and FLOPs are text with the printed number of digits (zeros at the end follow
the rest of the table) and their unit; the papers say "FLOPs" for multiply-accumulates. Errors and
accuracies are percentages on ImageNet's validation images; ECA-Net prints accuracies, from which
its errors were computed. ``cost_confirmed`` and ``error_confirmed`` are false where the printed
values were not checked against a copy of the paper.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd


def conventions() -> pd.DataFrame:
    """What each table silently assumes, so that its printed costs come out as far as they do.

    Returns:
        One row per convention: its name, the units called M and G, the version of ResNets and of
        ResNeXts (where their bottleneck blocks have the stride), whether the MLPs of SE and of CBAM
        have biases, the rule of what counts as an operation, and how all this is known.
    """
    return pd.DataFrame(stored()["conventions"])


def printed_rows(paper: str | None = None, table: str | int | None = None) -> list[dict[str, Any]]:
    """The rows as they are stored, with what reproduces them."""
    rows = [row for row in stored()["rows"] if paper in (None, row["paper"])]
    rows = [row for row in rows if table is None or str(table) == row["table"]]
    if not rows:
        tables = {name: list(known["tables"]) for name, known in stored()["papers"].items()}
        raise ValueError(f"no table {table!r} of paper {paper!r}; there are {tables}")
    return rows


@cache
def stored() -> dict[str, Any]:
    """The file ``published.json``: papers, conventions and printed rows."""
    return json.loads((files(__package__) / "published.json").read_text(encoding="utf-8"))
