"""Reading the attention maps of a network, and running it with other maps in their place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cbam_course.attention.block import AttentionBlock

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
        for channels, ``[N, 1, H, W]`` for places.

    Raises:
        ValueError: if the network has no attention, or there are no images.
    """
    _check_images(x)
    found: dict[str, list[Tensor]] = {}

    def keep(name: str, block: AttentionBlock, attention: Tensor) -> None:
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
        ValueError: if there is no gate of that name, a map has not the shape of the gate's own, or
            there are no images.
    """
    _check_images(x)
    maps = maps or {}
    for name, given in maps.items():
        if len(given) not in (1, len(x)):
            raise ValueError(
                f"maps of {name!r} must be 1 for all or 1 for each of {len(x)} images, "
                f"got {len(given)}"
            )
    logits = []
    with torch.no_grad():
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            chosen = {n: m if len(m) == 1 else m[part] for n, m in maps.items()}
            with given_maps(model, chosen):
                logits.append(model.eval()(x[part]))
    return torch.cat(logits)


@contextmanager
def given_maps(model: nn.Module, maps: Mapping[str, Tensor]) -> Iterator[None]:
    """Let some gates of a network use given maps meanwhile, instead of computing their own.

    Args:
        model: the network. Its weights are not touched.
        maps: from names of gates, as :func:`read_maps` gives them, to maps of the gate's shape, or
            with a batch of 1.

    Raises:
        ValueError: if there is no gate of that name; on a forward pass, if a map has not the shape
            of the gate's own.
    """

    def change(name: str, block: AttentionBlock, own: Tensor) -> Tensor | None:
        given = maps.get(name)
        if given is None:
            return None
        if given.shape[1:] != own.shape[1:] or len(given) not in (1, len(own)):
            raise ValueError(
                f"the map given to {name!r} must have the shape {list(own.shape)}, or 1 in the "
                f"place of {len(own)}; got {list(given.shape)}"
            )
        return given.expand_as(own)

    with _on_every_map(model, change, must_have=maps):
        yield


@contextmanager
def _on_every_map(model: nn.Module, act, must_have: Mapping[str, Tensor] | None = None):
    """Call ``act(name, block, map)`` for every map; what it returns, if anything, replaces it."""
    gates = {n: m for n, m in model.named_modules() if isinstance(m, AttentionBlock)}
    if not gates and must_have is None:
        raise ValueError(f"{type(model).__name__} has no attention blocks")
    for name in must_have or ():
        if name not in gates:
            known = ", ".join(map(repr, gates)) or "none"
            raise ValueError(f"there is no gate {name!r}; the gates are {known}")

    def hook(name: str):
        def after(block: AttentionBlock, inputs: tuple, output: object) -> object:
            with_map = isinstance(output, tuple)  # a CBAM asks its halves for their maps
            own = output[1] if with_map else block.attention_map(inputs[0])
            new = act(name, block, own)
            if new is None:
                return None
            refined = inputs[0] * new
            return (refined, new) if with_map else refined

        return after

    hooks = [gate.register_forward_hook(hook(name)) for name, gate in gates.items()]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


def _check_images(x: Tensor) -> None:
    if x.dim() != 4 or len(x) == 0:
        raise ValueError(f"images must be [N, C, H, W] with N at least 1, got {list(x.shape)}")
