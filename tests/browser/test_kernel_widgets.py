"""Widgets that ask the kernel while they are in use: the live LatentPlane and the Playground2D."""

import json

import pytest
from actions import drag, halves, open_notebook, pixels, run_cell, touch, violations, write_notebook

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
]
SHOWN, AGAIN, TRAINED, SLOW, READ, BREAK, MEND, REFRESH, BUSY, RESET = range(1, 11)


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


def settled(page, widget, z, sign=1, exactly=True):
    """Wait until the picture is that of z and comes from the kernel (or from the sheet)."""
    said = "exactly here" if exactly else "blended from"
    for _ in range(200):
        if said in widget.locator(".cw-source").inner_text():
            if halves(widget) == pytest.approx((sign * z[0], sign * z[1]), abs=0.03 if exactly else 0.2):
                return
        page.wait_for_timeout(50)
    raise AssertionError((widget.locator(".cw-source").inner_text(), halves(widget)))


def test_the_kernel_decodes_what_the_model_is_now(live):
    page, widget = live
    drag(page, widget, (0.5, 0.5), (0.9, 0.1))
    settled(page, widget, (2.4, 2.4))
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
    box = [round(v, 2) for v in halves(widget)]
    assert box[0] < -1.5
    page.wait_for_function("document.querySelector('.cw-source').textContent.includes('exactly here')")
    assert halves(widget) == pytest.approx((-1.8, 1.2), abs=0.15)


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
