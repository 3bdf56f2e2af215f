"""Exercise 3.7: precision and recall by nearest neighbours, arXiv 1904.06991, eqs. 1 to 3."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes, Value
from course_lib.check.gan.pairs import two_numbers
from course_lib.check.properties import close_to, input_unchanged
from course_lib.check.vae.told import on

Inputs = tuple[Tensor, Tensor, int]  # real (N, F), made (M, F), k
Radius = Callable[[Tensor, int], Tensor]  # (N, F), k -> (N,)


def _radius(x: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th neighbour, itself not counted."""
    return torch.cdist(x, x).kthvalue(k + 1, dim=1).values


def _share(points: Tensor, manifold: Tensor, k: int, radius: Radius = _radius) -> float:
    """How many of the points lie in at least one ball of the manifold."""
    return (torch.cdist(points, manifold) <= radius(manifold, k)).any(1).float().mean().item()


def _precision_recall(real: Tensor, made: Tensor, k: int) -> tuple[float, float]:
    return _share(made, real, k), _share(real, made, k)


def _sets(generator: torch.Generator) -> Inputs:
    """Two clouds that overlap in part, of different sizes and densities, with outliers; k is 5 or 6."""
    real, made, k = _clear_case(generator.initial_seed())
    return torch.cat([real, real], 1)[:, :5], made.clone(), k


