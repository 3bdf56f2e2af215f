"""The still picture of a LatentPlane: its points, its classes, and a map of what it decodes to."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_SIDE = 168  # pixels of each panel: six tiles of 28
_GAP = 12
_MOST = 800  # points: a still picture needs fewer
_PAPER, _INK, _LINE = "#ffffff", "#1f2328", "#d5d9df"


def plane_picture(
    xy: NDArray[np.float64], kind: NDArray[np.uint8], classes: list[dict[str, str]], sheet: bytes, n: int
) -> Image.Image:
    """xy (N, 2) in 0..1 from the bottom left, kind (N,) an index into classes, sheet n x n tiles, encoded."""
    right = _map(sheet, n)
    if len(xy) == 0:
        return _framed([right])
    return _framed([_scatter(xy, kind, classes), right], classes)


def _framed(panels: list[Image.Image], classes: list[dict[str, str]] | None = None) -> Image.Image:
    legend = _legend(classes, len(panels) * (_SIDE + _GAP)) if classes and len(classes) > 1 else None
    height = _SIDE + 2 + (legend.height + 8 if legend else 0)
    page = Image.new("RGB", (len(panels) * (_SIDE + _GAP) - _GAP + 2, height), _PAPER)
    for i, panel in enumerate(panels):
        left = i * (_SIDE + _GAP)
        page.paste(panel, (left + 1, 1))
        ImageDraw.Draw(page).rectangle((left, 0, left + _SIDE + 1, _SIDE + 1), outline=_LINE)
    if legend:
        page.paste(legend, (0, _SIDE + 10))
    return page


def _map(sheet: bytes, n: int) -> Image.Image:
    """About six tiles a side, evenly picked from the sheet."""
    with Image.open(io.BytesIO(sheet)) as image:
        whole = image.convert("RGB")
    width, height = whole.width // n, whole.height // n
    pick = np.unique(np.linspace(0, n - 1, min(n, 6)).round().astype(int))
    small = Image.new("RGB", (len(pick) * width, len(pick) * height))
    for i, row in enumerate(pick):
        for j, column in enumerate(pick):
            box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
            small.paste(whole.crop(box), (j * width, i * height))
    return small.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _scatter(xy: NDArray[np.float64], kind: NDArray[np.uint8], classes: list[dict[str, str]]) -> Image.Image:
    few = np.linspace(0, len(xy) - 1, min(len(xy), _MOST)).round().astype(int)
    xy, kind = xy[few], kind[few]
    scale = 3  # drawn large and shrunk, for smooth edges
    canvas = Image.new("RGB", (_SIDE * scale, _SIDE * scale), _PAPER)
    draw = ImageDraw.Draw(canvas)
    radius = (1.8 if len(xy) > 400 else 2.4) * scale
    for (x, y), k in zip(xy * _SIDE * scale, kind, strict=True):
        down = _SIDE * scale - y
        draw.ellipse((x - radius, down - radius, x + radius, down + radius), fill=classes[k]["light"])
    return canvas.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _legend(classes: list[dict[str, str]], width: int) -> Image.Image:
    font = ImageFont.load_default(13)
    places, x, y = [], 4, 0
    for entry in classes:
        need = int(font.getlength(entry["name"])) + 30
        if x + need > width and x > 4:
            x, y = 4, y + 20
        places.append((x, y))
        x += need
    page = Image.new("RGB", (width - _GAP, y + 20), _PAPER)
    draw = ImageDraw.Draw(page)
    for entry, (left, top) in zip(classes, places, strict=True):
        draw.ellipse((left, top + 4, left + 10, top + 14), fill=entry["light"])
        draw.text((left + 15, top + 1), entry["name"], fill=_INK, font=font)
    return page
