"""What goes through the kernel, without a browser: the server extension, the live plane, the playground."""

import base64
import itertools
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from traitlets import import_item

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
pytest.importorskip("jupyter_server", reason="the server extension needs the [lab] extra")
from course_lib import toys  # noqa: E402
from course_lib.widgets import LatentPlane, PlayFrame, Playground2D, field_points  # noqa: E402
from course_lib.widgets import playground as playground_module  # noqa: E402
from course_lib.widgets import server as extension  # noqa: E402
from course_lib.widgets.play_frames import from_places  # noqa: E402
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
            # tools/install.sh enables the extension in .venv: that must not have the last word here
            own = {**folders, "PYTHONPATH": str(tmp_path), "JUPYTER_PREFER_ENV_PATH": "0"}
            environment = {**os.environ, **own}
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


# --- Playground2D


def drift(points):
    """Samples that walk from the origin towards the mean of the data, a tenth of the way each step."""
    goal, x = points.mean(0), torch.zeros(20, 2)
    for step in range(1, 1000):
        x = x + 0.1 * (goal - x)
        yield PlayFrame(
            step, x, None, torch.cat([x, 0.1 * (goal - x)], dim=1), {"distance": (goal - x).norm(dim=1)[0]}
        )


def tiny_gan(points):
    """Two small networks against each other; yields after every step."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        g, d = (
            torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, n))
            for n in (2, 1)
        )
    g_opt, d_opt = (torch.optim.Adam(net.parameters(), lr=5e-3, betas=(0.5, 0.9)) for net in (g, d))
    noise, grid, step = torch.randn(200, 2, generator=generator), field_points(24), 0
    while True:
        real = points[torch.randint(len(points), (64,), generator=generator)]
        fake = g(torch.randn(64, 2, generator=generator))
        d_loss = softplus(-d(real)).mean() + softplus(d(fake.detach())).mean()
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        g_loss = softplus(-d(fake)).mean()
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()
        step += 1
        with torch.no_grad():
            field = torch.sigmoid(d(grid)).reshape(24, 24)
            yield PlayFrame(step, g(noise), field, None, {"D": d_loss.item(), "G": g_loss.item()})


def packed(html):
    """What the script of a live page unpacks."""
    text = re.search(r'mount\("[0-9a-f]{16}", "([^"]+)"\);', html).group(1)
    return json.loads(zlib.decompress(base64.b64decode(text)))


def unpacked(playground):
    """The film as the page reads it: for each moment (samples, arrows, field) in the plane's units."""
    heads, film, at = playground.moments, playground.film, 0

    def read(lengths, wide):
        nonlocal at
        total = sum(lengths)
        low = np.frombuffer(film, np.uint8, total, at).astype(int)
        high = np.frombuffer(film, np.uint8, total, at + total).astype(int) if wide else 0
        at += 2 * total if wide else total
        parts, before, start = [], np.zeros(0, int), 0
        for length in lengths:
            now = (low + 256 * high)[start : start + length]
            both = min(length, len(before))
            now[:both] += before[:both]
            before, start = now % (65536 if wide else 256), start + length
            parts.append(before)
        return parts

    samples = read([2 * head["counts"][0] for head in heads], True)
    arrows = read([4 * head["counts"][2] for head in heads], True)
    fields = read([head["counts"][1] ** 2 for head in heads], False)
    assert at == len(film)
    plane = lambda halved: (2 * halved - 128) / 768 * 2 - 1  # noqa: E731
    return [(plane(s), plane(a), f / 62) for s, a, f in zip(samples, arrows, fields, strict=True)]


