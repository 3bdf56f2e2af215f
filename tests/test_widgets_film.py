"""Widgets that play through time: what is recorded of a long run, where it lands in the page, bad input."""

import base64
import io
import json
import math
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import data
from course_lib.fit import fit
from course_lib.method import Step
from course_lib.methods.autoencoder import LinearAutoencoder
from course_lib.recording import record
from course_lib.samplers import ddim, ddpm
from course_lib.schedules import alpha_bars, linear_betas
from course_lib.widgets.film import Curve, Film, Frame
from course_lib.widgets.frames import FRAMES, Thinned, evenly, faded, noisy_pixels
from course_lib.widgets.loss_chart import axes
from course_lib.widgets.page import WidgetError

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib.widgets import Denoiser, TrainingFilm  # noqa: E402


def grey(value, n=1, size=16):
    """Pictures (n, 1, size, size) of one grey."""
    return torch.full((n, 1, size, size), float(value))


def slide(n, *, pictures=2, guess=True):
    """A sampler whose state goes from -1 to 1, its guess from 1 to -1; picture p is darker by 1.5 p."""
    for i in range(n + 1):
        x = torch.cat([grey((2 * i / n - 1) - 1.5 * p) for p in range(pictures)]).clamp(-1, 1)
        yield Step(i, n, x, -x if guess else None, f"t = {n - i}")


def tiles(sheet, width, height):
    """The sheet's tiles, (N, height, width) in [-1, 1]."""
    pixels = np.asarray(Image.open(io.BytesIO(sheet)).convert("L"), dtype=float) / 127.5 - 1
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    return pixels.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(-1, height, width)


def shown(widget):
    """(runs x frames x pictures) mean greys of the states and of the guesses."""
    width, height = widget.tile
    all_tiles = tiles(widget.sheet, width * widget.pictures, height)
    greys = all_tiles.reshape(len(all_tiles), height, widget.pictures, width).mean(axis=(1, 3))
    states = [greys[run["start"] : run["start"] + len(run["steps"])] for run in widget.runs]
    return states, [greys[run["guesses"]] for run in widget.runs]


# --- thinning


