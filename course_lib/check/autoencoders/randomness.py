"""What random damage must look like: properties of exercise 1.4, on `(4, 1, 36, 36)` pictures.

Every tolerance is five standard deviations of a fair result, which one right answer in a million misses.
"""

from __future__ import annotations

from math import erf, sqrt

import torch
from torch import Tensor

from course_lib.check.core import Answer, Property, Trial


def _damage(t: Trial, share: float | None = None) -> tuple[Tensor, Tensor, float]:
    """The student's result, where it differs from x (bool), and the share asked for."""
    x, drawn = t.args()
    asked = drawn if share is None else share
    y = t.answer(t.student, x.clone(), asked)
    return y, (y - x).abs() > 1e-4, asked


def _by_rand(value: Answer) -> Answer:
    """A wrong answer from `value(x, u, share)`, where u holds a random number from 0 to 1 for each pixel."""
    return lambda x, share: value(x, torch.rand_like(x), share)


def _coin(x: Tensor) -> Tensor:
    """-1 or +1 for each number in x."""
    return torch.sign(torch.rand_like(x) - 0.5)


# Which values


def _only_black_and_white(t: Trial) -> str | None:
    y, damaged, _ = _damage(t)
    values = y[damaged]
    odd = values[(values.abs() - 1).abs() > 1e-6]
    if not len(odd):
        return None
    if (values == 0).any() and ((values == 0) | (values == 1)).all():
        return (
            "Your damaged pixels become 0 and 1. In this course pictures go from -1 to 1, so 0 is a middle "
            "grey: pepper is -1."
            if (values == 1).any()
            else "Your damaged pixels become 0, which is a middle grey here: pepper is -1, salt is +1."
        )
    return (
        f"Damaged pixels must become exactly -1 or +1; one of yours became {odd[0].item():.4g}. Replace "
        "the pixel, don't add noise to it."
    )


only_black_and_white = Property(
    "damage is exactly -1 or +1",
    _only_black_and_white,
    (
        (
            _by_rand(lambda x, u, s: torch.where(u < s, (u < s / 2).to(x), x)),
            "become 0 and 1",
        ),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, torch.zeros_like(x), x)),
            "become 0, which is",
        ),
        (
            _by_rand(lambda x, u, s: x + (u < s) * _coin(x)),
            "don't add noise",
        ),
        (
            lambda x, s: x + s * torch.randn_like(x),
            "don't add noise",
        ),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, torch.randn_like(x), x)),
            "must become exactly -1 or +1",
        ),
    ),
)


# Each pixel by itself

TOGETHER = {
    0: "Every picture of the batch is damaged at the same places.",
    2: "Whole columns of a picture are damaged together.",
    3: "Whole rows of a picture are damaged together.",
}
ALIKE = {
    0: "Where two pictures are both damaged, they always get the same value.",
    2: "Damaged pixels of one column always get the same value.",
    3: "Damaged pixels of one row always get the same value.",
}
EACH = "Draw a random number for each pixel of each picture: `torch.rand_like(x)`."


def _independence(t: Trial) -> str | None:
    y, damaged, _ = _damage(t)
    if not damaged.any() or damaged.all():
        return None  # told below
    white = y > 0
    for dim, sentence in TOGETHER.items():
        here, there = _neighbours(damaged, dim)
        if (here == there).double().mean() > 0.95:
            return f"{sentence} {EACH}"
    if white[damaged].all() or not white[damaged].any():
        return None
    for dim, sentence in ALIKE.items():
        here, there = _neighbours(damaged, dim)
        salt, salt_there = _neighbours(white, dim)
        both = here & there
        if both.sum() > 20 and (salt == salt_there)[both].double().mean() > 0.95:
            return f"{sentence} Toss a coin for each pixel of each picture."
    return None


def _neighbours(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    n = x.shape[dim]
    return x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1)


independence = Property(
    "each pixel by itself",
    _independence,
    (
        (lambda x, s: torch.where(torch.rand_like(x[0]) < s, _coin(x), x), TOGETHER[0]),
        (lambda x, s: torch.where(torch.rand_like(x[:, :, :1]) < s, _coin(x), x), TOGETHER[2]),
        (lambda x, s: torch.where(torch.rand_like(x[..., :1]) < s, _coin(x), x), TOGETHER[3]),
        (_by_rand(lambda x, u, s: torch.where(u < s, _coin(x[0]), x)), ALIKE[0]),
    ),
)


