"""Drawings of people in two styles, 32x32 with transparency, with caption, role, gender and tone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from PIL import Image

from rebuild import captions, tiles
from rebuild.sources import CAPTIONS, NOTO, TWEMOJI

PACKAGES = (NOTO, TWEMOJI, CAPTIONS)
LOSSY: tuple[str, ...] = ()

KINDS = {"person", "person-role", "person-gesture", "person-fantasy", "person-activity"}
COLUMNS = (
    "index", "codepoints", "caption", "role", "concept", "gender", "tone", "subcategory", "split",
)  # fmt: skip


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Write one sheet for each style, 64 drawings a row in the same order, and the table of captions."""
    names, _ = captions.read(unpacked[CAPTIONS.spec])
    drawings = [d for d in table(unpacked[TWEMOJI.spec]) if d["in_both"] and d["subcategory"] in KINDS]
    drawings = [d for d in drawings if "-" not in d["tone"]]  # one person, one tone
    plain = {name.lower() for name in names.values()}
    with (out / "people.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for i, drawing in enumerate(drawings):
            rows.writerow(
                [i, drawing["code"], *describe(names[captions.key(drawing["code"])], plain, drawing)]
            )
    for package, style, folder in ((NOTO, "noto", "google"), (TWEMOJI, "twemoji", "twitter")):
        source = unpacked[package.spec] / f"package/img/{folder}/64"
        small = [tiles.shrink(Image.open(source / d["image"]).convert("RGBA"), 32) for d in drawings]
        sheet = tiles.sheet([tiles.blank_transparent(t) for t in small], 64, (0, 0, 0, 0))
        # exact: keep the zeros under transparent pixels
        sheet.save(out / f"{style}_32_rgba.webp", lossless=True, quality=100, method=6, exact=True)


def describe(caption: str, plain: set[str], drawing: dict[str, str]) -> list[object]:
    """The columns of people.csv after `codepoints`."""
    role = captions.role(caption, plain)
    concept = captions.concept(role)
    split = "held_out" if captions.held_out(caption) else captions.split(concept)
    kind = drawing["subcategory"]
    return [caption, role, concept, captions.gender(caption), captions.tone(caption), kind, split]


def table(folder: Path) -> list[dict[str, str]]:
    """Every emoji of the package in its own order, each followed by its toned variants.

    Keys: code, base, image, category, subcategory, tone ("" without modifier), in_both ("yes" where both
    Noto and Twemoji have drawn it).
    """
    entries = json.loads((folder / "package/emoji.json").read_text(encoding="utf-8"))
    drawings = []
    for entry in sorted(entries, key=lambda e: int(e["sort_order"])):
        for tone, drawing in [("", entry), *entry.get("skin_variations", {}).items()]:
            drawings.append(
                {
                    "code": drawing["unified"],
                    "image": drawing["image"],
                    "category": entry["category"],
                    "subcategory": entry["subcategory"],
                    "tone": tone,
                    "in_both": "yes" if drawing["has_img_google"] and drawing["has_img_twitter"] else "",
                }
            )
    return drawings
