"""What exercise 3.6 is tested on: critics of known slope, and points or pictures to measure it at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Inputs = tuple[nn.Module, Tensor, Tensor, Tensor]  # D, x, fake (B, ...), u (B,)


class Critic(nn.Module):
    """x (B, ...) -> (B,): linear, or with `curved` a function whose slope differs from place to place."""

    def __init__(self, numbers: int, slope: float, curved: bool, generator: torch.Generator) -> None:
        super().__init__()
        w = torch.randn(numbers, generator=generator)
        self.weight = nn.Parameter(w / w.norm() * slope)
        self.inner = (
            nn.Parameter(torch.randn(4, numbers, generator=generator) * (5 / numbers) ** 0.5)
            if curved
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        value = flat @ self.weight + 0.3
        return value if self.inner is None else value + (flat @ self.inner.T).tanh().sum(1)


def scene(shape: tuple[int, ...], curved: bool, generator: torch.Generator) -> Inputs:
    """B from 3 to 6 samples of this shape; D's linear part has a slope of 0.15 to 0.4.

    u is from 0.05 to 0.95, but not near 1/2, where it would not matter which end it counts from.
    """
    rows = int(torch.randint(3, 7, (), generator=generator))
    slope = 0.15 + 0.25 * torch.rand((), generator=generator).item()
    D = Critic(torch.Size(shape).numel(), slope, curved, generator)
    x = torch.randn(rows, *shape, generator=generator)
    fake = 0.5 * torch.randn(rows, *shape, generator=generator) + 0.5
    u = 0.05 + 0.35 * torch.rand(rows, generator=generator)
    u = torch.where(torch.rand(rows, generator=generator) < 0.5, u, 1 - u)
    return D, x, fake, u


def linear(generator: torch.Generator) -> Inputs:
    return scene((5,), False, generator)


def points(generator: torch.Generator) -> Inputs:
    return scene((5,), True, generator)


def pictures(generator: torch.Generator) -> Inputs:
    return scene((2, 7, 8), True, generator)  # no dimension can be mistaken for B
