"""The costs that three papers print, cell by cell, and under which conventions they come out."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from .rules import RULES

COLUMNS = (
    "paper", "table", "row", "parameters", "flops", "parameter_formula",
    "top1_error", "top5_error", "top1_accuracy", "top5_accuracy",
    "cost_confirmed", "error_confirmed",
)  # fmt: skip


def published(paper: str | None = None, table: str | int | None = None) -> pd.DataFrame:
    """The printed rows of tables that compare attention blocks by cost and accuracy.

    CBAM's tables 1 to 5 (Woo et al., ECCV 2018, arXiv 1807.06521), ECA-Net's tables 2 and 3 and the
    table of its supplement (Wang et al., CVPR 2020, arXiv 1910.03151), SE-Net's tables 2 and 3 (Hu
    et al., CVPR 2018, arXiv 1709.01507).

    Args:
        paper: ``"CBAM"``, ``"ECA-Net"`` or ``"SE-Net"``; all of them if ``None``.
        table: its number, or ``"supplement"``; all tables if ``None``.

    Returns:
        One row for each printed row. The columns ``parameters`` and ``flops`` are text with the
        printed number of digits (zeros at the end follow the rest of the table), followed by their
        unit: ``"25.56 M"``, ``"3.858 G"``; the papers say "FLOPs" for multiply-accumulates.
        Errors and accuracies are percentages on ImageNet's validation images; ECA-Net prints
        accuracies, from which its errors were computed. What a table does not print is missing.
        ``cost_confirmed`` and ``error_confirmed`` are false where the printed values were not
        checked against a copy of the paper.

    Raises:
        ValueError: if there is no such paper or table.
    """
    rows = printed_rows(paper, table)
    return pd.DataFrame(rows, columns=list(COLUMNS)).dropna(axis="columns", how="all")


def conventions() -> pd.DataFrame:
    """What each table silently assumes, so that its printed costs come out as far as they do.

    Returns:
        One row per convention: its name, the units called M and G, the version of ResNets and of
        ResNeXts (where their bottleneck blocks have the stride), whether the MLPs of SE and of CBAM
        have biases, the rule of what counts as an operation and its formula, how often a layer
        counts that runs several times, and how all this is known.
    """
    table = pd.DataFrame(stored()["conventions"])
    rules = table["rule"].map(RULES)
    table.insert(8, "formula", rules.map(lambda rule: rule.formula))
    shared = rules.map(lambda rule: "once, as its last run" if rule.once else "each time it runs")
    table.insert(9, "a shared layer", shared)
    return table


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
