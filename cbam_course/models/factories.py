"""Factories of blocks that compute the same as other people's, for the weights of those."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..attention import CBAM, AttentionFactory, make_attention
from .convert import STYLES, from_official, from_timm, layout, split_blocks


def official_cbam(channels: int, reduction: int = 16, *, order: str = "channel-spatial") -> CBAM:
    """CBAM exactly as in the authors' code.

    Linear layers with biases in the MLP, a 7x7 convolution of the maximum and the average, in this
    order, and behind it a BatchNorm with momentum 0.01.

    Args:
        channels: number of channels C.
        reduction: reduction ratio r.
        order: ``"channel-spatial"``, or ``"channel"`` for the authors' ``no_spatial=True``.

    Raises:
        ValueError: whatever :class:`~cbam_course.attention.CBAM` refuses.

    Source: github.com/Jongchan/attention-module, ``MODELS/cbam.py``.
    """
    spatial = {"pools": STYLES["official"].maps, "batch_norm": True}
    block = CBAM(
        channels,
        reduction,
        order=order,
        channel_options={"bias": True, "layer": "linear"},
        spatial_options=None if order == "channel" else spatial,
    )
    if block.spatial_attention is not None:
        block.spatial_attention.bn.momentum = 0.01
    return block


def factory_for(state: Mapping[str, Tensor]) -> AttentionFactory:
    """A factory of blocks of ours that take somebody else's converted weights.

    Read from the weights: which block it is, the reduction ratio, the kernel size, and whether
    there are biases. If one ratio and one kernel size do for all blocks of a network, the factory
    makes blocks for any number of channels, else for those of the network: timm rounds the hidden
    layers of SE to multiples of 8, and ECA's kernels grow with the channels.

    Args:
        state: weights in the layout of CBAM's authors or of timm, of a block or of a network.

    Raises:
        ValueError: if there is no such block, or no block of ours can be like it: if no reduction
            ratio r makes a hidden layer of C // r units, for example.

    Example:
        >>> theirs = to_official(official_cbam(64, reduction=8))
        >>> factory_for(theirs)(64).channel_attention.reduction
        8
    """
    whose = layout(state)
    if whose not in STYLES:
        raise ValueError(
            "factory_for needs weights in the layout of CBAM's authors or of timm; that of these "
            f"is {whose!r}"
        )
    own = from_official(state) if whose == "official" else from_timm(state)
    blocks = [_read(whose, prefix, block, own) for prefix, block in split_blocks(own).items()]

    ratios = _reductions(blocks)
    if ratios and len({block.options for block in blocks}) == 1:
        return blocks[0].factory(ratios[-1])
    by_channels: dict[int, AttentionFactory] = {}
    for channels in sorted({block.channels for block in blocks}):
        group = [block for block in blocks if block.channels == channels]
        ratios = _reductions(group)
        if not ratios or len({block.options for block in group}) > 1:
            raise ValueError(
                f"no block of the course is like those of {channels or 'unknown'} channels: "
                f"{', '.join(sorted({str(block) for block in group}))}"
            )
        by_channels[channels] = group[0].factory(ratios[-1])
    return partial(_make, by_channels)


class _Block(NamedTuple):
    """What the weights tell of a block; 0 for a number that they do not tell, or that it lacks."""

    kind: str
    channels: int
    hidden: int
    options: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.options)
        return f"{self.kind} with {self.hidden} hidden units, {options}"

    def factory(self, reduction: int) -> AttentionFactory:
        options = dict(self.options)
        if self.hidden:
            options["reduction"] = reduction
        if self.kind == "official":
            return partial(official_cbam, **options)
        if self.kind == "cbam-fc":
            options["channel_options"] = {"bias": options.pop("bias")}
            options["spatial_options"] = {"batch_norm": True}
        return make_attention(self.kind, **options)


def _read(
    whose: str, prefix: str, block: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> _Block:
    half = "channel_attention." if "channel_attention.mlp.0.weight" in block else ""
    if (mlp := block.get(f"{half}mlp.0.weight")) is None:
        if "conv.weight" not in block:
            raise ValueError(f"{prefix.removesuffix('.')} lacks weights; it has {', '.join(block)}")
        # Its weights do not tell the channels; the BatchNorm before it does.
        norms = (own.get(prefix.replace("attention.", name)) for name in _LAST_NORMS)
        channels = next((norm.shape[0] for norm in norms if norm is not None), 0)
        return _Block("eca", channels, 0, (("kernel_size", block["conv.weight"].shape[2]),))
    hidden, channels = mlp.shape[:2]
    bias = ("bias", f"{half}mlp.0.bias" in block)
    kernel = block.get("spatial_attention.conv.weight")
    if whose == "official":
        options = () if kernel is not None else (("order", "channel"),)
        return _Block("official", channels, hidden, options)
    if half:
        return _Block("cbam-fc", channels, hidden, (bias, ("kernel_size", kernel.shape[2])))
    return _Block("se", channels, hidden, (bias,))


_LAST_NORMS = ("bn3.weight", "bn2.weight")
"""The last BatchNorm of a residual block: of a bottleneck block, else of a basic block."""


def _reductions(blocks: Iterable[_Block]) -> range:
    """The reduction ratios r with C // r hidden units in every block; empty if there is none."""
    with_mlp = [block for block in blocks if block.hidden]
    lowest = max((block.channels // (block.hidden + 1) + 1 for block in with_mlp), default=1)
    highest = min((block.channels // block.hidden for block in with_mlp), default=1)
    return range(lowest, highest + 1)


def _make(by_channels: Mapping[int, AttentionFactory], channels: int) -> nn.Module:
    if channels not in by_channels:
        raise ValueError(
            f"the weights have blocks of {', '.join(map(str, by_channels))} channels, none of "
            f"{channels}"
        )
    return by_channels[channels](channels)
