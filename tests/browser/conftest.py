"""A real JupyterLab and a real Chromium, both private to the tests: no network, no user settings.

Without a browser these tests are skipped with a loud line, or fail where CI is set.
"""

import os
from types import SimpleNamespace

import pytest
from actions import watched
from start import CHROMIUM_FLAGS, find_chromium, running_lab

NO_BROWSER = "no Chromium was found (install it, or set CHROMIUM to its path): THE WIDGETS WERE NOT TESTED"


def pytest_terminal_summary(terminalreporter):
    if any(NO_BROWSER in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("!", NO_BROWSER, red=True, bold=True)


@pytest.fixture(scope="session")
def browser():
    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser):
    """A fresh page for files; a test of it ends with no error and no request at all beyond this machine."""
    opened = watched(browser.new_page(viewport={"width": 900, "height": 800}, has_touch=True))
    yield opened
    opened.close()
    assert opened.errors == []
    assert opened.outside == []


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """A JupyterLab server with settings of its own: `lab.url`, `lab.root` (its folder), `lab.browser`."""
    with running_lab(tmp_path_factory.mktemp("lab")) as (url, root):
        yield SimpleNamespace(url=url, root=root, browser=browser)
