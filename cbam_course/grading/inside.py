"""What runs in the sandbox: pytest with nbval, and the kernel that it starts.

The answer's code runs in the kernel and may try anything. So the kernel cannot look into this
process's memory or files, since it is not "dumpable"; and what is told of the outputs is compared
outside, with what no code in here has ever seen.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import nbformat
import nbval.plugin  # noqa: F401  # what it lacks is said here, where it is read
import pytest

SET_PARENT_DEATH_SIGNAL, SET_DUMPABLE = 1, 4
LONGEST_TEXT = 100_000
"""Characters kept of one text: reports are to be read by people."""


class Cells:
    """A plugin for pytest: what the cells print, and the first one that does not pass."""

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.failure: dict[str, Any] | None = None
        self.in_cell = False

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
        """Keep what a cell has printed, and the error with which it ended.

        The kernel may have sent anything, so every text is made one.
        """
        report = yield
        outputs = item.test_outputs or []
        if report.when == "call":
            texts = [str(o.get("text")) for o in outputs if o.get("name") == "stdout"]
            self.printed.append("".join(texts)[:LONGEST_TEXT])
        if (report.outcome != "passed" or hasattr(report, "wasxfail")) and not self.failure:
            error = getattr(report.longrepr, "reprcrash", None) or report.longrepr
            self.failure = {
                "cell": item.cell_num,
                "message": str(error).removeprefix("pytest plugin exception: ")[:LONGEST_TEXT],
            }
            for raised in (o for o in outputs if o.get("output_type") == "error"):
                lines = raised["traceback"] if isinstance(raised["traceback"], list) else []
                self.failure["name"] = str(raised["ename"])[:LONGEST_TEXT]
                self.failure["message"] = str(raised["evalue"])[:LONGEST_TEXT]
                self.failure["traceback"] = "\n".join(map(str, lines))[-LONGEST_TEXT:]
        return report


def main() -> int:
    """Take the order from the standard input, run its notebook, and print how it went."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        for option, value in ((SET_PARENT_DEATH_SIGNAL, signal.SIGKILL), (SET_DUMPABLE, 0)):
            library.prctl(option, ctypes.c_ulong(value))
    order = json.load(sys.stdin)
    if order["limits"]:
        import resource

        for name, value in order["limits"].items():
            resource.setrlimit(getattr(resource, name), (value, value))
    result = os.fdopen(os.dup(1), "w", encoding="utf-8")
    print("begun", file=result, flush=True)
    # The kernel inherits these, and could fill whatever is behind them.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    cells = [nbformat.v4.new_code_cell(source) for source in order["cells"]]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "exercise.ipynb")
    Path("pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = (
        "-p nbval.plugin -p no:cacheprovider -p no:assertion --noconftest --capture=no --color=no "
        "--quiet --exitfirst --nbval-lax --nbval-current-env -c pytest.ini exercise.ipynb"
    ).split()
    options.append(f"--nbval-cell-timeout={order['seconds']}")
    seen = Cells()
    pytest.main(options, plugins=[seen])
    json.dump({"printed": seen.printed, "failure": seen.failure}, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
