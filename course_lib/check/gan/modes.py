"""Exercise 3.4: how many modes are covered, and which share of the samples is good."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes, Value
from course_lib.check.gan.pairs import two_numbers
from course_lib.check.properties import close_to, input_unchanged
from course_lib.check.vae.told import on


def _count_modes(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    nearest, good = _nearest(samples, centres, 3 * std)
    return _covered(nearest[good], 0.2 * len(samples) / len(centres)), good.float().mean().item()


def _nearest(samples: Tensor, centres: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The number of each sample's nearest centre, and whether it lies within the radius: (N,), (N,)."""
    distance, nearest = torch.cdist(samples, centres).min(1)
    return nearest, distance <= radius


def _covered(members: Tensor, least: float) -> int:
    """How many numbers occur at least so often."""
    return int((members.unique(return_counts=True)[1] >= least).sum())


# What it is tested on. An even share is 20 samples for each mode, so a mode needs 4 good ones.

_SHARES = (  # for each mode: good samples, and samples not far outside
    (40, 2), (21, 0), (6, 3), (5, 0), (3, 0), (3, 0), (2, 14), (1, 0), (0, 9),
)  # fmt: skip
EVEN = 20
STRAY = EVEN * len(_SHARES) - sum(good + out for good, out in _SHARES)  # of no mode at all


def _around(centre: Tensor, radius: Tensor, generator: torch.Generator) -> Tensor:
    """One point at each of these distances, (B,) -> (B, 2)."""
    angle = 2 * pi * torch.rand(len(radius), generator=generator)
    return centre + radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


