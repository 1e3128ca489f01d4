"""Reading the attention maps of a network, and running it with other maps instead of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cbam_course.attention.block import AttentionBlock
from cbam_course.attention.controls import uncompiled

BATCH = 100


def read_maps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Every attention map that a network computes for some images.

    A CBAM has two: the map of its channel half and that of its spatial half, each under the name of
    the half.

    Args:
        model: the network; it is put into evaluation mode.
        x: the images, ``[N, C, H, W]``, normalized as the network expects them.

    Returns:
        From the name of each gate, in the order of the forward pass, to its maps: ``[N, C, 1, 1]``
        for channels, ``[N, 1, H, W]`` for positions.

    Raises:
        ValueError: if the network has no attention.
    """
    if not _gates(model):
        raise ValueError(f"{type(model).__name__} has no attention blocks")
    found: dict[str, list[Tensor]] = {}

    def keep(name: str, attention: Tensor) -> None:
        found.setdefault(name, []).append(attention)

    with _on_every_map(model, keep), torch.no_grad():
        for part in x.split(BATCH):
            model.eval()(part)
    return {name: torch.cat(parts) for name, parts in found.items()}


def predict(model: nn.Module, x: Tensor, maps: Mapping[str, Tensor] | None = None) -> Tensor:
    """The logits of a network, with some of its attention maps replaced.

    Args:
        model: the network; it is put into evaluation mode.
        x: the images, ``[N, C, H, W]``, normalized as the network expects them.
        maps: from names of gates to the maps they shall use: one for each image, or one for all.
            All other gates compute theirs, from whatever reaches them.

    Returns:
        The logits, ``[N, classes]``.

    Raises:
        ValueError: if there is no gate of that name.
    """
    maps, gates = maps or {}, _gates(model)
    if unknown := maps.keys() - gates.keys():
        known = ", ".join(map(repr, gates)) or "none"
        raise ValueError(f"there is no gate {min(unknown)!r}; the gates are {known}")

    def change(name: str, own: Tensor) -> Tensor | None:
        if name not in maps:
            return None
        return maps[name].expand(len(x), *own.shape[1:])[part]

    logits = []
    with _on_every_map(model, change), torch.no_grad():
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            logits.append(model.eval()(x[part]))
    return torch.cat(logits)


def _gates(model: nn.Module) -> dict[str, AttentionBlock]:
    return {n: m for n, m in model.named_modules() if isinstance(m, AttentionBlock)}


@contextmanager
def _on_every_map(model: nn.Module, act: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Call ``act(name, map)`` for every map; what it returns, if anything, replaces the map."""

    def hook(name: str) -> Callable:
        def after(block: AttentionBlock, inputs: tuple, output: object) -> object:
            with_map = isinstance(output, tuple)  # a CBAM asks its halves for their maps
            new = act(name, output[1] if with_map else block.attention_map(inputs[0]))
            if new is None:
                return None
            refined = inputs[0] * new
            return (refined, new) if with_map else refined

        return after

    hooks = [gate.register_forward_hook(hook(name)) for name, gate in _gates(model).items()]
    try:
        with uncompiled():
            yield
    finally:
        for handle in hooks:
            handle.remove()
