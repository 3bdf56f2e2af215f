"""The replay pool: a discriminator sees some fakes of earlier steps, so that it does not forget them.

A. Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training",
arXiv 1612.07828, section 2.3. J.-Y. Zhu et al., arXiv 1703.10593, section 4, keep 50 pictures; the coin for
each fake is that of their code. The pictures are a buffer: they survive save, load and resume.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError


class Pool(nn.Module):
    """Remembers up to `size` samples of a shape; size 0 remembers nothing and hands everything through."""

    kept: Tensor  # (size, ...)
    count: Tensor  # how many places are taken, int64

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        if size < 0:
            raise CourseError(f"The size of a pool must be at least 0, got {size}.")
        self.size = size
        self.register_buffer("kept", torch.zeros(size, *(shape if size else (0,))))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, fresh: Tensor) -> Tensor:
        """Fresh fakes (B, ...) -> as many to show to D, without a graph.

        Until the pool is full each fake is kept and shown. Then a coin decides for each: show it, or show one
        of the pool, drawn at random, whose place it takes. Draws from the global generator. Raises
        CourseError for samples of another shape.
        """
        fresh = fresh.detach()
        if not self.size:
            return fresh
        if fresh.shape[1:] != self.kept.shape[1:]:
            raise CourseError(
                f"The pool was made for samples of shape {tuple(self.kept.shape[1:])}, got "
                f"{tuple(fresh.shape[1:])}: build the method with the `size` of its pictures."
            )
        old = torch.rand(len(fresh), device=fresh.device) < 0.5  # (B,)
        place = torch.randint(0, self.size, (len(fresh),), device=fresh.device)  # (B,)
        shown = []
        for x, coin, i in zip(fresh, old.tolist(), place.tolist(), strict=True):
            if self.count < self.size:
                self.kept[self.count] = x.to(self.kept)
                self.count += 1
                shown.append(x)
            elif coin:
                shown.append(self.kept[i].to(x, copy=True))
                self.kept[i] = x.to(self.kept)
            else:
                shown.append(x)
        return torch.stack(shown)  # (B, ...)
