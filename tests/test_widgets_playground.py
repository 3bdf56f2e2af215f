"""Playground2D without a browser: named settings, and the numbers of a frame."""

import json
import zlib

import numpy as np
import pytest
import torch

pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
from test_widgets_kernel import ask, packed  # noqa: E402

from course_lib.errors import CourseError  # noqa: E402
from course_lib.widgets import PlayFrame, Playground2D  # noqa: E402
from course_lib.widgets.play_frames import MOST_NUMBERS, from_places  # noqa: E402


def walk(speed, seen=None):
    """A make: samples that leave the first data points at this speed, and how far they are as a number."""

    def make(points):
        if seen is not None:
            seen.append((speed, points))
        for step in range(1, 1000):
            yield PlayFrame(step, points[:5] + speed * step, numbers={"walked": speed * step, "step": step})

    return make


def two(seen=None):
    return {"slow": walk(0.001, seen), "fast": walk(0.01, seen)}


def walked(playground):
    """How far the samples stand from the data, in the plane's units."""
    samples = from_places(playground._run.now.samples, (-1, 1, -1, 1))
    return float((samples - playground.data[:5]).mean())


# --- settings


def test_the_first_setting_is_chosen_at_first_and_another_one_begins_anew_on_the_same_points():
    seen = []
    playground = Playground2D(two(seen), preview=20)
    assert (playground.problem, playground.setting, playground.settings) == ("", "slow", ["slow", "fast"])
    assert walked(playground) == pytest.approx(0.02, abs=2e-3)
    ask(playground, do="draw", points=[512, 512, 640, 512, 512, 640, 256, 256, 300, 400])
    answer, _ = ask(playground, do="setting", name="fast")
    assert (answer["head"]["step"], answer["running"], playground.setting) == (1, "fast", "fast")
    assert [head["step"] for head in answer["history"]] == [1]
    ask(playground, do="step", frames=19)
    assert walked(playground) == pytest.approx(0.2, abs=2e-3)
    assert [speed for speed, _ in seen] == [0.001, 0.001, 0.01]
    assert torch.equal(seen[1][1], seen[2][1])  # what was drawn


@pytest.mark.parametrize("question", [{"do": "restart"}, {"do": "preset", "name": "moons"}])
def test_a_new_run_for_another_reason_keeps_the_setting(question):
    playground = Playground2D(two(), preview=1)
    playground.setting = "fast"
    answer, _ = ask(playground, **question)
    assert answer["running"] == "fast"
    ask(playground, do="step", frames=9)
    assert walked(playground) == pytest.approx(0.1, abs=2e-3)


def test_settings_from_python():
    playground = Playground2D(two(), preview=3)
    playground.setting = "fast"
    assert (playground.setting, playground._run.now.step) == ("fast", 1)
    playground.restart(torch.zeros(7, 2), setting="slow")
    assert (playground.setting, len(playground.data)) == ("slow", 7)
    playground.play(4)
    assert playground._run.now.step == 5
    playground.restart()
    assert (playground.setting, len(playground.data), playground._run.now.step) == ("slow", 7, 1)


def test_pages_hear_what_python_does():
    playground = Playground2D(two(), preview=3)
    heard = []
    playground.send = lambda content, buffers=None: heard.append((content, buffers))
    playground.restart(torch.zeros(7, 2), setting="fast")
    playground.play(4)
    (begun, buffers), (played, _) = heard
    assert (begun["running"], begun["chosen"], begun["head"]["step"]) == ("fast", "", 1)
    assert len(buffers[3]) == 7 * 4  # the points, two 16-bit numbers each
    assert [head["step"] for head in played["history"]] == [1, 2, 3, 4, 5]


