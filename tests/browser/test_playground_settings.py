"""Playground2D: a choice of named settings, and the numbers of the moment; live, reopened and as a file."""

import json

import pytest
import torch
from actions import open_notebook, plane_of, run_cell, step_of, until, violations, write_notebook

from course_lib.widgets import PlayFrame, Playground2D

pytestmark = pytest.mark.browser

CELLS = [
    """import json, torch
from course_lib.widgets import Playground2D, PlayFrame
made = {"frames": 0, "runs": []}
def walk(name, speed):
    def make(points):
        made["runs"].append([name, len(points)])
        for step in range(1, 2001):
            made["frames"] += 1
            x = points[:30] + speed * step * torch.ones(2)
            numbers = {"walked": f"{1000 * speed * step:.0f} of 1000", "step": step}
            yield PlayFrame(step, x, losses={"rest": 1 - speed * step}, numbers=numbers)
    return make
def broken(points):
    raise RuntimeError("no such layer")
settings = {"slow": walk("slow", 1e-4), "fast": walk("fast", 1e-3), "broken": broken}""",
    "w = Playground2D(settings, preview=5, title='Walk')\nw",
    "w",
    "print(json.dumps(made))",
    "w.setting = 'fast'",
    "w.play(9)",
    "w.restart(torch.zeros(7, 2), setting='slow')",
    "Playground2D({})",
]
FIRST, SECOND, MADE, FAST, PLAY, SLOW, EMPTY = range(1, 8)


@pytest.fixture(scope="module")
def notebook(lab):
    write_notebook(lab.root / "settings.ipynb", CELLS)
    page = open_notebook(lab, "settings.ipynb")
    for index in (0, FIRST, SECOND, MADE, EMPTY):
        run_cell(page, index)
    page.locator(".cw-playground").nth(1).wait_for()
    page.set_default_timeout(20_000)
    yield page
    assert page.errors == []
    assert page.outside == []
    page.close()


@pytest.fixture
def live(notebook):
    """The page and the first view, at the first step of the slow setting on the ring."""
    widget = view(notebook, FIRST)
    if widget.get_by_role("button", name="Pause").count():
        widget.get_by_role("button", name="Pause").click()
    widget.get_by_label("Data points", exact=True).select_option("moons")
    widget.get_by_label("Data points", exact=True).select_option("ring")
    choose(notebook, widget, "fast")
    choose(notebook, widget, "slow")
    until(notebook, widget, lambda step: step == 1)
    return notebook, widget


def view(page, cell):
    return page.locator(".jp-Cell").nth(cell).locator(".cw-playground")


def setting(widget):
    return widget.get_by_label("Setting", exact=True)


def choose(page, widget, name):
    setting(widget).select_option(name)
    page.wait_for_function("() => !document.querySelector('.cw-playground[aria-busy=true]')")


def numbers(widget):
    """The numbers as they stand there: name -> text."""
    return dict(line.split("\n") for line in widget.locator(".cw-play-number").all_inner_texts())


def shows(page, widget, name, text):
    page.wait_for_function(
        """([box, name, text]) => [...box.querySelectorAll('.cw-play-number')].some((line) =>
            line.firstChild.textContent === name && line.lastChild.textContent === text)""",
        arg=[widget.element_handle(), name, text],
    )


def made(page):
    return json.loads(run_cell(page, MADE))


def test_choosing_a_setting_begins_a_new_run_on_the_same_points(live):
    page, widget = live
    box = widget.locator(".cw-play-plane").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # one point more
    page.wait_for_function("() => !document.querySelector('.cw-playground[aria-busy=true]')")
    widget.get_by_role("button", name="Step", exact=True).click()
    until(page, widget, lambda step: step == 2)
    choose(page, widget, "fast")
    until(page, widget, lambda step: step == 1)
    assert made(page)["runs"][-2:] == [["slow", 257], ["fast", 257]]
    shows(page, widget, "walked", "1 of 1000")
    widget.get_by_role("button", name="Restart").click()
    page.wait_for_timeout(300)
    assert made(page)["runs"][-1] == ["fast", 257]
    widget.get_by_label("Data points", exact=True).select_option("ring")
    page.wait_for_timeout(300)
    assert made(page)["runs"][-1] == ["fast", 256]
    assert setting(widget).input_value() == "fast"


