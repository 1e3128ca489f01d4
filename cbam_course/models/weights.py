"""Weights for the networks: from torchvision, from files, from other people's attention blocks."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from .convert import fit_shapes, from_official, from_timm, layout, to_official, to_timm
from .files import check_state, read_weights, strip_wrappers
from .load_report import LoadReport, attention_block

Weights = Mapping[str, Tensor] | str | os.PathLike[str] | WeightsEnum
"""A state dict, the path of a file with one, or one of torchvision's weights."""


class Source(NamedTuple):
    """Weights in the course's layout, and whose they were: see :func:`read_source`."""

    state: dict[str, Tensor]
    origin: str

    def classes(self, classifier: str) -> int | None:
        """The number of classes of the layer ``classifier``, ``None`` without that layer."""
        weight = self.state.get(f"{classifier}.weight")
        return None if weight is None else weight.shape[0]


def load_weights(model: nn.Module, weights: Weights) -> LoadReport:
    """Load into ``model`` what fits, and report what was loaded and what starts fresh.

    These may start fresh: an attention block that the weights do not have; the classifier, if the
    weights have none or one for another number of classes; the first convolution, if it has another
    number of input channels or another kernel size. Attention blocks and a classifier for which the
    network has no place are left over. Everything else must fit, name by name and shape by shape;
    otherwise nothing is loaded. Values are converted to the network's precision and device.

    The checkpoints of CBAM's authors and of timm's ResNets are converted, see :func:`layout`.

    Args:
        model: the network, of the course or of torchvision.
        weights: a state dict, the path of a file (``.pth``, ``.pt`` or ``.safetensors``), or one of
            torchvision's weights, such as ``ResNet50_Weights.DEFAULT``.

    Returns:
        The :class:`LoadReport`.

    Raises:
        ValueError: if the weights do not fit, cannot be read, are not floating-point numbers, or
            belong to version 1.5 of a ResNet and the network is version 1. A file with weights of
            the course does not tell its version: that is the caller's to know.
    """
    return load_source(model, read_source(weights, version=getattr(model, "version", None)))


def read_source(weights: object, network: str | None = None, version: str | None = None) -> Source:
    """Read weights and bring them into the course's layout.

    Args:
        weights: as for :func:`load_weights`, or the name of torchvision's weights for ``network``.
        network: torchvision's name of the network.
        version: the network's version, ``"v1"``, ``"v1.5"`` or ``None``.
    """
    if isinstance(weights, str):
        weights = _named(weights, network)
    if isinstance(weights, WeightsEnum):
        _check_version(version, f"torchvision's {weights}")
        # The file comes through the network: check its hash, and do not run code from it.
        state = weights.get_state_dict(
            map_location="cpu", progress=True, check_hash=True, weights_only=True
        )
        return Source(dict(state), "torchvision")
    if isinstance(weights, str | os.PathLike):
        state = read_weights(weights)
    elif isinstance(weights, Mapping):
        check_state(weights)
        state = strip_wrappers(weights)
    else:
        raise ValueError(
            "weights must be a state dict, the path of a file, or one of torchvision's weights; "
            f"got {weights!r}"
        )
    origin = layout(state)
    if origin == "official":
        state = from_official(state)
        _check_version(version, "the checkpoints of CBAM's authors")
    elif origin == "timm":
        state = from_timm(state)
        _check_version(version, "timm's weights")
    return Source(dict(state), origin)


def load_source(model: nn.Module, source: Source) -> LoadReport:
    """Load what :func:`read_source` gave, all that has a place or nothing at all."""
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError("the network is on the meta device, which has no room for weights")
    wanted = model.state_dict()
    given = fit_shapes(source.state, model)
    # A safetensors file has no order; the report and the messages are to have one.
    given = {key: given[key] for key in sorted(given, key=_natural)}
    # BatchNorm counts its batches since PyTorch 0.4.1; older weights have no counters.
    for key, value in wanted.items():
        layer, _, name = key.rpartition(".")
        if name == "num_batches_tracked" and f"{layer}.running_mean" in given:
            given.setdefault(key, torch.zeros_like(value))

    # Numbers of another kind would be converted without a word: int8 codes, or half of a complex.
    for key, value in given.items():
        if key in wanted and wanted[key].is_floating_point() and not value.is_floating_point():
            raise ValueError(f"{key} has values of type {value.dtype}, not floating-point numbers")

    plan = _plan(wanted, given, _classifier(model), _first_convolution(model))
    if plan.problems:
        name = type(model).__name__
        raise ValueError(f"the weights do not fit {name}, nothing was loaded: {plan.problems}")
    _check_blocks(model, plan.loaded, source.origin)
    model.load_state_dict({key: given[key] for key in plan.loaded}, strict=False)
    learned = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return LoadReport(
        loaded=tuple(plan.loaded),
        fresh=tuple(plan.fresh),
        unused=tuple(plan.unused),
        loaded_parameters=sum(learned.get(key, 0) for key in plan.loaded),
        fresh_parameters=sum(learned.get(key, 0) for key in plan.fresh),
        reasons=plan.reasons,
    )


class _Plan(NamedTuple):
    """Keys to load, to leave as they are and to leave over; and in words what does not fit."""

    loaded: list[str]
    fresh: list[str]
    unused: list[str]
    reasons: dict[str, str]
    problems: str


