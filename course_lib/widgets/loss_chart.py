"""Loss curves as places in a box, with the ticks of its axes: what a page needs to draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from course_lib.widgets.page import WidgetError
from course_lib.widgets.palette import DARK, LIGHT

Points = Sequence[tuple[float, float]]
_MINUS = "\N{MINUS SIGN}"


class Axes(NamedTuple):
    """The part of the (step, loss) plane that a chart shows."""

    first: float
    last: float
    low: float
    high: float
    log: bool

    def x(self, step: float) -> float:
        """A step's place, 0..1 from the left."""
        return (step - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        """A value's place, 0..1 from the bottom where it is inside."""
        low, high, value = (log10(max(v, 1e-30)) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self) -> dict[str, list[tuple[float, str]]]:
        """For each axis the place and the text of a few round numbers."""
        steps = MaxNLocator(4, integer=True).tick_values(self.first, self.last)
        values = (LogLocator(numticks=5) if self.log else MaxNLocator(4)).tick_values(self.low, self.high)
        return {
            "x": [(round(self.x(s), 4), f"{s:,.0f}") for s in steps if -1e-6 <= self.x(s) <= 1 + 1e-6],
            "y": [(round(self.y(v), 4), _text(v)) for v in values if -1e-6 <= self.y(v) <= 1 + 1e-6],
        }


def axes(curves: Mapping[str, Points], first: float, last: float, log: bool) -> Axes:
    """Axes that hold the curves; a few high values, as at the start of a training, may lie above them.

    Raises `WidgetError` for a logarithmic axis and a loss that is not above 0.
    """
    values = np.array([value for points in curves.values() for _, value in points])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Axes(first, last, 0.0, 1.0, False)
    low, high = float(values.min()), float(values.max())
    if log and low <= 0:
        raise WidgetError(f"log=True needs losses above 0, but the lowest is {low:.3g}: use log=False.")
    usual = float(np.percentile(values, 98))
    if not log and high - low > 3 * (usual - low) > 0:
        high = usual + 0.2 * (usual - low)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return Axes(first, last, low if log else low - room, high * 1.1 if log else high + room, log)


def chart_lines(curves: Mapping[str, Points], area: Axes) -> list[dict[str, object]]:
    """Each curve with its colours, its places in the box, and its values as text; None makes a gap."""
    colours = list(zip(LIGHT, DARK, strict=True))[2:]  # the first two are those of generated and real points
    if len(curves) > len(colours):
        raise WidgetError(
            f"There are {len(curves)} losses, but only {len(colours)} colours can be told apart."
        )
    lines: list[dict[str, object]] = []
    for (name, points), (light, dark) in zip(curves.items(), colours, strict=False):
        known = [bool(np.isfinite(value)) for _, value in points]
        lines.append(
            {
                "name": name,
                "light": light,
                "dark": dark,
                "x": [round(area.x(step), 4) for step, _ in points],
                "y": [round(area.y(v), 4) if ok else None for (_, v), ok in zip(points, known, strict=True)],
                "values": [_text(v) if ok else "NaN" for (_, v), ok in zip(points, known, strict=True)],
            }
        )
    return lines


def _text(value: float) -> str:
    return f"{value:.3g}".replace("-", _MINUS).replace("e+0", "e").replace(f"e{_MINUS}0", f"e{_MINUS}")
