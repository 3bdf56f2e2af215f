"""Interpolation: the way between two latent codes, or the square between four, linear and spherical.

The kernel decodes the way once, by both methods; the page blends the two (or four) nearest images. Between
them the picture is a blend of decoded images, not a decoded image. The norms beside it are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.latent import lerp, slerp
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.packing import LARGEST, checked_rows, enlarged, fitted, in_cells, opened, stacked
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.sheet import decoded, tiled, to_bytes, value_note

_QUALITIES = (80, 65, 50)
_LOW = (35, 20, 8)  # only where fewer positions cannot make it lighter
_MOST = 22_000  # bytes of the sheet: with script and picture a saved notebook grows by less than 90 kB
_FEWEST = 5  # positions a side


class Interpolation(CourseWidget):
    """Two latent codes with a way between them, or four with a square, linear and spherical.

    decode:     any callable from float32 codes (B, d) to images (B, C, H, W) in [-1, 1], C = 1 or 3; tensors
                or arrays. Gradients are off; put a model into eval mode first.
    corners:    the codes, (2, d): from, to; or (4, d): top left, top right, bottom left, bottom right. Codes
                that are maps: pass them flattened, and let `decode` give them their shape back.
    originals:  (2 or 4, C, H, W), the pictures the codes belong to, shown at the corners. None: the decoded
                codes stand there.
    names:      what to call the corners.
    n:          positions along each side, 3 to 65 (two corners) or 3 to 25 (four). None: 33 or 13, or fewer
                where the images are so large that a saved notebook would gain more than 90 kB.
    title:      stands above the widget. alt: describes it to those who cannot see it.

    With two corners both methods are shown together, with the norm of the code along the way; with four a
    toggle chooses, and spherical means along x on both edges first, then along y between the two. See
    `course_lib.latent` for `lerp` and `slerp`.
    `w.t` is where the hand is: a number in 0..1, or [x, y] from the top left; setting it moves the hand.
    Bad input never stops the cell: `w.problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("choose", "interpolation", "interpolation_square")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)  # n columns; rows: linear, spherical, or n of each
    tile = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height in pixels
    originals = traitlets.Bytes().tag(sync=True)  # one row; empty where there are none
    original = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height in pixels
    gram = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)  # inner products of the codes
    note = traitlets.Unicode("").tag(sync=True)
    t = traitlets.Any(0.5).tag(sync=True)

    def __init__(
        self,
        decode: Callable[[torch.Tensor], object],
        corners: ArrayLike,
        *,
        originals: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        n: int | None = None,
        title: str = "Interpolation",
        alt: str = "",
    ) -> None:
        try:
            state = _state(decode, corners, originals, names, n)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: images on the way between latent codes, linear and spherical."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("t")
    def _valid_t(self, proposal: traitlets.Bunch) -> float | list[float]:
        square = len(self.names) == 4
        try:
            t = np.asarray(proposal["value"], dtype=float)
        except (TypeError, ValueError):
            t = np.array(np.nan)
        if t.shape != ((2,) if square else ()) or not np.isfinite(t).all():
            wanted = "two finite numbers [x, y]" if square else "a finite number"
            raise traitlets.TraitError(f"t must be {wanted} in 0..1, but it is {proposal['value']!r}.")
        inside = np.clip(t, 0, 1)
        return [float(value) for value in inside] if square else float(inside)

    def picture(self) -> Image.Image:
        """Seven steps by each method, or a map of the square for each."""
        whole = opened(self.sheet)
        width, height = self.tile
        columns, rows = whole.width // width, whole.height // height // 2
        pick = np.unique(np.linspace(0, columns - 1, 7 if rows == 1 else 5).round().astype(int))
        parts = []
        for method, top in (("linear", 0), ("spherical", rows)):
            down = pick if rows > 1 else [0]
            page = Image.new("RGB", (len(pick) * width, len(down) * height))
            for i, row in enumerate(down):
                for j, column in enumerate(pick):
                    left, upper = column * width, (top + row) * height
                    page.paste(
                        whole.crop((left, upper, left + width, upper + height)), (j * width, i * height)
                    )
            parts.append((f"{method}: {', '.join(self.names)}", enlarged(page, 112 if rows > 1 else 480)))
        return stacked(parts)


def path_codes(corners: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """The codes of the sheet, float32 (2, n, d) or (2, n, n, d): linear first, then spherical.

    Of four corners the last axes are rows (y, from the top) and columns (x).
    """
    codes, t = torch.from_numpy(corners).double(), torch.linspace(0, 1, n, dtype=torch.float64)
    both = []
    for between in (lerp, slerp):
        line = between(codes[0], codes[1], t)
        if len(codes) == 4:
            line = between(line, between(codes[2], codes[3], t), t[:, None])
        both.append(line)
    return torch.stack(both).float().numpy()


def _state(
    decode: Callable[[torch.Tensor], object],
    corners: ArrayLike,
    originals: ArrayLike | None,
    names: Sequence[str] | None,
    n: int | None,
) -> dict[str, object]:
    """Everything that the page needs; raises `WidgetError` on bad input."""
    codes = _checked_codes(corners)
    count = len(codes)
    _, _, height, width = decoded(decode, codes).shape  # a first try, before the long one
    side = _checked_side(n, count, width, height)
    images, sheet = _light_sheet(decode, codes, side, fixed=n is not None)
    exact = codes.astype(np.float64)
    state: dict[str, object] = {
        "names": _checked_names(names, count),
        "tile": [width, height],
        "sheet": sheet,
        "gram": (exact @ exact.T).tolist(),
        "note": value_note(images),
        "t": [0.5, 0.5] if count == 4 else 0.5,
    }
    if originals is not None:
        given = checked_rows({"originals": originals})["originals"]
        if len(given) != count:
            raise WidgetError(
                f"originals must be {count} images, one for each corner, but there are {len(given)}."
            )
        state["originals"] = fitted(in_cells([to_bytes(given)]), 12_000, (90, *_QUALITIES))
        state["original"] = [given.shape[3], given.shape[2]]
    return state


def _light_sheet(
    decode: Callable[[torch.Tensor], object], codes: NDArray[np.float32], side: int, fixed: bool
) -> tuple[NDArray[np.float32], bytes]:
    """The decoded images and their sheet, with fewer positions than `side` where that is needed."""
    while True:
        images = decoded(decode, path_codes(codes, side).reshape(-1, codes.shape[1]))
        last = fixed or side <= _FEWEST
        sheet = fitted(tiled(to_bytes(images), side), _MOST, (*_QUALITIES, *_LOW) if last else _QUALITIES)
        share = _MOST / len(sheet)
        if last or share >= 1:
            return images, sheet
        side = max(_FEWEST, int(side * (share if len(codes) == 2 else share**0.5)))


def _checked_side(n: int | None, count: int, width: int, height: int) -> int:
    """How many positions a side: n, or at most 33 (two corners) or 13 (four) and what a browser can show."""
    most = 65 if count == 2 else 25
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or not 3 <= n <= most):
        raise WidgetError(f"n must be a whole number from 3 to {most} for {count} corners, but it is {n!r}.")
    room = min(LARGEST // width, LARGEST // (2 * height) if count == 4 else most)
    side = n or min(room, 33 if count == 2 else 13)
    if side > room or side < 3 or 2 * height > LARGEST:
        raise WidgetError(
            f"{max(side, 3)} positions a side with images of {width} x {height} make a sheet of more than "
            f"{LARGEST} pixels: use {'smaller images' if n is None else 'smaller images or a smaller n'}."
        )
    return side


def _checked_codes(corners: ArrayLike) -> NDArray[np.float32]:
    if isinstance(corners, torch.Tensor):
        corners = corners.detach().cpu()
        corners = (
            corners.float() if corners.is_floating_point() else corners
        ).numpy()  # numpy has no bfloat16
    try:
        codes = np.asarray(corners)
    except ValueError as error:
        raise WidgetError(f"corners cannot be read as an array: {error}.") from None
    if codes.dtype.kind not in "fiu":
        raise WidgetError(f"corners must hold real numbers, but they are {codes.dtype}.")
    if codes.ndim != 2 or codes.shape[0] not in (2, 4) or codes.shape[1] == 0:
        raise WidgetError(
            f"corners must be two or four codes, (2, d) or (4, d), but their shape is {codes.shape}."
        )
    if not np.isfinite(codes).all():
        raise WidgetError(
            f"{int((~np.isfinite(codes)).any(1).sum())} of {len(codes)} corners hold NaN or infinity."
        )
    return codes.astype(np.float32)


def _checked_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return ["A", "B", "C", "D"][:count]
    if isinstance(names, str) or len(names) != count:
        raise WidgetError(f"names must be {count} words, one for each corner, but they are {names!r}.")
    return [str(name) for name in names]
