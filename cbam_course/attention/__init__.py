"""The attention blocks, one file each.

They depend on PyTorch alone; the folder can be copied as it is.
"""

from .cbam import CBAM, AttentionMaps
from .channel import ChannelAttention
from .controls import ConstantGate, attention_blocks, attention_off
from .eca import ECA, eca_kernel_size
from .factory import ATTENTION_NAMES, AttentionFactory, make_attention
from .fast import fused_attention
from .identity import IdentityStart, starting_as_identity
from .spatial import SpatialAttention
from .squeeze_excitation import SqueezeExcitation

__all__ = [
    "ATTENTION_NAMES",
    "CBAM",
    "ECA",
    "AttentionFactory",
    "AttentionMaps",
    "ChannelAttention",
    "ConstantGate",
    "IdentityStart",
    "SpatialAttention",
    "SqueezeExcitation",
    "attention_blocks",
    "attention_off",
    "eca_kernel_size",
    "fused_attention",
    "make_attention",
    "starting_as_identity",
]
