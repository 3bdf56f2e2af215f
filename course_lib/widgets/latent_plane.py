"""LatentPlane: drag a point over a two-dimensional latent space; the decoded image follows at once.

The kernel decodes a grid of latent points one time; the page blends the four images around the hand. So it is
as fast as the display, works for any model, and needs no kernel afterwards. Between grid points the picture
is a blend of decoded images, not a decoded image: with 20 x 20 points and a smooth decoder few eyes see it.

With `live=True` the kernel decodes exactly the point in hand, for a model that is being trained; the sheet
then stands in wherever the kernel is late or gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.widgets.host import CourseWidget
from course_lib.widgets.live import Answer, Question, answer_questions
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.plane_picture import plane_picture
from course_lib.widgets.points import Extent, box, checked_points
from course_lib.widgets.sheet import decoded, encode_sheet, to_bytes, value_note


class LatentPlane(CourseWidget):
    """A plane of latent points to drag over, beside the image that `decode` makes of the point in hand.

    decode:  any callable from float32 latent points (B, 2) to images (B, C, H, W) in [-1, 1], C = 1 or 3;
             tensors or arrays. It decodes n * n points in batches, with gradients off; put a model into
             eval mode first.
    extent:  the part of the plane to show: a half-width, or (left, right, bottom, top). None: the box that
             holds 98% of `points` along each axis, or a half-width of 3 where there are none.
    n:       the plane is decoded at n x n points, 2 to 40.
    points:  (N, 2) latent points of data, drawn on the plane (at most 2,000 of them, evenly picked).
    labels:  (N,) whole numbers 0..9, which give the points their colours; names: what to call the classes.
    live:    ask `decode` in the kernel for the point in hand, one point at a time. It may then be called
             from another thread while a cell trains, so it must leave the model as it finds it.
    title:   stands above the widget. alt: describes it to those who cannot see it.

    `plane.z` is the current latent point [x, y] in the kernel; setting it moves the hand.
    Bad input never stops the cell: `plane.problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("live", "latent_plane")
    extent = traitlets.List(traitlets.Float()).tag(sync=True)  # left, right, bottom, top
    sheet = traitlets.Bytes().tag(sync=True)  # n x n tiles; row 0 is the top of the plane
    n = traitlets.Int(2).tag(sync=True)
    tile = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height in pixels
    points = traitlets.Bytes().tag(sync=True)  # uint16 pairs, see Points.packed
    labels = traitlets.Bytes().tag(sync=True)  # uint8, an index into classes
    classes = traitlets.List(traitlets.Dict()).tag(sync=True)  # name, light, dark
    note = traitlets.Unicode("").tag(sync=True)
    z = traitlets.List(traitlets.Float(), [0.0, 0.0]).tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        decode: Callable[[torch.Tensor], object],
        *,
        extent: float | Sequence[float] | None = None,
        n: int = 20,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        live: bool = False,
        title: str = "Latent plane",
        alt: str = "",
    ) -> None:
        self._decode, self._points, self._of = decode, points, (extent, n, labels, names)
        try:
            state = _plane_state(decode, extent, n, points, labels, names)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: a plane of latent points, and a map of the images that they decode to."
        super().__init__(title=title, alt=text, live=bool(live), **state)
        if live:
            answer_questions(self, self._answer)

    def refresh(self, points: ArrayLike | None = None) -> None:
        """Decode the sheet again, after more training; `points` are the new codes of the same data.

        Where that fails, `note` says why below the plane, which stays as it was.
        """
        points = self._points if points is None else points
        extent, n, labels, names = self._of
        try:
            state = _plane_state(self._decode, extent, n, points, labels, names)
        except WidgetError as error:
            setattr(self, "note" if self.sheet else "problem", str(error))
            return
        self._points = points
        with self.hold_sync():
            for name in state.keys() - {"z"}:
                setattr(self, name, state[name])
            self.problem = ""
            self.z = list(self.z)  # inside the plane, should it have become smaller

    def _answer(self, question: Question) -> Answer:
        """The image at question["z"], decoded now: uint8 (H, W, C)."""
        z = np.array([question["z"]], np.float32)
        image = to_bytes(decoded(self._decode, z))[0]
        height, width, channels = image.shape
        return {"size": [width, height, channels]}, [image.tobytes()]

    def state(self) -> dict[str, object]:
        """The synced traits for a page without a kernel."""
        return {**super().state(), "live": False}

    @traitlets.validate("z")
    def _valid_z(self, proposal: traitlets.Bunch) -> list[float]:
        z = [float(value) for value in proposal["value"]]
        if len(z) != 2 or not np.isfinite(z).all():
            raise traitlets.TraitError(f"z must be two finite numbers, but it is {z}.")
        if not self.extent:
            return z
        left, right, bottom, top = self.extent
        return [min(max(z[0], left), right), min(max(z[1], bottom), top)]

    def picture(self) -> Image.Image:
        """The points beside a map of the decoded images."""
        xy = np.frombuffer(self.points, "<u2").reshape(-1, 2) / 65535
        return plane_picture(xy, np.frombuffer(self.labels, np.uint8), self.classes, self.sheet, self.n)


def _plane_state(
    decode: Callable[[torch.Tensor], object],
    extent: float | Sequence[float] | None,
    n: int,
    points: ArrayLike | None,
    labels: ArrayLike | None,
    names: Sequence[str] | None,
) -> dict[str, object]:
    """Everything that the page needs; raises `WidgetError` on bad input."""
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= 40:
        raise WidgetError(f"n must be a whole number from 2 to 40, but it is {n!r}.")
    data = checked_points(points, labels, names)
    area = box(extent, data)
    shown = data.inside(area)
    images = decoded(decode, plane_grid(area, n))
    outside = len(data.xy) - len(shown.xy)
    notes = [
        value_note(images),
        f"{outside} of {len(data.xy)} points lie outside the plane." if outside else "",
    ]
    left, right, bottom, top = area
    return {
        "extent": list(area),
        "n": n,
        "tile": [images.shape[3], images.shape[2]],
        "sheet": encode_sheet(to_bytes(images), n),
        "points": shown.packed(area),
        "labels": shown.kind.tobytes(),
        "classes": shown.classes,
        "note": " ".join(note for note in notes if note),
        "z": [min(max(0.0, left), right), min(max(0.0, bottom), top)],
    }


def plane_grid(extent: Extent, n: int) -> NDArray[np.float32]:
    """The n x n latent points of the sheet, float32 (n * n, 2), row by row from the top left."""
    left, right, bottom, top = extent
    y, x = np.meshgrid(np.linspace(top, bottom, n), np.linspace(left, right, n), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
