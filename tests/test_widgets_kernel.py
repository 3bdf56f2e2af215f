"""What goes through the kernel, without a browser: the server extension, the live plane, the playground."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from traitlets import import_item

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
pytest.importorskip("jupyter_server", reason="the server extension needs the [lab] extra")
from course_lib.widgets import LatentPlane  # noqa: E402
from course_lib.widgets import server as extension  # noqa: E402
from course_lib.widgets.strip import before_save  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

# --- the server extension


# Tells, for every open websocket to a kernel, whether the server's end sends without delay.
SPY = """
import gc, json, socket
from tornado.web import RequestHandler
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

class Spy(RequestHandler):
    def get(self):
        opened = [h for h in gc.get_objects() if isinstance(h, KernelWebsocketHandler) and h.ws_connection]
        self.write(json.dumps([
            h.ws_connection.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for h in opened
        ]))

def _load_jupyter_server_extension(server):
    server.web_app.add_handlers(".*", [("/spy", Spy)])
"""


@pytest.fixture
def jupyter(tmp_path):
    """`jupyter(extensions)` starts a real server with these extensions and gives its address."""
    started = []

    def start(extensions):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = tmp_path / "config" / "jupyter_server_config.d"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "test.json").write_text(json.dumps({"ServerApp": {"jpserver_extensions": extensions}}))
        (tmp_path / "spy.py").write_text(SPY)
        folders = {name: str(tmp_path / name.split("_")[1].lower()) for name in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}  # fmt: skip
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}",
                   "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
                   "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={tmp_path}"]  # fmt: skip
        with open(tmp_path / "log", "w") as log:
            environment = {**os.environ, **folders, "PYTHONPATH": str(tmp_path)}
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/api", timeout=5)
                return url
            except OSError:
                assert started[-1].poll() is None, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.25)
        raise AssertionError("the server did not answer within a minute")

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def told(url):
    """Open a websocket to a new kernel, have it run something, and ask the spy."""
    from tornado.ioloop import IOLoop
    from tornado.websocket import websocket_connect

    request = urllib.request.Request(f"{url}/api/kernels", data=b"{}", method="POST")
    kernel = json.load(urllib.request.urlopen(request, timeout=60))["id"]

    async def ask():
        path = f"{url.replace('http', 'ws')}/api/kernels/{kernel}/channels?session_id=spy"
        connection = await websocket_connect(path)
        header = {
            "msg_id": "1",
            "msg_type": "kernel_info_request",
            "session": "spy",
            "username": "",
            "version": "5.3",
        }
        await connection.write_message(
            json.dumps(
                {"header": header, "parent_header": {}, "metadata": {}, "content": {}, "channel": "shell"}
            )
        )
        while json.loads(await connection.read_message())["header"]["msg_type"] != "kernel_info_reply":
            pass  # messages do arrive
        answer = await IOLoop.current().run_in_executor(None, urllib.request.urlopen, f"{url}/spy")
        connection.close()
        return json.load(answer)

    return IOLoop().run_sync(ask)


@pytest.mark.parametrize(("enabled", "nodelay"), [(True, [1]), (False, [0])])
def test_websockets_to_kernels_send_without_delay(jupyter, enabled, nodelay):
    shipped = json.loads((ROOT / "tools" / "course_lib.json").read_text())["ServerApp"]["jpserver_extensions"]
    url = jupyter({"spy": True} | {name: enabled for name in shipped})
    assert told(url) == nodelay


def test_a_notebook_saved_by_the_server_loses_its_widget_views(jupyter):
    url = jupyter({"course_lib.widgets.server": True})
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": "<p>alive</p>"}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cell = {
        "cell_type": "code",
        "id": "a",
        "source": "",
        "metadata": {},
        "execution_count": 1,
        "outputs": [output],
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
    request = urllib.request.Request(f"{url}/api/contents/a.ipynb", data=body, method="PUT")
    urllib.request.urlopen(request, timeout=60)
    saved = json.load(urllib.request.urlopen(f"{url}/api/contents/a.ipynb", timeout=60))
    assert list(saved["content"]["cells"][0]["outputs"][0]["data"]) == ["text/html"]


def a_server(**parts):
    return SimpleNamespace(log=logging.getLogger("a server"), **parts)


def test_a_users_own_hook_stays():
    from traitlets.config import Config

    fresh = a_server(config=Config())
    extension.save_alive(fresh)
    assert import_item(fresh.config.ContentsManager.pre_save_hook) is before_save
    for name in ("ContentsManager", "LargeFileContentsManager"):
        own = a_server(config=Config({name: {"pre_save_hook": "mine"}}))
        extension.save_alive(own)
        assert own.config == {name: {"pre_save_hook": "mine"}}


def test_a_server_that_is_different_inside_gets_a_line_in_its_log_and_runs(caplog):
    extension._link_jupyter_server_extension(a_server())
    extension._load_jupyter_server_extension(a_server(web_app=SimpleNamespace()))
    for name in ("save_alive", "send_at_once"):
        assert f"{name} does not work with this Jupyter server" in caplog.text


def test_a_connection_without_that_option_is_made_all_the_same(caplog):
    class Connection:
        websocket_handler = None
        connected = False

        def connect(self):
            self.connected = True

    settings = {"kernel_websocket_connection_class": Connection}
    extension.send_at_once(a_server(web_app=SimpleNamespace(settings=settings)))
    connection = settings["kernel_websocket_connection_class"]()
    connection.connect()
    assert connection.connected
    assert "stay delayed" in caplog.text


# --- LatentPlane(live=True)


def grey(value):
    """A decoder of grey images, 4 x 4, whose brightness is in `value[0]`."""
    return lambda z: torch.full((len(z), 1, 4, 4), value[0]) + 0.1 * z[:, :1, None, None]


def ask(widget, **question):
    """Ask as a page does; returns what the widget sent back: (values, buffers)."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._handle_custom_msg({"view": "v", **question}, [])
    (answer,) = sent
    assert answer[0]["view"] == "v"
    return answer


