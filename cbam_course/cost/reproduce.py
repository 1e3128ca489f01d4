"""The printed costs, computed again, cell by cell."""

from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import nn

from cbam_course.attention import (
    AttentionFactory,
    SqueezeExcitation,
    attention_blocks,
    make_attention,
)
from cbam_course.models import make_model

from .bam import BAM
from .layers import follow
from .published import printed_rows, stored
from .rules import RULES, operations

UNITS = {"10^6": 10**6, "10^9": 10**9, "2^20": 2**20, "2^30": 2**30}

BLOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "se": ("se", {}),
    "se, pointwise": ("se", {}),
    "max": ("channel-fc", {"pools": "max"}),
    "channel": ("channel-fc", {}),
    "1x1 conv, k=3": ("cbam-fc", {"kernel_size": 3, "spatial_options": {"pools": "conv"}}),
    "1x1 conv, k=7": ("cbam-fc", {"kernel_size": 7, "spatial_options": {"pools": "conv"}}),
    "cbam, k=3": ("cbam-fc", {"kernel_size": 3}),
    "cbam": ("cbam-fc", {}),
    "eca": ("eca", {}),
    "bam": ("none", {}),
    "rounded se": ("se", {}),
}
"""The attention of a stored row: the name of a block and its options.

``"bam"`` is a BAM after each of the first three stages; with ``"se, pointwise"`` only MobileNet's
1x1 convolutions have a block; ``"rounded se"`` has round(C / 16) hidden units instead of C // 16.
"""


@cache
def costs(
    name: str, attention: str = "none", *, bias: bool = True, version: str = "v1.5", **options: Any
) -> dict[str, int]:
    """The number of parameters of a network, and its operations for 224 x 224 pixels by each rule.

    Args:
        name, options: as for :func:`~cbam_course.models.make_model`.
        attention: a key of :data:`BLOCKS`.
        bias: whether the attention's MLP has biases.
        version: ``"v1"`` or ``"v1.5"``, of networks with bottleneck blocks.
    """
    if name.endswith(("50", "101", "32x4d")):
        options["version"] = version
    with torch.device("meta"):  # shapes without values
        network = make_model(name, _factory(attention, bias), **options)
        if attention == "bam":
            for stage in (network.layer1, network.layer2, network.layer3):
                stage.append(BAM(stage[-1].conv3.out_channels))
    if attention == "se, pointwise":  # of MobileNet: after the first block, 3x3 and 1x1 take turns
        names = list(attention_blocks(network))
        for block in names[:1] + names[1::2]:
            parent, _, child = block.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Identity())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # It changes no shape and no count, and takes half of the time on the meta device.
            module.forward = lambda x: x
    network, runs = follow(network)
    parameters = sum(p.numel() for p in network.parameters())
    return {"parameters": parameters} | {rule: operations(rule, runs) for rule in RULES}


def _factory(attention: str, bias: bool) -> AttentionFactory | None:
    if attention == "rounded se":
        return _rounded_se
    name, options = BLOCKS[attention]
    mlp = {"bias": bias, "layer": "linear"}
    if name == "cbam-fc":
        return make_attention(name, **options, channel_options=mlp)
    return make_attention(name, **options, **(mlp if name in ("se", "channel-fc") else {}))


def _rounded_se(channels: int) -> nn.Module:
    block, hidden = SqueezeExcitation(channels), round(channels / 16)
    block.mlp[0] = nn.Conv2d(channels, hidden, 1)
    block.mlp[2] = nn.Conv2d(hidden, channels, 1)
    return block


def reproduce(paper: str | None = None, table: str | int | None = None) -> pd.DataFrame:
    """Compute every printed number of parameters and FLOPs again.

    The networks are made on the meta device, for an image of 224 x 224, and counted under the
    convention of their table (see :func:`conventions`).

    Args:
        paper: ``"CBAM"``, ``"ECA-Net"`` or ``"SE-Net"``; all of them if ``None``.
        table: its number, or ``"supplement"``; all tables if ``None``.

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
        for quantity in ("parameters", "flops")
        if quantity in row
    ]
    return pd.DataFrame(cells).astype({"match": "boolean"})


def _cell(row: dict[str, Any], quantity: str) -> dict[str, Any]:
    printed, letter = row[quantity].split()
    digits = len(printed.partition(".")[2])
    convention = _convention(row)
    key = "parameters" if quantity == "parameters" else convention["rule"]

    def told(reading: list) -> str:
        """A sum of counts, each a factor and what is changed in the network or the rule."""
        total = 0
        for factor, changes in reading:
            network = _network(row) | changes
            rule = network.pop("rule", key)
            total += factor * costs(**network)[rule]
        return f"{total / UNITS[convention[letter]]:.{digits}f}"

    note = row.get("notes", {}).get(quantity, {"text": row.get("note", ""), "readings": []})
    others = [told(reading) for reading in note["readings"]]
    computed = told([[1, {}]]) if "network" in row else None
    return {
        "paper": row["paper"],
        "table": row["table"],
        "row": row["row"],
        "quantity": "FLOPs" if quantity == "flops" else quantity,
        "printed": row[quantity],
        "computed": f"{computed} {letter}" if computed else "not computed",
        "match": computed == printed if computed else pd.NA,
        "convention": row["convention"],
        "alternative": f"{others[0]} {letter}" if others else "",
        "note": note["text"].format(*others),
        "confirmed": row["cost_confirmed"],
    }


def _convention(row: dict[str, Any]) -> dict[str, str]:
    return next(c for c in stored()["conventions"] if c["convention"] == row["convention"])


def _network(row: dict[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`costs` for a row under its convention."""
    convention, network = _convention(row), row["network"]
    block = "SE" if network["attention"].startswith("se") else "CBAM"
    family = "ResNeXt" if network["name"].startswith("resnext") else "ResNet"
    bias = convention[f"{block}'s MLP"] == "with bias"
    return {"bias": bias, "version": convention[family], **network}


def network_costs() -> pd.DataFrame:
    """What the networks of CBAM's tables 4 and 5 cost, alone, with SE and with CBAM.

    Returns:
        One row per network and attention, with columns ``network`` (as printed), ``attention``
        (``"none"``, ``"se"`` or ``"cbam-fc"``), ``parameters`` and ``macs``, plain counts under the
        convention ``"CBAM"``.
    """
    rows = []
    for row in (*printed_rows("CBAM", 4), *printed_rows("CBAM", 5)):
        found, (attention, _) = costs(**_network(row)), BLOCKS[row["network"]["attention"]]
        name = row["row"].partition(" + ")[0]
        rows.append((name, attention, found["parameters"], found["conv + FC"]))
    return pd.DataFrame(rows, columns=["network", "attention", "parameters", "macs"])
