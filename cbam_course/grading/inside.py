"""A pytest plugin for the process that compares a submission's outputs, next to nbval.

The submission's code runs in a kernel, this process's child, and may try anything. So here

- the outputs to compare with come through a pipe and lie in no file,
- the results leave through a pipe that the kernel does not have,
- on Linux other processes of the same user cannot look into this one's memory,
- whatever the kernel started ends with this process.
"""

import json
import os
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest

from .processes import adopt_orphans, end_all, hide_memory

LONGEST_TEXT = 20_000
"""Characters kept of one text of an output: reports are to be read by people."""


class Plugin:
    """Fill in the outputs to compare with, and tell how each cell fared."""

    def __init__(self) -> None:
        hide_memory()
        adopt_orphans()
        order = json.load(sys.stdin)
        self.expected = {int(number): outputs for number, outputs in order["expected"].items()}
        self.wants_outputs = order["wants_outputs"]
        self.results = os.fdopen(order["results"], "w", encoding="utf-8")
        os.set_inheritable(self.results.fileno(), False)
        # The kernel inherits these, and could fill whatever is behind them.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)

    def tell(self, **result: object) -> None:
        """Send one result as a line of JSON."""
        self.results.write(json.dumps(result) + "\n")
        self.results.flush()

    def pytest_collection_modifyitems(self, items: list) -> None:
        """Put the outputs where nbval looks for them, and take the notebook off the disk."""
        for item in items:
            if item.cell_num in self.expected:
                item.cell.outputs = nbformat.from_dict(self.expected[item.cell_num])
                item.cell.execution_count = 1
        for path in {item.path for item in items}:
            Path(path).unlink()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator:
        """Tell how a cell fared, before the submission's next cell runs."""
        report = yield
        outputs = None
        if report.when == "call" and (self.wants_outputs or report.outcome != "passed"):
            outputs = [_clipped(output) for output in item.test_outputs or []]
        self.tell(
            cell=item.cell_num,
            when=report.when,
            outcome=report.outcome,
            clean=report.outcome == "passed" and not hasattr(report, "wasxfail"),
            message=_message(report),
            outputs=outputs,
        )
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Tell that it is over, once nothing of the submission runs any longer."""
        with suppress(psutil.Error):
            end_all(psutil.Process().children(recursive=True))
        self.tell(exit=int(exitstatus))


def _clipped(output: dict) -> dict:
    """Return an output with its texts cut to what a person would read.

    The kernel may have sent anything, so what is no text is left out.
    """
    kept = {}
    for key, value in output.items():
        if isinstance(value, str):
            kept[key] = value[:LONGEST_TEXT]
        elif key == "traceback" and isinstance(value, list):
            kept[key] = ["\n".join(map(str, value))[-LONGEST_TEXT:]]
        elif key == "data" and isinstance(value, dict):
            kept[key] = {
                kind: data[:LONGEST_TEXT] for kind, data in value.items() if isinstance(data, str)
            }
    return kept


def _message(report: pytest.TestReport) -> str:
    if report.outcome == "passed":
        return ""
    error = getattr(report.longrepr, "reprcrash", None) or report.longrepr
    return str(error)[:LONGEST_TEXT]


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin once pytest knows its options."""
    config.pluginmanager.register(Plugin(), "cbam-grading")
