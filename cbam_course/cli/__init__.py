"""The ``cbam-course`` command: one file per subcommand, and none loads PyTorch before it runs."""

import click

from cbam_course import __version__

from .benchmarks import bench
from .check import check
from .cost import cost
from .experiments import experiments
from .export import export
from .grade import grade
from .train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cbam-course")
def main() -> None:
    """Convolutional attention, from squeeze-and-excitation to CBAM: the course's commands."""


for command in (bench, check, cost, experiments, export, grade, train):
    main.add_command(command)

__all__ = ["main"]
