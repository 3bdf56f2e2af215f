"""The same things drawn in three styles, 64x64 on white, in the same order."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from rebuild import captions, tiles
from rebuild.people import table
from rebuild.sources import CAPTIONS, FLUENT, NOTO, TWEMOJI

PACKAGES = (NOTO, TWEMOJI, FLUENT, CAPTIONS)
LOSSY = ("noto_64_white_q90.webp", "twemoji_64_white_q90.webp", "fluent3d_64_white_q90.webp")
COLUMNS = ("index", "codepoints", "name", "concept", "category", "subcategory", "tags", "split")


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Write one sheet for each style, 40 drawings a row, and the table of names."""
    names, tags = captions.read(unpacked[CAPTIONS.spec])
    fluent = {captions.key(f.stem): f for f in (unpacked[FLUENT.spec] / "package/assets").glob("*.webp")}
    drawings = [d for d in table(unpacked[TWEMOJI.spec]) if wanted(d, fluent)]
    plain = {name.lower() for name in names.values()}
    with (out / "emoji.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for i, d in enumerate(drawings):
            key = captions.key(d["code"])
            concept = captions.concept(captions.role(names[key], plain))
            about = [d["category"], d["subcategory"], " ".join(tags.get(key, [])), captions.split(concept)]
            rows.writerow([i, d["code"], names[key], concept, *about])
    noto = unpacked[NOTO.spec] / "package/img/google/64"
    twemoji = unpacked[TWEMOJI.spec] / "package/img/twitter/64"
    pack([noto / d["image"] for d in drawings], out / "noto_64_white_q90.webp")
    pack([twemoji / d["image"] for d in drawings], out / "twemoji_64_white_q90.webp")
    pack([fluent[captions.key(d["code"])] for d in drawings], out / "fluent3d_64_white_q90.webp")


def wanted(drawing: dict[str, str], fluent: dict[str, Path]) -> bool:
    """No tones, flags, components or rude gesture, and drawn in all three styles."""
    key = captions.key(drawing["code"])
    if drawing["tone"] or drawing["category"] in ("Flags", "Component") or key == captions.RUDE:
        return False
    return bool(drawing["in_both"]) and key in fluent


def pack(files: list[Path], target: Path) -> None:
    """One lossy sheet of the drawings in `files`."""
    drawings = [tiles.on_white(tiles.shrink(Image.open(f).convert("RGBA"), 64)) for f in files]
    tiles.sheet(drawings, 40, (255, 255, 255)).save(target, quality=90, method=6)
