"""Denoiser and TrainingFilm in a browser: as files, in JupyterLab, and in a notebook opened again."""

import json

import pytest
import torch
from actions import PIXELS, open_notebook, run_cell, violations, write_notebook

from course_lib.method import Step
from course_lib.widgets import Denoiser, Frame, TrainingFilm
from course_lib.widgets.page import write_page

pytestmark = pytest.mark.browser

NOW = "scrub => Number(scrub.getAttribute('aria-valuenow'))"


def slide(n):
    """A sampler whose two pictures go from -1 to 1 (the second half as bright), its guess the other way."""
    for i in range(n + 1):
        x = torch.full((2, 1, 8, 8), 2 * i / n - 1)
        x[1] /= 2
        yield Step(i, n, x, -x, f"t = {n - i}")


def denoiser(**options):
    return Denoiser({"slow <b>": slide(20), "fast": slide(4)}, **options)


def training():
    """Pictures that brighten, a point that goes right, a field that turns over, two losses."""
    for k in range(11):
        value = k / 5 - 1
        field = torch.linspace(0, 1, 8).expand(8, 8) * (1 if k < 6 else -1) + (0 if k < 6 else 1)
        losses = {"D": 1 + 0.1 * k, "G": 2 - 0.1 * k}
        yield Frame(100 * k, torch.full((4, 1, 8, 8), value), losses, torch.tensor([[value, 0.0]]), field)


def film(**options):
    return TrainingFilm(training(), extent=1.5, real=[[0.0, 1.0]], **options)


def line_film(**options):
    """A level that rises and a curve that falls over a line, before a ramp."""
    ramp = torch.linspace(0, 1, 9)
    frames = [
        Frame(k, None, {"D": 1.0 + k}, line={"made": torch.full((9,), k / 10), "D(x)": ramp.flip(0)})
        for k in range(11)
    ]
    return TrainingFilm(frames, line=(-1, 1, 0, 1), behind={"data": ramp}, **options)


def open_widget(page, tmp_path, widget):
    page.goto(widget.to_html(tmp_path / "widget.html").as_uri())
    shown = page.locator(".cw")
    shown.wait_for()
    return shown


def now(widget):
    return widget.locator(".cw-scrub").evaluate(NOW)


def grey(widget, index, part=0):
    """The mean grey, -1..1, of one picture in the index-th row of pictures."""
    canvas = widget.locator("canvas.cw-strip").nth(index)
    columns = canvas.evaluate("canvas => canvas.width")
    values = canvas.evaluate(PIXELS)[::3]
    inside = [v for i, v in enumerate(values) if part * 9 <= i % columns < part * 9 + 8]
    return sum(inside) / len(inside) / 127.5 - 1


def picture(widget, selector):
    return widget.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


def drag(page, widget, places):
    """Press on the bar and move over `places`, 0..1; returns the moment at each."""
    box = widget.locator(".cw-scrub").bounding_box()
    y = box["y"] + box["height"] / 2
    seen = []
    page.mouse.move(box["x"] + places[0] * box["width"], y)
    page.mouse.down()
    for place in places:
        page.mouse.move(box["x"] + place * box["width"], y)
        seen.append(now(widget))
    page.mouse.up()
    return seen


def wait_for_moment(page, condition):
    page.wait_for_function(f"(({NOW})(document.querySelector('.cw-scrub'))) {condition}")


# --- as files