def test_an_unknown_setting_is_refused_and_the_run_stays():
    playground = Playground2D(two(), preview=3)
    for change in (
        lambda: playground.restart(setting="Fast"),
        lambda: setattr(playground, "setting", ""),
        lambda: playground.restart(torch.zeros(7, 2), setting="Fast"),
    ):
        with pytest.raises(CourseError, match="setting must be one of 'slow', 'fast', but it is"):
            change()
        assert (playground.setting, playground._run.now.step, len(playground.data)) == ("slow", 3, 256)
    assert "must be one of" in ask(playground, do="setting", name="x")[0]["problem"]
    single = Playground2D(walk(0.01), preview=1)
    assert (single.setting, single.settings) == ("", [])
    with pytest.raises(CourseError, match="a single make"):
        single.setting = "fast"


def test_a_page_without_a_kernel_knows_the_setting_that_was_recorded():
    playground = Playground2D(two(), preview=2)
    playground.setting = "fast"
    state = packed(playground.html())["state"]
    assert (state["running"], state["live"], [head["step"] for head in state["moments"]]) == (
        "fast",
        False,
        [1],
    )


def test_a_setting_that_fails_at_once_can_still_be_shown_and_left_again():
    def broken(points):
        raise RuntimeError("no such layer")

    playground = Playground2D({"fine": walk(0.01), "broken": broken}, preview=2)
    playground.setting = "broken"
    state = packed(playground._repr_mimebundle_()[0]["text/html"])["state"]
    assert state["over"] == "make stopped: RuntimeError: no such layer."
    assert (state["moments"], state["running"]) == ([], "broken")
    assert ask(playground, do="step", frames=1)[0]["failed"]
    playground.setting = "fine"
    assert playground._run.over == ""
    assert playground._run.now.step == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ({}, "make is an empty mapping: give it at least one setting"),
        ({"fast": walk(0.01), "slow": 3}, "The setting 'slow' must be a function from points"),
        ({"fast": walk(0.01)(torch.zeros(5, 2))}, "The setting 'fast' must be a function from points"),
        ({1: walk(0.01)}, "The name of a setting must be a string that is not empty, but one is 1"),
        ({" ": walk(0.01)}, "The name of a setting must be a string that is not empty"),
    ],
)
def test_settings_that_cannot_be_used_are_named_in_a_sentence(make, said):
    playground = Playground2D(make)
    assert said in playground.problem
    assert playground.problem.count(". ") == 0  # one sentence
    assert 'role="alert"' in playground._repr_mimebundle_()[0]["text/html"]


# --- numbers


def showing(numbers):
    return lambda points: iter([PlayFrame(1, points[:2], numbers=numbers)])


def test_numbers_are_texts_in_the_order_in_which_they_were_given():
    numbers = {
        "modes covered": "7 of 8",
        "high quality": "93 %",
        "count": 12345,
        "share": 0.123456,
        "gap": torch.tensor(-2.5),
        "diverged": float("nan"),
    }
    (head,) = packed(Playground2D(showing(numbers)).html())["state"]["moments"]
    assert head["numbers"] == [
        ["modes covered", "7 of 8"],
        ["high quality", "93 %"],
        ["count", "12345"],
        ["share", "0.123"],
        ["gap", "−2.5"],
        ["diverged", "nan"],
    ]


def test_each_recorded_moment_has_its_own_numbers():
    playground = Playground2D(walk(0.001), preview=300)
    moments = packed(playground.html())["state"]["moments"]
    assert 16 <= len(moments) <= 64
    for head in moments:
        walked = f"{0.001 * head['step']:.3g}"
        assert head["numbers"] == [["walked", walked], ["step", str(head["step"])]]
    answer, _ = ask(playground, do="step", frames=1)
    assert answer["head"]["numbers"] == [["walked", "0.301"], ["step", "301"]]


