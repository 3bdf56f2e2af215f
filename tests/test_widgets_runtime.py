"""Widgets that run a network in the page, without a page: what they hold, send, save and say."""

import base64
import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from course_lib import zoo
from course_lib.nn.unet import UNet
from course_lib.samplers import ddim
from course_lib.schedules import alpha_bars, cosine_betas
from course_lib.widgets.latent_space import checked_space
from course_lib.widgets.page import WidgetError
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.palette import LIGHT

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib.widgets import LatentPlane, LatentSliders, LiveDenoiser, runtime  # noqa: E402

ALPHA_BAR = alpha_bars(cosine_betas(100))


class Bands(nn.Module):
    """z (B, 3) -> images (B, 1, 6, 6): three bands of two columns, band i shows z[i] / 3."""

    def forward(self, z):
        return (z / 3).repeat_interleave(2, dim=1)[:, None, None].expand(-1, 1, 6, 6)


def bands(image):
    """The values of the three bands of a picture, back in -3 .. 3."""
    values = np.asarray(image.convert("L"), dtype=float) / 127.5 - 1
    return 3 * values.reshape(6, 3, 2).mean((0, 2))


def tiles(widget):
    with Image.open(io.BytesIO(widget.sheet)) as sheet:
        width, height = widget.tile
        rows = [[sheet.crop((x, y, x + width, y + height)) for x in range(0, sheet.width, width)]
                for y in range(0, sheet.height, height)]  # fmt: skip
    return rows


def codes():
    rng = np.random.default_rng(0)
    return rng.normal([0.0, 1.0, -2.0], [0.5, 2.0, 1.0], (5000, 3))


class Never(nn.Module):
    """Looks like a decoder, and cannot be exported."""

    def forward(self, z):
        shown = Bands()(z)
        return shown if z.sum() > -1e9 else -shown


# --- the latent space of the sliders


def test_a_tile_of_the_sheet_is_the_image_of_its_own_point():
    widget = LatentSliders(Bands(), 3, start=[1.0, 0.0, -1.0], spread=2)
    rows = tiles(widget)
    assert len(rows) == 3
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            z = np.array([1.0, 0.0, -1.0])
            z[i] += -2 + 4 * j / (len(row) - 1)
            assert bands(tile) == pytest.approx(z, abs=0.25)


def test_codes_set_ranges_and_order_and_random_points():
    space = checked_space(3, None, None, ["a", "b", "c"], None, codes())
    assert space.names == ["b", "c", "a"]  # by spread: 2, 1, 0.5
    assert space.low == pytest.approx([-5, -5, -1.5], abs=0.3)
    assert space.high == pytest.approx([7, 1, 1.5], abs=0.3)
    assert space.points(np.array([1.0, 2.0, 3.0])).tolist() == [3, 1, 2]
    drawn = space.low + space.draws / 255 * (space.high - space.low)
    assert drawn.mean(0) == pytest.approx([1, -2, 0], abs=0.8)
    assert drawn.std(0) == pytest.approx([2, 1, 0.5], rel=0.35)


def test_random_points_keep_the_correlation_of_the_codes():
    first = np.random.default_rng(0).normal(size=4000)
    space = checked_space(2, None, None, None, None, np.stack([first, first + 0.1], 1))
    assert np.corrcoef(space.draws.T)[0, 1] > 0.98


def test_directions_start_at_the_start_and_lead_their_way():
    widget = LatentSliders(Bands(), 3, start=[0.0, 1.0, 0.0], directions=[[1.0, 0, 1.0]], names=["both"])
    assert widget.z.tolist() == [0, 1, 0]
    widget.values = [0.5]
    assert widget.z.tolist() == [0.5, 1, 0.5]
    widget.z = [2.0, 1.0, 0.0]  # not on the line: the nearest point that is
    assert widget.z == pytest.approx([1, 1, 1])
    rows = tiles(widget)
    assert bands(rows[0][-1]) == pytest.approx([3, 1, 3], abs=0.3)


