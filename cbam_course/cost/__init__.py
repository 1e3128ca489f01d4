"""What a network costs: parameters and multiply-accumulates, counted by hand and by tools."""

from .count import ATTENTION_BLOCKS, Cost, count

__all__ = ["ATTENTION_BLOCKS", "Cost", "count"]