def test_the_other_view_follows_the_choice(live):
    page, widget = live
    other = view(page, SECOND)
    choose(page, other, "fast")
    until(page, widget, lambda step: step == 1)
    page.wait_for_timeout(200)
    assert setting(widget).input_value() == "fast"
    shows(page, widget, "walked", "1 of 1000")


def test_the_keyboard_chooses_a_setting_and_the_notebook_does_not_hear_it(live):
    page, widget = live
    widget.locator(".cw-play-plane").focus()
    page.keyboard.press("Tab")
    assert setting(widget).evaluate("select => select === document.activeElement")
    cells = page.locator(".jp-Cell").count()
    page.keyboard.press("ArrowDown")
    shows(page, widget, "walked", "1 of 1000")
    assert setting(widget).input_value() == "fast"
    page.keyboard.press("ArrowUp")
    shows(page, widget, "walked", "0 of 1000")
    assert setting(widget).input_value() == "slow"
    assert page.locator(".jp-Cell").count() == cells
    page.keyboard.press("Tab")
    assert widget.get_by_role("button", name="Play").evaluate("b => b === document.activeElement")


def test_a_choice_while_it_plays_goes_on_playing_with_the_new_setting(live):
    page, widget = live
    widget.get_by_role("button", name="Play").click()
    until(page, widget, lambda step: step > 20)
    before = len(made(page)["runs"])
    setting(widget).select_option("fast")
    page.wait_for_function("() => !document.querySelector('.cw-playground[aria-busy=true]')")
    until(page, widget, lambda step: step > 30)
    assert setting(widget).input_value() == "fast"
    widget.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(300)
    assert [name for name, _ in made(page)["runs"][before:]] == ["fast"]
    step = step_of(widget)
    assert numbers(widget) == {"walked": f"{step} of 1000", "step": str(step)}


def test_numbers_are_those_of_the_moment_and_no_live_region(live):
    page, widget = live
    assert numbers(widget) == {"walked": "0 of 1000", "step": "1"}
    choose(page, widget, "fast")
    widget.get_by_role("button", name="Step", exact=True).click()
    until(page, widget, lambda step: step == 2)
    assert numbers(widget) == {"walked": "2 of 1000", "step": "2"}
    assert widget.locator("[aria-live] .cw-play-number, .cw-play-number [aria-live]").count() == 0
    assert "of 1000" not in widget.locator("[aria-live]").inner_text()


def test_what_python_changes_is_seen_at_once(live):
    page, widget = live
    run_cell(page, FAST)
    shows(page, widget, "walked", "1 of 1000")
    assert setting(widget).input_value() == "fast"
    run_cell(page, PLAY)
    shows(page, widget, "walked", "10 of 1000")
    assert step_of(widget) == 10
    before = plane_of(widget)
    run_cell(page, SLOW)
    until(page, widget, lambda step: step == 1)
    assert setting(widget).input_value() == "slow"
    assert widget.get_by_label("Data points", exact=True).input_value() == ""  # points of one's own
    assert plane_of(widget) != before
    widget.get_by_role("button", name="Step", exact=True).click()
    until(page, widget, lambda step: step == 2)
    assert made(page)["runs"][-1] == ["slow", 7]


def test_a_setting_that_fails_says_so_and_another_one_works(live):
    page, widget = live
    choose(page, widget, "broken")
    widget.locator(".cw-play-said", has_text="make stopped: RuntimeError: no such layer.").wait_for()
    assert numbers(widget) == {}
    choose(page, widget, "fast")
    until(page, widget, lambda step: step == 1)
    assert widget.locator(".cw-play-said").inner_text() == ""
    assert numbers(widget)["walked"] == "1 of 1000"


def test_an_empty_mapping_is_a_sentence(live):
    page, _ = live
    said = page.locator(".jp-Cell").nth(EMPTY).locator(".jp-OutputArea").get_by_role("alert").inner_text()
    assert said.startswith("make is an empty mapping")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_nothing_for_axe_to_find(live, theme):
    page, _ = live
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    name = theme.split()[-1].lower()
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 2", arg=name)
    assert violations(page, {"include": [[".cw"]]}) == []


