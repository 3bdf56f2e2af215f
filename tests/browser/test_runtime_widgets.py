"""Networks in the page: they compute what torch computes, and their widgets are alive without them too."""

import functools
import http.server
import json
import threading

import numpy as np
import pytest
import torch
from actions import PIXELS, open_notebook, pixels, run_cell, violations, write_notebook
from torch import nn

from course_lib.export import to_onnx
from course_lib.nn.conv import ConvDecoder
from course_lib.nn.unet import UNet
from course_lib.samplers import ddim, timesteps
from course_lib.schedules import alpha_bars, cosine_betas, posterior_variance
from course_lib.widgets import LatentSliders, LiveDenoiser
from course_lib.widgets.page import module_source, write_page
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.runtime import RUNTIME_FILES, runtime_file, runtime_html

pytestmark = pytest.mark.browser

ALPHA_BAR = alpha_bars(cosine_betas(100))


class Mixed(nn.Module):
    """z (B, 3) -> images (B, 1, 8, 8): four rows of z[0], z[1] each / 3; z[2] adds to both."""

    def forward(self, z):
        two = (z[:, :2] + z[:, 2:]) / 3
        return two.repeat_interleave(4, dim=1)[:, None, :, None].expand(-1, 1, 8, 8)


def shown(widget):
    """What the image of a LatentSliders with `Mixed` shows, back as (z[0] + z[2], z[1] + z[2])."""
    values = np.array(pixels(widget)[::3]).reshape(8, 8) / 127.5 - 1
    return tuple(3 * values.reshape(2, 4, 8).mean((1, 2)))


def random_unet():
    torch.manual_seed(0)
    net = UNet(widths=(8, 16), blocks=1, classes=3, embed=16)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.15)
    return net.eval()


NET = random_unet()


def eps(x, t, y):
    """Some network, and mostly the noise of a dark picture: a run that ends somewhere, and depends on all."""
    a = ALPHA_BAR.float()[t].view(-1, 1, 1, 1)
    return 0.9 * (x - a.sqrt() * (y.float() / 4 - 0.7).view(-1, 1, 1, 1)) / (1 - a).sqrt() + 0.1 * NET(
        x, t, y
    )


def sliders(**options):
    return LatentSliders(Mixed(), 3, title="Three dimensions", **options)


@pytest.fixture(scope="module")
def live():
    """One LiveDenoiser for the module: its export takes seconds."""
    widget = LiveDenoiser(
        eps, ALPHA_BAR, shape=(1, 8, 8), names=["a", "b", "c"], null=3, steps=(5, 10), seed=4, label=1
    )
    assert widget.onnx, widget.reason
    return widget


def opened(page, path, ready):
    page.goto(path.as_uri())
    page.locator(ready).first.wait_for()
    return page.locator(".cw").first


@pytest.fixture
def three(page, tmp_path):
    """The page with three sliders that decode in it."""
    return page, opened(page, sliders().to_html(tmp_path / "three.html"), "[data-decodes]")


def near(page, widget, values):
    """Wait until the image shows `values`: it comes a moment after the slider."""
    for _ in range(100):
        if np.abs(np.array(shown(widget)) - values).max() < 0.03:
            return
        page.wait_for_timeout(20)
    assert shown(widget) == pytest.approx(values, abs=0.03)


# --- the numbers


RUN = """async ({ source, onnx, feeds }) => {
    const module = source + "\\nexport { openNetwork, pageNoise };";
    const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
    const { openNetwork, pageNoise } = await import(url);
    const model = { alone: true, get: () => Uint8Array.from(atob(onnx), (c) => c.charCodeAt(0)) };
    const ending = new AbortController();
    const network = await openNetwork(model, ending.signal);
    for (const feed of Object.values(feeds))
        feed.data = feed.whole ? BigInt64Array.from(feed.data, BigInt) : Float32Array.from(feed.data);
    const outputs = await network.run(feeds);
    ending.abort();
    const [output] = Object.values(outputs);
    return { dims: output.dims, data: Array.from(output.data), noise: Array.from(pageNoise(7, 101, 2)) };
}"""


