"""Weights for the networks: read from files or from torchvision, loaded with a report."""

import os
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from .convert import DIALECTS, check_alike, from_layout, layout, strip_wrappers

Weights = Mapping[str, Tensor] | str | os.PathLike[str] | WeightsEnum
"""A state dict, the path of a file with one, or one of torchvision's weights."""


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_weights` did; printed, it is a few lines.

    Keys are those of the network's state dict: parameters, and the statistics of its BatchNorms.

    Attributes:
        loaded: keys that took their values from the weights.
        fresh: keys that kept their fresh values.
        unused: keys of the weights that the network does not have, or not with their shape.
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
        blocks, layers = _blocks_and_layers(self.loaded)
        tensors = f"{len(self.loaded)} tensor{'' if len(self.loaded) == 1 else 's'}"
        counts = f"{tensors}, {self.loaded_parameters:,} parameters"
        loaded = [f"{counts}: {_outermost(layers)}" if layers else counts, blocks]

        blocks, layers = _blocks_and_layers(self.fresh)
        reasons = [f" ({self.reasons[name]})" if name in self.reasons else "" for name in layers]
        fresh = [blocks, *map("".join, zip(layers, reasons, strict=True))]

        blocks, layers = _blocks_and_layers(self.unused)
        unused = [", ".join(layers), blocks]

        lines = []
        for label, rows in (("loaded", loaded), ("starts fresh", fresh), ("unused", unused)):
            for row in list(filter(None, rows)) or ["nothing"]:
                lines.append(f"{label:14}{row}")
                label = ""
        return "\n".join(lines)


def load_weights(model: nn.Module, weights: Weights) -> LoadReport:
    """Load into ``model`` what fits, and report what was loaded and what starts fresh.

    These may start fresh: an attention block that the weights do not have; the classifier, if the
    weights have none or one for another number of classes; the first convolution, if it has another
    number of input channels or another kernel size. Attention blocks and a classifier that the
    network does not have are left over. Everything else must fit, name by name and shape by shape;
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
        OSError: if the file is not there or cannot be read.
    """
    return load_source(model, *read_source(weights, version=getattr(model, "version", None)))


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU.

    A name that ends in ``.safetensors`` is read as that, any other as a file of ``torch.save``,
    with ``weights_only=True``: a file that would run code when it is unpickled is refused. Of a
    checkpoint the state dict is taken, from its entry ``"state_dict"`` or ``"model"``. If every key
    begins with ``module.`` or ``_orig_mod.``, as ``nn.DataParallel`` and ``torch.compile`` make
    them, that is left out.

    Args:
        path: the file.

    Returns:
        A plain ``dict`` of tensors without gradients.

    Raises:
        ValueError: if the file is empty, torn, damaged, or holds anything else than tensors by
            name.
        OSError: if it is not there or cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        if path.suffix.lower() == ".safetensors":
            content = safetensors.torch.load(data)
        else:
            content = _unpickle(data)
    except Exception as error:  # which one depends on which bytes are wrong
        # PyTorch's own message advises to run the code in the file; this one does not.
        code = re.search(r"GLOBAL ([\w.]*\w)", str(error))
        if code and isinstance(error, pickle.UnpicklingError):
            raise ValueError(
                f"{path} holds more than tensors: reading it would run {code[1]}, so it was not "
                "read. If it is a whole model, save its model.state_dict() instead"
            ) from None
        raise ValueError(f"{path} is empty, torn, or not a file of weights") from None
    for entry in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
    _check_state(content, str(path))
    return strip_wrappers({key: value.detach() for key, value in content.items()})


def _unpickle(data: bytes) -> Any:
    file = BytesIO(data)
    # PyTorch does not look at the checksums that its own zip files carry.
    if is_zipfile(file):
        with ZipFile(file) as archive:
            if archive.testzip():
                raise ValueError("a checksum is wrong")
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they announce what is refused next
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_state(state: object, what: str) -> None:
    entries = state.items() if isinstance(state, Mapping) else ()
    strange = [
        f"{key!r}: {value!r}"
        for key, value in entries
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if not entries:
        strange = ["nothing" if isinstance(state, Mapping) else f"a {type(state).__name__}"]
    if strange:
        raise ValueError(f"{what} is no state dict, tensors by name: it has {strange[0]:.80}")


def read_source(
    weights: object, network: str | None = None, version: str | None = None
) -> tuple[dict[str, Tensor], str]:
    """Read weights and bring them into the course's layout.

    Args:
        weights: as for :func:`load_weights`, or the name of torchvision's weights for ``network``.
        network: torchvision's name of the network.
        version: the network's version, ``"v1"``, ``"v1.5"`` or ``None``.

    Returns:
        The weights, and whose they are: ``"torchvision"``, or their :func:`layout`.
    """
    is_name = isinstance(weights, str) and not os.path.splitext(weights)[1]
    if is_name and not os.path.exists(weights):
        try:
            weights = get_model_weights(network or "")[weights]
        except (KeyError, ValueError):
            raise ValueError(
                f"weights {weights!r} are neither a file nor the name of torchvision's weights for "
                f"{network or 'this network'}, such as 'DEFAULT'"
            ) from None
    state: Mapping[str, Tensor] = {}
    if isinstance(weights, str | os.PathLike):
        state = read_weights(weights)
    elif not isinstance(weights, WeightsEnum):
        _check_state(weights, "what was given as weights")
        state = strip_wrappers(weights)
    whose = "torchvision" if isinstance(weights, WeightsEnum) else layout(state)
    if version == "v1" and whose != "course":
        raise ValueError(
            f"weights of {whose!r} are of version 1.5, with the stride on the 3x3 convolution; "
            "make the network with version='v1.5', or it will compute something else"
        )
    if isinstance(weights, WeightsEnum):
        # The file comes through the network: check its hash, and do not run code from it.
        state = weights.get_state_dict(
            map_location="cpu", progress=True, check_hash=True, weights_only=True
        )
    return (from_layout(state, whose) if whose in DIALECTS else dict(state)), whose


def number_of_classes(state: Mapping[str, Tensor]) -> int | None:
    """The number of classes of weights of one of the course's networks; ``None`` if not told."""
    heads = _linear_layers(state)
    return state[f"{heads[-1]}.weight"].shape[0] if heads else None


def load_source(model: nn.Module, state: Mapping[str, Tensor], whose: str) -> LoadReport:
    """Load what :func:`read_source` gave, all that fits or nothing at all."""
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError("the network is on the meta device, which has no room for weights")
    wanted, given = model.state_dict(), dict(state)
    for key, value in wanted.items():
        layer, _, name = key.rpartition(".")
        if name == "num_batches_tracked" and f"{layer}.running_mean" in given:
            # BatchNorm counts its batches since PyTorch 0.4.1; older weights have no counters.
            given.setdefault(key, torch.zeros_like(value))
        if key in given and value.is_floating_point() and not given[key].is_floating_point():
            # It would be converted without a word: int8 codes, or half of a complex number.
            kind = given[key].dtype
            raise ValueError(f"{key} has values of type {kind}, not floating-point numbers")
        if key in given and name == "weight" and attention_block(key):
            given[key] = _respell(given[key], value)

    fresh, unused, reasons, problems = _compare(model, wanted, given)
    if problems:
        name = type(model).__name__
        raise ValueError(f"the weights do not fit {name}, nothing was loaded: {problems}")
    loaded = [key for key in wanted if key not in fresh]
    if whose in DIALECTS:
        for block in dict.fromkeys(filter(None, map(attention_block, loaded))):
            check_alike(model.get_submodule(block), whose, f"nothing was loaded: {block}")
    model.load_state_dict({key: given[key] for key in loaded}, strict=False)
    learned = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return LoadReport(
        loaded=tuple(loaded),
        fresh=tuple(key for key in wanted if key in fresh),
        unused=tuple(key for key in given if key in unused),
        loaded_parameters=sum(learned.get(key, 0) for key in loaded),
        fresh_parameters=sum(learned.get(key, 0) for key in fresh),
        reasons=reasons,
    )


def _compare(
    model: nn.Module, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]
) -> tuple[set[str], set[str], dict[str, str], str]:
    """Compare a network's state dict with the weights, part by part.

    A part is an attention block, a classifier, the first convolution, or all the rest. The first
    three are loaded whole or not at all: a block with half of its weights is not the block that was
    trained.

    Returns:
        Keys to leave as they are, keys to leave over, reasons, and in words what does not fit.
    """
    layers = [(name, m) for name, m in model.named_modules() if not attention_block(f"{name}.")]
    convolution = next((name for name, layer in layers if isinstance(layer, nn.Conv2d)), None)
    # The network's last linear layer, and the last one that it does not have.
    heads = [name for name, layer in layers if isinstance(layer, nn.Linear)][-1:]
    heads += _linear_layers({key: given[key] for key in given if key not in wanted})[-1:]

    def parts(state: Mapping[str, Tensor]) -> dict[str, dict[str, list[int]]]:
        found: dict[str, dict[str, list[int]]] = {}
        for key, value in state.items():
            layer = key.rpartition(".")[0]
            part = attention_block(key) or (layer if layer in (*heads, convolution) else "")
            found.setdefault(part, {})[key] = list(value.shape)
        return found

    ours, theirs = parts(wanted), parts(given)
    fresh, unused, reasons, problems = set(), set(), {}, []
    for part in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(part, {}), theirs.get(part, {})
        if a == b:
            continue
        x, y = a.get(f"{part}.weight", []), b.get(f"{part}.weight", [])
        if part in heads and a.keys() == b.keys() and x[1:] == y[1:]:
            reasons[part] = f"{x[0]} classes, the weights have {y[0]}"
        elif part == convolution and a.keys() == b.keys() and x[:1] == y[:1]:
            reasons[part] = f"of shape {x}, the weights have {y}"
        if part in reasons or (part not in ("", convolution) and a.keys().isdisjoint(b)):
            fresh |= a.keys()
            unused |= b.keys()
            continue
        other = [key for key in a if key in b and a[key] != b[key]]
        problems += [("not in the weights", key) for key in a if key not in b]
        problems += [("not in the network", key) for key in b if key not in a]
        problems += [("of another shape", f"{key} {b[key]} for {a[key]}") for key in other]

    texts = []
    for what in dict.fromkeys(what for what, _ in problems):
        keys = [key for kind, key in problems if kind == what]
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        texts.append(f"{what}: {', '.join(keys[:3])}{more}")
    if problems and all(attention_block(key.split()[0]) for _, key in problems):
        texts.append("the attention blocks were made with other options")
    return fresh, unused, reasons, "; ".join(texts)


def attention_block(key: str) -> str | None:
    """The name of the attention block that ``key`` belongs to, ``None`` outside of them.

    >>> attention_block("layer1.0.attention.mlp.0.weight")
    'layer1.0.attention'
    """
    parts = key.split(".")[:-1]
    if "attention" in parts:
        return ".".join(parts[: parts.index("attention") + 1])
    # Two blocks of MobileNetV2 have names of their own.
    return parts[0] if parts[:1] in (["first"], ["last"]) else None


def _linear_layers(state: Mapping[str, Tensor]) -> list[str]:
    return [
        key.removesuffix(".weight")
        for key, value in state.items()
        if key.endswith(".weight") and value.dim() == 2 and not attention_block(key)
    ]


def _respell(value: Tensor, wanted: Tensor) -> Tensor:
    """The weight ``[h, C]`` of a linear layer as ``[h, C, 1, 1]`` of a convolution, or back."""
    short, long = sorted((tuple(value.shape), tuple(wanted.shape)), key=len)
    return value.reshape(wanted.shape) if long == (*short, 1, 1) else value


def _blocks_and_layers(keys: Iterable[str]) -> tuple[str, list[str]]:
    """The attention blocks of ``keys`` in words, and the names of the other layers, in order."""
    blocks = list(dict.fromkeys(filter(None, map(attention_block, keys))))
    outside = [key for key in keys if not attention_block(key)]
    layers = list(dict.fromkeys(key.rpartition(".")[0] or key for key in outside))
    if not blocks:
        return "", layers
    which = ", ".join(blocks) if len(blocks) < 3 else f"{blocks[0]} to {blocks[-1]}"
    return f"{len(blocks)} attention block{'s' if len(blocks) > 1 else ''}: {which}", layers


def _outermost(layers: Iterable[str]) -> str:
    """The outermost modules of these layers; layer1, layer2, layer3 in short: layer1 to layer3."""
    runs: list[list[str]] = []
    for name in dict.fromkeys(layer.split(".")[0] for layer in layers):
        previous = runs[-1][-1] if runs else ""
        number = re.search(r"\d+$", previous)
        if number and name == f"{previous[: number.start()]}{int(number[0]) + 1}":
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
