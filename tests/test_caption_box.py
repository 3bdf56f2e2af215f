"""CaptionBox without a page: what it holds, saves, accepts and refuses."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.samplers import ddim
from course_lib.schedules import alpha_bars, cosine_betas
from course_lib.widgets.page_noise import page_noise
from course_lib.words import encode

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from course_lib.widgets import CaptionBox  # noqa: E402

ALPHA_BAR = alpha_bars(cosine_betas(100))
WORDS = ("blond", "cook", "curly", "dark", "hair", "man", "medium-dark", "woman")
LENGTH = 5


def eps(x, t, tokens):
    """A denoiser that needs no training: each word that is told makes the picture lighter by 0.2."""
    a = ALPHA_BAR.float()[t].view(-1, 1, 1, 1)
    level = ((tokens > 1).sum(1) * 0.2 - 0.7).view(-1, 1, 1, 1)
    return (x - a.sqrt() * level) / (1 - a).sqrt()


def box(fn=eps, **options):
    given = {"words": WORDS, "length": LENGTH, "shape": (3, 8, 8), "steps": (5, 20), "count": 3, **options}
    return CaptionBox(fn, given.pop("alpha_bar", ALPHA_BAR), **given)


def tiles(widget):
    """The recorded pictures, (frames, count, 8, 8, 3), at full contrast again, in [-1, 1]."""
    with Image.open(io.BytesIO(widget.sheet)) as sheet:
        pixels = np.asarray(sheet.convert("RGB"), dtype=float) / 127.5 - 1
    count, n = widget.recording["count"], len(widget.recording["at"])
    columns = pixels.shape[1] // (8 * count)
    cut = [pixels[k // columns * 8 :, k % columns * 8 * count :][:8, : 8 * count] for k in range(n)]
    factors = np.array(widget.recording["contrasts"]).reshape(-1, 1, 1, 1)
    return (np.stack(cut) / factors).reshape(n, 8, count, 8, 3).swapaxes(1, 2)


def run(caption, guidance, seed, steps=5, count=3):
    """The same run in plain torch, on the page's noise."""
    x = np.stack([page_noise(seed, 192, i).reshape(3, 8, 8) for i in range(count)])
    told, untold = encode([caption] * count, WORDS, LENGTH), encode([""] * count, WORDS, LENGTH)

    def guided(x, t):
        return guidance * eps(x, t, told) + (1 - guidance) * eps(x, t, untold)

    return list(ddim(guided, torch.from_numpy(x), ALPHA_BAR, steps=steps))


def looked_at(x):
    return x.clamp(-1, 1).permute(0, 2, 3, 1).numpy()


def likeness(a, b):
    """Correlation of two sets of pictures in grey: a sheet is lossy, most of all in colours of noise."""
    return np.corrcoef(a.mean(-1).ravel(), b.mean(-1).ravel())[0, 1]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_recorded_run_is_ddim_on_the_pages_noise(guidance):
    widget = box(caption="Dark: a woman cook!", guidance=guidance, seed=5)
    true = run("dark woman cook", guidance, 5)
    assert widget.recording["at"] == [0, 1, 2, 3, 4, 5]
    given = tiles(widget)
    assert likeness(given[0], looked_at(true[0].x)) > 0.75
    for k in range(6):
        assert given[k].mean() == pytest.approx(float(looked_at(true[k].x).mean()), abs=0.06)
    assert np.abs(given[5] - looked_at(true[5].x)).mean() < 0.05
    other = run("dark woman", guidance, 5)[5].x  # one word less can be seen
    assert np.abs(given[5] - looked_at(other)).mean() > 0.15


def test_guesses_are_recorded_where_they_are_asked_for():
    given, true = tiles(box(caption="man", guess=True)), run("man", 2.0, 0)
    assert np.abs(given[0] - looked_at(true[0].x0)).mean() < 0.1
    assert np.abs(given[0] - looked_at(true[0].x)).mean() > 0.4


def test_each_picture_has_noise_of_its_own_whatever_their_number():
    few, many = tiles(box(count=2))[0], tiles(box(count=5))[0]
    assert likeness(few, many[:2]) > 0.75
    assert abs(likeness(many[0], many[1])) < 0.4


