"""The recorder of a training: losses, pictures, points, heat maps and curves, in little memory.

However long the training, at most 64 moments are held, as uint8 pictures, and 256 points of each curve.
Nothing here needs Jupyter, so a training on a bare machine can fill a `Film`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.widgets.frames import Thinned, reason
from course_lib.widgets.page import WidgetError
from course_lib.widgets.sheet import Bytes3, checked_images, to_bytes

PICTURES = 16  # of one moment
_POINTS = 200  # of one moment: more only hides the structure
_FIELD = 64  # cells a side of a heat map
_LINE = 400  # places of a curve over a line
_CURVE = 256  # points of a curve

Array = NDArray[np.float32]
Lazy = torch.Tensor | NDArray | Callable[[], object] | None
Curves = Mapping[str, torch.Tensor | NDArray] | Callable[[], object] | None


class Frame(NamedTuple):
    """One moment of a training. Whatever is None was not looked at then.

    Pictures, points and field are tensors or arrays, or functions without arguments that make them; line is a
    dict of them, or a function that makes one.
    """

    step: int  # rising
    images: Lazy = None  # (N, C, H, W) in [-1, 1]; the first 16 are kept
    losses: Mapping[str, float] = {}
    points: Lazy = None  # (N, 2), such as generated points; 200 of them are kept
    field: Lazy = None  # (G, G), G = 2..64, such as D(x): row i is y_i, column j x_j, from edge to edge
    line: Curves = None  # name -> (K,), K = 2..400: curves over data of one dimension, from edge to edge


class Shot(NamedTuple):
    """A `Frame` as it is held."""

    step: int
    images: Bytes3 | None  # (P, H, W, C)
    points: Array | None
    field: Array | None
    line: dict[str, Array] | None


class Film:
    """Records a training from inside its loop; `TrainingFilm(film)` plays it.

        film = Film()
        for step in range(2000):
            ...
            film.add(step, losses={"D": d.item(), "G": g.item()}, images=lambda: G(z))

    Pictures, points and heat maps are best given as functions: they are called, without gradients, only for
    the moments that are kept, about 30 for every doubling of the steps, so a film costs next to nothing. Use
    the same `z` every time, and put G into eval mode inside the function if that matters to it. With `fit`:
    `fit(..., hooks=(film.hook(images=lambda: G(z)),))`; add the last state once more at the end.

    A mistake in the very first frame raises `WidgetError` at once, before you have trained for minutes. What
    goes wrong later never stops your loop: the film keeps what it has, and `film.problem` says why it ended.
    """

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self.problem = ""
        self._shots: Thinned[Shot] = Thinned()
        self._step = -1
        self._sizes: dict[str, tuple[object, ...]] = {}
        self._holes = 0  # losses that were not finite

    def add(
        self,
        step: int,
        *,
        images: Lazy = None,
        losses: Mapping[str, float] | None = None,
        points: Lazy = None,
        field: Lazy = None,
        line: Curves = None,
    ) -> None:
        """The next moment, see `Frame`."""
        if self.problem:
            return
        try:
            self.record(Frame(step, images, losses or {}, points, field, line))
        except WidgetError as error:
            if self._step < 0:
                raise
            self.problem = f"The film ends at step {self._step}: {error}"

    def hook(
        self, *, images: Lazy = None, points: Lazy = None, field: Lazy = None, line: Curves = None
    ) -> Callable[[int, dict[str, float]], None]:
        """A hook for `fit`: it records the losses of every step, and what is due to be looked at."""

        def look(step: int, losses: dict[str, float]) -> None:
            self.add(step, images=images, losses=losses, points=points, field=field, line=line)

        return look

    def record(self, frame: Frame) -> None:
        """As `add`, but raises `WidgetError` wherever something in the frame is wrong."""
        step = _whole(frame.step)
        if step <= self._step:
            raise WidgetError(
                f"step {step} came after step {self._step}, but steps must rise: "
                "use a new Film() for a new run."
            )
        losses = {str(name): _number(f"loss {name} at step {step}", v) for name, v in frame.losses.items()}
        lazy = any(callable(part) for part in (frame.images, frame.points, frame.field, frame.line))
        if lazy and not self._shots.due():
            self._shots.skip()
        else:
            shot = _shot(step, frame)
            self._keep_size("images", None if shot.images is None else shot.images.shape[1:])
            self._keep_size("field", None if shot.field is None else shot.field.shape)
            self._keep_size("line", None if shot.line is None else _line_size(shot.line))
            self._shots.add(shot)
        self._step = step
        for name, value in losses.items():
            self.curves.setdefault(name, Curve()).add(step, value)
            self._holes += not isfinite(value)

    def _keep_size(self, name: str, size: tuple[object, ...] | None) -> None:
        if size is not None and self._sizes.setdefault(name, size) != size:
            raise WidgetError(
                f"{name} changed their size from {self._sizes[name]} to {size}: a film shows one size."
            )

    def shots(self) -> list[Shot]:
        """The moments that are held, at most 64, in order."""
        return self._shots.items()

    def note(self) -> str:
        """What a viewer should know: why the film ended early, how many losses were not finite."""
        many = f"{self._holes} losses were NaN or infinite: the curves have gaps there."
        return " ".join(text for text in (self.problem, many if self._holes else "") if text)


class Curve:
    """A line of any number of points, held as at most 256 means of neighbours."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._open: list[tuple[float, float]] = []  # the neighbours whose mean comes next
        self._size = 1

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Curve:
        """The curve that `points` gave, at most 256 of them. It can be looked at, not continued."""
        curve = cls()
        curve._points = list(points)
        return curve

    def add(self, step: float, value: float) -> None:
        """The next point. A value that is not finite makes its mean NaN: a gap in the line."""
        self._open.append((step, value))
        if len(self._open) < self._size:
            return
        self._points.append(_mean(self._open))
        self._open = []
        if len(self._points) == _CURVE:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_mean(pair) for pair in pairs]
            self._size *= 2

    def points(self) -> list[tuple[float, float]]:
        """(step, value), in order."""
        return [*self._points, _mean(self._open)] if self._open else list(self._points)


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)


