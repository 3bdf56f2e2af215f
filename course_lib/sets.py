"""What a data set is: uint8 tensors in memory, with words and labels beside them.

`data[index]` is a batch: floats in [-1, 1], made on the device where the tensors lie. `index` is a LongTensor
(B,), a boolean mask (N,), a slice or an int.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from course_lib.errors import DataError

Index = Tensor | slice | int
Background = tuple[int, int, int] | Literal["random"]

STYLES = ("noto", "twemoji")
TONES = ("no tone", "light", "medium-light", "medium", "medium-dark", "dark")
GENDERS = ("neutral", "man", "woman")


def to_floats(x: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]: 0 becomes exactly -1 and 255 exactly 1."""
    return x.to(torch.float32) / 127.5 - 1


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures, perhaps with labels. A batch is `x`, float32 in [-1, 1] (B, C, H, W), or `(x, y)`."""

    x: Tensor  # (N, C, H, W) uint8
    y: Tensor | None = None  # (N,) int64 labels
    names: tuple[str, ...] = ()  # of the classes: names[y[i]]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> Tensor | tuple[Tensor, Tensor]:
        x = to_floats(self.x[index])
        return x if self.y is None else (x, self.y[index])

    @property
    def floats(self) -> Tensor:
        """All pictures at once: float32 in [-1, 1], (N, C, H, W). Four times the memory of `x`."""
        return to_floats(self.x)

    def to(self, device: torch.device | str) -> Images:
        """The same set with its tensors on `device`, where batches are then made."""
        return replace(self, x=self.x.to(device), y=None if self.y is None else self.y.to(device))

    def subset(self, index: Tensor | slice) -> Images:
        """The pictures picked by a LongTensor, a boolean mask or a slice, with all that belongs to them."""
        return replace(self, x=self.x[index], y=None if self.y is None else self.y[index])

    def unlabelled(self) -> Images:
        """The same pictures without labels: batches are `x` alone."""
        return Images(self.x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawings(Images):
    """Pictures with words: entry i of every field belongs to picture i."""

    captions: tuple[str, ...]  # what the picture shows, in words
    concepts: tuple[str, ...]  # the same without tone, gender and direction: what the splits go by
    tags: tuple[str, ...] = ()  # search words, separated by spaces

    def subset(self, index: Tensor | slice) -> Drawings:
        """The drawings picked by a LongTensor, a boolean mask or a slice, with all that belongs to them."""
        return replace(
            self,
            x=self.x[index],
            y=None if self.y is None else self.y[index],
            captions=_pick(self.captions, index),
            concepts=_pick(self.concepts, index),
            tags=_pick(self.tags, index),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class People(Drawings):
    """Drawn people with their captions, skin-tone modifiers, gender words and roles."""

    rgba: Tensor  # (N, 4, H, W) uint8 with transparency, 0 where fully transparent; x is this on a background
    style: Tensor  # (N,) int64, of STYLES
    tone: Tensor  # (N,) int64, of TONES: 0 without a modifier (yellow, or blue, green, grey for beings)
    gender: Tensor  # (N,) int64, of GENDERS: what the caption says, not what the drawing looks like
    role: Tensor  # (N,) int64, of `roles`
    roles: tuple[str, ...]  # captions without tone and gender, the same list in every split

    def on(self, background: Background, *, seed: int = 0) -> People:
        """The same drawings on one colour (RGB, 0..255), or "random": another flat colour for each."""
        return replace(self, x=composite(self.rgba, background, seed))

    def labelled(self, column: Literal["style", "tone", "gender", "role"]) -> People:
        """The same drawings with one of their columns as the label: batches become (x, y)."""
        columns = {
            "style": (self.style, STYLES),
            "tone": (self.tone, TONES),
            "gender": (self.gender, GENDERS),
            "role": (self.role, self.roles),
        }
        if column not in columns:
            raise DataError(f'There is no column "{column}": take one of {", ".join(columns)}.')
        return replace(self, y=columns[column][0], names=columns[column][1])

    def to(self, device: torch.device | str) -> People:
        """The same set with its tensors on `device`."""
        return replace(
            self,
            x=self.x.to(device),
            y=None if self.y is None else self.y.to(device),
            rgba=self.rgba.to(device),
            style=self.style.to(device),
            tone=self.tone.to(device),
            gender=self.gender.to(device),
            role=self.role.to(device),
        )

    def subset(self, index: Tensor | slice) -> People:
        """The drawings picked by a LongTensor, a boolean mask or a slice, with all that belongs to them."""
        return replace(
            self,
            x=self.x[index],
            y=None if self.y is None else self.y[index],
            captions=_pick(self.captions, index),
            concepts=_pick(self.concepts, index),
            rgba=self.rgba[index],
            style=self.style[index],
            tone=self.tone[index],
            gender=self.gender[index],
            role=self.role[index],
        )


def composite(rgba: Tensor, background: Background, seed: int = 0) -> Tensor:
    """(N, 4, H, W) uint8 over one flat colour, or a random one each -> (N, 3, H, W) uint8."""
    if background == "random":
        generator = torch.Generator().manual_seed(seed)
        colour = torch.randint(0, 256, (len(rgba), 3, 1, 1), generator=generator)
    elif len(background) == 3 and all(isinstance(c, int) and 0 <= c <= 255 for c in background):
        colour = torch.tensor(background).reshape(1, 3, 1, 1)
    else:
        raise DataError(f'A background is three integers 0..255 or "random", not {background!r}.')
    alpha = rgba[:, 3:].to(torch.float32) / 255
    mixed = rgba[:, :3] * alpha + colour.to(rgba.device) * (1 - alpha)
    return mixed.round().to(torch.uint8)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Line drawings and their coloured versions. `data[index]` is (line, colour), floats in [-1, 1]."""

    line: Tensor  # (N, 1, H, W) uint8
    colour: Tensor  # (N, 3, H, W) uint8, pixel-aligned with `line`
    captions: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, index: Index) -> tuple[Tensor, Tensor]:
        return to_floats(self.line[index]), to_floats(self.colour[index])

    def to(self, device: torch.device | str) -> Pairs:
        """The same set with its tensors on `device`."""
        return replace(self, line=self.line.to(device), colour=self.colour.to(device))

    def subset(self, index: Tensor | slice) -> Pairs:
        """The pairs picked by a LongTensor, a boolean mask or a slice, with their captions."""
        captions, concepts = _pick(self.captions, index), _pick(self.concepts, index)
        return Pairs(self.line[index], self.colour[index], captions, concepts)


