"""The still picture of a Playground2D: the plane and numbers of its newest frame, the losses up to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from course_lib.widgets.play_frames import EDGE, LEVELS, SPAN, Places, Shot

_LINE_HEIGHT = 20
_SIDE, _GAP, _SCALE = 232, 12, 3  # pixels; drawn _SCALE times as large and shrunk, for smooth edges
CONTRAST = (
    0.6  # an exponent below 1, so that small differences from one half are seen (playground_view.js too)
)
_PAPER, _INK, _LINE = "#ffffff", "#1f2328", "#d5d9df"
REAL, MADE = "#a65300", "#1d5fa6"  # data and samples, also at the ends of the field's colours
_LOW, _HALF, _HIGH = (142, 186, 229), (250, 250, 250), (245, 178, 106)
_BANDS = 6  # of colour on each side of one half: a picture of few colours is small
_LINES = ("#1f2328", "#0f6b4f", "#8a4a8f", "#59606a")


def play_picture(data: Places, shots: Sequence[Shot], setting: str = "") -> Image.Image:
    """data (N, 2) places; shots: the recorded frames, the newest last; the name of the setting, if any."""
    page = Image.new("RGB", (2 * _SIDE + _GAP + 2, _SIDE + 28), _PAPER)
    page.paste(_plane(data, shots[-1] if shots else None), (1, 1))
    lines = [("setting", setting)] if setting else []
    lines += shots[-1].numbers.items() if shots else []
    below = _text(page, lines)
    page.paste(_losses(shots, _SIDE + 1 - below), (_SIDE + _GAP + 1, below))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    draw.rectangle((0, 0, _SIDE + 1, _SIDE + 1), outline=_LINE)
    draw.ellipse((4, _SIDE + 13, 12, _SIDE + 21), fill=REAL)
    draw.text((17, _SIDE + 9), "data", fill=_INK, font=font)
    draw.polygon(_diamond(64, _SIDE + 17, 5), fill=MADE)
    draw.text((73, _SIDE + 9), f"samples at step {shots[-1].step if shots else 0}", fill=_INK, font=font)
    return page


def _text(page: Image.Image, lines: Sequence[tuple[str, str]]) -> int:
    """Names and values right of the plane, one a line; how far down they reach."""
    draw, font, left = ImageDraw.Draw(page), ImageFont.load_default(13), _SIDE + _GAP + 1
    for i, (name, value) in enumerate(lines):
        room = _SIDE - 8 - min(font.getlength(name), 0.4 * _SIDE)
        value = _fitted(value, room, font)
        wide = font.getlength(value)
        draw.text((left, _LINE_HEIGHT * i), _fitted(name, _SIDE - wide - 8, font), fill=_INK, font=font)
        draw.text((left + _SIDE - wide, _LINE_HEIGHT * i), value, fill=_INK, font=font)
    return 1 + (_LINE_HEIGHT * len(lines) + 6 if lines else 0)


def _fitted(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, cut where it would be wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _plane(data: Places, shot: Shot | None) -> Image.Image:
    size = _SIDE * _SCALE
    canvas = _field(shot.field if shot else np.zeros(0, np.uint8), size)
    draw = ImageDraw.Draw(canvas)
    for x, y in _pixels(data, size)[:800]:
        draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=REAL, outline=_PAPER, width=2)
    for x, y in _pixels(shot.samples, size) if shot else []:
        draw.polygon(_diamond(x, y, 10), fill=MADE, outline=_PAPER, width=2)
    return canvas.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _field(field: NDArray[np.uint8], size: int) -> Image.Image:
    side = round(len(field) ** 0.5)
    if side == 0:
        return Image.new("RGB", (size, size), _HALF)
    value = Image.fromarray(field.reshape(side, side).astype(np.float32) / (LEVELS // 2) - 1)  # -1..1
    inside = (0.5, 0.5, side - 0.5, side - 0.5)  # the field's outermost points lie on the edges
    smooth = np.asarray(value.resize((size, size), Image.Resampling.BICUBIC, box=inside))[..., None]
    share = np.rint(np.abs(smooth).clip(0, 1) ** CONTRAST * _BANDS) / _BANDS
    low, half, high = (np.array(color, np.float32) for color in (_LOW, _HALF, _HIGH))
    rgb = half + share * (np.where(smooth < 0, low, high) - half)
    return Image.fromarray(rgb.round().astype(np.uint8))


def _losses(shots: Sequence[Shot], height: int) -> Image.Image:
    size = _SIDE * _SCALE
    canvas = Image.new("RGB", (size, height * _SCALE), _PAPER)
    names = sorted({name for shot in shots for name in shot.losses})[: len(_LINES)]
    values = [value for shot in shots for value in shot.losses.values()]
    if len(shots) < 2 or not values:
        return canvas.resize((_SIDE, height))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13 * _SCALE)
    low, high = min(values), max(values)
    first, last = shots[0].step, max(shots[-1].step, shots[0].step + 1)
    bottom = (height - 8) * _SCALE
    top = min(
        24 * _SCALE * (1 + len(names)), bottom - 30 * _SCALE
    )  # curves keep some room beside many numbers
    draw.text((0, 0), f"losses, {low:.3g} to {high:.3g}", fill=_INK, font=font)
    for i, name in enumerate(names):
        known = [(shot.step, shot.losses[name]) for shot in shots if name in shot.losses]
        x = (np.array([step for step, _ in known]) - first) / (last - first) * size
        y = bottom - (np.array([loss for _, loss in known]) - low) / max(high - low, 1e-9) * (bottom - top)
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=_LINES[i], width=2 * _SCALE)
        level = _SCALE * (22 * (i + 1) + 9)
        draw.line([(0, level), (16 * _SCALE, level)], fill=_LINES[i], width=2 * _SCALE)
        draw.text((22 * _SCALE, level - 9 * _SCALE), name, fill=_INK, font=font)
    return canvas.resize((_SIDE, height), Image.Resampling.LANCZOS)


def _pixels(places: Places, size: int) -> NDArray[np.float64]:
    """Places -> pixels from the top left."""
    share = (places.astype(float) - EDGE) / SPAN
    return np.stack([share[:, 0] * size, (1 - share[:, 1]) * size], axis=1)


def _diamond(x: float, y: float, r: float) -> list[tuple[float, float]]:
    return [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