def test_a_question_is_answered_by_the_model_as_it_is_now():
    value = [0.5]
    plane = LatentPlane(grey(value), extent=1, n=2, live=True)
    value[0] = -0.5
    answer, (image,) = ask(plane, z=[1.0, 0.0])
    assert answer["size"] == [4, 4, 1]
    assert np.frombuffer(image, np.uint8) == pytest.approx((-0.4 + 1) * 127.5, abs=1)


def test_a_question_that_fails_is_answered_by_a_sentence():
    value = [0.0]
    plane = LatentPlane(grey(value), extent=1, n=2, live=True)
    value[0] = torch.nan
    assert "decode gave NaN" in ask(plane, z=[0.0, 0.0])[0]["problem"]
    assert "could not answer" in ask(plane)[0]["problem"]  # not even a point
    value[0] = 0.0
    assert "problem" not in ask(plane, z=[0.0, 0.0])[0]


def test_refresh_decodes_the_sheet_again_and_keeps_it_where_that_fails():
    value = [0.0]
    codes = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    plane = LatentPlane(grey(value), n=2, points=codes, live=True)
    plane.z = [1.0, 1.0]
    first, extent = plane.sheet, plane.extent
    value[0] = -0.9
    plane.refresh()
    assert plane.sheet != first
    assert plane.extent == extent
    plane.refresh(points=codes / 2)
    assert plane.extent[1] < extent[1]
    assert plane.z == [plane.extent[1], plane.extent[3]]  # the plane became smaller
    value[0], second = torch.nan, plane.sheet
    plane.refresh()
    assert "has the training diverged?" in plane.note
    assert plane.problem == ""
    assert plane.sheet == second


def test_refresh_cures_a_plane_that_could_not_be_made():
    value = [torch.nan]
    plane = LatentPlane(grey(value), extent=1, n=2, live=True)
    assert plane.problem
    value[0] = 0.0
    plane.refresh()
    assert plane.problem == ""
    assert plane.sheet


def test_a_saved_page_asks_no_kernel():
    plane = LatentPlane(grey([0.0]), extent=1, n=2, live=True)
    assert plane.live
    assert plane.state()["live"] is False
