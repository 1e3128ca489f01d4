"""Weights of other people's attention blocks: their names and shapes into ours, and back.

Each layout is one row of :data:`DIALECTS`: how somebody else names the layers of a block, in which
shape the weights of each are stored, and which of our blocks compute the same. Some differences are
in no weight: the authors' spatial attention stacks the maximum before the average, the paper's and
timm's the average before the maximum. :func:`official_cbam` makes a block like the authors'.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from cbam_course.attention import CBAM, ECA, SqueezeExcitation, attention_blocks

Shape = tuple[int | None, ...]
WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")
"""Before the names of a network in ``torch.compile``, ``nn.DataParallel`` or both, either way."""

MLP, CONV = "weight bias", "weight"
NORM = "weight bias running_mean running_var num_batches_tracked"


class Layer(NamedTuple):
    """A layer of a block: their name of it, ours, its tensors, and the shape of its weight."""

    theirs: str
    ours: str
    tensors: str
    shape: Shape
    """Their shape; ``None`` for a size that depends on the block."""


class Dialect(NamedTuple):
    """How somebody else writes down the weights of attention blocks."""

    whose: str
    name: str
    """What a block is called in a residual block; ours is called ``attention``."""
    key: str
    """The keys of blocks in a network, as a pattern: what stands before a block, and in it."""
    layers: tuple[Layer, ...]
    orders: tuple[str, ...]
    """The orders of CBAM's halves that there are."""
    maps: tuple[str, str]
    """The order in which CBAM's spatial half stacks its two maps."""
    others: tuple[type[nn.Module], ...] = ()
    """Our blocks besides CBAM that compute the same as theirs, over averages."""

    def tensors(self) -> dict[str, tuple[str, Shape | None]]:
        """Their name of each tensor in a block, with ours and with its shape, if that is told."""
        return {
            f"{layer.theirs}.{tensor}": (
                f"{layer.ours}.{tensor}",
                layer.shape if tensor == "weight" else None,
            )
            for layer in self.layers
            for tensor in layer.tensors.split()
        }


DIALECTS = {
    # github.com/Jongchan/attention-module
    "official": Dialect(
        whose="the authors' CBAM",
        name="cbam",
        key=r"((?:.+\.)?)((?:ChannelGate|SpatialGate)\..+)",
        layers=(
            Layer("ChannelGate.mlp.1", "channel_attention.mlp.0", MLP, (None, None)),
            Layer("ChannelGate.mlp.3", "channel_attention.mlp.2", MLP, (None, None)),
            Layer("SpatialGate.spatial.conv", "spatial_attention.conv", CONV, (1, 2, 7, 7)),
            Layer("SpatialGate.spatial.bn", "spatial_attention.bn", NORM, (1,)),
        ),
        orders=("channel-spatial", "channel"),
        maps=("max", "avg"),
    ),
    # CbamModule, EcaModule and SEModule
    "timm": Dialect(
        whose="timm's CBAM, ECA and SE",
        name="se",  # whichever block it is
        key=r"((?:.+\.)?layer\d+\.\d+\.se\.)(.+)",
        layers=(
            Layer("channel.fc1", "channel_attention.mlp.0", MLP, (None, None, 1, 1)),
            Layer("channel.fc2", "channel_attention.mlp.2", MLP, (None, None, 1, 1)),
            Layer("spatial.conv.conv", "spatial_attention.conv", CONV, (1, 2, None, None)),
            Layer("spatial.conv.bn", "spatial_attention.bn", NORM, (1,)),
            Layer("fc1", "mlp.0", MLP, (None, None, 1, 1)),
            Layer("fc2", "mlp.2", MLP, (None, None, 1, 1)),
            Layer("conv", "conv", CONV, (1, 1, None)),
        ),
        orders=("channel-spatial",),
        maps=("avg", "max"),
        others=(ECA, SqueezeExcitation),
    ),
}

OURS = r"((?:.+\.)?attention\.|(?:.+\.)?(?=(?:channel|spatial)_attention\.))(.+)"
"""The keys of our blocks in a network."""


def layout(state: Mapping[str, Tensor]) -> str:
    """Whose names the keys of a state dict are, of a network or of a block alone.

    Returns:
        ``"official"`` for CBAM's authors, ``"timm"``, or ``"course"`` for ours and for networks
        without attention. An ECA block alone has one key here and in timm, and counts as timm's.
    """
    state = strip_wrappers(state)
    for name, dialect in DIALECTS.items():
        alone = _fits(state, dialect.tensors())
        if alone or any(re.fullmatch(dialect.key, key) for key in state):
            return name
    return "course"


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the authors' CBAM in our layout, for a block alone or for a network.

    They fit a network whose attention is :func:`official_cbam`; the authors' ResNet is version 1.5.
    Their files are older than the counters of BatchNorm (``num_batches_tracked``): the result has
    none either, and PyTorch does without.

    Raises:
        ValueError: for a key or shape that the authors' CBAM does not have.
    """
    return from_layout(state, "official")


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of timm's CbamModule, EcaModule or SEModule in our layout, alone or in a ResNet.

    What no weight tells is taken to be timm's default: zero padding in ECA (so no ``CecaModule``),
    the average alone in SE (so no ``add_maxpool``), ReLU and sigmoid.

    Raises:
        ValueError: for a ResNet with another of timm's attention blocks, or a variant that the
            course has not, such as LightCbamModule, ECA with an MLP, or SE with a BatchNorm.
    """
    return from_layout(state, "timm")


