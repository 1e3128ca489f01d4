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

from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Milliseconds: ten times what a page takes on a machine that is busy with something else.
PATIENCE = 60_000


def executable() -> str | None:
    """Return the path of this machine's Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and end it afterwards."""
    with sync_playwright() as playwright:
        # The pages are our own, and Chromium's sandbox does not start in many containers.
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder under a prefix, without a line for each request."""

    prefix = "/"

    def translate_path(self, path: str) -> str:
        """Return the file of an address; outside the prefix there is none."""
        if not path.startswith(self.prefix):
            return ""
        return super().translate_path("/" + path.removeprefix(self.prefix))

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, prefix: str = "/") -> Iterator[str]:
    """Serve `folder` on a free port of this machine, and yield its address.

    As on GitHub Pages, the site may lie in a folder of its host: "/course/" is such a prefix.
    """
    handler = partial(type("PrefixHandler", (Handler,), {"prefix": prefix}), directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
        server.shutdown()


@dataclass
class Visit:
    """An open page, what it asked for, and what went wrong on it."""

    page: Page
    host: str
    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Write down errors and requests; a request to another host is counted, and refused."""
        page = self.page
        page.on("console", lambda said: said.type == "error" and self.note("console", said.text))
        page.on("pageerror", lambda error: self.note("script", error))
        page.on("requestfailed", lambda request: self.note("failed", request.url))
        page.on("response", lambda got: got.status >= 400 and self.note("missing", got.url))
        page.on("request", lambda request: self.requests.append(request))
        page.route(lambda url: self.is_outside(url), self.refuse)

    def is_outside(self, url: str) -> bool:
        """Whether `url` is that of another host."""
        parts = urlsplit(url)
        return parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host

    def refuse(self, route: Route) -> None:
        """Write down a request to another host, and do not make it."""
        self.note("outside", route.request.url)
        route.abort()

    def note(self, kind: str, what: object) -> None:
        """Add a line to the problems."""
        self.problems.append(f"{kind}: {what}")


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
    opened = Visit(context.new_page(), urlsplit(address).netloc)
    opened.watch()
    opened.page.goto(address, wait_until="load")
    yield opened
    context.close()
