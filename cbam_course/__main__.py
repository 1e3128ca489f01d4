"""The command ``cbam-course``, also as ``python -m cbam_course``."""

import signal

# Until a command handles Ctrl-C itself, it ends the process at once, without a traceback: in the
# first seconds a KeyboardInterrupt would come out of some library's import.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from cbam_course.cli import main  # noqa: E402

if __name__ == "__main__":
    main(prog_name="cbam-course")