def test_a_film_holds_the_frames_within_a_pixel():
    frames = list(itertools.islice(drift(toys.moons(256).x), 50))
    playground = Playground2D(drift, points="moons", preview=50)
    shown = unpacked(playground)
    assert [head["step"] for head in playground.moments] == [frame.step for frame in frames]
    for (samples, arrows, _), frame in zip(shown, frames, strict=True):
        assert samples == pytest.approx(frame.samples.numpy().ravel(), abs=2 / 384)
        ends = torch.cat([frame.arrows[:, :2], frame.arrows[:, :2] + frame.arrows[:, 2:]], dim=1)
        assert arrows == pytest.approx(ends.numpy().ravel(), abs=2 / 384)
    assert playground.moments[9]["losses"]["distance"] == pytest.approx(
        float(frames[9].losses["distance"]), abs=1e-4
    )


def test_a_field_stands_as_field_points_asks_for_it():
    def where(points):
        yield PlayFrame(
            1, torch.zeros(1, 2), (0.5 + field_points(5) @ torch.tensor([0.3, 0.2])).reshape(5, 5)
        )

    ((_, _, field),) = unpacked(Playground2D(where, preview=1))
    assert field[:5] == pytest.approx([0.4, 0.55, 0.7, 0.85, 1.0], abs=0.01)  # the top row, left to right
    assert field[20] == pytest.approx(0.0, abs=0.01)


def test_a_recorded_gan_stays_small_and_ends_near_the_data():
    playground = Playground2D(tiny_gan, points="ring", preview=64)
    data, _ = playground._repr_mimebundle_()
    saved = {name: value for name, value in data.items() if "widget-view" not in name}
    assert len(playground.moments) == 64
    assert [head["counts"] for head in playground.moments] == [[200, 24, 0]] * 64
    assert len(json.dumps(saved)) < 90_000
    playground.play(600)
    _, samples = playground._run.now.step, from_places(playground._run.now.samples, (-1, 1, -1, 1))
    nearest = torch.cdist(samples, playground.data).amin(1)
    start = from_places(playground._run.shots.items()[0].samples, (-1, 1, -1, 1))
    assert nearest.mean() < 0.5 * torch.cdist(start, playground.data).amin(1).mean()


def test_steps_presets_drawing_and_restart():
    playground = Playground2D(drift, preview=3)
    answer, (samples, _, _, points) = ask(playground, do="step", frames=4)
    assert answer["head"]["step"] == 7
    assert len(points) == 4 * 256
    again, (other, *_) = ask(playground, do="restart")
    assert (again["head"]["step"], [head["step"] for head in again["history"]]) == (1, [1])
    assert other != samples
    ask(playground, do="preset", name="moons")
    assert torch.equal(playground.data, toys.moons(256).x)
    ask(playground, do="draw", points=[896, 512, 896, 896])  # the middle of the right edge, and its upper end
    assert playground.data.tolist() == [[1, 0], [1, 1]]
    ask(playground, do="step", frames=60)
    assert from_places(playground._run.now.samples, (-1, 1, -1, 1))[0].tolist() == pytest.approx(
        [1, 0.5], abs=0.01
    )
    ask(playground, do="preset", name="ring")
    ask(playground, do="preset", name="")  # back to what was drawn
    assert playground.data.tolist() == [[1, 0], [1, 1]]


def test_between_two_requests_nothing_runs():
    made = []

    def counting(points):
        for step in range(1, 100):
            made.append(step)
            yield PlayFrame(step, points[:1])

    playground = Playground2D(counting, preview=5)
    ask(playground, do="step", frames=2)
    playground.html()
    assert made == [1, 2, 3, 4, 5, 6, 7]


def test_a_slow_run_answers_with_what_it_has():
    def slow(points):
        for step in range(1, 100):
            time.sleep(0.06)
            yield PlayFrame(step, points[:1])

    playground = Playground2D(slow, preview=1)
    answer, _ = ask(playground, do="step", frames=100)
    assert answer["head"]["step"] < 20


def test_what_was_played_is_in_the_next_page_but_no_more_than_64_frames():
    playground = Playground2D(drift, preview=2)
    playground.play(498)
    heads = packed(playground.html())["state"]["moments"]
    assert 16 <= len(heads) <= 64
    assert (heads[0]["step"], heads[-1]["step"]) == (1, 500)


def three(points):
    for step in (1, 2, 3):
        yield PlayFrame(step, points[:2])


