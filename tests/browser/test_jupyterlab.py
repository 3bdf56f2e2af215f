"""Widgets in JupyterLab: with a kernel, in a notebook opened again, and in one that is not trusted."""

import json

import pytest
from actions import drag, halves, open_notebook, pixels, run_cell, touch, violations, write_notebook

pytestmark = pytest.mark.browser

SETUP = """import torch
from course_lib.widgets import LatentPlane, Quiz
def ramp(z):
    x = z[:, 0, None, None].expand(-1, 16, 8) / 3
    y = z[:, 1, None, None].expand(-1, 16, 8) / 3
    return torch.cat([x, y], dim=2)[:, None]
w = LatentPlane(ramp, extent=3, points=[[-2.0, 2.0], [2.0, -2.0]], labels=[0, 1], names=["left", "right"])"""
CELLS = [
    SETUP,
    "w",
    "w",
    "LatentPlane(ramp, extent=3, title='Another')",
    "Quiz('Which?', [('right', True, 'because'), ('wrong', False, 'no')], id='0.Q1')",
    "LatentPlane(lambda z: z, title='Broken')",
    "print(w.z)",
    "w.z = [-1.5, 1.5]",
]
READ, WRITE = 6, 7


@pytest.fixture(scope="module")
def live(lab):
    """A page with every cell but the last two run."""
    write_notebook(lab.root / "live.ipynb", CELLS)
    page = open_notebook(lab, "live.ipynb")
    for index in range(READ):
        run_cell(page, index)
    page.locator(".cw").nth(3).wait_for()
    yield page
    page.close()


@pytest.fixture
def cell(live):
    """`cell(i)` is the widget that cell i shows. Every test begins with the point of `w` on the origin."""

    def widget(index):
        return live.locator(".jp-Cell").nth(index).locator(".cw")

    widget(1).locator(".cw-plane").focus()
    live.keyboard.press("Home")
    yield widget
    assert live.errors == []
    assert live.outside == []


def active_cell(page):
    return page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex")


def test_keys_move_the_point_and_stay_in_the_widget(live, cell):
    cell(1).locator(".cw-plane").click(position={"x": 5, "y": 5})
    live.keyboard.press("Home")
    count, active = live.locator(".jp-Cell").count(), active_cell(live)
    for key in ("Shift+ArrowDown", "ArrowDown", "Shift+ArrowRight"):
        before = pixels(cell(1))
        live.keyboard.press(key)
        assert pixels(cell(1)) != before
    assert halves(cell(1)) == pytest.approx((0.6, -0.66), abs=0.1)
    for key in ("x", "a", "Escape"):  # JupyterLab: cut the cell, add a cell
        live.keyboard.press(key)
        assert live.locator(".jp-Cell").count() == count
        assert active_cell(live) == active


def test_pointer_and_touch(live, cell):
    seen = drag(live, cell(1), (0.5, 0.5), (0.9, 0.1))
    assert all(a != b for a, b in zip(seen, seen[1:], strict=False))
    assert halves(cell(1)) == pytest.approx((2.4, 2.4), abs=0.1)
    touch(live, cell(1), (0.5, 0.5), (0.2, 0.3))
    assert halves(cell(1)) == pytest.approx((-1.8, 1.2), abs=0.15)


def test_the_kernel_knows_the_point_and_can_move_it(live, cell):
    live.keyboard.press("Shift+ArrowRight")
    for _ in range(40):  # messages go one at a time: a busy kernel passes earlier points first
        told = json.loads(run_cell(live, READ))
        if told == pytest.approx([0.6, 0]):
            break
        live.wait_for_timeout(100)
    assert told == pytest.approx([0.6, 0])
    run_cell(live, WRITE)
    live.wait_for_function("document.querySelector('.cw-readout').textContent.includes('−1.50, 1.50')")
    assert halves(cell(1)) == pytest.approx((-1.5, 1.5), abs=0.1)


