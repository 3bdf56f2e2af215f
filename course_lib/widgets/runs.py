"""The runs of samplers that a Denoiser shows: read once, checked, and thinned while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch

from course_lib.method import Step
from course_lib.recording import Recording
from course_lib.widgets.frames import Thinned, evenly, lazily, noisy_pixels, reason
from course_lib.widgets.page import WidgetError
from course_lib.widgets.sheet import Bytes3, checked_images, value_note

_PICTURES = 8  # of a batch, side by side
Level = Callable[[Step], float]


class RunFrame(NamedTuple):
    """A `Step` as it is held: pictures uint8 (P, H, W, C)."""

    i: int
    n: int
    x: Bytes3
    x0: Bytes3 | None
    note: str
    noise: float | None


class Run(NamedTuple):
    """What one sampler did."""

    name: str
    frames: list[RunFrame]
    note: str  # what a viewer should know about it

    @property
    def label(self) -> str:
        """The run in a sentence."""
        return f'"{self.name}"' if self.name else "steps"

    @property
    def size(self) -> tuple[int, int, int]:
        """C, H, W of its images."""
        _, height, width, channels = self.frames[0].x.shape
        return channels, height, width

    @property
    def n(self) -> int:
        """The number of its last step."""
        return self.frames[-1].n

    def with_pictures(self, count: int) -> Run:
        """The same with the first `count` pictures of each frame."""
        cut = [f._replace(x=f.x[:count], x0=None if f.x0 is None else f.x0[:count]) for f in self.frames]
        return self._replace(frames=cut)

    def places(self) -> list[float]:
        """How far along each frame is, 0..1: i / n, or evenly spread where that makes no sense."""
        shares = [frame.i / max(frame.n, 1) for frame in self.frames]
        rising = all(a < b for a, b in zip(shares, shares[1:], strict=False))
        if not rising or shares[0] < 0 or shares[-1] > 1:
            shares = np.linspace(0, 1, len(shares)).tolist()
        return [round(share, 6) for share in shares]


def aligned(runs: Sequence[Run]) -> tuple[list[list[float]], bool]:
    """Places at which the runs are equally noisy, and True; places in steps, and False, where that cannot be.

    A frame stands where the first run has its noise level. So the noise of every run must fall all the way.
    """
    levels = [[-float(frame.noise or 0) for frame in run.frames] for run in runs]
    own = [run.places() for run in runs]
    falling = all(a < b for row in levels for a, b in zip(row, row[1:], strict=False))
    if not falling or len(runs) < 2:
        return own, False
    placed = [np.interp(row, levels[0], own[0]).round(6).tolist() for row in levels]
    distinct = all(len(set(row)) == len(row) for row in placed)
    return (placed, True) if distinct else (own, False)


def checked_picks(pictures: int | Sequence[int]) -> list[int]:
    """Which pictures of a batch to show, by position."""
    if isinstance(pictures, int) and not isinstance(pictures, bool) and 1 <= pictures <= _PICTURES:
        return list(range(pictures))
    if isinstance(pictures, Sequence) and 1 <= len(pictures) <= _PICTURES:
        picks = list(pictures)
        if all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in picks):
            return picks
    raise WidgetError(
        f"pictures must be a number from 1 to {_PICTURES}, or a list of at most {_PICTURES} positions in the "
        f"batch, but it is {pictures!r}."
    )


def noise_levels(noise: Callable[[Step], float] | Sequence[float] | None) -> Level | None:
    """The noise level as a function of a step, from what the user gave."""
    if noise is None or callable(noise):
        return noise
    try:
        levels = np.asarray(torch.as_tensor(noise).detach().cpu().double())
    except (TypeError, ValueError, RuntimeError):
        levels = np.zeros(0)
    if levels.ndim != 1 or len(levels) < 2 or not np.isfinite(levels).all() or levels.min() < 0:
        raise WidgetError(
            "noise must be a function of a Step, or at least two noise levels of 0 or more, from the first "
            f"step to the last, but it is a {type(noise).__name__}."
        )
    grid = np.linspace(0, 1, len(levels))
    return lambda step: float(np.interp(step.i / max(step.n, 1), grid, levels))


def recorded(name: str, steps: object, which: list[int], level: Level | None, most: int) -> Run:
    """Read a sampler to its end; at most 64 frames are held meanwhile and `most` kept.

    Raises `WidgetError` for anything that is not an iterable of Steps of images, for NaN, for images that
    change their size, and for a last x that is no image. An iterator that raises ends the run there.
    """
    label = Run(name, [], "").label
    held: Thinned[RunFrame] = Thinned()
    note, last, size = "", None, None
    iterator = _iterator(steps, label)
    while True:
        try:
            step = next(iterator)
        except StopIteration:
            break
        except Exception as error:  # a student's sampler: what it did until here is worth seeing
            if held.count == 0:
                raise WidgetError(f"{label} stopped before its first step with {reason(error)}.") from error
            note, last = f"{label} stopped after {held.count} steps with {reason(error)}.", None
            break
        frame = _frame(step, label, which, level)
        if size not in (None, frame.x.shape):
            raise WidgetError(
                f"step {step.i} of {label} shows pictures (N, H, W, C) of {frame.x.shape}, and the steps "
                f"before of {size}: all steps of a sampler must be of one size."
            )
        size, last = frame.x.shape, step
        held.add(frame)
    if held.count == 0:
        raise WidgetError(
            f"{label} gave no step at all. A sampler can be read only once: call it again for every widget."
        )
    if last is not None:
        note = _remark(last, label)
    return Run(name, evenly(held.items(), most), note)


def _iterator(steps: object, label: str) -> Iterator[Step]:
    if isinstance(steps, Recording):
        return _replayed(steps)
    if not isinstance(steps, Iterable) or isinstance(steps, str | torch.Tensor | np.ndarray):
        hint = ": call it, and pass what it gives" if callable(steps) else ""
        raise WidgetError(
            f"{label} must be the steps of a sampler, an iterable of Step, but it is a "
            f"{type(steps).__name__}{hint}."
        )
    return lazily(steps)


def _replayed(recording: Recording) -> Iterator[Step]:
    """A `course_lib.recording.Recording` as Steps again."""

    def images(frames: Bytes3, k: int) -> torch.Tensor:
        return torch.from_numpy(frames[k].transpose(0, 3, 1, 2).copy())

    for k, i in enumerate(recording.i):
        x0 = None if recording.x0 is None else images(recording.x0, k)
        yield Step(int(i), recording.n, images(recording.x, k), x0, recording.notes[k])


def _frame(step: Step, label: str, which: list[int], level: Level | None) -> RunFrame:
    if not isinstance(step, Step):
        raise WidgetError(
            f"{label} must yield course_lib.method.Step, but it yields a {type(step).__name__}."
        )
    if not all(isinstance(number, Integral) for number in (step.i, step.n)):
        raise WidgetError(
            f"{label} must number its steps in whole numbers, but has {step.i!r} of {step.n!r}."
        )
    i = int(step.i)
    x = noisy_pixels(_chosen(step.x, which, label), f"x of step {i} of {label}")
    x0 = None
    if step.x0 is not None:
        x0 = noisy_pixels(_chosen(step.x0, which, label), f"x0 of step {i} of {label}")
        if x0.shape != x.shape:
            raise WidgetError(
                f"step {i} of {label} has an x0 of shape {tuple(step.x0.shape)}, but an x of shape "
                f"{tuple(step.x.shape)}."
            )
    return RunFrame(i, int(step.n), x, x0, str(step.note), _level(level, step, label))


def _chosen(x: object, which: list[int], label: str) -> object:
    """The pictures to show, where x is a batch at all; `checked_images` says what is wrong with the rest."""
    if not isinstance(x, torch.Tensor | np.ndarray) or x.ndim != 4:
        return x
    if max(which) >= len(x) and which != list(range(len(which))):
        raise WidgetError(f"pictures asks for {max(which)}, but {label} has a batch of {len(x)}, from 0.")
    return x[[i for i in which if i < len(x)]]


def _level(level: Level | None, step: Step, label: str) -> float | None:
    if level is None:
        return None
    try:
        value = float(level(step))
    except Exception as error:  # a student's function
        raise WidgetError(f"noise stopped at step {step.i} of {label} with {reason(error)}.") from error
    if not np.isfinite(value) or value < 0:
        raise WidgetError(f"noise must be 0 or more, but at step {step.i} of {label} it is {value}.")
    return round(value, 5)


def _remark(last: Step, label: str) -> str:
    """What is odd about the sample. Raises `WidgetError` where it cannot be one."""
    x = last.x.detach().cpu() if isinstance(last.x, torch.Tensor) else torch.from_numpy(last.x)
    if x.is_floating_point():
        low, high = x.min().item(), x.max().item()
        if max(-low, high) > 4:
            raise WidgetError(
                f"the last x of {label} goes from {low:.3g} to {high:.3g}, but a finished sample is in "
                "[-1, 1]: has the sampler diverged, or are its images in [0, 255]?"
            )
    remark = value_note(checked_images(x, f"the last x of {label}"))
    return f"The last x of {label}: {remark}" if remark else ""
