"""Pictures of pictures: grids, curves, and the plot style. The only place where [-1, 1] becomes 0..255.

Every figure is a `Picture`: a PNG with a text for those who cannot see it. A notebook shows it.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

# Okabe and Ito's palette, told apart by colour-blind readers too (jfly.uni-koeln.de/color)
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")


class Picture:
    """A PNG (or WebP) image and its description in words. In a notebook it displays itself."""

    def __init__(self, png: bytes, alt: str, width: int | None = None, kind: str = "png") -> None:
        self.png, self.alt, self.width, self.kind = png, alt, width, kind

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        size = f' width="{self.width}"' if self.width else ""
        data = base64.b64encode(self.png).decode()
        tag = (
            f'<img alt="{html.escape(self.alt)}"{size} style="max-width:100%"'
            f' src="data:image/{self.kind};base64,{data}">'
        )
        return {"text/html": tag, "text/plain": f"Figure: {self.alt}"}

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def save(self, path: str | Path) -> None:
        """Write the image file."""
        Path(path).write_bytes(self.png)


def to_uint8(x: Tensor) -> np.ndarray:
    """Pictures (B, C, H, W) in [-1, 1], clipped to it -> uint8 array (B, H, W, C)."""
    if x.dim() != 4:
        raise ValueError(f"Pictures must have the shape (B, C, H, W), got {tuple(x.shape)}.")
    x = ((x.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round()
    return x.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def tile(x: Tensor, *, columns: int = 8, gap: int = 1) -> Image.Image:
    """Pictures (B, C, H, W) in [-1, 1], C = 1 or 3 -> one image, row by row, with white gaps."""
    pixels = to_uint8(x)
    b, h, w, c = pixels.shape
    if c not in (1, 3):
        raise ValueError(f"Pictures need 1 or 3 channels, got {c}.")
    rows = -(-b // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), 255, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = picture
    return Image.fromarray(sheet[..., 0] if c == 1 else sheet)


def grid(x: Tensor, *, alt: str, columns: int = 8, scale: int = 2) -> Picture:
    """A grid of pictures (B, C, H, W) in [-1, 1], each pixel enlarged `scale` times without smoothing."""
    image = tile(x, columns=columns)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    return Picture(_png(image), alt)


def photos(x: Tensor, *, alt: str, columns: int = 4, quality: int = 80) -> Picture:
    """A grid of photos (B, C, H, W) in [-1, 1] as a lossy WebP: a sixth of the bytes of a PNG.

    For pictures with many colours and soft edges only: elsewhere it smears.
    """
    buffer = io.BytesIO()
    tile(x, columns=columns).convert("RGB").save(buffer, "WEBP", quality=quality, method=6)
    return Picture(buffer.getvalue(), alt, kind="webp")


def rows(
    named: Mapping[str, Tensor],  # name of the row -> pictures (B, C, H, W), all of one height and width
    *,
    alt: str,
    scale: float = 2.0,
    quality: int | None = None,  # of a lossy WebP, up to 100, for many colours; None: a PNG
) -> Picture:
    """One row of pictures under another, each with its name at the left: the way to compare models."""
    first = next(iter(named.values()))
    n, height, width = len(first), first.shape[2], first.shape[3]
    label = 1.7  # inches for the names
    inches = scale * width * n / 100, scale * (height + 3) * len(named) / 100
    fig = Figure(figsize=(label + inches[0], inches[1]), dpi=100)
    for i, (name, x) in enumerate(named.items()):
        bottom, share = 1 - (i + 1) / len(named), 0.96 / len(named)
        ax = fig.add_axes((label / (label + inches[0]), bottom, inches[0] / (label + inches[0]), share))
        image = np.asarray(tile(x, columns=n))
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        ax.set_axis_off()
        fig.text(0.005, bottom + share / 2, name, va="center", fontsize=10)
    grey = all(x.shape[1] == 1 for x in named.values())
    if quality is not None:
        FigureCanvasAgg(fig)
        buffer = io.BytesIO()
        fig.savefig(buffer, format="webp", facecolor="white", pil_kwargs={"quality": quality, "method": 6})
        return Picture(buffer.getvalue(), alt, kind="webp")
    return figure(fig, alt=alt, colours=64 if grey else 256)  # 64 greys look the same and weigh less


def curves(
    named: Mapping[str, Sequence[tuple[float, float]]],  # name -> [(x, y)]
    *,
    alt: str,
    x: str = "step",
    y: str = "loss",
    log: bool = False,
    title: str = "",
) -> Picture:
    """Lines in one plot: losses of a `Run` (pass `run.history`), or any measured points."""
    fig = new_figure()
    ax = fig.add_subplot()
    for i, (name, points) in enumerate(named.items()):
        xs, ys = zip(*points, strict=True)
        marker = "o" if len(points) <= 20 else ""
        ax.plot(xs, ys, color=COLOURS[i % len(COLOURS)], marker=marker, markersize=4, label=name)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=x, ylabel=y, title=title)
    if len(named) > 1:
        ax.legend(frameon=False)
    return figure(fig, alt=alt)


def new_figure(width: float = 6.4, height: float = 3.4) -> Figure:
    """An empty matplotlib figure, `width` x `height` inches, outside pyplot, so that it never leaks."""
    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def figure(fig: Figure, *, alt: str, colours: int = 256) -> Picture:
    """Any matplotlib figure as a `Picture` in the course's style: light spines, a quiet grid.

    colours: how many different ones the PNG may have, at most 256; fewer make it smaller.
    """
    for ax in fig.axes:
        ax.spines[["top", "right"]].set_visible(False)
        if ax.lines:
            ax.grid(alpha=0.25, linewidth=0.6)
    FigureCanvasAgg(fig)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white")
    return Picture(_small(buffer.getvalue(), colours), alt)


def _small(png: bytes, colours: int) -> bytes:
    """Plots have few colours: a palette of 256 makes them about three times smaller."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return _png(image.quantize(colours, dither=Image.Dither.NONE))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
