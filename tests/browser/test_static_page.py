"""Widgets as files: no kernel, no server, no network."""

import pytest
import torch
from actions import drag, halves, pixels, touch, violations

from course_lib.widgets import LatentPlane, Quiz
from course_lib.widgets.page import write_page

pytestmark = pytest.mark.browser


def ramp(z):
    """Images (B, 1, 16, 16): the left half shows z[0] / 3, the right half z[1] / 3."""
    x = z[:, 0, None, None].expand(-1, 16, 8) / 3
    y = z[:, 1, None, None].expand(-1, 16, 8) / 3
    return torch.cat([x, y], dim=2)[:, None]


def plane(**options):
    points = torch.tensor([[-2.0, 2.0], [2.0, -2.0]])
    return LatentPlane(ramp, extent=3, points=points, labels=[0, 1], names=["left <b>", "right"], **options)


OPTIONS = [
    ("`tanh`", True, "It ends in [-1, 1]."),
    ("ReLU", False, "It has no upper end."),
    ("softmax", False, "It sums to one."),
]


@pytest.fixture
def shown(page, tmp_path):
    """The page with a LatentPlane on it, and the widget in the page."""
    page.goto(plane(title="A plane").to_html(tmp_path / "plane.html").as_uri())
    widget = page.locator(".cw-latent-plane")
    widget.wait_for()
    return page, widget


def test_keys_move_the_point_and_the_image_is_the_right_one(shown):
    page, widget = shown
    widget.locator(".cw-plane").focus()
    assert halves(widget) == pytest.approx((0, 0), abs=0.1)
    for key, z in [
        ("ArrowRight", (0.06, 0)),
        ("Shift+ArrowRight", (0.66, 0)),
        ("Shift+ArrowUp", (0.66, 0.6)),
        ("ArrowLeft", (0.6, 0.6)),
        ("Shift+ArrowDown", (0.6, 0)),
        ("Home", (0, 0)),
    ]:
        before = pixels(widget)
        page.keyboard.press(key)
        assert pixels(widget) != before
        assert halves(widget) == pytest.approx(z, abs=0.1)
    for _ in range(12):
        page.keyboard.press("Shift+ArrowLeft")
    assert halves(widget) == pytest.approx((-3, 0), abs=0.1)  # it stops at the edge
    assert "z = (−3.00, 0.00)" in widget.inner_text()
    assert "nearest data point: left <b>" in widget.inner_text()


def test_every_move_of_a_drag_is_shown(shown):
    page, widget = shown
    seen = drag(page, widget, (0.5, 0.5), (0.9, 0.1))
    assert all(a != b for a, b in zip(seen, seen[1:], strict=False))
    assert halves(widget) == pytest.approx((2.4, 2.4), abs=0.1)
    page.mouse.move(0, 0)  # the button is up: nothing follows
    assert pixels(widget) == seen[-1]


def test_a_drag_goes_on_outside_the_plane(shown):
    page, widget = shown
    drag(page, widget, (0.5, 0.5), (1.3, 0.5))
    assert halves(widget) == pytest.approx((3, 0), abs=0.1)


def test_a_finger_moves_the_point_and_not_the_page(shown):
    page, widget = shown
    page.set_viewport_size({"width": 400, "height": 300})
    touch(page, widget, (0.5, 0.2), (0.1, 0.4))
    assert halves(widget) == pytest.approx((-2.4, 0.6), abs=0.15)
    assert page.evaluate("scrollY") == 0


def test_map_and_legend_change_the_plane(shown):
    page, widget = shown
    read = "c => c.toDataURL()"
    canvas = widget.locator(".cw-plane canvas")
    plain = canvas.evaluate(read)
    chip = widget.get_by_role("button", name="right")
    chip.click()
    only = canvas.evaluate(read)
    widget.get_by_role("button", name="Map").click()
    assert len({plain, only, canvas.evaluate(read)}) == 3
    widget.get_by_role("button", name="Map").click()
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    assert canvas.evaluate(read) == plain


def test_two_equal_widgets_on_one_page_both_live_alone(page, tmp_path):
    html = plane().html()
    page.goto(write_page(tmp_path / "two.html", "Two", html + html).as_uri())
    first, second = page.locator(".cw-latent-plane").nth(0), page.locator(".cw-latent-plane").nth(1)
    second.wait_for()
    assert page.locator(".cw-latent-plane").count() == 2
    untouched = pixels(second)
    drag(page, first, (0.5, 0.5), (0.8, 0.8))
    assert halves(first) == pytest.approx((1.8, -1.8), abs=0.1)
    assert pixels(second) == untouched
    second.locator(".cw-plane").focus()
    page.keyboard.press("Shift+ArrowUp")
    assert halves(second) == pytest.approx((0, 0.6), abs=0.1)
    assert halves(first) == pytest.approx((1.8, -1.8), abs=0.1)


