"""A real JupyterLab and a real Chromium, both private to the tests: no network, no user settings.

The browser is the system's: the environment variable CHROMIUM, else `chromium` and its usual other names.
Without one these tests are skipped with a loud line, or fail where CI is set.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from actions import watched

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "no Chromium was found (install it, or set CHROMIUM to its path): THE WIDGETS WERE NOT TESTED"
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()
LAB_FLAGS = [
    "--no-browser", "--allow-root", "--expose-app-in-browser", "--ServerApp.port_retries=0",
    "--IdentityProvider.token=", "--ServerApp.password=",
    "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]  # fmt: skip


def find_chromium():
    named = os.environ.get("CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


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
    root = tmp_path_factory.mktemp("lab")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }  # fmt: skip
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        **{key: str(root / name) for key, name in folders.items()},
    }
    settings = root / "config" / "jupyter_server_config.d"
    settings.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "course_lib.json", settings)  # what tools/install.sh puts into .venv
    quiet = root / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    work = root / "work"
    work.mkdir()
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        *LAB_FLAGS,
        f"--port={port}",
        f"--ServerApp.root_dir={work}",
    ]
    with open(root / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for_server(server, f"http://127.0.0.1:{port}/api", root / "lab.log")
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", root=work, browser=browser)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for_server(server, url, log):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not answer within a minute: {log.read_text()[-2000:]}")
