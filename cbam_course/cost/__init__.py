"""What a network costs: parameters and multiply-accumulates, counted by hand and by tools."""

from .count import Cost, count
from .explain import explain
from .published import conventions
from .reproduce import network_costs, reproduce
from .tools import TOOLS, compare

__all__ = [
    "TOOLS",
    "Cost",
    "compare",
    "conventions",
    "count",
    "explain",
    "network_costs",
    "reproduce",
]
