"""What was loaded into a network, and what was not, for people to read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadReport:
    """What :func:`~cbam_course.models.load_weights` did; printed, it is a few lines.

    Keys are those of the network's state dict: parameters, and the statistics of its BatchNorms.

    Attributes:
        loaded: keys that took their values from the weights.
        fresh: keys that kept their fresh values.
        unused: keys of the weights that have no place in the network, or not with their shape.
        loaded_parameters: how many learned numbers ``loaded`` holds, statistics not counted.
        fresh_parameters: the same of ``fresh``.
        reasons: why a layer that the weights do have starts fresh, by its name.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    loaded_parameters: int
    fresh_parameters: int
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        blocks, layers = _split(self.loaded)
        counts = f"{_tensors(self.loaded)}, {self.loaded_parameters:,} parameters"
        loaded = [f"{counts}: {_outermost(layers)}" if layers else counts, _blocks(blocks)]

        blocks, layers = _split(self.fresh)
        reasons = [f" ({self.reasons[name]})" if name in self.reasons else "" for name in layers]
        fresh = [_blocks(blocks), *map("".join, zip(layers, reasons, strict=True))]

        blocks, layers = _split(self.unused)
        unused = [", ".join(layers), _blocks(blocks)]

        lines = []
        for label, rows in (("loaded", loaded), ("starts fresh", fresh), ("unused", unused)):
            for row in list(filter(None, rows)) or ["nothing"]:
                lines.append(f"{label:14}{row}")
                label = ""
        return "\n".join(lines)


def attention_block(key: str) -> str | None:
    """The name of the attention block that ``key`` belongs to, ``None`` outside of them.

    >>> attention_block("layer1.0.attention.mlp.0.weight")
    'layer1.0.attention'
    """
    parts = key.split(".")[:-1]
    if "attention" in parts:
        return ".".join(parts[: parts.index("attention") + 1])
    # The two places of MobileNetV2 that have a name of their own.
    return parts[0] if parts[:1] in (["first"], ["last"]) else None


def _tensors(keys: tuple[str, ...]) -> str:
    return f"{len(keys)} tensor{'' if len(keys) == 1 else 's'}"


def _split(keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of the attention blocks and of the other layers of ``keys``, each once, in order."""
    blocks: dict[str, None] = {}
    layers: dict[str, None] = {}
    for key in keys:
        block = attention_block(key)
        if block is None:
            layers[key.rpartition(".")[0] or key] = None
        else:
            blocks[block] = None
    return list(blocks), list(layers)


def _blocks(names: list[str]) -> str:
    """``16 attention blocks: layer1.0.attention to layer4.2.attention``."""
    if not names:
        return ""
    which = ", ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"
    return f"{len(names)} attention block{'s' if len(names) > 1 else ''}: {which}"


def _outermost(layers: Iterable[str]) -> str:
    """The outermost modules of these layers; runs such as layer1, layer2, layer3 in short."""
    runs: list[list[str]] = []
    for name in dict.fromkeys(layer.split(".")[0] for layer in layers):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _follows(name: str, next_name: str) -> bool:
    """Whether ``next_name`` is ``name`` with the next number, as layer2 after layer1."""
    match = re.fullmatch(r"(\D+)(\d+)", name)
    return match is not None and next_name == f"{match[1]}{int(match[2]) + 1}"
