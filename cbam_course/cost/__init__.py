"""What a network costs: parameters and multiply-accumulates, counted by hand and by tools."""

from .compare import compare, make_without_memory
from .conventions import CONVENTIONS, Convention, conventions
from .count import ATTENTION_BLOCKS, Cost, count
from .explain import explain
from .networks import eca_parameters
from .published import published, sources
from .reproduce import network_costs, reproduce
from .rules import RULES, Rule, operations
from .tools import TOOLS, ToolFailed, measure

__all__ = [
    "ATTENTION_BLOCKS",
    "CONVENTIONS",
    "RULES",
    "TOOLS",
    "Convention",
    "Cost",
    "Rule",
    "ToolFailed",
    "compare",
    "conventions",
    "count",
    "eca_parameters",
    "explain",
    "make_without_memory",
    "measure",
    "network_costs",
    "operations",
    "published",
    "reproduce",
    "sources",
]
