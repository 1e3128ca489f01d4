"""What runs in the sandbox: the cells of one exercise, in one namespace, as a notebook runs them.

The answer's code may try anything, with this process too. So what is told of the outputs is read as
a stranger's text, and compared outside, with what no code in here has ever seen.
"""

import json
import os
import resource
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

LONGEST_TEXT = 100_000
"""Characters kept of one text: reports are to be read by people."""


def run(cells: Iterable[str]) -> tuple[list[str], list[str] | None]:
    """Run cells until one raises an error.

    Returns:
        what each of them printed; and the name, the message and the traceback of the error.
    """
    no_history = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=no_history, ast_node_interactivity="none")
    shell.enable_gui = lambda gui=None: None  # %matplotlib asks for it; there are no windows
    tracebacks = []
    shell._showtraceback = lambda kind, error, lines: tracebacks.append("\n".join(lines))
    printed = []
    for source in cells:
        with redirect_stdout(StringIO()) as output:
            result = shell.run_cell(source)
        printed.append(output.getvalue()[:LONGEST_TEXT])
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            told = type(error).__name__, str(error)[:LONGEST_TEXT], tracebacks[-1][-LONGEST_TEXT:]
            return printed, list(told)
    return printed, None


def main() -> None:
    """Take the order from the standard input, run its cells, and print how it went."""
    order = json.load(sys.stdin)
    for name, value in order["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    print("begun", file=told, flush=True)
    # What the answer starts inherits these, and could fill whatever is behind them.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    json.dump(run(order["cells"]), told)


if __name__ == "__main__":
    main()