def test_many_changing_numbers_stay_within_the_films_budget():
    def noisy(texts):
        def make(points):
            draw = np.random.default_rng(0)
            for step in range(1, 65):
                numbers = {f"figure {i}": draw.bytes(20).hex() if texts else "" for i in range(MOST_NUMBERS)}
                yield PlayFrame(step, draw.uniform(-1, 1, (150, 2)), numbers=numbers)

        return make

    plain, full = (Playground2D(noisy(texts), preview=64) for texts in (False, True))
    assert len(plain.moments) == 64
    assert 16 < len(full.moments) < 64
    texts = json.dumps([dict(head["numbers"]) for head in full.moments])
    assert len(zlib.compress(full.film + texts.encode(), 9)) <= 29_000
    data, _ = full._repr_mimebundle_()
    assert len(json.dumps({name: value for name, value in data.items() if "view" not in name})) < 90_000


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (3, "numbers of a frame must be a mapping from names to values, but it is 3"),
        ({"modes": [7, 8]}, "The number 'modes' of a frame must be a string or a single number"),
        ({"modes": torch.zeros(2)}, "The number 'modes' of a frame must be a string or a single number"),
        ({"modes": None}, "The number 'modes' of a frame must be a string or a single number"),
        ({str(i): i for i in range(7)}, "numbers of a frame holds 7 values, but there is room for 6"),
    ],
)
def test_numbers_that_cannot_be_shown_end_the_run_with_a_sentence(numbers, said):
    assert said in Playground2D(showing(numbers)).problem


def test_a_long_text_is_cut():
    (head,) = Playground2D(showing({"a" * 100: "b" * 41, "c": "d" * 40})).moments
    assert head["numbers"] == [["a" * 39 + "…", "b" * 39 + "…"], ["c", "d" * 40]]


# --- the still picture


def right_half(playground):
    """What stands beside the plane: True where it is dark, (rows, columns)."""
    grey = np.asarray(playground.picture().convert("L"))
    return grey[:, 246:] < 128


def test_the_picture_shows_setting_and_numbers_above_the_losses():
    def make(numbers):
        return lambda points: (
            PlayFrame(step, points[:2], losses={"D": 1 / step}, numbers=numbers) for step in range(1, 9)
        )

    bare = right_half(Playground2D(make({}), preview=8))
    named = right_half(Playground2D({"fast": make({"modes": "7 of 8"})}, preview=8))
    other = right_half(Playground2D({"fast": make({"modes": "1 of 8"})}, preview=8))
    assert named[:18].any()  # "setting fast"
    assert named[20:38].any()  # "modes 7 of 8"
    assert not named[40:45].any()
    changed = np.argwhere(named != other)
    assert len(changed) > 0
    assert (changed.min(0)[0] >= 20, changed.max(0)[0] < 40) == (True, True)  # one line, and nothing else
    assert (bare != named).any()
    for half in (bare, named):  # the curve falls from the upper left to the lower right
        assert half[-60:-28, -60:].any()


def test_the_picture_has_room_for_as_much_text_as_a_frame_can_hold():
    numbers = {
        f"{i} a long name of a number": f"{i} a long text that stands for it" for i in range(MOST_NUMBERS)
    }

    def make(points):
        for step in range(1, 9):
            yield PlayFrame(
                step, points[:2], losses={"D": 1 / step, "G": 1.0, "a": 0.5, "b": 0.2}, numbers=numbers
            )

    half = right_half(Playground2D({"a setting with quite a long name, too": make}, preview=8))
    for line in range(1 + MOST_NUMBERS):
        inked = np.flatnonzero(half[20 * line : 20 * line + 18].any(0))
        assert np.diff(inked).max() > 6  # a name, a gap, a value
        assert (inked[0] < 5, inked[-1] > 225) == (True, True)
    assert half[180:230].any()  # curves


def test_the_picture_shows_the_numbers_of_the_newest_frame():
    def make(texts):
        return lambda points: (
            PlayFrame(step, points[:2], losses={"D": 1 / step}, numbers={"modes": text})
            for step, text in enumerate(texts, 1)
        )

    changing, last, first = (Playground2D(make(texts), preview=3) for texts in ("158", "888", "111"))
    assert np.array_equal(right_half(changing), right_half(last))
    assert not np.array_equal(right_half(changing), right_half(first))
