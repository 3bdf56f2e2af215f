"""Few labels: does a small classifier of clothes gain by pictures that nobody labelled, made or real?

A generator that was trained without labels invents pictures without labels. The only fair source of labels
is then the classifier itself: one is trained on the few labelled pictures, names the pictures it is given,
and a second one learns from both, the named pictures and the few (D.-H. Lee, "Pseudo-Label", ICML workshop
2013). Whatever the pictures come from, the procedure is the same, so that sources can be compared.

`linear_probe` is the other use of a GAN: D's features as the input of a linear classifier (A. Radford et al.,
arXiv 1511.06434, section 5.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self, cast

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.method import Loss
from course_lib.nn.augment import random_flip, random_shift
from course_lib.nn.players import picture_body
from course_lib.sets import Images


class Labelled(NamedTuple):
    """Pictures (N, C, H, W) in [-1, 1] and their labels (N,) int64."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """What a classifier learns from: a few labelled pictures and, perhaps, many that were named by another.

    As a data set for `fit`, the pictures at an index are random ones: half of a batch from the few, half from
    `more`. With `move` each is mirrored or not, and moved by up to `shift` pixels. A batch is (x, y).
    """

    few: Labelled
    more: Labelled | None = None
    move: bool = False
    shift: int = 2

    def __len__(self) -> int:
        return len(self.few.y) + (0 if self.more is None else len(self.more.y))

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        if self.more is None:
            x, y = _draw(self.few, len(index))
        else:
            halves = _draw(self.few, len(index) - len(index) // 2), _draw(self.more, len(index) // 2)
            x, y = (torch.cat(both) for both in zip(*halves, strict=True))
        return (random_shift(random_flip(x), self.shift) if self.move else x), y

    def to(self, device: torch.device | str) -> Mixture:
        """The same set with its tensors on `device`."""
        few = Labelled(self.few.x.to(device), self.few.y.to(device))
        more = None if self.more is None else Labelled(self.more.x.to(device), self.more.y.to(device))
        return replace(self, few=few, more=more)


def _draw(pictures: Labelled, n: int) -> Labelled:
    """n random ones, each as likely as any other, perhaps more than once."""
    drawn = torch.randint(len(pictures.y), (n,), device=pictures.y.device)
    return Labelled(pictures.x[drawn], pictures.y[drawn])


class SmallClassifier(nn.Module):
    """Two convolutions like those of a discriminator, and one dense layer: 21,000 weights for 28x28."""

    ema: tuple[str, ...] = ("net",)

    def __init__(
        self, classes: int = 10, size: int = 28, widths: tuple[int, int] = (16, 32), lr: float = 2e-3
    ) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(picture_body(1, widths), nn.Linear(widths[1] * (size // 4) ** 2, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (B, 1, H, W) in [-1, 1] -> logits (B, classes)."""
        return self.net(x)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"classifier": torch.optim.AdamW(self.parameters(), self.lr, weight_decay=0.05)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        x, y = batch
        yield Loss("classifier", F.cross_entropy(self(x), y))

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(classes=4, size=8, widths=(4, 8)), (x, torch.arange(8) % 4)


def few_labels(pictures: Images, per_class: int, seed: int = 0) -> Labelled:
    """As many random pictures of each class: (classes * per_class, C, H, W), class by class.

    Raises CourseError where a class has fewer, or where the pictures have no labels.
    """
    if pictures.y is None:
        raise CourseError("These pictures have no labels: use a set with labels.")
    generator = torch.Generator().manual_seed(seed)
    kept = []
    for c in pictures.y.unique().tolist():
        of_class = (pictures.y == c).nonzero()[:, 0]
        if not 1 <= per_class <= len(of_class):
            raise CourseError(f"Class {c} has {len(of_class)} pictures: {per_class} cannot be drawn.")
        kept.append(of_class[torch.randperm(len(of_class), generator=generator)[:per_class]])
    return Labelled(*pictures[torch.cat(kept)])


def train_classifier(mixture: Mixture, seed: int, *, steps: int = 100, batch: int = 64) -> SmallClassifier:
    """A new classifier, trained on `mixture`, with averaged weights. About a second."""
    torch.manual_seed(seed)
    run = fit(
        SmallClassifier(),
        mixture,
        steps=steps,
        batch=batch,
        lr=warmup_cosine(steps, warmup=10),
        ema=0.9,
        seed=seed,
        device="cpu",
        progress=False,
    )
    return cast(SmallClassifier, run.model)


def name_them(logits: Tensor, x: Tensor, per_class: int) -> Labelled:
    """Pictures (N, C, H, W) named by a classifier's logits (N, classes): of each class the `per_class`
    it is surest of.

    Fewer where it named fewer. As many of each class, so that a class that it sees everywhere does not
    take over.
    """
    sure, y = logits.softmax(1).max(1)  # (N,), (N,)
    kept = []
    for c in range(logits.shape[1]):
        named = (y == c).nonzero()[:, 0]
        kept.append(named[sure[named].argsort(descending=True)[:per_class]])
    index = torch.cat(kept)
    return Labelled(x[index], y[index])


@torch.no_grad()
def share_right(classifier: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of pictures x (N, C, H, W) whose label y (N,) a classifier gets right."""
    return (torch.cat([classifier(b) for b in x.split(500)]).argmax(1) == y).float().mean().item()


def linear_probe(h: Tensor, y: Tensor, strength: float = 1.0) -> nn.Linear:
    """The linear classifier of features h (N, F) with labels y (N,): logistic regression.

    The features are first scaled to mean 0 and variance 1/F (dead ones left out), and the scaling is then
    folded into the layer. strength is 1 over the weight of the squared length of its weights.
    """
    mean, std = h.mean(0), h.std(0) * h.shape[1] ** 0.5
    std = torch.where(std > 1e-6, std, torch.inf)
    probe = LogisticRegression(C=strength, max_iter=1000).fit(((h - mean) / std).numpy(), y.numpy())
    weight = torch.from_numpy(probe.coef_).float() / std  # (classes, F)
    layer = nn.Linear(h.shape[1], len(weight))
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.from_numpy(probe.intercept_).float() - weight @ mean)
    return layer
