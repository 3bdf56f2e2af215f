"""ScheduleExplorer without a browser: what the page gets, its size, bad input."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib import data
from course_lib.schedules import alpha_bars, cosine_betas, linear_betas
from course_lib.widgets import ScheduleExplorer, strip
from course_lib.widgets.page_noise import page_noise

LINEAR, COSINE = alpha_bars(linear_betas()), alpha_bars(cosine_betas())


def clothes(n=4):
    return data.fashion("test").floats[:n]


def sent_tables(widget):
    """The tables as the page puts them together: byte k of number i stands at k * count + i."""
    planes = widget.tables
    count = len(planes) // 4
    whole = bytes(planes[k * count + i] for i in range(count) for k in range(4))
    return np.frombuffer(whole, "<f4").reshape(len(widget.curves), -1)


def bundle_bytes(widget):
    """What a saved notebook gains by the widget."""
    bundle, _ = widget._repr_mimebundle_()
    assert widget.problem == ""
    return sum(len(json.dumps(value)) for key, value in bundle.items() if key != strip.VIEW)


def test_the_page_gets_the_tables_to_seven_digits():
    own = torch.linspace(1, 0, 1001, dtype=torch.float64)
    widget = ScheduleExplorer(clothes(1), {"linear": LINEAR, "cosine": COSINE.tolist(), "own": own.numpy()})
    assert [curve["name"] for curve in widget.curves] == ["linear", "cosine", "own"]
    wanted = torch.stack([LINEAR, COSINE, own]).numpy()
    np.testing.assert_allclose(sent_tables(widget), wanted, rtol=1e-7)


def test_without_schedules_it_shows_linear_and_cosine_and_begins_in_the_middle():
    widget = ScheduleExplorer(clothes(1))
    np.testing.assert_allclose(sent_tables(widget), torch.stack([LINEAR, COSINE]).numpy(), rtol=1e-7)
    assert widget.t == 500


def test_the_pictures_are_kept_exactly():
    x = clothes(4)
    widget = ScheduleExplorer(x)
    sheet = np.asarray(Image.open(io.BytesIO(widget.sheet)).convert("L"))
    wanted = ((x + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0, 3).reshape(28, 4 * 28)
    assert np.array_equal(sheet, wanted)
    assert widget.shape == [4, 1, 28, 28]


def test_the_still_picture_is_the_formula():
    """The last tile of the first row, at t = T / 2: sqrt(a) x_0 + sqrt(1 - a) eps in each of 2 x 2 pixels."""
    x = clothes(2)
    still = np.asarray(ScheduleExplorer(x, {"linear": LINEAR}, seed=7).picture().convert("L"), float)
    eps = page_noise(7, x.numel()).reshape(2, 28, 28)[0]
    a = LINEAR[500].item()
    wanted = (np.clip(a**0.5 * x[0, 0].numpy() + (1 - a) ** 0.5 * eps, -1, 1) + 1) * 127.5
    tile = still[20 : 20 + 56, 3 * 56 : 4 * 56]
    assert np.abs(tile[::2, ::2] - wanted).max() <= 0.5
    assert np.array_equal(tile[::2, ::2], tile[1::2, 1::2])
    clean = (x[0, 0].numpy() + 1) * 127.5
    assert np.abs(still[20:76:2, 0:56:2] - clean).max() <= 0.5  # the first tile is t = 0


def test_it_stays_light_in_a_notebook():
    assert bundle_bytes(ScheduleExplorer(clothes(4))) < 42_000
    colours = data.openmoji("train")[torch.arange(3)][1]
    assert bundle_bytes(ScheduleExplorer(colours)) < 75_000


def test_t_stays_inside():
    widget = ScheduleExplorer(clothes(1), {"short": [1, 0.5, 0.2]}, t=9)
    assert widget.t == 2
    widget.t = -3
    assert widget.t == 0


def test_values_in_0_to_1_get_a_remark():
    assert "[0, 1]" in ScheduleExplorer((clothes(1) + 1) / 2).note
    assert ScheduleExplorer(clothes(1)).note == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pictures": torch.zeros(28, 28)}, "pictures must be images of shape (N, C, H, W)"),
        ({"pictures": torch.zeros(7, 1, 8, 8)}, "pictures holds 7, and at most 6"),
        ({"pictures": torch.full((1, 1, 8, 8), torch.nan)}, "NaN"),
        ({"pictures": torch.zeros(1, 1, 256, 256)}, "at most 64 x 64 pixels, but they have 256 x 256"),
        ({"schedules": LINEAR}, "schedules must be a dict"),
        ({"schedules": {}}, "1 to 4 tables, but it holds 0"),
        ({"schedules": {"a": LINEAR, "b": COSINE[:500]}}, "{'a': 1001, 'b': 500}"),
        ({"schedules": {"mine": LINEAR.flip(0)}}, "'mine' must begin with 1"),
        ({"schedules": {"mine": LINEAR[1:]}}, "'mine' must begin with 1"),
        ({"schedules": {"mine": [1, 0.5, 0.6]}}, "'mine' must never rise"),
        ({"schedules": {"mine": [1, 0.5, -0.1]}}, "'mine' must lie in [0, 1]"),
        ({"schedules": {"mine": [1, float("nan")]}}, "'mine' must lie in [0, 1]"),
        ({"schedules": {"mine": LINEAR[:, None]}}, "'mine' must have the shape (T + 1,)"),
        ({"schedules": {"mine": "cosine"}}, "'mine' cannot be read as numbers"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"t": "late"}, "t must be a whole number from 0 to 1000, but it is 'late'"),
    ],
)
def test_bad_input_is_a_sentence_and_no_error(change, sentence):
    widget = ScheduleExplorer(**({"pictures": torch.zeros(1, 1, 8, 8)} | change))
    assert sentence in widget.problem
    assert widget.problem.endswith((".", "?"))
    assert "\n" not in widget.problem
    bundle, _ = widget._repr_mimebundle_()
    assert 'role="alert"' in bundle["text/html"]
