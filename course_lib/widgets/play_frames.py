"""What a Playground2D shows: its frames, checked, made small, and recorded as a film.

A place in the plane is stored as two whole numbers from 0 to 1023: 128 is the left (bottom) edge of the
plane, 896 the other, so that points a little outside stay where they are. A step is less than half a pixel.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from course_lib.widgets.page import WidgetError
from course_lib.widgets.points import Extent

EDGE, SPAN, TOP = 128, 768, 1023  # see above
LEVELS = 63  # a field is stored as whole numbers 0..62: 31 is one half
MOST_SAMPLES, MOST_ARROWS, MOST_FIELD = 400, 200, 64
MOST_NUMBERS, _LONGEST = 6, 40  # figures of a frame, and letters of a name or a figure
_FILM = 29_000  # bytes of a film, compressed: a saved notebook then holds less than 90 KB of it all
_FILM_ARROWS = 41  # every second one of a grid of 9 x 9

Places = NDArray[np.uint16]


class PlayFrame(NamedTuple):
    """One moment of a two-dimensional training or sampling run."""

    step: int  # how many steps the run has made
    samples: ArrayLike  # (M, 2), in the units of the plane
    field: ArrayLike | None = None  # (G, G) in [0, 1] at `field_points(G)`, such as D(x)
    arrows: ArrayLike | None = None  # (K, 4): x, y and dx, dy, drawn as long as they are
    losses: Mapping[str, float] = {}  # to plot, by name
    numbers: Mapping[str, str | float | int] = {}  # to read, by name: {"modes covered": "7 of 8"}; at most 6


class Shot(NamedTuple):
    """A frame as it is kept and sent."""

    step: int
    losses: dict[str, float]
    samples: Places  # (M, 2)
    field: NDArray[np.uint8]  # (G * G,), row by row from the top left; G = 0: there is none
    arrows: Places  # (K, 4): from, to
    numbers: dict[str, str]  # as they are shown

    def head(self) -> dict[str, Any]:
        """What is not bytes: the step, losses and numbers, and how much there is of the rest."""
        numbers = [[name, text] for name, text in self.numbers.items()]  # JSON objects would lose the order
        counts = [len(self.samples), round(len(self.field) ** 0.5), len(self.arrows)]
        return {"step": self.step, "losses": self.losses, "numbers": numbers, "counts": counts}


def field_points(n: int = 24, extent: float = 1.0) -> torch.Tensor:
    """The places where a field is asked for: float32 (n * n, 2), row by row from the bottom left.

    `D(field_points(24)).reshape(24, 24)` is a `PlayFrame.field` for a plane of half-width `extent`.
    """
    line = torch.linspace(-extent, extent, n)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def to_places(xy: NDArray[np.float64], extent: Extent) -> Places:
    """Points (N, 2) in the units of the plane -> uint16 (N, 2)."""
    low, high = np.array(extent[0::2]), np.array(extent[1::2])
    return np.clip(np.rint(EDGE + SPAN * (xy - low) / (high - low)), 0, TOP).astype("<u2")


def from_places(places: NDArray[Any], extent: Extent) -> torch.Tensor:
    """The way back: float32 (N, 2)."""
    low, high = np.array(extent[0::2]), np.array(extent[1::2])
    xy = low + (places.reshape(-1, 2).astype(float) - EDGE) / SPAN * (high - low)
    return torch.from_numpy(xy.astype(np.float32))


def shot(frame: object, extent: Extent) -> Shot:
    """A frame, checked and made small. Raises `WidgetError` on bad values."""
    if not isinstance(frame, PlayFrame):
        raise WidgetError(
            f"make must yield PlayFrame(step, samples, ...) frames, but it gave a {type(frame).__name__}."
        )
    samples = _numbers(frame.samples, "samples", frame.step, 2, MOST_SAMPLES)
    arrows = np.zeros((0, 4))
    if frame.arrows is not None:
        arrows = _numbers(frame.arrows, "arrows", frame.step, 4, MOST_ARROWS)
    ends = np.concatenate([arrows[:, :2], arrows[:, :2] + arrows[:, 2:]])
    around = to_places(ends, extent).reshape(2, -1, 2).transpose(1, 0, 2).reshape(-1, 4)
    losses = {str(name): round(float(value), 5) for name, value in frame.losses.items()}
    finite = {name: value for name, value in losses.items() if np.isfinite(value)}
    return Shot(
        int(frame.step), finite, to_places(samples, extent), _field(frame), around, _figures(frame.numbers)
    )


def film(shots: Sequence[Shot]) -> tuple[list[dict[str, Any]], bytes]:
    """Shots -> the head of each, and one text of bytes: places of samples, places of arrows, fields.

    Places are halved (a pixel is enough), and each number is stored as its difference to the same number of
    the shot before: differences are small and compress well. Of 16-bit numbers all low bytes come first, then
    all high bytes. Where the film would still be large, it keeps fewer arrows and fewer shots. The numbers
    stay in the heads, but count as a part of the film.
    """
    if not shots:
        return [], b""
    shots = [shot._replace(arrows=evenly(shot.arrows, _FILM_ARROWS)) for shot in shots]
    while True:
        data = b"".join(
            [
                _differences([shot.samples >> 1 for shot in shots]),
                _differences([shot.arrows >> 1 for shot in shots]),
                _differences([shot.field for shot in shots]),
            ]
        )
        numbers = [shot.numbers for shot in shots]
        texts = json.dumps(numbers).encode() if any(numbers) else b""
        if len(shots) <= 16 or len(zlib.compress(data + texts, 9)) <= _FILM:
            return [shot.head() for shot in shots], data
        shots = [shots[i] for i in evenly(np.arange(len(shots)), len(shots) * 7 // 8)]


def _differences(parts: Sequence[NDArray[Any]]) -> bytes:
    flat, before = [], np.zeros(0, parts[0].dtype)
    for part in parts:
        now = part.ravel()
        change = now.copy()
        both = min(len(now), len(before))
        change[:both] -= before[:both]  # unsigned: wraps, and the page wraps back
        flat.append(change)
        before = now
    values = np.concatenate(flat)
    if values.dtype.itemsize == 1:
        return values.tobytes()
    return (values & 255).astype(np.uint8).tobytes() + (values >> 8).astype(np.uint8).tobytes()


def _numbers(value: ArrayLike, name: str, step: int, columns: int, most: int) -> NDArray[np.float64]:
    """(N, columns) finite floats, at most `most` of them, evenly picked."""
    array = _array(value, name)
    if array.ndim != 2 or array.shape[1] != columns:
        raise WidgetError(
            f"{name} of a frame must have shape (N, {columns}), but at step {step} they have {array.shape}."
        )
    bad = int((~np.isfinite(array)).any(axis=1).sum())
    if bad:
        raise WidgetError(
            f"{bad} of {len(array)} {name} are NaN or infinite at step {step}: the training has diverged. "
            "Restart it, perhaps with a smaller learning rate."
        )
    return evenly(array, most)


def evenly(array: NDArray[Any], most: int) -> NDArray[Any]:
    """At most `most` rows, evenly picked, the first and the last among them."""
    return array[np.linspace(0, len(array) - 1, min(len(array), most)).round().astype(int)]


def _field(frame: PlayFrame) -> NDArray[np.uint8]:
    if frame.field is None:
        return np.zeros(0, np.uint8)
    array = _array(frame.field, "field")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not 2 <= len(array) <= MOST_FIELD:
        raise WidgetError(
            f"field must have shape (G, G) with G from 2 to {MOST_FIELD}, but at step {frame.step} it has "
            f"{array.shape}: see field_points."
        )
    if not np.isfinite(array).all():
        raise WidgetError(f"field holds NaN or infinity at step {frame.step}: the training has diverged.")
    if array.min() < -1e-3 or array.max() > 1 + 1e-3:
        raise WidgetError(
            f"field must lie in [0, 1], but at step {frame.step} it goes from {array.min():.3g} to "
            f"{array.max():.3g}: is a sigmoid missing?"
        )
    return np.rint(np.clip(array, 0, 1) * (LEVELS - 1)).astype(np.uint8)[::-1].ravel()


def _figures(numbers: object) -> dict[str, str]:
    """Numbers by name, each as the text to show: three digits of a float, a string as it is."""
    if not isinstance(numbers, Mapping):
        raise WidgetError(
            f"numbers of a frame must be a mapping from names to values, but it is {numbers!r}."
        )
    if len(numbers) > MOST_NUMBERS:
        raise WidgetError(
            f"numbers of a frame holds {len(numbers)} values, but there is room for {MOST_NUMBERS}: "
            "leave some out."
        )
    return {_short(str(name)): _short(_figure(str(name), value)) for name, value in numbers.items()}


def _figure(name: str, value: object) -> str:
    if isinstance(value, str | int):
        return str(value)
    try:
        return f"{float(value):.3g}".replace("-", "\N{MINUS SIGN}")  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise WidgetError(
            f"The number {name!r} of a frame must be a string or a single number, but it is {value!r}."
        ) from None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _array(value: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = (
            value.detach().cpu().double().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        )
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise WidgetError(f"{name} of a frame cannot be read as numbers: {error}.") from None
