"""How much random damage there is, and of which kind: properties of exercise 1.4."""

from __future__ import annotations

from math import erf, sqrt

import torch
from torch import Tensor

from course_lib.check.autoencoders.chance import by_rand, coin, damage, differs, tolerance
from course_lib.check.core import Property, Trial

# How many

TWICE = "You damage about twice as many pixels: `share` is for salt and pepper together, half for each."

HALF = "You damage half as many pixels as asked: `share` is for salt and pepper together."
HALF_AND_ALIKE = (
    "You damage half as many pixels as asked, all in one colour: does a second `where` start from x again? "
    "Start it from the result of the first."
)

OTHER_SHARES = (  # shares that come from typical mistakes, each with its sentence
    (lambda s: 0.0, "You damage nothing."),
    (lambda s: 1.0, "You overwrite every pixel: keep x where no damage falls."),
    (lambda s: s / 2, HALF),
    (lambda s: min(1.0, 2 * s), TWICE),
    (lambda s: 1 - (1 - s) ** 2, TWICE),
    (
        lambda s: 1 - (1 - s / 2) ** 2,
        "Salt and pepper have a random number each, so that both may hit the same pixel. Ask one number "
        "whether a pixel is damaged, and another coin how.",
    ),
    (
        lambda s: 1 - s,
        "You keep the pixels that should be damaged, and damage the others: turn the condition round.",
    ),
    (
        lambda s: 1 - s / 2,
        "`u > share` is true for nearly every pixel: salt lies between `share / 2` and `share`.",
    ),
    (
        lambda s: (1 + s) / 2,
        "A coin falls on every pixel, and changes half of them. Use it only where damage falls.",
    ),
    (
        lambda s: 0.5 + erf(s / sqrt(2)) / 2,
        "Is there `randn` where `rand` should be? Only `rand` is even from 0 to 1.",
    ),
)


def _share(t: Trial) -> str | None:
    y, damaged, s = damage(t)
    found, off = damaged.double().mean().item(), tolerance(s, damaged.numel())
    if abs(found - s) <= off:
        return None
    cause = _cause(t)
    if cause == HALF and len(y[damaged].unique()) == 1:
        cause = HALF_AND_ALIKE
    return (
        f"{cause} With share = {s:.3f}, between {s - off:.1%} and {s + off:.1%} of the pixels should be "
        f"damaged; yours damages {found:.1%}."
    ).strip()


def _cause(t: Trial) -> str:
    """The sentence of the mistake that explains both a small and a large share, or nothing."""
    tries = [(s, damaged.double().mean().item()) for _, damaged, s in (damage(t), damage(t, 0.6))]
    n = t.args()[0].numel()
    for wrong, sentence in OTHER_SHARES:
        if all(abs(found - wrong(s)) <= tolerance(wrong(s), n) + 1e-9 for s, found in tries):
            return sentence
    return ""


share = Property(
    "share of damaged pixels",
    _share,
    (
        (lambda x, s: x.clone(), "You damage nothing."),
        (lambda x, s: coin(x), "You overwrite every pixel"),
        (by_rand(lambda x, u, s: torch.where(u < s / 2, coin(x), x)), "half as many"),
        (
            by_rand(lambda x, u, s: torch.where(u < s, -1.0, torch.where(u > 1 - s, 1.0, x))),
            "twice as many",
        ),
        (
            by_rand(lambda x, u, s: torch.where(u < s, -1.0, torch.where(torch.rand_like(x) < s, 1.0, x))),
            "twice as many",
        ),
        (by_rand(lambda x, u, s: torch.where(u > s, coin(x), x)), "turn the condition round"),
        (lambda x, s: torch.where(torch.randn_like(x) < s, coin(x), x), "`randn` where `rand`"),
        (
            by_rand(lambda x, u, s: torch.where(torch.rand_like(x) < 0.5, -1.0, torch.where(u < s, 1.0, x))),
            "A coin falls on every pixel",
        ),
        (
            by_rand(lambda x, u, s: torch.where(u > s, 1.0, torch.where(u < s / 2, -1.0, x))),
            "`u > share` is true for nearly every pixel",
        ),
        (by_rand(lambda x, u, s: torch.where(u < s / 2, -1.0, x)), HALF_AND_ALIKE),
        (by_rand(lambda x, u, s: torch.where((u > s / 2) & (u < s), 1.0, x)), HALF_AND_ALIKE),
        (
            by_rand(lambda x, u, s: torch.where(u < s * 0.7, coin(x), x)),
            "With share = ",
        ),
    ),
)


# A toss for each


def _tossed(t: Trial) -> str | None:
    x = t.args()[0]
    results = t.answers(t.student, 5)
    counts = {int(differs(y, x).sum()) for y in results}
    if len(counts) > 1 or torch.equal(results[0], results[1]):
        return None  # two equal results are told below
    return (
        f"In five calls you damage exactly {counts.pop()} pixels each time. Toss for each pixel by itself, "
        "so that their number varies."
    )


def _counted(x: Tensor, s: float) -> Tensor:
    """Damages an exact number of pixels."""
    y, order = x.clone().flatten(), torch.randperm(x.numel(), device=x.device)
    count = int(s * x.numel())
    y[order[: count // 2]], y[order[count // 2 : count]] = -1, 1
    return y.view_as(x)


tossed = Property("a toss for each pixel", _tossed, ((_counted, "pixels each time. Toss for each pixel"),))


# Which parts


def _parts(t: Trial) -> str | None:
    y, damaged, s = damage(t)
    values = y[damaged]
    white = (values > 0).double().mean().item()
    off = tolerance(0.5, len(values))
    if abs(white - 0.5) <= off:
        return None
    if white in (0.0, 1.0):
        name = "salt (+1)" if white else "pepper (-1)"
        return (
            f"All damaged pixels became {name}. Toss a coin for each of them. Or does a later line overwrite "
            "an earlier one, or start from x again? And a number below `share` is always below 0.5, too."
        )
    return (
        f"Salt and pepper should have equal parts; of your damaged pixels {white:.1%} became salt (+1), "
        f"where {0.5 - off:.1%} to {0.5 + off:.1%} would be fair."
    )


parts = Property(
    "as much salt as pepper",
    _parts,
    (
        (by_rand(lambda x, u, s: torch.where(u < s, 1.0, x)), "All damaged pixels became salt"),
        (by_rand(lambda x, u, s: torch.where(u < s, -1.0, x)), "All damaged pixels became pepper"),
        (
            by_rand(lambda x, u, s: torch.where(u < s, torch.where(u < 0.5, -1.0, 1.0), x)),
            "All damaged pixels became pepper",
        ),
        (
            by_rand(lambda x, u, s: torch.where(u < s, torch.where(torch.rand_like(x) < s, 1.0, -1.0), x)),
            "should have equal parts",
        ),
    ),
)


# The two ends


def _ends(t: Trial) -> str | None:
    none = damage(t, 0.0)[1].double().mean().item()
    if none > 0.005:
        return f"With share = 0 nothing should change; {none:.1%} of your pixels do."
    some = damage(t, 1.0)[1].double().mean().item()
    if some < 0.995:
        return (
            f"With share = 1 every pixel should be damaged; {1 - some:.1%} of yours are not. Ask one random "
            "number per pixel whether it is damaged, and another coin how."
        )
    return None


ends = Property(
    "share 0 and share 1",
    _ends,
    (
        (
            by_rand(
                lambda x, u, s: torch.where(u < s / 2, -1.0, torch.where(torch.rand_like(x) < s / 2, 1.0, x))
            ),
            "another coin how",
        ),
    ),
)
