"""ScheduleExplorer in a real browser: pixels by the formula, keys, pointer, play, themes, JupyterLab."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from actions import open_notebook, run_cell, violations, write_notebook
from PIL import Image

from course_lib.schedules import alpha_bars, cosine_betas, linear_betas
from course_lib.widgets import ScheduleExplorer
from course_lib.widgets.page import write_page
from course_lib.widgets.page_noise import page_noise

pytestmark = pytest.mark.browser

LINEAR, COSINE = alpha_bars(linear_betas()), alpha_bars(cosine_betas())
LEVELS = (
    torch.arange(3 * 2 * 8 * 8).reshape(2, 3, 8, 8) * 37 % 256
)  # two colour pictures, every pixel another
PICTURES = LEVELS / 127.5 - 1


def opened(page, tmp_path, *args, **kwargs):
    widget = ScheduleExplorer(*args, **kwargs)
    assert widget.problem == ""
    page.goto(widget.to_html(tmp_path / "widget.html").as_uri())
    shown = page.locator(".cw")
    shown.wait_for()
    return shown


def pixels(widget, panel):
    """What a panel shows: (N, 3, 8, 8), 0..255."""
    png = widget.locator(".cw-schedule canvas").nth(panel).evaluate("c => c.toDataURL()").split(",")[1]
    rgb = np.array(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), float)
    return np.stack([rgb[:, k * 9 : k * 9 + 8] for k in range(2)]).transpose(0, 3, 1, 2)


def noised(table, t, seed=0):
    """q(x_t | x_0) of the same draw, for looking at: 0..255."""
    eps = page_noise(seed, PICTURES.numel()).reshape(2, 3, 8, 8)
    a = table[t].item()
    return (np.clip(a**0.5 * PICTURES.numpy() + (1 - a) ** 0.5 * eps, -1, 1) + 1) * 127.5


def assert_shows(widget, t, seed=0):
    assert f"t = {t} of 1000" in widget.inner_text()
    for panel, table in enumerate((LINEAR, COSINE)):
        assert np.abs(pixels(widget, panel) - noised(table, t, seed)).max() <= 1  # rounded to whole levels


def test_every_moment_is_the_formula_by_keys(page, tmp_path):
    widget = opened(page, tmp_path, PICTURES, t=420, seed=5)
    assert_shows(widget, 420, seed=5)
    widget.get_by_role("slider").focus()
    for key, t in [
        ("ArrowRight", 421),
        ("Shift+ArrowRight", 431),
        ("ArrowDown", 430),
        ("End", 1000),
        ("ArrowRight", 1000),
        ("Shift+ArrowLeft", 990),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert_shows(widget, t, seed=5)
    slider = widget.get_by_role("slider")
    assert slider.get_attribute("aria-valuenow") == "0"
    assert "linear: alpha bar 1.000, log SNR infinity" in slider.get_attribute("aria-valuetext")


def test_the_numbers_are_those_of_the_tables(page, tmp_path):
    widget = opened(page, tmp_path, PICTURES, t=300)
    for name, table in (("linear", LINEAR), ("cosine", COSINE)):
        text = widget.get_by_role("group", name=name).inner_text()
        a = table[300]
        assert f"= {a.sqrt():.3f} x0 + {(1 - a).sqrt():.3f} ε" in text.replace("\n", "")
        ratio = f"{torch.logit(a):.2f}".replace("-", "−")
        assert f"ᾱ = {a:.3f}, log-SNR {ratio}" in text
        half = int((table <= 0.5).nonzero()[0])
        assert f"from t = {half}" in text


def test_pointer_and_finger_on_bar_and_curves(page, tmp_path):
    widget = opened(page, tmp_path, PICTURES)
    curves = widget.locator(".cw-curves")
    box = curves.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 90, steps=4)
    page.mouse.up()
    moment = int(widget.locator(".cw-moment").inner_text().split()[2])
    assert moment == pytest.approx(700, abs=3)
    assert_shows(widget, moment)
    page.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + 50)
    assert int(widget.locator(".cw-moment").inner_text().split()[2]) == pytest.approx(100, abs=3)


def test_the_curves_are_drawn_where_the_tables_are(page, tmp_path):
    """Along a column of the canvas, the line of a schedule stands at the height of its value."""
    page.emulate_media(color_scheme="light")
    widget = opened(page, tmp_path, PICTURES, {"only": LINEAR}, t=900)
    page.wait_for_function("document.querySelector('.cw').dataset.theme === 'light'")
    for kind, place in (
        ("share of signal", lambda a: a),
        ("log-SNR", lambda a: 0.5 + torch.logit(a).clamp(-10, 10) / 20),
    ):
        widget.get_by_role("button", name=kind).click()
        png = widget.locator(".cw-curves canvas").evaluate("c => c.toDataURL()").split(",")[1]
        rgba = np.array(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"), int)
        blue = (np.abs(rgba[..., :3] - [0x32, 0x5D, 0xBA]).max(-1) < 40) & (rgba[..., 3] > 128)
        for t in (200, 300, 450, 600):
            column = blue[:, round(t / 1000 * (blue.shape[1] - 1))]
            height = 1 - (np.flatnonzero(column).mean() + 0.5) / len(column)
            assert height == pytest.approx(0.08 + 0.84 * float(place(LINEAR[t])), abs=0.02)


def test_it_plays_from_noise_to_the_end_and_pauses(page, tmp_path):
    widget = opened(page, tmp_path, PICTURES, t=900)
    widget.get_by_label("Speed").select_option("4")
    widget.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.cw-moment').textContent.startsWith('t = 1000 ')")
    widget.get_by_role("button", name="Play").wait_for()  # it has stopped by itself
    assert_shows(widget, 1000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900])
def test_axe_finds_nothing_and_it_fits_the_page(page, tmp_path, scheme, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    tables = {"linear": LINEAR, "cosine <b>": COSINE, "a third": COSINE.square()}
    widget = opened(page, tmp_path, PICTURES.repeat(2, 1, 1, 1), tables)
    page.wait_for_function("s => document.querySelector('.cw').dataset.theme === s", arg=scheme)
    assert "cosine <b>" in widget.inner_text()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_equal_widgets_on_one_page_live_alone(page, tmp_path):
    html = ScheduleExplorer(PICTURES).html()
    page.goto(write_page(tmp_path / "two.html", "Two", html + html).as_uri())
    first, second = page.locator(".cw").nth(0), page.locator(".cw").nth(1)
    second.wait_for()
    first.get_by_role("slider").focus()
    page.keyboard.press("Home")
    assert_shows(first, 0)
    assert_shows(second, 500)


RENDER_AND_CLEAN_UP = """async ({ source, state }) => {
    const held = { model: 0, observers: 0 };
    for (const name of ["MutationObserver", "ResizeObserver"]) {
        const Plain = window[name];
        window[name] = class extends Plain {
            constructor(listener) { super(listener); held.observers++; }
            disconnect() { super.disconnect(); held.observers--; }
        };
    }
    for (const [name, value] of Object.entries(state))  // bytes as a kernel sends them
        if (value?.bytes) state[name] = new DataView(Uint8Array.from(value.bytes).buffer);
    const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {},
        on() { held.model++; }, off() { held.model--; } };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    const cleanup = await widget.render({ model, el });
    const slider = el.querySelector("[role=slider]");
    const right = () => new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true });
    const press = () => slider.dispatchEvent(right());
    press();
    const during = { ...held, t: state.t };
    cleanup();
    press();
    return { during, after: { ...held, t: state.t }, left: el.childElementCount };
}"""


def test_a_view_that_is_taken_away_leaves_nothing_behind(page, tmp_path):
    widget = ScheduleExplorer(PICTURES, t=10)
    page.goto(write_page(tmp_path / "empty.html", "Empty", "").as_uri())
    state = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in widget.state().items()}
    held = page.evaluate(RENDER_AND_CLEAN_UP, {"source": str(widget._esm), "state": state})
    assert held["during"] == {"model": 1, "observers": 3, "t": 11}
    assert held["after"] == {"model": 0, "observers": 0, "t": 11}  # the second key did nothing
    assert held["left"] == 0


CELLS = [
    "import torch\nfrom course_lib.widgets import ScheduleExplorer\n"
    "x = (torch.arange(3 * 2 * 8 * 8).reshape(2, 3, 8, 8) * 37 % 256) / 127.5 - 1\nw = ScheduleExplorer(x)",
    "w",
    "w",
    "ScheduleExplorer(x, {'mine': [0.9, 0.5]})",
    "print(w.t)",
    "w.t = 250",
]


def test_live_in_jupyterlab_and_opened_again(lab):
    write_notebook(lab.root / "schedules.ipynb", CELLS)
    page = open_notebook(lab, "schedules.ipynb")
    for index in range(4):
        run_cell(page, index)
    cells = page.locator(".jp-Cell")
    first, twin = (cells.nth(i).locator(".cw") for i in (1, 2))
    twin.wait_for()
    assert "'mine' must begin with 1" in cells.nth(3).get_by_role("alert").inner_text()
    first.get_by_role("slider").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert_shows(first, 510)
    page.wait_for_function("document.querySelectorAll('.cw-moment')[1].textContent.startsWith('t = 510')")
    assert_shows(twin, 510)  # two views of one widget agree
    for _ in range(40):
        if json.loads(run_cell(page, 4)) == 510:
            break
        page.wait_for_timeout(100)
    assert run_cell(page, 4).strip() == "510"
    run_cell(page, 5)
    page.wait_for_function("document.querySelector('.cw-moment').textContent.startsWith('t = 250')")
    assert_shows(first, 250)

    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    text = (lab.root / "schedules.ipynb").read_text()
    assert "widget-view" not in text
    (lab.root / "schedules_again.ipynb").write_text(text)
    assert page.errors == []
    page.close()

    page = open_notebook(lab, "schedules_again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.locator(".cw").nth(1).wait_for()
    again = page.locator(".jp-Cell").nth(1).locator(".cw")
    again.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert_shows(again, 1000)
    assert page.errors == []
    assert page.outside == []
    page.close()