def test_keys_move_both_samplers_and_show_the_right_frames(page, tmp_path):
    widget = open_widget(page, tmp_path, denoiser())
    widget.locator(".cw-scrub").focus()
    for key, moment in [
        ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowUp", 12), ("ArrowLeft", 11), ("ArrowDown", 10),
        ("Shift+ArrowLeft", 0), ("ArrowLeft", 0), ("End", 20), ("ArrowRight", 20), ("Home", 0),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert now(widget) == moment
        value = moment / 10 - 1
        assert grey(widget, 0) == pytest.approx(value, abs=0.06)
        assert grey(widget, 0, part=1) == pytest.approx(value / 2, abs=0.06)
        assert grey(widget, 1) == pytest.approx(-value, abs=0.06)
        quarter = round(moment / 5 - 0.01) / 2 - 1  # the fast one's nearest frame
        assert grey(widget, 2) == pytest.approx(quarter, abs=0.06)
    assert "slow <b>" in widget.inner_text()
    assert "step 0 of 20, t = 20" in widget.inner_text()
    assert "step 0 of 4, t = 4" in widget.inner_text()
    assert "same share of their steps" in widget.inner_text()
    assert widget.locator(".cw-scrub").get_attribute("aria-valuetext").startswith("slow <b>, step 0 of 20")
    page.wait_for_function("document.querySelector('[aria-live]').textContent.includes('step 0 of 20')")


def test_every_move_of_a_drag_is_shown(page, tmp_path):
    widget = open_widget(page, tmp_path, denoiser())
    assert drag(page, widget, [0.5, 0.6, 0.75, 1.4, 0.1, -1]) == [10, 12, 15, 20, 2, 0]
    assert grey(widget, 0) == pytest.approx(-1, abs=0.06)
    page.mouse.move(500, 100)  # the button is up: nothing follows
    assert now(widget) == 0


def test_a_finger_moves_the_bar_and_not_the_page(page, tmp_path):
    widget = open_widget(page, tmp_path, denoiser())
    page.set_viewport_size({"width": 400, "height": 300})
    widget.locator(".cw-scrub").scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    box = widget.locator(".cw-scrub").bounding_box()
    session = page.context.new_cdp_session(page)
    for kind, place in [
        ("touchStart", (0.2, 0.5)),
        ("touchMove", (0.6, -3)),
        ("touchMove", (0.8, -6)),
        ("touchEnd", None),
    ]:
        at = (
            [{"x": box["x"] + place[0] * box["width"], "y": box["y"] + place[1] * box["height"]}]
            if place
            else []
        )
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    session.detach()
    assert now(widget) == 16
    assert grey(widget, 0) == pytest.approx(0.6, abs=0.06)
    assert page.evaluate("scrollY") == scrolled


def test_it_plays_pauses_and_begins_again(page, tmp_path):
    widget = open_widget(page, tmp_path, denoiser())
    assert now(widget) == 0
    widget.locator(".cw-scrub").focus()
    page.keyboard.press("Space")
    wait_for_moment(page, "> 2")
    assert widget.locator(".cw-play").inner_text() == "Pause"
    page.keyboard.press("Space")
    paused = now(widget)
    assert 2 < paused < 20
    page.wait_for_timeout(500)
    assert now(widget) == paused
    assert grey(widget, 0) == pytest.approx(paused / 10 - 1, abs=0.06)
    page.get_by_label("Speed").select_option("4×")
    page.get_by_role("button", name="Play").click()
    wait_for_moment(page, "=== 20")
    page.get_by_role("button", name="Play").click()  # at the end: it says Play again, and begins anew
    wait_for_moment(page, "< 15")
    page.keyboard.press("ArrowRight")  # a hand on it stops it
    assert widget.locator(".cw-play").inner_text() == "Play"
    stopped = now(widget)
    page.wait_for_timeout(300)
    assert now(widget) == stopped


def test_buttons_and_speed_have_their_own_keys(page, tmp_path):
    widget = open_widget(page, tmp_path, denoiser())
    on, back = (
        page.get_by_role("button", name="One moment on"),
        page.get_by_role("button", name="One moment back"),
    )
    on.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert now(widget) == 2
    back.click()
    assert now(widget) == 1
    assert widget.locator(".cw-play").inner_text() == "Play"
    speed = page.get_by_label("Speed")
    speed.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert now(widget) == 1
    assert speed.evaluate("select => select.value") == "4"


def test_where_less_motion_is_wanted_it_goes_step_by_step_when_asked(page, tmp_path):
    page.emulate_media(reduced_motion="reduce")
    widget = open_widget(page, tmp_path, denoiser())
    page.wait_for_timeout(300)
    assert now(widget) == 0  # nothing moves by itself
    page.evaluate("""() => {
        window.seen = [];
        const scrub = document.querySelector('.cw-scrub');
        const look = () => seen.push(Number(scrub.getAttribute('aria-valuenow')));
        new MutationObserver(look).observe(scrub, { attributeFilter: ['aria-valuenow'] });
    }""")
    page.get_by_label("Speed").select_option("4×")
    page.get_by_role("button", name="Play").click()
    wait_for_moment(page, "=== 5")
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("seen")[:5] == [1, 2, 3, 4, 5]


def test_noise_is_shown_with_its_full_contrast(page, tmp_path):
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    widget = open_widget(
        page, tmp_path, Denoiser([Step(0, 1, x), Step(1, 1, x.clamp(-1, 1) / 20)], noise=[1.0, 0.0])
    )
    shown = torch.tensor(widget.locator("canvas.cw-strip").evaluate(PIXELS)[::3]).float() / 127.5 - 1
    wanted = x.clamp(-1, 1).flatten()
    assert shown.std().item() == pytest.approx(wanted.std().item(), rel=0.15)
    assert torch.corrcoef(torch.stack([shown, wanted]))[0, 1] > 0.85
    assert "noise 1.00" in widget.inner_text()
    widget.locator(".cw-scrub").focus()
    page.keyboard.press("End")
    assert "noise 0.00" in widget.inner_text()
    drawn = widget.locator(".cw-scrub canvas").evaluate(PIXELS)
    assert len(set(drawn)) > 3  # the curve is there


def test_a_frame_without_a_guess_shows_none(page, tmp_path):
    steps = [
        Step(0, 1, torch.zeros(1, 1, 8, 8)),
        Step(1, 1, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8) / 2),
    ]
    widget = open_widget(page, tmp_path, Denoiser(steps))
    opaque = "c => c.getContext('2d').getImageData(0, 0, 1, 1).data[3]"
    guess = widget.locator("canvas.cw-strip").nth(1)
    assert guess.evaluate(opaque) == 0
    widget.locator(".cw-scrub").focus()
    page.keyboard.press("End")
    assert guess.evaluate(opaque) == 255


