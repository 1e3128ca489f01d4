"""Settings for all tests of the project."""

import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import nbval.kernel
import pytest
from hypothesis import settings

# The files that take longest, the longest first: pytest-xdist hands whole files to its processes,
# and with a long one at the end the other processes would have nothing left to do.
LONGEST = (
    "test_browser.py",
    "08_cifar10.ipynb",
    "10_seeing_attention.ipynb",
    "06_real_networks.ipynb",
    "test_export.py",
    "test_touch.py",
    "07_cost.ipynb",
    "test_checker.py",
    "test_book.py",
    "test_process_group.py",
    "04_spatial_attention.ipynb",
    "12_relatives.ipynb",
    "11_making_it_fast.ipynb",
    "09_does_it_help.ipynb",
    "test_exercises.py",
    "test_experiments.py",
    "test_grading_class.py",
    "test_mutants.py",
    "test_models_insert.py",
    "test_which_block.py",
    "test_cli_export.py",
)

# The first call of a torch function may take a second on a busy machine.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


if sys.platform != "win32":
    # Jupyter chooses free ports for a kernel and lets go of them until the kernel has started:
    # whatever else connects meanwhile may take one, and the kernel dies. Sockets that are files
    # belong to one kernel.
    SOCKETS = tempfile.TemporaryDirectory(prefix="kernels-")

    def _kernel_manager(**options):
        return KERNEL_MANAGER(
            transport="ipc", ip=str(Path(SOCKETS.name, uuid4().hex[:8])), **options
        )

    KERNEL_MANAGER, nbval.kernel.KernelManager = nbval.kernel.KernelManager, _kernel_manager


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
    rank = {name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
