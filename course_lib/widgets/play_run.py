"""One run of a Playground2D: the student's iterator, advanced in small portions and recorded on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from course_lib.widgets.frames import Thinned
from course_lib.widgets.page import WidgetError
from course_lib.widgets.play_frames import PlayFrame, Shot, shot
from course_lib.widgets.points import Extent

Make = Callable[[torch.Tensor], Iterator[PlayFrame]]


def by_name(make: Make | Mapping[str, Make]) -> dict[str, Make]:
    """The settings by name, in their order; a single function has the name "".

    Raises `WidgetError` for what is neither.
    """
    if not isinstance(make, Mapping):
        if not callable(make):
            raise WidgetError(
                "make must be a function from points to an iterator of frames, or a mapping from names to "
                f"such functions, but it is {make!r}."
            )
        return {"": make}
    if not make:
        raise WidgetError("make is an empty mapping: give it at least one setting, a name and its function.")
    for name, function in make.items():
        if not isinstance(name, str) or not name.strip():
            raise WidgetError(
                f"The name of a setting must be a string that is not empty, but one is {name!r}."
            )
        if not callable(function):
            raise WidgetError(
                f"The setting {name!r} must be a function from points to an iterator of frames, but it is "
                f"{function!r}."
            )
    return dict(make)


class Run:
    """Frames of `make(points)`, one by one.

    now:    the newest frame, or None where there is none yet.
    over:   empty while the run can go on, then a sentence: it ended, or what went wrong.
    failed: whether it went wrong.
    """

    def __init__(self, make: Make, points: torch.Tensor, extent: Extent) -> None:
        self.now: Shot | None = None
        self.over, self.failed = "", False
        self.shots: Thinned[Shot] = Thinned()
        self._make, self._points, self._extent = make, points, extent
        self._frames: Iterator[Any] | None = None

    def advance(self, frames: int, seconds: float) -> None:
        """Take up to `frames` frames, fewer where they take longer than `seconds` together; at least one."""
        until = time.monotonic() + seconds
        for _ in range(frames):
            if self.over:
                return
            self._take()
            if time.monotonic() > until:
                return

    def _take(self) -> None:
        try:
            if self._frames is None:
                self._frames = iter(self._make(self._points))
            taken = shot(next(self._frames), self._extent)
        except StopIteration:
            self._end(f"The run ended at step {self.now.step}." if self.now else "make gave no frame at all.")
        except WidgetError as error:
            self._end(str(error), failed=True)
        except Exception as error:  # whatever a student's code raises becomes a sentence
            reason = str(error).strip().split("\n")[0][:200]
            where = f" after step {self.now.step}" if self.now else ""
            self._end(f"make stopped{where}: {type(error).__name__}: {reason}.", failed=True)
        else:
            self.now = taken
            self.shots.add(taken)

    def _end(self, sentence: str, failed: bool = False) -> None:
        self.over, self.failed, self._frames = sentence, failed or self.now is None, None