def test_a_film_moves_its_pictures_points_and_losses(page, tmp_path):
    widget = open_widget(page, tmp_path, film())
    assert now(widget) == 10  # what the training came to
    assert "step 1,000" in widget.inner_text()
    assert "D2" in widget.inner_text().replace("\n", "").replace(" ", "")
    seen = [tuple(picture(widget, s) for s in (".cw-film-images", ".cw-film-plane canvas:last-child"))]
    cursor = widget.locator(".cw-now")
    right = cursor.bounding_box()["x"]
    widget.locator(".cw-scrub").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
        seen.append(
            tuple(picture(widget, s) for s in (".cw-film-images", ".cw-film-plane canvas:last-child"))
        )
    assert len({images for images, _ in seen}) == 4
    assert len({plane for _, plane in seen}) == 4
    assert cursor.bounding_box()["x"] < right
    assert "step 700" in widget.inner_text()
    values = widget.locator(".cw-film-images").evaluate(PIXELS)
    assert values[0] / 127.5 - 1 == pytest.approx(7 / 5 - 1, abs=0.06)


def test_pressing_on_the_losses_jumps_there(page, tmp_path):
    widget = open_widget(page, tmp_path, film())
    box = widget.locator(".cw-plot").bounding_box()
    for place, moment in [(0.3, 3), (0.52, 5), (0.98, 10)]:
        page.mouse.click(box["x"] + place * box["width"], box["y"] + 40)
        assert now(widget) == moment
        assert f"step {100 * moment:,}" in widget.inner_text()