def test_z_can_be_set_inside_the_ranges():
    widget = LatentSliders(Bands(), 3, codes=codes())
    widget.z = torch.tensor([0.5, -1.0, -100.0])
    assert widget.z[:2] == pytest.approx([0.5, -1.0])
    assert widget.z[2] == pytest.approx(-5, abs=0.2)  # the end of its slider
    with pytest.raises(WidgetError, match="z must be 3 finite numbers"):
        widget.z = [1.0, 2.0]
    with pytest.raises(Exception, match="3 finite numbers, one for each slider"):
        widget.values = [float("nan"), 0, 0]


@pytest.mark.parametrize("dims", [8, 32, 64])
def test_a_sheet_stays_small_in_any_dimension(dims):
    generator = torch.Generator().manual_seed(0)
    basis = torch.nn.functional.interpolate(
        torch.randn(dims, 3, 6, 6, generator=generator), 48, mode="bicubic"
    )
    widget = LatentSliders(lambda z: torch.tanh(torch.einsum("bd,dchw->bchw", z, basis) / 4), dims)
    assert len(widget.sheet) <= 45_000
    with Image.open(io.BytesIO(widget.sheet)) as sheet:
        assert sheet.size[1] == 48 * dims
        assert sheet.size[0] >= 5 * 48


BAD_SLIDERS = {
    "dims 0": ((Bands(), 0), {}, "dims must be a whole number of latent dimensions from 1, but it is 0"),
    "dims 65": ((Bands(), 65), {}, "65 sliders are too many: give directions"),
    "start": ((Bands(), 3), {"start": [0, 1]}, "start must have the shape (3), but it has (2,)"),
    "codes": ((Bands(), 3), {"codes": np.zeros((4, 2))}, "must have the shape (N, 3), but it has (4, 2)"),
    "codes NaN": ((Bands(), 3), {"codes": np.full((4, 3), np.nan)}, "codes holds NaN or infinity"),
    "spread": ((Bands(), 3), {"spread": [1, -1, 1]}, "spread must be above 0 everywhere, but it holds -1"),
    "names": ((Bands(), 3), {"names": ["a"]}, "names must be 3 texts"),
    "direction 0": ((Bands(), 3), {"directions": [[0, 0, 0]]}, "a row of zeros"),
    "text": ((Bands(), 3), {"start": "here"}, "start must hold numbers"),
    "raises": ((lambda z: z @ torch.zeros(9, 9), 3), {}, "decode stopped on a float32 tensor of shape"),
    "NaN": ((lambda z: Bands()(z) * float("nan"), 3), {}, "decode gave NaN"),
    "flat": ((lambda z: z, 3), {}, "decode must give images of shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SLIDERS)
def test_bad_sliders_get_a_sentence(case):
    arguments, keywords, words = BAD_SLIDERS[case]
    widget = LatentSliders(*arguments, **keywords)
    assert words in widget.problem
    data, _ = widget._repr_mimebundle_()
    assert 'role="alert"' in data["text/html"]
    assert widget.onnx == b""


# --- how the network gets to the page


def test_the_network_is_made_when_asked_for_and_sent_with_the_runtime(monkeypatch):
    widget = LatentSliders(Bands(), 3)
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    assert widget._onnx is None
    widget._answer(widget, {"kind": "something else"}, [])
    widget._answer(widget, {"kind": "network"}, [])
    widget._answer(widget, {"kind": "runtime"}, [])
    (network, [onnx]), (kind, [module, wasm]) = sent
    assert network == {"kind": "network"}
    assert kind == {"kind": "runtime"}
    assert onnx == widget.onnx
    assert b"InferenceSession" in module
    assert gzip.decompress(wasm)[:4] == b"\0asm"


def test_a_saved_notebook_holds_neither_network_nor_runtime(tmp_path):
    widget = LatentSliders(Bands(), 3)
    data, _ = widget._repr_mimebundle_()
    assert widget._onnx is None  # not even made
    assert "data-course-runtime" not in data["text/html"]
    assert len(data["text/html"]) + len(data["image/png"]) < 40_000
    page = widget.to_html(tmp_path / "sliders.html").read_text("utf-8")
    assert page.count('data-course-runtime="') == 2
    assert len(widget.html(network=True)) > len(widget.html())
    assert widget.html() == LatentSliders(Bands(), 3).html()


def test_what_cannot_be_exported_keeps_its_sheet_and_says_why(tmp_path):
    widget = LatentSliders(Never(), 3)
    assert widget.problem == ""
    page = widget.to_html(tmp_path / "never.html").read_text("utf-8")
    assert "data-course-runtime=" not in page
    assert widget.reason.startswith("One slider moves at a time, because decode cannot run in the page: ")
    assert "cannot be written as ONNX" in widget.reason


def test_training_goes_on_without_the_widget():
    layer = nn.Sequential(nn.Linear(3, 36), nn.Unflatten(1, (1, 6, 6)))
    widget = LatentSliders(layer, 3)
    with torch.no_grad():
        layer[0].bias += 100  # before a page has asked
    import onnx
    from onnx.reference import ReferenceEvaluator

    (image,) = ReferenceEvaluator(onnx.load_from_string(widget.onnx)).run(
        None, {"z": np.zeros((1, 3), np.float32)}
    )
    assert np.abs(image).max() < 2


def test_the_bundle_is_the_one_of_the_recipe():
    root = Path(__file__).parent.parent
    recipe = (root / "tools/bundle_onnxruntime.sh").read_text()
    version = re.search(r"^ONNXRUNTIME=(\S+)", recipe, re.MULTILINE)[1]
    readme = (root / "course_lib/widgets/runtime/README.md").read_text()
    assert f"onnxruntime-web {version}".encode() in runtime.runtime_file("onnxruntime.mjs")[:200]
    assert f"onnxruntime-web {version}" in readme
    for name in runtime.RUNTIME_FILES:
        assert f"{len(runtime.runtime_file(name)):,}" in readme


def test_a_saved_plane_is_light_and_its_picture_shows_every_class():
    decoder = zoo.load("ae2_fashion").decoder
    points = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)) * 3
    plane = LatentPlane(decoder, extent=9, points=points, labels=torch.arange(2000) % 10)
    data, _ = plane._repr_mimebundle_()
    assert len(data["text/html"]) + len(data["image/png"]) < 130_000
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        seen = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for colour in LIGHT:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(seen - wanted).sum(1).min() < 40, colour


