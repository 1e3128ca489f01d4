"""Weights of other people's attention blocks: their names and shapes into ours, and back.

Two layouts are known, for a block alone and for the blocks of a ResNet: that of the repository of
CBAM's authors (github.com/Jongchan/attention-module) and that of timm. Some differences are in no
weight: the authors' spatial attention stacks the maximum before the average, timm's and the paper's
the average before the maximum. :func:`~cbam_course.models.official_cbam` and
:func:`~cbam_course.models.factory_for` make blocks of ours that compute the same.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from ..attention import CBAM, ECA, SqueezeExcitation
from ..attention.block import AttentionBlock
from .files import strip_wrappers


class _Style(NamedTuple):
    """How somebody else writes down the weights of attention blocks."""

    whose: str
    part: str
    """The name of a block in a residual block; ours is ``attention``."""
    axes: int
    """Axes of the weights of an MLP: 2 of linear layers, 4 of 1x1 convolutions."""
    maps: tuple[str, str]
    """The order in which the spatial attention stacks its two maps."""
    orders: tuple[str, ...]
    """The orders of CBAM's halves that there are."""
    names: dict[str, str]
    """Our name for each of theirs, inside a block."""


def _names(layers: Mapping[str, str]) -> dict[str, str]:
    """From the names of layers to those of all that a state dict may have of them."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ends = {"bn": norm, "conv": ("weight",), "mlp": ("weight", "bias")}
    return {
        f"{theirs}.{end}": f"{ours}.{end}"
        for theirs, ours in layers.items()
        for end in ends[re.findall(r"bn|conv|mlp", ours)[-1]]
    }


STYLES = {
    "official": _Style(
        whose="the authors' CBAM",
        part="cbam",
        axes=2,
        maps=("max", "avg"),
        orders=("channel-spatial", "channel"),
        names=_names(
            {
                "ChannelGate.mlp.1": "channel_attention.mlp.0",
                "ChannelGate.mlp.3": "channel_attention.mlp.2",
                "SpatialGate.spatial.conv": "spatial_attention.conv",
                "SpatialGate.spatial.bn": "spatial_attention.bn",
            }
        ),
    ),
    "timm": _Style(
        whose="timm's CBAM, ECA and SE",
        part="se",  # whichever block it is
        axes=4,
        maps=("avg", "max"),
        orders=("channel-spatial",),
        names=_names(
            {
                "channel.fc1": "channel_attention.mlp.0",
                "channel.fc2": "channel_attention.mlp.2",
                "spatial.conv.conv": "spatial_attention.conv",
                "spatial.conv.bn": "spatial_attention.bn",
                "fc1": "mlp.0",
                "fc2": "mlp.2",
                "conv": "conv",
            }
        ),
    ),
}

# The prefix of a block in a network, and a name in the block.
_IN_NETWORK = {
    "official": re.compile(r"((?:.+\.)?)((?:ChannelGate|SpatialGate)\..+)"),
    "timm": re.compile(r"((?:.+\.)?layer\d+\.\d+\.se\.)(.+)"),
    "course": re.compile(
        r"((?:.+\.)?attention\.|(?:.+\.)?(?=(?:channel_attention|spatial_attention)\.))(.+)"
    ),
}
_ALONE = re.compile(r"()(.+)")
_BAM = re.compile(r"(?:.+\.)?(?:channel_att\.gate_c|spatial_att\.gate_s)\..+")


def layout(state: Mapping[str, Tensor]) -> str:
    """Whose names the keys of a state dict are.

    Returns:
        ``"official"`` for CBAM's authors, ``"timm"``, ``"course"`` for ours, or ``"plain"`` if
        no attention is recognized. An ECA block alone has one and the same key here and in timm,
        and counts as timm's.

    Raises:
        ValueError: for weights of BAM, the authors' other block, which the course does not have.
    """
    state = strip_wrappers(state)
    if found := next(filter(_BAM.fullmatch, state), None):
        raise ValueError(f"these are weights of BAM, a block that the course has not: {found}")
    for name, pattern in _IN_NETWORK.items():
        if _is_alone(state, name) or any(map(pattern.fullmatch, state)):
            return name
    # Two more places, in our MobileNet v2.
    ends = re.compile(r"(?:first|last)\.(?:mlp|conv|bn|squeeze|gate|block)\b.*")
    return "course" if any(map(ends.fullmatch, state)) else "plain"


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the authors' CBAM in our layout, for a block alone or for a network.

    They fit a network whose attention is :func:`~cbam_course.models.official_cbam`; the authors'
    ResNet is version 1.5. Their files are older than the counters of BatchNorm
    (``num_batches_tracked``): the result has none either, and PyTorch does without.

    Raises:
        ValueError: for weights of BAM, or a key or shape that the authors' CBAM does not have.
    """
    layout(state)  # refuses BAM
    return _from(state, "official")


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of timm's CbamModule, EcaModule or SEModule in our layout, alone or in a ResNet.

    What no weight tells is taken to be timm's default: zero padding in ECA (so no ``CecaModule``),
    the average alone in SE (so no ``add_maxpool``), ReLU and sigmoid.

    Raises:
        ValueError: for another of timm's attention blocks, or a variant that the course has not,
            such as LightCbamModule, ECA with an MLP, or SE with a BatchNorm.
    """
    return _from(state, "timm")


def to_official(source: Mapping[str, Tensor] | nn.Module) -> dict[str, Tensor]:
    """Our weights in the layout of CBAM's authors, for a block alone or for a network.

    Args:
        source: a state dict, or the module itself. A state dict does not tell the order of the two
            maps and is taken to have the maximum first, as
            :func:`~cbam_course.models.official_cbam` has; of a module it is checked.

    Raises:
        ValueError: if the authors' code has no place for a block: its only one is CBAM, with biases
            in the MLP, and a kernel of 7 and a BatchNorm in the spatial half.
    """
    return _to(source, "official")


def to_timm(source: Mapping[str, Tensor] | nn.Module) -> dict[str, Tensor]:
    """Our weights in timm's layout, for a CBAM, ECA or SE block alone or for a ResNet.

    Args:
        source: a state dict, or the module itself. A state dict does not tell the pools and is
            taken to have timm's: the average first in CBAM's spatial half, the average alone in SE
            and ECA. Of a module they are checked.

    Raises:
        ValueError: if timm has no place for a block: CBAM needs both halves there, and a BatchNorm
            in the spatial one.
    """
    return _to(source, "timm")


def fit_shapes(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The same weights, those of MLPs in the shapes that ``model`` has for them.

    ``layer="linear"`` and ``layer="conv"`` are two spellings of one function, with weights
    ``[h, C]`` and ``[h, C, 1, 1]``. What differs in more than that stays as it is.
    """
    wanted = {key: value.shape for key, value in model.state_dict().items() if _is_mlp_weight(key)}
    return {
        key: value.reshape(wanted[key])
        if key in wanted and _without_ones(value.shape) == _without_ones(wanted[key])
        else value
        for key, value in state.items()
    }


