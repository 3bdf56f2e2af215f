"""What a TrainingFilm shows of a line: curves over it at each moment, before one that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from course_lib.widgets.film import Shot, checked_line
from course_lib.widgets.page import WidgetError
from course_lib.widgets.palette import DARK, LIGHT

Box = tuple[float, float, float, float]
_COLOURS = (0, 2, 3, 4, 5)  # of the curves, in the palette: of generated points, then those of the losses


def line_state(shots: Sequence[Shot], box: object, behind: object) -> dict[str, object]:
    """The traits of the line; empty where no moment has curves. Raises `WidgetError` on bad input."""
    seen = [shot.line for shot in shots if shot.line is not None]
    if not seen:
        return {}
    area, names = _checked_box(box), list(seen[0])
    if len(names) > len(_COLOURS):
        raise WidgetError(f"There are {len(names)} curves on the line, but only {len(_COLOURS)} colours.")
    places = len(seen[0][names[0]])
    stays = {} if behind is None else checked_line(behind, "behind")
    if len(stays) > 1 or any(len(values) != places for values in stays.values()):
        raise WidgetError(f"behind must hold one curve of {places} values, as the curves of the frames have.")
    rows = [*stays.values(), *(line[name] for line in seen for name in names)]
    numbers = iter(range(len(seen)))
    return {
        "line": {
            "places": places,
            "behind": next(iter(stays), ""),
            "curves": [[name, LIGHT[c], DARK[c]] for name, c in zip(names, _COLOURS, strict=False)],
            "x": _ticks(*area[:2], 6),
            "y": _ticks(*area[2:], 4),
        },
        "line_bytes": b"".join(_heights(row, area).tobytes() for row in rows),
        "line_tiles": [-1 if shot.line is None else next(numbers) for shot in shots],
    }


def line_rows(state: dict[str, Any], moment: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """The curves of a moment as (name, heights 0..255); first the one behind, a flat "" if none is."""
    about, tile = state["line"], state["line_tiles"][moment]
    rows = np.frombuffer(state["line_bytes"], np.uint8).reshape(-1, about["places"])
    first = 1 if about["behind"] else 0
    names = [name for name, *_ in about["curves"]]
    start = first + tile * len(names)
    made = list(zip(names, rows[start : start + len(names)], strict=True)) if tile >= 0 else []
    return [(about["behind"], rows[0] if first else np.zeros(about["places"], np.uint8)), *made]


def _heights(values: NDArray[np.float32], area: Box) -> NDArray[np.uint8]:
    """0 at the bottom of the box, 255 at its top; what lies outside is cut off at the edge."""
    return np.rint(255 * np.clip((values - area[2]) / (area[3] - area[2]), 0, 1)).astype(np.uint8)


def _checked_box(box: object) -> Box:
    try:
        left, right, bottom, top = (float(v) for v in box)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        left = right = bottom = top = np.nan
    if not (left < right and bottom < top and np.isfinite([left, right, bottom, top]).all()):
        raise WidgetError(
            f"Curves on a line need line=(left, right, bottom, top), rising pairs of numbers, got {box!r}."
        )
    return left, right, bottom, top


def _ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    values = [v for v in MaxNLocator(most).tick_values(low, high) if low - 1e-9 <= v <= high + 1e-9]
    places = [round((v - low) / (high - low), 4) for v in values]
    return [(p, f"{v:.6g}".replace("-", "\N{MINUS SIGN}")) for p, v in zip(places, values, strict=True)]
