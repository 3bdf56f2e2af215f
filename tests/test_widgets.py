"""Widgets without a browser: what they accept, what they say to bad input, and what they hand to a page."""

import base64
import io
import json
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.widgets import strip
from course_lib.widgets.page import live_html, problem_html, write_page
from course_lib.widgets.palette import DARK, LIGHT
from course_lib.widgets.points import box, checked_points
from course_lib.widgets.sheet import WidgetError, checked_images, decoded, encode_sheet, to_bytes

anywidget = pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib.widgets import LatentPlane, Quiz  # noqa: E402
from course_lib.widgets.latent_plane import plane_grid  # noqa: E402


def ramp(z):
    """Images (B, 1, 8, 8): the left half shows z[0] / 3, the right half z[1] / 3."""
    x = z[:, 0, None, None].expand(-1, 8, 4) / 3
    y = z[:, 1, None, None].expand(-1, 8, 4) / 3
    return torch.cat([x, y], dim=2)[:, None]


def packed(html):
    """What the script of a live page unpacks."""
    text = re.search(r'mount\("[0-9a-f]{16}", "([^"]+)"\);', html).group(1)
    return json.loads(zlib.decompress(base64.b64decode(text)))


def sheet_of(plane):
    return np.asarray(Image.open(io.BytesIO(plane.sheet)).convert("L"), dtype=float) / 127.5 - 1


# --- the sheet: every tile is the image of its own latent point


def test_tiles_stand_where_their_latent_points_are():
    plane = LatentPlane(ramp, extent=(-3, 3, -3, 3), n=7)
    sheet = sheet_of(plane).reshape(7, 8, 7, 8).transpose(0, 2, 1, 3)  # row, column, H, W
    for row in range(7):
        for column in range(7):
            x, y = -1 + column / 3, 1 - row / 3  # the top of the plane is where z[1] is largest
            assert sheet[row, column, :, :3].mean() == pytest.approx(x, abs=0.05)
            assert sheet[row, column, :, 5:].mean() == pytest.approx(y, abs=0.05)


def test_the_grid_runs_from_the_top_left_and_ends_on_the_edges():
    grid = plane_grid((-1, 3, 0, 2), 3)
    assert grid[:3].tolist() == [[-1, 2], [1, 2], [3, 2]]
    assert grid[-1].tolist() == [3, 0]


def test_a_sheet_is_faithful_to_its_tiles():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(100, 1, 7, 7, generator=generator) * 2 - 1, 28, mode="bicubic"
    )
    tiles = to_bytes(smooth.numpy())
    shown = np.asarray(Image.open(io.BytesIO(encode_sheet(tiles, 10))).convert("L"), dtype=float)
    wanted = tiles.reshape(10, 10, 28, 28).transpose(0, 2, 1, 3).reshape(280, 280)
    assert (
        np.abs(shown - wanted).mean() < 6
    )  # hard seams between random tiles: far worse than any decoder's sheet


def test_images_may_be_tensors_arrays_or_bytes():
    x = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    expected = x.numpy()
    for images, close in ((x, 0), (x.numpy(), 0), (x.double(), 1e-7), (x.bfloat16(), 4e-3)):
        assert np.abs(checked_images(images, "x") - expected).max() <= close
    assert np.abs(checked_images(to_bytes(expected).transpose(0, 3, 1, 2), "x") - expected).max() <= 1 / 255


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([[1.0]], "x must be images (N, C, H, W), a tensor or an array, but it is a list."),
        (torch.zeros(3, 28, 28), "its shape is (3, 28, 28)"),
        (torch.zeros(1, 2, 4, 4), "with C = 1 or 3"),
        (torch.zeros(0, 1, 4, 4), "x holds no pixel: its shape is (0, 1, 4, 4)."),
        (torch.zeros(1, 1, 4, 4, dtype=torch.long), "floats in [-1, 1] or uint8, but it is int64"),
        (torch.full((1, 1, 4, 4), torch.nan), "x gave NaN or infinity in 16 of 16 values"),
        (torch.full((1, 1, 4, 4), 255.0), "x gave values from 255 to 255"),
    ],
)
def test_images_that_are_none_get_a_sentence(images, said):
    with pytest.raises(WidgetError) as error:
        checked_images(images, "x")
    assert said in str(error.value)