def in_page(page, tmp_path, data, **inputs):
    import base64

    page.goto(write_page(tmp_path / "runtime.html", "Runtime", runtime_html()).as_uri())
    feeds = {
        name: {
            "data": value.flatten().tolist(),
            "dims": list(value.shape),
            "whole": not value.is_floating_point(),
        }
        for name, value in inputs.items()
    }
    source = module_source("runtime", "sampling")
    return page.evaluate(RUN, {"source": source, "onnx": base64.b64encode(data).decode(), "feeds": feeds})


def test_a_decoder_gives_what_torch_gives(page, tmp_path):
    torch.manual_seed(0)
    decoder = ConvDecoder(code=8, widths=(8, 16)).eval()
    z = torch.randn(5, 8)
    out = in_page(page, tmp_path, to_onnx(decoder, {"z": z[:2]}, ["x"]), z=z)
    with torch.no_grad():
        true = decoder(z)
    assert out["dims"] == list(true.shape)
    assert np.abs(np.array(out["data"]) - true.flatten().numpy()).max() < 1e-4 * true.abs().max()
    assert np.abs(np.array(out["noise"]) - page_noise(7, 101, 2)).max() < 1e-6


def test_a_unet_gives_what_torch_gives(page, tmp_path):
    x, t, y = torch.randn(3, 1, 28, 28), torch.tensor([1, 50, 1000]), torch.tensor([0, 2, 3])
    data = to_onnx(NET, {"x": x[:2], "t": t[:2], "label": y[:2]}, ["eps"])
    out = in_page(page, tmp_path, data, x=x, t=t, label=y)
    with torch.no_grad():
        true = NET(x, t, y).flatten().numpy()
    assert np.abs(np.array(out["data"]) - true).max() < 1e-4 * np.abs(true).max()


# --- LatentSliders


def test_keys_move_sliders_together(three):
    page, widget = three
    inputs = widget.locator("input")
    inputs.nth(0).focus()
    page.keyboard.press("Shift+ArrowRight")
    near(page, widget, (0.6, 0))
    inputs.nth(2).focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    near(page, widget, (0.3, -0.3))  # the first one stayed where it was
    page.keyboard.press("Home")
    near(page, widget, (0.6, 0))
    for _ in range(12):
        page.keyboard.press("Shift+ArrowUp")
    near(page, widget, (3, 3))  # clipped by the image, and the slider stops
    assert inputs.nth(2).get_attribute("aria-valuetext") == "3.00"
    page.get_by_role("button", name="Start").click()
    near(page, widget, (0, 0))


def test_pointer_and_touch_move_a_slider(three):
    page, widget = three
    box = widget.locator("input").nth(1).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    seen = []
    for i in range(1, 6):
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.08 * i), middle)
        page.wait_for_timeout(40)
        seen.append(shown(widget)[1])
    page.mouse.up()
    assert all(a < b for a, b in zip(seen, seen[1:], strict=False))
    assert seen[-1] == pytest.approx(2.4, abs=0.35)  # the knob's width takes a part of the way
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, middle)
    page.wait_for_timeout(100)
    assert shown(widget)[1] == pytest.approx(-1.5, abs=0.35)
    assert shown(widget)[0] == pytest.approx(0, abs=0.03)


def test_random_points_are_those_of_the_kernel(page, tmp_path):
    made = sliders(codes=np.random.default_rng(0).normal(0, 0.5, (500, 3)))
    widget = opened(page, made.to_html(tmp_path / "codes.html"), "[data-decodes]")
    space = made._space
    for draw in space.draws[:3]:
        page.get_by_role("button", name="Random").click()
        z = space.points(space.low + draw / 255 * (space.high - space.low))
        near(page, widget, (z[0] + z[2], z[1] + z[2]))


def test_a_sweep_goes_to_both_ends_until_it_is_stopped(three):
    page, widget = three
    widget.locator("input").nth(1).focus()
    button = page.get_by_role("button", name="Sweep z₂")
    button.click()
    seen = []
    for _ in range(60):
        page.wait_for_timeout(100)
        seen.append(float(widget.locator("input").nth(1).input_value()))
        if min(seen) < -2 and max(seen) > 2:
            break
    assert min(seen) < -2
    assert max(seen) > 2
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(100)
    rests = shown(widget)
    page.wait_for_timeout(200)
    assert shown(widget) == rests
    assert rests[0] == pytest.approx(0, abs=0.03)


