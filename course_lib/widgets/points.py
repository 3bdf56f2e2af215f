"""Labelled latent points, checked, thinned and packed for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from course_lib.widgets.page import WidgetError
from course_lib.widgets.palette import DARK, LIGHT

Extent = tuple[float, float, float, float]  # left, right, bottom, top
_MOST = 2000  # points drawn: more only hides the structure


@dataclass(frozen=True)
class Points:
    """Points to draw: xy (N, 2), kind (N,) an index into classes; a class has a name and two colours."""

    xy: NDArray[np.float32]
    kind: NDArray[np.uint8]
    classes: list[dict[str, str]]

    def packed(self, extent: Extent) -> bytes:
        """uint16 pairs, little-endian: 0 is the left (bottom) edge of the extent, 65535 the other."""
        low, high = np.array(extent[0::2]), np.array(extent[1::2])
        return np.rint((self.xy - low) / (high - low) * 65535).astype("<u2").tobytes()

    def inside(self, extent: Extent) -> Points:
        """The points that lie in the extent."""
        left, right, bottom, top = extent
        x, y = self.xy[:, 0], self.xy[:, 1]
        keep = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        return Points(self.xy[keep], self.kind[keep], self.classes)


def checked_points(points: ArrayLike | None, labels: ArrayLike | None, names: Sequence[str] | None) -> Points:
    """At most 2,000 points, evenly picked, with their classes. Raises `WidgetError` on bad input."""
    if points is None:
        if labels is not None:
            raise WidgetError(
                "labels were given without points: pass points=, the latent points they belong to."
            )
        return Points(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), [])
    xy = _array(points, "points").astype(np.float32)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise WidgetError(
            f"points must have shape (N, 2), one latent point a row, but they have shape {xy.shape}."
        )
    if not np.isfinite(xy).all():
        raise WidgetError(f"{int((~np.isfinite(xy)).any(1).sum())} of {len(xy)} points hold NaN or infinity.")
    kind, classes = _classes(labels, names, len(xy))
    pick = np.linspace(0, len(xy) - 1, min(len(xy), _MOST)).round().astype(int)
    return Points(xy[pick], kind[pick], classes)


def box(extent: float | Sequence[float] | None, points: Points) -> Extent:
    """The part of the plane to show: from a half-width, from its four edges, or around the points."""
    if extent is None:
        if len(points.xy) == 0:
            return (-3.0, 3.0, -3.0, 3.0)
        return _around(points.xy)
    numbers = np.ravel(_array(extent, "extent")).astype(float)
    if numbers.size == 1:
        numbers = np.array([-1, 1, -1, 1]) * numbers
    if (
        numbers.size != 4
        or not np.isfinite(numbers).all()
        or numbers[0] >= numbers[1]
        or numbers[2] >= numbers[3]
    ):
        raise WidgetError(
            "extent must be a positive half-width or (left, right, bottom, top) with left < right and "
            f"bottom < top, but it is {extent}."
        )
    left, right, bottom, top = (float(value) for value in numbers)
    return left, right, bottom, top


def _around(xy: NDArray[np.float32]) -> Extent:
    """A box with 98% of the points along each axis and a little room, on rounded numbers."""
    low, high = np.percentile(xy.astype(float), [1, 99], axis=0)
    room = np.maximum(0.08 * (high - low), 1e-3)
    step = 10.0 ** np.floor(np.log10(high - low + 2 * room)) / 10
    low, high = np.floor((low - room) / step) * step, np.ceil((high + room) / step) * step
    left, right, bottom, top = (round(float(value), 6) for value in (low[0], high[0], low[1], high[1]))
    return left, right, bottom, top


def _classes(
    labels: ArrayLike | None, names: Sequence[str] | None, count: int
) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    if labels is None:
        return np.zeros(count, np.uint8), [{"name": "data", "light": LIGHT[0], "dark": DARK[0]}]
    kind = _array(labels, "labels").ravel()
    if len(kind) != count:
        raise WidgetError(
            f"labels must have one entry per point, but there are {len(kind)} labels for {count} points."
        )
    if kind.dtype.kind not in "iub" or (count and kind.min() < 0):
        raise WidgetError(f"labels must be whole numbers from 0, but they are {kind.dtype}.")
    number = int(kind.max()) + 1 if count else 0
    if number > len(LIGHT):
        raise WidgetError(
            f"labels go up to {number - 1}, but only {len(LIGHT)} colours can be told apart: merge classes."
        )
    if names is not None and len(names) < number:
        raise WidgetError(f"names has {len(names)} entries, but the labels go up to {number - 1}.")
    texts = [str(i) for i in range(number)] if names is None else [str(name) for name in names[:number]]
    classes = [{"name": text, "light": LIGHT[i], "dark": DARK[i]} for i, text in enumerate(texts)]
    return kind.astype(np.uint8), classes


def _array(value: ArrayLike, name: str) -> NDArray:
    try:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise WidgetError(f"{name} cannot be read as an array of numbers: {error}.") from None
    if array.dtype.kind not in "fiub":
        raise WidgetError(f"{name} must hold numbers, but it holds {array.dtype}.")
    return array
