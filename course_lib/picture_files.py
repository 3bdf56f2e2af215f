"""Picture files from real life: what can be used is converted, what cannot is skipped, and one warning at the
end names these files with the reason. Nothing on disk is touched.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from tqdm.auto import tqdm

from course_lib.errors import DataError

SMALLEST = 8  # pixels a side; less holds nothing to learn
LARGEST = 100_000_000  # pixels; a small file can claim more than memory holds (a decompression bomb)
TOO_LARGE = "too large (over 100 million pixels)"
NAMED = 10  # files named in the warning for each reason; the rest are counted


class ImageWarning(UserWarning):
    """Some files of a folder were skipped or converted."""


class _Skip(Exception):
    """Why one file cannot be used."""


def pictures(path: Path | str, *, grey: bool = False) -> Iterator[tuple[Path, Tensor]]:
    """One picture file, or every image under a folder, one after the other, whole: (path, uint8 (3, H, W)).

    They are read and converted as by `folder` (with `grey` to (1, H, W)), but neither cut nor resized; the
    path is counted from the folder. The warning comes after the last. Raises `DataError` where there is
    nothing usable.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"{place} does not exist: give a picture, or a folder of them.")
    notes: dict[str, list[str]] = {}
    count = 0
    for name, picture in usable(place, notes):
        yield name, tensor(flat(picture, grey))
        count += 1
    tell(place, count, notes)


def checked(path: Path | str, size: int = 1) -> Path:
    """The folder at `path`. Raises DataError if there is none, or the size of pictures makes no sense."""
    place = Path(path).expanduser()
    if size < 1:
        raise DataError(f"The size of the pictures must be at least 1 pixel, not {size}.")
    if not place.is_dir():
        what = "is a file, not a folder" if place.exists() else "does not exist"
        raise DataError(f"{place} {what}: give the folder that holds your images.")
    return place


def usable(place: Path, notes: dict[str, list[str]]) -> Iterator[tuple[Path, Image.Image]]:
    """The pictures under a folder, or of one file, with their paths; what happened to them goes into `notes`.

    Where it takes long there is a progress bar.
    """
    files = sorted(f for f in place.rglob("*") if f.is_file() and not _hidden(f, place))
    root = place
    if place.is_file():
        files, root = [place], place.parent
    for file in tqdm(files, unit="file", leave=False, delay=2):
        name = file.relative_to(root)
        try:
            picture, remarks = _open(file)
        except _Skip as reason:
            notes.setdefault(f"skipped, {reason}", []).append(str(name))
            continue
        for remark in remarks:
            notes.setdefault(remark, []).append(str(name))
        yield name, picture


def tell(place: Path, count: int, notes: dict[str, list[str]]) -> None:
    """One warning about all files, or DataError where none is usable."""
    if not count and place.is_file():
        raise DataError(f"{place} cannot be used ({_summary(notes)}): give another picture.")
    if not count:
        found = f" ({_summary(notes)})" if notes else ""
        raise DataError(f"There is no usable image in {place}{found}: give a folder with images.")
    if notes:
        warnings.warn(f"{place}: {count} images read; {_summary(notes)}.", ImageWarning, stacklevel=3)


def flat(picture: Image.Image, grey: bool) -> Image.Image:
    """The picture on white, in mode RGB or L."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("L" if grey else "RGB")


def tensor(picture: Image.Image) -> Tensor:
    """Mode RGB or L -> (3 or 1, H, W) uint8."""
    pixels = torch.from_numpy(np.array(picture)).reshape(picture.height, picture.width, -1)
    return pixels.permute(2, 0, 1).contiguous()


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


def _summary(notes: dict[str, list[str]]) -> str:
    """ "skipped, not an image: a.txt, b.txt; CMYK converted to RGB: c.jpg"."""
    parts = []
    for remark, files in notes.items():
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        parts.append(f"{remark}: {', '.join(files[:NAMED])}{more}")
    return "; ".join(parts)
