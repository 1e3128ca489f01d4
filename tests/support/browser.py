"""Chromium without a window, for tests of pages: what goes wrong on a page is written down.

Playwright drives the Chromium that the machine has; nothing is downloaded.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright

# What axe-core finds in light, then the colors in dark.
AXE = """async (part) => {
  const run = async (options) => (
    await axe.run(part, { preload: false, resultTypes: ["violations"], ...options })
  ).violations.flatMap((found) => found.nodes.map((node) => found.id + ': ' +
    node.target.join(' ') + ' ' + node.any.concat(node.all).map((c) => c.message).join('; ')));
  const light = await run({});
  document.documentElement.dataset.theme = 'dark';
  const dark = await run({ runOnly: { type: "rule", values: ["color-contrast"] } });
  return light.concat(dark.map((line) => line + ' (dark)'));
}"""
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Milliseconds: ten times what a page takes on a machine that is busy with something else.
PATIENCE = 60_000
HOST = "127.0.0.1"


def executable() -> str | None:
    """Return the path of this machine's Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and end it afterwards."""
    with sync_playwright() as playwright:
        # The pages are our own, and Chromium's sandbox does not start in many containers. No host
        # but this machine is known, so that nothing outside is asked.
        args = ["--no-sandbox", f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}"]
        browser = playwright.chromium.launch(executable_path=executable(), args=args)
        yield browser
        browser.close()


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder under a prefix, without a line for each request.

    As GitHub Pages does, it keeps a connection for the next request, and lets a browser keep a
    file for ten minutes: what the pages of a site share is asked for once.
    """

    prefix = "/"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def translate_path(self, path: str) -> str:
        """Return the file of an address; outside the prefix there is none."""
        if not path.startswith(self.prefix):
            return ""
        return super().translate_path("/" + path.removeprefix(self.prefix))

    def end_headers(self) -> None:
        """Say how long a file may be kept."""
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, prefix: str = "/") -> Iterator[str]:
    """Serve `folder` on a free port of this machine, and yield its address.

    As on GitHub Pages, the site may lie in a folder of its host: "/course/" is such a prefix.
    """
    handler = partial(type("PrefixHandler", (Handler,), {"prefix": prefix}), directory=str(folder))
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}{prefix}"
        server.shutdown()


@dataclass
class Visit:
    """An open page, what it asked for, and what went wrong on it."""

    page: Page
    host: str = ""
    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Write down errors and requests; one to another host is a problem."""
        page = self.page
        page.on("console", lambda said: said.type == "error" and self.note("console", said.text))
        page.on("pageerror", lambda error: self.note("script", error))
        page.on("requestfailed", lambda request: self.note("failed", request.url))
        page.on("response", lambda got: got.status >= 400 and self.note("missing", got.url))
        page.on("request", self.asked)

    def asked(self, request: Request) -> None:
        """Write down a request."""
        self.requests.append(request)
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.note("outside", request.url)

    def open(self, address: str, size: ViewportSize | None = None) -> None:
        """Go to a page, and wait until all it loads is there; what was written down is gone.

        The window keeps its size if it gets no other one.
        """
        self.page.goto("about:blank")  # what the page before has asked for is not its affair
        if size:
            self.page.set_viewport_size(size)
        self.requests.clear()
        self.problems.clear()
        self.host = urlsplit(address).netloc
        self.page.goto(address, wait_until="load")

    def note(self, kind: str, what: object) -> None:
        """Add a line to the problems."""
        self.problems.append(f"{kind}: {what}")


def axe(page: Page, part: str = "html") -> list[str]:
    """What axe-core says of the elements that the selector `part` finds; the page is dark then."""
    page.add_script_tag(path=AXE_FILE_PATH)
    return page.evaluate(AXE, part)


@contextmanager
def visit(
    browser: Browser, address: str, width: int = 1280, theme: str = "light", height: int = 900
) -> Iterator[Visit]:
    """Open `address` in a fresh window, `width` pixels wide; `theme` is "light" or "dark".

    `address` is a page on disk (file:///...) or of a server here (http://127.0.0.1:...). Nothing
    moves: the page is told that its reader wants no animations. It is yielded when all it loads
    is there.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    opened = Visit(context.new_page())
    opened.watch()
    opened.open(address)
    yield opened
    context.close()
