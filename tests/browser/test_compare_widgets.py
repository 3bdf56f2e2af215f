"""Interpolation, Compare and Translate in a real browser: as files, and once in JupyterLab."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from actions import open_notebook, run_cell, violations, write_notebook
from PIL import Image

from course_lib.latent import lerp, slerp
from course_lib.widgets import Compare, Interpolation, Translate
from course_lib.widgets.page import write_page

pytestmark = pytest.mark.browser

READ = "canvas => canvas.toDataURL()"


def image(canvas):
    """A canvas as floats (H, W, 3) in [-1, 1]."""
    png = base64.b64decode(canvas.evaluate(READ).split(",")[1])
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"), float) / 127.5 - 1


def point(target, x, y=0.5):
    box = target.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page, target, start, end):
    """Press, move and let go; places are (x, y) in 0..1 of the target."""
    page.mouse.move(*point(target, *start))
    page.mouse.down()
    page.mouse.move(*point(target, *end), steps=5)
    page.mouse.up()


def touch(page, target, *fingers):
    """Move fingers over the target, each from a place to a place, through the browser's touch events."""
    session = page.context.new_cdp_session(page)
    box = target.bounding_box()  # before anything moves

    def send(kind, share):
        places = [
            {
                "x": box["x"] + (a[0] + (b[0] - a[0]) * share) * box["width"],
                "y": box["y"] + (a[1] + (b[1] - a[1]) * share) * box["height"],
                "id": i,
            }
            for i, (a, b) in enumerate(fingers)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if share < 0 else places})

    send("touchStart", 0)
    for step in range(1, 6):
        send("touchMove", step / 5)
    send("touchEnd", -1)
    session.detach()


def opened(page, widget, path):
    assert widget.problem == ""
    page.goto(widget.to_html(path / "widget.html").as_uri())
    shown = page.locator(".cw")
    shown.wait_for()
    return shown


# --- Interpolation


def ramp(z):
    """Images (B, 1, 16, 16): the left half shows z[0] / 4, the right half z[1] / 4."""
    x = z[:, 0, None, None].expand(-1, 16, 8) / 4
    y = z[:, 1, None, None].expand(-1, 16, 8) / 4
    return torch.cat([x, y], dim=2)[:, None]


ENDS = torch.tensor([[3.6, 0.0], [0.0, 3.6]])
CORNERS = torch.tensor([[3.6, 0.0], [2.4, 2.4], [2.0, -2.4], [0.5, 3.0]])


def code(canvas):
    """The code that an image of `ramp` shows."""
    shown = image(canvas)
    return 4 * shown[4:12, 2:6].mean(), 4 * shown[4:12, 10:14].mean()


def near(expected):
    return pytest.approx([float(value) for value in expected], abs=0.12)


def assert_way(widget, t):
    """Both large images show their codes, and the numbers beside them are the exact norms."""
    line, circle = lerp(*ENDS, t), slerp(*ENDS, t)
    assert code(widget.locator(".cw-way-now canvas").nth(0)) == near(line)
    assert code(widget.locator(".cw-way-now canvas").nth(1)) == near(circle)
    assert f"linear: norm {line.norm():.2f}" in widget.inner_text()
    assert f"spherical: norm {circle.norm():.2f}" in widget.inner_text()
    assert f"t = {t:.2f}" in widget.inner_text()


def test_keys_walk_between_two_codes(page, tmp_path):
    widget = opened(page, Interpolation(ramp, ENDS, names=["bag <b>", "boot"]), tmp_path)
    assert_way(widget, 0.5)
    assert "bag <b>" in widget.inner_text()
    widget.locator(".cw-track").focus()
    for key, t in [
        ("Home", 0),
        ("Shift+ArrowRight", 0.1),
        ("ArrowRight", 0.11),
        ("ArrowUp", 0.12),
        ("ArrowLeft", 0.11),
    ]:
        before = pixels_of(widget)
        page.keyboard.press(key)
        assert_way(widget, t)
        assert pixels_of(widget) != before
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    assert_way(widget, 1)


