"""Grading submissions of the exercises, so that only right answers earn points.

:func:`grade` does it all; ``cbam-course grade`` is the same on the command line. Of a submission
nothing is used but the code in its answer cells. Each answer is put into the pristine notebook and
run in a sandbox of its own, and what the check prints is compared with what it prints for the
solution, under a seed that nobody knew before.

Running needs more than the rest of the course: ``pip install "cbam-course[grade]"``, and
bubblewrap.
"""

from .answers import Answer
from .grader import Graded, Report, grade
from .outcome import Outcome
from .pristine import Exercise, default_folder, load_exercises
from .sandbox import why_no_sandbox
from .sheets import rows, table, write_csv, write_pages
from .submissions import Submission, find_submissions

__all__ = [
    "Answer",
    "Exercise",
    "Graded",
    "Outcome",
    "Report",
    "Submission",
    "default_folder",
    "find_submissions",
    "grade",
    "load_exercises",
    "rows",
    "table",
    "why_no_sandbox",
    "write_csv",
    "write_pages",
]
