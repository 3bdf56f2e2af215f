"""Recordings: evenly picked frames, few of them, and one sentence for whatever is not a sampler."""

import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch

from course_lib.errors import CourseError
from course_lib.method import Step
from course_lib.recording import record
from course_lib.viz import to_uint8


def grey(i, n, channels=1):
    """Pictures whose value says which step they are from."""
    return torch.full((2, channels, 3, 4), 2 * i / max(n, 1) - 1)


def run(n, *, first=0, stride=1, guess=True, channels=1):
    for i in range(first, n + 1, stride):
        x = grey(i, n, channels)
        yield Step(i, n, x, -x if guess else None, f"t = {n - i}")


@pytest.mark.parametrize(
    ("n", "frames"), [(1000, 64), (1000, 10), (50, 64), (63, 64), (64, 64), (10, 2), (1, 5)]
)
def test_frames_are_picked_evenly_and_hold_both_ends(n, frames):
    recording = record(run(n), frames)
    assert len(recording.i) == min(n + 1, frames) or (n, frames) == (64, 64)
    assert len(recording.i) <= frames
    assert (recording.i[0], recording.i[-1], recording.n) == (0, n, n)
    gaps = [b - a for a, b in pairwise(recording.i)]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
    assert recording.notes == [f"t = {n - i}" for i in recording.i]
    for k, i in enumerate(recording.i):
        assert np.array_equal(recording.x[k], to_uint8(grey(i, n)))
        assert np.array_equal(recording.x0[k], to_uint8(-grey(i, n)))


def test_colour_frames_are_bytes_with_the_channels_last():
    recording = record(run(4, channels=3))
    assert recording.x.shape == recording.x0.shape == (5, 2, 3, 4, 3)
    assert recording.x.dtype == recording.x0.dtype == np.uint8
    assert recording.i.dtype == np.int64


def test_what_leaves_the_range_is_clipped():
    x = torch.tensor([-7.0, 0.0, 7.0]).view(1, 1, 1, 3)
    assert record([Step(0, 1, x), Step(1, 1, x)]).x[0].ravel().tolist() == [0, 128, 255]


def test_only_one_float_frame_is_held_at_a_time():
    alive = []

    def watched():
        for step in run(200):
            alive.append(weakref.ref(step.x))
            yield step
            del step
            assert sum(ref() is not None for ref in alive) <= 2  # this one and the last

    assert len(record(watched(), 20).i) == 20


@pytest.mark.parametrize("first", [1, 500, 999, 1000])
def test_a_sampler_that_starts_late_is_picked_evenly_too(first):
    recording = record(run(1000, first=first), 20)
    assert (recording.i[0], recording.i[-1]) == (first, 1000)
    gaps = [b - a for a, b in pairwise(recording.i[1:-1])]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert len(recording.i) <= 20


def test_a_sampler_that_strides_or_ends_early_keeps_its_last_step():
    recording = record(run(1000, stride=7), 20)
    assert recording.i[-1] == 994
    assert len(recording.i) == 20
    early = record((step for step in run(1000) if step.i <= 300), 11)
    assert early.i.tolist() == [0, 100, 200, 300]
    assert early.n == 1000  # a recording that ended early does not pretend to be whole
    odd = record((step for step in run(1000) if step.i <= 333), 11)
    assert odd.i.tolist() == [0, 100, 200, 300, 333]


def test_a_sampler_that_is_wrong_about_its_length_stays_small():
    for n in (0, 1, 5):
        steps = [Step(i, n, grey(i, 10_000)) for i in range(10_000)]
        recording = record(iter(steps), 64)
        assert len(recording.i) <= 64
        assert recording.i[-1] == 9_999
        assert np.array_equal(recording.x[-1], to_uint8(grey(9_999, 10_000)))


def test_one_step_is_a_recording():
    recording = record(run(0))
    assert (len(recording.x), recording.i.tolist(), recording.notes) == (1, [0], ["t = 0"])


# ---- guesses of the end


def test_no_guess_at_all():
    assert record(run(9, guess=False)).x.shape[0] == 10
    assert record(s._replace(x0=None) if s.i < 5 else s for s in run(9)).x0 is None
    assert record(s._replace(x0=None) if s.i in (0, 9) else s for s in run(9)).x0 is None


def test_the_last_frame_is_its_own_guess():
    recording = record(s._replace(x0=None) if s.i == 9 else s for s in run(9))
    assert np.array_equal(recording.x0[-1], recording.x[-1])
    assert np.array_equal(recording.x0[-2], to_uint8(-grey(8, 9)))
    given = record(run(9))
    assert np.array_equal(given.x0[-1], to_uint8(-grey(9, 9)))  # where there is one, it stays


# ---- what is not a recording


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "gave no steps: was this generator used up before"),
        (7, "steps must be what a sampler yields, but it is a int"),
        (run, "but it is a function"),
        ([grey(0, 1)], "must yield Steps, but this one yielded a Tensor"),
        ([Step(0, 1, torch.zeros(3, 4))], r"Step 0 must hold pictures \(B, C, H, W\), but it holds \(3, 4\)"),
        ([Step(2, 3, None)], "Step 2 must hold pictures .*, but it holds NoneType"),
        ([Step(0, 1, grey(0, 1), torch.zeros(3))], r"Step 0 must hold pictures .* holds \(3,\)"),
        ([Step(0, 1, grey(0, 1)), Step(1, 1, grey(1, 1, 3))], "changed the shape of its pictures"),
        ([Step(0, 1, grey(0, 1), grey(0, 1, 3))], "Step 0 has x of shape .* but x0 of shape"),
        ([Step(0, 1, grey(0, 1)), Step(1, 1, grey(1, 1) / 0)], "Step 1 holds NaN or infinite"),
        ([Step(0, 1, grey(0, 1), grey(0, 1) * torch.nan)], "Step 0 holds NaN or infinite"),
    ],
    ids=range(11),
)
def test_what_is_no_sampler_gets_a_sentence(steps, words):
    with pytest.raises(CourseError, match=words) as caught:
        record(steps)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frames", [1, 0, -3])
def test_too_few_frames(frames):
    with pytest.raises(CourseError, match=f"frames must be at least 2, the first and the last, got {frames}"):
        record(run(3), frames)
