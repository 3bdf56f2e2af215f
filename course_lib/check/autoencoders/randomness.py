"""Which pixels random damage hits, and what they become: properties of exercise 1.4."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.autoencoders.chance import by_rand, coin, damage, differs, tolerance
from course_lib.check.autoencoders.net import pictures
from course_lib.check.core import Property, Trial

# Which values


def _only_black_and_white(t: Trial) -> str | None:
    y, damaged, _ = damage(t)
    values = y[damaged]
    odd = values[(values.abs() - 1).abs() > 1e-6]
    if not len(odd):
        return None
    if damaged.double().mean() > 0.95:
        return f"{_all_changed(t.args()[0], y)} One of your pixels became {odd[0].item():.4g}."
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


def _all_changed(x: Tensor, y: Tensor) -> str:
    """What to say of a result in which nearly no pixel is that of x."""
    if (y == y.round()).all():
        return (
            "Undamaged pixels are not those of x: you return only whole numbers. Is it a mask, or is there "
            "`.int()`? Keep x there, type and all."
        )
    if torch.stack([x.flatten(), y.flatten()]).corrcoef()[0, 1] > 0.5:
        return "You change every pixel. Replace a few by exactly -1 or +1, don't add noise to all."
    return "Undamaged pixels are not those of x. Do you return the random numbers instead of the picture?"


only_black_and_white = Property(
    "damage is exactly -1 or +1",
    _only_black_and_white,
    (
        (
            by_rand(lambda x, u, s: torch.where(u < s, (u < s / 2).to(x), x)),
            "become 0 and 1",
        ),
        (
            by_rand(lambda x, u, s: torch.where(u < s, torch.zeros_like(x), x)),
            "become 0, which is",
        ),
        (
            by_rand(lambda x, u, s: x + (u < s) * coin(x)),
            "don't add noise",
        ),
        (
            lambda x, s: x + s * torch.randn_like(x),
            "don't add noise to all",
        ),
        (by_rand(lambda x, u, s: u), "return the random numbers"),
        (by_rand(lambda x, u, s: torch.where(u < s, coin(x), x).int()), "you return only whole numbers"),
        (
            by_rand(lambda x, u, s: torch.where(u < s, torch.randn_like(x), x)),
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


def _pictures_alike(t: Trial) -> str | None:
    """Many small pictures: is the damage all or nothing in each, or all salt or all pepper?"""
    x = pictures((60, 1, 6, 6), t.generator())
    y = t.answer(t.student, x.clone(), 0.5)
    if y.shape != x.shape:
        return f"For x of shape {tuple(x.shape)} your result has the shape {tuple(y.shape)}: is a size fixed?"
    damaged = differs(y, x).flatten(1)
    hit = damaged[damaged.any(1)]
    if 0 < len(hit) < len(x) and hit.all():
        return f"Whole pictures are damaged or left as they are. {EACH}"
    salt = ((y > 0).flatten(1) & damaged).sum(1)
    pure = (salt == 0) | (salt == damaged.sum(1))
    if pure.all() and 0 < salt.sum() < damaged.sum():
        return "All damaged pixels of one picture get the same value. Toss a coin for each pixel."
    return None


def _independence(t: Trial) -> str | None:
    message = _pictures_alike(t)
    if message:
        return message
    y, damaged, _ = damage(t)
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
        (lambda x, s: torch.where(torch.rand_like(x[0]) < s, coin(x), x), TOGETHER[0]),
        (lambda x, s: torch.where(torch.rand_like(x[:, :, :1]) < s, coin(x), x), TOGETHER[2]),
        (lambda x, s: torch.where(torch.rand_like(x[..., :1]) < s, coin(x), x), TOGETHER[3]),
        (by_rand(lambda x, u, s: torch.where(u < s, coin(x[0]), x)), ALIKE[0]),
        (lambda x, s: torch.where(torch.rand_like(x[:, :, :1, :1]) < s, coin(x), x), "Whole pictures are"),
        (by_rand(lambda x, u, s: torch.where(u < s, coin(x[:, :, :1, :1]), x)), "pixels of one picture get"),
    ),
)


# Whatever the pixel was


def _blindness(t: Trial) -> str | None:
    y, damaged, _ = damage(t)
    light = t.args()[0] > 0
    if not damaged.any():
        return None  # told below
    salt = y > 0
    if _unequal(salt[damaged & light], salt[damaged & ~light]):
        a, b = (salt[damaged & side].double().mean() for side in (light, ~light))
        return (
            f"{a:.0%} of the damage on light pixels of x is salt, and {b:.0%} on dark ones. Toss a coin: "
            "what a pixel was must play no part."
        )
    if _unequal(damaged[light], damaged[~light]):
        a, b = (damaged[side].double().mean() for side in (light, ~light))
        return (
            f"You damage {a:.0%} of the light pixels of x, and {b:.0%} of the dark ones. Compare random "
            "numbers with the share, not x: what a pixel was must play no part."
        )
    return None


def _unequal(a: Tensor, b: Tensor) -> bool:
    """Do two sets of hits and misses differ by more than chance?"""
    if not len(a) or not len(b):
        return False
    p = torch.cat([a, b]).double().mean().item()
    fair = (tolerance(p, len(a)) ** 2 + tolerance(p, len(b)) ** 2) ** 0.5
    return abs((a.double().mean() - b.double().mean()).item()) > fair


blindness = Property(
    "whatever the pixel was",
    _blindness,
    (
        (
            by_rand(lambda x, u, s: torch.where(u < s, x.sign(), x)),
            "100% of the damage on light pixels of x is salt, and 0%",
        ),
        (
            by_rand(
                lambda x, u, s: torch.where(
                    (u < s / 2) & (x < 0), -1.0, torch.where((u > 1 - s / 2) & (x > 0), 1.0, x)
                )
            ),
            "100% of the damage on light pixels of x is salt, and 0%",
        ),
        (
            by_rand(lambda x, u, s: torch.where(x < 2 * s - 1, coin(x), x)),
            "You damage 0% of the light pixels",
        ),
    ),
)
