"""The scores of diffusion models on held-out pictures of Fashion-MNIST: a chapter of `evaluate`.

Samples are those of DDIM in few steps, so that a score is one of the network and the sampler together, at a
price that one would pay. The figures of a class-conditional model also depend on the guidance.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from course_lib import data, zoo
from course_lib.evaluate import HeldOut, Scores, against_fashion
from course_lib.methods.ddpm import DDPM, Sampler
from course_lib.methods.features import FeatureNet, accuracy
from course_lib.metrics import bits_per_dim, frechet_distance

SAMPLES = 10_000  # as many as there are test pictures
FEWER = 2_000  # with guidance 2
PRICED = 1_000  # pictures whose bits are counted
TERMS = 100  # of the bound's T, for each picture


@torch.no_grad()
def class_samples(
    model: nn.Module, split: HeldOut = "test", *, guidance: float = 1.25, steps: int = 20
) -> Scores:
    """Samples of every class, as many of each, against as many pictures of Fashion-MNIST: 10,000 of test,
    2,000 of validation.

    Fréchet distance, its floor, share of the total variance, precision and recall, see `against_fashion`; the
    share of samples whose class `fashion_features` recognises, also with guidance 2 (2,000 samples), beside
    that of the real pictures; and `by_calls`. About half an hour on one core.
    """
    net = cast(DDPM, model)
    features, held = cast(FeatureNet, zoo.load("fashion_features")), data.fashion(split)
    y = torch.arange(min(SAMPLES, len(held))) % 10
    x = samples(net, y, guidance, steps)
    few = y[:FEWER]
    return (
        against_fashion(x, split)
        | {
            "class accuracy": accuracy(features, x, y),
            "class accuracy, guidance 2": accuracy(features, samples(net, few, 2.0, steps), few),
            "class accuracy, real pictures": accuracy(features, held.floats, cast(Tensor, held.y)),
        }
        | by_calls(net, split)
    )


# (sampler, steps, calls of the network for one picture): what notebook 06 draws as a curve. Heun's last step
# has one call, and with the cosine schedule its first one, too.
PRICES: tuple[tuple[Sampler, int, int], ...] = (
    ("ddpm", 20, 20),
    ("ddpm", 100, 100),
    ("ddim", 5, 5),
    ("ddim", 10, 10),
    ("ddim", 20, 20),
    ("ddim", 50, 50),
    ("heun", 4, 6),
    ("heun", 10, 18),
)
STORED = 1_000  # samples of each


@torch.no_grad()
def by_calls(model: nn.Module, split: HeldOut = "test") -> Scores:
    """What a call of the network is worth: the Fréchet distance of 1,000 samples of every class (guidance 1)
    to all held-out pictures, for samplers and step counts, all from the same noise. About six minutes."""
    net, x = cast(DDPM, model), data.fashion(split).floats
    features, y = zoo.load("fashion_features"), torch.arange(STORED) % 10
    return {
        f"Fréchet distance, {sampler}, {calls} calls": frechet_distance(
            x, samples(net, y, 1.0, steps, sampler), features
        )
        for sampler, steps, calls in PRICES
    }


@torch.no_grad()
def unconditional(model: nn.Module, split: HeldOut = "test", *, steps: int = 20) -> Scores:
    """Samples of a model that was told no class against as many pictures, as in `class_samples`; and its
    variational bound, in nats for each picture and in bits per dimension (28 x 28, 256 levels), on the first
    1,000 held-out pictures, 100 terms for each. About a quarter of an hour on two cores.
    """
    net, held = cast(DDPM, model), data.fashion(split)
    y = torch.full((min(SAMPLES, len(held)),), net.classes)
    return against_fashion(samples(net, y, 1.0, steps), split) | priced(net, held.floats[:PRICED])


@torch.no_grad()
def priced(model: DDPM, x: Tensor) -> Scores:
    """The variational bound of log p(x), no class told: x (N, C, H, W) on the 256 levels. The posterior's
    variances, TERMS terms for each picture, drawn with a fixed seed. The true bits are at most these."""
    generator = torch.Generator().manual_seed(0)
    bounds = [model.bound(part, terms=TERMS, generator=generator) for part in x.split(250)]
    nats = torch.cat([bound.value for bound in bounds]).mean().item()
    return {"bound in nats": nats, "bound in bits/dim": bits_per_dim(nats, x[0].numel())}


def samples(model: DDPM, y: Tensor, guidance: float, steps: int, sampler: Sampler = "ddim") -> Tensor:
    """One picture for each label y (N,), a batch at a time, with a fixed seed: (N, C, H, W)."""
    generator, parts = torch.Generator().manual_seed(0), []
    for labels in y.split(250):
        *_, last = model.sample(
            len(labels), generator=generator, label=labels, guidance=guidance, steps=steps, sampler=sampler
        )
        parts.append(last.x)
    return torch.cat(parts)
