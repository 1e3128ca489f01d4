"""Files of weights: reading them runs no code, writing them leaves no half file."""

import os
import pickle
import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import safetensors.torch
import torch
from torch import Tensor

from ..files import write_whole

SUFFIXES = (".pth", ".pt", ".safetensors")
"""What :func:`write_weights` writes: PyTorch's format for the first two, safetensors."""

WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")
"""Before the names of a network in ``torch.compile``, ``nn.DataParallel`` or both, either way."""


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
        ValueError: if the file is empty, torn, damaged, a folder, or holds anything else than
            tensors by name.
        FileNotFoundError: if there is none.
        OSError: if it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file of weights")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{path} is empty")
    parse = _from_safetensors if path.suffix.lower() == ".safetensors" else _from_torch
    content = parse(content, path)
    for entry in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
            content = content[entry]
    check_state(content, f"{path} holds")
    return strip_wrappers({key: value.detach() for key, value in content.items()})


def write_weights(state: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write a state dict to a file, whole or not at all: an older file stays until then.

    Every tensor is written by itself, without what else is in its memory: tensors that share theirs
    are written twice.

    Args:
        state: tensors by name, such as ``model.state_dict()``.
        path: the file; its name ends in .pth, .pt or .safetensors, which decides the format.

    Raises:
        ValueError: for another ending, or if ``state`` is anything else than tensors by name.
        OSError: if the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"weights are written to {', '.join(SUFFIXES)} files; got {path}")
    check_state(state, "the state dict to write holds")
    values = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in state.items()
    }
    if path.suffix.lower() == ".safetensors":
        write_whole(path, lambda file: file.write(safetensors.torch.save(values)))
    else:
        write_whole(path, lambda file: torch.save(values, file))


def check_state(state: object, what: str = "the state dict holds") -> None:
    """Raise a ``ValueError`` that begins with ``what`` unless ``state`` is tensors by name."""
    if not isinstance(state, Mapping):
        raise ValueError(f"{what} a {type(state).__name__}, not a state dict: tensors by name")
    if not any(isinstance(value, Tensor) for value in state.values()):
        names = ", ".join(map(repr, list(state)[:5])) or "nothing at all"
        raise ValueError(f"{what} no tensors, so no state dict; it has {names}")
    for key, value in state.items():
        if not isinstance(key, str):
            raise ValueError(f"{what} a key that is no name: {key!r}")
        if not isinstance(value, Tensor):
            raise ValueError(f"{what} no tensor at {key!r}, but {type(value).__name__}")
        if value.is_meta:
            raise ValueError(f"{what} a tensor without values (on the meta device) at {key!r}")
        if value.layout != torch.strided or value.is_quantized:
            kind = "quantized" if value.is_quantized else "sparse"
            raise ValueError(f"{what} a {kind} tensor at {key!r}; the course has dense ones only")


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the names of wrappers, see :data:`WRAPPERS`, that every key begins with."""
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _from_safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # which one depends on which bytes are wrong
        raise ValueError(f"{path} is torn, or not a file of safetensors ({error})") from None


def _from_torch(content: bytes, path: Path) -> Any:
    file = BytesIO(content)
    try:
        # PyTorch does not look at the sums that its own zip files carry.
        if is_zipfile(file):
            with ZipFile(file) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"{damaged} has another checksum")
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they announce what is refused next
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's message advises to run the code in the file; ours does not.
        if found := re.search(r"GLOBAL ([\w.]*\w)", str(error)):
            raise ValueError(
                f"{path} holds more than tensors: reading it would run {found[1]}, so it was not "
                "read. If it is a whole model, save its model.state_dict() instead"
            ) from None
        raise ValueError(f"{path} is torn, or not a file of weights") from None
    except Exception as error:  # which one depends on which bytes are wrong
        if "TorchScript" in str(error):
            raise ValueError(f"{path} is a TorchScript program, not a state dict") from None
        reason = re.split(r"\.\s|\n", str(error))[0] or type(error).__name__
        raise ValueError(f"{path} is torn, or not a file of weights ({reason})") from None