def test_reopened_without_a_kernel_the_setting_is_text_and_the_numbers_replay(lab, live):
    notebook, widget = live
    choose(notebook, widget, "fast")
    widget.get_by_role("button", name="Step", exact=True).click()
    until(notebook, widget, lambda step: step == 2)
    run_cell(notebook, PLAY)
    run_cell(notebook, SECOND)  # shows the widget as it is now: 11 steps of the fast setting
    notebook.evaluate("jupyterapp.commands.execute('docmanager:save')")
    notebook.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    (lab.root / "reopened.ipynb").write_text((lab.root / "settings.ipynb").read_text())
    page = open_notebook(lab, "reopened.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    saved = view(page, SECOND)
    saved.wait_for()
    assert setting(saved).count() == 0
    assert saved.locator(".cw-play-setting").inner_text().split() == ["Setting", "fast"]
    assert "Other settings and data of your own need a running kernel" in saved.inner_text()
    assert numbers(saved) == {"walked": "11 of 1000", "step": "11"}
    saved.locator(".cw-scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert numbers(saved) == {"walked": "10 of 1000", "step": "10"}
    page.keyboard.press("Home")
    assert numbers(saved) == {"walked": "1 of 1000", "step": "1"}
    saved.get_by_role("button", name="Play").click()
    until(page, saved, lambda step: step == 11)
    assert numbers(saved) == {"walked": "11 of 1000", "step": "11"}
    assert page.errors == []
    assert page.outside == []
    page.close()


# --- as a file


def walk(speed):
    def make(points):
        for step in range(1, 21):
            yield PlayFrame(step, points[:50] * speed * step, numbers={"share": 0.05 * step, "of <b>": "20"})

    return make


LONG = "a setting whose name is much longer than the plane of a small telephone is wide"


@pytest.mark.parametrize("width", [340, 900])
def test_a_file_shows_setting_and_numbers(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 900})
    playground = Playground2D({LONG: walk(0.05), "other": walk(0.02)}, points=torch.eye(2), preview=20)
    page.goto(playground.to_html(tmp_path / "walk.html").as_uri())
    widget = page.locator(".cw-playground")
    widget.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert setting(widget).count() == 0
    assert LONG in widget.locator(".cw-play-setting").inner_text()
    assert numbers(widget) == {"share": "1", "of <b>": "20"}
    assert widget.locator(".cw-scrub").get_attribute("aria-valuetext") == "step 20, share 1, of <b> 20"
    widget.locator(".cw-scrub").click(position={"x": 1, "y": 15})  # the pointer scrubs
    assert numbers(widget) == {"share": "0.05", "of <b>": "20"}
    assert widget.locator(".cw-scrub").get_attribute("aria-valuetext") == "step 1, share 0.05, of <b> 20"
    assert violations(page) == []


def test_a_file_of_a_setting_that_failed_says_so(page, tmp_path):
    def broken(points):
        raise RuntimeError("no such layer")

    playground = Playground2D({"fine": walk(0.05), "broken": broken}, points=torch.eye(2))
    playground.setting = "broken"
    page.goto(playground.to_html(tmp_path / "broken.html").as_uri())
    widget = page.locator(".cw-playground")
    widget.wait_for()
    assert "make stopped: RuntimeError: no such layer." in widget.inner_text()
    assert widget.locator(".cw-play-setting").inner_text().split() == ["Setting", "broken"]
    assert widget.get_by_role("button", name="Play").count() == 0
    assert violations(page) == []


def test_a_playground_without_names_has_no_choice(page, tmp_path):
    page.goto(Playground2D(walk(0.05), points=torch.eye(2)).to_html(tmp_path / "plain.html").as_uri())
    widget = page.locator(".cw-playground")
    widget.wait_for()
    assert widget.locator(".cw-play-setting").count() == 0
    assert "Drawing your own data needs a running kernel" in widget.inner_text()