def pixels_of(widget):
    return widget.locator(".cw-way-now canvas").evaluate_all(f"all => all.map({READ})")


def test_pointer_and_finger_walk_between_two_codes(page, tmp_path):
    widget = opened(page, Interpolation(ramp, ENDS), tmp_path)
    track = widget.locator(".cw-track")
    place = [(0.5 + t * 8) / 9 for t in (0, 0.25, 0.75, 1)]  # the middles of the small pictures
    drag(page, track, (place[0], 0.5), (place[1], 0.5))
    assert_way(widget, 0.25)
    drag(page, track, (place[1], 0.5), (1.4, 0.5))  # the drag goes on outside, the way ends
    assert_way(widget, 1)
    touch(page, track, ((place[3], 0.3), (place[2], 0.6)))
    assert_way(widget, 0.75)
    assert page.evaluate("scrollY") == 0
    dots = widget.locator(".cw-norm").evaluate_all("all => all.map(dot => parseFloat(dot.style.bottom))")
    norms = [float(path(*ENDS, 0.75).norm()) for path in (lerp, slerp)]
    assert dots[0] / dots[1] == pytest.approx(norms[0] / norms[1], rel=1e-3)  # heights over 0, true to scale


def square_code(x, y, path):
    return path(path(CORNERS[0], CORNERS[1], x), path(CORNERS[2], CORNERS[3], x), y)


def test_a_square_follows_keys_pointer_finger_and_method(page, tmp_path):
    originals = torch.stack([torch.full((3, 9, 9), value) for value in (-1.0, -0.5, 0.5, 1.0)])
    widget = opened(page, Interpolation(ramp, CORNERS, originals=originals), tmp_path)
    pad, large = widget.locator(".cw-pad"), widget.locator(".cw-square-side canvas")
    corners = [image(widget.locator(".cw-way-end canvas").nth(i)).mean() for i in range(4)]
    assert corners == pytest.approx([-1, -0.5, 0.5, 1], abs=0.03)
    assert code(large) == near(square_code(0.5, 0.5, lerp))
    pad.focus()
    for key, x, y in [
        ("Shift+ArrowRight", 0.6, 0.5),
        ("Shift+ArrowUp", 0.6, 0.4),
        ("ArrowDown", 0.6, 0.41),
        ("Home", 0.5, 0.5),
    ]:
        page.keyboard.press(key)
        assert code(large) == near(square_code(x, y, lerp))
        assert f"t = ({x:.2f}, {y:.2f})" in widget.inner_text()
    plain = widget.locator(".cw-pad canvas").evaluate(READ)
    widget.get_by_role("button", name="spherical").click()
    assert code(large) == near(square_code(0.5, 0.5, slerp))
    assert f"norm of the code: {square_code(0.5, 0.5, slerp).norm():.2f}" in widget.inner_text()
    assert widget.locator(".cw-pad canvas").evaluate(READ) != plain  # the map changes with the method
    drag(page, pad, (0.5, 0.5), (0.25, 0.75))
    assert code(large) == near(square_code(0.25, 0.75, slerp))
    touch(page, pad, ((0.25, 0.75), (0.75, 0.25)))
    assert code(large) == near(square_code(0.75, 0.25, slerp))
    drag(page, pad, (0.5, 0.5), (1.5, -0.5))
    assert code(large) == near(CORNERS[1])


# --- Compare


def some(count, channels, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, height, width, generator=generator) * 2 - 1


TRUTH, OURS, OTHER = (some(8, 3, 8, 8, seed) for seed in range(3))
SMALL = some(8, 1, 4, 4, 3)


def compared():
    return Compare({"ours": OURS, "other": OTHER, "small": SMALL}, truth=TRUTH, names=list("abcdefgh"))