RENDER_AND_CLEAN_UP = """async ({ source, state }) => {
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
    const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {},
        on() { held.listeners++; }, off() { held.listeners--; } };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    const cleanup = await widget.render({ model, el });
    const plane = el.querySelector(".cw-plane");
    const press = () => plane.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    press();
    const during = { ...held, z: state.z };
    cleanup();
    press();
    return { during, after: { ...held, z: state.z }, left: el.childElementCount };
}"""


def test_a_view_that_is_taken_away_leaves_nothing_behind(shown):
    """Count what a rendered view holds on to; its cleanup must let go of all of it."""
    page, _ = shown
    widget = plane()
    state = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in widget.state().items()}
    held = page.evaluate(RENDER_AND_CLEAN_UP, {"source": widget._esm, "state": state})
    moved = [pytest.approx(0.06), 0]
    assert held["during"] == {"listeners": 3, "observers": 2, "z": moved}
    assert held["after"] == {"listeners": 0, "observers": 0, "z": moved}  # the second key moved nothing
    assert held["left"] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_for_axe_to_find(page, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    body = plane().html() + Quiz("Which *last* layer?\n```\nx = `y`\n```", OPTIONS, id="1.Q1").html()
    page.goto(write_page(tmp_path / "both.html", "Both", body).as_uri())
    page.locator(".cw-quiz").wait_for()
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 2", arg=scheme)
    assert violations(page) == []
    page.get_by_role("button", name="right").click()
    page.get_by_label("ReLU").check()
    page.get_by_role("button", name="Check").click()
    assert violations(page) == []
    page.get_by_label("tanh").check()
    page.get_by_role("button", name="Check").click()
    assert violations(page) == []


# --- quiz


@pytest.fixture
def quiz(page, tmp_path):
    page.goto(Quiz("Which last layer?", OPTIONS, id="1.Q1").to_html(tmp_path / "quiz.html").as_uri())
    widget = page.locator(".cw-quiz")
    widget.wait_for()
    return page, widget


def test_a_quiz_answers_to_the_pointer(quiz):
    page, widget = quiz
    assert "no upper end" not in widget.inner_text()
    check = page.get_by_role("button", name="Check")
    check.click()
    assert "Choose an answer first." in widget.inner_text()
    widget.get_by_text("ReLU").click()
    check.click()
    assert "Not quite" in widget.inner_text()
    assert "no upper end" in widget.inner_text()
    assert "ends in [-1, 1]" not in widget.inner_text()  # a wrong answer does not give the right one away
    widget.get_by_text("tanh").click()
    assert "Not quite" not in widget.inner_text()
    check.click()
    assert "Right." in widget.inner_text()
    for reason in ("ends in [-1, 1]", "no upper end", "sums to one"):
        assert reason in widget.inner_text()
    page.wait_for_function("document.querySelector('[aria-live]').textContent.startsWith('Right. It ends')")


def test_a_quiz_answers_to_the_keyboard(quiz):
    page, widget = quiz
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "no upper end" in widget.inner_text()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert "Right." in widget.inner_text()


def test_a_quiz_with_several_right_answers(page, tmp_path):
    options = [("a", True, "because a"), ("b", True, "because b"), ("c", False, "never c")]
    page.goto(Quiz("Which?", options).to_html(tmp_path / "several.html").as_uri())
    widget = page.locator(".cw-quiz")
    assert "Choose all that apply" in widget.inner_text()
    page.get_by_label("a", exact=True).check()
    page.get_by_role("button", name="Check").click()
    assert "1 more to find" in widget.inner_text()
    page.get_by_label("c", exact=True).check()
    page.get_by_role("button", name="Check").click()
    assert "Not quite" in widget.inner_text()
    page.get_by_label("c", exact=True).uncheck()
    page.get_by_label("b", exact=True).check()
    page.get_by_role("button", name="Check").click()
    assert "Right." in widget.inner_text()


def test_two_equal_quizzes_do_not_share_their_buttons(page, tmp_path):
    html = Quiz("Which last layer?", OPTIONS).html()
    page.goto(write_page(tmp_path / "two.html", "Two", html + html).as_uri())
    page.locator(".cw-quiz").nth(1).get_by_label("ReLU").check()
    page.locator(".cw-quiz").nth(0).get_by_label("tanh").check()
    assert page.locator(".cw-quiz").nth(1).get_by_label("ReLU").is_checked()


def test_a_quiz_picture_is_moved_not_lost(page, tmp_path):
    image = torch.linspace(-1, 1, 64).view(8, 8)
    page.goto(Quiz("?", OPTIONS, image=image, alt="a ramp").to_html(tmp_path / "picture.html").as_uri())
    picture = page.locator(".cw-quiz").get_by_role("img", name="a ramp")
    assert picture.evaluate("image => image.naturalWidth") == 8
    assert violations(page) == []


def test_where_scripts_do_not_run_the_picture_stays(browser, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(plane(alt="A ramp of greys.").to_html(tmp_path / "plane.html").as_uri())
    picture = page.get_by_role("img", name="A ramp of greys.")
    assert picture.bounding_box()["width"] > 200
    assert page.locator(".cw").count() == 0
    context.close()
