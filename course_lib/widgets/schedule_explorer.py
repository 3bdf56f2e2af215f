"""ScheduleExplorer: the same pictures drown in the same noise, under several noise schedules side by side.

The page holds the clean pictures and the tables; it draws the noise itself (see page_noise.py) and computes
x_t = sqrt(a) x_0 + sqrt(1 - a) eps for whatever moment is asked for. So all T + 1 moments are there, with no
kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.schedules import alpha_bars, cosine_betas, linear_betas
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.packing import LOSSLESS, enlarged, fitted, in_cells, stacked
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.palette import DARK, LIGHT
from course_lib.widgets.sheet import checked_images, to_bytes, value_note

_PICTURES, _SCHEDULES, _T = 6, 4, 4000  # at most
_MOST, _QUALITIES = 16_000, (LOSSLESS, 95, 85, 70)  # bytes of the clean pictures
_WIDE = 240  # pixels of a row of the still picture


class ScheduleExplorer(CourseWidget):
    """Pictures x_t at a moment t under several noise schedules, the curves of the schedules, and the numbers.

    pictures:  the clean ones, (N, C, H, W) in [-1, 1] (or uint8), N = 1 .. 6, C = 1 or 3.
    schedules: name -> alpha_bar (T + 1,), the share of x_0's variance that is left at t = 0 .. T, as
               `schedules.alpha_bars` gives it: it begins with 1 and never rises. One to four, of one length.
               None: the linear and the cosine schedule with T = 1000.
    seed:      of the noise, which is `page_noise(seed, N * C * H * W)`, the same at every t.
    t:         the moment to begin with; None: T / 2.
    title:     stands above the widget. alt: describes it to those who cannot see it.

    `widget.t` is the moment that is shown; setting it moves the widget.
    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("choose", "player", "sampling", "schedule_explorer")
    sheet = traitlets.Bytes().tag(sync=True)  # the clean pictures side by side
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # N, C, H, W
    curves = traitlets.List(traitlets.Dict()).tag(sync=True)  # name and colours of each schedule
    tables = traitlets.Bytes().tag(sync=True)  # the alpha_bar of each schedule in turn, see _packed
    seed = traitlets.Int(0).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    t = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        pictures: ArrayLike | torch.Tensor,
        schedules: Mapping[str, ArrayLike | torch.Tensor] | None = None,
        *,
        seed: int = 0,
        t: int | None = None,
        title: str = "Noise schedules",
        alt: str = "",
    ) -> None:
        self._still = Image.new("RGB", (1, 1))
        self._last = 0
        try:
            x0 = _checked_pictures(pictures)
            tables = _checked_tables(schedules)
            self._last = len(next(iter(tables.values()))) - 1
            self._still = _still(x0, tables, _checked_seed(seed))
            state = {**_state(x0, tables), "seed": seed, "t": _checked_t(t, self._last)}
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: pictures at a moment of the noising, under several schedules."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("t")
    def _valid_t(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], 0), self._last)

    def picture(self) -> Image.Image:
        """The first picture at four moments under each schedule."""
        return self._still


def _state(x0: NDArray[np.float32], tables: dict[str, NDArray[np.float64]]) -> dict[str, object]:
    """Everything that the page needs."""
    colours = [{"light": LIGHT[i], "dark": DARK[i]} for i in range(len(tables))]
    return {
        "sheet": fitted(in_cells([to_bytes(x0)]), _MOST, _QUALITIES),
        "shape": list(x0.shape),
        "curves": [{"name": name, **pair} for name, pair in zip(tables, colours, strict=True)],
        "tables": _packed(np.stack(list(tables.values()))),
        "note": value_note(x0),
    }


def _packed(tables: NDArray[np.float64]) -> bytes:
    """As float32, all first bytes first, then all second ones: neighbours are alike, and so compress well."""
    return tables.astype("<f4").view(np.uint8).reshape(-1, 4).T.tobytes()


