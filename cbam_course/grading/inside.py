"""What runs in the sandbox: pytest with nbval, and the kernel that it starts.

The answer's code runs in the kernel and may try anything. So here

- the outputs to compare with come through a pipe, before the kernel starts, and lie in no file,
- the result leaves through a file without a name, which the kernel does not have,
- the kernel cannot look into this process's memory or files, since it is not "dumpable",
- the first cell that does not pass, or the last, ends this process, and the sandbox with it.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, TextIO

import nbformat
import nbval.plugin  # noqa: F401  # what it lacks is said here, where it is read
import pytest

SET_PARENT_DEATH_SIGNAL, SET_DUMPABLE = 1, 4
LONGEST_TEXT = 100_000
"""Characters kept of one text of an output: reports are to be read by people."""


class Comparison:
    """A plugin for pytest: fill in the outputs to compare with, and tell how the cells fared."""

    def __init__(self, expected: dict[str, list], result: TextIO) -> None:
        self.expected = expected
        self.result = result
        self.outputs: list[list[dict]] = []
        self.left = 0
        self.in_cell = False

    def pytest_collection_modifyitems(self, items: list) -> None:
        """Put the outputs where nbval looks for them, and take the notebook off the disk."""
        for item in items:
            if (outputs := self.expected.get(str(item.cell_num))) is not None:
                item.cell.outputs = nbformat.from_dict(outputs)
                item.cell.execution_count = 1
        for path in {item.path for item in items}:
            path.unlink()
        self.left = len(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator:
        """Notice when the kernel ends in a cell, for whose answer nbval would wait."""

        def ended(*args: object) -> None:
            if self.in_cell:
                self.in_cell = False
                raise RuntimeError("its kernel ended before the cell did")

        signal.signal(signal.SIGCHLD, ended)
        self.in_cell = True
        try:
            return (yield)
        finally:
            self.in_cell = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator:
        """Tell how it went once the last cell has passed, or one has not."""
        report = yield
        clean = report.outcome == "passed" and not hasattr(report, "wasxfail")
        if report.when == "call":
            self.outputs.append([_clipped(output) for output in item.test_outputs or []])
            self.left -= 1
        if not clean or (report.when == "call" and not self.left):
            error = getattr(report.longrepr, "reprcrash", None) or report.longrepr
            message = "" if clean else str(error).removeprefix("pytest plugin exception: ")
            told = {"passed": clean, "cell": item.cell_num, "message": message[:LONGEST_TEXT]}
            json.dump({**told, "outputs": self.outputs}, self.result)
            self.result.flush()
            # The end of a sandbox ends the kernel too, but there may be none.
            item.parent.kernel.km.shutdown_kernel(now=True)
            os._exit(0)
        return report


def _clipped(output: dict) -> dict[str, Any]:
    """Return an output with its texts cut to what a person would read.

    The kernel may have sent anything, so what is no text is left out.
    """
    kept = {key: value[:LONGEST_TEXT] for key, value in output.items() if isinstance(value, str)}
    if isinstance(output.get("traceback"), list):
        kept["traceback"] = "\n".join(map(str, output["traceback"]))[-LONGEST_TEXT:]
    if isinstance(data := output.get("data"), dict):
        kept["data"] = {k: v[:LONGEST_TEXT] for k, v in data.items() if isinstance(v, str)}
    return kept


def main() -> int:
    """Take the order from the standard input, and run its notebook."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        for option, value in ((SET_PARENT_DEATH_SIGNAL, signal.SIGKILL), (SET_DUMPABLE, 0)):
            library.prctl(option, ctypes.c_ulong(value))
    order = json.load(sys.stdin)
    if order["limits"]:
        import resource

        for name, value in order["limits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
    result = os.fdopen(order["result"], "w", encoding="utf-8")
    os.set_inheritable(result.fileno(), False)
    print("begun", file=result, flush=True)
    Path("exercise.ipynb").write_text(order["notebook"], encoding="utf-8")
    Path("pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    # The kernel inherits these, and could fill whatever is behind them.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    options = (
        "-p nbval.plugin -p no:cacheprovider -p no:assertion --noconftest --capture=no --color=no "
        "--quiet --nbval --nbval-current-env -c pytest.ini exercise.ipynb"
    ).split()
    options.append(f"--nbval-cell-timeout={order['seconds']}")
    return pytest.main(options, plugins=[Comparison(order["expected"], result)]) or 1


if __name__ == "__main__":
    sys.exit(main())
