"""Settings for all tests of the project."""

from hypothesis import settings

# The first call of a torch function may take a second on a busy machine.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")
