"""Records: what finished runs have shown, as tables, statistics and figures.

The course ships a record of every run that its chapters speak of; a folder of records made by
``cbam-course experiments run`` adds to them. In the tables of this room accuracies are in percent,
and differences of accuracies in percentage points.
"""

from .figures import show_accuracy_and_cost, show_curves, show_differences
from .reading import load
from .statistics import summary
from .tables import curves, describe, largest, table

__all__ = [
    "curves",
    "describe",
    "largest",
    "load",
    "show_accuracy_and_cost",
    "show_curves",
    "show_differences",
    "summary",
    "table",
]
