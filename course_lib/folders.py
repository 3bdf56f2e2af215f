"""Your own pictures: any folder of images, or two folders of two kinds, as data sets.

A folder from real life holds surprises. What can be used is converted, what cannot is skipped, and one
warning at the end names these files with the reason; nothing on disk is touched.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from course_lib.errors import DataError
from course_lib.sets import Images, Index, to_floats

SMALLEST = 8  # pixels a side; less holds nothing to learn
LARGEST = 100_000_000  # pixels; a small file can claim more than memory holds (a decompression bomb)
TOO_LARGE = "too large (over 100 million pixels)"
NAMED = 10  # files named in the warning for each reason; the rest are counted


class ImageWarning(UserWarning):
    """Some files of a folder were skipped or converted."""


class _Skip(Exception):
    """Why one file cannot be used."""


def folder(path: Path | str, *, size: int, grey: bool = False) -> Images:
    """Every image under `path`, sub-folders included, in the order of their paths.

    Gives `Images` without labels, x (N, 3, size, size), or (N, 1, size, size) with `grey`: turned upright by
    the EXIF tag, cut to the central square, resized (Lanczos). Transparent parts become white, CMYK and
    16-bit pictures 8-bit RGB; of several frames the first is taken. Skipped: files that are no image, vector
    drawings, damaged images, those over 100 million pixels or under 8 pixels a side. Hidden files are
    ignored. One `ImageWarning` names what happened to which file. Raises `DataError` where there is no such
    folder or no usable image in it.
    """
    place = Path(path).expanduser()
    if size < 1:
        raise DataError(f"The size of the pictures must be at least 1 pixel, not {size}.")
    if not place.is_dir():
        what = "is a file, not a folder" if place.exists() else "does not exist"
        raise DataError(f"{place} {what}: give the folder that holds your images.")
    pictures: list[Tensor] = []
    notes: dict[str, list[str]] = {}  # what happened -> to which files
    for file in sorted(f for f in place.rglob("*") if f.is_file() and not _hidden(f, place)):
        try:
            picture, remarks = _open(file)
            if min(picture.size) < size:
                remarks.append(f"enlarged, because smaller than {size} pixels")
            pictures.append(_square(picture, size, grey))
        except _Skip as reason:
            remarks = [f"skipped, {reason}"]
        for remark in remarks:
            notes.setdefault(remark, []).append(str(file.relative_to(place)))
    if not pictures:
        found = f" ({_summary(notes)})" if notes else ""
        raise DataError(f"There is no usable image in {place}{found}: give a folder with images.")
    if notes:
        warnings.warn(f"{place}: {len(pictures)} images read; {_summary(notes)}.", ImageWarning, stacklevel=2)
    return Images(torch.stack(pictures))


@dataclass(frozen=True, eq=False)
class Unpaired:
    """Two kinds of pictures. `data[index]` is (a, b), floats in [-1, 1], drawn independently of each other.

    Index i stands for one of the len(a) * len(b) pairs, so a uniform draw of i draws both sides
    independently. (Above 2**24 pairs, each a has that many fewer partners, chosen at random once.)
    """

    a: Images
    b: Images

    def __len__(self) -> int:
        return len(self.a) * min(len(self.b), max(1, 2**24 // len(self.a)))

    def __getitem__(self, index: Index) -> tuple[Tensor, Tensor]:
        i = torch.arange(len(self))[index] if isinstance(index, slice) else torch.as_tensor(index)
        i = i.nonzero().squeeze(1) if i.dtype == torch.bool else i.cpu()
        first = i % len(self.a)
        generator = torch.Generator().manual_seed(0)
        offset = torch.randint(len(self.b), (len(self.a),), generator=generator)
        second = (i // len(self.a) + offset[first]) % len(self.b)
        return to_floats(self.a.x[first]), to_floats(self.b.x[second])

    def to(self, device: torch.device | str) -> Unpaired:
        """The same set with its pictures on `device`."""
        return replace(self, a=self.a.to(device), b=self.b.to(device))


def unpaired(
    path: Path | str,
    other: Path | str | None = None,
    *,
    size: int,
    split: Literal["train", "test"] = "train",
) -> Unpaired:
    """Two folders of images, or one that holds `trainA`, `trainB` (and `testA`, `testB`), CycleGAN's layout.

    The images are read as by `folder`. Raises `DataError` where a folder is missing or holds no usable image.
    """
    if split not in ("train", "test"):
        raise DataError(f'There is no split "{split}": take train or test.')
    if other is not None:
        return Unpaired(folder(path, size=size), folder(other, size=size))
    places = [Path(path).expanduser() / f"{split}{side}" for side in "AB"]
    missing = [place.name for place in places if not place.is_dir()]
    if missing:
        raise DataError(
            f"There is no folder {' and no '.join(missing)} in {path}: put the two kinds of images into "
            f"{split}A and {split}B, or give two folders."
        )
    return Unpaired(folder(places[0], size=size), folder(places[1], size=size))


def _hidden(file: Path, place: Path) -> bool:
    """Whether the file or a folder on the way to it has a name that starts with a dot."""
    return any(part.startswith(".") for part in file.relative_to(place).parts)


def _open(file: Path) -> tuple[Image.Image, list[str]]:
    """One picture, upright, in mode L, RGB or RGBA, and what was done to it. Raises `_Skip`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own remarks: the size is judged below
            with Image.open(file) as picture:
                remarks = _remarks(picture)
                return _eight_bit(ImageOps.exif_transpose(picture)), remarks
    except _Skip:
        raise
    except Image.DecompressionBombError as error:
        raise _Skip(TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise _Skip("not an image") from error
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise _Skip("damaged or unreadable") from error


def _remarks(picture: Image.Image) -> list[str]:
    """What has to be done to the picture that its owner should know. Raises `_Skip`."""
    if picture.width * picture.height > LARGEST:
        raise _Skip(TOO_LARGE)
    if picture.format in ("EPS", "WMF"):
        raise _Skip("a vector drawing")  # which Pillow would hand to another program
    if min(picture.size) < SMALLEST:
        raise _Skip(f"too small (under {SMALLEST} pixels a side)")
    if picture.mode == "F":
        raise _Skip("floating-point pixels of unknown range")
    done = {
        # the other frames of an MPO, a phone's photo, are previews
        "first of several frames taken": getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO",
        "CMYK converted to RGB": picture.mode == "CMYK",
        "16 bits a pixel converted to 8": picture.mode.startswith("I"),
        "transparent parts made white": picture.has_transparency_data,
    }
    return [remark for remark, true in done.items() if true]


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow -> L, RGB or RGBA."""
    if picture.mode.startswith("I"):  # 16 bits, which convert() would clip at 255
        values = np.asarray(picture).astype(np.int64)
        return Image.fromarray((values.clip(0, 65535) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _square(picture: Image.Image, size: int, grey: bool) -> Tensor:
    """The central square of the picture on white, resized: (3 or 1, size, size) uint8."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    cut = ImageOps.fit(picture.convert("L" if grey else "RGB"), (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(cut)).reshape(size, size, -1).permute(2, 0, 1).contiguous()


def _summary(notes: dict[str, list[str]]) -> str:
    """ "skipped, not an image: a.txt, b.txt; CMYK converted to RGB: c.jpg"."""
    parts = []
    for remark, files in notes.items():
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        parts.append(f"{remark}: {', '.join(files[:NAMED])}{more}")
    return "; ".join(parts)