def as_image(x):
    return x.expand(3, -1, -1).permute(1, 2, 0).numpy()


def figures(widget):
    return [image(canvas) for canvas in widget.locator(".cw-figure canvas").all()]


def assert_column(widget, i):
    for shown, images in zip(figures(widget), (TRUTH, OURS, OTHER, SMALL), strict=True):
        assert np.abs(shown - as_image(images[i])).max() < 0.005
    errors = [float(((x[i] - TRUTH[i]) ** 2).mean()) for x in (OURS, OTHER)]
    text = widget.locator(".cw-number").all_inner_texts()
    assert [float(line.split()[-1]) for line in text[1:3]] == pytest.approx(errors, rel=0.05)
    assert text[3] == ""  # another size has no error
    assert f"Image {i + 1} of 8: {'abcdefgh'[i]}" in widget.inner_text()


def test_a_column_is_chosen_by_keys_pointer_and_finger(page, tmp_path):
    widget = opened(page, compared(), tmp_path)
    pick = widget.get_by_role("slider")
    assert_column(widget, 0)
    pick.focus()
    for key, column in [
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 6),
        ("ArrowLeft", 5),
        ("Shift+ArrowRight", 7),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert_column(widget, column)
        assert pick.get_attribute("aria-valuenow") == str(column + 1)
    drag(page, pick, (0.05, 0.3), (5.5 / 8, 0.8))
    assert_column(widget, 5)
    touch(page, pick, ((5.5 / 8, 0.2), (2.5 / 8, 0.6)))
    assert_column(widget, 2)
    mark = widget.locator(".cw-mark").bounding_box()
    box = pick.bounding_box()
    assert (mark["x"] - box["x"]) / box["width"] == pytest.approx(2 / 8, abs=0.01)


