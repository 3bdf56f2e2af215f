"""Colorization: an hourglass network that puts the colours back into a grey picture.

After R. Zhang, P. Isola, A. A. Efros, "Colorful Image Colorization", ECCV 2016, arXiv 1603.08511: the grey
picture is the input and the target at once, so every colour picture is a free training pair.

    y       = 0.299 R + 0.587 G + 0.114 B, rounded to a few greys     (luma, ITU-R BT.601)
    t(y)    = mean colour of grey y           a look-up table, the answer that needs no network
    x_hat   = t(y) + net(line, y, t(y))
    L       = mean |x - x_hat|

Why only a few greys, as in print or on an e-reader: a flat-coloured drawing uses a small palette, and with
256 greys nearly every colour of it has a grey of its own, so that t alone solves the task. With 4 greys many
colours share one, and the network has to look at what is drawn. Left out: the paper's classification over
quantised colours, which keeps rare colours from being averaged away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.method import Loss
from course_lib.nn.augment import random_flip
from course_lib.nn.conv import Residual, conv_block, up_block

LUMA = (0.299, 0.587, 0.114)


def luma(x: Tensor) -> Tensor:
    """Grey value of a colour picture: (B, 3, H, W) -> (B, 1, H, W), in the same range."""
    weights = torch.tensor(LUMA, device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)


def level(grey: Tensor, levels: int) -> Tensor:
    """Which of `levels` evenly spaced greys is nearest: values in [-1, 1] -> 0 .. levels - 1, same shape."""
    return ((grey + 1) / 2 * (levels - 1)).round().long().clamp(0, levels - 1)


def coarse(grey: Tensor, levels: int = 4) -> Tensor:
    """A grey picture in [-1, 1] with only `levels` evenly spaced greys, same shape."""
    return level(grey, levels) / (levels - 1) * 2 - 1


def colour_table(x: Tensor, levels: int = 4) -> Tensor:
    """t(y): mean colour of the pixels at each grey, (N, 3, H, W) in [-1, 1] -> (levels, 3).

    Greys that never occur stay grey.
    """
    index = level(luma(x), levels).flatten()
    colours = x.permute(0, 2, 3, 1).reshape(-1, 3).double()  # float32 sums of a million are off by 1 %
    total = colours.new_zeros(levels, 3).index_add_(0, index, colours)
    count = torch.bincount(index, minlength=levels).unsqueeze(1)
    return torch.where(count > 0, total / count.clamp(min=1), _greys(levels).to(total)).to(x.dtype)


def look_up(table: Tensor, grey: Tensor) -> Tensor:
    """t(y) at every pixel: table (levels, 3), grey (B, 1, H, W) -> (B, 3, H, W)."""
    return table[level(grey, len(table)).squeeze(1)].permute(0, 3, 1, 2).contiguous()


class Colorizer(nn.Module):
    """(line drawing, grey picture) -> colour picture."""

    ema: tuple[str, ...] = ("net",)
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"
    table: Tensor

    def __init__(
        self,
        widths: tuple[int, int, int] = (24, 48, 96),  # channels at size/2, size/4, size/8
        levels: int = 4,  # greys of the input
        lr: float = 4e-3,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__()
        self.lr, self.weight_decay = lr, weight_decay
        self.levels = levels
        self.register_buffer("table", _greys(levels))
        self.net = Hourglass(widths)

    def fit_table(self, colour: Tensor) -> Self:
        """Set t from training pictures (N, 3, H, W) in [-1, 1]. Call it once, before training."""
        self.table.copy_(colour_table(colour, self.levels))
        return self

    def forward(self, line: Tensor, grey: Tensor) -> Tensor:
        """line and grey (B, 1, H, W) in [-1, 1] -> colour (B, 3, H, W). `grey` is rounded to `levels`."""
        guess = look_up(self.table, grey)
        return guess + self.net(torch.cat([line, coarse(grey, self.levels), guess], 1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"colour": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        line, colour = random_flip(torch.cat(batch, 1)).split([1, 3], 1)
        yield Loss("colour", F.l1_loss(self(line, luma(colour)), colour))

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        g = torch.Generator().manual_seed(0)
        line, colour = torch.rand(8, 1, 16, 16, generator=g), torch.rand(8, 3, 16, 16, generator=g)
        return cls(widths=(8, 8, 8)), (line * 2 - 1, colour * 2 - 1)


class Hourglass(nn.Module):
    """(B, 5, H, W) -> a change of colour (B, 3, H, W); H and W must be multiples of 8.

    Two skip connections hand the edges over, so that only the choice of colour has to pass the narrow waist.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.fold = nn.PixelUnshuffle(2)
        self.down1 = conv_block(4 * 5, a)  # at size/2
        self.down2 = conv_block(a, b, stride=2)  # at size/4
        self.down3 = nn.Sequential(conv_block(b, c, stride=2), Residual(c), Residual(c))  # at size/8
        self.up2 = up_block(c, b)
        self.join2 = conv_block(2 * b, b)
        self.up1 = up_block(b, a)
        self.out = nn.Conv2d(2 * a, 4 * 3, 3, 1, 1)
        self.unfold = nn.PixelShuffle(2)
        nn.init.zeros_(self.out.weight)  # training starts from the look-up table, not from noise
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        h1 = self.down1(self.fold(x))  # (B, a, H/2, W/2)
        h2 = self.down2(h1)  # (B, b, H/4, W/4)
        h = self.up2(self.down3(h2))  # (B, b, H/4, W/4)
        h = self.up1(self.join2(torch.cat([h, h2], 1)))  # (B, a, H/2, W/2)
        return self.unfold(self.out(torch.cat([h, h1], 1)))  # (B, 3, H, W)


def _greys(levels: int) -> Tensor:
    return torch.linspace(-1, 1, levels).unsqueeze(1).repeat(1, 3)
