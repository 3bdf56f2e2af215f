"""The still picture of a TrainingFilm: its last moment, and its losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from course_lib.widgets.film import Shot
from course_lib.widgets.film_line import line_rows
from course_lib.widgets.packing import enlarged, stacked
from course_lib.widgets.palette import LIGHT
from course_lib.widgets.sheet import tiled

_WIDTH, _HEIGHT, _LINE = 260, 150, "#d5d9df"
_FILLED = "#efd7ac"  # the colour of real points, weakly


def film_picture(shot: Shot, state: dict[str, Any]) -> Image.Image:
    """The last moment's pictures and points, and the curves of `state`, one below the other."""
    parts = []
    if shot.images is not None:
        parts.append((f"step {shot.step:,}", _grid(shot.images[: state["pictures"]])))
    if "extent" in state:
        parts.append((f"points at step {shot.step:,}", _plane(state)))
    if "line" in state:
        rows = line_rows(state, -1)
        parts.append((", ".join(name for name, _ in rows if name), _line(rows, state["line"]["curves"])))
    if state["lines"]:
        names = ", ".join(line["name"] for line in state["lines"])
        parts.append((f"losses: {names}", _chart(state["lines"])))
    return stacked(parts)


def _grid(images: NDArray[np.uint8]) -> Image.Image:
    columns = round(len(images) ** 0.5 + 0.49)
    blank = np.full((-len(images) % columns, *images.shape[1:]), 255, np.uint8)
    return enlarged(tiled(np.concatenate([images, blank]), columns), _WIDTH)


def _plane(state: dict[str, Any]) -> Image.Image:
    page = Image.new("RGB", (_WIDTH, _WIDTH), "#ffffff")
    draw = ImageDraw.Draw(page)
    start = state["point_ends"][-2] if len(state["point_ends"]) > 1 else 0
    made = np.frombuffer(state["points"], np.uint8).reshape(-1, 2)[start:]
    real = np.frombuffer(state["real"], np.uint8).reshape(-1, 2)
    for cloud, colour in ((real, LIGHT[1]), (made, LIGHT[0])):
        for x, y in cloud * (_WIDTH / 255):
            draw.ellipse((x - 2, _WIDTH - y - 2, x + 2, _WIDTH - y + 2), fill=colour)
    draw.rectangle((0, 0, _WIDTH - 1, _WIDTH - 1), outline=_LINE)
    return page


def _line(rows: list[tuple[str, NDArray[np.uint8]]], curves: list[list[str]]) -> Image.Image:
    """Curves over a line, the first one filled."""
    scale = 2  # drawn large and shrunk, for smooth lines
    size = (_WIDTH * scale, _HEIGHT * scale)
    page = Image.new("RGB", size, "#ffffff")
    draw = ImageDraw.Draw(page)
    x = np.linspace(0, size[0], len(rows[0][1]))
    y = [(1 - row / 255.0) * size[1] for _, row in rows]
    corners = [(float(size[0]), float(size[1])), (0.0, float(size[1]))]
    draw.polygon([*zip(x.tolist(), y[0].tolist(), strict=True), *corners], fill=_FILLED)
    for heights, (_, light, _) in zip(y[1:], curves, strict=False):
        draw.line(list(zip(x.tolist(), heights.tolist(), strict=True)), fill=light, width=2 * scale)
    page = page.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
    ImageDraw.Draw(page).rectangle((0, 0, _WIDTH - 1, _HEIGHT - 1), outline=_LINE)
    return page


def _chart(lines: list[dict[str, Any]]) -> Image.Image:
    scale = 2  # drawn large and shrunk, for smooth lines
    page = Image.new("RGB", (_WIDTH * scale, _HEIGHT * scale), "#ffffff")
    draw = ImageDraw.Draw(page)
    for line in lines:
        run: list[tuple[float, float]] = []
        for x, y in [*zip(line["x"], line["y"], strict=True), (0, None)]:
            if y is not None:
                run.append((x * _WIDTH * scale, (1 - y) * _HEIGHT * scale))
            elif len(run) > 1:
                draw.line(run, fill=line["light"], width=2 * scale)
            if y is None:
                run = []
    page = page.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
    ImageDraw.Draw(page).rectangle((0, 0, _WIDTH - 1, _HEIGHT - 1), outline=_LINE)
    return page
