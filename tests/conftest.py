"""Settings for all tests of the project."""

import pytest
from hypothesis import settings

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