@pytest.mark.parametrize("kind", ["tensor", "array", "numpy only", "bfloat16", "with gradient"])
def test_decode_may_speak_torch_or_numpy(kind):
    weight = np.ones((2, 16), np.float32) * 0.1
    theta = torch.full((2, 16), 0.1, requires_grad=True)
    decode = {
        "tensor": lambda z: (z @ torch.from_numpy(weight)).view(-1, 1, 4, 4),
        "array": lambda z: (z.numpy() @ weight).reshape(-1, 1, 4, 4),
        "numpy only": lambda z: (z.astype(np.float64) @ weight).reshape(-1, 1, 4, 4),
        "bfloat16": lambda z: (z @ torch.from_numpy(weight)).view(-1, 1, 4, 4).bfloat16(),
        "with gradient": lambda z: (z @ theta).view(-1, 1, 4, 4),
    }[kind]
    images = decoded(decode, np.array([[1, 2], [0, 0]], np.float32))
    assert images.dtype == np.float32
    assert images[0] == pytest.approx(0.3, abs=2e-3)
    assert images[1] == pytest.approx(0)


# --- points


def test_packed_points_unpack_to_where_they_were():
    xy = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    extent = (-5.0, 5.0, -5.0, 5.0)
    data = checked_points(xy, None, None).inside(extent)
    raw = np.frombuffer(data.packed(extent), "<u2").reshape(-1, 2) / 65535
    back = raw * [10, 10] + [-5, -5]
    assert np.abs(back - xy.numpy()).max() < 10 / 65535


