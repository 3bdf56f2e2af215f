"""Interpolation, Compare and Translate without a browser: where tiles stand, numbers, sizes, bad input."""

import base64
import io
import json
import re
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib import data
from course_lib.latent import lerp, slerp
from course_lib.widgets import Compare, Interpolation, Translate, strip
from course_lib.widgets.interpolation import path_codes


def ramp(z):
    """Images (B, 1, 8, 8): the left half shows z[0] / 4, the right half z[1] / 4."""
    x = z[:, 0, None, None].expand(-1, 8, 4) / 4
    y = z[:, 1, None, None].expand(-1, 8, 4) / 4
    return torch.cat([x, y], dim=2)[:, None]


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def grey(data):
    """A sheet as floats in [-1, 1]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) / 127.5 - 1


def colour(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float) / 127.5 - 1


def bundle_bytes(widget):
    """What a saved notebook gains by the widget."""
    bundle, _ = widget._repr_mimebundle_()
    assert widget.problem == ""
    return sum(len(json.dumps(value)) for key, value in bundle.items() if key != strip.VIEW)


def page_state(html):
    packed = re.search(r'mount\("[0-9a-f]{16}", "([^"]+)"\);', html).group(1)
    return json.loads(zlib.decompress(base64.b64decode(packed)))["state"]


def shown(tile):
    """Read the latent code back from an image of `ramp`."""
    return 4 * tile[2:6, 1:3].mean(), 4 * tile[2:6, 5:7].mean()


# --- Interpolation


def test_tiles_of_a_way_stand_where_their_t_is():
    a, b = torch.tensor([3.5, 0.0]), torch.tensor([-1.0, 3.0])
    sheet = grey(Interpolation(ramp, [a.tolist(), b.tolist()], n=9).sheet).reshape(2, 8, 9, 8)
    for method, path in enumerate((lerp, slerp)):
        for i in range(9):
            assert shown(sheet[method, :, i]) == pytest.approx(path(a, b, i / 8).tolist(), abs=0.15)


def test_tiles_of_a_square_stand_where_their_place_is():
    corners = torch.tensor([[3.5, 0.0], [2.5, 2.5], [2.0, -2.0], [0.5, 3.0]])
    sheet = grey(Interpolation(ramp, corners, n=5).sheet).reshape(2, 5, 8, 5, 8)
    for method, path in enumerate((lerp, slerp)):
        for row in range(5):
            for column in range(5):
                x, y = column / 4, row / 4
                code = path(path(corners[0], corners[1], x), path(corners[2], corners[3], x), y)
                assert shown(sheet[method, row, :, column]) == pytest.approx(code.tolist(), abs=0.2)


def test_the_page_can_compute_every_norm_from_the_inner_products():
    corners = torch.randn(4, 20, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1], [2], [3], [4.0]]
    )
    gram = np.array(Interpolation(lambda z: ramp(z[:, :2] / 9), corners, n=3).gram)
    t = np.linspace(0, 1, 7)
    across, down = np.stack([1 - t, t], -1), np.stack([1 - t, t], -1)
    weights = np.einsum("yi,xj->yxij", down, across).reshape(7, 7, 4)
    line, sphere = np.linalg.norm(path_codes(corners.numpy(), 7), axis=-1)
    assert np.sqrt(np.einsum("yxi,ij,yxj->yx", weights, gram, weights)) == pytest.approx(line, rel=1e-5)
    assert weights @ np.sqrt(np.diag(gram)) == pytest.approx(sphere, rel=1e-5)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("size", [28, 64])
def test_an_interpolation_stays_light(count, size):
    base = torch.nn.functional.interpolate(noise(8, 3, size // 8, size // 8), size, mode="bicubic")
    codes = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    widget = Interpolation(
        lambda z: torch.tanh(torch.einsum("bd,dchw->bchw", z, base)),
        codes,
        originals=base[:count].clamp(-1, 1),
    )
    assert bundle_bytes(widget) < 90_000
    columns = Image.open(io.BytesIO(widget.sheet)).width // size
    assert columns >= 5


def test_a_number_of_positions_that_was_asked_for_is_kept():
    widget = Interpolation(lambda z: noise(len(z), 3, 64, 64), torch.eye(4), n=9)
    assert Image.open(io.BytesIO(widget.sheet)).size == (9 * 64, 18 * 64)


def test_t_is_kept_inside_and_must_be_a_place():
    way, square = Interpolation(ramp, torch.eye(2), n=3), Interpolation(ramp, torch.eye(4), n=3)
    assert (way.t, square.t) == (0.5, [0.5, 0.5])
    way.t, square.t = 7, np.array([-1, 0.25])
    assert (way.t, square.t) == (1.0, [0.0, 0.25])
    for widget, wrong in (
        (way, [0.1, 0.2]),
        (way, float("nan")),
        (way, "x"),
        (square, 0.5),
        (square, [1, 2, 3]),
    ):
        with pytest.raises(Exception, match="t must be"):
            widget.t = wrong


def fails(z):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


BAD_INTERPOLATIONS = {
    "three corners": (ramp, torch.zeros(3, 8), {}, "(2, d) or (4, d), but their shape is (3, 8)"),
    "maps": (ramp, torch.zeros(2, 4, 7, 7), {}, "their shape is (2, 4, 7, 7)"),
    "no dimension": (ramp, torch.zeros(2, 0), {}, "their shape is (2, 0)"),
    "ragged": (ramp, [[1, 2], [3]], {}, "corners cannot be read"),
    "words": (ramp, [["a"], ["b"]], {}, "real numbers"),
    "NaN": (ramp, torch.tensor([[0, torch.nan], [0, 0]]), {}, "1 of 2 corners hold NaN"),
    "decode raises": (fails, torch.eye(2), {}, "RuntimeError: mat1 and mat2"),
    "no function": (None, torch.eye(2), {}, "decode must be a function"),
    "images flat": (lambda z: torch.zeros(len(z), 784), torch.eye(2), {}, "decode must give images of shape"),
    "images NaN": (lambda z: torch.full((len(z), 1, 4, 4), torch.nan), torch.eye(2), {}, "NaN"),
    "images too large": (lambda z: torch.zeros(len(z), 1, 8, 1500), torch.eye(2), {}, "use smaller images"),
    "too large for four": (lambda z: torch.zeros(len(z), 1, 800, 8), torch.eye(4), {}, "use smaller images"),
    "too large for n": (lambda z: torch.zeros(len(z), 1, 8, 200), torch.eye(2), {"n": 30}, "or a smaller n"),
    "n = 2": (ramp, torch.eye(2), {"n": 2}, "from 3 to 65"),
    "n = 30 of four": (ramp, torch.eye(4), {"n": 30}, "from 3 to 25"),
    "names": (ramp, torch.eye(2), {"names": ["a"]}, "names must be 2 words"),
    "one name": (ramp, torch.eye(2), {"names": "ab"}, "names must be 2 words"),
    "originals": (ramp, torch.eye(2), {"originals": torch.zeros(3, 1, 4, 4)}, "originals must be 2 images"),
    "originals shape": (ramp, torch.eye(2), {"originals": torch.zeros(1, 4, 4)}, "originals must be images"),
}


@pytest.mark.parametrize("case", BAD_INTERPOLATIONS)
def test_a_bad_interpolation_gives_a_sentence(case):
    decode, corners, options, words = BAD_INTERPOLATIONS[case]
    widget = Interpolation(decode, corners, **options)
    assert words in widget.problem
    assert 'role="alert"' in widget._repr_mimebundle_()[0]["text/html"]


# --- Compare


def test_errors_are_those_of_numpy_and_pictures_are_exact():
    truth, ours, other = (noise(6, 3, 10, 12, seed=s) for s in range(3))
    widget = Compare({"ours": ours, "other": other}, truth=truth, inputs=truth[:, :1])
    assert [row["name"] for row in widget.rows] == ["input", "truth", "ours", "other"]
    for row, images in zip(widget.rows[2:], (ours, other), strict=True):
        wanted = np.mean((images.numpy().astype(np.float64) - truth.numpy()) ** 2, axis=(1, 2, 3))
        assert row["errors"] == pytest.approx(wanted.tolist(), rel=1e-6)
    assert [row["errors"] for row in widget.rows[:2]] == [[], []]  # grey beside colour: no common shape
    sheet = colour(widget.sheet).reshape(4, 10, 6, 12, 3)
    for row, images in enumerate((truth[:, :1].expand(-1, 3, -1, -1), truth, ours, other)):
        shown = sheet[row].transpose(1, 3, 0, 2)
        assert np.abs(shown - images.numpy()).max() <= 0.5001 / 127.5  # 8 bits, and nothing else lost


def test_rows_of_other_sizes_stand_in_their_own_cells():
    large, small = noise(3, 1, 16, 16), noise(3, 1, 4, 8)
    widget = Compare({"large": large, "small": small}, truth=large)
    sheet = grey(widget.sheet).reshape(3, 16, 3, 16)
    assert np.abs(sheet[2, :4, :, :8].transpose(1, 0, 2) - small[:, 0].numpy()).max() < 0.005
    assert [(row["width"], row["height"]) for row in widget.rows] == [(16, 16), (16, 16), (8, 4)]
    assert widget.rows[1]["errors"] == [0, 0, 0]
    assert widget.rows[2]["errors"] == []


def test_the_scale_of_differences_holds_most_of_them():
    truth = torch.zeros(4, 1, 20, 20)
    for size, scale in ((0.03, 0.05), (0.15, 0.2), (0.9, 1.0), (1.9, 2.0)):
        assert Compare({"x": truth + size}, truth=truth).scale == scale
    assert Compare({"x": truth + 0.03}, truth=truth, scale=1).scale == 1


def test_heavy_pictures_are_stored_with_a_stated_loss():
    light = Compare({"a": torch.zeros(8, 3, 64, 64)})
    heavy = Compare({"a": noise(8, 3, 64, 64), "b": noise(8, 3, 64, 64, seed=1)})
    assert light.note == ""
    stated = float(re.search(r"with a loss of about ([\d.]+) a value", heavy.note).group(1))
    sheet = colour(heavy.sheet)[:64].reshape(64, 8, 64, 3).transpose(1, 3, 0, 2)
    assert np.abs(sheet - noise(8, 3, 64, 64).numpy()).mean() == pytest.approx(stated, rel=0.2)


def test_a_comparison_of_real_pictures_stays_light():
    x = data.to_floats(data.people("validation").x[:12])
    rows = {f"model {i}": x + 0.1 * noise(*x.shape, seed=i) for i in range(4)}
    widget = Compare({name: images.clamp(-1, 1) for name, images in rows.items()}, truth=x, inputs=x)
    assert bundle_bytes(widget) < 90_000


def test_captions_names_and_the_column():
    x = noise(3, 1, 4, 4)
    widget = Compare({"VAE": x, "GAN": x}, captions={"GAN": 12.5}, names=["a", "b", "c"])
    assert [row["caption"] for row in widget.rows] == ["", "12.5"]
    widget.column = 99
    assert widget.column == 2
    widget.column = -1
    assert widget.column == 0


X = torch.zeros(4, 1, 8, 8)
BAD_COMPARISONS = {
    "empty": ({}, {}, "1 to 12 rows, name -> images (N, C, H, W), but it is one of 0"),
    "a tensor": (X, {}, "but it is a Tensor"),
    "thirteen": ({str(i): X for i in range(13)}, {}, "one of 13"),
    "other N": ({"VAE": X, "GAN": X[:3]}, {}, "rows['VAE'] has 4 images and rows['GAN'] has 3"),
    "truth N": ({"VAE": X}, {"truth": X[:2]}, "truth has 2 images and rows['VAE'] has 4"),
    "one image": ({"VAE": X[0]}, {}, "rows['VAE'] must be images of shape (N, C, H, W)"),
    "two channels": ({"VAE": torch.zeros(4, 2, 8, 8)}, {}, "C = 1 or 3"),
    "long": ({"VAE": X.long()}, {}, "floats in [-1, 1] or uint8"),
    "NaN": ({"VAE": X * torch.nan}, {}, "rows['VAE'] gave NaN"),
    "0 to 255": ({"VAE": X + 255}, {}, "rows['VAE'] gave values from 255"),
    "inputs": ({"VAE": X}, {"inputs": "noise"}, "input must be images"),
    "41 columns": ({"VAE": torch.zeros(41, 1, 8, 8)}, {}, "at most 40 can be shown: pass x[:40]"),
    "too large": ({"VAE": torch.zeros(9, 1, 500, 500)}, {}, "at most 4096 can be shown"),
    "captions": ({"VAE": X}, {"captions": {"GAN": 1}}, "captions speak of 'GAN', but the rows are 'VAE'"),
    "names": ({"VAE": X}, {"names": ["a"]}, "names must be 4 words"),
    "scale": ({"VAE": X}, {"scale": 0}, "above 0 and at most 2"),
}


@pytest.mark.parametrize("case", BAD_COMPARISONS)
def test_a_bad_comparison_gives_a_sentence(case):
    rows, options, words = BAD_COMPARISONS[case]
    assert words in Compare(rows, **options).problem


# --- Translate


def test_layers_hold_their_examples_and_errors_are_those_of_numpy():
    smooth = [
        torch.nn.functional.interpolate(noise(5, 3, 3, 3, seed=s), 16, mode="bilinear") for s in range(4)
    ]
    a, b, back, truth = smooth
    widget = Translate(a, b, back, truth)
    for layer, images in zip((widget.a, widget.b, widget.back, widget.truth), smooth, strict=True):
        tiles = colour(layer).reshape(16, 5, 16, 3).transpose(1, 3, 0, 2)
        assert np.abs(tiles - images.numpy()).mean() < 0.06
    for kind, x, y in (("b", b, truth), ("back", back, a)):
        wanted = ((x - y) ** 2).mean(dim=(1, 2, 3)).tolist()
        assert widget.errors[kind] == pytest.approx(wanted, rel=1e-5)
    assert Translate(a, b).errors == {}
    assert Translate(a, b).truth == b""


def test_pairs_stay_light():
    pairs = data.openmoji("validation")
    line, colours = (data.to_floats(x[:12]) for x in (pairs.line, pairs.colour))
    assert bundle_bytes(Translate(line, colours, line, colours, names=("line", "colour"))) < 90_000


@pytest.fixture(scope="module")
def earth():
    """The Earth as relief map and satellite photo, (1, 3, 1350, 2700) uint8 each."""
    layers = [
        Image.open(data.root() / "earth" / f"{name}.jpg").convert("RGB") for name in ("relief", "satellite")
    ]
    return [torch.from_numpy(np.array(layer.reduce(2))).permute(2, 0, 1)[None] for layer in layers]


def test_a_panorama_is_light_in_a_notebook_and_whole_in_a_page(earth, tmp_path):
    widget = Translate(*earth, names=("relief map", "satellite photo"))
    assert widget.panorama
    assert bundle_bytes(widget) < 150_000
    saved = page_state(widget._repr_mimebundle_()[0]["text/html"])
    whole = page_state(widget.to_html(tmp_path / "earth.html").read_text())
    for kind, layer in zip("ab", earth, strict=True):
        for state, least, near in ((saved, 1024, 0.12), (whole, 2700, 0.05)):
            picture = Image.open(io.BytesIO(base64.b64decode(state[kind]["base64"])))
            assert picture.width >= least
            small = np.asarray(picture.resize((270, 135), Image.Resampling.BOX), float) / 127.5 - 1
            wanted = layer[0].float().unflatten(1, (135, 10)).unflatten(3, (270, 10)).mean((2, 4)) / 127.5 - 1
            assert np.abs(small.transpose(2, 0, 1) - wanted.numpy()).mean() < near


def test_what_makes_a_panorama():
    wide = torch.zeros(1, 3, 20, 600)
    assert Translate(wide, wide).panorama
    assert not Translate(wide[..., :500], wide[..., :500]).panorama
    assert not Translate(wide.expand(2, -1, -1, -1), wide.expand(2, -1, -1, -1)).panorama


def test_example_and_wipe_are_kept_inside():
    widget = Translate(X, X)
    widget.example, widget.wipe = 9, -1.0
    assert (widget.example, widget.wipe) == (3, 0.0)
    with pytest.raises(Exception, match="wipe must be a number"):
        widget.wipe = float("nan")


BAD_TRANSLATIONS = {
    "other N": ((X, X[:3]), {}, "a has 4 images and b has 3"),
    "other size": ((X, torch.zeros(4, 1, 8, 9)), {}, "a is 8 x 8 and b is 9 x 8"),
    "truth size": ((X, X, None, torch.zeros(4, 1, 9, 8)), {}, "truth is 8 x 9"),
    "NaN": ((X, X * torch.nan), {}, "b gave NaN"),
    "int": ((X.int(), X), {}, "a must be floats"),
    "one image": ((X[0], X[0]), {}, "a must be images of shape"),
    "names": ((X, X), {"names": "AB"}, "names must be two words"),
    "labels": ((X, X), {"labels": ["cat"]}, "labels must be 4 words"),
    "25 examples": ((torch.zeros(25, 1, 8, 8),) * 2, {}, "at most 24 can be shown"),
    "too wide": ((torch.zeros(1, 3, 8, 5400),) * 2, {}, "The panorama is 5400 x 8"),
    "too large": ((torch.zeros(10, 1, 8, 500),) * 2, {}, "at most 4096 can be shown"),
}


@pytest.mark.parametrize("case", BAD_TRANSLATIONS)
def test_a_bad_translation_gives_a_sentence(case):
    images, options, words = BAD_TRANSLATIONS[case]
    assert words in Translate(*images, **options).problem


# --- all three


def made():
    """One widget of each kind, the same every time."""
    return [Interpolation(ramp, torch.eye(2), n=5), Compare({"x": X}, truth=X), Translate(X, X)]


def test_rebuilt_widgets_are_the_same_text():
    for first, second in zip(made(), made(), strict=True):
        one, two = first._repr_mimebundle_()[0], second._repr_mimebundle_()[0]
        assert set(one) == {strip.VIEW, "text/html", "image/png", "text/plain"}
        for key in ("text/html", "image/png", "text/plain"):
            assert one[key] == two[key]
        assert "http" not in one["text/html"]


def test_suspicious_values_are_remarked_on():
    bright = noise(2, 1, 8, 8).abs()
    assert "rows['x']: No pixel is below 0" in Compare({"x": bright}).note
    assert "a, b: No pixel is below 0" in Translate(bright, bright).note
    assert (
        "No pixel is below 0"
        in Interpolation(lambda z: bright[:1].expand(len(z), -1, -1, -1), torch.eye(2)).note
    )