def test_the_field_s_colours_follow_value_and_theme(page, tmp_path):
    widget = open_widget(page, tmp_path, film())
    at = "(c, [x, y]) => Array.from(c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data)"
    canvas = widget.locator(".cw-film-plane canvas").first
    page.wait_for_function("document.querySelector('.cw[data-theme=light]')")
    left, right = (canvas.evaluate(at, [x, 0.9]) for x in (0.97, 0.03))  # the last field falls to the right
    assert left[2] > left[0] + 50  # D near 0: blue
    assert right[0] > right[2] + 50  # D near 1: orange
    middle = canvas.evaluate(at, [0.5, 0.9])
    assert max(middle[:3]) - min(middle[:3]) < 30
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.querySelector('.cw[data-theme=dark]')")
    assert sum(canvas.evaluate(at, [0.5, 0.9])[:3]) < sum(middle[:3]) / 2


LINE_AT = """(canvas, [x, y]) => Array.from(
    canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data)"""


def test_curves_over_a_line_follow_the_step_and_the_theme(page, tmp_path):
    widget = open_widget(page, tmp_path, line_film())
    page.wait_for_function("document.querySelector('.cw[data-theme=light]')")
    canvas = widget.locator(".cw-film-axis canvas")

    def is_blue(y):
        red, _, blue, opaque = canvas.evaluate(LINE_AT, [0.5, y])
        return opaque > 200 and blue > red + 80

    widget.locator(".cw-scrub").focus()
    for moment, key in ((7, "ArrowLeft"), (3, "ArrowLeft")):
        while now(widget) > moment:
            page.keyboard.press(key)
        assert is_blue(1 - moment / 10)  # the level of this moment, and only of this one
        assert not is_blue(1 - (10 - moment) / 10)
    filled, empty = (canvas.evaluate(LINE_AT, [0.8, y]) for y in (0.9, 0.1))  # below and above the ramp
    assert filled[0] > filled[2] + 80
    assert empty[3] == 0
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.querySelector('.cw[data-theme=dark]')")
    assert canvas.evaluate(LINE_AT, [0.8, 0.9]) != filled
    assert now(widget) == 3
    text = widget.inner_text()
    assert all(name in text for name in ("data", "made", "D(x)"))


def test_a_film_of_losses_alone(page, tmp_path):
    widget = open_widget(page, tmp_path, TrainingFilm([Frame(i, None, {"loss": float(i)}) for i in range(5)]))
    widget.locator(".cw-scrub").focus()
    page.keyboard.press("Home")
    assert "step 0" in widget.inner_text()
    assert widget.locator(".cw-film-images").count() == 0
    drawn = widget.locator(".cw-plot canvas").evaluate(PIXELS)
    assert len(set(drawn)) > 3


def test_a_widget_opens_where_it_was_left(page, tmp_path):
    widget = denoiser()
    widget.moment = 7
    shown = open_widget(page, tmp_path, widget)
    assert now(shown) == 7
    assert grey(shown, 0) == pytest.approx(-0.3, abs=0.06)


