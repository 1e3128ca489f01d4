"""The experiments of the course, made from their table."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cbam_course.config import TrainConfig

from .experiment import Experiment, Variant

TABLE = Path(__file__).with_name("experiments.toml")
"""Which experiments there are; how to read it stands at its beginning."""

REDUCTION = 4
"""Of the blocks below where the widths are given: 16 would leave no hidden unit for 8 channels."""

FULLY_CONNECTED = ("se", "channel-fc", "cbam-fc")
"""The blocks that have a reduction ratio."""


def experiments(tier: str | None = None) -> dict[str, Experiment]:
    """The experiments by name, the most valuable first.

    Args:
        tier: ``"cpu"`` or ``"gpu"``, or ``None`` for both: then those of the GPU are first.

    Raises:
        KeyError: for another tier.
    """
    made = _experiments()
    return made["gpu"] | made["cpu"] if tier is None else dict(made[tier])


def find(experiment: str | Experiment) -> Experiment:
    """An experiment by its name.

    Raises:
        ValueError: if there is none of that name.
    """
    known = experiments()
    if isinstance(experiment, str) and experiment not in known:
        raise ValueError(f"experiment must be one of {', '.join(known)}; got {experiment!r}")
    return known[experiment] if isinstance(experiment, str) else experiment


@cache
def _experiments() -> dict[str, dict[str, Experiment]]:
    """The experiments of each tier, made once: each configuration is checked, which takes time."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Experiment]] = {}
    for tier, bases in table["bases"].items():
        rows = [row for row in table["experiments"] if row.get("tier", tier) == tier]
        made = [_experiment(row, tier, bases) for row in rows]
        found[tier] = {experiment.name: experiment for experiment in made}
    return found


def _experiment(row: Mapping[str, Any], tier: str, bases: Mapping[str, Any]) -> Experiment:
    rows = row["variants"]
    baselines = {name: each.get("against") for name, each in rows.items()}
    if not any(baselines.values()):
        first, *others = rows
        baselines |= dict.fromkeys(others, first)
    variants = tuple(
        Variant(name, _config({"base": row["base"], **each}, bases), baselines[name])
        for name, each in rows.items()
    )
    start = row.get("first_seed", 0)
    seeds = tuple(range(start, start + row.get("seeds", 5)))
    is_small_version = tier == "cpu" and "tier" not in row
    name = f"small-{row['name']}" if is_small_version else row["name"]
    return Experiment(name, tier, row["question"], variants, seeds, row.get("expected", ""))


def _config(row: Mapping[str, Any], bases: Mapping[str, Any]) -> TrainConfig:
    """A row's own fields, the others from its base, and a reduction that suits the network."""
    fields = dict(row)
    while (base := fields.pop("base", None)) is not None:
        fields = bases[base] | fields
    fields.pop("against", None)
    learns = fields.get("control") != "constant"
    if learns and "widths" in fields and fields.get("attention") in FULLY_CONNECTED:
        options = fields.get("attention_options", {})
        fields["attention_options"] = {"reduction": REDUCTION, **options}
    return TrainConfig(**fields)