PAPER = {"light": (250, 250, 250), "dark": (22, 24, 29)}
BELOW, ABOVE = (11, 98, 168), (176, 80, 26)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_differences_are_those_of_the_pictures_at_the_stated_scale(page, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    widget = opened(page, compared(), tmp_path)
    page.wait_for_function("s => document.querySelector('.cw').dataset.theme === s", arg=scheme)
    scale = compared().scale
    paper = np.array(PAPER[scheme], float)
    plain = figures(widget)
    difference = as_image(OURS[0]) - as_image(TRUTH[0])

    widget.get_by_role("button", name="difference", exact=True).click()
    truth, ours, _, small = figures(widget)
    assert np.array_equal(truth, plain[0])  # the truth stays a picture, and so does what has another size
    assert np.array_equal(small, plain[3])
    assert f"+{scale:g}" in widget.inner_text()
    share = np.clip(difference.mean(-1, keepdims=True) / scale, -1, 1)
    if scheme == "light":
        wanted = paper + np.abs(share) * (np.where(share < 0, np.array(BELOW), np.array(ABOVE)) - paper)
        assert np.abs((ours + 1) * 127.5 - wanted).max() < 3

    widget.get_by_role("button", name="absolute difference").click()
    absolute = (figures(widget)[1] + 1) * 127.5
    share = np.clip(np.abs(difference).mean(-1, keepdims=True) / scale, 0, 1)
    assert (
        np.abs(
            absolute - (paper + share * (np.array(PAPER["dark" if scheme == "light" else "light"]) - paper))
        ).max()
        < 3
    )

    widget.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert not np.array_equal(figures(widget)[1], absolute / 127.5 - 1)
    widget.get_by_role("button", name="images").click()
    assert_column(widget, 1)
    assert not widget.locator(".cw-scale").is_visible()


def test_without_a_truth_there_is_no_difference_to_choose(page, tmp_path):
    widget = opened(page, Compare({"ours": OURS}, captions={"ours": "FID 3"}), tmp_path)
    assert widget.get_by_role("button").count() == 0
    assert "ours: FID 3" in widget.inner_text()


# --- Translate


def flat(*values):
    """Examples of one value each, (N, 3, 16, 16)."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 16, 16)


def translated():
    return Translate(
        flat(-1.0, -0.9, -0.8), flat(-0.5, -0.4, -0.3), flat(0.0, 0.1, 0.2), flat(0.8, 0.9, 1.0),
        names=("line", "colour"), labels=["cat", "dog", "owl"],
    )  # fmt: skip


def assert_wipe(widget, left, right, share):
    """The panel shows one value up to the divider's column and another beyond it, and nothing else."""
    shown = image(widget.locator(".cw-wipe-panel canvas"))[..., 0]
    cut = round(share * shown.shape[1])
    for side, value in ((shown[:, :cut], left), (shown[:, cut:], right)):
        assert side.size == 0 or np.abs(side - value).max() < 0.05
    handle, panel = (
        widget.locator(".cw-divider").bounding_box(),
        widget.locator(".cw-wipe-panel").bounding_box(),
    )
    assert handle["x"] + handle["width"] / 2 - panel["x"] == pytest.approx(share * panel["width"], abs=2)


def test_the_divider_parts_at_its_column(page, tmp_path):
    widget = opened(page, translated(), tmp_path)
    panel = widget.locator(".cw-wipe-panel")
    assert_wipe(widget, 0.8, -0.5, 0.5)  # truth, translation
    widget.locator(".cw-divider").focus()
    for key, share in [("Shift+ArrowLeft", 0.4), ("ArrowLeft", 0.39), ("ArrowRight", 0.4), ("Home", 0.5)]:
        page.keyboard.press(key)
        assert_wipe(widget, 0.8, -0.5, share)
    drag(page, panel, (0.5, 0.5), (0.25, 0.3))
    assert_wipe(widget, 0.8, -0.5, 0.25)
    page.keyboard.press("ArrowRight")  # the pointer has given the divider the focus
    assert_wipe(widget, 0.8, -0.5, 0.26)
    touch(page, panel, ((0.3, 0.3), (0.75, 0.6)))
    assert_wipe(widget, 0.8, -0.5, 0.75)
    drag(page, panel, (0.5, 0.5), (-0.3, 0.5))
    assert_wipe(widget, 0.8, -0.5, 0)
    drag(page, panel, (0.5, 0.5), (1.3, 0.5))
    assert_wipe(widget, 0.8, -0.5, 1)


def test_examples_and_pairs_are_chosen(page, tmp_path):
    widget = opened(page, translated(), tmp_path)
    pick = widget.get_by_role("slider", name="Choose an example")
    pick.focus()
    page.keyboard.press("ArrowRight")
    assert "Example 2 of 3: dog" in widget.inner_text()
    assert_wipe(widget, 0.9, -0.4, 0.5)
    widget.get_by_role("button", name="line | colour").click()
    assert_wipe(widget, -0.9, -0.4, 0.5)
    widget.get_by_role("button", name="line | line again").click()
    assert_wipe(widget, -0.9, 0.1, 0.5)
    drag(page, pick, (0.5, 0.5), (0.9, 0.5))
    assert_wipe(widget, -0.8, 0.2, 0.5)
    touch(page, pick, ((0.9, 0.5), (0.1, 0.5)))
    assert_wipe(widget, -1, 0, 0.5)
    shown = [figure.mean() for figure in figures(widget)]
    assert shown == pytest.approx([-1, -0.5, 0, 0.8], abs=0.05)
    assert "squared error to the truth 1.7" in widget.inner_text()  # 1.3 squared


@pytest.fixture
def panorama(page, tmp_path):
    """A picture of its own places: red grows to the right, green downwards, and blue tells B from A."""
    x = torch.linspace(-1, 1, 1024).expand(512, -1)
    y = torch.linspace(-1, 1, 512)[:, None].expand(-1, 1024)
    a, b = torch.stack([x, y, -torch.ones_like(x)])[None], torch.stack([x, y, torch.ones_like(x)])[None]
    return opened(page, Translate(a, b, names=("map", "photo")), tmp_path)


def seen(widget):
    """What part of the picture the panel shows: (left, right, top, bottom) in -1..1."""
    shown = image(widget.locator(".cw-wipe-panel canvas"))
    middle = shown.shape[0] // 2, shown.shape[1] // 2
    row, column = shown[middle[0]], shown[:, middle[1]]
    return row[2, 0], row[-3, 0], column[2, 1], column[-3, 1]


def about(*places):
    return pytest.approx(places, abs=0.06)


def test_a_panorama_pans_and_zooms_by_keys(page, panorama):
    panel = panorama.locator(".cw-wipe-panel")
    assert seen(panorama) == about(-1, 1, -1, 1)
    panel.focus()
    for _ in range(3):
        page.keyboard.press("+")
    reach = 1 / 1.25**3
    assert seen(panorama) == about(-reach, reach, -reach, reach)
    page.keyboard.press("Shift+ArrowRight")
    step = 0.25 * 2 * reach
    assert seen(panorama) == about(-reach + step, reach + step, -reach, reach)
    page.keyboard.press("ArrowUp")
    up = 0.05 * 2 * reach
    assert seen(panorama) == about(-reach + step, reach + step, -reach - up, reach - up)
    for _ in range(9):
        page.keyboard.press("Shift+ArrowRight")
    assert seen(panorama)[1] == pytest.approx(1, abs=0.06)  # it stops at the edge
    page.keyboard.press("-")
    assert "1.6×" in panorama.inner_text()
    page.keyboard.press("Home")
    assert seen(panorama) == about(-1, 1, -1, 1)
    panorama.get_by_role("button", name="Zoom in").click()
    assert seen(panorama) == about(-1 / 1.5, 1 / 1.5, -1 / 1.5, 1 / 1.5)


def test_a_panorama_follows_pointer_fingers_and_wheel(page, panorama):
    panel = panorama.locator(".cw-wipe-panel")
    panorama.get_by_role("button", name="Zoom in").click()
    reach = 1 / 1.5
    drag(page, panel, (0.3, 0.5), (0.2, 0.4))  # the picture follows the hand: to the left and up
    assert seen(panorama) == about(
        -reach + 0.2 * reach, reach + 0.2 * reach, -reach + 0.2 * reach, reach + 0.2 * reach
    )
    touch(page, panel, ((0.2, 0.4), (0.3, 0.5)))
    assert seen(panorama) == about(-reach, reach, -reach, reach)
    touch(page, panel, ((0.2, 0.4), (0.1, 0.4)), ((0.8, 0.4), (0.9, 0.4)))  # apart by 0.8 / 0.6
    assert seen(panorama)[1] - seen(panorama)[0] == pytest.approx(2 * reach * 0.75, abs=0.06)
    page.evaluate("document.activeElement.blur()")
    before = seen(panorama)
    page.mouse.move(*point(panel, 0.25, 0.5))
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(200)
    assert seen(panorama) == before  # no focus: the wheel belongs to the page
    panel.focus()
    under = image(panel.locator("canvas"))[240, 240, 0]
    page.mouse.wheel(0, -200)
    page.wait_for_function(
        "z => !document.querySelector('.cw-readout').textContent.startsWith(z)", arg="2.0×"
    )
    assert seen(panorama)[1] - seen(panorama)[0] < before[1] - before[0] - 0.1
    assert image(panel.locator("canvas"))[240, 240, 0] == pytest.approx(
        under, abs=0.05
    )  # what is under the hand stays


def test_the_divider_of_a_panorama_moves_alone(page, panorama):
    blue = image(panorama.locator("canvas"))[100, :, 2]
    assert (blue[:478] < 0).all()
    assert (blue[482:] > 0).all()
    divider = panorama.locator(".cw-divider")
    box = panorama.locator(".cw-wipe-panel").bounding_box()
    place = seen(panorama)
    page.mouse.move(*point(divider, 0.5, 0.3))
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20, steps=6)
    page.mouse.up()
    blue = image(panorama.locator("canvas"))[100, :, 2]
    assert (blue[:236] < 0).all()
    assert (blue[244:] > 0).all()
    assert seen(panorama) == place
    page.keyboard.press("Shift+ArrowRight")
    blue = image(panorama.locator("canvas"))[100, :, 2]
    assert (blue[:332] < 0).all()
    assert (blue[340:] > 0).all()
    assert seen(panorama) == place