def test_what_the_kernel_sets_is_checked():
    widget = box(caption="woman cook")
    widget.caption, widget.seed, widget.guidance, widget.steps, widget.count = (
        "Man, medium dark",
        7,
        4.5,
        20,
        8,
    )
    refused = [
        ("caption", "man cok", r'"cok" \(known: cook\)'),
        ("caption", "woman man cook dark curly", "room for 4"),
        ("steps", 6, "steps must be one of 5, 20"),
        ("count", 2, "count must be one of 1, 3, 4, 8"),
        ("guidance", 9.0, "guidance"),
        ("seed", -1, "seed"),
    ]
    for name, value, words in refused:
        with pytest.raises(Exception, match=words):
            setattr(widget, name, value)
    assert (widget.caption, widget.seed, widget.guidance) == ("Man, medium dark", 7, 4.5)
    assert (widget.steps, widget.count) == (20, 8)
    widget.caption = ""
    assert widget.caption == ""


def test_words_in_no_group_come_last_and_folded():
    groups = {"Hair": ["blond hair", "curly hair"], "Tone": ("dark", "medium dark")}
    given = box(groups=groups).groups
    assert given[:2] == [
        ["Hair", ["blond hair", "curly hair"], False],
        ["Tone", ["dark", "medium dark"], False],
    ]
    assert given[2:] == [["All other words", ["cook", "man", "woman"], True]]
    assert box().groups == [["Words", list(WORDS), False]]
    many = [f"word{i}" for i in range(201)]
    assert box(words=many).groups == []  # nobody reads so many


def test_it_saves_a_recording_and_no_network():
    plain = box(shape=(3, 32, 32), count=8, words=BIG, steps=(20,))
    data, _ = plain._repr_mimebundle_()
    assert len(data["text/html"]) + len(data["image/png"]) < 90_000
    assert plain._onnx is None
    torch.manual_seed(0)
    noisy = box(lambda x, t, tokens: torch.randn_like(x), shape=(3, 32, 32), count=8, words=BIG, steps=(20,))
    assert len(noisy.sheet) <= 32_000  # noise to the end: no run weighs more


BIG = [f"word{i}" for i in range(96)]


def test_its_picture_is_the_end_of_the_run():
    widget = box(caption="woman cook man dark", count=5)
    colour = (run("woman cook man dark", 2.0, 0, count=5)[-1].x.mean() + 1) * 127.5
    picture = np.asarray(widget.picture().convert("RGB"), dtype=float)
    assert picture.shape[1] == 384  # 4 pictures of 8 pixels, 12 times as large
    assert picture[22:115].mean() == pytest.approx(colour, abs=10)
    assert (picture[120:, 100:] == 255).all()  # the fifth has its row for itself


BAD = {
    "unknown word": ({"caption": "woman pilot"}, 'these words of "woman pilot": "pilot"'),
    "too many words": ({"caption": "woman man cook dark hair"}, "has 5 words, but there is room for 4"),
    "no text": ({"caption": 3}, "caption must be a text, but it is 3"),
    "count": ({"count": 17}, "count must be a whole number of pictures from 1 to 16, but it is 17"),
    "length": ({"length": 1}, "length must be the number of tokens"),
    "words": ({"words": "woman"}, "words must be the vocabulary"),
    "two words": ({"words": ("blond hair", "man")}, "words must be the vocabulary"),
    "no words": ({"words": ()}, "words must be the vocabulary"),
    "group": ({"groups": {"Hair": ["green hair"]}}, 'groups: "green hair" in "Hair" has a word'),
    "empty chip": ({"groups": {"Hair": ["the"]}}, 'groups: "the" in "Hair"'),
    "steps": ({"steps": (101,)}, "steps must be 1 to 6 whole numbers from 1 to 100"),
    "guidance": ({"guidance": -1}, "guidance must be a number from 0 to 8"),
    "seed": ({"seed": 1.5}, "seed must be a whole number"),
    "shape": ({"shape": (4, 8, 8)}, "shape must be (C, H, W) with C = 1 or 3"),
    "schedule": ({"alpha_bar": [0.9, 0.5]}, "alpha_bar must fall from exactly 1"),
    "raises": ({"fn": lambda x, t: x}, "TypeError"),
    "not callable": ({"fn": 3}, "eps must be a function of (x, t, tokens), but its type is int"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case):
    options, words = BAD[case]
    widget = box(**options)
    assert words in widget.problem
    assert 'role="alert"' in widget._repr_mimebundle_()[0]["text/html"]
