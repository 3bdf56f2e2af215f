"""The Earth as a test of translation: relief map to satellite photo, with pairs that training never sees.

Map and photo are aligned pixel by pixel, so an unpaired translation can be *measured*: the pairs are hidden
in training and taken out afterwards. Everybody trains on one part of the Old World, chooses on another and
is tested on the Americas (`data.EARTH_BOXES`); this file writes down once what is measured there.

The world is 1,350 pixels wide, so that a patch of 64 pixels spans 17 degrees: what grows at a place is not
decided by its own colour on the map but by what lies around it. The photo is dark; it is brightened by the
exponent GAMMA. All errors are means of absolute differences of brightened photos, 0..255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import data
from course_lib.errors import DataError
from course_lib.nn.colours import Colours
from course_lib.sets import Box, Earth, to_floats
from course_lib.translation import whole

WIDTH = 1350  # pixels around the equator
GAMMA = 0.6  # photo ** GAMMA, in 0..1
CELL = 16  # the pictures of a box have sides that are multiples of this
PATCH = 64  # pixels a side of a training patch
LAND = 0.3  # least share of land in it
SEA_WEIGHT = 0.35  # of a pixel of the sea, beside 1 of land, where colours are averaged

Part = Literal["train", "validation", "test"]
KINDS = ("water", "dark green", "bright and bare")
GREEN, BARE = (
    (0.25, 0.31, 0.13),
    (0.78, 0.66, 0.49),
)  # RGB in 0..1 of forest and desert in the brightened photo

REGIONS: dict[str, dict[str, Box]] = {  # named parts of the boxes
    "test": {
        "Amazon": Box(-70, -56, -8, 0),
        "eastern US": Box(-88, -79, 34, 41),
        "Atacama": Box(-70, -67, -27, -20),
        "Patagonia": Box(-71, -67, -49, -42),
        "south-west US": Box(-117, -107, 32, 38),
        "northern Mexico": Box(-106, -102, 25, 30),
        "Chaco": Box(-63, -59, -26, -20),
        "Pacific": Box(-110, -95, -15, 0),
        "Caribbean": Box(-90, -84, 20, 25),
    },
    "validation": {
        "Borneo": Box(112.5, 116.5, -2, 3),
        "New Guinea": Box(138, 144, -7, -4),
        "Outback": Box(126, 136, -28, -21),
        "western New South Wales": Box(140, 145, -33, -28),
        "Victoria": Box(145, 148, -38, -36.5),
        "southern China": Box(113, 118, 24, 28),
        "Amur": Box(127, 131, 46, 50),
        "Pacific": Box(150, 170, 5, 20),
        "Tasman Sea": Box(156, 166, -38, -32),
    },
}


class Place(NamedTuple):
    """One part of the Earth, map and photo: what a translation is shown and what it is compared with."""

    relief: Tensor  # (1, 3, H, W) in [-1, 1]
    photo: Tensor  # (1, 3, H, W) in [-1, 1], brightened
    land: Tensor  # (H, W) bool
    brown: Tensor  # (H, W) bool, the land that the map paints brown or white: high or dry
    regions: dict[str, tuple[slice, slice]]  # name -> rows and columns


def brightened(photo: Tensor) -> Tensor:
    """A photo, uint8 -> the same brightened, uint8: 255 (p / 255) ** GAMMA."""
    return ((photo.float() / 255) ** GAMMA * 255).round().to(torch.uint8)


@lru_cache(maxsize=1)
def _world() -> Earth:
    return data.earth(WIDTH)


def place(part: Part = "test", box: Box | None = None) -> Place:
    """The box of a split, or any other; its south and east edges are cut to multiples of 16 pixels."""
    if part not in data.EARTH_BOXES:
        raise DataError(f'There is no part "{part}" of the Earth: take one of {", ".join(data.EARTH_BOXES)}.')
    world = _world().crop(box or data.EARTH_BOXES[part])
    height, width = (n // CELL * CELL for n in world.relief.shape[1:])
    if not (height and width):
        raise DataError(f"The box {world.box} is smaller than {CELL} pixels: take a larger one.")
    at = (slice(0, height), slice(0, width))
    regions = {} if box else {name: _pixels(region, world) for name, region in REGIONS.get(part, {}).items()}
    relief, photo = (layer[:, *at][None] for layer in (world.relief, brightened(world.satellite)))
    land, (red, _, blue) = world.land[at], relief[0].int()
    return Place(to_floats(relief), to_floats(photo), land, land & (red + 6 >= blue), regions)


def _pixels(region: Box, world: Earth) -> tuple[slice, slice]:
    """The rows and columns of `world` that a region covers."""
    top, left = round((90 - world.box.north) * world.scale), round((world.box.west + 180) * world.scale)
    rows = slice(
        round((90 - region.north) * world.scale) - top, round((90 - region.south) * world.scale) - top
    )
    columns = slice(
        round((region.west + 180) * world.scale) - left, round((region.east + 180) * world.scale) - left
    )
    return rows, columns


# Measures


class Row(NamedTuple):
    """A named region in the true photo and in a made one."""

    name: str
    true: tuple[int, int, int]  # mean colour, RGB 0..255
    made: tuple[int, int, int]
    true_kind: str  # of KINDS
    made_kind: str

    @property
    def right(self) -> bool:
        """Whether both are of one kind."""
        return self.true_kind == self.made_kind


def errors(where: Place, made: Tensor) -> dict[str, float]:
    """Mean absolute error of a made photo (1, 3, H, W) in [-1, 1], 0..255: over the box, over its land, and
    over the land that is brown on the map."""
    apart = (made - where.photo).abs().mean(1)[0] * 127.5  # (H, W)
    parts = {"box": torch.ones_like(where.land), "land": where.land, "brown land": where.brown}
    return {name: apart[mask].mean().item() for name, mask in parts.items()}


def region_table(where: Place, made: Tensor) -> list[Row]:
    """The mean colour and the kind of each named region, true and made."""
    table = []
    for name, (rows, columns) in where.regions.items():
        true, mine = (_colour(photo[0, :, rows, columns]) for photo in (where.photo, made))
        table.append(Row(name, _bytes(true), _bytes(mine), kind(true), kind(mine)))
    return table


def kind(colour: Tensor) -> str:
    """What a mean colour (3,), RGB in 0..1, of a brightened photo looks like; one of KINDS.

    Water is bluer than red by more than 0.02. On the line from the colour of forest to that of desert, what
    lies nearer to the first is dark green.
    """
    if colour[2] > colour[0] + 0.02:
        return KINDS[0]
    green, bare = torch.tensor(GREEN), torch.tensor(BARE)
    along = (colour - (green + bare) / 2) @ (bare - green)
    return KINDS[1] if along < 0 else KINDS[2]


def scores(where: Place, made: Tensor) -> dict[str, float]:
    """`errors` and the number of regions whose kind is right."""
    return {
        **errors(where, made),
        "regions right": float(sum(row.right for row in region_table(where, made))),
    }


def cycle_error(relief: Tensor, again: Tensor) -> float:
    """Mean absolute difference of a map (1, 3, H, W) in [-1, 1] to the one that came back, 0..255."""
    return (relief - again).abs().mean().item() * 127.5


def _colour(part: Tensor) -> Tensor:
    """Mean colour of (3, h, w) in [-1, 1]: (3,) in 0..1."""
    return (part.mean((1, 2)) + 1) / 2


def _bytes(colour: Tensor) -> tuple[int, int, int]:
    r, g, b = (colour * 255).round().int().tolist()
    return r, g, b


# Patches to learn from


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of map and photo; `data[index]` is (map, photo), (B, 3, size, size) floats in [-1, 1].

    Unpaired, the two come from different places, drawn independently of each other: index says where the map
    is, the photo's place is drawn. Paired, they show one place. Each patch is mirrored at random; with
    `turn` and `zoom` a batch is also turned by a quarter, a half or three quarters, and cut larger or smaller
    by up to that factor. What happens to a map of a pair happens to its photo. The draws are the global
    generator's.
    """

    relief: Tensor  # (3, H, W) uint8, what is trained on
    photo: Tensor  # (3, H, W) uint8, brightened
    corners: Tensor  # (N, 2) int64, top left corners of the patches that have land enough
    size: int = PATCH
    paired: bool = False
    turn: bool = False
    zoom: float = 1.0

    def __len__(self) -> int:
        return len(self.corners)

    def __getitem__(self, index: Tensor | slice | int) -> tuple[Tensor, Tensor]:
        here = self.corners[index].reshape(-1, 2)  # (B, 2)
        there = here
        if not self.paired:
            there = self.corners[torch.randint(len(self.corners), (len(here),), device=here.device)]
        change = self._draw(len(here))
        other = change if self.paired else self._draw(len(here))
        return self._cut(self.relief, here, change), self._cut(self.photo, there, other)

    def to(self, device: torch.device | str) -> Patches:
        """The same set with its tensors on `device`."""
        relief, photo, corners = (t.to(device) for t in (self.relief, self.photo, self.corners))
        return replace(self, relief=relief, photo=photo, corners=corners)

    def _draw(self, count: int) -> Change:
        """How patches are changed: mirrored or not, each; quarter turns and width, all."""
        flip = torch.rand(count, device=self.corners.device) < 0.5
        turns = int(torch.randint(4, ())) if self.turn else 0
        factor = self.zoom ** (2 * torch.rand(()).item() - 1) if self.zoom != 1 else 1.0
        return Change(flip, turns, round(self.size * factor))

    def _cut(self, layer: Tensor, corners: Tensor, change: Change) -> Tensor:
        """Patches of a layer at corners (B, 2): (B, 3, size, size) in [-1, 1]."""
        step = torch.arange(change.side, device=layer.device)
        limit = torch.tensor(layer.shape[1:], device=layer.device) - change.side
        corners = torch.minimum(corners, limit)
        rows = corners[:, :1] + step  # (B, side)
        columns = corners[:, 1:] + torch.where(change.flip[:, None], step.flip(0), step)
        x = to_floats(layer[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1))  # (B, 3, side, side)
        if change.side != self.size:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return x.rot90(change.turns, (2, 3)).contiguous()


