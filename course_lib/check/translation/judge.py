"""The discriminator that exercise 5.1 hands to a student: it says so when it is shown anything but pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.check import explain

TOGETHER = "Put the two pictures behind each other as channels, `torch.cat([a, b], 1)`"


class Judge(nn.Module):
    """Pairs (any number, c_a + c_b, H, W) -> a map of verdicts (any number, 1, H/2, W/2)."""

    def __init__(self, a: Tensor, b: Tensor, fake: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = a.shape[1] + b.shape[1]
        self.pictures = {"a": a, "b": b, "fake": fake}
        self.first = nn.Conv2d(self.channels, 4, 4, 2, 1)
        self.last = nn.Conv2d(4, 1, 3, 1, 1)
        for p in self.parameters():
            p.data = 0.3 * torch.randn(p.shape, generator=generator)

    def forward(self, *shown: Tensor) -> Tensor:
        """Raises Complaint for what is no pair, or no tensor."""
        if len(shown) != 1 or not isinstance(shown[0], Tensor):
            raise explain.Complaint(f"D takes one tensor. {TOGETHER}, and show it that.")
        x = shown[0]
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise explain.Complaint(self._no_pair(x))
        return self.last(self.first(x).tanh())

    def _no_pair(self, x: Tensor) -> str:
        for name, picture in self.pictures.items():
            if torch.equal(x, picture):
                return (
                    f"You show D `{name}` alone. It is to judge whether two pictures belong together, so it "
                    f"must see both. {TOGETHER}."
                )
        a = self.pictures["a"]
        if x.dim() == 5:
            return f"You stack the pictures in a new dimension. {TOGETHER}."
        if x.shape == (2 * len(a), *a.shape[1:]):
            return (
                "You put the pictures behind each other along the batch, so D sees each alone, in a batch "
                f"twice as long. {TOGETHER}: the 1 stands for the channels."
            )
        wanted = (len(a), self.channels, *a.shape[2:])
        return f"You show D something of shape {tuple(x.shape)}; a batch of pairs has {wanted}. {TOGETHER}."