def _plan(
    wanted: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    classifier: str | None,
    convolution: str | None,
) -> _Plan:
    """Compare a network's state dict with the weights, part by part.

    A part is an attention block, the classifier, the first convolution, or all the rest. The first
    three are loaded whole or not at all: a block with half of its weights is not the block that was
    trained.
    """
    ours: dict[str, dict[str, list[int]]] = {}
    theirs: dict[str, dict[str, list[int]]] = {}
    for state, parts in ((wanted, ours), (given, theirs)):
        for key, value in state.items():
            part = _part(key, classifier, convolution)
            parts.setdefault(part, {})[key] = list(value.shape)

    fresh, unused, reasons = set(), set(), {}
    missing, homeless, shapes = [], [], []
    for part in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(part, {}), theirs.get(part, {})
        optional = part == classifier or part == attention_block(f"{part}.")
        reason = _reason(a, b, part, classifier, convolution)
        if a == b:
            continue
        if reason or (optional and a.keys().isdisjoint(b)):
            fresh |= a.keys()
            unused |= b.keys()
            reasons |= {part: reason} if reason else {}
            continue
        missing += [key for key in a if key not in b]
        homeless += [key for key in b if key not in a]
        shapes += [f"{key} {b[key]} for {a[key]}" for key in a if key in b and a[key] != b[key]]

    return _Plan(
        [key for key in wanted if key not in fresh],
        [key for key in wanted if key in fresh],
        [key for key in given if key in unused],
        reasons,
        _problems(missing, homeless, shapes),
    )


def _natural(key: str) -> list[str | int]:
    """For sorting: ``layer2`` comes before ``layer10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", key)]


def _part(key: str, classifier: str | None, convolution: str | None) -> str:
    block = attention_block(key)
    if block is not None:
        return block
    for name in (classifier, convolution):
        if name is not None and key.startswith(f"{name}."):
            return name
    return ""


def _reason(
    ours: Mapping[str, list[int]],
    theirs: Mapping[str, list[int]],
    part: str,
    classifier: str | None,
    convolution: str | None,
) -> str:
    """Why the classifier or the first convolution may start fresh, ``""`` if it may not."""
    if ours.keys() != theirs.keys() or part not in (classifier, convolution):
        return ""
    a, b = ours.get(f"{part}.weight", []), theirs.get(f"{part}.weight", [])
    if part == classifier and a[1:] == b[1:]:
        return f"{a[0]} classes, the weights have {b[0]}"
    if part == convolution and a[:1] == b[:1] and len(a) == len(b) == 4:
        if a[1] != b[1]:
            return f"{a[1]} input channels, the weights have {b[1]}"
        return f"kernel {a[2]} x {a[3]}, the weights have {b[2]} x {b[3]}"
    return ""


def _problems(missing: list[str], homeless: list[str], shapes: list[str]) -> str:
    texts = []
    for text, keys in (
        ("not in the weights", missing),
        ("not in the network", homeless),
        ("of another shape", shapes),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            texts.append(f"{text}: {', '.join(keys[:3])}{more}")
    keys = [text.split()[0] for text in missing + homeless + shapes]
    if keys and all(map(attention_block, keys)):
        texts.append("the attention blocks were made with other options")
    return "; ".join(texts)


def _classifier(model: nn.Module) -> str | None:
    """The name of the classifier: the network says it, or it is the last linear layer."""
    linear = [name for name, layer in _backbone(model) if isinstance(layer, nn.Linear)]
    return getattr(model, "classifier_name", linear[-1] if linear else None)


def _first_convolution(model: nn.Module) -> str | None:
    return next((name for name, layer in _backbone(model) if isinstance(layer, nn.Conv2d)), None)


def _backbone(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """The modules outside of attention blocks."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if attention_block(f"{name}.") is None
    ]


def _check_blocks(model: nn.Module, loaded: Iterable[str], origin: str) -> None:
    """Refuse blocks whose weights fit but that compute something else, as with pools reordered."""
    convert_back = {"official": to_official, "timm": to_timm}.get(origin)
    if convert_back is None:
        return
    for name in dict.fromkeys(filter(None, map(attention_block, loaded))):
        try:
            convert_back(model.get_submodule(name))
        except ValueError as error:
            raise ValueError(f"nothing was loaded, for {name} is not theirs: {error}") from None


def _named(name: str, network: str | None) -> str | WeightsEnum:
    """torchvision's weights of that name for ``network``; the name of a file stays as it is."""
    try:
        known = get_model_weights(network).__members__ if network else {}
    except ValueError:
        known = {}  # torchvision has no such network
    member = name.rpartition(".")[2]  # "DEFAULT" or "ResNet50_Weights.DEFAULT"
    if name in known or (member in known and name == f"{type(known[member]).__name__}.{member}"):
        return known[member]
    if not os.path.splitext(name)[1] and not os.path.exists(name):
        names = ", ".join(map(repr, known)) or "none"
        raise ValueError(
            f"weights {name!r} are neither a file nor the name of weights: torchvision's for "
            f"{network or 'a network that is made already'}: {names}"
        )
    return name


def _check_version(version: str | None, whose: str) -> None:
    if version == "v1":
        raise ValueError(
            f"{whose} are of version 1.5, with the stride on the 3x3 convolution; make the network "
            "with version='v1.5', or it will compute something else"
        )
