"""TrainingFilm: samples, losses and the discriminator's landscape over a training, to play and to scrub.

The film is recorded by `Film` while the training runs; the page holds at most 64 moments of it and needs no
kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.widgets.film import Film, Frame, Shot
from course_lib.widgets.film_line import line_state
from course_lib.widgets.film_picture import film_picture
from course_lib.widgets.frames import checked_most, evenly, frame_sheet, lazily, reason, strip
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.loss_chart import axes, chart_lines
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.points import Extent, box, checked_points

_IMAGES, _FIELDS = 45_000, 25_000  # bytes of the two sheets
_QUALITIES = (50, 35, 25, 18, 12)


class TrainingFilm(CourseWidget):
    """A training from first step to last: pictures, losses, points on a landscape, curves over a line.

    frames: a `Film`, or an iterable of `Frame` (which is poured into one).
    real:   (N, 2) points of the data, drawn behind the generated ones.
    extent: the part of the plane that points and fields show: a half-width, or (left, right, bottom, top).
            None: the box that holds 98% of all points; needed where there are fields and no points.
    field_name: what the heat map shows. centre: its neutral value, 1/2 for a discriminator, 0 for a critic.
    line:   (left, right, bottom, top), the box of the frames' curves over a line; needed with such curves.
            What leaves it is cut off. The first curve has the colour of generated points, the second that of
            the first loss, and so on.
    behind: {name: (K,)}, a curve that stays, drawn filled behind those, such as the density of the data.
    log:    draw the losses on a logarithmic axis (all of them must be above 0).
    most:   at most so many moments are kept for the page, 2 to 64. None: 24 with pictures, 48 without.
    title:  stands above the widget. alt: describes it to those who cannot see it.

    `widget.moment` is the moment that is shown, from 0; setting it moves the widget.

    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget. If an
    iterator raises on its way, or a film ended early, what there is is shown, with a sentence below.
    """

    _esm = module_source("player", "loss_chart", "film_line", "training_film")
    moments = traitlets.List(traitlets.Float()).tag(sync=True)  # 0..1, rising
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)  # a tile has `pictures` images side by side
    tile = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height of one image, in pixels
    pictures = traitlets.Int(0).tag(sync=True)
    image_tiles = traitlets.List(traitlets.Int()).tag(sync=True)  # the tile of each moment, -1 for none
    fields = traitlets.Bytes().tag(sync=True)  # grey tiles of cells x cells, see _field_state
    field_tiles = traitlets.List(traitlets.Int()).tag(sync=True)
    cells = traitlets.Int(0).tag(sync=True)
    field_scale = traitlets.Dict().tag(sync=True)  # name, and the values of the two ends and the middle
    points = traitlets.Bytes().tag(sync=True)  # uint8 pairs from the bottom left, of all moments
    point_ends = traitlets.List(traitlets.Int()).tag(sync=True)  # of each moment, in `points`
    real = traitlets.Bytes().tag(sync=True)
    extent = traitlets.List(traitlets.Float()).tag(
        sync=True
    )  # left, right, bottom, top; empty without a plane
    line = traitlets.Dict().tag(sync=True)  # places, behind, curves, and the ticks; empty without a line
    line_bytes = traitlets.Bytes().tag(sync=True)  # heights of all curves, see film_line.py
    line_tiles = traitlets.List(traitlets.Int()).tag(sync=True)
    lines = traitlets.List(traitlets.Dict()).tag(sync=True)  # name, light, dark, x, y, values
    chart = traitlets.Dict().tag(sync=True)  # the ticks of both axes
    note = traitlets.Unicode("").tag(sync=True)
    moment = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        frames: Film | Iterable[Frame],
        *,
        real: ArrayLike | None = None,
        extent: float | Sequence[float] | None = None,
        field_name: str = "D(x)",
        centre: float = 0.5,
        line: Sequence[float] | None = None,
        behind: Mapping[str, torch.Tensor | NDArray] | None = None,
        log: bool = False,
        most: int | None = None,
        title: str = "Training film",
        alt: str = "",
    ) -> None:
        self._still = Image.new("RGB", (1, 1))
        try:
            film, stop = _filmed(frames)
            shots = _kept(film.shots(), most)
            state = _state(film, shots, log)
            state |= _plane_state(shots, real, extent, field_name, float(centre))
            state |= line_state(shots, line, behind)
            state["note"] = " ".join(text for text in (stop, film.note()) if text)
            self._still = film_picture(shots[-1], state)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: what a model makes while it is trained, and its losses."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("moment")
    def _valid_moment(self, proposal: traitlets.Bunch) -> int:
        return min(max(int(proposal["value"]), 0), max(len(self.moments) - 1, 0))

    def picture(self) -> Image.Image:
        """The last moment, and the losses."""
        return self._still


def _filmed(frames: object) -> tuple[Film, str]:
    """A film of the frames, and a sentence where their iterator raised on its way."""
    if isinstance(frames, Film):
        film = frames
    elif isinstance(frames, Iterable) and not isinstance(frames, str | np.ndarray):
        film = Film()
        iterator = lazily(frames)
        while True:
            try:
                frame = next(iterator)
            except StopIteration:
                break
            except Exception as error:  # a student's generator
                if not film.shots():
                    raise WidgetError(f"frames stopped before the first one with {reason(error)}.") from error
                return film, f"frames stopped after step {film.shots()[-1].step} with {reason(error)}."
            if not isinstance(frame, Frame):
                raise WidgetError(
                    f"frames must hold Frame(step, ...), but it holds a {type(frame).__name__}."
                )
            film.record(frame)
    else:
        raise WidgetError(
            f"frames must be a Film or an iterable of Frame, but it is a {type(frames).__name__}."
        )
    if not film.shots():
        raise WidgetError("The film is empty: add a frame with film.add(step, images=..., losses=...).")
    return film, ""


def _kept(shots: list[Shot], most: int | None) -> list[Shot]:
    pictures = any(shot.images is not None for shot in shots)
    return evenly(shots, (24 if pictures else 48) if most is None else checked_most(most))


def _state(film: Film, shots: list[Shot], log: bool) -> dict[str, object]:
    """Moments, pictures and losses; raises `WidgetError` on bad input."""
    curves = {name: curve.points() for name, curve in film.curves.items()}
    if not curves and all(part is None for shot in shots for part in shot[1:]):
        raise WidgetError(
            "The film has no pictures, points, fields, curves or losses: there is nothing to show."
        )
    ends = [shot.step for shot in shots] + [step for points in curves.values() for step, _ in points]
    first, last = min(ends), max(max(ends), min(ends) + 1)
    area = axes(curves, first, last, log)
    return {
        "moments": [round((shot.step - first) / (last - first), 6) for shot in shots],
        "steps": [shot.step for shot in shots],
        "moment": len(shots) - 1,
        "lines": chart_lines(curves, area),
        "chart": area.ticks(),
        **_image_state(shots),
    }


def _image_state(shots: list[Shot]) -> dict[str, object]:
    seen = [shot.images for shot in shots if shot.images is not None]
    if not seen:
        return {}
    height, width = seen[0].shape[1:3]
    count = min(len(images) for images in seen)
    numbers = iter(range(len(seen)))
    return {
        "sheet": frame_sheet([strip(images[:count]) for images in seen], _IMAGES, _QUALITIES),
        "tile": [width, height],
        "pictures": count,
        "image_tiles": [-1 if shot.images is None else next(numbers) for shot in shots],
    }


def _plane_state(
    shots: list[Shot],
    real: ArrayLike | None,
    extent: float | Sequence[float] | None,
    name: str,
    centre: float,
) -> dict[str, object]:
    """Points and heat maps; empty where there are none."""
    clouds = [shot.points for shot in shots if shot.points is not None]
    fields = [shot.field for shot in shots if shot.field is not None]
    if not clouds and not fields:
        return {}
    data = checked_points(real, None, None).xy
    if extent is None and not clouds and len(data) == 0:
        raise WidgetError("A heat map without points needs extent=(left, right, bottom, top): where it lies.")
    area = box(extent, checked_points(np.concatenate([*clouds, data]), None, None))
    packed = [b"" if shot.points is None else _packed(shot.points, area) for shot in shots]
    few = np.linspace(0, len(data) - 1, min(len(data), 400)).round().astype(int)
    return {
        "extent": list(area),
        "points": b"".join(packed),
        "point_ends": np.cumsum([len(part) // 2 for part in packed]).tolist(),
        "real": _packed(data[few], area),
        **_field_state(shots, fields, name, centre),
    }


def _packed(xy: NDArray[np.float32], area: Extent) -> bytes:
    """uint8 pairs of the points inside the area: 0 is its left (bottom) edge, 255 the other."""
    left, right, bottom, top = area
    places = (xy - [left, bottom]) / [right - left, top - bottom]
    inside = places[((places >= 0) & (places <= 1)).all(axis=1)]
    return np.rint(inside * 255).astype(np.uint8).tobytes()


def _field_state(
    shots: list[Shot], fields: list[NDArray[np.float32]], name: str, centre: float
) -> dict[str, object]:
    """Heat maps as grey tiles, row 0 on top: 128 is `centre`, 1 and 255 are as far from it as any value."""
    if not fields:
        return {}
    reach = max(float(np.abs(np.stack(fields) - centre).max()), 1e-6)
    if centre == 0.5 and reach <= 0.5:
        reach = 0.5  # a probability: the ends are 0 and 1
    tiles = [
        np.rint(128 + 127 * (field[::-1, :, None] - centre) / reach).astype(np.uint8) for field in fields
    ]
    numbers = iter(range(len(fields)))
    return {
        "fields": frame_sheet(tiles, _FIELDS, (90, 75, 50)),
        "field_tiles": [-1 if shot.field is None else next(numbers) for shot in shots],
        "cells": len(fields[0]),
        "field_scale": {"name": name, "low": centre - reach, "middle": centre, "high": centre + reach},
    }