class Change(NamedTuple):
    """What is done to a batch of patches."""

    flip: Tensor  # (B,) bool
    turns: int  # by 90 degrees
    side: int  # pixels that are cut, then brought to the size of a patch


def patches(
    part: Part = "train",
    *,
    paired: bool = False,
    size: int = PATCH,
    sea: float = 0.0,  # the share of corners that are drawn from the whole box, land or not
    turn: bool = False,
    zoom: float = 1.0,
) -> Patches:
    """Patches of a box, of `size` pixels a side; at least 30 % of each is land. See `Patches`."""
    world = _world().crop(data.EARTH_BOXES[part])
    share = F.avg_pool2d(world.land.float()[None, None], size, stride=1)[0, 0]  # (H - size + 1, W - size + 1)
    corners = (share > LAND).nonzero()  # (N, 2)
    if sea:
        everywhere = (share >= 0).nonzero()
        generator = torch.Generator().manual_seed(0)
        more = round(len(corners) * sea / (1 - sea))
        corners = torch.cat(
            [corners, everywhere[torch.randint(len(everywhere), (more,), generator=generator)]]
        )
    return Patches(world.relief, brightened(world.satellite), corners, size, paired, turn, zoom)


def learn_colours(method: torch.nn.Module) -> None:
    """Teach a method's two `Colours` the map's and the photo's of the training box; the sea counts less."""
    where = place("train")
    weight = torch.where(where.land, 1.0, SEA_WEIGHT)[None, None]
    method.colours_A.learn(where.relief, weight)  # type: ignore[operator, union-attr]
    method.colours_B.learn(where.photo, weight)  # type: ignore[operator, union-attr]


