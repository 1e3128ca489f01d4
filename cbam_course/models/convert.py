"""Weights of other people's attention blocks: their names and shapes into ours, and back.

Each layout is one row of :data:`DIALECTS`: how somebody else names the layers of a block, in which
shape the weights of its MLP are stored, and which of our blocks compute the same. Some differences
are in no weight: the authors' spatial attention stacks the maximum before the average, the paper's
and timm's the average before the maximum. :func:`official_cbam` makes a block like the authors'.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from cbam_course.attention import CBAM, ECA, SqueezeExcitation, attention_blocks

WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")
"""Before the names of a network in ``torch.compile``, ``nn.DataParallel`` or both, either way."""


@dataclass(frozen=True)
class Dialect:
    """How somebody else writes down the weights of attention blocks.

    Attributes:
        whose: whose blocks these are.
        name: what a block is called in a residual block; ours is called ``attention``.
        key: the keys of blocks in a network, as a pattern: what stands before a block, and in it.
        layers: their names of the layers in a block, and ours.
        kernel: what follows h and C in the shape of the MLP's weights: ``(1, 1)`` for convolutions.
        orders: the orders of CBAM's halves that there are; none if it has only other blocks.
        maps: the order in which CBAM's spatial half stacks its two maps.
        others: our blocks besides CBAM that compute the same as theirs, over averages.
    """

    whose: str
    name: str
    key: str
    layers: Mapping[str, str]
    kernel: tuple[int, ...] = (1, 1)
    orders: tuple[str, ...] = ("channel-spatial",)
    maps: tuple[str, str] = ("avg", "max")
    others: tuple[type[nn.Module], ...] = ()


DIALECTS = {
    # github.com/moskomule/senet.pytorch
    "moskomule": Dialect(
        whose="moskomule's SE",
        name="se",
        key=r"((?:.+\.)?layer\d+\.\d+\.se\.)(fc\.\d\..+)",
        layers={"fc.0": "mlp.0", "fc.2": "mlp.2"},
        kernel=(),
        orders=(),
        others=(SqueezeExcitation,),
    ),
    # github.com/BangguWu/ECANet
    "ecanet": Dialect(
        whose="ECA-Net's authors' ECA",
        name="eca",
        key=r"((?:.+\.)?layer\d+\.\d+\.eca\.)(conv\..+)",
        layers={"conv": "conv"},
        orders=(),
        others=(ECA,),
    ),
    # github.com/luuuyi/CBAM.PyTorch: the two halves stand in the residual block itself
    "luuuyi": Dialect(
        whose="luuuyi's CBAM",
        name="",
        key=r"((?:.+\.)?layer\d+\.\d+\.)((?:ca|sa)\..+)",
        layers={
            "ca.fc.0": "channel_attention.mlp.0",
            "ca.fc.2": "channel_attention.mlp.2",
            "sa.conv1": "spatial_attention.conv",
        },
    ),
    # github.com/Jongchan/attention-module
    "official": Dialect(
        whose="the authors' CBAM",
        name="cbam",
        key=r"((?:.+\.)?)((?:ChannelGate|SpatialGate)\..+)",
        layers={
            "ChannelGate.mlp.1": "channel_attention.mlp.0",
            "ChannelGate.mlp.3": "channel_attention.mlp.2",
            "SpatialGate.spatial.conv": "spatial_attention.conv",
            "SpatialGate.spatial.bn": "spatial_attention.bn",
        },
        kernel=(),
        orders=("channel-spatial", "channel"),
        maps=("max", "avg"),
    ),
    # CbamModule, EcaModule and SEModule
    "timm": Dialect(
        whose="timm's CBAM, ECA and SE",
        name="se",  # whichever block it is
        key=r"((?:.+\.)?layer\d+\.\d+\.se\.)(.+)",
        layers={
            "channel.fc1": "channel_attention.mlp.0",
            "channel.fc2": "channel_attention.mlp.2",
            "spatial.conv.conv": "spatial_attention.conv",
            "spatial.conv.bn": "spatial_attention.bn",
            "fc1": "mlp.0",
            "fc2": "mlp.2",
            "conv": "conv",
        },
        others=(ECA, SqueezeExcitation),
    ),
}

OURS = r"((?:.+\.)?attention\.|(?:.+\.)?(?=(?:channel|spatial)_attention\.))(.+)"
"""The keys of our blocks in a network."""


def layout(state: Mapping[str, Tensor]) -> str:
    """Whose names the keys of a network's state dict are.

    Returns:
        A key of ``DIALECTS``, such as ``"official"`` for CBAM's authors or ``"timm"``, or
        ``"course"`` for ours and for networks without attention.
    """
    for name, dialect in DIALECTS.items():
        if any(re.fullmatch(dialect.key, key) for key in state):
            return name
    return "course"


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the authors' CBAM in our layout, for a block alone or for a network.

    They fit a network whose attention is :func:`official_cbam`; the authors' ResNet is version 1.5.
    Their files are older than the counters of BatchNorm (``num_batches_tracked``): the result has
    none either, and PyTorch does without.

    Raises:
        ValueError: for a layer that the authors' CBAM does not have.
    """
    return from_layout(state, "official")


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of timm's CbamModule, EcaModule or SEModule in our layout, alone or in a ResNet.

    What no weight tells is taken to be timm's default: zero padding in ECA (so no ``CecaModule``),
    the average alone in SE (so no ``add_maxpool``), ReLU and sigmoid.

    Raises:
        ValueError: for a ResNet with another of timm's attention blocks, or a variant with layers
            that the course has not, such as ECA with an MLP, or SE with a BatchNorm.
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
    return _to_layout(source, "official")


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
    return _to_layout(source, "timm")


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
    dialect = DIALECTS[name]
    return _renamed(state, dialect, dialect.layers, dialect.key, (dialect.name, "attention"))


def _to_layout(source: Mapping[str, Tensor] | nn.Module, name: str) -> dict[str, Tensor]:
    """Our weights, or those of a module, in one of the :data:`DIALECTS`."""
    dialect = DIALECTS[name]
    if isinstance(source, nn.Module):
        check_alike(source, name)
        source = source.state_dict()
    layers = {ours: theirs for theirs, ours in dialect.layers.items()}
    return _renamed(source, dialect, layers, OURS, ("attention", dialect.name))


def _renamed(
    state: Mapping[str, Tensor],
    dialect: Dialect,
    layers: Mapping[str, str],
    pattern: str,
    block: tuple[str, str],
) -> dict[str, Tensor]:
    """Rename blocks and their layers, in keys that match a pattern, and shape weights as theirs.

    ``layer1.0.cbam.`` -> ``layer1.0.attention.``; a block under another name keeps it.
    """
    state = strip_wrappers(state)
    alone = all(key.rpartition(".")[0] in layers for key in state)
    before, after = (f"{name}." if name else "" for name in block)
    renamed = {}
    for key, value in state.items():
        found = re.fullmatch(r"()(.+)" if alone else pattern, key)
        if not found:
            renamed[key] = value
            continue
        prefix, (layer, _, tensor) = found[1], found[2].rpartition(".")
        if layer not in layers:
            shape = list(value.shape)
            raise ValueError(f"{key} {shape} is not of {dialect.whose} as the course has them")
        if tensor == "weight" and "mlp." in f"{layer} {layers[layer]}":
            value = value.reshape(*value.shape[:2], *dialect.kernel)
        if f".{prefix}".endswith(f".{before}"):
            prefix = prefix.removesuffix(before) + after
        renamed[f"{prefix}{layers[layer]}.{tensor}"] = value
    return renamed


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