# --- noise


def test_page_noise_is_normal_and_a_function_of_seed_and_stream():
    noise = page_noise(3, 100_001)
    assert stats.kstest(noise, "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.01
    assert (page_noise(3, 100)[:100] == noise[:100]).all()
    for other in (page_noise(4, 100_001), page_noise(3, 100_001, stream=1)):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.01
    assert np.isfinite(page_noise(2**32 - 1, 7)).all()


# --- LiveDenoiser


def unet(classes=3):
    torch.manual_seed(0)
    net = UNet(widths=(8, 16), blocks=1, classes=classes, embed=16)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    return net.eval()


def smooth(x, t, y=None):
    """A denoiser that needs no training: pictures are dark, and their class says how dark."""
    a = ALPHA_BAR.float()[t].view(-1, 1, 1, 1)
    level = -0.5 if y is None else (y.float() / 4 - 0.75).view(-1, 1, 1, 1)
    return (x - a.sqrt() * level) / (1 - a).sqrt()


def small(eps=smooth, **options):
    return LiveDenoiser(
        eps, ALPHA_BAR, **{"shape": (1, 8, 8), "names": ["a", "b"], "null": 2, "steps": (5, 20), **options}
    )


def recorded(widget):
    """Frames of the recorded run: x and guesses, uint8 (n, 8, 8), faded as stored."""
    with Image.open(io.BytesIO(widget.sheet)) as sheet:
        pixels = np.asarray(sheet.convert("L"), dtype=float)
    columns = sheet.width // 8
    n = len(widget.recording["at"])
    cut = [pixels[i // columns * 8 :, i % columns * 8 :][:8, :8] for i in range(2 * n)]
    return np.stack(cut[:n]), np.stack(cut[n:])


def test_the_recorded_run_is_ddim_on_the_pages_noise():
    widget = small(label=1, guidance=3.0, seed=5)
    x = torch.from_numpy(page_noise(5, 64)).view(1, 1, 8, 8)

    def guided(x, t):
        y, none = torch.full((len(x),), 1), torch.full((len(x),), 2)
        return smooth(x, t, none) + 3 * (smooth(x, t, y) - smooth(x, t, none))

    run = list(ddim(guided, x, ALPHA_BAR, steps=5))
    assert widget.recording["at"] == [0, 1, 2, 3, 4, 5]
    held, guesses = recorded(widget)
    for k, step in enumerate(run):
        stored = (step.x[0, 0].clamp(-1, 1).numpy() * widget.recording["contrasts"][k] + 1) * 127.5
        assert np.abs(held[k] - stored).mean() < 12
        assert np.abs(guesses[k] - (step.x0[0, 0].numpy() + 1) * 127.5).mean() < 6


def test_a_plan_visits_the_times_of_the_sampler():
    widget = small(steps=(20, 5))
    assert sorted(widget.plans) == ["20", "5"]
    assert [t for t, _ in widget.plans["5"]] == [100, 80, 60, 40, 20, 0]
    assert [a for _, a in widget.plans["5"]] == pytest.approx(ALPHA_BAR[[100, 80, 60, 40, 20, 0]].tolist())
    assert (widget.steps, widget.recording["steps"]) == (20, 20)


def test_a_long_run_is_recorded_in_few_frames_and_bytes():
    noisy = unet(0)
    widget = LiveDenoiser(lambda x, t: noisy(x, t.float()), ALPHA_BAR, shape=(1, 32, 32), steps=(100,))
    assert widget.problem == ""
    at = widget.recording["at"]
    assert (at[0], at[-1], len(at)) == (0, 100, 21)
    assert len(widget.sheet) <= 45_000


def test_what_the_kernel_sets_is_checked():
    widget = small()
    widget.seed, widget.label, widget.guidance, widget.steps = 7, 1, 4.5, 20
    for name, value in (("steps", 6), ("label", 2), ("guidance", 9.0), ("seed", -1)):
        with pytest.raises(Exception, match=name):
            setattr(widget, name, value)
    assert (widget.seed, widget.label, widget.guidance, widget.steps) == (7, 1, 4.5, 20)


BAD_LIVE = {
    "10,000 steps": ({"steps": (10_000,)}, "steps must be 1 to 6 whole numbers from 1 to 100"),
    "no steps": ({"steps": ()}, "steps must be 1 to 6"),
    "shape": ({"shape": (2, 8, 8)}, "shape must be (C, H, W) with C = 1 or 3"),
    "label": ({"label": 2}, "label must be from 0 to 1"),
    "guidance": ({"guidance": 9}, "guidance must be a number from 0 to 8"),
    "null": ({"names": None}, "null is a label that means no class"),
    "seed": ({"seed": -1}, "seed must be a whole number from 0"),
    "raises": ({"eps": lambda x, t, y: x @ torch.zeros(3, 3)}, "(2, 1, 8, 8), (2,), (2,): RuntimeError"),
    "arguments": ({"eps": lambda x: x}, "TypeError"),
    "wrong shape": ({"eps": lambda x, t, y: x[:, :, :4]}, "of x, (2, 1, 8, 8), but it gave (2, 1, 4, 8)"),
    "NaN": ({"eps": lambda x, t, y: x * float("nan")}, "eps gave NaN or infinity at t = 100"),
    "not callable": ({"eps": 3}, "eps must be a function of (x, t), but its type is int"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LIVE)
def test_a_bad_live_denoiser_gets_a_sentence(case):
    options, words = BAD_LIVE[case]
    widget = small(**options)
    assert words in widget.problem
    assert 'role="alert"' in widget._repr_mimebundle_()[0]["text/html"]


@pytest.mark.parametrize(
    "table", [[1.0], [1.0, 0.5, 0.6], [0.9, 0.5], [1.0, 0.5, 0.0], "text", [1.0, float("nan")]]
)
def test_a_bad_noise_schedule_gets_a_sentence(table):
    widget = LiveDenoiser(smooth, table, shape=(1, 8, 8))
    assert widget.problem.startswith("alpha_bar must")


def test_a_live_denoiser_saves_only_its_recording(tmp_path):
    widget = small()
    data, _ = widget._repr_mimebundle_()
    assert len(data["text/html"]) + len(data["image/png"]) < 40_000
    assert widget._onnx is None
    assert "data-course-runtime=" in widget.to_html(tmp_path / "live.html").read_text("utf-8")
    assert widget.reason == ""
