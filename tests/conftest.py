"""Settings for all tests of the project."""

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
# The files that take longest, the longest first: pytest-xdist hands whole files to its processes,
# and with a long one at the end the other processes would have nothing left to do.
LONGEST = (
    "notebooks/08_cifar10.ipynb",
    "tests/test_exercises.py",
    "tests/test_export.py",
    "tests/test_book.py",
    "tests/test_grading.py",
    "tests/test_mutants.py",
    "notebooks/06_real_networks.ipynb",
    "notebooks/10_seeing_attention.ipynb",
    "tests/cost/test_cost_published.py",
    "tests/test_training.py",
    "tests/test_grading_attacks.py",
    "tests/test_cli.py",
    "notebooks/07_cost.ipynb",
    "notebooks/09_does_it_help.ipynb",
    "tests/test_cli_export.py",
)

# The first call of a torch function may take a second on a busy machine.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


@pytest.fixture
def one_thread():
    """Tiny sums are faster on one thread, and bits may depend on how many there are."""
    import torch  # most tests of the project itself do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items):
    """Put the longest files first, without changing the order within a file."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
