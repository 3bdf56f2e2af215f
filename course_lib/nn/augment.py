"""Random changes that keep what a picture shows. Each draws from the global generator, which `fit` seeds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def random_flip(x: Tensor) -> Tensor:
    """Mirror each picture left to right with probability 1/2. (B, C, H, W) -> same."""
    flip = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(flip, x.flip(3), x)


def random_shift(x: Tensor, most: int = 2, fill: float = -1.0) -> Tensor:
    """Move each picture by up to `most` pixels each way; `fill` enters. (B, C, H, W) -> same."""
    b, _, h, w = x.shape
    padded = F.pad(x, (most,) * 4, value=fill)
    dy, dx = torch.randint(0, 2 * most + 1, (2, b, 1, 1), device=x.device)
    rows = dy + torch.arange(h, device=x.device).view(1, h, 1)  # (B, H, 1)
    columns = dx + torch.arange(w, device=x.device).view(1, 1, w)  # (B, 1, W)
    sample = torch.arange(b, device=x.device).view(b, 1, 1)
    return padded[sample, :, rows, columns].permute(0, 3, 1, 2)


def random_hole(x: Tensor, side: int, fill: float = -1.0) -> Tensor:
    """Blank a square of `side` pixels at a random place of each picture. (B, C, H, W) -> same."""
    return x.masked_fill(random_square(x, side), fill)


def random_square(x: Tensor, side: int) -> Tensor:
    """A mask (B, 1, H, W), True inside one square of `side` pixels at a random place of each picture."""
    b, _, h, w = x.shape
    top = torch.randint(0, h - side + 1, (b, 1, 1, 1), device=x.device)
    left = torch.randint(0, w - side + 1, (b, 1, 1, 1), device=x.device)
    row = torch.arange(h, device=x.device).view(1, 1, h, 1)
    column = torch.arange(w, device=x.device).view(1, 1, 1, w)
    return (row >= top) & (row < top + side) & (column >= left) & (column < left + side)