# Plain methods to compare with


def transported(where: Place, learnt: Place | None = None) -> Tensor:
    """Linear colour transport: each channel of the map shifted and stretched to the photo's mean and spread.

    Mean and spread are those of `learnt`, the training box: no pairs are needed, and no network.
    """
    source = learnt or place("train")
    weight = torch.where(source.land, 1.0, SEA_WEIGHT)[None, None]
    relief, photo = Colours(3), Colours(3)
    relief.learn(source.relief, weight)
    photo.learn(source.photo, weight)
    return photo.back(relief(where.relief))


def two_colours(where: Place, learnt: Place | None = None) -> Tensor:
    """One colour for all land and one for all sea: the means of the training box."""
    source = learnt or place("train")
    land, sea = (source.photo[0, :, mask].mean(1) for mask in (source.land, ~source.land))  # (3,)
    return torch.where(where.land, land[:, None, None], sea[:, None, None])[None]


def colour_table(where: Place, learnt: Place | None = None, levels: int = 16) -> Tensor:
    """Per-pixel regression *with* pairs: the mean photo colour of each map colour, which knows no context.

    Map colours are counted in `levels` steps a channel; those that training never showed get the nearest that
    it did.
    """
    source = learnt or place("train")

    def code(x: Tensor) -> Tensor:
        return ((x[0] + 1) / 2 * levels).long().clamp(0, levels - 1)  # (3, H, W)

    index = _flat(code(source.relief), levels)
    total = torch.zeros(levels**3, 3).double().index_add_(0, index, source.photo[0].flatten(1).T.double())
    count = torch.zeros(levels**3).double().index_add_(0, index, torch.ones(len(index)).double())
    seen = count.nonzero()[:, 0]
    table = (total[seen] / count[seen, None]).float()
    cells = torch.stack([seen // levels**2, seen // levels % levels, seen % levels], 1).float()
    wanted, back = _flat(code(where.relief), levels).unique(return_inverse=True)
    asked = torch.stack([wanted // levels**2, wanted // levels % levels, wanted % levels], 1).float()
    nearest = torch.cdist(asked, cells).argmin(1)
    return table[nearest][back].T.reshape(where.photo.shape)


def _flat(code: Tensor, levels: int) -> Tensor:
    """(3, H, W) of 0..levels - 1 -> (H W,) one number for each colour."""
    return (code[0] * levels**2 + code[1] * levels + code[2]).flatten()


def translated(translate: Callable[[Tensor], Tensor], where: Place) -> Tensor:
    """The place's map, translated in one pass: (1, 3, H, W)."""
    return whole(translate, where.relief)