def _ring(generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Samples (180, 2) round nine modes on a ring, some of them neglected, with strays; columns of a table.

    A third of the good ones lies between 2.3 and 2.8 std, where a smaller radius would lose them. Of those
    outside, half are within 3 std in each coordinate. std is from 0.05 to 0.09.
    """
    std = 0.05 + 0.04 * torch.rand((), generator=generator).item()
    angle = 2 * pi * (torch.arange(9) + torch.rand((), generator=generator)) / 9
    ring = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    order = torch.randperm(9, generator=generator).tolist()
    parts = [2 * ring[order[0]] + torch.rand(STRAY, 2, generator=generator)]  # behind the favourite mode
    for place, (good, outside) in zip(order, _SHARES, strict=True):
        radius = 1.9 * torch.rand(good, generator=generator)
        radius[::3] = 2.3 + 0.5 * torch.rand(len(radius[::3]), generator=generator)
        parts.append(_around(ring[place], std * radius, generator))
        parts.append(ring[place] + std * _corner(outside - outside // 2, generator))
        far = 4.4 + 0.6 * torch.rand(outside // 2, generator=generator)
        parts.append(_around(ring[place], std * far, generator))
    samples = torch.cat(parts)[torch.randperm(EVEN * len(_SHARES), generator=generator)]
    return torch.cat([samples, samples], 1)[:, :2], ring, std


def _corner(n: int, generator: torch.Generator) -> Tensor:
    """Points just beyond radius 3, but with both coordinates below it: (n, 2)."""
    sign = torch.randint(0, 2, (n, 2), generator=generator) * 2 - 1
    return sign * (2.3 + 0.3 * torch.rand(n, 2, generator=generator))


def _neighbours(generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Two modes only 2 std apart, where all samples are near the first, and a third far away."""
    std = 0.4 + 0.2 * torch.rand((), generator=generator).item()
    centres = torch.tensor([[0.0, 0.0], [2 * std, 0.0], [20 * std, 5.0]])
    near = 0.6 * std * torch.rand(20, generator=generator)
    far = 0.6 * std * torch.rand(10, generator=generator)
    samples = torch.cat([_around(centres[0], near, generator), _around(centres[2], far, generator)])
    return samples, centres, std


def _nowhere(generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """No sample near any mode."""
    samples, centres, std = _neighbours(generator)
    return samples + 100, centres, std


def _with(
    radius: Callable[[float], float] = lambda std: 3 * std,
    least: Callable[[int, int, int], float] = lambda n, good, modes: 0.2 * n / modes,
) -> Answer:
    """An answer with this radius, and this least number from the numbers of samples, good ones and modes."""

    def count_modes(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
        nearest, good = _nearest(samples, centres, radius(std))
        wanted = least(len(samples), int(good.sum()), len(centres))
        return _covered(nearest[good], max(wanted, 1)), good.float().mean().item()

    return count_modes


def _box(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    offset = (samples[:, None] - centres).abs().amax(2)  # (N, K)
    distance, nearest = offset.min(1)
    good = distance <= 3 * std
    return _covered(nearest[good], 0.2 * len(samples) / len(centres)), good.float().mean().item()


def _squared(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    distance, nearest = torch.cdist(samples, centres).square().min(1)
    good = distance <= 3 * std
    return _covered(nearest[good], 0.2 * len(samples) / len(centres)), good.float().mean().item()


def _all_count(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    nearest, good = _nearest(samples, centres, 3 * std)
    return _covered(nearest, 0.2 * len(samples) / len(centres)), good.float().mean().item()


def _any_centre(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    within = torch.cdist(samples, centres) <= 3 * std  # (N, K)
    covered = (within.sum(0) >= 0.2 * len(samples) / len(centres)).sum()
    return int(covered), within.any(1).float().mean().item()


def _pairs_counted(samples: Tensor, centres: Tensor, std: float) -> tuple[int, float]:
    within = torch.cdist(samples, centres) <= 3 * std  # (N, K)
    return _count_modes(samples, centres, std)[0], within.float().mean().item()


def _other(change: Callable[[int, float, Tensor, Tensor], Value]) -> Answer:
    """An answer made from the right numbers, the samples and the centres."""
    return lambda samples, centres, std: change(*_count_modes(samples, centres, std), samples, centres)


MISTAKES: Mistakes = (
    (
        _with(least=lambda n, good, modes: 1),
        "One good sample is enough for you to call a mode covered. It takes at least 0.2 of an even share: "
        "0.2 * N / K samples.",
    ),
    (
        _all_count,
        "You count all samples for their nearest mode. Only those within 3 std may count: a mode with "
        "nothing but bad samples around it is not covered.",
    ),
    (
        _with(least=lambda n, good, modes: 0.2 * good / modes),
        "You take the even share of the good samples only. It is a share of all: 0.2 * N / K.",
    ),
    (
        _with(least=lambda n, good, modes: n / modes),
        "You ask for a whole even share, N / K. A fifth of it is enough: 0.2 * N / K.",
    ),
    (
        _with(least=lambda n, good, modes: 0.2 * n),
        "You ask for 0.2 of all samples in one mode. It is 0.2 of an even share: divide by K, too.",
    ),
    (_with(radius=lambda std: 2 * std), "Your radius is 2 std. A good sample lies within 3."),
    (_with(radius=lambda std: std), "Your radius is 1 std. A good sample lies within 3."),
    (_with(radius=lambda std: 3.0), "std plays no part in your radius: it is 3 std, not 3."),
    (
        _with(radius=lambda std: 3 * std**2),
        "You take the variance in the place of std: the radius is 3 std.",
    ),
    (
        _squared,
        "You compare a squared distance with 3 std. Take its root, or compare with (3 std)^2.",
    ),
    (
        _box,
        "You look at each coordinate by itself, so that corners count as near. The distance is Euclidean: "
        "the root of the sum of squares.",
    ),
    (
        _pairs_counted,
        "You average over all pairs of sample and centre. The share is that of the samples: N of them.",
    ),
    (
        _other(lambda n, share, x, c: (share, n)),
        "The two numbers are exchanged: first the number of modes, then the share.",
    ),
    (
        _other(lambda n, share, x, c: (n, 1 - share)),
        "Your second number is the share of bad samples. Return that of the good ones.",
    ),
    (
        _other(lambda n, share, x, c: (n / len(c), share)),
        "Return the number of covered modes, not their share.",
    ),
    (
        _other(lambda n, share, x, c: (n, round(share * len(x)))),
        "You return how many samples are good. Return their share: divide by N.",
    ),
    (_other(lambda n, share, x, c: (n, 100 * share)), "You return percent. Return the share, from 0 to 1."),
    (
        _other(lambda n, share, x, c: (len(c), share)),
        "You return the number of modes that there are. Which of them have enough good samples?",
    ),
)

count_modes = Exercise(
    id="3.4",
    title="Count the modes",
    difficulty=3,
    minutes=15,
    hints=(
        "Everything follows from one table: the distance from each of the N samples to each of the K "
        "centres. From a row you learn which mode a sample belongs to, and whether it is good.",
        "`torch.cdist(samples, centres)` is that table, (N, K), and `.min(dim=1)` gives each row's smallest "
        "value and its place. The share is the mean of `distance <= 3 * std`. Then count, for each mode, the "
        "good samples that belong to it.",
        "`distance, nearest = torch.cdist(samples, centres).min(dim=1)`, `good = distance <= 3 * std`, "
        "`counts = torch.bincount(nearest[good], minlength=len(centres))`. A mode is covered where "
        "`counts >= 0.2 * len(samples) / len(centres)`.",
    ),
    reference=_count_modes,
    draw=_ring,
    properties=(
        two_numbers("the number of covered modes and the share of good samples"),
        close_to(*MISTAKES, name="a ring with neglected modes"),
        on(
            _neighbours,
            close_to(
                (
                    _any_centre,
                    "A sample that is near two centres counts for both. It belongs to the nearest only.",
                ),
                name="two modes close together",
            ),
        ),
        on(_nowhere, close_to(name="no good sample at all")),
        input_unchanged(),
    ),
)