def test_less_motion_sweeps_in_steps(page, tmp_path):
    page.emulate_media(reduced_motion="reduce")
    widget = opened(page, sliders().to_html(tmp_path / "calm.html"), "[data-decodes]")
    values = []
    for _ in range(5):
        page.get_by_role("button", name="Sweep z₁").click()
        values.append(float(widget.locator("input").nth(0).input_value()))
    assert values == pytest.approx([0.75, 1.5, 2.25, 3, -3])


def test_a_saved_widget_moves_one_slider_at_a_time(page, tmp_path):
    path = write_page(tmp_path / "saved.html", "Saved", sliders(start=[1.0, 0, 0]).html())
    widget = opened(page, path, ".cw")
    inputs = widget.locator("input")
    inputs.nth(1).focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert shown(widget) == pytest.approx((1, 1.2), abs=0.1)
    inputs.nth(0).focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert shown(widget) == pytest.approx((0.4, 0), abs=0.1)
    assert inputs.nth(1).input_value() == "0"
    assert "one slider moves at a time" in widget.inner_text()
    assert not page.get_by_role("button", name="Random").is_visible()
    assert violations(page) == []


def test_a_browser_without_webassembly_gets_the_sheet_and_a_line(page, tmp_path):
    page.add_init_script("delete globalThis.WebAssembly")
    path = sliders().to_html(tmp_path / "no_wasm.html")
    page.goto(path.as_uri())
    widget = page.locator(".cw")
    widget.get_by_text("This browser cannot run the network (it has no WebAssembly)").wait_for()
    widget.locator("input").nth(0).focus()
    page.keyboard.press("Shift+ArrowRight")
    assert shown(widget) == pytest.approx((0.6, 0), abs=0.1)
    page.goto(path.as_uri())


def test_a_broken_network_gets_the_sheet_and_a_line(page, tmp_path):
    widget = sliders()
    widget._onnx = b"this is no network"
    widget.to_html(tmp_path / "broken.html")
    shown_widget = opened(page, tmp_path / "broken.html", ".cw")
    shown_widget.get_by_text("This browser cannot run the network (").wait_for()
    shown_widget.locator("input").nth(0).focus()
    page.keyboard.press("Shift+ArrowRight")
    assert shown(shown_widget) == pytest.approx((0.6, 0), abs=0.1)


def test_many_dimensions_and_long_names_fit_a_phone(page, tmp_path):
    page.set_viewport_size({"width": 360, "height": 700})
    names = [f"dimension with the number {i}" for i in range(40)]
    made = LatentSliders(lambda z: Mixed()(z[:, :3]), 40, names=names)
    opened(page, made.to_html(tmp_path / "many.html"), "[data-decodes]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []


# --- LiveDenoiser


def sampled(live, seed=4, label=1, guidance=2.0, steps=5, fresh=False):
    """The page's run, in torch: the last picture, uint8 (64,)."""
    x = torch.from_numpy(page_noise(seed, 64)).view(1, 1, 8, 8)
    y, none = torch.tensor([label]), torch.tensor([3])

    def guided(x, t):
        untold = eps(x, t, none)
        return untold + guidance * (eps(x, t, y) - untold)

    if fresh:
        return levels(stochastic(guided, x, seed, steps))
    return levels(list(ddim(guided, x, ALPHA_BAR, steps=steps))[-1].x)


@torch.no_grad()
def stochastic(guided, x, seed, steps):
    """DDIM with eta = 1 on the page's own noise: step k draws from stream k + 1."""
    times = timesteps(100, steps)
    for k, (t, s) in enumerate(zip(times, times[1:], strict=False)):
        a, b = ALPHA_BAR[t], ALPHA_BAR[s]
        x0 = ((x - (1 - a).sqrt() * guided(x, torch.tensor([t]))) / a.sqrt()).clamp(-1, 1)
        noise = (x - a.sqrt() * x0) / (1 - a).sqrt()
        variance = posterior_variance(a, b)
        fresh = torch.from_numpy(page_noise(seed, 64, k + 1)).view(x.shape)
        x = (b.sqrt() * x0 + (1 - b - variance).clamp(min=0).sqrt() * noise + variance.sqrt() * fresh).float()
    return x


def levels(x):
    return np.rint((x.clamp(-1, 1).flatten().numpy() + 1) * 127.5)


def held(widget):
    """The picture that the sampler holds, 0 .. 255, (64,)."""
    canvas = widget.get_by_role("img", name="What the sampler holds")
    return np.array(canvas.evaluate(PIXELS)[::3], dtype=float)


def at_rest(page, widget):
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.includes('ms a step')")
    return held(widget)


@pytest.fixture
def denoiser(page, tmp_path, live):
    return page, opened(page, live.to_html(tmp_path / "live.html"), "[data-samples]")


def test_the_picture_is_the_one_of_torch(denoiser, live):
    page, widget = denoiser
    page.get_by_role("button", name="Play").click()
    assert np.abs(at_rest(page, widget) - sampled(live)).max() <= 1
    page.get_by_label("Class").select_option("2")
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, label=2)).max() <= 1
    page.get_by_label("Steps").select_option("10")
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, label=2, steps=10)).max() <= 1
    page.get_by_label("Fresh noise").check()
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, label=2, steps=10, fresh=True)).max() <= 1


