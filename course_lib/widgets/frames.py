"""Recorded frames: thinned while they come, checked, and packed into one picture that a page paints from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from course_lib.widgets.packing import LARGEST, fitted
from course_lib.widgets.page import WidgetError
from course_lib.widgets.sheet import Bytes3, checked_images, tiled, to_bytes

FRAMES = 64  # held at most
_FADED = 0.2  # noise is stored with this standard deviation, where it has more,
_FLOOR = 0.33  # but never with less contrast than this

T = TypeVar("T")


class Thinned(Generic[T]):
    """At most 64 of any number of items: the first, the last, and evenly spread ones between.

    The number of items need not be known: whenever the room is full every second one is dropped, and from
    then on only every second one is taken. Neighbours are `stride` items apart, the last two less than
    twice that.
    """

    def __init__(self) -> None:
        self.stride, self.count = 1, 0
        self._kept: list[T] = []
        self._last: list[T] = []  # the newest item, where it is not among the kept

    def due(self) -> bool:
        """Whether the next item will be kept for longer than until the one after it."""
        full = len(self._kept) == FRAMES - 1  # one place is for the last
        return self.count % (2 * self.stride if full else self.stride) == 0

    def add(self, item: T) -> None:
        """Take the next item."""
        if self.due():
            if len(self._kept) == FRAMES - 1:
                self._kept, self.stride = self._kept[::2], 2 * self.stride
            self._kept.append(item)
            self._last = []
        else:
            self._last = [item]
        self.count += 1

    def skip(self) -> None:
        """Count an item that nobody made, because it was not due."""
        self.count += 1

    def items(self) -> list[T]:
        """What is held, in order."""
        return [*self._kept, *self._last]


def lazily(items: Iterable[T]) -> Iterator[T]:
    """The items; an `__iter__` that raises does so when the first one is asked for."""
    yield from items


def reason(error: Exception) -> str:
    """An error in half a sentence."""
    return f"{type(error).__name__}: {str(error).strip().split(chr(10))[0][:200]}".rstrip(".: ")


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly picked, the first and the last among them."""
    pick = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[i] for i in pick]


def checked_most(most: object) -> int:
    """`most`, if it is a whole number of frames that a widget can keep. Raises `WidgetError` else."""
    if isinstance(most, bool) or not isinstance(most, int) or not 2 <= most <= FRAMES:
        raise WidgetError(f"most must be a whole number of frames from 2 to {FRAMES}, but it is {most!r}.")
    return most


def noisy_pixels(x: object, name: str) -> Bytes3:
    """What a sampler holds, for looking at: x (N, C, H, W) -> uint8 (N, H, W, C), clipped at [-1, 1].

    Noise is larger than any image: x is clipped, and where its standard deviation is above 1.1 (in samplers
    that start at sigma = 80, say) it is first divided by that over 1.1. Raises `WidgetError` for another
    shape or dtype, and for NaN or infinity.
    """
    array = x
    if isinstance(x, torch.Tensor) and x.is_floating_point():
        array = x.detach().float().cpu().numpy()
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and np.isfinite(array).any():
        scale = max(1.0, float(array[np.isfinite(array)].std(dtype=np.float64)) / 1.1)
        array = np.where(np.isfinite(array), np.clip(array / scale, -1, 1), np.nan)
    return to_bytes(checked_images(array, name))


def strip(pictures: Bytes3) -> NDArray[np.uint8]:
    """Pictures uint8 (P, H, W, C) side by side: (H, P * W, C), a tile of a frame sheet."""
    return pictures.transpose(1, 0, 2, 3).reshape(pictures.shape[1], -1, pictures.shape[3])


def faded(tile: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """A noisy tile with its contrast lowered around grey, and the factor; the page turns it up again.

    Noise is what costs bytes: at full contrast nearly twice what it costs faded. The loss stays hidden,
    because the factor is small only where the noise is large, and 1 for a clean image.
    """
    x = tile.astype(np.float32) / 127.5 - 1
    # differences of differences: nearly nothing in a picture, twice the standard deviation in noise
    across = x[1:, 1:] - x[:-1, 1:] - x[1:, :-1] + x[:-1, :-1]
    noise = float(np.abs(across).mean()) / 1.6 if across.size else 0.0
    factor = round(min(1.0, max(_FLOOR, _FADED / max(noise, 1e-6))), 3)
    return np.rint((x * factor + 1) * 127.5).astype(np.uint8), factor


def frame_sheet(tiles: Sequence[NDArray[np.uint8]], budget: int, qualities: Sequence[int]) -> bytes:
    """Tiles uint8 (H, W, C) of one size as one lossy WebP, row by row.

    Its quality is the first of `qualities` that keeps it within `budget` bytes, or else the last.

    Raises `WidgetError` where the sheet would be too large for a browser.
    """
    height, width, channels = tiles[0].shape
    columns = max(1, min(LARGEST // width, round((len(tiles) * height / width) ** 0.5)))
    rows = -(-len(tiles) // columns)
    if width > LARGEST or rows * height > LARGEST:
        raise WidgetError(
            f"{len(tiles)} frames of {width} x {height} are more than the {LARGEST} x {LARGEST} pixels that "
            "a browser can show: use fewer pictures, a smaller most, or smaller images."
        )
    grey = np.full((rows * columns - len(tiles), height, width, channels), 128, np.uint8)
    return fitted(tiled(np.concatenate([np.stack(tiles), grey]), columns), budget, qualities)
