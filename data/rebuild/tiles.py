"""Small drawings packed into one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def sheet(tiles: Sequence[Image.Image], columns: int, empty: object) -> Image.Image:
    """Lay equal square tiles out row by row; `empty` fills what is left of the last row."""
    side = tiles[0].width
    rows = -(-len(tiles) // columns)
    result = Image.new(tiles[0].mode, (columns * side, rows * side), empty)  # type: ignore[arg-type]
    for i, tile in enumerate(tiles):
        result.paste(tile, (i % columns * side, i // columns * side))
    return result


def shrink(drawing: Image.Image, side: int) -> Image.Image:
    """An RGBA drawing, centred in a square and resized with premultiplied alpha, so that edges stay clean."""
    longest = max(drawing.size)
    square = Image.new("RGBA", (longest, longest))
    square.paste(drawing, ((longest - drawing.width) // 2, (longest - drawing.height) // 2))
    if longest == side:
        return square
    how = Image.Resampling.BOX if longest % side == 0 else Image.Resampling.LANCZOS
    return square.convert("RGBa").resize((side, side), how).convert("RGBA")


def on_white(drawing: Image.Image) -> Image.Image:
    """An RGBA drawing composited on white."""
    return Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("RGB")


def blank_transparent(drawing: Image.Image) -> Image.Image:
    """Zero the colour of fully transparent pixels: nobody sees it, and it may hold anything."""
    alpha = drawing.getchannel("A").point(lambda a: 255 if a else 0)
    return Image.composite(drawing, Image.new("RGBA", drawing.size), alpha)
