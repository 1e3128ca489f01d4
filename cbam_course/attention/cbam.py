"""CBAM: channel attention and spatial attention, one after the other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from .arguments import check_choice, check_integer
from .channel import ChannelAttention
from .eca import ECA
from .fast import fusable, fused
from .spatial import SpatialAttention

ORDERS = ("channel-spatial", "spatial-channel", "parallel", "channel", "spatial")


class AttentionMaps(NamedTuple):
    """CBAM's two maps; the half that a block does not have is ``None``."""

    channel: Tensor | None = None
    spatial: Tensor | None = None


class CBAM(nn.Module):
    r"""Convolutional block attention module.

    .. math:: F' = M_c(F) \otimes F, \qquad F'' = M_s(F') \otimes F'

    Input and output are ``[B, C, H, W]``; the maps are :math:`M_c` ``[B, C, 1, 1]`` and
    :math:`M_s` ``[B, 1, H, W]``.

    Args:
        channels: number of channels C.
        reduction: reduction ratio r of the shared MLP, 16 if ``None``. Mode ``"conv"`` has none.
        kernel_size: odd kernel size of the spatial half, 7 if ``None``.
        mode: ``"fc"`` for the shared MLP (:class:`ChannelAttention`), ``"conv"`` for the
            convolution along the channels (:class:`ECA` over averages and maxima).
        order: ``"channel-spatial"`` (the paper's choice), ``"spatial-channel"``, ``"parallel"``, or
            one half alone: ``"channel"`` or ``"spatial"``. In ``"parallel"`` both maps are computed
            from F and both multiply it, :math:`F'' = M_s(F) \otimes M_c(F) \otimes F`; the paper
            compares a parallel arrangement without its equation, and this is the plain reading.
        channel_options: further keyword arguments of the channel half, such as ``{"bias": True}``.
        spatial_options: further keyword arguments of the spatial half, such as
            ``{"batch_norm": True}``.

    Raises:
        ValueError: for an unknown mode or order, for an argument that the chosen mode or order has
            no use for, and for whatever the two halves refuse; on call, if the input has not four
            axes or not C channels.

    Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018,
    equation 1.
    """

    def __init__(
        self,
        channels: int,
        reduction: int | None = None,
        kernel_size: int | None = None,
        *,
        mode: str = "fc",
        order: str = "channel-spatial",
        channel_options: Mapping[str, Any] | None = None,
        spatial_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.mode = check_choice("mode", mode, ("fc", "conv"))
        self.order = check_choice("order", order, ORDERS)
        self.channels = check_integer("channels", channels)
        if mode == "conv":
            _refuse("mode 'conv' has no hidden layer to reduce", reduction=reduction)
        if order == "channel":
            _refuse(
                "order 'channel' has no spatial half",
                kernel_size=kernel_size,
                spatial_options=spatial_options,
            )
        if order == "spatial":
            _refuse(
                "order 'spatial' has no channel half",
                reduction=reduction,
                channel_options=channel_options,
                mode=None if mode == "fc" else mode,
            )

        self.channel_attention = self.spatial_attention = None
        if order != "spatial":
            options = channel_options or {}
            if mode == "fc":
                ratio = 16 if reduction is None else reduction
                self.channel_attention = ChannelAttention(channels, ratio, **options)
            else:
                self.channel_attention = ECA(channels, **{"pools": ("avg", "max"), **options})
        if order != "channel":
            size = 7 if kernel_size is None else kernel_size
            options = spatial_options or {}
            self.spatial_attention = SpatialAttention(size, channels=channels, **options)

    def forward(self, x: Tensor, return_map: bool = False) -> Tensor | tuple[Tensor, AttentionMaps]:
        """The refined features, ``[B, C, H, W]`` -> ``[B, C, H, W]``.

        With ``return_map=True`` it is the pair ``(refined, AttentionMaps(channel, spatial))``.
        """
        halves = {"channel": self.channel_attention, "spatial": self.spatial_attention}
        names = self.order.split("-")
        if self.order != "parallel" and fusable(x, *(halves[name] for name in names)):
            x, *found = fused(x, *(halves[name] for name in names))
            maps = dict(zip(names, found, strict=True))
        elif self.order == "parallel":
            maps = {name: half.attention_map(x) for name, half in halves.items()}
            x = x * maps["channel"] * maps["spatial"]
        else:
            maps = {}
            for name in names:
                x, maps[name] = halves[name](x, return_map=True)
        return (x, AttentionMaps(**maps)) if return_map else x

    def attention_map(self, x: Tensor) -> AttentionMaps:
        """The maps alone: ``[B, C, H, W]`` -> ``AttentionMaps([B, C, 1, 1], [B, 1, H, W])``."""
        return self(x, return_map=True)[1]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, mode={self.mode!r}, order={self.order!r}"


def _refuse(reason: str, **arguments: Any) -> None:
    """An argument that would be ignored is a mistake of the caller's: say so."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{reason}, so {name} would be ignored; got {name}={value!r}")
