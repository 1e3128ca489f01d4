"""Grading submissions of the exercises, on nbval, so that only right answers earn points.

:func:`grade` does it all; ``cbam-course grade`` is the same on the command line. Of a submission
nothing is used but the code in its answer cells. Each answer is put into the pristine notebook and
run in a kernel of its own, and what the check prints is compared with what it prints for the
solution, under a seed that nobody knew before.

Running needs more than the rest of the course: ``pip install "cbam-course[grade]"``.
"""

from .answers import Answer
from .feedback import write_pages
from .grader import Graded, Report, check_requirements, default_jobs, grade
from .outcome import Outcome
from .pristine import Exercise, default_folder, load_exercises
from .reports import csv_text, json_text, junit_text, rows, table
from .submissions import Submission, find_submissions
from .watch import Limits

__all__ = [
    "Answer",
    "Exercise",
    "Graded",
    "Limits",
    "Outcome",
    "Report",
    "Submission",
    "check_requirements",
    "csv_text",
    "default_folder",
    "default_jobs",
    "find_submissions",
    "grade",
    "json_text",
    "junit_text",
    "load_exercises",
    "rows",
    "table",
    "write_pages",
]
