"""What an experiment is: configurations to be compared, each with several seeds."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cbam_course.config import TrainConfig

DEFAULTS = TrainConfig().to_dict()


@dataclass(frozen=True)
class Variant:
    """One of the configurations that an experiment compares.

    Args:
        name: what it is called in tables and figures.
        config: the configuration, with any seed.
        baseline: name of the variant it is compared with; ``None`` for a baseline itself.
    """

    name: str
    config: TrainConfig
    baseline: str | None = None


@dataclass(frozen=True)
class Experiment:
    """A question put to several configurations, all with the same seeds.

    Args:
        name: its name on the command line.
        tier: ``"cpu"`` for one that any computer can do, or ``"gpu"``.
        question: what it asks.
        variants: the configurations to be compared.
        seeds: the seeds of each variant. The same seeds for all make the differences paired.
        expected: the answer that was expected, written down before the first run.

    Raises:
        ValueError: if names are repeated, or a baseline is none of the variants.
    """

    name: str
    tier: str
    question: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    expected: str = ""

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"experiment {self.name!r} has two variants of one name: {names}")
        if unknown := {variant.baseline for variant in self.variants} - {None, *names}:
            raise ValueError(f"a baseline must be one of {names}, got {', '.join(unknown)}")

    def runs(self) -> Iterator[tuple[Variant, TrainConfig]]:
        """The configuration of every run: all variants with the first seed, then with the next."""
        for seed in self.seeds:
            for variant in self.variants:
                yield variant, replace(variant.config, seed=seed)


def run_name(config: TrainConfig | Mapping[str, Any]) -> str:
    """The name of a run's record: the same for the same configuration, whatever the device.

    It is made of the fields that are not the defaults, so that a field added later, with a default
    that changes nothing, leaves the names of older records as they are.

    Args:
        config: the configuration, or what its ``to_dict`` gives, as it is in a record.

    Example:
        >>> run_name(TrainConfig(attention="se", seed=3))
        'cifar-cnn-se-4f963494-seed3'
    """
    values = config.to_dict() if isinstance(config, TrainConfig) else config
    decisive = {
        name: value
        for name, value in values.items()
        if name not in ("device", "seed") and value != DEFAULTS[name]
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    block = values["attention"].replace(":", "-")  # a file's name, on Windows too
    return f"{values['model']}-{block}-{digest[:8]}-seed{values['seed']}"