def _shot(step: int, frame: Frame) -> Shot:
    images = _made(frame.images, f"images at step {step}")
    points = _made(frame.points, f"points at step {step}")
    field = _made(frame.field, f"field at step {step}")
    line = _made(frame.line, f"line at step {step}")
    return Shot(
        step,
        None if images is None else to_bytes(checked_images(images, f"images at step {step}")[:PICTURES]),
        None if points is None else _points(points, f"points at step {step}"),
        None if field is None else _square(field, f"field at step {step}"),
        None if line is None else checked_line(line, f"line at step {step}"),
    )


def _made(part: object, name: str) -> object:
    if not callable(part):
        return part
    try:
        with torch.no_grad():
            return part()
    except Exception as error:  # whatever a student's function raises must not end a training
        raise WidgetError(f"{name}: the function stopped with {reason(error)}.") from error


def _points(value: object, name: str) -> Array:
    array = _floats(value, name)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
        raise WidgetError(f"{name} must have the shape (N, 2), N at least 1, but it is {array.shape}.")
    pick = np.linspace(0, len(array) - 1, min(_POINTS, len(array))).round().astype(int)
    return array[pick]


def _square(value: object, name: str) -> Array:
    array = _floats(value, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not 2 <= len(array) <= _FIELD:
        raise WidgetError(
            f"{name} must be a square (G, G) with G from 2 to {_FIELD}, but its shape is {array.shape}."
        )
    return array.copy()


def checked_line(value: object, name: str) -> dict[str, Array]:
    """Curves by name, each (K,) with the same K from 2 to 400. Raises `WidgetError` for anything else."""
    if not isinstance(value, Mapping) or not value:
        raise WidgetError(
            f"{name} must be a dict of curves by name, such as {{'D(x)': d}}, but it is {value!r:.60}."
        )
    curves = {str(key): _floats(curve, f"{name}, {key!r},").copy() for key, curve in value.items()}
    sizes = {curve.shape for curve in curves.values()}
    if len(sizes) > 1 or any(len(size) != 1 or not 2 <= size[0] <= _LINE for size in sizes):
        shapes = ", ".join(str(curve.shape) for curve in curves.values())
        raise WidgetError(f"{name} must hold curves (K,) with one K from 2 to {_LINE}, but it has {shapes}.")
    return curves


def _line_size(line: Mapping[str, Array]) -> tuple[object, ...]:
    return (*line, *{len(curve) for curve in line.values()})


def _floats(value: object, name: str) -> Array:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise WidgetError(
            f"{name} must be numbers, a tensor or an array, but it is a {type(value).__name__}."
        )
    bad = int((~np.isfinite(value)).sum())
    if bad:
        raise WidgetError(f"{name} gave NaN or infinity in {bad} of {value.size} values.")
    return value.astype(np.float32)


def _whole(step: object) -> int:
    if not isinstance(step, Integral) or int(step) < 0:
        raise WidgetError(f"step must be a whole number from 0, but it is {step!r}.")
    return int(step)


def _number(name: str, value: object) -> float:
    if isinstance(value, torch.Tensor | np.ndarray) and np.prod(value.shape) == 1:
        return float(value.item())
    if isinstance(value, Real):
        return float(value)
    raise WidgetError(f"{name} must be one number, but it is a {type(value).__name__}.")
