"""The bias lab: does a small classifier find drawn people of every skin-tone modifier equally well?

The task is to tell drawn people from drawn things at 32x32 pixels. Both classes are made alike: drawings on
white, cut out by one rule, put on a random flat colour each time they are drawn, so that neither the
background nor the edge says which class it is. `measure` reports recall for each tone; the training sets
here differ only in which drawings of people they hold and how often each is drawn.

Tone means the skin-tone modifier of a drawing. Nothing here says anything about photographs of people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from scipy.ndimage import binary_propagation
from torch import Tensor
from torch.nn import functional as F

from course_lib import data
from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.debiasing_vae import DebiasingVAE, latent_weights
from course_lib.nn.augment import random_flip, random_shift
from course_lib.sets import STYLES, TONES, Background, composite, to_floats

LIGHT = (1, 2)  # light and medium-light
MODIFIERS = TONES[1:]  # the five tones that the lab uses: drawings without a modifier are left out
WHITE = 240  # pixels at least this bright in all channels are white paper

# Animals, smileys, signs and hands are left out, and what else has a face or shows a person.
THINGS = ("Activities", "Food & Drink", "Objects", "Travel & Places")
FACES = (
    "jack-o-lantern", "joker", "teddy bear", "piñata", "performing arts", "framed picture", "hamsa", "moai",
    "flower playing cards", "moon viewing ceremony", "identification card", "Japanese dolls", "nesting dolls",
    "new moon face", "first quarter moon face", "last quarter moon face", "full moon face", "sun with face",
    "wind face", "snowman", "snowman without snow",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cutouts:
    """Drawings of people and things without their background, and how often each is to be drawn.

    As a data set for `fit`, the picture at an index is a random one: drawn by `weights`, mirrored or not,
    moved by up to `shift` pixels, on a random flat colour. A batch is (x, y).
    """

    rgba: Tensor  # (N, 4, 32, 32) uint8
    y: Tensor  # (N,) int64: 1 for people, 0 for things
    tone: Tensor  # (N,) int64 of TONES, 1 to 5 for people, 0 for things
    weights: Tensor  # (N,) float, sum to 1
    shift: int = 3

    def __len__(self) -> int:
        return len(self.rgba)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        reach = self.weights.double().cumsum(0)  # picture i owns the numbers from reach[i - 1] to reach[i]
        u = torch.rand(len(index), dtype=torch.float64, device=reach.device) * reach[-1]
        drawn = torch.searchsorted(reach, u, right=True).clamp(max=len(self) - 1)  # (B,)
        rgba = random_shift(random_flip(self.rgba[drawn]), self.shift, 0)
        colours = int(torch.randint(2**31, ()))  # the seed of the backgrounds
        return to_floats(composite(rgba, "random", colours)), self.y[drawn]

    def on(self, background: Background, *, seed: int = 0) -> Tensor:
        """All drawings, unmoved, on one colour or on random ones: (N, 3, 32, 32) in [-1, 1]."""
        return to_floats(composite(self.rgba, background, seed))

    def to(self, device: torch.device | str) -> Cutouts:
        """The same set with its tensors on `device`."""
        return replace(
            self,
            rgba=self.rgba.to(device),
            y=self.y.to(device),
            tone=self.tone.to(device),
            weights=self.weights.to(device),
        )

    def subset(self, index: Tensor) -> Cutouts:
        """The drawings picked by a LongTensor or a boolean mask, both classes equally often."""
        y = self.y[index]
        return Cutouts(self.rgba[index], y, self.tone[index], balanced_weights(y), self.shift)

    def by_people(self, weights: Tensor) -> Cutouts:
        """The same set with `weights` (P,) for its P people, in order; things stay as they are.

        Both classes are still drawn equally often, so that a repair cannot win by saying "person" more.
        """
        people = self.y == 1
        if len(weights) != people.sum():
            raise CourseError(f"There are {people.sum()} people, but {len(weights)} weights for them.")
        mixed = torch.full((len(self),), 0.5 / int((~people).sum()), dtype=torch.float64)
        mixed[people] = weights.double() / weights.double().sum() / 2
        return replace(self, weights=mixed)


def balanced_weights(groups: Tensor) -> Tensor:
    """groups (N,) int64 -> weights (N,) that sum to 1, with every group that occurs drawn equally often."""
    counts = torch.bincount(groups)
    return 1 / (counts[groups] * (counts > 0).sum())  # an equal share for each group, divided among its own


def drawings(split: data.Split) -> Cutouts:
    """All people with a tone and all things of a split, in the styles Noto and Twemoji.

    1,744 people and 1,044 things in train, 210 and 150 in validation, 210 and 148 in test.
    """
    people = data.people(split)
    people = people.subset(people.tone > 0)
    things = torch.cat([_things(split, style) for style in STYLES])
    rgba = cut_out(torch.cat([people.x, things]))
    y = torch.cat([torch.ones(len(people)), torch.zeros(len(things))]).long()
    tone = torch.cat([people.tone, torch.zeros(len(things), dtype=torch.long)])
    return Cutouts(rgba, y, tone, balanced_weights(y))


def _things(split: data.Split, style: str) -> Tensor:
    """Drawn things on white, (N, 3, 32, 32) uint8."""
    drawn = data.emoji(split, style)  # type: ignore[arg-type]
    kinds = drawn.y.tolist()  # type: ignore[union-attr]
    kept = [
        drawn.names[k] in THINGS and name not in FACES for k, name in zip(kinds, drawn.captions, strict=True)
    ]
    x = drawn.x[torch.tensor(kept)].float()  # (N, 3, 64, 64)
    return F.avg_pool2d(x, 2).round().to(torch.uint8)


def cut_out(x: Tensor) -> Tensor:
    """Pictures on white (N, 3, H, W) uint8 -> the same with transparency, (N, 4, H, W) uint8.

    White that is connected to the border becomes transparent, the rest opaque. The rule looks at pixels only,
    so people and things get the same pale fringe.
    """
    white = (x.amin(1) >= WHITE).numpy()  # (N, H, W)
    border = np.zeros_like(white)
    border[:, [0, -1], :] = border[:, :, [0, -1]] = True
    neighbours = np.zeros((3, 3, 3), dtype=bool)
    neighbours[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]  # beside and below, within one picture
    outside = binary_propagation(border & white, structure=neighbours, mask=white)
    alpha = torch.from_numpy(~outside)[:, None].to(torch.uint8) * 255  # (N, 1, H, W)
    return torch.cat([x, alpha], dim=1)


def mostly_light(everything: Cutouts, share: float = 0.97, seed: int = 0) -> Cutouts:
    """Of the darker drawings of people keep so few, at random, that `share` of the people is light-toned.

    Light-toned are the modifiers light and medium-light. Raises CourseError for a share outside (0, 1), or
    so low that there are not enough darker drawings.
    """
    light = (everything.tone == LIGHT[0]) | (everything.tone == LIGHT[1])
    darker = (everything.tone > LIGHT[1]).nonzero()[:, 0]
    count = round(int(light.sum()) * (1 - share) / share) if 0 < share < 1 else -1
    if not 0 <= count <= len(darker):
        raise CourseError(f"A light-toned share of {share} cannot be made from these drawings.")
    order = torch.randperm(len(darker), generator=torch.Generator().manual_seed(seed))
    kept = light | (everything.y == 0)
    kept[darker[order[:count]]] = True
    return everything.subset(kept)


class Finder(Protocol):
    """A network that says whether a picture shows a person."""

    def logit(self, x: Tensor) -> Tensor: ...


class Found(NamedTuple):
    """How a classifier does on held-out drawings."""

    recall: Tensor  # (5,), share of people found, for each of MODIFIERS
    false_positives: float  # share of things taken for people

    @property
    def gap(self) -> float:
        """Recall on the light-toned drawings (light, medium-light) minus that on the three darker tones."""
        return float(self.recall[:2].mean() - self.recall[2:].mean())


@torch.no_grad()
def measure(model: Finder, held: Cutouts, *, backgrounds: int = 4) -> Found:
    """Recall for each tone and false positives, each drawing on several random backgrounds.

    The backgrounds are the same for every model that is measured.
    """
    says = torch.stack([model.logit(held.on("random", seed=s)) > 0 for s in range(backgrounds)])
    return found(says.float().mean(0), held.tone)


def found(says: Tensor, tone: Tensor) -> Found:
    """says (N,) in [0, 1]: how often each drawing was taken for a person; tone (N,), 0 for things."""
    recall = torch.stack([says[tone == k].mean() for k in range(1, len(TONES))])
    return Found(recall, float(says[tone == 0].mean()))


def train_debiasing(
    model: DebiasingVAE,  # trained in place
    lab: Cutouts,
    *,
    epochs: int = 5,
    steps: int = 20,  # of one epoch
    batch: int = 48,
    alpha: float = 0.3,
    seed: int = 0,
) -> tuple[DebiasingVAE, Tensor]:
    """Algorithm 1 of the paper -> a copy of the model with averaged weights, and W (P,) of the people.

    Before each epoch the codes of all people are computed anew and turned into probabilities to draw them.
    They are encoded on mid-grey: the random backgrounds are our own doing, no property of a drawing.
    """
    with TemporaryDirectory() as folder:
        for epoch in range(epochs):
            run = fit(
                model,
                lab.by_people(_weights_of_people(model, lab, alpha)),
                steps=steps * (epoch + 1),
                batch=batch,
                lr=warmup_cosine(steps * epochs, warmup=20),
                ema=0.9,
                seed=seed,
                checkpoint=Path(folder) / "run.pt",  # through it the optimizer outlives the epoch
                resume=True,
                progress=False,
            )
    averaged = cast(DebiasingVAE, run.model.cpu())
    return averaged, _weights_of_people(averaged, lab, alpha)


@torch.no_grad()
def _weights_of_people(model: DebiasingVAE, lab: Cutouts, alpha: float) -> Tensor:
    training = model.training
    x = lab.on((128, 128, 128))[lab.y == 1]
    mu = model.eval().see(x.to(model.log_sigma.device)).mu.cpu()
    model.train(training)
    return latent_weights(mu, alpha=alpha)
