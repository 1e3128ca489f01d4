"""The small trained networks that come with the package, each with the record that made it."""

import json
from pathlib import Path
from typing import Any

import cbam_course
from cbam_course.attention import ChannelAttention
from cbam_course.models import read_weights
from cbam_course.training import History, Run, build_model

FOLDER = Path(cbam_course.__file__).parent / "weights"

NOISE_ARMS = ("rgb", "plain", "gated")
"""Networks of the noise experiment, without noise, with noise, and with a gate on noisy input."""


def shipped_seeds(name: str) -> tuple[int, ...]:
    """The seeds from which the networks of one kind were trained.

    Args:
        name: ``"shapes"``, ``"cifar10"``, or one of the noise experiment: ``"noise-rgb"``,
            ``"noise-plain"``, ``"noise-gated"``.

    Raises:
        ValueError: if there is no such kind.
    """
    runs = [path.stem.rpartition("-") for path in FOLDER.glob("*.json")]
    seeds = tuple(sorted(int(seed) for kind, _, seed in runs if kind == name))
    if not seeds:
        raise ValueError(f"name must be one of {sorted({kind for kind, *_ in runs})}; got {name!r}")
    return seeds


def shipped_record(name: str, seed: int = 0) -> History:
    """The record of the run that made a network.

    Args:
        name: as :func:`shipped_seeds` takes it.
        seed: one of its seeds.

    Raises:
        ValueError: if there is no such network.
    """
    return History.from_json(_path(name, seed, ".json"))


def shipped_run(name: str, seed: int = 0) -> Run:
    """A trained network with its record.

    Args:
        name: ``"shapes"`` or ``"cifar10"``. (Of the noise experiment only the gates are shipped.)
        seed: one of its seeds.

    Returns:
        The network, in evaluation mode, and the history.

    Raises:
        ValueError: if there is no such network.
    """
    history = shipped_record(name, seed)
    if history.config.model == "custom":
        raise ValueError(f"of {name!r} the records are shipped, not the networks")
    model = build_model(history.config, len(history.data["classes"]))
    model.load_state_dict(read_weights(_path(name, seed, ".safetensors")))
    return Run(model.eval(), history)


def shipped_gate(seed: int = 0) -> ChannelAttention:
    """The trained gate on the six input channels of one network of the noise experiment.

    Args:
        seed: one of the seeds of ``"noise-gated"``.

    Returns:
        The gate, in evaluation mode.

    Raises:
        ValueError: if there is no such network.
    """
    options = shipped_record("noise-gated", seed).config.attention_options
    gate = ChannelAttention(6, **options)
    gate.load_state_dict(read_weights(_path("noise-gated", seed, ".safetensors")))
    return gate.eval()


def shipped_measurements() -> dict[int, dict[str, Any]]:
    """What :func:`~cbam_course.seeing.measure` gave for the networks on CIFAR-10's test images.

    Returns:
        From seed to measurements.
    """
    content = (FOLDER / "measured" / "cifar10.json").read_text(encoding="utf-8")
    return {int(seed): values for seed, values in json.loads(content).items()}


def _path(name: str, seed: int, suffix: str) -> Path:
    if seed not in (seeds := shipped_seeds(name)):
        raise ValueError(f"{name!r} has the seeds {', '.join(map(str, seeds))}; got {seed!r}")
    return FOLDER / f"{name}-{seed}{suffix}"
