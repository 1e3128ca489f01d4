"""``python -m cbam_course`` is the ``cbam-course`` command."""

from cbam_course.cli import main

if __name__ == "__main__":
    main(prog_name="cbam-course")
