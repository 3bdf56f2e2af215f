"""Widgets that ask the kernel while they are in use: the live LatentPlane and the Playground2D."""

import json

import pytest
from actions import (
    drag,
    halves,
    open_notebook,
    pixels,
    plane_of,
    run_cell,
    step_of,
    touch,
    until,
    violations,
    write_notebook,
)

pytestmark = pytest.mark.browser

SETUP = """import time, torch, json
from course_lib.widgets import LatentPlane
seen = {"calls": 0, "sign": 1.0, "wait": 0.0, "fail": False}
def ramp(z):
    if len(z) == 1:
        seen["calls"] += 1
        time.sleep(seen["wait"])
    if seen["fail"]:
        raise RuntimeError("out of memory")
    x = z[:, 0, None, None].expand(-1, 16, 8) / 3
    y = z[:, 1, None, None].expand(-1, 16, 8) / 3
    return seen["sign"] * torch.cat([x, y], dim=2)[:, None]
plane = LatentPlane(ramp, extent=3, n=4, live=True, title="Live")"""
LIVE = [
    SETUP,
    "plane",
    "plane",
    "seen.update(sign=-1.0)",
    "seen.update(wait=0.05, calls=0)",
    "print(json.dumps(seen))",
    "seen.update(fail=True)",
    "seen.update(fail=False, wait=0.0)",
    "plane.refresh()",
    "time.sleep(8)",
    "seen.update(sign=1.0, wait=0.0)",
    "print(json.dumps(plane.z))",
]
SHOWN, AGAIN, TRAINED, SLOW, READ, BREAK, MEND, REFRESH, BUSY, RESET, POINT = range(1, 12)


@pytest.fixture(scope="module")
def notebook(lab):
    write_notebook(lab.root / "live_plane.ipynb", LIVE)
    page = open_notebook(lab, "live_plane.ipynb")
    for index in range(AGAIN + 1):
        run_cell(page, index)
    page.locator(".cw").nth(1).wait_for()
    yield page
    assert page.errors == []
    assert page.outside == []
    page.close()


@pytest.fixture
def live(notebook):
    """The page, and its first view with the point on the origin and the model as it was at first."""
    run_cell(notebook, RESET)
    run_cell(notebook, REFRESH)
    widget = notebook.locator(".jp-Cell").nth(SHOWN).locator(".cw")
    widget.locator(".cw-plane").focus()
    notebook.keyboard.press("Home")
    notebook.keyboard.press("ArrowUp")
    settled(notebook, widget, (0, 0.06))
    return notebook, widget


def settled(page, widget, z, sign=1, exactly=True, near=0.03):
    """Wait until the picture is that of z and comes from the kernel (or from the sheet)."""
    said = "exactly here" if exactly else "blended from"
    for _ in range(200):
        if said in widget.locator(".cw-source").inner_text():
            if halves(widget) == pytest.approx((sign * z[0], sign * z[1]), abs=near if exactly else 0.2):
                return
        page.wait_for_timeout(50)
    raise AssertionError((widget.locator(".cw-source").inner_text(), halves(widget)))


def test_the_kernel_decodes_what_the_model_is_now(live):
    page, widget = live
    drag(page, widget, (0.5, 0.5), (0.9, 0.1))
    settled(page, widget, (2.4, 2.4))
    page.wait_for_timeout(300)
    assert json.loads(run_cell(page, POINT)) == pytest.approx([2.4, 2.4], abs=0.05)
    run_cell(page, TRAINED)  # the model changed; the sheet did not
    widget.locator(".cw-plane").focus()
    page.keyboard.press("Shift+ArrowLeft")
    settled(page, widget, (1.8, 2.4), sign=-1)
    page.keyboard.press("ArrowLeft")
    settled(page, widget, (1.74, 2.4), sign=-1)


COUNT = """() => {
    const asked = window.asked = { now: {}, most: 0, sent: 0 };  // by view: how many questions are unanswered
    const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
    kernel.anyMessage.connect((_, { msg, direction }) => {
        const view = msg.content?.data?.method === "custom" && msg.content.data.content.view;
        if (!view) return;
        asked.now[view] = (asked.now[view] ?? 0) + (direction === "send" ? 1 : -1);
        asked.sent += direction === "send";
        asked.most = Math.max(asked.most, asked.now[view]);
    });
}"""

