"""``cbam-course check``: whether a block in a file is right."""

import runpy
import sys
from pathlib import Path
from typing import Any

import click

from .options import _named_values


@click.command()
@click.argument("block", metavar="FILE.py:NAME")
@click.option("--channels", type=click.IntRange(4), default=64, show_default=True)
@click.option(
    "--arg", "arguments", multiple=True, metavar="NAME=VALUE", callback=_named_values,
    help="A further argument of the class or factory. May be repeated.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(block: str, channels: int, arguments: dict[str, Any], as_json: bool) -> None:
    """Say whether a block is a right CBAM, SE, ECA, or half of a CBAM, by what it computes.

    NAME is a class or function in FILE.py that makes the block from the number of channels, or a
    module. The file is run, as by an import; nothing else of yours is. The exit code is 0 for a
    right block and for one that deviates in what is allowed, 1 for a wrong one, and 2 if it cannot
    be judged.

    \b
      cbam-course check book/copy/cbam.py:CBAM
      cbam-course check my_blocks.py:Attention --channels 256 --arg reduction=8 --json
    """  # noqa: D301
    from cbam_course.checker import Report
    from cbam_course.checker import check as judge

    path, _, name = block.rpartition(":")
    if not path or not Path(path).is_file():
        raise click.UsageError(f"{block!r} is not of the form FILE.py:NAME with a file that exists")
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        made = runpy.run_path(path).get(name)
    except Exception as error:  # whatever the file does
        report = Report(reason=f"{path} raised {type(error).__name__}: {error}".splitlines()[0])
    else:
        if not callable(made):
            raise click.UsageError(f"there is no class, function or module {name!r} in {path}")
        report = judge(made, channels, **arguments)
    click.echo(report.to_json() if as_json else str(report))
    sys.exit(report.exit_code)
