"""What a network costs: parameters and multiply-accumulates, counted by hand and by tools."""

from .compare import compare
from .count import Cost, count
from .explain import explain
from .published import conventions, published
from .reproduce import network_costs, reproduce
from .tools import TOOLS

__all__ = [
    "TOOLS",
    "Cost",
    "compare",
    "conventions",
    "count",
    "explain",
    "network_costs",
    "published",
    "reproduce",
]