# --- all of them


def everything():
    wide = torch.nn.functional.interpolate(some(1, 3, 8, 16, 5), (400, 800), mode="bilinear")
    return [
        Interpolation(ramp, ENDS, title="Two"),
        Interpolation(ramp, CORNERS, title="Four"),
        compared(),
        translated(),
        Translate(wide, -wide, title="Panorama"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900])
def test_nothing_for_axe_to_find_and_nothing_cut(page, tmp_path, scheme, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    body = "".join(widget.html() for widget in everything())
    page.goto(write_page(tmp_path / "all.html", "All", body).as_uri())
    page.wait_for_function("n => document.querySelectorAll(`.cw[data-theme=${n}]`).length === 5", arg=scheme)
    page.get_by_role("button", name="difference", exact=True).click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_equal_widgets_on_one_page_live_alone(page, tmp_path):
    html = translated().html()
    page.goto(write_page(tmp_path / "two.html", "Two", html + html).as_uri())
    first, second = page.locator(".cw").nth(0), page.locator(".cw").nth(1)
    second.wait_for()
    drag(page, first.locator(".cw-wipe-panel"), (0.5, 0.5), (0.2, 0.5))
    assert_wipe(first, 0.8, -0.5, 0.2)
    assert_wipe(second, 0.8, -0.5, 0.5)


RENDER_AND_CLEAN_UP = """async ({ source, state, focus, trait }) => {
    const held = { model: 0, observers: 0, media: 0 };
    for (const name of ["MutationObserver", "ResizeObserver"]) {
        const Plain = window[name];
        window[name] = class extends Plain {
            constructor(listener) { super(listener); held.observers++; }
            disconnect() { super.disconnect(); held.observers--; }
        };
    }
    const listen = MediaQueryList.prototype.addEventListener;
    MediaQueryList.prototype.addEventListener = function (event, listener, options) {
        held.media++;
        options.signal.addEventListener("abort", () => { held.media--; });
        listen.call(this, event, listener, options);
    };
    for (const [name, value] of Object.entries(state))  // bytes as a kernel sends them
        if (value?.bytes) state[name] = new DataView(Uint8Array.from(value.bytes).buffer);
    const model = { get: (k) => state[k], set: (k, v) => { state[k] = v; }, save_changes() {},
        on() { held.model++; }, off() { held.model--; } };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    const cleanup = await widget.render({ model, el });
    const target = el.querySelector(focus);
    const press = () => target.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    press();
    const during = { ...held, value: JSON.stringify(state[trait]) };
    cleanup();
    press();
    return { during, after: { ...held, value: JSON.stringify(state[trait]) }, left: el.childElementCount };
}"""


@pytest.mark.parametrize(
    ("index", "focus", "trait", "value"),
    [
        (0, ".cw-track", "t", "0.51"),
        (1, ".cw-pad", "t", "[0.51,0.5]"),
        (2, ".cw-pick", "column", "1"),
        (3, ".cw-divider", "wipe", "0.51"),
        (4, ".cw-divider", "wipe", "0.51"),
    ],
)
def test_a_view_that_is_taken_away_leaves_nothing_behind(page, tmp_path, index, focus, trait, value):
    widget = everything()[index]
    page.goto(write_page(tmp_path / "empty.html", "Empty", "").as_uri())
    state = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in widget.state().items()}
    held = page.evaluate(
        RENDER_AND_CLEAN_UP, {"source": str(widget._esm), "state": state, "focus": focus, "trait": trait}
    )
    during = held["during"]
    assert during["model"] >= 1
    assert (during["observers"], during["media"], during["value"]) == (2, 1, value)
    assert held["after"] == {
        "model": 0,
        "observers": 0,
        "media": 0,
        "value": value,
    }  # the second key did nothing
    assert held["left"] == 0


