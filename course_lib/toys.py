"""Generated data: points in the plane and 3-D solids, as many as you like, the same for the same seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from course_lib.errors import DataError
from course_lib.sets import Images, Index

SOLIDS = ("sphere", "box", "cylinder", "torus", "cross")


@dataclass(frozen=True, eq=False)
class Points:
    """Points in the plane. `data[index]` is `x`, float32 (B, 2), or `(x, y)` where there are labels."""

    x: Tensor  # (N, 2) float32
    y: Tensor | None = None  # (N,) int64: which mode, moon or arm the point was drawn from

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> Tensor | tuple[Tensor, Tensor]:
        return self.x[index] if self.y is None else (self.x[index], self.y[index])

    def to(self, device: torch.device | str) -> Points:
        """The same points on `device`."""
        return Points(self.x.to(device), None if self.y is None else self.y.to(device))

    def unlabelled(self) -> Points:
        """The same points without labels."""
        return replace(self, y=None)


def ring(n: int, *, modes: int = 8, radius: float = 0.8, std: float = 0.02, seed: int = 0) -> Points:
    """`n` points from `modes` equal Gaussians on a circle: the classic test for mode collapse.

    Mode k sits at angle 2 pi k / modes; y is the mode. With the defaults all points lie in [-1, 1].
    """
    generator = _generator(n, seed)
    y = torch.randint(modes, (n,), generator=generator)
    angle = y * (2 * math.pi / modes)
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Points(centres + std * torch.randn(n, 2, generator=generator), y)


def moons(n: int, *, std: float = 0.04, seed: int = 0) -> Points:
    """`n` points on two interleaving half circles of radius 1/2, with Gaussian noise; y says which.

    Moon 0 is the upper half around (-1/4, -1/8), moon 1 the lower half around (1/4, 1/8).
    With the default noise all points lie in [-1, 1].
    """
    generator = _generator(n, seed)
    y = torch.randint(2, (n,), generator=generator)
    angle = math.pi * torch.rand(n, generator=generator)
    up = 1 - 2 * y  # +1 for the upper moon, -1 for the lower
    x = torch.stack([0.5 * angle.cos() - 0.25 * up, 0.5 * up * angle.sin() - 0.125 * up], dim=1)
    return Points(x + std * torch.randn(n, 2, generator=generator), y)


def spirals(n: int, *, arms: int = 2, turns: float = 1.5, std: float = 0.01, seed: int = 0) -> Points:
    """`n` points on spiral arms that wind `turns` times out of the centre, with Gaussian noise; y is the arm.

    The radius grows with the angle from 0 to 0.9; points are even along the angle's square root, so the
    density along the arm is nearly constant. With the default noise all points lie in [-1, 1].
    """
    generator = _generator(n, seed)
    y = torch.randint(arms, (n,), generator=generator)
    along = torch.rand(n, generator=generator).sqrt()
    angle = 2 * math.pi * (turns * along + y / arms)
    x = 0.9 * along[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Points(x + std * torch.randn(n, 2, generator=generator), y)


def checkerboard(n: int, *, squares: int = 4, seed: int = 0) -> Points:
    """`n` points spread evenly over the dark squares of a `squares` x `squares` board on [-1, 1]; no labels.

    The square at the lower left is dark. The density is 1/2 on dark squares (for even `squares`), else 0.
    """
    generator = _generator(n, seed)
    row, column = torch.meshgrid(torch.arange(squares), torch.arange(squares), indexing="ij")
    dark = torch.stack([column, row], dim=2)[(row + column) % 2 == 0]  # (D, 2): x before y
    corner = dark[torch.randint(len(dark), (n,), generator=generator)]
    return Points((corner + torch.rand(n, 2, generator=generator)) * (2 / squares) - 1)


def solids(n: int, *, size: int = 16, seed: int = 0) -> Images:
    """`n` solids in 3-D, each of random kind, size and orientation, as voxels: x (N, 1, size, size, size).

    A voxel is 255 inside, 0 outside and in between where the surface cuts it; batches are floats in [-1, 1].
    y is the index in SOLIDS: sphere, box, cylinder, torus, cross. Axes are depth, height, width.
    """
    generator = _generator(n, seed)
    y = torch.randint(len(SOLIDS), (n,), generator=generator)
    scale = 0.65 + 0.3 * torch.rand(n, generator=generator)
    turn = torch.linalg.qr(torch.randn(n, 3, 3, generator=generator)).Q
    x = torch.empty(n, 1, size, size, size, dtype=torch.uint8)
    for kind in range(len(SOLIDS)):
        for part in (y == kind).nonzero().squeeze(1).split(256):  # bounds the memory
            x[part, 0] = _voxels(kind, scale[part], turn[part], size)
    return Images(x, y, SOLIDS)


def _generator(n: int, seed: int) -> torch.Generator:
    if n < 1:
        raise DataError(f"Ask for at least 1 sample, not {n}.")
    return torch.Generator().manual_seed(seed)


def _voxels(kind: int, scale: Tensor, turn: Tensor, size: int) -> Tensor:
    """(B,) scales and (B, 3, 3) rotations -> (B, size, size, size) uint8."""
    line = (torch.arange(size) + 0.5) * (2 / size) - 1  # voxel centres in [-1, 1]
    grid = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1).reshape(1, -1, 3)
    points = grid @ turn / scale[:, None, None]  # where each voxel lies in the upright solid
    distance = _distance(SOLIDS[kind], points) * scale[:, None]
    inside = (0.5 - distance * size / 2).clamp(0, 1)  # the surface is one voxel wide
    return (255 * inside).round().to(torch.uint8).reshape(-1, size, size, size)


def _distance(kind: str, p: Tensor) -> Tensor:
    """Signed distance of points (..., 3) from an upright solid inside the unit ball, negative inside."""
    if kind == "sphere":
        return p.norm(dim=-1) - 1
    if kind == "box":
        return _box(p, (0.7, 0.55, 0.42))
    if kind == "cylinder":
        flat = torch.stack([p[..., :2].norm(dim=-1) - 0.5, p[..., 2].abs() - 0.85], dim=-1)
        return flat.amax(-1).clamp(max=0) + flat.clamp(min=0).norm(dim=-1)
    if kind == "torus":
        return torch.hypot(p[..., :2].norm(dim=-1) - 0.68, p[..., 2]) - 0.28
    bars = [_box(p, half) for half in ((0.93, 0.25, 0.25), (0.25, 0.93, 0.25), (0.25, 0.25, 0.93))]
    return torch.stack(bars).amin(0)


def _box(p: Tensor, half: tuple[float, float, float]) -> Tensor:
    """Signed distance from a box with the given half sides."""
    beyond = p.abs() - torch.tensor(half, dtype=p.dtype)
    return beyond.amax(-1).clamp(max=0) + beyond.clamp(min=0).norm(dim=-1)
