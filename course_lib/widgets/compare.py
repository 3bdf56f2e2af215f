"""Compare: the same row of images through several models, one column large, with differences to the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.widgets.host import CourseWidget
from course_lib.widgets.packing import (
    LOSSLESS,
    checked_rows,
    enlarged,
    fitted,
    in_cells,
    opened,
    remarks,
    squared_errors,
    stacked,
)
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.sheet import to_bytes

_MOST = 32_000  # bytes of the sheet: with script and picture a saved notebook grows by less than 90 kB
_QUALITIES = (LOSSLESS, 95, 90, 80, 65, 50, 35)
_ROUND = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # where the colours of a difference may end


class Compare(CourseWidget):
    """Rows of images under each other, one for each model; the chosen column stands beside them, large.

    rows:      name -> images (N, C, H, W) in [-1, 1] (or uint8), C = 1 or 3, tensors or arrays. Every row has
               the same N, at most 40, in the same order; there are 1 to 12 rows. Sizes and channels may
               differ between rows: all are shown at one size.
    truth:     (N, C, H, W), what the models should have given. Then each image says its squared error, the
               mean of (image - truth)² over its values, and a difference view can be switched on, for rows
               of the same shape as the truth: signed or absolute, mean over the channels, with its scale.
    inputs:    (N, C, H, W), what the models were given: noisy images, half-hidden ones.
    captions:  name -> a word or number to stand beside that row, such as a score.
    names:     what to call the N columns.
    scale:     the difference at which the colours end, above 0 and at most 2. None: a round number that 95%
               of the differences stay below.
    title:     stands above the widget. alt: describes it to those who cannot see it.

    `w.column` is the chosen column, 0..N-1; setting it chooses. Errors are computed before packing. The
    pictures are kept exactly (8 bits a value) where that is light enough for a notebook, and else with a
    loss that is stated below them.
    Bad input never stops the cell: `w.problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("choose", "compare")
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)  # see _row
    sheet = traitlets.Bytes().tag(sync=True)  # cells of the largest size, each image at the top left
    cell = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height in pixels
    count = traitlets.Int(1).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scale = traitlets.Float(1.0).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    column = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        rows: Mapping[str, ArrayLike],
        *,
        truth: ArrayLike | None = None,
        inputs: ArrayLike | None = None,
        captions: Mapping[str, object] | None = None,
        names: Sequence[str] | None = None,
        scale: float | None = None,
        title: str = "Compare",
        alt: str = "",
    ) -> None:
        try:
            state = _state(rows, truth, inputs, captions or {}, names, scale)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: the same images by several models, one model a row."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("column")
    def _valid_column(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], 0), self.count - 1)

    def picture(self) -> Image.Image:
        """The rows with their names, at most eight columns."""
        sheet = opened(self.sheet)
        width, height = self.cell
        shown = min(self.count, 8)
        parts = []
        for i, row in enumerate(self.rows):
            strip = Image.new("RGB", (shown * row["width"], row["height"]))
            for j in range(shown):
                left, top = j * width, i * height
                image = sheet.crop((left, top, left + row["width"], top + row["height"]))
                strip.paste(image, (j * row["width"], 0))
            side = min(48, 900 // len(self.rows) // 4)
            parts.append(
                (": ".join(filter(None, (row["name"], row["caption"]))), enlarged(strip, shown * side))
            )
        return stacked(parts)


def _state(
    rows: Mapping[str, ArrayLike],
    truth: ArrayLike | None,
    inputs: ArrayLike | None,
    captions: Mapping[str, object],
    names: Sequence[str] | None,
    scale: float | None,
) -> dict[str, object]:
    """Everything that the page needs; raises `WidgetError` on bad input."""
    shown = _checked(rows, truth, inputs)
    all_rows = list(shown.values())
    true = shown.get("truth")
    for name in captions:
        if name not in rows:
            raise WidgetError(f"captions speak of {name!r}, but the rows are {', '.join(map(repr, rows))}.")
    texts = {f"rows[{name!r}]": (str(name), str(captions.get(name, ""))) for name in rows}
    picture = in_cells([to_bytes(images) for images in all_rows])
    sheet = fitted(picture, _MOST, _QUALITIES)
    count = len(all_rows[0])
    return {
        "rows": [_row(*texts.get(key, (key, "")), key, images, true) for key, images in shown.items()],
        "sheet": sheet,
        "cell": [picture.width // count, picture.height // len(shown)],
        "count": count,
        "names": _checked_names(names, count),
        "scale": _checked_scale(scale, all_rows, true),
        "note": " ".join([*remarks(shown), *_loss(picture, sheet)]),
    }


def _checked(
    rows: Mapping[str, ArrayLike], truth: ArrayLike | None, inputs: ArrayLike | None
) -> dict[str, NDArray[np.float32]]:
    """All rows from top to bottom: "input", "truth", then each model under rows['its name']."""
    if not isinstance(rows, Mapping) or not 1 <= len(rows) <= 12:
        raise WidgetError(
            "rows must be a dictionary of 1 to 12 rows, name -> images (N, C, H, W), "
            f"but it is {f'one of {len(rows)}' if isinstance(rows, Mapping) else f'a {type(rows).__name__}'}."
        )
    named: dict[str, object] = {} if inputs is None else {"input": inputs}
    if truth is not None:
        named["truth"] = truth
    checked = checked_rows({**named, **{f"rows[{name!r}]": images for name, images in rows.items()}})
    count = len(next(iter(checked.values())))
    if count > 40:
        raise WidgetError(f"Every row has {count} images, and at most 40 can be shown: pass x[:40].")
    return checked


def _row(
    name: str, caption: str, key: str, images: NDArray[np.float32], true: NDArray[np.float32] | None
) -> dict[str, object]:
    alike = true is not None and key != "truth" and images.shape == true.shape
    return {
        "name": name,
        "caption": caption,
        "truth": key == "truth",
        "width": images.shape[3],
        "height": images.shape[2],
        "errors": squared_errors(images, true) if alike and true is not None else [],
    }


def _checked_scale(
    scale: float | None, rows: Sequence[NDArray[np.float32]], true: NDArray[np.float32] | None
) -> float:
    if scale is not None:
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= 2:
            raise WidgetError(f"scale must be a number above 0 and at most 2, but it is {scale!r}.")
        return float(scale)
    alike = [] if true is None else [row for row in rows if row.shape == true.shape and row is not true]
    if true is None or not alike:
        return 1.0
    reach = max(float(np.quantile(np.abs(row - true).mean(axis=1), 0.95)) for row in alike)
    return next((step for step in _ROUND if step >= reach), _ROUND[-1])


def _loss(picture: Image.Image, sheet: bytes) -> list[str]:
    """One sentence, where packing has changed the pictures."""
    change = np.abs(np.asarray(opened(sheet), float) - np.asarray(picture.convert("RGB"), float)) / 127.5
    if change.max() == 0:
        return []
    return [f"The pictures are stored with a loss of about {change.mean():.2g} a value; the errors are not."]


def _checked_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return []
    if isinstance(names, str) or len(names) != count:
        raise WidgetError(f"names must be {count} words, one for each column, but they are {names!r}.")
    return [str(name) for name in names]
