"""Line drawings and their coloured versions, pixel-aligned, 64x64, drawn from OpenMoji's SVG files."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image

from rebuild import captions, tiles
from rebuild.sources import CAPTIONS, OPENMOJI, BuildError

PACKAGES = (OPENMOJI, CAPTIONS)
LOSSY = ("line_64.png", "colour_64.webp")  # losslessly packed, but another librsvg may draw other edges
LEFT_OUT = {"flags", "extras-openmoji", "extras-unicode", "component"}
COLUMNS = ("index", "codepoints", "name", "concept", "group", "subgroup", "split")


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Write a sheet of lines (16 greys), one of colours, 40 drawings a row, and the table of names."""
    if shutil.which("rsvg-convert") is None:
        raise BuildError("rsvg-convert is needed to draw OpenMoji: run `apt-get install librsvg2-bin`.")
    package = unpacked[OPENMOJI.spec] / "package"
    names, _ = captions.read(unpacked[CAPTIONS.spec])
    plain = {name.lower() for name in names.values()}
    drawings = select(package)
    with (out / "openmoji.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for i, d in enumerate(drawings):
            name = names.get(captions.key(d["hexcode"]), d["annotation"])
            concept = captions.concept(captions.role(name, plain))
            rows.writerow(
                [i, d["hexcode"], name, concept, d["group"], d["subgroups"], captions.split(concept)]
            )
    files = [f"{d['hexcode']}.svg" for d in drawings]
    with ThreadPoolExecutor() as pool:
        lines = list(pool.map(draw, [package / "black/svg" / f for f in files]))
        colours = list(pool.map(draw, [package / "color/svg" / f for f in files]))
    grey = tiles.sheet([d.convert("L") for d in lines], 40, 255)
    sixteen_greys(grey).save(out / "line_64.png", optimize=True, bits=4)
    sheet = tiles.sheet([d.convert("RGB") for d in colours], 40, (255, 255, 255))
    sheet.save(out / "colour_64.webp", lossless=True, quality=100, method=6)


def select(package: Path) -> list[dict[str, str]]:
    """The entries of OpenMoji's table that we keep: standard emoji in both versions, without skin tones."""
    table = json.loads((package / "data/openmoji.json").read_text(encoding="utf-8"))
    both = {f.name for f in (package / "black/svg").iterdir()} & {
        f.name for f in (package / "color/svg").iterdir()
    }
    kept = [
        d for d in table if d["group"] not in LEFT_OUT and not d["skintone"] and f"{d['hexcode']}.svg" in both
    ]
    return sorted(
        (d for d in kept if captions.key(d["hexcode"]) != captions.RUDE), key=lambda d: d["hexcode"]
    )


def draw(file: Path) -> Image.Image:
    """One SVG file as a 64x64 picture on white."""
    command = ["rsvg-convert", "-w", "64", "-h", "64", "-b", "white", str(file)]
    return Image.open(BytesIO(subprocess.run(command, capture_output=True, check=True).stdout))


def sixteen_greys(sheet: Image.Image) -> Image.Image:
    """Round to multiples of 17, black and white included, as a palette picture of 4 bits a pixel."""
    levels = sheet.point(lambda grey: (grey + 8) // 17)
    result = Image.frombytes("P", levels.size, levels.tobytes())
    result.putpalette([channel for level in range(16) for channel in [level * 17] * 3])
    return result