def _checked_pictures(pictures: object) -> NDArray[np.float32]:
    x0 = checked_images(pictures, "pictures")
    if len(x0) > _PICTURES:
        raise WidgetError(f"pictures holds {len(x0)}, and at most {_PICTURES} can be shown: pass x[:4].")
    if x0[0].size > 64 * 64 * 3:
        raise WidgetError(
            f"pictures must have at most 64 x 64 pixels, but they have {x0.shape[3]} x {x0.shape[2]}: "
            "make them smaller."
        )
    return x0


def _checked_seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise WidgetError(f"seed must be a whole number from 0 to {2**32 - 1}, but it is {seed!r}.")
    return seed


def _checked_t(t: object, last: int) -> int:
    if t is None:
        return last // 2
    if isinstance(t, bool) or not isinstance(t, int):
        raise WidgetError(f"t must be a whole number from 0 to {last}, but it is {t!r}.")
    return t


def _checked_tables(schedules: object) -> dict[str, NDArray[np.float64]]:
    """Name -> alpha_bar (T + 1,). Raises `WidgetError` for what is no such table."""
    if schedules is None:
        schedules = {"linear": alpha_bars(linear_betas()), "cosine": alpha_bars(cosine_betas())}
    if not isinstance(schedules, Mapping):
        raise WidgetError(
            "schedules must be a dict of name -> alpha_bar, such as {'linear': alpha_bars(linear_betas())}, "
            f"but it is a {type(schedules).__name__}."
        )
    if not 1 <= len(schedules) <= _SCHEDULES:
        raise WidgetError(f"schedules must hold 1 to {_SCHEDULES} tables, but it holds {len(schedules)}.")
    tables = {str(name): _checked_table(str(name), table) for name, table in schedules.items()}
    sizes = {name: len(table) for name, table in tables.items()}
    if len(set(sizes.values())) != 1:
        raise WidgetError(f"The schedules need one common length T + 1, but they have {sizes}.")
    return tables


def _checked_table(name: str, table: object) -> NDArray[np.float64]:
    try:
        plain = table.detach().cpu().double() if isinstance(table, torch.Tensor) else table
        a = np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        raise WidgetError(
            f"The schedule {name!r} cannot be read as numbers: it is a {type(table).__name__}."
        ) from None
    if a.ndim != 1 or not 2 <= len(a) <= _T + 1:
        raise WidgetError(
            f"The schedule {name!r} must have the shape (T + 1,), T from 1 to {_T}, but it has {a.shape}."
        )
    if not np.isfinite(a).all() or a.min() < 0 or a.max() > 1 + 1e-6:
        raise WidgetError(
            f"The schedule {name!r} must lie in [0, 1]: it is the share of signal that is left."
        )
    if abs(a[0] - 1) > 1e-6:
        raise WidgetError(
            f"The schedule {name!r} must begin with 1, the clean picture at t = 0, but it begins with "
            f"{a[0]:.4g}."
        )
    rises = np.flatnonzero(np.diff(a) > 1e-9)
    if len(rises):
        raise WidgetError(
            f"The schedule {name!r} must never rise, because noise does not go away again, but it does from "
            f"t = {rises[0]} to {rises[0] + 1}. Was it turned round?"
        )
    return a


def _still(x0: NDArray[np.float32], tables: dict[str, NDArray[np.float64]], seed: int) -> Image.Image:
    """The first picture at t = 0, T/8, T/4, T/2, under its schedule's name: later there is only noise."""
    eps = page_noise(seed, x0.size).reshape(x0.shape)[0]
    parts = []
    for name, table in tables.items():
        last = len(table) - 1
        a = table[[0, last // 8, last // 4, last // 2], None, None, None]  # (4, 1, 1, 1)
        row = in_cells([to_bytes(np.sqrt(a) * x0[0] + np.sqrt(1 - a) * eps)])
        parts.append((f"{name}: t = 0, T/8, T/4, T/2", enlarged(row, _WIDE)))
    return stacked(parts)
