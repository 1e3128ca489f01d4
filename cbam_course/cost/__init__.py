"""What a network costs: parameters, multiply-accumulates and bytes, by hand and by tools."""

from .count import Cost, count
from .explain import explain
from .published import conventions
from .reproduce import network_costs, reproduce
from .tools import TOOLS, compare
from .traffic import Traffic, traffic

__all__ = [
    "TOOLS",
    "Cost",
    "Traffic",
    "compare",
    "conventions",
    "count",
    "explain",
    "network_costs",
    "reproduce",
    "traffic",
]
