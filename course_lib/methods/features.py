"""Feature networks: small classifiers whose last hidden layer says how alike two sets of pictures are.

The Fréchet distance, precision and recall of this course are measured on these features, as M. Heusel et al.
(arXiv 1706.08500) and T. Kynkäänniemi et al. (arXiv 1904.06991) do on those of larger networks. A feature
network is trained once and frozen: a score means something only while its ruler stays the same.

    h = features(x)            (B, 128), what the metrics use
    p(y_k | x) = softmax(W_k h)   one head for each attribute k
    L = sum_k cross-entropy_k, with label smoothing 0.1 (C. Szegedy et al., arXiv 1512.00567, section 7)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.method import Loss
from course_lib.nn.augment import random_flip, random_hole, random_shift
from course_lib.nn.conv import Residual, conv_block, dense_block

UNKNOWN = -1  # a label to be left out of the loss


class FeatureNet(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] -> features (B, 128); `logits` adds the heads."""

    ema: tuple[str, ...] = ("body", "heads")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"
    num_features = 128  # the name that torchmetrics looks for

    def __init__(
        self,
        channels: int = 1,
        classes: tuple[int, ...] = (10,),  # number of classes of each head
        widths: tuple[int, int, int] = (16, 32, 64),  # channels at full, half and quarter size
        flip: bool = True,  # mirror training pictures at random
        shift: int = 2,  # move training pictures by up to so many pixels
        hole: int = 6,  # side of the square blanked in training pictures
        fill: float = -1.0,  # value of the background, for shifts and holes
        lr: float = 4e-3,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__()
        a, b, c = widths
        self.flip, self.shift, self.hole, self.fill = flip, shift, hole, fill
        self.lr, self.weight_decay = lr, weight_decay
        self.body = nn.Sequential(
            conv_block(channels, a),  # (B, a, H, W)
            conv_block(a, b, stride=2),  # (B, b, H/2, W/2)
            Residual(b),
            conv_block(b, c, stride=2),  # (B, c, H/4, W/4)
            Residual(c),
            nn.AdaptiveAvgPool2d(2),  # (B, c, 2, 2): where things are, roughly
            nn.Flatten(),
            dense_block(4 * c, self.num_features),  # (B, 128)
        )
        self.heads = nn.ModuleList(nn.Linear(self.num_features, k) for k in classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features of x (B, C, H, W) -> (B, 128)."""
        return self.body(x)

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """One tensor (B, classes[k]) for each head k."""
        h = self(x)
        return tuple(head(h) for head in self.heads)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"classifier": torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = (x, y) with y int64 (B,) or (B, heads); UNKNOWN labels are left out."""
        x, y = batch
        y = y.view(len(x), -1)  # (B, heads)
        x = random_hole(random_shift(self._flipped(x), self.shift, self.fill), self.hole, self.fill)
        sums = [
            F.cross_entropy(out, y[:, k], label_smoothing=0.1, ignore_index=UNKNOWN, reduction="sum")
            for k, out in enumerate(self.logits(x))
        ]
        known = (y != UNKNOWN).sum(0).clamp(min=1)  # (heads,): a batch may know nothing about one of them
        yield Loss("classifier", (torch.stack(sums) / known).sum())

    def _flipped(self, x: Tensor) -> Tensor:
        return random_flip(x) if self.flip else x

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        y = torch.arange(8) % 4
        return cls(classes=(4,), widths=(4, 8, 8), shift=1, hole=2), (x, y)


@torch.no_grad()
def accuracy(net: FeatureNet, x: Tensor, y: Tensor, *, head: int = 0, batch: int = 500) -> float:
    """Share of pictures x (N, C, H, W) whose label y (N,) the head gets right, UNKNOWN ones aside."""
    guess = torch.cat([net.logits(b)[head].argmax(1) for b in x.split(batch)])
    known = y != UNKNOWN
    return (guess == y)[known].float().mean().item()
