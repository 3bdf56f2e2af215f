"""Pictures: exact pixels, honest scales, and words for those who cannot see them."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from PIL import Image

from course_lib import viz
from course_lib.data import to_floats


def pixels(picture):
    """The decoded PNG of a Picture, (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))


# ---- from [-1, 1] to 0..255


def test_values_of_to_uint8():
    x = torch.tensor([-1.0, 0.0, 1.0, -0.5, 0.5, -1.7, 2.0, float("inf"), -float("inf"), 1 / 255]).view(
        1, 1, 1, -1
    )
    assert viz.to_uint8(x).tolist() == [[[[v] for v in (0, 128, 255, 64, 191, 0, 255, 255, 0, 128)]]]


def test_to_uint8_inverts_to_floats():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(torch.from_numpy(viz.to_uint8(to_floats(every))).view(-1), every.view(-1))


def test_to_uint8_moves_channels_last_and_takes_any_float():
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True) * 2 - 1
    made = viz.to_uint8(x)
    assert (made.shape, made.dtype) == ((2, 4, 5, 3), np.uint8)
    expected = ((x.detach() + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    assert (made == expected).all()
    assert np.abs(viz.to_uint8(x.half()).astype(int) - expected).max() <= 1


def test_shapes_that_are_not_pictures_are_refused():
    with pytest.raises(ValueError, match=r"shape \(B, C, H, W\), got \(3, 4, 5\)"):
        viz.to_uint8(torch.zeros(3, 4, 5))
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        viz.tile(torch.zeros(1, 2, 4, 4))


# ---- grids


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_lie_row_by_row_with_white_gaps(channels):
    x = torch.rand(5, channels, 2, 3) * 2 - 1
    sheet = np.asarray(viz.tile(x, columns=3, gap=2))
    expected = np.full((2 * 2 + 2, 3 * 3 + 2 * 2, channels), 255, np.uint8)
    for i, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        expected[row * 4 : row * 4 + 2, column * 5 : column * 5 + 3] = viz.to_uint8(x)[i]
    assert (sheet.reshape(expected.shape) == expected).all()


def test_grid_enlarges_pixels_without_smoothing():
    x = torch.rand(4, 3, 3, 3) * 2 - 1
    picture = viz.grid(x, alt="noise", columns=2, scale=4)
    small = np.asarray(viz.tile(x, columns=2))
    assert (pixels(picture) == small.repeat(4, 0).repeat(4, 1)).all()


def test_rows_show_each_picture_under_its_name():
    """One row black, one white: the halves of the figure are so, right of the names."""
    black, white = -torch.ones(4, 1, 8, 8), torch.ones(4, 1, 8, 8)
    shown = pixels(viz.rows({"dark": black, "light": white}, alt="two rows", scale=4.0))
    right = shown[:, shown.shape[1] // 2 + 20 :]
    top, bottom = right[: len(right) // 2], right[len(right) // 2 :]
    assert (top == 0).mean() > 0.6
    assert (bottom == 255).mean() > 0.9
    names = shown[:, :100]
    assert (names < 128).any()  # there is something written


# ---- words


class Images(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.images, self.others = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        (self.images if tag == "img" else self.others).append(dict(attributes))


def test_alternative_text_survives_in_html_whatever_it_holds():
    for alt in ('x < y & "z"', "it's <b>bold</b>", '"><script>alert(1)</script>', "Überschrift → 数"):
        picture = viz.grid(torch.zeros(1, 1, 4, 4), alt=alt)
        page = Images(picture._repr_mimebundle_()["text/html"])
        assert [image["alt"] for image in page.images] == [alt]
        assert page.others == []
        assert alt in repr(picture)


def test_notebook_shows_the_very_png():
    picture = viz.Picture(viz.grid(torch.zeros(1, 1, 4, 4), alt="a").png, "a", width=120)
    html = picture._repr_mimebundle_()["text/html"]
    assert 'width="120"' in html
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(data) == picture.png


def test_save_writes_a_png(tmp_path):
    picture = viz.grid(torch.zeros(3, 1, 4, 4), alt="black")
    picture.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
    assert (tmp_path / "a.png").read_bytes() == picture.png


# ---- curves


def coloured(picture, colour):
    """(rows, columns) of the pixels near a colour of the palette."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.nonzero(np.abs(pixels(picture).astype(int) - wanted).max(2) < 24)


def test_curves_go_where_the_numbers_go():
    """A rising line ends higher than it begins; the second one, in its own colour, falls."""
    picture = viz.curves(
        {"up": [(i, i) for i in range(100)], "down": [(i, 99 - i) for i in range(100)]}, alt="a cross"
    )
    for colour, rises in zip(viz.COLOURS[:2], (True, False), strict=True):
        rows, columns = coloured(picture, colour)
        assert len(rows) > 50
        inside = columns < columns.min() + 0.5 * (columns.max() - columns.min())  # away from the legend
        start = rows[columns <= columns.min() + 5].mean()
        end = rows[inside][columns[inside] >= columns[inside].max() - 5].mean()
        assert (end < start) == rises


def test_a_logarithmic_axis_makes_a_power_straight():
    """On it 1, 10, 100 are evenly spaced, which they are not on a linear one."""

    def middle(log):
        rows, columns = coloured(
            viz.curves({"a": [(0, 1.0), (1, 10.0), (2, 100.0)]}, alt="", log=log), viz.COLOURS[0]
        )
        centre = (columns.min() + columns.max()) / 2
        height = rows[np.abs(columns - centre) < 3].mean()
        return (rows.max() - height) / (rows.max() - rows.min())

    assert middle(log=True) == pytest.approx(0.5, abs=0.05)
    assert middle(log=False) < 0.2


def test_figures_do_not_pile_up_in_pyplot():
    for _ in range(3):
        viz.curves({"a": [(0, 1), (1, 2)]}, alt="")
        viz.rows({"a": torch.zeros(2, 1, 4, 4)}, alt="")
    assert pyplot.get_fignums() == []


def test_palette_can_be_told_apart_without_red_and_green():
    """Simulated deuteranopia (Viénot 1999): every two colours keep a distance."""
    matrix = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    colours = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in viz.COLOURS]
    seen = [np.clip(matrix @ colour**2.2, 0, 1) ** (1 / 2.2) for colour in colours]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 0.1


def test_photos_are_light_and_look_alike():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    photo = torch.stack([torch.stack([x, y, x * y]), torch.stack([y, x * y, x])])
    photo = (0.9 * photo + 0.05 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(
        -1, 1
    )
    whole, light = viz.grid(photo, alt="two", columns=2, scale=1), viz.photos(photo, alt="two", columns=2)
    a, b = (np.asarray(Image.open(io.BytesIO(p.png)).convert("RGB")).astype(int) for p in (whole, light))
    assert a.shape == b.shape == (64, 129, 3)
    assert len(light.png) < 0.3 * len(whole.png)
    assert np.abs(a - b).mean() < 10  # of 255, most of it the noise
    assert 'src="data:image/webp;base64,' in light._repr_mimebundle_()["text/html"]


def test_rows_as_webp_are_lighter_and_keep_rare_colours():
    """A palette would drop the one red among many shades of other colours."""
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2 - 0.2
    x[5, :, 8:24, 8:24] = torch.tensor([1.0, -0.8, -0.8])[:, None, None]
    png, webp = viz.rows({"a": x}, alt=""), viz.rows({"a": x}, alt="", quality=75)
    a, b = (np.asarray(Image.open(io.BytesIO(p.png)).convert("RGB")).astype(int) for p in (png, webp))
    assert a.shape == b.shape
    assert len(webp.png) < 0.8 * len(png.png)
    red = (b[..., 0] > 200) & (b[..., 1] < 80) & (b[..., 2] < 80)
    assert red.sum() > 0.6 * (2 * 16) ** 2  # the square is drawn twice as large
    assert webp.kind == "webp"
