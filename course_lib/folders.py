"""Your own pictures: any folder of images, or two folders of two kinds, as data sets.

What a folder from real life may hold, and what becomes of it, is in `picture_files.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from PIL import Image, ImageOps
from torch import Tensor

from course_lib.errors import DataError
from course_lib.picture_files import ImageWarning, checked, flat, pictures, tell, tensor, usable
from course_lib.sets import Images, Index, to_floats

__all__ = ["Crops", "ImageWarning", "Unpaired", "crops", "folder", "held_out", "pictures", "unpaired"]

LONGEST = 4  # times as long as wide: of a panorama that is longer, training sees the middle
ROOM = 1.15  # the shorter side of a picture that crops are cut from, in sides of a crop
MEMORY = 2**31  # bytes that the pictures of one folder may take


def folder(path: Path | str, *, size: int, grey: bool = False) -> Images:
    """Every image under `path`, sub-folders included, in the order of their paths.

    Gives `Images` without labels, x (N, 3, size, size), or (N, 1, size, size) with `grey`: turned upright by
    the EXIF tag, cut to the central square, resized (Lanczos). Transparent parts become white, CMYK and
    16-bit pictures 8-bit RGB; of several frames the first is taken. Skipped: files that are no image, vector
    drawings, damaged images, those over 100 million pixels or under 8 pixels a side. Hidden files are
    ignored. One `ImageWarning` names what happened to which file. Raises `DataError` where there is no such
    folder or no usable image in it.
    """
    place = checked(path, size)
    notes: dict[str, list[str]] = {}  # what happened -> to which files
    cut = []
    for name, picture in usable(place, notes):
        _note_enlarged(picture, size, name, notes)
        cut.append(_square(picture, size, grey))
    tell(place, len(cut), notes)
    return Images(torch.stack(cut))


@dataclass(frozen=True, eq=False)
class Crops:
    """Pictures of any size and shape. `data[index]` cuts a square out of each at random, and mirrors half.

    A batch is floats in [-1, 1] (B, 3, size, size). It draws from the global generator, which `fit` seeds for
    every step: so each epoch sees other crops, and a resumed run the same as one that was never stopped.
    """

    pictures: tuple[Tensor, ...] = field(repr=False)  # (3, H, W) uint8 each, H and W at least `size`
    size: int

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Index) -> Tensor:
        rows = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        chosen = [self._crop(self.pictures[i]) for i in rows.reshape(-1).tolist()]
        return to_floats(torch.stack(chosen).reshape(*rows.shape, *chosen[0].shape))

    def _crop(self, picture: Tensor) -> Tensor:
        top = int(torch.randint(picture.shape[1] - self.size + 1, ()))
        left = int(torch.randint(picture.shape[2] - self.size + 1, ()))
        crop = picture[:, top : top + self.size, left : left + self.size]
        return crop.flip(2) if torch.rand(()) < 0.5 else crop

    def to(self, device: torch.device | str) -> Crops:
        """The same set with its pictures on `device`."""
        return replace(self, pictures=tuple(picture.to(device) for picture in self.pictures))

    def colours(self, count: int = 1024) -> Tensor:
        """`count` pixels of every picture, evenly spread: floats in [-1, 1], (N, 3, 1, count)."""
        spread = [p.flatten(1)[:, torch.linspace(0, p[0].numel() - 1, count).long()] for p in self.pictures]
        return to_floats(torch.stack(spread))[:, :, None]


def crops(path: Path | str, *, size: int) -> Crops:
    """Every image under `path`, to cut squares of `size` out of at random: what one trains on.

    Read as by `folder`, but kept whole: reduced until the shorter side is 1.15 times `size` (a smaller
    picture stays as it is; one smaller than `size` is enlarged, and named). Of a panorama more than four
    times as long as wide the middle is kept. Raises `DataError` also where all of it takes over 2 GiB.
    """
    place = checked(path, size)
    notes: dict[str, list[str]] = {}
    kept: list[Tensor] = []
    room = MEMORY
    for name, picture in usable(place, notes):
        _note_enlarged(picture, size, name, notes)
        if max(picture.size) > LONGEST * min(picture.size):
            remark = f"cut to the middle, because over {LONGEST} times as long as wide"
            notes.setdefault(remark, []).append(str(name))
        kept.append(_reduced(picture, size))
        room -= kept[-1].numel()
        if room < 0:
            raise DataError(
                f"The pictures of {place} take more than {MEMORY / 2**30:.0f} GiB at crops of {size} pixels: "
                f"{len(kept) - 1} fit, so give fewer, or smaller crops."
            )
    tell(place, len(kept), notes)
    return Crops(tuple(kept), size)


@dataclass(frozen=True, eq=False)
class Unpaired:
    """Two kinds of pictures. `data[index]` is (a, b), floats in [-1, 1], drawn independently of each other.

    Index i stands for one of the len(a) * len(b) pairs, so a uniform draw of i draws both sides
    independently. (Above 2**24 pairs, each a has that many fewer partners, chosen at random once.)
    """

    a: Images | Crops
    b: Images | Crops

    def __len__(self) -> int:
        return len(self.a) * min(len(self.b), max(1, 2**24 // len(self.a)))

    def __getitem__(self, index: Index) -> tuple[Tensor, Tensor]:
        i = torch.arange(len(self))[index] if isinstance(index, slice) else torch.as_tensor(index)
        i = i.nonzero().squeeze(1) if i.dtype == torch.bool else i.cpu()
        first = i % len(self.a)
        generator = torch.Generator().manual_seed(0)
        offset = torch.randint(len(self.b), (len(self.a),), generator=generator)
        second = (i // len(self.a) + offset[first]) % len(self.b)
        return _floats(self.a, first), _floats(self.b, second)

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

    For training, random crops (see `crops`); for the split "test", central squares (see `folder`). Raises
    `DataError` where a folder is missing, is given twice or lies in the other, and where one holds no usable
    image, or for training fewer than two.
    """
    if split not in ("train", "test"):
        raise DataError(f'There is no split "{split}": take train or test.')
    places = _two_places(Path(path).expanduser(), other, split)
    if split == "test":
        return Unpaired(*(folder(place, size=size) for place in places))
    sides = [crops(place, size=size) for place in places]
    for place, side in zip(places, sides, strict=True):
        if len(side) < 2:
            raise DataError(f"{place} holds 1 usable image: training needs at least 2, better some hundred.")
    return Unpaired(*sides)