@lru_cache(maxsize=32)
def _clear_case(seed: int) -> Inputs:
    """Drawn again until rounding cannot decide, and until every typical wrong answer gives something else."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        k = 5 + int(torch.randint(2, (), generator=generator))
        n, m = (torch.randperm(6, generator=generator)[:2] + 60).tolist()
        real = torch.randn(n, 5, generator=generator)
        made = 0.6 * torch.randn(m, 5, generator=generator)
        real[:4] *= 2
        made[:, 0] += 1.5
        made[:10, 1] += torch.linspace(1.5, 4, 10)
        if _margin(real, made, k) > 2e-5 and _telling(real, made, k):
            return real, made, k


def _margin(real: Tensor, made: Tensor, k: int) -> float:
    """How far the nearest call is from going the other way."""
    between = torch.cdist(real, made)
    of_real = (between - _radius(real, k)[:, None]).abs().min()
    return min(of_real.item(), (between - _radius(made, k)).abs().min().item())


def _telling(real: Tensor, made: Tensor, k: int) -> bool:
    """Do the right answer and all the wrong ones give different numbers?"""
    answers = [_precision_recall, *(wrong for wrong, _ in MISTAKES)]
    found = [tuple(round(x, 3) for x in answer(real, made, k)) for answer in answers]
    return len(set(found)) == len(found)


def _one_blob_of_two(generator: torch.Generator) -> Inputs:
    """Real: two blobs of twelve. Made: a copy of the first. Precision 1, recall 1/2."""
    blob = torch.randn(12, 2, generator=generator)
    return torch.cat([blob, 0.5 * torch.randn(12, 2, generator=generator) + 50]), blob.clone(), 2


def _apart(generator: torch.Generator) -> Inputs:
    """Nothing in common: both 0."""
    real = torch.randn(9, 2, generator=generator)
    return real, torch.randn(7, 2, generator=generator) + 100, 3


def _alike(generator: torch.Generator) -> Inputs:
    """The same points twice, in another order: both 1."""
    real = torch.randn(9, 2, generator=generator)
    return real, real[torch.randperm(9, generator=generator)], 1


def _with_radius(radius: Radius) -> Answer:
    return lambda real, made, k: (_share(made, real, k, radius), _share(real, made, k, radius))


def _from_shares(change: Callable[[float, float], Value]) -> Answer:
    """An answer made from the right precision and recall."""
    return lambda real, made, k: change(*_precision_recall(real, made, k))


def _both(share: Callable[[Tensor, Tensor, int], float]) -> Answer:
    """An answer from `share(points, manifold, k)`, called both ways round."""
    return lambda real, made, k: (share(made, real, k), share(real, made, k))


def _own_radius(points: Tensor, manifold: Tensor, k: int) -> float:
    inside = torch.cdist(points, manifold) <= _radius(points, k)[:, None]
    return inside.any(1).float().mean().item()


def _nearest_ball(points: Tensor, manifold: Tensor, k: int) -> float:
    distance, nearest = torch.cdist(points, manifold).min(1)
    return (distance <= _radius(manifold, k)[nearest]).float().mean().item()


def _all_balls(points: Tensor, manifold: Tensor, k: int) -> float:
    return (torch.cdist(points, manifold) <= _radius(manifold, k)).all(1).float().mean().item()


def _all_pairs(points: Tensor, manifold: Tensor, k: int) -> float:
    return (torch.cdist(points, manifold) <= _radius(manifold, k)).float().mean().item()


def _other_set(points: Tensor, manifold: Tensor, k: int) -> float:
    between = torch.cdist(points, manifold)  # (P, N)
    return (between <= between.kthvalue(k, dim=0).values).any(1).float().mean().item()


def _itself(x: Tensor, k: int) -> Tensor:
    return torch.cdist(x, x).kthvalue(k, dim=1).values


def _one_more(x: Tensor, k: int) -> Tensor:
    return _radius(x, k + 1)


def _largest(x: Tensor, k: int) -> Tensor:
    return _radius(x, k).max().expand(len(x))


def _average(x: Tensor, k: int) -> Tensor:
    return _radius(x, k).mean().expand(len(x))


def _squared(x: Tensor, k: int) -> Tensor:
    return _radius(x, k).square()


def _always_3(x: Tensor, k: int) -> Tensor:
    return _radius(x, 3)


MISTAKES: Mistakes = (
    (
        _from_shares(lambda precision, recall: (recall, precision)),
        "Precision and recall are exchanged. Precision asks about the made points: are they inside the real "
        "manifold? Recall asks about the real ones.",
    ),
    (
        _with_radius(_itself),
        "Each point counts as its own first neighbour, at distance 0, so your balls are too small. Its k-th "
        "neighbour is the (k+1)-th smallest distance in its row.",
    ),
    (
        _with_radius(_one_more),
        "Your balls reach one neighbour too far. The k-th neighbour is the (k+1)-th smallest distance in "
        "the row: the smallest is the point itself.",
    ),
    (
        _both(_own_radius),
        "The radii are those of the wrong set. A ball belongs to the manifold: for precision the balls lie "
        "around the real points, with the real points' radii.",
    ),
    (
        _with_radius(_largest),
        "You use the largest radius for all. Each ball has its own, small where points are dense.",
    ),
    (
        _with_radius(_average),
        "You use the mean radius for all. Each ball has its own, small where points are dense.",
    ),
    (
        _both(_nearest_ball),
        "You look at the ball of the nearest point only. The manifold is the union of all balls, and a wide "
        "one further away may reach it: use `.any(dim=1)`.",
    ),
    (_both(_all_balls), "You ask for a point to lie in all balls. One is enough: `.any(dim=1)`."),
    (
        _both(_all_pairs),
        "You average over all pairs of points and balls. First `.any(dim=1)`: is the point in at least one "
        "ball? Then the mean over the points.",
    ),
    (
        _both(_other_set),
        "Your radii are distances between the two sets. A point's radius reaches to its k-th neighbour in "
        "its own set.",
    ),
    (_with_radius(_squared), "You compare a distance with a squared radius. Square both or none."),
    (_with_radius(_always_3), "k plays no part: you always take the third neighbour."),
    (
        _from_shares(lambda precision, recall: (1 - precision, 1 - recall)),
        "You return the shares outside. Return those inside.",
    ),
    (_from_shares(lambda precision, recall: (precision, precision)), "Your recall is the precision again."),
    (_from_shares(lambda precision, recall: (recall, recall)), "Your precision is the recall again."),
    (
        _from_shares(lambda precision, recall: (100 * precision, 100 * recall)),
        "You return percent. Return shares, from 0 to 1.",
    ),
)

precision_recall = Exercise(
    id="3.7",
    title="Precision and recall",
    difficulty=3,
    minutes=15,
    hints=(
        "One small function does both: the share of `points` that lie inside the manifold of another set. "
        "Precision and recall are two calls of it. Which set is which?",
        "The radii: `torch.cdist(manifold, manifold)` holds in each row the distances from one point, the "
        "smallest of them 0, to itself. `.kthvalue(k + 1, dim=1).values` skips that one. A point is inside "
        "if it is within the radius of at least one ball.",
        "`inside = torch.cdist(points, manifold) <= radius` compares each column with its own radius. "
        "`inside.any(dim=1).float().mean()` is the share. Precision: the made points in the real manifold; "
        "recall: the real points in the made one.",
    ),
    reference=_precision_recall,
    draw=_sets,
    properties=(
        two_numbers("precision and recall"),
        close_to(*MISTAKES, name="two clouds that overlap"),
        on(_one_blob_of_two, close_to(name="one blob of two is made")),
        on(_apart, close_to(name="nothing in common: 0 and 0")),
        on(_alike, close_to(name="the same points: 1 and 1")),
        input_unchanged(),
    ),
)