@pytest.mark.parametrize("count", [1, 2, 5, 63, 64, 65, 126, 127, 128, 1001, 10_000])
def test_thinning_keeps_the_first_the_last_and_even_steps(count):
    held = Thinned()
    for i in range(count):
        held.add(i)
    kept = held.items()
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) <= FRAMES
    assert len(kept) >= min(count, FRAMES // 2)
    gaps = np.diff(kept)
    assert (gaps[:-1] == held.stride).all()
    assert (gaps[-1:] < 2 * held.stride).all()


def test_thinning_asks_only_for_what_it_keeps():
    """Skipping whatever is not due leaves the same, the last apart; and little is asked for."""
    plain, asked = Thinned(), Thinned()
    made = 0
    for i in range(5000):
        plain.add(i)
        if asked.due():
            asked.add(i)
            made += 1
        else:
            asked.skip()
    assert asked.items() == [i for i in plain.items() if i % plain.stride == 0]
    assert made < 64 + 32 * math.log2(5000 / 64) + 1


def test_even_picks_have_both_ends():
    assert evenly(list(range(101)), 5) == [0, 25, 50, 75, 100]
    assert evenly([1, 2], 9) == [1, 2]


# --- denoiser: every frame lands where it belongs


def test_tiles_show_their_own_step_and_picture():
    widget = Denoiser({"slow": slide(20), "fast": slide(4)}, pictures=2)
    assert widget.problem == ""
    states, guesses = shown(widget)
    for run, state, guess, n in zip(widget.runs, states, guesses, (20, 4), strict=True):
        assert run["steps"] == list(range(n + 1))
        wanted = np.clip([[2 * i / n - 1 - 1.5 * p for p in (0, 1)] for i in range(n + 1)], -1, 1)
        assert np.abs(state - wanted).max() < 0.06
        assert np.abs(guess + wanted).max() < 0.06
        assert set(widget.contrasts) == {1}  # nothing noisy here
        assert run["notes"] == [f"t = {n - i}" for i in range(n + 1)]


def test_a_long_run_is_thinned_evenly_and_its_frames_say_who_they_are():
    widget = Denoiser(slide(1000, pictures=1))
    run = widget.runs[0]
    assert run["steps"][0] == 0
    assert run["steps"][-1] == 1000
    assert run["last"] == 1000
    gaps = np.diff(run["steps"])
    assert len(run["steps"]) == 42
    assert gaps.max() <= 2 * gaps[:-1].min()
    (states,), _ = shown(widget)
    assert np.abs(states[:, 0] - (2 * np.array(run["steps"]) / 1000 - 1)).max() < 0.06


def test_moments_are_all_places_of_all_samplers():
    widget = Denoiser({"a": slide(4), "b": slide(3)})
    assert widget.moments == pytest.approx([0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1])
    assert "same share of their steps" in widget.reading
    assert Denoiser(slide(4)).reading == ""


def test_which_pictures():
    widget = Denoiser(slide(4, pictures=5), pictures=[1, 0], names=["dark", "light"])
    (states,), _ = shown(widget)
    assert states[-1] == pytest.approx([-0.5, 1], abs=0.06)
    assert widget.captions == ["dark", "light"]
    assert Denoiser(slide(4, pictures=5)).pictures == 4
    assert Denoiser(slide(4, pictures=2)).pictures == 2
    assert Denoiser({"a": slide(4, pictures=5), "b": slide(4, pictures=3)}).pictures == 3


def test_frames_without_a_guess_are_left_blank():
    def late():
        for step in slide(4):
            yield step if step.i else step._replace(x0=None)

    run = Denoiser(late()).runs[0]
    assert run["guesses"] == [-1, 5, 6, 7, 8]
    assert Denoiser(slide(4, guess=False)).runs[0]["guesses"] == [-1] * 5


def test_steps_that_cannot_be_counted_are_spread_evenly():
    for wrong in ([7, 7, 7], [3, 2, 1], [0, 5, 99]):
        steps = [Step(i, 9, grey(0)) for i in wrong]
        assert Denoiser(steps).moments == [0, 0.5, 1]
    assert Denoiser([Step(0, 0, grey(0))]).moments == [0]


def test_moment_is_kept_in_range():
    widget = Denoiser(slide(4))
    widget.moment = 99
    assert widget.moment == 4
    widget.moment = -3
    assert widget.moment == 0


# --- noise


def test_noise_levels_from_a_sequence_follow_the_share_of_steps():
    widget = Denoiser({"a": slide(4), "b": slide(2)}, noise=torch.tensor([1.0, 0.9, 0.0]))
    assert widget.runs[0]["noise"] == pytest.approx([1, 0.95, 0.9, 0.45, 0])
    assert widget.runs[1]["noise"] == pytest.approx([1, 0.9, 0])


def test_samplers_with_other_schedules_are_compared_at_the_same_noise():
    """One run's noise falls as 1 - s, the other's as (1 - s)²: at one place of the bar both are as noisy."""
    power = {40: 1, 39: 2}
    widget = Denoiser(
        {"even": slide(40), "quadratic": slide(39)}, noise=lambda s: (1 - s.i / s.n) ** power[s.n], most=64
    )
    assert "same noise level" in widget.reading
    for run in widget.runs:
        assert run["noise"] == pytest.approx([1 - place for place in run["places"]], abs=2e-5)


def test_noise_that_does_not_fall_is_not_used_to_compare():
    widget = Denoiser({"a": slide(4), "b": slide(4)}, noise=lambda step: float(step.i % 2))
    assert "same share of their steps" in widget.reading
    assert widget.runs[0]["noise"] == [0, 1, 0, 1, 0]


def test_noise_is_brought_into_the_range_of_a_picture():
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted = noise.clamp(-1, 1).numpy()
    seen = noisy_pixels(noise, "x").transpose(0, 3, 1, 2) / 127.5 - 1
    assert np.abs(seen - wanted).max() < 0.005  # N(0, 1) is clipped and nothing else
    louder = noisy_pixels(80 * noise, "x").transpose(0, 3, 1, 2) / 127.5 - 1
    assert np.abs(louder - np.clip(1.1 * noise.numpy() / noise.std().item(), -1, 1)).max() < 0.02


def test_noise_is_stored_faded_and_comes_back():
    generator = np.random.default_rng(0)
    noise = np.clip(generator.normal(size=(64, 64, 1)), -1, 1)
    tile, factor = faded(np.rint((noise + 1) * 127.5).astype(np.uint8))
    assert factor == 0.33
    back = (tile / 127.5 - 1) / factor
    assert np.abs(back - noise).max() < 0.02
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None].repeat(64, 0)
    same, factor = faded(ramp)
    assert factor == 1
    assert (same == ramp).all()


