"""Weights for the networks: read from files or from torchvision, loaded with a report."""

import os
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

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
        reasons: why a layer that the weights have in another shape starts fresh, by its name.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    loaded_parameters: int
    reasons: Mapping[str, str]

    def __str__(self) -> str:
        counts = f"{len(self.loaded)} tensors, {self.loaded_parameters:,} parameters"
        outermost = dict.fromkeys(layer.split(".")[0] for layer in _layers(self.loaded))
        stems = groupby(outermost, lambda name: name.rstrip(string.digits))
        spans = ", ".join(_span(list(names)) for _, names in stems)
        rows = {"loaded": [f"{counts}: {spans}", *_blocks(self.loaded)]}
        reasons = {name: f" ({reason})" for name, reason in self.reasons.items()}
        layers = [name + reasons.get(name, "") for name in _layers(self.fresh)]
        rows["starts fresh"] = [*_blocks(self.fresh), *layers]
        rows["unused"] = [*_blocks(self.unused), *_layers(self.unused)]
        return "\n".join(
            f"{'' if number else label:14}{row}"
            for label, texts in rows.items()
            for number, row in enumerate(texts or ["nothing"])
        )


def load_weights(model: nn.Module, weights: Weights) -> LoadReport:
    """Load into ``model`` what fits, and report what was loaded and what starts fresh.

    These may start fresh: an attention block that the weights do not have; the classifier, if the
    weights have none or another; the first convolution, if it has another shape, such as for other
    input channels. Attention blocks and a classifier that the network does not have are left over.
    But where the network has one attention block and the weights have another, trained attention
    would be dropped for a fresh one: that is refused (give the weights without it, if you mean it).
    Everything else must fit, name by name and shape by shape; otherwise nothing is loaded. Values
    are converted to the network's precision and device.

    ResNets of CBAM's and of ECA-Net's authors, of timm, and of moskomule's (SE) and luuuyi's (CBAM)
    repositories are converted; the page on models has a table of what fits.

    Args:
        model: the network, of the course or of torchvision.
        weights: a state dict, the path of a file (``.pth``, ``.pt`` or ``.safetensors``), or one of
            torchvision's weights, such as ``ResNet50_Weights.DEFAULT``.

    Raises:
        ValueError: if the weights do not fit, cannot be read, or belong to version 1.5 of a ResNet
            and the network is version 1. A file with weights of the course does not tell its
            version: that is the caller's to know.
        OSError: if the file is not there or cannot be read, or torchvision's cannot be downloaded.
    """
    model = getattr(model, "_orig_mod", model)  # inside of what torch.compile makes
    whose = "torchvision"
    if not isinstance(weights, WeightsEnum):
        is_path = isinstance(weights, str | os.PathLike)
        state = read_weights(weights) if is_path else _checked(weights, "what was given as weights")
        whose = layout(state)
    if getattr(model, "version", None) == "v1" and whose != "course":
        raise ValueError(
            f"weights of {whose!r} are of version 1.5, with the stride on the 3x3 convolution; "
            "make the network with version='v1.5', or it will compute something else"
        )
    if isinstance(weights, WeightsEnum):
        # The file comes through the network: check its hash, and do not run code from it.
        state = weights.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
    given = from_layout(state, whose) if whose in DIALECTS else dict(state)
    wanted = model.state_dict()
    for key, value in wanted.items():
        layer, _, name = key.rpartition(".")
        if name == "num_batches_tracked" and f"{layer}.running_mean" in given:
            # BatchNorm counts its batches since PyTorch 0.4.1; older weights have no counters.
            given.setdefault(key, torch.zeros_like(value))
        if key in given and name == "weight" and attention_block(key):
            # A layer of an MLP, linear [h, C] or a convolution [h, C, 1, 1], is the same function.
            short, long = sorted((given[key].shape, value.shape), key=len)
            if long == (*short, 1, 1):
                given[key] = given[key].reshape(value.shape)

    unlike, reasons = _compare(model, wanted, given)
    fresh, unused = ([key for key in keys if _part(key) in unlike] for keys in (wanted, given))
    loaded = [key for key in wanted if _part(key) not in unlike]
    if whose in DIALECTS:
        for block in dict.fromkeys(filter(None, map(attention_block, loaded))):
            check_alike(model.get_submodule(block), whose, f"nothing was loaded: {block}")
    model.load_state_dict({key: given[key] for key in loaded}, strict=False)
    learned = sum(p.numel() for name, p in model.named_parameters() if name in loaded)
    return LoadReport(tuple(loaded), tuple(fresh), tuple(unused), learned, reasons)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU.

    A name that ends in ``.safetensors`` is read as that, any other as a file of ``torch.save``,
    with ``weights_only=True``: a file that would run code when it is unpickled is refused. Of a
    checkpoint the state dict is taken, its entry ``"state_dict"`` or ``"model"``. If every key
    begins with ``module.`` or ``_orig_mod.``, as ``nn.DataParallel`` and ``torch.compile`` make
    them, that is left out.

    Returns:
        A plain ``dict`` of tensors without gradients.

    Raises:
        ValueError: if the file is empty, torn, or holds anything else than tensors by name.
        OSError: if it is not there or cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        if path.suffix.lower() == ".safetensors":
            content = safetensors.torch.load(data)
        else:
            content = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # which one depends on which bytes are wrong
        # PyTorch's own message advises to run the code in the file; this one does not.
        raise ValueError(
            f"{path} is empty or torn, or holds more than tensors, such as a whole model, and to "
            "read that could run a program, so it was not read; save its model.state_dict() instead"
        ) from None
    for entry in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
            break
    return {key: value.detach() for key, value in _checked(content, str(path)).items()}