def diverging(points):
    yield PlayFrame(1, points[:2])
    yield PlayFrame(2, points[:2] * torch.nan)


def raising(points):
    yield PlayFrame(1, points[:2])
    raise RuntimeError("sizes differ")


@pytest.mark.parametrize(
    ("make", "said", "failed"),
    [
        (three, "The run ended at step 3.", False),
        (diverging, "2 of 2 samples are NaN or infinite at step 2: the training has diverged.", True),
        (raising, "make stopped after step 1: RuntimeError: sizes differ.", True),
    ],
)
def test_a_run_that_ends_says_how_and_can_begin_again(make, said, failed):
    playground = Playground2D(make, preview=1)
    answer, _ = ask(playground, do="step", frames=10)
    assert said in answer["over"]
    assert answer["failed"] is failed
    assert answer["head"]["step"] in (1, 3)  # the last good frame stays
    again, _ = ask(playground, do="restart")
    assert (again["over"], again["head"]["step"]) == ("", 1)
    from_the_start = Playground2D(make)
    assert said in from_the_start.over  # below the widget, which shows the frames that there were
    assert (from_the_start.problem, len(from_the_start.moments)) == ("", answer["head"]["step"])


def yields(**change):
    values = {"step": 1, "samples": torch.zeros(3, 2), "field": None, "arrows": None, "losses": {}} | change
    return lambda points: iter([PlayFrame(**values)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"make": 3}, "make must be a function from points to an iterator of frames"),
        ({"make": lambda points: None}, "make stopped: TypeError"),
        ({"make": lambda points: iter([])}, "make gave no frame at all"),
        ({"make": lambda points: iter([torch.zeros(3, 2)])}, "make must yield PlayFrame"),
        ({"make": yields(samples=torch.zeros(3))}, "samples of a frame must have shape (N, 2)"),
        ({"make": yields(samples="x")}, "cannot be read as numbers"),
        ({"make": yields(arrows=torch.zeros(3, 2))}, "arrows of a frame must have shape (N, 4)"),
        ({"make": yields(field=torch.zeros(24))}, "field must have shape (G, G)"),
        ({"make": yields(field=torch.full((3, 3), 1.5))}, "is a sigmoid missing?"),
        ({"make": yields(field=torch.full((3, 3), torch.nan))}, "field holds NaN"),
        ({"points": "circle"}, "points must be one of ring, moons, spirals, checkerboard"),
        ({"points": torch.zeros(0, 2)}, "points holds no point"),
        ({"points": torch.zeros(5)}, "points must have shape (N, 2)"),
        ({"extent": -1}, "extent must be a positive half-width"),
        ({"preview": 0}, "preview must be a whole number of frames from 1"),
    ],
)
def test_a_playground_that_cannot_be_made_says_why(options, said):
    playground = Playground2D(**{"make": drift} | options)
    assert said in playground.problem
    assert 'role="alert"' in playground._repr_mimebundle_()[0]["text/html"]


def test_a_long_run_before_the_first_picture_is_cut(monkeypatch):
    monkeypatch.setattr(playground_module, "_AT_FIRST", 0.0)
    assert [head["step"] for head in Playground2D(drift, preview=200).moments] == [1]


def test_the_picture_shows_data_samples_and_field():
    def still(points):
        yield PlayFrame(1, torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))

    image = Playground2D(still, points=torch.tensor([[-0.5, -0.5]]), preview=1).picture().convert("RGB")
    at = lambda x, y: image.getpixel((round(1 + 232 * (x + 1) / 2), round(1 + 232 * (1 - y) / 2)))  # noqa: E731
    assert at(0.5, 0.5)[2] > at(0.5, 0.5)[0]  # blue
    assert at(-0.5, -0.5)[0] > at(-0.5, -0.5)[2]  # orange
    assert at(0, 0.9)[0] > at(0, 0.9)[2]  # D = 1 at the top
    assert at(0, -0.9)[2] > at(0, -0.9)[0]
