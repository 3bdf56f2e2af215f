"""What is kept of a sampler's run: a few frames as bytes. All of them as floats would fill the memory.

Sixteen colour pictures of 64x64 over 1,000 steps are 786 MB of floats; the 64 frames kept here are 13 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.errors import CourseError
from course_lib.method import Step
from course_lib.viz import to_uint8

Bytes = NDArray[np.uint8]


class Recording(NamedTuple):
    """F frames of B pictures, in the order of the steps; the last one is the sample."""

    x: Bytes  # (F, B, H, W, C): the states, clipped to [-1, 1]
    x0: Bytes | None  # the guesses of the end, same shape; None where a frame had none
    i: NDArray[np.int64]  # (F,): which steps these are, increasing
    n: int  # of so many
    notes: list[str]  # F of them: "t = 420"


def record(steps: Iterable[Step], frames: int = 64) -> Recording:
    """Run a sampler to its end and keep the first step, the last, and evenly spaced ones between them.

    frames: keep at most so many, at least 2. Holds one float frame at a time. A last step without a guess of
    the end is its own. Raises CourseError for an iterable that is empty, or gives something other than Steps
    of pictures (B, C, H, W) of one shape, or a NaN in a frame that is kept.
    """
    if frames < 2:
        raise CourseError(f"frames must be at least 2, the first and the last, got {frames}.")
    if not isinstance(steps, Iterable):
        raise CourseError(f"steps must be what a sampler yields, but it is a {type(steps).__name__}.")
    kept: list[_Frame] = []
    last, due = None, 0  # positions 0 .. frames - 1 are spread evenly over i = 0 .. n; which one is due
    for last in steps:
        position = _position(last, frames)
        if position >= due and len(kept) < frames - 1:
            kept.append(_frame(last))
            due = position + 1
    if last is None:
        raise CourseError("The sampler gave no steps: was this generator used up before?")
    end = _frame(last)
    kept = [frame for frame in kept if frame.i != end.i] + [end]
    if len({frame.x.shape for frame in kept}) > 1:
        raise CourseError("The sampler changed the shape of its pictures on the way: it must keep one.")
    guesses = [frame.x0 for frame in kept[:-1]] + [end.x if end.x0 is None else end.x0]
    known = [guess for guess in guesses if guess is not None]
    return Recording(
        x=np.stack([frame.x for frame in kept]),
        x0=np.stack(known) if len(known) == len(kept) else None,
        i=np.array([frame.i for frame in kept], np.int64),
        n=last.n,
        notes=[frame.note for frame in kept],
    )


class _Frame(NamedTuple):
    """A `Step` whose pictures are bytes (B, H, W, C)."""

    i: int
    x: Bytes
    x0: Bytes | None
    note: str


def _position(step: Step, frames: int) -> int:
    if not isinstance(step, Step):
        raise CourseError(f"A sampler must yield Steps, but this one yielded a {type(step).__name__}.")
    return step.i * (frames - 1) // max(step.n, 1)


def _frame(step: Step) -> _Frame:
    guess = None if step.x0 is None else _bytes(step.x0, step)
    frame = _Frame(step.i, _bytes(step.x, step), guess, step.note)
    if guess is not None and guess.shape != frame.x.shape:
        raise CourseError(f"Step {step.i} has x of shape {frame.x.shape}, but x0 of shape {guess.shape}.")
    return frame


def _bytes(x: torch.Tensor, step: Step) -> Bytes:
    if not isinstance(x, torch.Tensor) or x.dim() != 4:
        got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise CourseError(f"Step {step.i} must hold pictures (B, C, H, W), but it holds {got}.")
    if not torch.isfinite(x).all():
        raise CourseError(f"Step {step.i} holds NaN or infinite values: has the training diverged?")
    return to_uint8(x)
