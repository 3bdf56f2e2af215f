"""Colours in units of their own spread, so that two kinds of pictures start from a common scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError


class Colours(nn.Module):
    """(x - mean) / std for each channel, and back. Until `learn` has seen pictures it changes nothing."""

    mean: Tensor  # (1, C, 1, 1)
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] -> the same with mean 0 and spread 1 over what was learnt."""
        return (x - self.mean) / self.std

    def back(self, x: Tensor) -> Tensor:
        """The inverse of `forward`, kept within [-1, 1]."""
        return (x * self.std + self.mean).clamp(-1, 1)

    @torch.no_grad()
    def learn(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Mean and standard deviation of each channel of x (N, C, H, W); weight (N, 1, H, W), or equal.

        Raises CourseError where there are no pictures, or a channel is the same everywhere.
        """
        if not len(x):
            raise CourseError("There are no pictures to learn colours from.")
        w = torch.ones_like(x[:, :1]) if weight is None else weight.to(x)
        mean = (x * w).sum((0, 2, 3), keepdim=True) / w.sum()  # (1, C, 1, 1)
        var = ((x - mean).square() * w).sum((0, 2, 3), keepdim=True) / w.sum()
        if not bool((var > 1e-8).all()):
            raise CourseError(
                "A channel has the same value in all pictures: there is no spread to divide by."
            )
        self.mean.copy_(mean)
        self.std.copy_(var.sqrt())