# --- JupyterLab, once

SETUP = """import torch
from course_lib.widgets import Compare, Interpolation, Translate
def ramp(z):
    x = z[:, 0, None, None].expand(-1, 16, 8) / 4
    y = z[:, 1, None, None].expand(-1, 16, 8) / 4
    return torch.cat([x, y], dim=2)[:, None]
def flat(*values):
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 16, 16)
way = Interpolation(ramp, torch.tensor([[3.6, 0.0], [0.0, 3.6]]))
compare = Compare({"ours": flat(0.1, 0.5, 0.9)}, truth=flat(0.0, 0.5, 1.0))
translate = Translate(flat(-1.0, -0.9), flat(-0.5, -0.4), None, flat(0.8, 0.9))"""
CELLS = [
    SETUP,
    "way",
    "way",
    "compare",
    "translate",
    "Compare({})",
    "print([way.t, compare.column, translate.wipe])",
    "way.t = 0.25; compare.column = 2; translate.example = 1",
]
TOLD, SET = 6, 7


def test_live_in_jupyterlab_and_opened_again(lab):
    write_notebook(lab.root / "compare.ipynb", CELLS)
    page = open_notebook(lab, "compare.ipynb")
    for index in range(TOLD):
        run_cell(page, index)
    cells = page.locator(".jp-Cell")
    way, twin, compare, translate = (cells.nth(i).locator(".cw") for i in range(1, 5))
    translate.wait_for()
    problem = cells.nth(5).locator(".jp-OutputArea").get_by_role("alert")
    assert "rows must be a dictionary of 1 to 12 rows" in problem.inner_text()

    way.locator(".cw-track").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert_way(way, 0.6)
    assert_way(twin, 0.6)  # two views of one widget agree
    compare.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    drag(page, translate.locator(".cw-wipe-panel"), (0.5, 0.5), (0.2, 0.5))
    for _ in range(40):  # a busy kernel passes earlier places first
        told = json.loads(run_cell(page, TOLD))
        if told == pytest.approx([0.6, 1, 0.2], abs=0.01):
            break
        page.wait_for_timeout(100)
    assert told == pytest.approx([0.6, 1, 0.2], abs=0.01)
    run_cell(page, SET)
    page.wait_for_function("document.querySelector('.cw-way-now').textContent.includes('t = 0.25')")
    assert_way(twin, 0.25)
    assert "Image 3 of 3" in compare.inner_text()
    assert "Example 2 of 2" in translate.inner_text()
    assert_wipe(translate, 0.9, -0.4, 0.2)

    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    text = (lab.root / "compare.ipynb").read_text()
    assert "widget-view" not in text
    (lab.root / "compare_again.ipynb").write_text(text)
    assert page.errors == []
    page.close()

    page = open_notebook(lab, "compare_again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.locator(".cw").nth(3).wait_for()
    way, twin, compare, translate = (page.locator(".jp-Cell").nth(i).locator(".cw") for i in range(1, 5))
    way.locator(".cw-track").focus()
    page.keyboard.press("Home")
    assert_way(way, 0)
    page.keyboard.press("Shift+ArrowRight")
    assert_way(way, 0.1)
    compare.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert "Image 2 of 3" in compare.inner_text()
    drag(page, translate.locator(".cw-wipe-panel"), (0.5, 0.5), (0.7, 0.5))
    assert_wipe(translate, 0.8, -0.5, 0.7)
    assert page.errors == []
    assert page.outside == []
    page.close()