def toy(n, pictures=4, seed=0, stop=1.0):
    """A forward process in reverse: real clothes under less and less fresh noise."""
    x0 = data.fashion("validation")[torch.arange(pictures)][0]
    a = alpha_bars(linear_betas(1000))
    generator = torch.Generator().manual_seed(seed)
    for i in range(n + 1):
        t = round(1000 * (1 - i / n))
        eps = torch.randn(x0.shape, generator=generator)
        blur = torch.nn.functional.avg_pool2d(x0, 1 + 2 * (t // 250), 1, t // 250)
        yield Step(i, n, (a[t].sqrt() * x0 + (1 - a[t]).sqrt() * eps).float(), blur, f"t = {t}")


def test_a_typical_denoiser_is_small_and_faithful():
    level = (1 - alpha_bars(linear_betas(1000))).sqrt().flip(0)
    widget = Denoiser({"DDPM, 1,000 steps": toy(1000), "DDIM, 20 steps": toy(20, seed=1)}, noise=level)
    bundle, _ = widget._repr_mimebundle_()
    assert len(bundle["text/html"]) + len(bundle["image/png"]) < 90_000
    # the page's picture of a frame is the frame, up to what its noise hides
    run, picture = widget.runs[1], tiles(widget.sheet, 4 * 28, 28)
    for frame, step in enumerate(toy(20, seed=1)):
        assert run["steps"][frame] == step.i
        seen = picture[run["start"] + frame] / widget.contrasts[run["start"] + frame]
        wanted = torch.cat(list(step.x.clamp(-1, 1)), dim=2)[0].numpy()
        level_here = run["noise"][frame]
        assert np.abs(np.clip(seen, -1, 1) - wanted).mean() < 0.12 + 0.25 * level_here  # other noise: 0.8
        guess = torch.cat(list(step.x0), dim=2)[0].numpy()
        assert np.abs(picture[run["guesses"][frame]] - guess).mean() < 0.06


# --- much input, in little memory


def test_ten_thousand_frames_leave_two_alive_and_few_bytes():
    alive, most = weakref.WeakSet(), 0

    def endless():
        nonlocal most
        for i in range(10_001):
            x = torch.zeros(2, 3, 32, 32)
            alive.add(x)
            most = max(most, len(alive))
            yield Step(i, 10_000, x)

    tracemalloc.start()
    widget = Denoiser(endless())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert widget.problem == ""
    assert 32 <= len(widget.runs[0]["steps"]) <= 42
    assert most <= 3
    assert peak < 12e6  # all frames as bytes would be 61 MB, as floats 246 MB


# --- real samplers, and recordings of them


def test_the_library_s_samplers_are_shown_as_they_are():
    a = alpha_bars(linear_betas(200))
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def eps(x, t):
        return 0.5 * x

    runs = {
        "DDPM": ddpm(eps, x, a, generator=torch.Generator().manual_seed(1)),
        "DDIM": ddim(eps, x, a, steps=7),
    }
    widget = Denoiser(runs, noise=(1 - a).sqrt().flip(0))
    assert widget.problem == ""
    assert widget.runs[1]["steps"] == list(range(8))
    assert widget.runs[1]["noise"][-1] == 0
    assert widget.runs[0]["notes"][0] == "t = 200"


def test_a_recording_may_be_shown_many_times():
    recording = record(slide(10))
    for _ in range(2):
        widget = Denoiser({"recorded": recording})
        assert widget.problem == ""
        assert widget.runs[0]["steps"] == list(range(11))
        (states,), _ = shown(widget)
        assert np.abs(states[:, 0] - np.linspace(-1, 1, 11)).max() < 0.06


# --- bad input: a sentence in place of the widget


def stops(after):
    for step in slide(9):
        if step.i == after:
            raise RuntimeError("CUDA out of memory")
        yield step


def changed(**at_step_three):
    return [step._replace(**at_step_three) if step.i == 3 else step for step in slide(5)]


class Unreadable:
    def __iter__(self):
        raise OSError("no such file")


BAD_STEPS = {
    "empty": ([], "gave no step at all"),
    "empty dict": ({}, "empty dict"),
    "used up": (iter(()), "read only once"),
    "number": (7, "an iterable of Step, but it is a int"),
    "tensor": (torch.zeros(5, 1, 4, 4), "an iterable of Step, but it is a Tensor"),
    "text": ("steps", "but it is a str"),
    "uncalled": (slide, "call it"),
    "tensors": ([grey(0)], "must yield course_lib.method.Step, but it yields a Tensor"),
    "unreadable": (Unreadable(), "OSError: no such file"),
    "raises at once": (stops(0), "stopped before its first step with RuntimeError: CUDA out of memory"),
    "no batch": ([Step(0, 1, torch.zeros(1, 4, 4))], "x of step 0 of steps must be images of shape"),
    "latent": ([Step(0, 1, torch.zeros(1, 4, 8, 8))], "with C = 1 or 3"),
    "whole numbers": ([Step(0, 1, torch.zeros(1, 1, 4, 4, dtype=torch.long))], "but it is int64"),
    "a list": ([Step(0, 1, [[0.0]])], "but it is a list"),
    "no pictures": ([Step(0, 1, torch.zeros(0, 1, 4, 4))], "holds no pixel"),
    "NaN": (changed(x=grey(math.nan, 2)), "x of step 3 of steps gave NaN or infinity in 512 of 512"),
    "NaN guess": (changed(x0=grey(math.inf, 2)), "x0 of step 3 of steps gave NaN or infinity"),
    "size changes": (changed(x=grey(0, 2, 8), x0=None), "step 3 of steps shows pictures"),
    "batch changes": (changed(x=grey(0, 1), x0=None), "step 3 of steps shows pictures"),
    "guess of another size": (changed(x0=grey(0, 2, 8)), "has an x0 of shape (2, 1, 8, 8)"),
    "step in words": ([Step("first", 1, grey(0))], "whole numbers"),
    "0 to 255": ([Step(0, 1, grey(200.0))], "the last x of steps goes from 200 to 200"),
    "diverged": (
        [Step(0, 1, grey(0)), Step(1, 1, torch.randn(1, 1, 16, 16) * 99)],
        "a finished sample is in",
    ),
    "two sizes": ({"a": slide(2), "b": [Step(0, 1, grey(0, 2, 8))]}, '"b" has images (C, H, W) of (1, 8, 8)'),
    "too large": ([Step(0, 1, torch.zeros(8, 1, 8, 2000))], "4096"),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_bad_steps_give_a_sentence(case):
    steps, words = BAD_STEPS[case]
    widget = Denoiser(steps)
    assert words in widget.problem
    assert widget.problem.endswith(".") or widget.problem.endswith("?")
    bundle, _ = widget._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert 'role="alert"' in bundle["text/html"]


BAD_ARGUMENTS = {
    "no picture": ({"pictures": 0}, "from 1 to 8"),
    "nine": ({"pictures": 9}, "from 1 to 8"),
    "true": ({"pictures": True}, "from 1 to 8"),
    "negative": ({"pictures": [-1]}, "from 1 to 8"),
    "beyond": ({"pictures": [0, 2]}, "asks for 2, but steps has a batch of 2"),
    "names": ({"names": ["one"]}, "names has 1 entries, but 2 pictures"),
    "one frame": ({"most": 1}, "from 2 to 64"),
    "many frames": ({"most": 65}, "from 2 to 64"),
    "half a frame": ({"most": 2.5}, "from 2 to 64"),
    "noise that raises": (
        {"noise": lambda step: 1 / 0},
        "noise stopped at step 0 of steps with ZeroDivision",
    ),
    "noise NaN": ({"noise": lambda step: math.nan}, "it is nan"),
    "noise below 0": ({"noise": [1.0, -1.0]}, "noise must be"),
    "one noise": ({"noise": [1.0]}, "at least two"),
    "noise in words": ({"noise": "much"}, "but it is a str"),
    "noise of a table": ({"noise": torch.zeros(3, 3)}, "noise must be"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_give_a_sentence(case):
    arguments, words = BAD_ARGUMENTS[case]
    assert words in Denoiser(slide(4), **arguments).problem


def test_a_sampler_that_raises_midway_shows_what_it_did():
    widget = Denoiser({"a": stops(6), "b": slide(9)})
    assert widget.problem == ""
    assert widget.runs[0]["steps"] == list(range(6))
    assert widget.note == '"a" stopped after 6 steps with RuntimeError: CUDA out of memory.'


def test_an_odd_sample_is_remarked_on():
    steps = [Step(0, 1, grey(0)), Step(1, 1, grey(0.7))]
    assert "are these in [0, 1]?" in Denoiser(steps).note
    assert Denoiser(slide(3)).note == ""


# --- the recorder


def test_a_film_calls_its_functions_rarely_and_without_gradients():
    calls = []
    weight = torch.ones(1, requires_grad=True)

    def look():
        calls.append(torch.is_grad_enabled())
        return grey(-1) * weight

    film = Film()
    for step in range(3000):
        film.add(step, images=look, losses={"loss": 1.0})
    assert set(calls) == {False}
    assert len(calls) < 64 + 32 * 6
    steps = [shot.step for shot in film.shots()]
    assert steps[0] == 0
    assert set(np.diff(steps)) == {64}
    assert film.shots()[0].images.dtype == np.uint8


def test_a_film_of_arrays_keeps_its_last_frame():
    film = Film()
    for step in range(100, 400):
        film.add(step, images=grey(0))
    steps = [shot.step for shot in film.shots()]
    assert (steps[0], steps[-1]) == (100, 399)
    assert len(steps) <= FRAMES


def test_a_film_looks_at_fit_and_changes_nothing():
    def train(film, hooked):
        torch.manual_seed(0)
        method, batch = LinearAutoencoder.tiny()
        hooks = (film.hook(images=lambda: method.decoder(torch.zeros(4, method.latent))),) if hooked else ()
        return fit(method, batch, steps=12, batch=4, hooks=hooks, progress=False, device="cpu")

    film = Film()
    plain, filmed = train(film, False), train(film, True)
    for a, b in zip(plain.method.parameters(), filmed.method.parameters(), strict=True):
        assert torch.equal(a, b)
    (name, curve), *_ = film.curves.items()
    assert curve.points() == filmed.history[name]
    assert len(film.shots()) == 12


def test_a_mistake_in_the_first_frame_is_told_at_once_and_a_later_one_stops_no_training():
    with pytest.raises(WidgetError, match="images at step 0 must be images"):
        Film().add(0, images=torch.zeros(3))
    film = Film()
    film.add(0, images=grey(0))
    film.add(1, images=grey(0.5))
    film.add(2, images=grey(math.nan))
    film.add(3, images=grey(0))
    assert [shot.step for shot in film.shots()] == [0, 1]
    assert film.problem.startswith("The film ends at step 1: images at step 2 gave NaN")
    assert film.problem in TrainingFilm(film).note


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (Frame(1), "steps must rise"),
        (Frame(1.5), "whole number"),
        (Frame(-1), "whole number"),
        (Frame(2, grey(0, 1, 8)), "images changed their size"),
        (Frame(2, grey(9.0)), "from 9 to 9"),
        (Frame(2, lambda: 1 / 0), "images at step 2: the function stopped with ZeroDivisionError"),
        (Frame(2, None, {"loss": "low"}), "loss loss at step 2 must be one number"),
        (Frame(2, None, {"loss": torch.zeros(3)}), "must be one number"),
        (Frame(2, None, {}, torch.zeros(5, 3)), "points at step 2 must have the shape (N, 2)"),
        (Frame(2, None, {}, torch.full((5, 2), math.nan)), "NaN or infinity in 10 of 10"),
        (Frame(2, None, {}, [[0, 0]]), "a tensor or an array"),
        (Frame(2, None, {}, None, torch.zeros(5, 6)), "square (G, G)"),
        (Frame(2, None, {}, None, torch.zeros(65, 65)), "G from 2 to 64"),
        (Frame(2, None, {}, None, torch.zeros(5, 5)), "field changed their size"),
    ],
)
def test_a_wrong_frame_gives_a_sentence(frame, said):
    frames = [Frame(1, grey(0), {"loss": 1.0}, torch.zeros(3, 2), torch.zeros(4, 4)), frame]
    assert said in TrainingFilm(frames).problem


def test_a_curve_of_any_length_keeps_its_mean_and_its_shape():
    curve = Curve()
    for step in range(10_000):
        curve.add(step, math.cos(step / 1000))
    points = np.array(curve.points())
    assert len(points) <= 256
    assert np.abs(points[:, 1] - np.cos(points[:, 0] / 1000)).max() < 1e-3  # a mean over 64 steps
    assert np.diff(points[:, 0]).min() > 0
    short = Curve()
    short.add(0, 3.0)
    assert short.points() == [(0, 3.0)]


def test_a_film_needs_no_jupyter():
    code = "import sys; from course_lib.widgets import Film, Frame\n"
    code += "print([n for n in ('IPython', 'ipywidgets', 'anywidget', 'traitlets') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# --- training film


def training(n=5, every=10):
    """Pictures that brighten, one point that goes to the right, a field that is 1 on its right half."""
    for k in range(n):
        value = 2 * k / (n - 1) - 1
        field = torch.zeros(8, 8)
        field[:, 4:] = 1
        field[6:] = 0.5  # the two upper rows
        yield Frame(k * every, grey(value, 3), {"D": 1 + k, "G": 5 - k}, torch.tensor([[value, 0.5]]), field)


def test_a_film_s_tiles_points_and_fields_are_those_of_their_step():
    widget = TrainingFilm(training(), extent=2, real=[[0.0, -2.0]])
    assert widget.problem == ""
    assert widget.steps == [0, 10, 20, 30, 40]
    assert widget.moments == [0, 0.25, 0.5, 0.75, 1]
    assert widget.moment == 4
    greys = tiles(widget.sheet, 3 * 16, 16)[widget.image_tiles].mean(axis=(1, 2))
    assert greys == pytest.approx(np.linspace(-1, 1, 5), abs=0.05)
    points = np.frombuffer(widget.points, np.uint8).reshape(-1, 2) / 255 * 4 - 2
    assert widget.point_ends == [1, 2, 3, 4, 5]
    assert points == pytest.approx(np.stack([np.linspace(-1, 1, 5), np.full(5, 0.5)], 1), abs=0.01)
    assert np.frombuffer(widget.real, np.uint8).tolist() == [128, 0]
    field = tiles(widget.fields, 8, 8)[widget.field_tiles[2]]
    assert field[4:, 1].mean() == pytest.approx(-1, abs=0.1)
    assert field[4:, 6].mean() == pytest.approx(1, abs=0.1)
    assert np.abs(field[0]).max() < 0.1  # the highest y is the top row
    assert widget.field_scale == {"name": "D(x)", "low": 0.0, "middle": 0.5, "high": 1.0}


def test_a_critic_s_scale_is_as_wide_as_its_values():
    frames = [Frame(0, None, {}, None, torch.tensor([[-3.0, 0.0], [0.0, 1.0]]))]
    widget = TrainingFilm(frames, extent=1, centre=0, field_name="critic")
    assert widget.field_scale == {"name": "critic", "low": -3.0, "middle": 0.0, "high": 3.0}


def over_a_line(n=5):
    """A step of D that moves to the right over a ramp of data; the third moment was not looked at."""
    for k in range(n):
        curves = {"made": torch.full((6,), 0.25 * k), "D(x)": torch.arange(6) >= k}
        line = {name: values.float() for name, values in curves.items()}
        yield Frame(k, None, {"D": 1.0}, line=None if k == 2 else line)


def test_a_film_s_curves_over_a_line_are_those_of_their_step():
    widget = TrainingFilm(over_a_line(), line=(-1, 1.5, 0, 2), behind={"data": np.linspace(0, 3, 6)})
    assert widget.problem == ""
    assert [name for name, *_ in widget.line["curves"]] == ["made", "D(x)"]
    assert widget.line["curves"][1][1:] == [widget.lines[0]["light"], widget.lines[0]["dark"]]
    assert widget.line_tiles == [0, 1, -1, 2, 3]
    rows = np.frombuffer(widget.line_bytes, np.uint8).reshape(-1, 6) / 255 * 2
    assert rows[0] == pytest.approx([0, 0.6, 1.2, 1.8, 2, 2], abs=0.01)  # cut off at the top
    for tile, k in enumerate((0, 1, 3, 4)):
        assert rows[1 + 2 * tile] == pytest.approx(np.full(6, 0.25 * k), abs=0.01)
        assert rows[2 + 2 * tile] == pytest.approx((np.arange(6) >= k) * 1.0, abs=0.01)
    assert (0.4, "0") in widget.line["x"]
    assert (0.5, "1") in widget.line["y"]


def test_the_still_picture_of_a_line_shows_its_last_moment():
    frames = [Frame(k, line={"made": torch.full((9,), 0.3 if k else 0.9)}) for k in range(2)]
    picture = np.asarray(TrainingFilm(frames, line=(0, 1, 0, 1)).picture().convert("RGB")).astype(int)
    places = np.nonzero((picture[..., 2] - picture[..., 0] > 50).sum(axis=1) > 100)[
        0
    ]  # blue from side to side
    assert places.mean() == pytest.approx(20 + 0.7 * 150, abs=2)  # 20 pixels of text above 150 of curves


def test_a_film_asks_for_curves_only_at_the_moments_it_keeps():
    film, calls = Film(), []
    for step in range(1000):
        film.add(step, line=lambda step=step: calls.append(step) or {"made": torch.full((3,), step / 1000)})
    assert len(calls) < 250
    assert all(shot.line["made"][0] == pytest.approx(shot.step / 1000) for shot in film.shots())
    film.add(1024, line={"other": torch.zeros(3)})
    assert "line changed their size" in film.problem


def test_curves_stand_at_their_steps_and_values():
    widget = TrainingFilm(training(), extent=2)
    d, g = widget.lines
    assert (d["name"], g["name"]) == ("D", "G")
    assert d["x"] == widget.moments
    assert d["values"] == ["1", "2", "3", "4", "5"]
    assert np.diff(d["y"]) == pytest.approx(np.full(4, d["y"][1] - d["y"][0]), abs=1e-3)
    assert d["y"] == g["y"][::-1]
    assert 0 <= min(d["y"]) < 0.1 < 0.9 < max(d["y"]) <= 1
    values = {text: place for place, text in widget.chart["y"]}
    assert values["3"] == pytest.approx(d["y"][2], abs=1e-3)
    assert {text: place for place, text in widget.chart["x"]}["20"] == 0.5


def test_losses_may_come_go_and_break():
    losses = [{"a": 1.0}, {"a": 2.0, "b": 1.0}, {"b": math.nan}, {"b": 3.0}]
    widget = TrainingFilm([Frame(i, None, loss) for i, loss in enumerate(losses)])
    assert widget.problem == ""
    a, b = widget.lines
    assert a["x"] == pytest.approx([0, 1 / 3], abs=1e-3)
    assert b["y"][1] is None
    assert b["values"][1] == "NaN"
    assert "1 losses were NaN" in widget.note
    json.dumps(widget.state(), default=lambda value: None, allow_nan=False)


def test_a_spike_at_the_start_does_not_flatten_the_curve():
    area = axes({"loss": [(i, 100.0 if i == 0 else 1 + 0.01 * i) for i in range(100)]}, 0, 99, False)
    assert area.high < 5
    assert area.y(100) > 1


def test_a_logarithmic_axis_is_logarithmic():
    points = [(i, 10.0**-i) for i in range(4)]
    area = axes({"loss": points}, 0, 3, True)
    places = [area.y(value) for _, value in points]
    assert np.diff(places) == pytest.approx(np.full(3, places[1] - places[0]))
    assert TrainingFilm(training(), extent=2, log=True).problem == ""
    assert "above 0" in TrainingFilm([Frame(0, None, {"a": 0.0})], log=True).problem


def test_a_frame_may_lack_any_part():
    frames = [Frame(0, grey(0)), Frame(5, None, {"a": 1.0}), Frame(9, grey(1), {}, torch.zeros(2, 2))]
    widget = TrainingFilm(frames)
    assert widget.problem == ""
    assert widget.image_tiles == [0, -1, 1]
    assert widget.point_ends == [0, 0, 2]


def broken_off():
    yield from training(3)
    raise RuntimeError("interrupted by hand")


@pytest.mark.parametrize(
    ("frames", "arguments", "said"),
    [
        ([], {}, "The film is empty"),
        (Film(), {}, "The film is empty"),
        ([Frame(0)], {}, "there is nothing to show"),
        (5, {}, "must be a Film or an iterable of Frame, but it is a int"),
        ([grey(0)], {}, "must hold Frame(step, ...), but it holds a Tensor"),
        (Unreadable(), {}, "frames stopped before the first one with OSError"),
        ([Frame(0, None, {}, None, torch.zeros(3, 3))], {}, "needs extent="),
        ([Frame(0, grey(0))], {"most": 1}, "from 2 to 64"),
        (list(training()), {"extent": (1, 0, 0, 1)}, "left < right"),
        (list(training()), {"real": [[1.0, 2.0, 3.0]]}, "points must have shape (N, 2)"),
        ([Frame(0, None, {str(i): 1.0 for i in range(9)})], {}, "There are 9 losses"),
        (list(over_a_line()), {}, "need line=(left, right, bottom, top)"),
        (list(over_a_line()), {"line": (1, 0, 0, 1)}, "need line=(left, right, bottom, top)"),
        (list(over_a_line()), {"line": (0, 1, 0, 1), "behind": {"data": torch.zeros(5)}}, "one curve of 6"),
        ([Frame(0, line=torch.zeros(4))], {}, "line at step 0 must be a dict of curves by name"),
        ([Frame(0, line={})], {}, "line at step 0 must be a dict of curves by name"),
        ([Frame(0, line={"a": torch.zeros(3), "b": torch.zeros(4)})], {}, "curves (K,) with one K"),
        ([Frame(0, line={"a": torch.tensor([1.0, math.nan])})], {}, "gave NaN or infinity in 1 of 2"),
    ],
)
def test_a_bad_film_gives_a_sentence(frames, arguments, said):
    assert said in TrainingFilm(frames, **arguments).problem


def test_frames_that_break_off_are_shown():
    widget = TrainingFilm(broken_off(), extent=2)
    assert widget.problem == ""
    assert widget.steps == [0, 10, 20]
    assert widget.note == "frames stopped after step 20 with RuntimeError: interrupted by hand."


def test_ten_thousand_frames_of_a_film():
    widget = TrainingFilm(Frame(i, grey(0), {"loss": 1.0}) for i in range(10_000))
    assert widget.problem == ""
    assert len(widget.steps) == 24
    assert (widget.steps[0], widget.steps[-1]) == (0, 9999)
    assert len(widget.lines[0]["x"]) <= 256


# --- what a page gets


@pytest.mark.parametrize(
    "make", [lambda: Denoiser(slide(6), title="Same"), lambda: TrainingFilm(training(), title="Same")]
)
def test_rebuilt_widgets_are_equal_and_have_a_picture(make):
    first, second = (make()._repr_mimebundle_()[0] for _ in range(2))
    for key in ("text/html", "image/png", "text/plain"):
        assert first[key] == second[key]
    assert "0x" not in first["text/plain"]
    with Image.open(io.BytesIO(base64.b64decode(first["image/png"]))) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5


def test_names_are_data_never_markup():
    evil = '</script><img src=x onerror="alert(1)">'
    html = Denoiser({evil: slide(3)}, title=evil, alt=evil, names=[evil, evil]).html()
    assert html.count("</script>") == 1
    assert 'onerror="alert' not in html
