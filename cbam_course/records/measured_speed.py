"""What blocks and networks once took: the files that ``cbam-course bench ... --json`` wrote."""

import json
from pathlib import Path

import pandas as pd

MEASURED = Path(__file__).parent / "measured"


def speed(name: str) -> pd.DataFrame:
    """The fastest of the recorded runs of ``cbam-course bench block`` or ``bench networks``.

    All of a table were measured by turns in one process; ``table.attrs`` holds the machine, the
    versions and the number of threads. Other machines give other milliseconds, and
    often other factors.

    Args:
        name: ``"block"``: forward and backward passes of CBAM, with a row per ``shape``,
            ``layout`` and ``block``, and columns ``training`` and ``inference`` in milliseconds;
            or ``"networks"``: training steps, with a row per ``network`` and ``block``, and columns
            ``milliseconds``, and ``kept`` and ``peak`` in megabytes (of 10^6 bytes), as counted by
            :func:`~cbam_course.cost.traffic`.

    Raises:
        ValueError: for another name.
    """
    if name not in ("block", "networks"):
        raise ValueError(f"name should be 'block' or 'networks', got {name!r}.")
    found = json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))
    rows = found.pop("rows")
    if name == "networks":
        table = pd.DataFrame(
            {
                "network": row["network"],
                "block": row["block"],
                "milliseconds": 1e3 * min(row["seconds"]),
                "kept": row["kept"] / 1e6,
                "peak": row["peak"] / 1e6,
            }
            for row in rows
        )
    else:
        table = pd.DataFrame(
            {
                "shape": tuple(row["shape"]),
                "layout": row["layout"],
                "block": block,
                "training": min(row["training"][block]),
                "inference": min(row["inference"][block]),
            }
            for row in rows
            for block in row["training"]
        )
    table.attrs = found
    return table