def test_two_views_of_one_widget_agree_and_another_widget_is_left_alone(live, cell):
    other = pixels(cell(3))
    drag(live, cell(2), (0.5, 0.5), (0.3, 0.5))
    assert halves(cell(2)) == pytest.approx((-1.2, 0), abs=0.1)
    assert pixels(cell(1)) == pixels(cell(2))
    assert pixels(cell(3)) == other
    live.wait_for_timeout(500)  # time for echoes from the kernel: they must not move the point back
    assert halves(cell(2)) == pytest.approx((-1.2, 0), abs=0.1)
    cell(1).get_by_role("button", name="left").click()  # what is highlighted is each view's own business
    assert cell(2).get_by_role("button", name="left").get_attribute("aria-pressed") == "false"


def test_running_a_cell_again_replaces_the_view(live, cell):
    for _ in range(3):
        run_cell(live, 2)
        cell(2).locator("canvas.cw-image").wait_for()
    assert cell(2).count() == 1
    drag(live, cell(2), (0.5, 0.5), (0.8, 0.5))
    assert pixels(cell(1)) == pixels(cell(2))


def test_a_quiz_in_a_running_notebook(live, cell):
    cell(4).get_by_label("wrong").check()
    live.keyboard.press("Enter")
    assert "Not quite" in cell(4).inner_text()
    live.keyboard.press("ArrowUp")
    live.keyboard.press("Enter")
    assert "because" in cell(4).inner_text()
    assert active_cell(live) != 5


def test_a_broken_decode_gives_a_sentence_and_no_traceback(live, cell):
    output = live.locator(".jp-Cell").nth(5).locator(".jp-OutputArea")
    assert "decode must give images of shape" in output.get_by_role("alert").inner_text()
    assert "Traceback" not in output.inner_text()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_themes_are_followed_and_axe_finds_nothing(live, cell, theme):
    live.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    name = theme.split()[-1].lower()
    live.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 4", arg=name)
    assert violations(live, {"include": [[".cw"]]}) == []


@pytest.fixture(scope="module")
def saved(lab, live):
    """The notebook as JupyterLab saves it for the student."""
    live.evaluate("jupyterapp.commands.execute('docmanager:save')")
    live.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    text = (lab.root / "live.ipynb").read_text()
    assert "widget-view" not in text
    return text


def test_a_saved_notebook_opened_again_is_alive_without_a_kernel(lab, saved):
    (lab.root / "again.ipynb").write_text(saved)  # the same content: JupyterLab knows that this user ran it
    page = open_notebook(lab, "again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.locator(".cw").nth(3).wait_for()
    first, second, other = (page.locator(".jp-Cell").nth(i).locator(".cw") for i in (1, 2, 3))
    untouched = pixels(other)
    drag(page, first, (0.5, 0.5), (0.9, 0.5))
    assert halves(first)[0] == pytest.approx(2.4, abs=0.1)
    assert pixels(second) != pixels(first)  # no kernel holds them together: each is alone
    second.locator(".cw-plane").focus()
    page.keyboard.press("Home")
    active = active_cell(page)
    page.keyboard.press("Shift+ArrowDown")
    assert halves(second) == pytest.approx((0, -0.6), abs=0.1)
    assert active_cell(page) == active
    assert pixels(other) == untouched
    quiz = page.locator(".jp-Cell").nth(4).locator(".cw")
    quiz.get_by_label("right").check()
    quiz.get_by_role("button", name="Check").click()
    assert "because" in quiz.inner_text()
    assert page.errors == []
    assert page.outside == []
    page.close()


def test_an_untrusted_notebook_shows_pictures(lab, saved):
    (lab.root / "foreign.ipynb").write_text(saved.replace("title='Another'", "title='Changed'"))
    page = open_notebook(lab, "foreign.ipynb")
    picture = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea img")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200
    assert "plane of latent points" in picture.get_attribute("alt")
    assert page.locator(".cw").count() == 0
    question = page.locator(".jp-Cell").nth(4).locator(".jp-OutputArea").inner_text()
    assert "Which?" in question
    assert "because" not in question
    assert page.errors == []
    page.close()
