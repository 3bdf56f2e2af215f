"""The sliders of a LatentSliders: which way each one moves a latent point, how far, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from course_lib.widgets.page import WidgetError

_MOST = 64  # sliders
_WIDE = 3.0  # standard deviations to each side
_DRAWS = 64  # random points that a page has

Array = NDArray[np.float64]


class LatentSpace(NamedTuple):
    """k sliders in d latent dimensions. The point at the values s (k,) is `offset + s @ directions`."""

    names: list[str]
    directions: Array  # (k, d)
    offset: Array  # (d,)
    start: Array  # (k,), in low .. high
    low: Array
    high: Array
    draws: NDArray[np.uint8]  # (n, k): 0 is low, 255 is high
    order: str  # in which order the sliders stand, for people

    def points(self, values: Array) -> NDArray[np.float32]:
        """Values (..., k) -> latent points (..., d)."""
        return (self.offset + values @ self.directions).astype(np.float32)

    def values(self, z: Array) -> Array:
        """The sliders' values (k,) that come nearest to the latent point z (d,), inside their ranges."""
        return np.clip((z - self.offset) @ np.linalg.pinv(self.directions), self.low, self.high)

    def swept(self, places: int) -> NDArray[np.float32]:
        """Each slider at evenly spread places while the others rest: latent points (k * places, d)."""
        values = np.repeat(np.tile(self.start, (len(self.start), 1))[:, None], places, axis=1)
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            values[i, :, i] = np.linspace(low, high, places)
        return self.points(values).reshape(-1, self.directions.shape[1])


def checked_space(
    dims: int,
    start: ArrayLike | None,
    spread: ArrayLike | None,
    names: Sequence[str] | None,
    directions: ArrayLike | None,
    codes: ArrayLike | None,
) -> LatentSpace:
    """The sliders for what the user gave; see LatentSliders. Raises `WidgetError` on bad input."""
    if isinstance(dims, bool) or not isinstance(dims, int | np.integer) or dims < 1:
        raise WidgetError(f"dims must be a whole number of latent dimensions from 1, but it is {dims!r}.")
    d = int(dims)
    data = None if codes is None else _numbers(codes, "codes", (None, d))
    middle = np.zeros(d) if data is None else data.mean(0)
    origin = middle if start is None else _numbers(start, "start", (d,))
    axes = np.eye(d) if directions is None else _numbers(directions, "directions", (None, d))
    k = len(axes)
    if not 1 <= k <= _MOST:
        hint = f"directions=..., at most {_MOST} ways to move, for example the principal ones"
        raise WidgetError(
            f"{k} sliders are too many: give {hint}." if k else "directions holds no direction."
        )
    if np.linalg.norm(axes, axis=1).min() < 1e-9:
        raise WidgetError("directions holds a row of zeros, which leads nowhere.")
    offset = np.zeros(d) if directions is None else origin
    begin = origin.copy() if directions is None else np.zeros(k)
    along = None if data is None else (data - offset) @ np.linalg.pinv(axes)  # (N, k)
    low, high = _ranges(begin, spread, along)
    titles = _names(names, k)
    draws = _draws(begin, low, high, along)
    space = LatentSpace(titles, axes, offset, begin, low, high, draws, "")
    return _sorted(space, along) if along is not None and directions is None else space


def _numbers(value: ArrayLike, name: str, shape: tuple[int | None, ...]) -> Array:
    """`value` as finite float64 numbers of the shape; None stands for any length."""
    try:
        plain = value.detach().cpu().double() if isinstance(value, torch.Tensor) else value
        array = np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise WidgetError(f"{name} must hold numbers, but it is {value!r:.80}.") from None
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=False))
    if not fits or array.size == 0:
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise WidgetError(f"{name} must have the shape ({wanted}), but it has {array.shape}.")
    if not np.isfinite(array).all():
        raise WidgetError(f"{name} holds NaN or infinity: has the training diverged?")
    return array


def _ranges(start: Array, spread: ArrayLike | None, along: Array | None) -> tuple[Array, Array]:
    k = len(start)
    if spread is not None:
        half = _numbers(spread, "spread", () if np.ndim(spread) == 0 else (k,)) * np.ones(k)  # type: ignore[arg-type]
        if half.min() <= 0:
            raise WidgetError(f"spread must be above 0 everywhere, but it holds {half.min():g}.")
        return start - half, start + half
    if along is None:
        return start - _WIDE, start + _WIDE
    deviation = along.std(0)
    deviation = np.maximum(deviation, max(0.01 * deviation.max(), 1e-3))  # a dead dimension moves a little
    middle = along.mean(0)
    low, high = middle - _WIDE * deviation, middle + _WIDE * deviation
    return np.minimum(low, start), np.maximum(high, start)


def _names(names: Sequence[str] | None, k: int) -> list[str]:
    if names is None:
        return ["z" + str(i + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")) for i in range(k)]
    if isinstance(names, str) or len(names) != k:
        raise WidgetError(f"names must be {k} texts, one for each slider, but it is {names!r:.80}.")
    return [str(name) for name in names]


def _draws(start: Array, low: Array, high: Array, along: Array | None) -> NDArray[np.uint8]:
    """Random points from the Gaussian of the data, or where there is none from one that fits the sliders."""
    rng = np.random.default_rng(0)
    if along is None or len(along) < 2:
        values = rng.normal(start, (high - low) / (2 * _WIDE), (_DRAWS, len(start)))
    else:
        covariance = np.atleast_2d(np.cov(along, rowvar=False))
        values = rng.multivariate_normal(along.mean(0), covariance, _DRAWS, method="eigh")
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _sorted(space: LatentSpace, along: Array) -> LatentSpace:
    """The same with the dimensions in which the data vary most first."""
    order = np.argsort(-along.std(0), kind="stable")
    return LatentSpace(
        [space.names[i] for i in order],
        space.directions[order],
        space.offset,
        space.start[order],
        space.low[order],
        space.high[order],
        space.draws[:, order],
        "Sorted: the data vary most along the first." if len(order) > 1 else "",
    )
