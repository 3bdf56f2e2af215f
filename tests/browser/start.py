"""Start what the browser tests and benchmarks drive: a Chromium, and a JupyterLab with settings of its own.

The browser is the system's: the environment variable CHROMIUM, else `chromium` and its usual other names.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()
LAB_FLAGS = [
    "--no-browser", "--allow-root", "--expose-app-in-browser", "--ServerApp.port_retries=0",
    "--IdentityProvider.token=", "--ServerApp.password=",
    "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]  # fmt: skip
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
}  # fmt: skip


def find_chromium():
    named = os.environ.get("CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def running_lab(root, extension=True):
    """A JupyterLab server whose files and settings lie under `root`; gives its address and its folder.

    extension: with the course's own server extension, as tools/install.sh enables it.
    """
    settings = root / "config" / "jupyter_server_config.d"
    settings.mkdir(parents=True)
    shipped = json.loads((ROOT / "tools" / "course_lib.json").read_text())
    enabled = dict.fromkeys(shipped["ServerApp"]["jpserver_extensions"], extension)
    (settings / "course.json").write_text(json.dumps({"ServerApp": {"jpserver_extensions": enabled}}))
    quiet = root / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    work = root / "work"
    work.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {key: str(root / name) for key, name in FOLDERS.items()}
    own["JUPYTER_PREFER_ENV_PATH"] = "0"  # these folders have the last word
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        *LAB_FLAGS,
        f"--port={port}",
        f"--ServerApp.root_dir={work}",
    ]
    with open(root / "lab.log", "w") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **own}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(server, f"http://127.0.0.1:{port}/api", root / "lab.log")
        yield f"http://127.0.0.1:{port}", work
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for(server, url, log):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.25)
    raise AssertionError(f"JupyterLab did not answer within a minute: {log.read_text()[-2000:]}")