# How many


def _tolerance(p: float, n: int) -> float:
    return 5 * sqrt(p * (1 - p) / n)


def _share(t: Trial) -> str | None:
    _, damaged, s = _damage(t)
    n, found = damaged.numel(), damaged.double().mean().item()
    if abs(found - s) <= _tolerance(s, n):
        return None
    nearest, sentence = min(_other_shares(s), key=lambda pair: abs(found - pair[0]))
    why = f"{sentence} " if abs(found - nearest) <= _tolerance(nearest, n) else ""
    low, high = s - _tolerance(s, n), s + _tolerance(s, n)
    return (
        f"{why}With share = {s:.3f}, between {low:.1%} and {high:.1%} of the pixels should be damaged; yours "
        f"damages {found:.1%}."
    )


def _other_shares(s: float) -> list[tuple[float, str]]:
    """Shares that come from typical mistakes, each with its sentence."""
    twice = "You damage about twice as many pixels: `share` is for salt and pepper together, half for each."
    return [
        (0.0, "You damage nothing."),
        (1.0, "You overwrite every pixel: keep x where no damage falls."),
        (s / 2, "You damage half as many pixels as asked: `share` is for salt and pepper together."),
        (2 * s, twice),
        (1 - (1 - s) ** 2, twice),
        (
            1 - s,
            "You keep the pixels that should be damaged, and damage the others: turn the condition round.",
        ),
        (
            0.5 + erf(s / sqrt(2)) / 2,
            "Is there `randn` where `rand` should be? Only `rand` is even from 0 to 1.",
        ),
    ]


share = Property(
    "share of damaged pixels",
    _share,
    (
        (lambda x, s: x.clone(), "You damage nothing."),
        (lambda x, s: _coin(x), "You overwrite every pixel"),
        (_by_rand(lambda x, u, s: torch.where(u < s / 2, _coin(x), x)), "half as many"),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, -1.0, torch.where(u > 1 - s, 1.0, x))),
            "twice as many",
        ),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, -1.0, torch.where(torch.rand_like(x) < s, 1.0, x))),
            "twice as many",
        ),
        (_by_rand(lambda x, u, s: torch.where(u > s, _coin(x), x)), "turn the condition round"),
        (lambda x, s: torch.where(torch.randn_like(x) < s, _coin(x), x), "`randn` where `rand`"),
    ),
)


# Which parts


def _parts(t: Trial) -> str | None:
    y, damaged, s = _damage(t)
    values = y[damaged]
    white = (values > 0).double().mean().item()
    tolerance = _tolerance(0.5, len(values))
    if abs(white - 0.5) <= tolerance:
        return None
    if white in (0.0, 1.0):
        name = "salt (+1)" if white else "pepper (-1)"
        return (
            f"All damaged pixels became {name}. Toss a coin for each of them. Or does a later line overwrite "
            "an earlier one? And mind that a number below `share` is always below 0.5, too."
        )
    return (
        f"Salt and pepper should have equal parts; of your damaged pixels {white:.1%} became salt (+1), "
        f"where {0.5 - tolerance:.1%} to {0.5 + tolerance:.1%} would be fair."
    )


parts = Property(
    "as much salt as pepper",
    _parts,
    (
        (_by_rand(lambda x, u, s: torch.where(u < s, 1.0, x)), "All damaged pixels became salt"),
        (_by_rand(lambda x, u, s: torch.where(u < s, -1.0, x)), "All damaged pixels became pepper"),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, torch.where(u < 0.5, -1.0, 1.0), x)),
            "All damaged pixels became pepper",
        ),
        (
            _by_rand(lambda x, u, s: torch.where(u < s, torch.where(torch.rand_like(x) < s, 1.0, -1.0), x)),
            "should have equal parts",
        ),
    ),
)


# The two ends


def _ends(t: Trial) -> str | None:
    none = _damage(t, 0.0)[1].double().mean().item()
    if none > 0.005:
        return f"With share = 0 nothing should change; {none:.1%} of your pixels do."
    some = _damage(t, 1.0)[1].double().mean().item()
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
            _by_rand(
                lambda x, u, s: torch.where(u < s / 2, -1.0, torch.where(torch.rand_like(x) < s / 2, 1.0, x))
            ),
            "With share = ",
        ),
    ),
)