def test_guidance_and_seed_start_a_run(denoiser, live):
    page, widget = denoiser
    page.get_by_label("Guidance").focus()
    page.keyboard.press("Home")  # 1: the network is asked once a step
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, guidance=1.0)).max() <= 1
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, guidance=2.1)).max() <= 1
    page.get_by_label("Seed", exact=True).fill("99")
    page.keyboard.press("Enter")
    page.wait_for_timeout(50)
    assert np.abs(at_rest(page, widget) - sampled(live, seed=99, guidance=2.1)).max() <= 1
    page.get_by_role("button", name="New seed").click()
    page.wait_for_timeout(50)
    seed = int(page.get_by_label("Seed", exact=True).input_value())
    assert np.abs(at_rest(page, widget) - sampled(live, seed=seed, guidance=2.1)).max() <= 1


def test_every_step_is_painted_and_can_be_visited_again(denoiser):
    page, widget = denoiser
    page.evaluate("""() => {
        window.painted = [];
        const step = document.querySelector(".cw-live-step");
        const note = () => painted.push(step.textContent.split(",")[0]);
        new MutationObserver(note).observe(step, { childList: true, characterData: true, subtree: true });
    }""")
    page.get_by_role("button", name="Play").click()
    at_rest(page, widget)
    steps = list(dict.fromkeys(page.evaluate("painted")))
    assert steps == [f"step {i} of 5" for i in range(6)]
    final = held(widget)
    scrub = page.get_by_role("slider", name="How far along")
    scrub.focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 0 of 5')")
    assert np.abs(held(widget) - levels(torch.from_numpy(page_noise(4, 64)))).max() <= 1
    page.keyboard.press("ArrowRight")
    assert "step 1 of 5" in widget.inner_text()
    page.keyboard.press("End")
    assert (held(widget) == final).all()


def test_pointer_and_touch_scrub(denoiser):
    page, widget = denoiser
    box = page.get_by_role("slider", name="How far along").bounding_box()
    x, y = box["x"], box["y"] + box["height"] / 2
    page.mouse.click(x + 0.4 * box["width"], y)
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 2 of 5')")
    page.touchscreen.tap(x + 0.8 * box["width"], y)
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 4 of 5')")


def test_a_pause_holds_the_run(denoiser):
    page, widget = denoiser
    page.get_by_label("Steps").select_option("10")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(200)
    held = widget.locator(".cw-live-step").inner_text()
    page.wait_for_timeout(300)
    assert widget.locator(".cw-live-step").inner_text() == held
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 10 of 10')")


def test_a_saved_live_denoiser_plays_its_recording(page, tmp_path, live):
    widget = opened(page, write_page(tmp_path / "saved.html", "Saved", live.html()), ".cw")
    assert "A recorded run: seed 4, b, guidance 2.0, 5 steps." in widget.inner_text()
    assert not page.get_by_label("Class").is_visible()
    end = held(widget)
    assert np.abs(end - sampled(live)).mean() < 8
    scrub = page.get_by_role("slider", name="How far along")
    scrub.focus()
    page.keyboard.press("Home")
    assert np.abs(held(widget) - levels(torch.from_numpy(page_noise(4, 64)))).mean() < 30
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 5 of 5')")
    assert (held(widget) == end).all()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_for_axe_to_find(page, tmp_path, live, scheme):
    page.emulate_media(color_scheme=scheme)
    body = live.html(network=True) + sliders().html(network=True) + runtime_html()
    page.goto(write_page(tmp_path / "both.html", "Both", body).as_uri())
    page.locator("[data-samples]").wait_for()
    page.locator("[data-decodes]").wait_for()
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 2", arg=scheme)
    assert violations(page) == []