def test_two_equal_widgets_on_one_page_both_live_alone(page, tmp_path):
    html = denoiser().html()
    page.goto(write_page(tmp_path / "two.html", "Two", html + html).as_uri())
    first, second = page.locator(".cw-denoiser").nth(0), page.locator(".cw-denoiser").nth(1)
    second.wait_for()
    assert page.locator(".cw-denoiser").count() == 2
    drag(page, first, [0.5])
    assert (now(first), now(second)) == (10, 0)
    second.locator(".cw-scrub").focus()
    page.keyboard.press("End")
    assert (now(first), now(second)) == (10, 20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_for_axe_to_find(page, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    noisy = Denoiser({"a": slide(4), "b": slide(3)}, noise=[1.0, 0.0], names=["one", "two"])
    body = (
        noisy.html()
        + film().html()
        + line_film().html()
        + Denoiser([Step(0, 0, torch.zeros(1, 1, 8, 8))]).html()
    )
    page.goto(write_page(tmp_path / "all.html", "All", body).as_uri())
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 4", arg=scheme)
    assert violations(page) == []


@pytest.mark.parametrize("make", [denoiser, film, line_film])
def test_nothing_sticks_out_of_a_narrow_page(page, tmp_path, make):
    page.set_viewport_size({"width": 360, "height": 700})
    widget = open_widget(page, tmp_path, make())
    for key in ("Home", "End"):
        widget.locator(".cw-scrub").focus()
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_where_scripts_do_not_run_the_picture_stays(browser, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for widget in (denoiser(alt="Greys."), film(alt="Greys.")):
        page.goto(widget.to_html(tmp_path / "still.html").as_uri())
        assert page.get_by_role("img", name="Greys.").bounding_box()["width"] > 100
        assert page.locator(".cw").count() == 0
    context.close()


# --- what a view holds on to

RENDER = """async ({ source, state, goodbye }) => {
    const held = { listeners: 0, observers: 0 };
    for (const name of ["MutationObserver", "ResizeObserver"]) {
        const Plain = window[name];
        window[name] = class extends Plain {
            constructor(listener) { super(listener); held.observers++; }
            disconnect() { super.disconnect(); held.observers--; }
        };
    }
    for (const [name, value] of Object.entries(state))  // bytes as a kernel sends them
        if (value?.bytes) state[name] = new DataView(Uint8Array.from(value.bytes).buffer);
    state.moment = 0;
    const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {},
        on() { held.listeners++; }, off() { held.listeners--; } };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    const cleanup = await widget.render({ model, el });
    const during = { ...held };
    el.querySelector(".cw-play").click();
    const rest = (ms) => new Promise((done) => setTimeout(done, ms));
    while (state.moment === 0) await rest(20);
    if (goodbye) cleanup(); else el.remove();
    await rest(100); // a frame that was asked for before may still come
    let asked = 0;
    for (const name of ["requestAnimationFrame", "setTimeout"]) {
        const plain = window[name];
        window[name] = (...args) => { asked++; return plain(...args); };
    }
    const at = state.moment;
    const { port1, port2 } = new MessageChannel(); // a wait that needs neither of the two
    const end = performance.now() + 400;
    await new Promise((done) => {
        port1.onmessage = () => (performance.now() > end ? done() : port2.postMessage(0));
        port2.postMessage(0);
    });
    return { during, after: held, asked, moved: state.moment - at, left: el.childElementCount };
}"""


@pytest.mark.parametrize("calm", [False, True])
@pytest.mark.parametrize(("make", "observers"), [(denoiser, 3), (film, 3), (line_film, 4)])
def test_a_view_that_is_taken_away_while_it_plays_leaves_nothing_behind(page, make, observers, calm):
    page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
    widget = make()
    state = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in widget.state().items()}
    held = page.evaluate(RENDER, {"source": widget._esm, "state": state, "goodbye": True})
    assert held["during"]["listeners"] == 1
    assert held["during"]["observers"] == observers
    assert held["after"] == {"listeners": 0, "observers": 0}
    assert (held["asked"], held["moved"], held["left"]) == (0, 0, 0)


def test_a_page_that_drops_a_playing_view_without_a_word_stops_it(page):
    widget = denoiser()
    state = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in widget.state().items()}
    held = page.evaluate(RENDER, {"source": widget._esm, "state": state, "goodbye": False})
    assert (held["asked"], held["moved"]) == (0, 0)


# --- in JupyterLab

SETUP = """import torch
from course_lib.method import Step
from course_lib.widgets import Denoiser, Film, TrainingFilm
def slide(n):
    for i in range(n + 1):
        x = torch.full((2, 1, 8, 8), 2 * i / n - 1)
        x[1] /= 2
        yield Step(i, n, x, -x, f't = {n - i}')
film = Film()
for step in range(50):
    film.add(step, images=torch.full((4, 1, 8, 8), step / 50), losses={'loss': 1 / (1 + step)})
w = Denoiser({'slow': slide(20), 'fast': slide(4)})"""
CELLS = [
    SETUP,
    "w",
    "w",
    "Denoiser(slide(10))",
    "TrainingFilm(film)",
    "Denoiser([])",
    "print(w.moment)",
    "w.moment = 6",
]
READ, WRITE = 6, 7


@pytest.fixture(scope="module")
def live(lab):
    write_notebook(lab.root / "films.ipynb", CELLS)
    page = open_notebook(lab, "films.ipynb")
    for index in range(READ):
        run_cell(page, index)
    page.locator(".cw").nth(3).wait_for()
    yield page
    page.close()


@pytest.fixture
def cell(live):
    """`cell(i)` is the widget that cell i shows. Every test begins with `w` at its first moment."""

    def widget(index):
        return live.locator(".jp-Cell").nth(index).locator(".cw")

    widget(1).locator(".cw-scrub").focus()
    live.keyboard.press("Home")
    yield widget
    assert live.errors == []
    assert live.outside == []


def told(live, wanted):
    """What the kernel says of the moment, once it has caught up."""
    for _ in range(40):
        value = json.loads(run_cell(live, READ))
        if value == wanted:
            break
        live.wait_for_timeout(100)
    return value


def test_keys_stay_in_the_widget_and_two_views_agree(live, cell):
    count = live.locator(".jp-Cell").count()
    active = live.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex")
    others = now(cell(3)), now(cell(4))
    for key in ("ArrowRight", "Shift+ArrowRight", "End", "ArrowLeft", "x", "a", "Escape"):
        live.keyboard.press(key)
    assert live.locator(".jp-Cell").count() == count
    assert live.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") == active
    assert now(cell(1)) == now(cell(2)) == 19
    assert grey(cell(2), 0) == pytest.approx(0.9, abs=0.06)
    assert (now(cell(3)), now(cell(4))) == others


def test_the_kernel_knows_the_moment_and_can_set_it(live, cell):
    drag(live, cell(1), [0.2, 0.4, 0.55])
    assert told(live, 11) == 11
    run_cell(live, WRITE)
    wait_for_moment(live, "=== 6")
    assert grey(cell(2), 0) == pytest.approx(-0.4, abs=0.06)


def test_whoever_moves_last_has_it(live, cell):
    cell(1).locator(".cw-play").click()
    wait_for_moment(live, "> 1")
    cell(2).locator(".cw-scrub").focus()
    live.keyboard.press("Home")  # the other view is moved by hand: the first stops playing
    assert cell(1).locator(".cw-play").inner_text() == "Play"
    live.wait_for_timeout(400)
    assert now(cell(1)) == now(cell(2)) == 0


def test_what_was_played_is_told_when_it_rests(live, cell):
    cell(1).locator(".cw-play").click()
    wait_for_moment(live, "> 3")
    cell(1).locator(".cw-play").click()
    at = now(cell(1))
    assert told(live, at) == at


def test_an_empty_sampler_gives_a_sentence(live, cell):
    output = live.locator(".jp-Cell").nth(5).locator(".jp-OutputArea")
    assert "gave no step at all" in output.get_by_role("alert").inner_text()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_axe_finds_nothing_in_the_lab(live, cell, theme):
    live.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    name = theme.split()[-1].lower()
    live.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 4", arg=name)
    assert violations(live, {"include": [[".cw"]]}) == []


def test_a_saved_notebook_opened_again_plays_without_a_kernel(lab, live):
    live.evaluate("jupyterapp.commands.execute('docmanager:save')")
    live.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    text = (lab.root / "films.ipynb").read_text()
    assert "widget-view" not in text
    (lab.root / "films_again.ipynb").write_text(text)
    page = open_notebook(lab, "films_again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.locator(".cw").nth(3).wait_for()
    first, other, reel = (page.locator(".jp-Cell").nth(i).locator(".cw") for i in (1, 3, 4))
    before = now(other)
    first.locator(".cw-scrub").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    wait_for_moment(page, "> 2")
    page.keyboard.press("Space")
    assert grey(first, 0) == pytest.approx(now(first) / 10 - 1, abs=0.06)
    assert now(other) == before
    shown = picture(reel, ".cw-film-images")
    reel.locator(".cw-scrub").focus()
    page.keyboard.press("Home")
    assert picture(reel, ".cw-film-images") != shown
    assert page.errors == []
    assert page.outside == []
    page.close()
