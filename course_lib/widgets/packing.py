"""Rows of images, checked and packed to weigh little in a saved notebook, and drawn as a still picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from course_lib.widgets.page import WidgetError
from course_lib.widgets.sheet import Bytes3, checked_images, value_note

LARGEST = 4096  # pixels of a side: browsers on phones refuse larger pictures
LOSSLESS = 101  # a "quality" beyond 100
_PAPER, _INK = "#ffffff", "#1f2328"


def checked_rows(named: Mapping[str, object]) -> dict[str, NDArray[np.float32]]:
    """Images (N, C, H, W) for each name, as float32 in [-1, 1] (see `checked_images`), with one N.

    Raises `WidgetError` where one of them holds no such images, or where they differ in N.
    """
    rows = {name: checked_images(images, name) for name, images in named.items()}
    first, *others = rows
    for name in others:
        if len(rows[name]) != len(rows[first]):
            raise WidgetError(
                f"{first} has {len(rows[first])} images and {name} has {len(rows[name])}: "
                "give the same number everywhere, in the same order."
            )
    return rows


def remarks(rows: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """What is suspicious about the values, once for each sentence."""
    found: dict[str, list[str]] = {}
    for name, images in rows.items():
        if value_note(images):
            found.setdefault(value_note(images), []).append(name)
    return [f"{', '.join(names)}: {sentence}" for sentence, names in found.items()]


def squared_errors(images: NDArray[np.float32], truth: NDArray[np.float32]) -> list[float]:
    """The mean of (image - truth)² over the values of each image; values in [-1, 1], so at most 4."""
    return [float(np.mean((x - y) ** 2, dtype=np.float64)) for x, y in zip(images, truth, strict=True)]


def in_cells(rows: Sequence[Bytes3]) -> Image.Image:
    """Rows of N tiles uint8 (N, H, W, C), of any sizes, in one picture of equal cells, each at the top left.

    The rest of a cell repeats the tile's edge, which costs next to nothing and keeps the edge clean.
    """
    height, width = (max(tiles.shape[axis] for tiles in rows) for axis in (1, 2))
    size = (len(rows[0]) * width, len(rows) * height)
    if max(size) > LARGEST:
        raise WidgetError(
            f"{len(rows)} rows of {len(rows[0])} images of {width} x {height} make a sheet of {size[0]} x "
            f"{size[1]} pixels, and at most {LARGEST} can be shown: use fewer or smaller images."
        )
    channels = max(tiles.shape[3] for tiles in rows)
    lines = []
    for tiles in rows:
        _, h, w, c = tiles.shape
        cells = np.pad(tiles, ((0, 0), (0, height - h), (0, width - w), (0, 0)), mode="edge")
        cells = np.repeat(cells, channels // c, axis=3)
        lines.append(cells.transpose(1, 0, 2, 3).reshape(height, -1, channels))
    sheet = np.concatenate(lines)
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def webp(image: Image.Image, quality: int) -> bytes:
    """The picture as WebP; `LOSSLESS` keeps every pixel."""
    out = io.BytesIO()
    if quality == LOSSLESS:
        image.save(
            out, "WEBP", lossless=True, quality=75, method=4
        )  # the last per cents of size cost seconds
    else:
        image.save(out, "WEBP", quality=quality, method=6 if image.width * image.height < 2_000_000 else 2)
    return out.getvalue()


def fitted(image: Image.Image, most: int, qualities: Sequence[int]) -> bytes:
    """WebP at the first of `qualities` (best first) that takes at most `most` bytes, or else at the last."""
    for quality in qualities:
        data = webp(image, quality)
        if len(data) <= most:
            break
    return data


def opened(data: bytes) -> Image.Image:
    """An encoded picture as RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def enlarged(image: Image.Image, width: int) -> Image.Image:
    """The picture about `width` pixels wide: small ones by a whole factor with hard edges, others shrunk."""
    if image.width > width:
        return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.BOX)
    scale = width // image.width
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def stacked(parts: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """A still picture: each part under its name."""
    font = ImageFont.load_default(13)
    width = max(max(image.width, int(font.getlength(name)) + 2) for name, image in parts)
    page = Image.new("RGB", (width, sum(image.height + 26 for _, image in parts)), _PAPER)
    draw, y = ImageDraw.Draw(page), 0
    for name, image in parts:
        draw.text((0, y + 2), name, fill=_INK, font=font)
        page.paste(image, (0, y + 20))
        y += image.height + 26
    return page
