"""The exercises' checks: ``exercises.check("2.1", answer)`` in a notebook.

One file a chapter holds its checks; the notebooks in ``notebooks/exercises`` hold everything else.
"""

from .errors import ExerciseError, NotSolved, Stopped, Wrong
from .framework import EXERCISES, Exercise, check, summary

__all__ = [
    "EXERCISES",
    "Exercise",
    "ExerciseError",
    "NotSolved",
    "Stopped",
    "Wrong",
    "check",
    "summary",
]
