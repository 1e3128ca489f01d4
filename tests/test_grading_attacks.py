"""Attacks on the grader earn nothing, and the honest answers beside them all they deserve."""

import os
import sys

import grading_attacks
import grading_toys as toys
import psutil
import pytest

from cbam_course import grading
from cbam_course.grading import landlock

slow = pytest.mark.skipif("CBAM_COURSE_SLOW" not in os.environ, reason="slow: CBAM_COURSE_SLOW=1")
needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this system has no Landlock")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the grader needs POSIX")

LIMITS = grading.Limits(cell=8, total=30, memory=600 * 2**20, disk=30 * 2**20)


def grade_attacks(tmp_path, attacks, every=1, sandbox=True, **options):
    """Grade one submission per attack: 1.1 is the attack, 1.2 is right; return what they got.

    Right answers are all alike to the grader, which then runs one of them; every so many are not.
    """
    pristine = toys.write_exercises(tmp_path / "pristine", c1=2)
    for number, (name, source) in enumerate(attacks.items()):
        source = source.replace("STORED", toys.stored_output("1.1"))
        source = source.replace("PRISTINE", str(pristine))
        right = toys.SOLUTION + (f"  # {number}" if number % every == 0 else "")
        submission = toys.exercises_notebook(1, [source, right])
        toys.write(tmp_path / "class" / f"{name}.ipynb", submission)
    report = grading.grade(
        [tmp_path / "class"], exercises=pristine, limits=LIMITS, sandbox=sandbox, **options
    )
    return report, {
        graded.submission.name: tuple(o.points for o in graded.outcomes.values())
        for graded in report.graded
    }


def assert_nothing_is_left():
    """No process that an attack started is there any more."""
    lines = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "98765"] not in lines


def all_of(attacks):
    return {name: (0, 1) for name in attacks}


def test_a_sample_of_attacks_earns_nothing(tmp_path):
    sample = {name: grading_attacks.ATTACKS[name] for name in grading_attacks.SAMPLE}
    report, points = grade_attacks(tmp_path, sample, every=5)
    assert points == all_of(sample)
    pages = grading.write_pages(report, tmp_path / "feedback")
    page = next(p for p in pages if "scripts" in p.name).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page and "<img" not in page and "\x1b" not in page


@slow
@pytest.mark.parametrize("sandbox", [pytest.param(True, marks=needs_landlock), False])
def test_all_attacks_earn_nothing(tmp_path, sandbox):
    attacks = dict(grading_attacks.ATTACKS)
    only_sandboxed = dict(grading_attacks.ONLY_STOPPED_BY_A_SANDBOX)
    if sandbox:
        attacks |= only_sandboxed
    elif os.geteuid():  # memory hides from all users but root
        name = "outputs in the parent's memory"
        attacks[name] = only_sandboxed[name]
    report, points = grade_attacks(tmp_path, attacks, sandbox=sandbox, jobs=2)
    assert report.sandbox == sandbox
    assert points == all_of(attacks)
    assert_nothing_is_left()
    pristine = (tmp_path / "pristine" / "01_toys.ipynb").read_text()
    assert (pristine != "{}") == sandbox


@slow
def test_what_only_a_sandbox_stops(tmp_path):
    """The page for instructors says so; if it ever changes, the page should."""
    read = "the solution read from the disk"
    attacks = {read: grading_attacks.ONLY_STOPPED_BY_A_SANDBOX[read]}
    assert grade_attacks(tmp_path, attacks, sandbox=False)[1] == {read: (1, 1)}