class Box(NamedTuple):
    """A part of the Earth, in degrees; south and west are negative."""

    west: float
    east: float
    south: float
    north: float


class Earth(NamedTuple):
    """The same piece of the Earth as three pixel-aligned uint8 pictures (3, H, W), equirectangular."""

    relief: Tensor
    satellite: Tensor
    elevation: Tensor
    scale: float  # pixels per degree
    box: Box = Box(-180, 180, -90, 90)  # what the pictures cover

    def crop(self, box: Box) -> Earth:
        """The part inside `box`, to the nearest pixel (no copy). Raises `DataError` where it sticks out."""
        west, east, south, north = self.box
        if not (west <= box.west < box.east <= east and south <= box.south < box.north <= north):
            raise DataError(f"{box} does not lie inside {self.box}.")
        # Pixels are counted from the north pole and the date line, so a box of a box is cut at the same ones.
        top, left = round((90 - north) * self.scale), round((west + 180) * self.scale)
        rows = slice(round((90 - box.north) * self.scale) - top, round((90 - box.south) * self.scale) - top)
        columns = slice(
            round((box.west + 180) * self.scale) - left, round((box.east + 180) * self.scale) - left
        )
        at = (slice(None), rows, columns)
        return Earth(self.relief[at], self.satellite[at], self.elevation[at], self.scale, box)

    @property
    def land(self) -> Tensor:
        """(H, W) bool, True on land: where the relief map is at least as green as blue.

        Lakes count as land; ice sheets, beyond latitude 60 or so, count as sea.
        """
        return self.relief[1] >= self.relief[2]


class Names(NamedTuple):
    """First names, lower case a to z, with how many per cent of people bear them."""

    names: tuple[str, ...]
    percent: Tensor  # (N,) float32, the mean of the shares among women and among men


def _pick(words: tuple[str, ...], index: Tensor | slice) -> tuple[str, ...]:
    """Index a column of words as if it were a tensor; an absent column stays absent."""
    if not words:
        return ()
    rows = torch.arange(len(words))[index.cpu() if isinstance(index, Tensor) else index]
    return tuple(words[i] for i in rows.tolist())