# --- one runtime for the page


@pytest.fixture
def site(tmp_path):
    """A folder served over HTTP: its address, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_site_has_one_runtime_for_all_widgets(page, tmp_path, site):
    address, asked = site
    (tmp_path / "shared").mkdir()
    for name in RUNTIME_FILES:
        (tmp_path / "shared" / name).write_bytes(runtime_file(name))
    link = '<link rel="course-runtime" href="shared/">'
    body = link + sliders().html(network=True) + sliders(start=[1.0, 0, 0]).html(network=True)
    write_page(tmp_path / "index.html", "Site", body)
    page.goto(f"{address}/index.html")
    page.locator("[data-decodes]").nth(1).wait_for()
    first, second = page.locator(".cw").nth(0), page.locator(".cw").nth(1)
    near(page, first, (0, 0))
    near(page, second, (1, 0))
    first.locator("input").nth(1).focus()
    page.keyboard.press("Shift+ArrowRight")
    near(page, first, (0, 0.6))
    assert shown(second) == pytest.approx((1, 0), abs=0.03)
    # Both files are asked for at once, so either may arrive first; each is asked for one time.
    assert sorted(path for path in asked if "shared" in path) == sorted(
        f"/shared/{name}" for name in RUNTIME_FILES
    )


def test_a_site_whose_runtime_is_gone_says_so(page, tmp_path, site):
    link = '<link rel="course-runtime" href="nowhere/">'
    write_page(tmp_path / "index.html", "Site", link + sliders().html(network=True))
    page.goto(f"{site[0]}/index.html")
    page.locator(".cw").get_by_text("(/nowhere/onnxruntime").wait_for()


RENDER_AND_CLEAN_UP = """async ({ source, state }) => {
    const held = { listeners: 0, observers: 0, sessions: 0 };
    const { InferenceSession } = await globalThis.courseRuntime;
    const create = InferenceSession.create;
    InferenceSession.create = async (...given) => {
        const session = await create.apply(InferenceSession, given);
        const release = session.release.bind(session);
        session.release = async () => { held.sessions--; await release(); };
        held.sessions++;
        return session;
    };
    for (const name of ["MutationObserver", "ResizeObserver"]) {
        const Plain = window[name];
        window[name] = class extends Plain {
            constructor(listener) { super(listener); held.observers++; }
            disconnect() { super.disconnect(); held.observers--; }
        };
    }
    for (const [name, value] of Object.entries(state))
        if (value?.bytes) state[name] = new DataView(Uint8Array.from(value.bytes).buffer);
    const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {}, send() {},
        on() { held.listeners++; }, off() { held.listeners--; } };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    const cleanups = [await widget.render({ model, el }), await widget.render({ model, el: el.cloneNode() })];
    const wait = (time) => new Promise((done) => setTimeout(done, time));
    while (held.sessions < 2) await wait(20);
    const during = { ...held };
    cleanups.forEach((cleanup) => cleanup());
    await wait(100);
    return { during, after: held, left: el.childElementCount };
}"""


@pytest.mark.parametrize("kind", ["sliders", "denoiser"])
def test_a_view_that_is_taken_away_frees_its_network(page, tmp_path, live, kind):
    widget = sliders() if kind == "sliders" else live
    opened(page, widget.to_html(tmp_path / "page.html"), "[data-decodes], [data-samples]")
    given = {**widget.state(), "onnx": widget.onnx}
    state = {name: {"bytes": list(v)} if isinstance(v, bytes) else v for name, v in given.items()}
    held = page.evaluate(RENDER_AND_CLEAN_UP, {"source": widget._esm, "state": state})
    assert held["during"]["sessions"] == 2
    assert held["during"]["listeners"] > 0
    assert held["after"] == {"listeners": 0, "observers": 0, "sessions": 0}
    assert held["left"] == 0


# --- in JupyterLab


CELLS = [
    """import torch
from torch import nn
from course_lib.widgets import LatentSliders
class Mixed(nn.Module):
    def forward(self, z):
        two = (z[:, :2] + z[:, 2:]) / 3
        return two.repeat_interleave(4, dim=1)[:, None, :, None].expand(-1, 1, 8, 8)