def _checked(state: object, what: str) -> dict[str, Tensor]:
    """``state`` without the names of wrappers, if it is a state dict."""
    entries = state.items() if isinstance(state, Mapping) else ()
    if not entries or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in entries):
        raise ValueError(f"{what} is no state dict, tensors by name; got {state!r:.80}")
    return strip_wrappers(state)


def _compare(
    model: nn.Module, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]
) -> tuple[set[str], dict[str, str]]:
    """The attention blocks and layers that differ and may, and the reasons of some.

    Each is loaded whole or not at all: a block with half of its weights is not the block that was
    trained.

    Raises:
        ValueError: if others differ.
    """
    layers = [(name, m) for name, m in model.named_modules() if not attention_block(f"{name}.")]
    first = next((name for name, layer in layers if isinstance(layer, nn.Conv2d)), None)
    # The network's last linear layer, and the last one that it does not have.
    heads = [name for name, layer in layers if isinstance(layer, nn.Linear)][-1:]
    heads += [
        key.removesuffix(".weight")
        for key, value in given.items()
        if key not in wanted and key.endswith(".weight") and value.dim() == 2
    ][-1:]

    ours, theirs = _shapes(wanted), _shapes(given)
    unlike, reasons, problems = set(), {}, []
    for part in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(part, {}), theirs.get(part, {})
        if a == b:
            continue
        unlike.add(part)
        if attention_block(f"{part}."):
            if a and b:
                problems.append(f"{part} is another attention block than the weights have")
        elif part in heads or (part == first and b):
            x, y = a.get(f"{part}.weight"), b.get(f"{part}.weight")
            if x and y:
                x, y = (x, y) if part == first else (f"{x[0]} classes", y[0])
                reasons[part] = f"{x}, the weights have {y}"
        else:
            problems += [
                f"{key} is {a.get(key, 'not')} in the network, {b.get(key, 'not')} in the weights"
                for key in {**a, **b}
                if a.get(key) != b.get(key)
            ]
    if problems:
        # The first are the network's, the last the weights'.
        told = "; ".join(dict.fromkeys((problems[0], problems[-1])))
        raise ValueError(
            f"the weights do not fit {type(model).__name__}, nothing was loaded: {told}; "
            f"{len(problems)} in all"
        )
    return unlike, reasons


def _shapes(state: Mapping[str, Tensor]) -> dict[str, dict[str, list[int]]]:
    """The shape of each tensor, by the attention block or the layer that it is of."""
    parts: dict[str, dict[str, list[int]]] = {}
    for key, value in state.items():
        parts.setdefault(_part(key), {})[key] = list(value.shape)
    return parts


def _part(key: str) -> str:
    """The name of the attention block that ``key`` belongs to, or else of the layer."""
    return attention_block(key) or key.rpartition(".")[0]


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


def _blocks(keys: Iterable[str]) -> list[str]:
    """A line on the attention blocks that ``keys`` belong to, if any."""
    blocks = list(dict.fromkeys(filter(None, map(attention_block, keys))))
    plural = "s" if len(blocks) > 1 else ""
    return [f"{len(blocks)} attention block{plural}: {_span(blocks)}"] if blocks else []


def _layers(keys: Iterable[str]) -> list[str]:
    """The other layers that ``keys`` belong to."""
    return list(dict.fromkeys(_part(key) for key in keys if not attention_block(key)))


def _span(names: list[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 2 else ", ".join(names)
