"""The printed costs, computed again, cell by cell."""

import pandas as pd

from .conventions import CONVENTIONS, convention_of
from .networks import network_cost, network_of
from .notes import NOT_COMPUTED, NOTES, Note
from .published import printed_rows, unit

QUANTITIES = ("parameters", "flops")


def reproduce(paper: str | None = None, table: str | int | None = None) -> pd.DataFrame:
    """Compute every printed number of parameters and FLOPs again.

    The networks are made on the meta device, for an image of 224 x 224, and counted under the
    convention of their table (see :func:`conventions`).

    Args:
        paper, table: which tables, as for :func:`published`.

    Returns:
        One row per printed cell, with columns ``paper``, ``table``, ``row``, ``quantity``
        (``"parameters"`` or ``"FLOPs"``, the papers' word for the operations they count),
        ``printed`` and ``computed`` (text with as many digits as are printed, and the unit),
        ``match`` (missing where nothing was computed), ``convention`` (its name), ``alternative``
        (what another reading gives, which ``note`` explains) and ``confirmed`` (whether the printed
        value was checked against a copy of the paper). Every cell without a match has a note.

    Raises:
        ValueError: if there is no such paper or table.
    """
    cells = [
        _cell(row, quantity)
        for row in printed_rows(paper, table)
        for quantity in QUANTITIES
        if quantity in row
    ]
    columns = (
        "paper", "table", "row", "quantity", "printed", "computed", "match", "convention",
        "alternative", "note", "confirmed",
    )  # fmt: skip
    return pd.DataFrame(cells, columns=list(columns)).astype({"match": "boolean"})


def network_costs() -> pd.DataFrame:
    """What the networks of CBAM's tables 4 and 5 cost, alone, with SE and with CBAM.

    Returns:
        One row per network and attention, with columns ``network`` (as printed), ``attention``
        (``"none"``, ``"se"`` or ``"cbam-fc"``), ``parameters`` and ``macs``, plain counts under the
        convention ``"CBAM"``.
    """
    names = {"": "none", "SE": "se", "CBAM": "cbam-fc"}
    rows = []
    for printed in (*printed_rows("CBAM", 4), *printed_rows("CBAM", 5)):
        network, _, attention = printed["row"].partition(" + ")
        made = network_of("CBAM", printed["table"], printed["row"])
        parameters, macs = network_cost(made, CONVENTIONS["CBAM"].rule)
        rows.append((network, names[attention], parameters, macs))
    return pd.DataFrame(rows, columns=["network", "attention", "parameters", "macs"])


def _cell(row: dict, quantity: str) -> dict:
    paper, table, printed = row["paper"], row["table"], row[quantity]
    name = convention_of(paper, table)
    convention = CONVENTIONS[name]
    letter = unit(paper, table, quantity)
    digits = len(printed.partition(".")[2])

    def rounded(number: int) -> str:
        return f"{number / convention.unit(letter):.{digits}f}"

    network = network_of(paper, table, row["row"])
    note = NOTES.get((paper, table, row["row"], quantity), Note(""))
    computed, match, others = "not computed", pd.NA, []
    if network is None:
        note = Note(next(text for word, text in NOT_COMPUTED.items() if word in row["row"]))
    else:
        computed = rounded(network_cost(network, convention.rule)[QUANTITIES.index(quantity)])
        match = computed == printed
        others = [rounded(other(network, convention.rule)) for other in note.counts]
        computed += f" {letter}"
    return {
        "paper": paper,
        "table": table,
        "row": row["row"],
        "quantity": "FLOPs" if quantity == "flops" else quantity,
        "printed": f"{printed} {letter}",
        "computed": computed,
        "match": match,
        "convention": name,
        "alternative": f"{others[0]} {letter}" if others else "",
        "note": note.text.format(*others),
        "confirmed": row["cost_confirmed"],
    }