def held_out(path: Path | str, other: Path | str | None = None, *, size: int) -> tuple[Images, Images, str]:
    """The pictures to judge a translation by, as central squares: A, B, and what they are in a few words.

    `testA` and `testB` under `path`, where they are; else the pictures it was trained on. Raises `DataError`
    as `unpaired` does.
    """
    here = Path(path).expanduser()
    apart = other is None and (here / "testA").is_dir() and (here / "testB").is_dir()
    first, second = _two_places(here, other, "test" if apart else "train")
    what = "held-out pictures" if apart else "training pictures"
    return folder(first, size=size), folder(second, size=size), what


def _two_places(path: Path, other: Path | str | None, split: str) -> tuple[Path, Path]:
    """Where the two kinds of pictures lie. Raises DataError."""
    if other is None:
        places = path / f"{split}A", path / f"{split}B"
        missing = [place.name for place in places if not place.is_dir()]
        if missing:
            raise DataError(
                f"There is no folder {' and no '.join(missing)} in {path}: put the two kinds of images into "
                f"{split}A and {split}B, or give two folders."
            )
        return places
    places = checked(path), checked(other)
    first, second = (place.resolve() for place in places)
    if first == second:
        raise DataError(f"{path} was given for both kinds of pictures: give two different folders.")
    if first in second.parents or second in first.parents:
        inner, outer = places if second in first.parents else places[::-1]
        raise DataError(f"{inner} lies in {outer}, whose sub-folders are read too: put them side by side.")
    return places


def _floats(side: Images | Crops, rows: Tensor) -> Tensor:
    """Pictures without their labels: floats in [-1, 1]."""
    return side[rows] if isinstance(side, Crops) else to_floats(side.x[rows])


def _note_enlarged(picture: Image.Image, size: int, name: Path, notes: dict[str, list[str]]) -> None:
    if min(picture.size) < size:
        notes.setdefault(f"enlarged, because smaller than {size} pixels", []).append(str(name))


def _square(picture: Image.Image, size: int, grey: bool) -> Tensor:
    """The central square of the picture on white, resized: (3 or 1, size, size) uint8."""
    return tensor(ImageOps.fit(flat(picture, grey), (size, size), Image.Resampling.LANCZOS))


def _reduced(picture: Image.Image, size: int) -> Tensor:
    """The picture on white, its shorter side from `size` to 1.15 `size`, no panorama: (3, H, W) uint8."""
    width, height = picture.size
    short = min(width, height)
    longest = LONGEST * short
    wide, high = min(width, longest), min(height, longest)
    left, top = (width - wide) // 2, (height - high) // 2
    picture = flat(picture.crop((left, top, left + wide, top + high)), grey=False)
    scale = max(size, min(short, round(ROOM * size))) / short
    target = max(size, round(wide * scale)), max(size, round(high * scale))
    return tensor(picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0))
