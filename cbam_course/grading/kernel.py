"""Start an IPython kernel that cannot do everything: ``python -m cbam_course.grading.kernel``.

The grader's kernels are started so. The limits are read from the environment variable
``CBAM_GRADING_KERNEL`` and set before anything of the submission runs; they cannot be raised again.
"""

import json
import os
import sys
from pathlib import Path

from . import landlock, seccomp
from .processes import hide_memory

VARIABLE = "CBAM_GRADING_KERNEL"


def can_lock_in() -> bool:
    """Return whether this system can keep answers from the files of the one who grades."""
    return landlock.abi() > 0 and seccomp.is_available()


def limit(name: str, value: int) -> None:
    """Lower a limit of this process and of all that it starts, as far as the system has it."""
    import resource  # Windows has none

    number = getattr(resource, name, None)
    if number is None:
        return
    hard = resource.getrlimit(number)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(number, (value, value))


def lock_in(settings: dict) -> None:
    """Set the limits, and lock the files away if `settings` has ``"sandbox"``.

    Args:
        settings: ``memory`` and ``file`` in bytes, ``cpu`` in seconds, ``tasks`` as the number of
            processes and threads of this user; ``sandbox`` with the lists ``readable``,
            ``listable`` and ``writable``, or None.
    """
    hide_memory()  # from the kernels that run other answers at the same time
    limit("RLIMIT_CORE", 0)
    limit("RLIMIT_CPU", settings["cpu"])
    limit("RLIMIT_FSIZE", settings["file"])
    limit("RLIMIT_NPROC", settings["tasks"])
    if sys.platform.startswith("linux"):
        # What a process allocates. RLIMIT_AS would count the libraries that are mapped too, and
        # those of PyTorch alone are gigabytes that nobody uses. Elsewhere neither limit is kept.
        limit("RLIMIT_DATA", settings["memory"])
    if settings["sandbox"] is not None:
        landlock.restrict(**{kind: map(Path, paths) for kind, paths in settings["sandbox"].items()})
        seccomp.restrict()


def main() -> None:
    """Lock this process in and become the kernel of the connection file on the command line."""
    lock_in(json.loads(os.environ.pop(VARIABLE)))
    # ipykernel does without its debugger, whose import is a quarter of the kernel's start.
    sys.modules["debugpy"] = None
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


if __name__ == "__main__":
    main()
