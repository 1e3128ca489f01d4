"""What all tests of training share."""

import pytest

from cbam_course import data


@pytest.fixture(scope="session")
def images():
    """The images of ``tests.support.runs.TINY``."""
    return data.shapes(train=40, test=20)


@pytest.fixture(autouse=True)
def on_one_thread(one_thread):
    """Each run is tiny."""
