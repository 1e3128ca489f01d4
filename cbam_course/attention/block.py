"""What the attention blocks share: the base class and the two pools."""

import torch
import torch.fx
from torch import Tensor, nn

from .fast import fusable, fused


class AttentionBlock(nn.Module):
    r"""A block that weighs a feature map by an attention map computed from it.

    .. math:: F' = M(F) \otimes F

    A subclass defines :meth:`attention_map`; the product, broadcast over the axes on which the map
    has size 1, is the same for all of them.

    Attributes:
        channels: number of channels C the block was made for, or ``None`` if any number will do.
    """

    channels: int | None = None

    def attention_map(self, x: Tensor) -> Tensor:
        """The attention map :math:`M(F)`, with values in (0, 1)."""
        raise NotImplementedError

    def forward(self, x: Tensor, return_map: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """The refined features, ``[B, C, H, W]`` -> ``[B, C, H, W]``.

        With ``return_map=True`` it is the pair ``(refined, map)``.

        Raises:
            ValueError: if ``x`` has not four axes, or not the number of channels the block was made
                for.
        """
        if fusable(x, self):
            refined, attention = fused(x, self)
        else:
            attention = self.attention_map(x)
            refined = x * attention
        return (refined, attention) if return_map else refined

    def check_input(self, x: Tensor) -> None:
        """Raise a ``ValueError`` unless ``x`` is a feature map this block can weigh."""
        _check_feature_map(x, self.channels, type(self).__name__)


# Conditions on values and shapes stand in functions of their own, which torch.fx takes as one step.
@torch.fx.wrap
def _check_feature_map(x: Tensor, channels: int | None, block: str) -> None:
    if torch.jit.is_tracing():
        return  # a trace holds no conditions
    expected = f"{block} expects a feature map [batch, {channels or 'channels'}, height, width]"
    if x.dim() != 4:
        raise ValueError(f"{expected}, got a tensor of shape {list(x.shape)}")
    if channels is not None and x.shape[1] != channels:
        raise ValueError(f"{expected}, got {x.shape[1]} channels: shape {list(x.shape)}")


def pool_positions(x: Tensor, pool: str) -> Tensor:
    """Average or maximum over the positions: ``[B, C, H, W]`` -> ``[B, C]``."""
    return x.mean(dim=(2, 3)) if pool == "avg" else _maximum(x.flatten(2), dim=2)


def pool_channels(x: Tensor, pool: str) -> Tensor:
    """Average or maximum over the channels: ``[B, C, H, W]`` -> ``[B, 1, H, W]``."""
    return x.mean(dim=1, keepdim=True) if pool == "avg" else _maximum(x, dim=1).unsqueeze(1)


@torch.fx.wrap
def _maximum(x: Tensor, dim: int) -> Tensor:
    # The values are the same. When a gradient is wanted, `max` remembers where each maximum was and
    # sends the gradient there; `amax` has to look for it again, several times slower on a CPU, and
    # shares it among equal values. Compiled, `amax` is the faster one, since it joins other passes.
    # A trace shall not depend on whether a gradient is wanted.
    followed = torch.jit.is_tracing() or torch.compiler.is_compiling()
    if torch.is_grad_enabled() and x.requires_grad and not followed:
        return x.max(dim=dim).values
    return x.amax(dim=dim)
