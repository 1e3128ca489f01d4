"""What the tests of the site share: the built site, a browser, and opening a page in it."""

import shutil

import pytest

from tests.support import browser as browsers
from tests.support import site as sites


@pytest.fixture(scope="session")
def site_folder():
    """The folder of the site; built here, strictly, if it is missing or older than its sources."""
    if not sites.is_fresh() and not shutil.which("make"):
        pytest.skip("the site is not built, and there is no make here")
    problem = sites.build()
    assert not problem, problem
    return sites.SITE


# Playwright's event loop is in the way of other tests, so that each file has a browser of its own.
@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    if not browsers.executable():
        pytest.skip("there is no Chromium here (on Debian: apt install chromium)")
    with browsers.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(site_folder):
    """The address of the site on a server of this machine."""
    with browsers.served(site_folder) as started:
        yield started


@pytest.fixture
def visit(browser):
    """Open a page: `with visit(address, width=390, theme="dark") as opened: opened.page ...`."""

    def open_page(address, **options):
        return browsers.visit(browser, address, **options)

    return open_page