def split_blocks(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The attention blocks in a state dict of our layout, each a state dict, by their prefixes."""
    blocks: dict[str, dict[str, Tensor]] = {}
    for key, prefix, name in _places(state, "course"):
        if prefix is not None:
            blocks.setdefault(prefix, {})[name] = state[key]
    return blocks


def _from(state: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    state, style = strip_wrappers(state), STYLES[layout]
    converted = {}
    for key, prefix, name in _places(state, layout):
        if prefix is None:
            converted[key] = state[key]
            continue
        ours, shape = style.names.get(name), list(state[key].shape)
        if ours is None or not _is_shape_of(ours, shape, style.axes):
            raise ValueError(f"{key} {shape} has no place in {style.whose} as the course has them")
        converted[_replace_last(prefix, style.part, "attention") + ours] = state[key]
    return converted


def _is_shape_of(name: str, shape: list[int], axes: int) -> bool:
    """Whether a weight of one of our names has this shape in the layout; not all sizes are told."""
    if _is_mlp_weight(name):
        return len(shape) == axes
    if name == "spatial_attention.conv.weight":
        return len(shape) == 4 and shape[:2] == [1, 2] and shape[2] == shape[3]
    if name == "conv.weight":
        return len(shape) == 3 and shape[:2] == [1, 1]
    return True


def _to(source: Mapping[str, Tensor] | nn.Module, layout: str) -> dict[str, Tensor]:
    style = STYLES[layout]
    if isinstance(source, nn.Module):
        _check_pools(source, style)
    state = strip_wrappers(source.state_dict() if isinstance(source, nn.Module) else source)
    for prefix, block in split_blocks(state).items():
        if problem := _problem(prefix, block, layout):
            raise ValueError(f"{prefix.removesuffix('.') or 'the block'} has no place: {problem}")
    names = {ours: theirs for theirs, ours in style.names.items()}
    converted = {}
    for key, prefix, name in _places(state, "course"):
        if prefix is None:
            converted[key] = state[key]
            continue
        value = state[key]
        if _is_mlp_weight(name):
            value = value.reshape(value.shape[:2] + (1,) * (style.axes - 2))
        converted[_replace_last(prefix, "attention", style.part) + names[name]] = value
    return converted


def _problem(prefix: str, block: Mapping[str, Tensor], layout: str) -> str:
    """Why a block of ours has no place in another layout; empty if it has."""
    style = STYLES[layout]
    if strange := [name for name in block if name not in style.names.values()]:
        return f"{style.whose} have no {', '.join(strange[:3])}"
    needed = set()
    if layout == "timm":
        if prefix and not re.fullmatch(r"(?:.+\.)?layer\d+\.\d+\.attention\.", prefix):
            return "timm's ResNets have attention in the blocks of their layers only"
        if any(name.startswith("channel_attention.") for name in block):
            needed = {"spatial_attention.conv.weight", "spatial_attention.bn.weight"}
    else:
        needed = {"channel_attention.mlp.0.bias", "channel_attention.mlp.2.bias"}
        if "spatial_attention.conv.weight" in block:
            needed |= {"spatial_attention.bn.weight"}
    if any(name.startswith("spatial_attention.") for name in block):
        needed |= {"channel_attention.mlp.0.weight"}
    if missing := sorted(needed - block.keys()):
        return f"{style.whose} need {', '.join(missing)}"
    kernel = block.get("spatial_attention.conv.weight")
    if kernel is not None:
        shape = list(kernel.shape)
        if shape[1] != 2 or (layout == "official" and shape[2] != 7):
            return f"{style.whose} have no spatial kernel of shape {shape}"
    return ""


def _check_pools(module: nn.Module, style: _Style) -> None:
    """Refuse blocks that compute something else than theirs, which no weight would tell."""
    cbams = [block for block in module.modules() if isinstance(block, CBAM)]
    halves = {id(half) for block in cbams for half in block.children()}
    for name, block in module.named_modules():
        if not isinstance(block, CBAM | AttentionBlock) or id(block) in halves:
            continue
        if isinstance(block, CBAM):
            channel, spatial = block.channel_attention, block.spatial_attention
            same = block.order in style.orders and set(channel.pools) == {"avg", "max"}
            same = same and (spatial is None or spatial.pools == style.maps)
        elif isinstance(block, ECA):
            same = block.pools == ("avg",)
        else:
            same = isinstance(block, SqueezeExcitation)
        if not same:
            raise ValueError(
                f"{name or 'the block'} computes something else than {style.whose}, whose spatial "
                f"attention stacks {style.maps}: {block}"
            )


def _places(state: Mapping[str, Tensor], layout: str) -> Iterator[tuple[str, str | None, str]]:
    """Every key with the prefix of its block, ``None`` outside of blocks, and its name there."""
    pattern = _ALONE if _is_alone(state, layout) else _IN_NETWORK[layout]
    for key in state:
        found = pattern.fullmatch(key)
        yield (key, found[1], found[2]) if found else (key, None, key)


def _is_alone(state: Mapping[str, Tensor], layout: str) -> bool:
    """Whether a state dict is that of one block, whose names have no prefix."""

    def axes(key: str) -> int:
        return state[key].dim() if key in state else 0

    if layout == "official" or not state:
        return False  # the authors' names are the same in a network
    if layout == "timm":
        # Somebody's network may have layers of these names, but not with these axes.
        names = re.compile(r"(?:channel\.fc[12]|spatial\.conv|fc[12]|bn|conv2?)\..+")
        block = 4 in (axes("fc1.weight"), axes("channel.fc1.weight")) or axes("conv.weight") == 3
    else:
        names = re.compile(r"(?:channel_attention|spatial_attention|mlp)\..+|conv\.weight")
        block = axes("conv.weight") in (0, 3)
    return block and all(map(names.fullmatch, state))


def _replace_last(prefix: str, old: str, new: str) -> str:
    """``layer1.0.cbam.`` -> ``layer1.0.attention.``; a block under another name keeps it."""
    return re.sub(rf"(^|\.){old}\.$", rf"\g<1>{new}.", prefix)


def _is_mlp_weight(key: str) -> bool:
    return re.search(r"(?:^|\.)mlp\.[02]\.weight$", key) is not None


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]