def test_many_points_are_thinned_evenly_and_keep_their_labels():
    xy = np.stack([np.arange(9000), np.arange(9000)], axis=1)
    data = checked_points(xy, np.arange(9000) // 900, None)
    assert len(data.xy) == 2000
    assert (data.xy[:, 0] // 900 == data.kind).all()
    assert np.bincount(data.kind).min() >= 199


def test_the_default_extent_holds_nearly_all_points_and_no_outlier():
    xy = np.random.default_rng(0).normal([10, -4], [2, 0.5], (5000, 2))
    xy[0] = [1e6, 1e6]
    left, right, bottom, top = box(None, checked_points(xy, None, None))
    inside = (xy[:, 0] > left) & (xy[:, 0] < right) & (xy[:, 1] > bottom) & (xy[:, 1] < top)
    assert inside.mean() > 0.97
    assert right < 30
    assert top < 1


def test_points_outside_the_plane_are_counted_not_drawn():
    plane = LatentPlane(ramp, extent=1, n=3, points=[[0, 0], [5, 5], [0.5, -0.5]], labels=[0, 1, 2])
    assert "1 of 3 points lie outside" in plane.note
    assert list(plane.labels) == [0, 2]


# --- bad input: a sentence in place of the widget, and the cell goes on


def fails(z):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


BAD_DECODE = {
    "raises": (fails, "RuntimeError: mat1 and mat2"),
    "not callable": ("a string", "must be a function"),
    "a tuple": (lambda z: (z, z), "gave a tuple"),
    "flat": (lambda z: torch.zeros(len(z), 784), "(B, C, H, W)|shape"),
    "two channels": (lambda z: torch.zeros(len(z), 2, 4, 4), "C = 1 or 3"),
    "wrong batch": (lambda z: torch.zeros(1, 1, 4, 4), "latent points, but it gave (1, 1, 4, 4)"),
    "empty": (lambda z: torch.zeros(len(z), 1, 0, 4), "gave"),
    "NaN": (lambda z: torch.full((len(z), 1, 4, 4), float("nan")), "NaN"),
    "0 to 255": (lambda z: torch.full((len(z), 1, 4, 4), 200.0), "[-1, 1]"),
    "bool": (lambda z: torch.ones(len(z), 1, 4, 4, dtype=torch.bool), "bool"),
    "complex": (lambda z: torch.ones(len(z), 1, 4, 4, dtype=torch.complex64), "complex"),
    "too large": (lambda z: torch.zeros(len(z), 1, 1500, 8), "at most 4096"),
}


@pytest.mark.parametrize("case", BAD_DECODE)
def test_a_bad_decode_gives_a_sentence(case):
    decode, words = BAD_DECODE[case]
    plane = LatentPlane(decode, n=3)
    assert any(word in plane.problem for word in words.split("|"))
    data, _ = plane._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html"}
    assert 'role="alert"' in data["text/html"]


BAD_ARGUMENTS = {
    "points (N, 3)": ({"points": np.zeros((5, 3))}, "shape (N, 2)"),
    "points NaN": ({"points": [[0, float("nan")]]}, "1 of 1 points"),
    "points text": ({"points": [["a", "b"]]}, "points must hold numbers"),
    "ragged points": ({"points": [[0, 1], [2]]}, "points cannot be read"),
    "labels short": ({"points": np.zeros((5, 2)), "labels": [0, 1]}, "2 labels for 5 points"),
    "labels float": ({"points": np.zeros((2, 2)), "labels": [0.5, 1.0]}, "whole numbers"),
    "labels negative": ({"points": np.zeros((2, 2)), "labels": [-1, 1]}, "whole numbers"),
    "labels alone": ({"labels": [0, 1]}, "without points"),
    "eleven classes": ({"points": np.zeros((11, 2)), "labels": range(11)}, "10 colours"),
    "names short": ({"points": np.zeros((2, 2)), "labels": [0, 1], "names": ["a"]}, "names has 1"),
    "extent upside down": ({"extent": (3, -3, 0, 1)}, "left < right"),
    "extent zero": ({"extent": 0}, "half-width"),
    "n = 1": ({"n": 1}, "2 to 40"),
    "n = 2.5": ({"n": 2.5}, "2 to 40"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_give_a_sentence(case):
    arguments, words = BAD_ARGUMENTS[case]
    assert words in LatentPlane(ramp, **{"n": 3, **arguments}).problem


@pytest.mark.parametrize(
    ("values", "words"),
    [((-1.0, 1.0), ""), ((0.0, 1.0), "are these in [0, 1]"), ((-2.0, 2.0), "shown clipped")],
)
def test_suspicious_values_are_remarked_on(values, words):
    images = torch.tensor(values).repeat(32).view(1, 1, 8, 8)
    plane = LatentPlane(lambda z: images.expand(len(z), -1, -1, -1), n=2)
    assert plane.problem == ""
    assert words in plane.note if words else plane.note == ""


def test_z_is_kept_on_the_plane_and_must_be_two_numbers():
    plane = LatentPlane(ramp, extent=(1, 3, -2, 2), n=3)
    assert plane.z == [1, 0]  # the origin is not on this plane: the nearest point that is
    plane.z = [9, -9]
    assert plane.z == [3, -2]
    with pytest.raises(Exception, match="two finite numbers"):
        plane.z = [1]


# --- what a page gets


def test_three_representations_and_their_size():
    generator = torch.Generator().manual_seed(0)
    xy = torch.randn(3000, 2, generator=generator)
    plane = LatentPlane(
        lambda z: torch.nn.functional.interpolate(ramp(z), 28), points=xy, labels=torch.arange(3000) % 10
    )
    data, _ = plane._repr_mimebundle_()
    assert set(data) == {strip.VIEW, "text/html", "image/png", "text/plain"}
    assert sum(len(data[key]) for key in ("text/html", "image/png")) < 200_000
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("L")))) > 8
    state = packed(data["text/html"])["state"]
    assert base64.b64decode(state["sheet"]["base64"]) == plane.sheet
    assert len(base64.b64decode(state["labels"]["base64"])) == len(plane.labels)


def test_a_rebuilt_widget_is_the_same_text_and_names_no_machine():
    first, second = (LatentPlane(ramp, n=4, title="Same")._repr_mimebundle_()[0] for _ in range(2))
    for key in ("text/html", "image/png", "text/plain"):
        assert first[key] == second[key]
    assert "0x" not in first["text/plain"]
    assert LatentPlane(ramp, n=5, title="Same").html() != first["text/html"]


def test_html_asks_for_nothing_and_escapes_everything():
    evil = '</script><img src=x onerror="alert(1)"> & "quotes"'
    html = LatentPlane(ramp, n=3, title=evil, alt=evil).html()
    assert html.count("</script>") == 1
    assert 'onerror="alert' not in html
    assert "&lt;/script&gt;" in html
    tags = re.sub(r'="[^"]*"', "", html[: html.index("<script")])
    assert set(re.findall(r"<(\w+)", tags)) == {"div", "img", "p", "small"}
    assert "http" not in html
    assert packed(html)["state"]["title"] == evil


def test_to_html_writes_a_page_and_says_why_it_cannot(tmp_path):
    path = LatentPlane(ramp, n=3, title="A <plane>").to_html(tmp_path / "plane.html")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>A &lt;plane&gt;</title>" in text
    with pytest.raises(WidgetError, match=r"Could not write .*nowhere.*Choose a folder"):
        write_page(tmp_path / "nowhere" / "x.html", "t", "")


def test_state_with_nan_is_refused_rather_than_written_as_broken_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        live_html("export default {}", {"z": float("nan")}, "")


def test_a_problem_is_escaped():
    assert "<b>" not in problem_html("<b>bold</b>")


# --- quiz


OPTIONS = [("`tanh`", True, "It ends in [-1, 1]."), ("ReLU", False, "It has **no** upper end.")]


def test_a_quiz_shows_its_options_but_not_its_answers():
    quiz = Quiz("Which *last* layer?", OPTIONS, id="1.Q1")
    html = quiz.html()
    assert "<code>tanh</code>" in html
    assert "<em>last</em>" in html
    for secret in ("ends in", "upper end", "correct"):
        assert secret not in html.replace("mount(", "")
    assert "ends in" not in repr(quiz)
    state = packed(html)["state"]
    assert [option["correct"] for option in state["options"]] == [True, False]
    assert state["options"][1]["why"] == "It has <strong>no</strong> upper end."


def test_quiz_text_is_escaped_and_code_is_kept_as_written():
    quiz = Quiz("```python\nif a < b and c**2 > **kw:\n    pass\n```\n<script>", OPTIONS)
    text = packed(quiz.html())["state"]["question"]
    assert "<pre><code>if a &lt; b and c**2 &gt; **kw:\n    pass</code></pre>" in text
    assert "&lt;script&gt;" in text
    assert "2 * 3 * 4" in packed(Quiz("2 * 3 * 4", OPTIONS).html())["state"]["question"]


@pytest.mark.parametrize("shape", [(6, 5), (1, 6, 5), (3, 6, 5), (6, 5, 3)])
def test_quiz_pictures_come_in_every_usual_layout(shape):
    quiz = Quiz("?", OPTIONS, image=torch.zeros(shape), alt="grey")
    uri = re.search(r"data:image/png;base64,([^\"]+)", quiz.html()).group(1)
    with Image.open(io.BytesIO(base64.b64decode(uri))) as picture:
        assert picture.size == (5, 6)
        assert np.unique(np.asarray(picture)).tolist() == [128]


BAD_QUIZ = {
    "nothing correct": (([("a", False, "no"), ("b", False, "no")],), {}, "no option is correct"),
    "one option": (([("a", True, "yes")],), {}, "at least two"),
    "no reason": (([("a", True, ""), ("b", False, "no")],), {}, "needs a text and a reason"),
    "pair": (([("a", True), ("b", False)],), {}, "must be (text, True or False, why)"),
    "no alt": ((OPTIONS,), {"image": np.zeros((4, 4))}, "needs alt="),
    "bytes": ((OPTIONS,), {"image": b"not a picture", "alt": "x"}, "not a picture"),
    "shape": ((OPTIONS,), {"image": np.zeros((4, 4, 4, 4)), "alt": "x"}, "shape"),
    "range": ((OPTIONS,), {"image": np.full((4, 4), 7.0), "alt": "x"}, "[-1, 1]"),
}


@pytest.mark.parametrize("case", BAD_QUIZ)
def test_a_bad_quiz_gives_a_sentence(case):
    arguments, keywords, words = BAD_QUIZ[case]
    quiz = Quiz("Which?", *arguments, id="9.Q9", **keywords)
    assert words in quiz.problem
    assert "9.Q9" in quiz.problem
    assert 'role="alert"' in quiz._repr_html_()


# --- the palette


def _oklab(hexes, sight):
    rgb = np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(sight).T, 0, 1)
    lms = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
    lab = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return np.cbrt(seen @ lms.T) @ lab.T