w = LatentSliders(Mixed(), 3)""",
    "w",
    "w",
    "import json; print(json.dumps(w.z.tolist()))",
    "w.z = [-1.5, 1.5, 0.0]",
    """from course_lib.schedules import alpha_bars, cosine_betas
from course_lib.widgets import LiveDenoiser
a = alpha_bars(cosine_betas(100))
def eps(x, t):
    share = a.float()[t].view(-1, 1, 1, 1)
    return 0.9 * (x + 0.5 * share.sqrt()) / (1 - share).sqrt()
d = LiveDenoiser(eps, a, shape=(1, 8, 8), steps=(5, 8))
d""",
    "d.seed, d.steps = 11, 8",
    "print(d.seed, d.fresh)",
]
READ, WRITE, LIVE, SET, TELL = 3, 4, 5, 6, 7


@pytest.fixture(scope="module")
def lab_page(lab):
    write_notebook(lab.root / "sliders.ipynb", CELLS)
    page = open_notebook(lab, "sliders.ipynb")
    for index in range(3):
        run_cell(page, index)
    yield page
    page.close()


def in_cell(page, index):
    return page.locator(".jp-Cell").nth(index).locator(".cw")


def test_a_kernel_brings_runtime_and_network(lab_page):
    page = lab_page
    for index in (1, 2):
        page.locator(".jp-Cell").nth(index).locator("[data-decodes]").wait_for()
    in_cell(page, 1).locator("input").nth(0).focus()
    for key in ("Home", "Shift+ArrowRight", "x"):  # JupyterLab: x cuts a cell
        page.keyboard.press(key)
    in_cell(page, 1).locator("input").nth(2).focus()
    page.keyboard.press("Shift+ArrowRight")
    near(page, in_cell(page, 1), (1.2, 0.6))
    near(page, in_cell(page, 2), (1.2, 0.6))  # the other view follows
    for _ in range(40):
        told = json.loads(run_cell(page, READ))
        if told == pytest.approx([0.6, 0, 0.6], abs=1e-6):
            break
        page.wait_for_timeout(100)
    assert told == pytest.approx([0.6, 0, 0.6], abs=1e-6)
    run_cell(page, WRITE)
    near(page, in_cell(page, 1), (-1.5, 1.5))
    run_cell(page, 2)  # another view takes the place of the second
    page.locator(".jp-Cell").nth(2).locator("[data-decodes]").wait_for()
    near(page, in_cell(page, 2), (-1.5, 1.5))
    assert violations(page, {"include": [[".cw"]]}) == []
    assert page.errors == []
    assert page.outside == []


def test_the_kernel_sets_a_run_and_hears_of_others(lab_page):
    page = lab_page
    run_cell(page, LIVE)
    page.locator(".jp-Cell").nth(LIVE).locator("[data-samples]").wait_for()
    run_cell(page, SET)
    widget = in_cell(page, LIVE)
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.includes('step 8 of 8')")
    x = torch.from_numpy(page_noise(11, 64)).view(1, 1, 8, 8)

    def dark(x, t):
        a = ALPHA_BAR.float()[t].view(-1, 1, 1, 1)
        return 0.9 * (x + 0.5 * a.sqrt()) / (1 - a).sqrt()

    true = levels(list(ddim(dark, x, ALPHA_BAR, steps=8))[-1].x)
    assert np.abs(held(widget) - true).max() <= 1
    widget.get_by_label("Fresh noise").check()
    for _ in range(40):
        told = run_cell(page, TELL)
        if told.strip() == "11 True":
            break
        page.wait_for_timeout(100)
    assert told.strip() == "11 True"
    assert page.errors == []


def test_a_saved_notebook_is_alive_without_the_runtime(lab, lab_page):
    lab_page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    lab_page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    text = (lab.root / "sliders.ipynb").read_text()
    assert len(text) < 120_000
    (lab.root / "sliders_again.ipynb").write_text(text)
    page = open_notebook(lab, "sliders_again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    in_cell(page, 2).wait_for()
    widget = in_cell(page, 1)
    widget.locator("input").nth(1).focus()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    assert shown(widget) == pytest.approx((0, 0.6), abs=0.1)
    assert "one slider moves at a time" in widget.inner_text()
    page.close()
    assert page.errors == []