KEYS = """async plane => {
    for (let i = 0; i < 40; i++) {
        plane.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
        await new Promise(done => setTimeout(done, 10));
    }
}"""


def test_with_a_slow_model_one_question_is_under_way_and_the_last_one_wins(live):
    page, widget = live
    run_cell(page, SLOW)
    page.evaluate(COUNT)
    widget.locator(".cw-plane").evaluate(KEYS)
    settled(page, widget, (2.4, 0.06))
    asked = page.evaluate("asked")
    assert asked["most"] == 1
    assert 4 <= asked["sent"] < 60  # two views of 40 moves: without waiting for answers it would be 80
    assert json.loads(run_cell(page, READ))["calls"] == asked["sent"]


def test_a_finger_asks_the_kernel_too(live):
    page, widget = live
    touch(page, widget, (0.5, 0.5), (0.2, 0.3))
    settled(page, widget, (-1.8, 1.2), near=0.15)


def test_each_view_asks_for_itself_and_shows_the_same(live):
    page, widget = live
    other = page.locator(".jp-Cell").nth(AGAIN).locator(".cw")
    drag(page, widget, (0.5, 0.5), (0.7, 0.5))
    settled(page, widget, (1.2, 0))
    settled(page, other, (1.2, 0))


def test_a_decode_that_fails_gives_a_sentence_and_recovers(live):
    page, widget = live
    run_cell(page, BREAK)
    widget.locator(".cw-plane").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function(
        "document.querySelector('.cw-source').textContent.includes('RuntimeError: out of memory')"
    )
    assert halves(widget) == pytest.approx((0.6, 0.06), abs=0.2)  # from the sheet
    run_cell(page, REFRESH)
    widget.locator(".cw-quiet", has_text="decode stopped on a float32 tensor of shape (16, 2)").wait_for()
    run_cell(page, MEND)
    run_cell(page, REFRESH)
    settled(page, widget, (0.6, 0.06))
    assert widget.locator(".cw-quiet", has_text="decode stopped").count() == 0
    widget.locator(".cw-plane").focus()
    page.keyboard.press("Shift+ArrowRight")
    settled(page, widget, (1.2, 0.06))


def test_refresh_brings_a_new_sheet(live):
    page, widget = live
    run_cell(page, TRAINED)
    before = widget.locator(".cw-plane canvas").evaluate("c => c.toDataURL()")
    run_cell(page, REFRESH)
    page.wait_for_function("b => document.querySelector('.cw-plane canvas').toDataURL() !== b", arg=before)
    settled(page, widget, (0, 0.06), sign=-1)


def test_the_kernel_answers_while_a_cell_runs(live):
    """By a subshell, where JupyterLab and ipykernel have them; else the sheet stands in."""
    page, widget = live
    page.evaluate(
        """index => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = index;
            jupyterapp.commands.execute('notebook:run-cell');
        }""",
        BUSY,
    )
    page.wait_for_function(
        "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status === 'busy'"
    )
    drag(page, widget, (0.5, 0.5), (0.7, 0.3))
    prompt = page.evaluate(
        "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.supportsSubshells"
    )
    settled(page, widget, (1.2, 1.2), exactly=prompt)
    running = page.locator(".jp-Cell").nth(BUSY).locator(".jp-InputPrompt").inner_text()
    assert running == "[*]:"
    page.wait_for_function(
        "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status === 'idle'"
    )
    settled(page, widget, (1.2, 1.2))


def test_nothing_for_axe_to_find(live):
    page, _ = live
    assert violations(page, {"include": [[".cw"]]}) == []


def test_without_a_kernel_the_sheet_stands_in(lab, live):
    page, widget = live
    drag(page, widget, (0.5, 0.5), (0.9, 0.1))
    settled(page, widget, (2.4, 2.4))
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.interrupt()")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.wait_for_timeout(500)
    drag(page, widget, (0.5, 0.5), (0.1, 0.1))
    settled(page, widget, (-2.4, 2.4), exactly=False)
    assert pixels(widget)


# --- Playground2D