SIGHT = {  # simulations at full severity: Machado, Oliveira and Fernandes, 2009
    "usual": np.eye(3).tolist(),
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_stay_apart(palette, sight):
    lab = _oklab(palette, SIGHT[sight])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(len(lab))
    assert distance.min() > 0.085  # plain Okabe-Ito orange and yellow are 0.05 apart under deuteranopia


# --- cleaning notebooks


def output(**data):
    names = {"view": strip.VIEW, "html": "text/html", "png": "image/png", "plain": "text/plain"}
    return {"output_type": "display_data", "data": {names[k]: v for k, v in data.items()}, "metadata": {}}


def test_stripping_drops_views_and_bars_and_nothing_else():
    stream = {"output_type": "stream", "name": "stdout", "text": "kept"}
    outputs = [
        output(view={"model_id": "1"}, html="<b>", png="x", plain="LatentPlane"),
        output(view={"model_id": "2"}, plain="100%|####|"),
        output(png="figure", plain="<Figure>"),
        output(plain="only text"),
        stream,
    ]
    notebook = {
        "metadata": {"widgets": {"state": 1}, "kernelspec": {"name": "python3"}},
        "cells": [{"cell_type": "code", "outputs": outputs}, {"cell_type": "markdown", "source": "text"}],
    }
    before = json.dumps(notebook)
    cell = strip.stripped(notebook)["cells"][0]
    assert [set(o.get("data", {"stream"})) for o in cell["outputs"]] == [
        {"text/html", "image/png", "text/plain"},
        {"image/png", "text/plain"},
        {"text/plain"},
        {"stream"},
    ]
    assert strip.stripped(notebook)["metadata"] == {"kernelspec": {"name": "python3"}}
    assert json.dumps(notebook) == before  # the original is untouched
    assert strip.stripped(strip.stripped(notebook)) == strip.stripped(notebook)


def test_saving_keeps_other_peoples_widgets():
    content = {
        "metadata": {"widgets": {"state": 1}},
        "cells": [
            {"outputs": [output(view={}, plain="IntSlider"), output(view={}, html="<b>", plain="ours")]}
        ],
    }
    model = {"type": "notebook", "content": content}
    strip.before_save(model, "a.ipynb", None)
    slider, ours = model["content"]["cells"][0]["outputs"]
    assert strip.VIEW in slider["data"]
    assert strip.VIEW not in ours["data"]
    assert "widgets" in model["content"]["metadata"]
    strip.before_save({"type": "file", "content": "text"}, "a.txt", None)


def test_stripping_needs_no_jupyter():
    jupyter = ("IPython", "ipywidgets", "anywidget", "nbformat", "traitlets")
    code = "import sys, course_lib.widgets.strip, course_lib.widgets.sheet\n"
    code += f"print([name for name in {jupyter} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
