"""LatentSliders: one slider per latent dimension; the image follows at once, decoded in the page.

The decoder runs in the browser (see runtime.py), so all sliders are free and no kernel is asked. A saved
notebook has no decoder: there a sheet of images decoded beforehand shows each slider moved on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.export import frozen, to_onnx
from course_lib.widgets.latent_space import LatentSpace, checked_space
from course_lib.widgets.packing import enlarged, fitted, opened
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.runtime import NetworkWidget
from course_lib.widgets.sheet import decoded, tiled, to_bytes, value_note

_PLACES = (17, 9, 5)  # at which each slider is decoded for the sheet: the most that fit
_TILES = 300  # of the sheet, unless five places take more
_BUDGET = 45_000  # bytes of the sheet
_SIDE = 64  # pixels: larger images are shrunk for the sheet


class LatentSliders(NetworkWidget):
    """One slider for each latent dimension, beside the image that `decode` makes of the point in hand.

    decode:     a module, or any function, from float32 latent points (B, dims) to images (B, C, H, W) in
                [-1, 1], C = 1 or 3. Torch code is exported and runs in the page, a module in eval mode; what
                cannot be exported (numpy code) gets the sheet alone, and a note.
    dims:       the number of latent dimensions; 1 to 64 have a slider each, more need `directions`.
    start:      (dims,) the latent point where all sliders begin. None: the mean of `codes`, or zeros.
    spread:     how far a slider goes to each side of the start: a number, or one for each slider. None: 3
                standard deviations of `codes` around their mean, or 3.
    names:      what to call the sliders. None: z₁, z₂, ...
    directions: (k, dims) ways to move instead of the axes: slider i adds its value times row i to `start`.
    codes:      (N, dims) latent points of data. They set the ranges, sort the dimensions (the one in which
                they vary most comes first), and "Random" draws from their Gaussian.
    title:      stands above the widget. alt: describes it to those who cannot see it.

    `widget.z` is the current latent point, an array (dims,); set it to move the sliders in their ranges.
    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("runtime", "slider", "latent_sliders")
    sheet = traitlets.Bytes().tag(sync=True)  # a row for each slider
    tile = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height of a tile of the sheet
    size = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height of an image
    dims = traitlets.Int(1).tag(sync=True)
    sliders = traitlets.List(traitlets.Dict()).tag(sync=True)  # name, low, high, start
    directions = traitlets.Bytes().tag(sync=True)  # float32 (sliders, dims)
    offset = traitlets.List(traitlets.Float()).tag(sync=True)  # (dims,)
    draws = traitlets.Bytes().tag(sync=True)  # uint8 (n, sliders): 0 is low, 255 is high
    order = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    values = traitlets.List(traitlets.Float()).tag(sync=True)  # of the sliders

    _without = "One slider moves at a time, because decode cannot run in the page:"

    def __init__(
        self,
        decode: Callable[[torch.Tensor], object],
        dims: int,
        *,
        start: ArrayLike | None = None,
        spread: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        directions: ArrayLike | None = None,
        codes: ArrayLike | None = None,
        title: str = "Latent dimensions",
        alt: str = "",
    ) -> None:
        self._space: LatentSpace | None = None
        try:
            space = checked_space(dims, start, spread, names, directions, codes)
            state = _state(decode, space)
            self._space = space
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: images decoded along each latent dimension, one row for each."
        super().__init__(title=title, alt=text, **state)
        if self._space is not None:
            z = torch.from_numpy(self._space.swept(5)[:2].copy())
            now = frozen(decode)
            self.serve(lambda: to_onnx(now, {"z": z}, ["x"]))

    @property
    def z(self) -> NDArray[np.float32]:
        """The current latent point (dims,)."""
        return np.zeros(0, np.float32) if self._space is None else self._space.points(np.array(self.values))

    @z.setter
    def z(self, point: ArrayLike) -> None:
        plain = point.detach().cpu().numpy() if isinstance(point, torch.Tensor) else point
        z = np.asarray(plain, dtype=np.float64)
        if z.shape != (self.dims,) or not np.isfinite(z).all():
            raise WidgetError(f"z must be {self.dims} finite numbers, but it is {point!r:.80}.")
        if self._space is not None:
            self.values = self._space.values(z).tolist()

    @traitlets.validate("values")
    def _valid_values(self, proposal: traitlets.Bunch) -> list[float]:
        values = [float(value) for value in proposal["value"]]
        if len(values) != len(self.sliders) or not np.isfinite(values).all():
            raise traitlets.TraitError(
                f"values must be {len(self.sliders)} finite numbers, one for each slider."
            )
        return [min(max(v, s["low"]), s["high"]) for v, s in zip(values, self.sliders, strict=True)]

    def picture(self) -> Image.Image:
        """The first sliders from end to end."""
        sheet = opened(self.sheet)
        width, height = self.tile
        columns = np.unique(np.linspace(0, sheet.width // width - 1, 7).round().astype(int))
        rows = min(len(self.sliders), 4)
        small = Image.new("RGB", (len(columns) * width, rows * height))
        for j, column in enumerate(columns):
            strip = sheet.crop((column * width, 0, (column + 1) * width, rows * height))
            small.paste(strip, (j * width, 0))
        return enlarged(small, 400)


def _state(decode: Callable[[torch.Tensor], object], space: LatentSpace) -> dict[str, object]:
    """Everything that the page needs but the network; raises `WidgetError` on bad input."""
    k = len(space.names)
    most = next((places for places in _PLACES if k * places <= _TILES), _PLACES[-1])
    images = decoded(decode, space.swept(most))
    height, width = images.shape[2:]
    sheet, tile = _sheet(images, k)
    rounded = [np.round(values, 5).tolist() for values in (space.low, space.high, space.start)]
    return {
        "sheet": sheet,
        "tile": list(tile),
        "size": [width, height],
        "dims": space.directions.shape[1],
        "sliders": [
            {"name": name, "low": low, "high": high, "start": start}
            for name, low, high, start in zip(space.names, *rounded, strict=True)
        ],
        "directions": space.directions.astype("<f4").tobytes(),
        "offset": space.offset.tolist(),
        "draws": space.draws.tobytes(),
        "order": space.order,
        "note": value_note(images),
        "values": rounded[2],
    }


def _sheet(images: NDArray[np.float32], k: int) -> tuple[bytes, tuple[int, int]]:
    """Images (k * places, C, H, W) as a sheet with a row for each slider, and the size of its tiles.

    Where it would be too heavy, every second place is left out, down to five; then its quality falls.
    """
    shrink = -(-max(images.shape[2:]) // _SIDE)
    if shrink > 1:
        images = torch.nn.functional.avg_pool2d(torch.from_numpy(images), shrink).numpy()
    tiles = to_bytes(images)
    tiles = tiles.reshape(k, -1, *tiles.shape[1:])
    while True:
        places = tiles.shape[1]
        flat = tiles.reshape(-1, *tiles.shape[2:])
        data = fitted(tiled(flat, places), _BUDGET, (80, 70) if places > _PLACES[-1] else (80, 60, 40, 20))
        if len(data) <= _BUDGET or places == _PLACES[-1]:
            return data, (tiles.shape[3], tiles.shape[2])
        tiles = tiles[:, ::2]