PLAY = [
    """import json, torch
from course_lib.widgets import Playground2D, PlayFrame, field_points
made = {"runs": 0, "frames": 0, "points": 0, "fail": False}
def drift(points):
    goal, x, step = points.mean(0), torch.zeros(30, 2), 0
    made["runs"] += 1
    made["points"] = len(points)
    while step < 600:
        step += 1
        made["frames"] += 1
        x = x + 0.05 * (goal + 0.1 - x)
        if made["fail"]:
            x = x * torch.nan
        side = torch.sigmoid(4 * (field_points(8) - x[0]).sum(1)).reshape(8, 8)
        loss = {"distance": float((goal - x).norm())}
        yield PlayFrame(step, x, side, torch.cat([x, goal - x], dim=1), loss)
    """,
    "w = Playground2D(drift, preview=5, title='Drift')\nw",
    "w",
    "print(json.dumps(made))",
    "made.update(fail=True)",
    "made.update(fail=False)",
    "Playground2D(drift, points='circle')",
]
FIRST, SECOND, MADE, FAIL, WORK, WRONG = range(1, 7)


@pytest.fixture(scope="module")
def play_notebook(lab):
    write_notebook(lab.root / "play.ipynb", PLAY)
    page = open_notebook(lab, "play.ipynb")
    for index in range(len(PLAY)):
        if index not in (FAIL, WORK):
            run_cell(page, index)
    page.locator(".cw-playground").nth(1).wait_for()
    page.set_default_timeout(20_000)
    yield page
    assert page.errors == []
    assert page.outside == []
    page.close()


@pytest.fixture
def play(play_notebook):
    """The page and the first view of the playground, at the first step of a new run on the ring."""
    widget = play_notebook.locator(".jp-Cell").nth(FIRST).locator(".cw-playground")
    widget.get_by_label("Data points", exact=True).select_option("moons")
    widget.get_by_label("Data points", exact=True).select_option("ring")
    play_notebook.wait_for_function("() => !document.querySelector('.cw-playground[aria-busy=true]')")
    until(play_notebook, widget, lambda step: step == 1)
    return play_notebook, widget


def made(page):
    return json.loads(run_cell(page, MADE))


def test_a_step_changes_the_samples_in_every_view(play):
    page, widget = play
    other = page.locator(".jp-Cell").nth(SECOND).locator(".cw-playground")
    before = plane_of(widget)
    widget.get_by_role("button", name="Step", exact=True).click()
    until(page, widget, lambda step: step == 2)
    assert plane_of(widget) != before
    until(page, other, lambda step: step == 2)
    widget.get_by_role("button", name="Step", exact=True).focus()
    page.keyboard.press("Enter")
    until(page, widget, lambda step: step == 3)


def test_playing_goes_on_and_a_pause_stops_the_kernels_work(play):
    page, widget = play
    widget.get_by_label("Frames for each picture", exact=True).select_option("20")
    widget.get_by_role("button", name="Play").click()
    until(page, widget, lambda step: step > 100)
    widget.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(300)
    frames = made(page)["frames"]
    page.wait_for_timeout(500)
    assert made(page)["frames"] == frames
    assert widget.get_by_role("button", name="Play").is_visible()


def test_taking_the_view_away_stops_the_kernels_work(play):
    page, widget = play
    widget.get_by_role("button", name="Play").click()
    until(page, widget, lambda step: step > 10)
    run_cell(page, FIRST)  # a new widget in its place
    page.wait_for_timeout(300)
    frames = made(page)["frames"]
    page.wait_for_timeout(500)
    assert made(page)["frames"] == frames


def test_drawing_changes_the_data_and_begins_again(play):
    page, widget = play
    runs = made(page)["runs"]
    plane = widget.locator(".cw-play-plane")
    box = plane.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=8)
    page.mouse.up()
    until(page, widget, lambda step: step == 1)
    page.wait_for_timeout(300)
    drawn = made(page)
    assert drawn["runs"] == runs + 1
    assert drawn["points"] == 256 + 9
    assert widget.get_by_label("Data points", exact=True).input_value() == ""
    widget.get_by_role("button", name="Erase").click()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_timeout(500)
    assert made(page)["points"] == 256 + 8
    widget.get_by_role("button", name="Draw").click()