def to_official(source: Mapping[str, Tensor] | nn.Module) -> dict[str, Tensor]:
    """Our weights in the layout of CBAM's authors, for a block alone or for a network.

    Args:
        source: a state dict, or the module itself. A state dict does not tell the order of the two
            maps and is taken to have the maximum first, as :func:`official_cbam` has; of a module
            it is checked.

    Raises:
        ValueError: if the authors' code has nothing like a block: its only one is CBAM. (Theirs has
            biases in the MLP, and a kernel of 7 and a BatchNorm in the spatial half.)
    """
    return to_layout(source, "official")


def to_timm(source: Mapping[str, Tensor] | nn.Module) -> dict[str, Tensor]:
    """Our weights in timm's layout, for a CBAM, ECA or SE block alone or for a ResNet.

    Args:
        source: a state dict, or the module itself. A state dict does not tell the pools and is
            taken to have timm's: the average first in CBAM's spatial half, the average alone in SE
            and ECA. Of a module they are checked.

    Raises:
        ValueError: if timm has nothing like a block. (Its CBAM has both halves, and a BatchNorm in
            the spatial one.)
    """
    return to_layout(source, "timm")


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
    spatial = {"pools": DIALECTS["official"].maps, "batch_norm": True}
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


def from_layout(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Weights in one of the :data:`DIALECTS`, in our layout."""
    state, dialect = strip_wrappers(state), DIALECTS[name]
    tensors = dialect.tensors()
    alone = _fits(state, tensors)
    converted = {}
    for key, value in state.items():
        found = re.fullmatch(r"()(.+)" if alone else dialect.key, key)
        if not found:
            converted[key] = value
        elif not _fits({found[2]: value}, tensors):
            shape = list(value.shape)
            raise ValueError(f"{key} {shape} is not of {dialect.whose} as the course has them")
        else:
            prefix = _rename(found[1], dialect.name, "attention")
            converted[prefix + tensors[found[2]][0]] = value
    return converted


def to_layout(source: Mapping[str, Tensor] | nn.Module, name: str) -> dict[str, Tensor]:
    """Our weights, or those of a module, in the layout of one of the :data:`DIALECTS`."""
    dialect = DIALECTS[name]
    if isinstance(source, nn.Module):
        check_alike(source, name)
        source = source.state_dict()
    state = strip_wrappers(source)
    names = {ours: (theirs, shape) for theirs, (ours, shape) in dialect.tensors().items()}
    alone = state.keys() <= names.keys()
    converted = {}
    for key, value in state.items():
        found = re.fullmatch(r"()(.+)" if alone else OURS, key)
        if not found:
            converted[key] = value
        elif found[2] not in names:
            raise ValueError(f"{dialect.whose} have no {key} {list(value.shape)}")
        else:
            theirs, shape = names[found[2]]
            if value.dim() in (2, 4) and shape is not None:  # [h, C] or [h, C, 1, 1]
                value = value.reshape(*value.shape[: len(shape)], *[1] * (len(shape) - value.dim()))
            converted[_rename(found[1], "attention", dialect.name) + theirs] = value
    return converted


def check_alike(model: nn.Module, name: str, what: str = "the block") -> None:
    """Refuse blocks that compute something else than those of a dialect, which no weight tells."""
    dialect = DIALECTS[name]
    for key, block in attention_blocks(model).items():
        if isinstance(block, CBAM):
            channel, spatial = block.channel_attention, block.spatial_attention
            alike = block.order in dialect.orders and set(channel.pools) == {"avg", "max"}
            alike = alike and (spatial is None or spatial.pools == dialect.maps)
        else:
            pools = getattr(block, "pools", ("avg",))
            alike = isinstance(block, dialect.others) and pools == ("avg",)
        if not alike:
            raise ValueError(
                f"{key or what} computes something else than {dialect.whose}, whose spatial "
                f"attention stacks {dialect.maps}: {block}"
            )


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the names of wrappers, see :data:`WRAPPERS`, that every key begins with."""
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _fits(state: Mapping[str, Tensor], tensors: Mapping[str, tuple[str, Shape | None]]) -> bool:
    """Whether there is something in ``state``, and all of it is in the table, shapes included."""

    def fits(value: Tensor, shape: Shape | None) -> bool:
        if shape is None:
            return True
        sizes = zip(value.shape, shape, strict=False)
        return value.dim() == len(shape) and all(size in (None, own) for own, size in sizes)

    return bool(state) and all(
        key in tensors and fits(state[key], tensors[key][1]) for key in state
    )


def _rename(prefix: str, old: str, new: str) -> str:
    """``layer1.0.cbam.`` -> ``layer1.0.attention.``; a block under another name keeps it."""
    return re.sub(rf"(^|\.){old}\.$", rf"\g<1>{new}.", prefix)
