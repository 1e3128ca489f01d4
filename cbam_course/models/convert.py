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


@dataclass(frozen=True)
class Dialect:
    """How somebody else writes down the weights of attention blocks.

    Attributes:
        whose: whose blocks these are.
        name: what a block is called in a residual block; ours is called ``attention``.
        key: the keys of blocks in a network, as a pattern: what stands before a block, and in it.
        layers: their names of the layers in a block, and ours.
        blocks: our blocks that compute the same as theirs; all but CBAM over averages.
        kernel: what follows h and C in the shape of the MLP's weights: ``(1, 1)`` for convolutions.
        maps: the order in which CBAM's spatial half stacks its two maps.
    """

    whose: str
    name: str
    key: str
    layers: Mapping[str, str]
    blocks: tuple[type[nn.Module], ...] = (CBAM,)
    kernel: tuple[int, ...] = (1, 1)
    maps: tuple[str, str] = ("avg", "max")


STAGE = r"((?:.+\.)?layer\d+\.\d+\."
DIALECTS = {
    # github.com/moskomule/senet.pytorch
    "moskomule": Dialect(
        "moskomule's SE", "se", STAGE + r"se\.)(fc\.\d\..+)",
        {"fc.0": "mlp.0", "fc.2": "mlp.2"}, (SqueezeExcitation,), kernel=(),
    ),
    # github.com/BangguWu/ECANet
    "ecanet": Dialect(
        "ECA-Net's authors' ECA", "eca", STAGE + r"eca\.)(conv\..+)", {"conv": "conv"}, (ECA,)
    ),
    # github.com/luuuyi/CBAM.PyTorch: the two halves stand in the residual block itself
    "luuuyi": Dialect(
        "luuuyi's CBAM", "", STAGE + r")((?:ca|sa)\..+)",
        {
            "ca.fc.0": "channel_attention.mlp.0",
            "ca.fc.2": "channel_attention.mlp.2",
            "sa.conv1": "spatial_attention.conv",
        },
    ),
    # github.com/Jongchan/attention-module
    "official": Dialect(
        "the authors' CBAM", "cbam", r"((?:.+\.)?)((?:ChannelGate|SpatialGate)\..+)",
        {
            "ChannelGate.mlp.1": "channel_attention.mlp.0",
            "ChannelGate.mlp.3": "channel_attention.mlp.2",
            "SpatialGate.spatial.conv": "spatial_attention.conv",
            "SpatialGate.spatial.bn": "spatial_attention.bn",
        },
        kernel=(), maps=("max", "avg"),
    ),
    # CbamModule, EcaModule and SEModule; in timm's ResNets each of them is called se
    "timm": Dialect(
        "timm's CBAM, ECA and SE", "se", STAGE + r"se\.)(.+)",
        {
            "channel.fc1": "channel_attention.mlp.0",
            "channel.fc2": "channel_attention.mlp.2",
            "spatial.conv.conv": "spatial_attention.conv",
            "spatial.conv.bn": "spatial_attention.bn",
            "fc1": "mlp.0",
            "fc2": "mlp.2",
            "conv": "conv",
        },
        (CBAM, ECA, SqueezeExcitation),
    ),
}  # fmt: skip

OURS = r"((?:.+\.)?attention\.|(?:.+\.)?(?=(?:channel|spatial)_attention\.))(.+)"
"""The keys of our blocks in a network."""


def layout(state: Mapping[str, Tensor]) -> str:
    """Whose names the keys of a network's state dict are.

    Returns:
        ``"official"`` for CBAM's authors, ``"timm"``, ``"ecanet"``, ``"moskomule"`` or
        ``"luuuyi"``; ``"course"`` for ours and for networks without attention.
    """
    for name, dialect in DIALECTS.items():
        if any(re.fullmatch(dialect.key, key) for key in state):
            return name
    return "course"


def official_cbam(channels: int, reduction: int = 16) -> CBAM:
    """CBAM exactly as in the authors' code.

    Linear layers with biases in the MLP, a 7x7 convolution of the maximum and the average, in this
    order, and behind it a BatchNorm with momentum 0.01.

    Args:
        channels: number of channels C.
        reduction: reduction ratio r.

    Raises:
        ValueError: whatever :class:`~cbam_course.attention.CBAM` refuses.

    Source: github.com/Jongchan/attention-module, ``MODELS/cbam.py``.
    """
    block = CBAM(
        channels,
        reduction,
        channel_options={"bias": True, "layer": "linear"},
        spatial_options={"pools": DIALECTS["official"].maps, "batch_norm": True},
    )
    block.spatial_attention.bn.momentum = 0.01
    return block


def from_layout(state: Mapping[str, Tensor], whose: str) -> dict[str, Tensor]:
    """Weights in somebody else's layout, in ours; of a block alone or of a network.

    What no weight tells is for the caller to know. The authors' fit a network with
    :func:`official_cbam`, and their ResNet is version 1.5. Of timm's blocks its defaults are
    assumed: zero padding in ECA (so no ``CecaModule``), the average alone in SE (so no
    ``add_maxpool``), ReLU and sigmoid.

    Args:
        state: the state dict. The authors' is older than the counters of BatchNorm
            (``num_batches_tracked``): the result has none either, and PyTorch does without.
        whose: what :func:`layout` calls it, such as ``"official"`` or ``"timm"``.

    Raises:
        ValueError: for a layer that the course has not, such as of timm's ECA with an MLP, or its
            SE with a BatchNorm.
    """
    theirs = DIALECTS[whose]
    return _renamed(state, theirs, theirs.layers, theirs.key, (theirs.name, "attention"))


def to_layout(source: Mapping[str, Tensor] | nn.Module, whose: str) -> dict[str, Tensor]:
    """Our weights in somebody else's layout, for a block alone or for a network.

    Args:
        source: a state dict, or the module itself. A state dict does not tell the pools and is
            taken to have theirs: the maximum first in the spatial half of CBAM's authors, the
            average first in the others', the average alone in SE and ECA. Of a module they are
            checked.
        whose: as of :func:`from_layout`.

    Raises:
        ValueError: if they have nothing like a block. (The only one of CBAM's authors is CBAM, with
            biases in the MLP and a BatchNorm in the spatial half; timm's has the BatchNorm.)
    """
    theirs = DIALECTS[whose]
    if isinstance(source, nn.Module):
        check_alike(source, whose)
        source = source.state_dict()
    layers = {ours: name for name, ours in theirs.layers.items()}
    return _renamed(source, theirs, layers, OURS, ("attention", theirs.name))


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


def check_alike(model: nn.Module, whose: str, what: str = "the block") -> None:
    """Refuse blocks that compute something else than those of a dialect, which no weight tells."""
    dialect = DIALECTS[whose]
    for key, block in attention_blocks(model).items():
        pools = getattr(block, "pools", ("avg",))
        alike = isinstance(block, dialect.blocks) and pools == ("avg",)
        if isinstance(block, CBAM) and CBAM in dialect.blocks:
            channel, spatial = block.channel_attention, block.spatial_attention
            alike = block.order in ("channel-spatial", "channel")
            alike = alike and set(channel.pools) == {"avg", "max"}
            alike = alike and (spatial is None or spatial.pools == dialect.maps)
        if not alike:
            raise ValueError(
                f"{key or what} computes something else than {dialect.whose}, whose spatial "
                f"attention stacks {dialect.maps}: {block}"
            )


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what ``torch.compile``, ``nn.DataParallel`` or both put before every name."""
    for prefix in ("_orig_mod.", "module.", "_orig_mod."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)
