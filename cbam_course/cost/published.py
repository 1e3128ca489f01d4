"""The costs that three papers print, cell by cell."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from ..attention.block import check_choice

COLUMNS = (
    "paper", "table", "row", "parameters", "flops", "parameter_formula",
    "top1_error", "top5_error", "top1_accuracy", "top5_accuracy",
    "cost_confirmed", "error_confirmed",
)  # fmt: skip


def published(paper: str | None = None, table: str | int | None = None) -> pd.DataFrame:
    """The printed rows of tables that compare attention blocks by cost and accuracy.

    CBAM's tables 1 to 5, ECA-Net's tables 2 and 3 and the table of its supplement, SE-Net's tables
    2 and 3. Where the papers come from is in :func:`sources`.

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
    papers = _data()["papers"]
    rows = []
    for row in printed_rows(paper, table):
        units = papers[row["paper"]]["tables"][row["table"]]
        row = dict(row)
        for quantity in ("parameters", "flops"):
            if quantity in row:
                row[quantity] = f"{row[quantity]} {units[quantity]}"
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).dropna(axis="columns", how="all")


def sources() -> pd.DataFrame:
    """The papers behind :func:`published`: authors, title, venue, year and arXiv number of each."""
    return pd.DataFrame(
        [
            {"paper": name, **{key: value for key, value in paper.items() if key != "tables"}}
            for name, paper in _data()["papers"].items()
        ]
    )


def printed_rows(paper: str | None = None, table: str | int | None = None) -> list[dict[str, Any]]:
    """The rows as they are stored: costs as text, without their unit."""
    papers = _data()["papers"]
    if paper is not None:
        check_choice("paper", paper, papers)
    known = {t: name for name in papers if paper in (None, name) for t in papers[name]["tables"]}
    if table is not None and str(table) not in known:
        raise ValueError(
            f"table of {paper or 'any paper'} must be one of {', '.join(map(repr, sorted(known)))};"
            f" got {table!r}"
        )
    return [
        row
        for row in _data()["rows"]
        if paper in (None, row["paper"]) and (table is None or str(table) == row["table"])
    ]


def unit(paper: str, table: str, quantity: str) -> str:
    """The unit in which a table prints ``"parameters"`` or ``"flops"``: ``"M"`` or ``"G"``."""
    return _data()["papers"][paper]["tables"][table][quantity]


@cache
def _data() -> dict[str, Any]:
    return json.loads((files(__package__) / "published.json").read_text(encoding="utf-8"))