def test_drawing_from_nothing_by_keyboard_and_by_finger(play):
    page, widget = play
    widget.get_by_role("button", name="Clear").click()
    assert "Draw some points" in widget.locator(".cw-play-said").inner_text()
    plane = widget.locator(".cw-play-plane")
    plane.focus()
    active = page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex")
    for key in ("Home", "Shift+ArrowRight", "Space", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    assert made(page)["points"] == 2
    assert page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") in (active, MADE, MADE + 1)
    box = plane.bounding_box()
    page.touchscreen.tap(box["x"] + 20, box["y"] + 20)
    page.wait_for_timeout(500)
    assert made(page)["points"] == 3


def test_a_diverged_training_says_so_and_restart_works(play):
    page, widget = play
    run_cell(page, FAIL)
    widget.get_by_role("button", name="Play").click()
    widget.locator(".cw-play-said", has_text="the training has diverged").wait_for()
    widget.get_by_role("button", name="Play").wait_for()
    run_cell(page, WORK)
    widget.get_by_role("button", name="Restart").click()
    until(page, widget, lambda step: step == 1)
    assert widget.locator(".cw-play-said").inner_text() == ""
    widget.get_by_role("button", name="Step", exact=True).click()
    until(page, widget, lambda step: step == 2)


def test_a_run_that_ends_pauses_with_a_note(play):
    page, widget = play
    widget.get_by_label("Frames for each picture", exact=True).select_option("100")
    widget.get_by_role("button", name="Play").click()
    widget.locator(".cw-play-said", has_text="The run ended at step 600.").wait_for()
    widget.get_by_role("button", name="Play").wait_for()


def test_heat_map_and_arrows_can_be_hidden(play):
    page, widget = play
    seen = {plane_of(widget)}
    for name in ("Heat map", "Arrows"):
        widget.get_by_role("button", name=name).click()
        seen.add(plane_of(widget))
    assert len(seen) == 3
    for name in ("Heat map", "Arrows"):
        widget.get_by_role("button", name=name).click()


def test_a_playground_that_cannot_be_made_is_a_sentence(play):
    page, _ = play
    output = page.locator(".jp-Cell").nth(WRONG).locator(".jp-OutputArea")
    assert "points must be one of ring" in output.get_by_role("alert").inner_text()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_nothing_for_axe_to_find_in_a_playground(play, theme):
    page, widget = play
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    name = theme.split()[-1].lower()
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 2", arg=name)
    assert violations(page, {"include": [[".cw"]]}) == []


def test_a_saved_playground_replays_its_film(lab, play_notebook):
    play_notebook.evaluate("jupyterapp.commands.execute('docmanager:save')")
    play_notebook.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    (lab.root / "played.ipynb").write_text((lab.root / "play.ipynb").read_text())
    page = open_notebook(lab, "played.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    widget = page.locator(".jp-Cell").nth(SECOND).locator(".cw-playground")
    widget.wait_for()
    assert widget.get_by_role("button", name="Erase").count() == 0
    assert "needs a running kernel" in widget.inner_text()
    last, newest = plane_of(widget), step_of(widget)
    widget.locator(".cw-scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert step_of(widget) < newest
    assert plane_of(widget) != last
    page.keyboard.press("Home")
    assert step_of(widget) == 1
    widget.get_by_role("button", name="Play").click()
    until(page, widget, lambda step: step == newest)
    assert plane_of(widget) == last
    assert page.errors == []
    assert page.outside == []
    page.close()


def test_a_playground_as_a_file(page, tmp_path):
    import torch

    from course_lib.widgets import PlayFrame, Playground2D

    def walk(points):
        for step in range(1, 40):
            yield PlayFrame(step, 0.02 * step * points[:50])

    page.set_viewport_size({"width": 360, "height": 900})
    page.goto(Playground2D(walk, points=torch.eye(2)).to_html(tmp_path / "walk.html").as_uri())
    widget = page.locator(".cw-playground")
    widget.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert "The run ended at step 39." in widget.inner_text()
    before = plane_of(widget)
    widget.locator(".cw-scrub").click(position={"x": 30, "y": 15})
    assert step_of(widget) < 10
    assert plane_of(widget) != before
    assert violations(page) == []
