"""The statistics of a draw from N(mu, sigma^2): properties of exercise 2.2.

The noise is recovered from z, so that it may be drawn in any way.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, sqrt

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes, Property, Trial
from course_lib.check.vae.told import tolerance


def with_noise(noise: Callable[[Tensor], Tensor]) -> Answer:
    """An answer that is right but for its noise, which is made from mu."""
    return lambda mu, logvar: mu + torch.exp(logvar / 2) * noise(mu)


# Standard normal noise, on top of mu


def _standard_normal(t: Trial) -> str | None:
    """With logvar = 0, sigma is 1 (as are many wrong sigmas), so z - mu is the noise itself."""
    mu, logvar = t.args()
    noise = (t.answer(t.student, mu.clone(), torch.zeros_like(logvar)) - mu).detach().double()
    if not noise.isfinite().all() or not noise.any():
        return None  # a matter of sigma, told below
    return _follows_mu(mu.double(), noise) or _mean_and_spread(noise)


def _follows_mu(mu: Tensor, noise: Tensor) -> str | None:
    slope = (mu * noise).sum() / mu.square().sum()  # of z - mu over mu: 0, since noise knows nothing of mu
    fair = tolerance(noise.square().mean().sqrt().item(), mu.numel()) / mu.square().mean().sqrt().item()
    if abs(slope) <= fair:
        return None
    if abs(slope + 1) <= fair:
        return "The mean of z should be mu, but your z has nothing to do with it: add mu to the noise."
    if abs(slope + 2) <= fair:
        return "The mean of z should be mu, and yours is -mu: add mu, don't subtract it."
    return f"The mean of z should be mu; yours is about {1 + slope:.3g} times mu. Add mu once, as it is."


UNIFORM = (
    "Your noise is uniform: `torch.rand` gives numbers between 0 and 1, all equally often. The formula needs "
    "normal noise, `torch.randn_like(mu)`."
)
NEVER_NEGATIVE = "Your noise is never negative, so z is always above mu. Leave the absolute value out."


def _mean_and_spread(noise: Tensor) -> str | None:
    mean, variance, n = noise.mean().item(), noise.square().mean().item(), noise.numel()
    shares = [(noise.abs() > level).double().mean().item() for level in (1, 2)]
    wanted = [erfc(level / sqrt(2)) for level in (1, 2)]
    odd = any(abs(s - p) > tolerance(sqrt(p * (1 - p)), n, 6) for s, p in zip(shares, wanted, strict=True))
    numbers = f"With logvar = 0 your z - mu has mean {mean:.3g} and variance {variance:.3g}"
    if abs(mean) > tolerance(1, n) or abs(variance - 1) > tolerance(sqrt(2), n, 6):
        return f"{_kind_of_noise(noise)} {numbers}, it should be 0 and 1.".strip()
    if odd:
        reason = _kind_of_noise(noise) or "Your noise is not normal: draw it with `torch.randn_like(mu)`."
        return f"{reason} {shares[0]:.1%} of it lies beyond 1, it should be {wanted[0]:.1%}."
    return None


def _kind_of_noise(noise: Tensor) -> str:
    """What there is to say about the shape of its distribution, if it is a typical one."""
    low, high = noise.aminmax()
    inside = (noise - low) / (high - low)
    quarters = torch.histc(inside, 4, 0, 1) / noise.numel()
    if (quarters - 0.25).abs().max() < tolerance(sqrt(3) / 4, noise.numel()):
        return UNIFORM
    return NEVER_NEGATIVE if low >= 0 else ""


NOISES: Mistakes = (
    (with_noise(torch.rand_like), UNIFORM),
    (with_noise(lambda mu: 2 * torch.rand_like(mu) - 1), UNIFORM),
    (with_noise(lambda mu: torch.rand_like(mu) - 0.5), UNIFORM),
    (with_noise(lambda mu: (torch.rand_like(mu) - 0.5) * sqrt(12)), UNIFORM),
    (with_noise(lambda mu: torch.randn_like(mu).abs()), NEVER_NEGATIVE),
    (with_noise(lambda mu: torch.randn_like(mu).sign()), "Your noise is not normal"),
    (with_noise(lambda mu: 2 * torch.randn_like(mu)), "has mean"),
    (lambda mu, lv: torch.exp(lv / 2) * torch.randn_like(mu), "has nothing to do with it: add mu"),
    (lambda mu, lv: torch.exp(lv / 2) * torch.randn_like(mu) - mu, "yours is -mu"),
    (lambda mu, lv: 2 * mu + torch.exp(lv / 2) * torch.randn_like(mu), "times mu"),
)


# The right sigma

VARIANCE = (
    "You multiply the noise with the variance: `exp(logvar)` is sigma^2. Sigma is its square root, "
    "`exp(logvar / 2)`."
)
OTHER_SIGMAS: tuple[tuple[Callable[[Tensor], Tensor], str], ...] = (
    (torch.exp, VARIANCE),
    (lambda lv: lv, "You multiply the noise with logvar itself. Sigma is `exp(logvar / 2)`."),
    (lambda lv: lv / 2, "The exponential is missing: logvar / 2 is log sigma, sigma is `exp(logvar / 2)`."),
    (lambda lv: (2 * lv).exp(), "You multiply the noise with sigma^4. Sigma is `exp(logvar / 2)`."),
    (lambda lv: (lv / 4).exp(), "You take one square root too many. Sigma is `exp(logvar / 2)`."),
    (lambda lv: (-lv / 2).exp(), "You divide the noise by sigma: the sign in the exponential is wrong."),
    (lambda lv: (-lv).exp(), "You divide the noise by the variance. Multiply it with `exp(logvar / 2)`."),
    (torch.ones_like, "Sigma plays no part: multiply the noise with `exp(logvar / 2)`."),
)


def _sigma(t: Trial) -> str | None:
    mu, logvar = (x.double() for x in t.args())
    z = t.answer(t.student).detach().double()
    if not z.isfinite().all():
        return (
            "Some of your numbers are infinite or not a number: a square root or a logarithm of a negative "
            "number? logvar may be negative; `exp(logvar / 2)` never is."
        )
    right = torch.exp(logvar / 2)
    if _fair(z - mu, right, logvar):
        return None
    for sigma, sentence in OTHER_SIGMAS:
        if _fair(z - mu, sigma(logvar), logvar):
            return sentence
    if _fair(z - right * mu, right, logvar):
        return "You multiply mu with sigma, too. Only the noise is multiplied: the product first, then + mu."
    large = logvar > 0.5
    spread, wanted = (x[large].square().mean().sqrt().item() for x in (z - mu, right))
    return (
        f"Where logvar lies between 0.5 and 1.5, your z - mu has a standard deviation of {spread:.3g}, it "
        f"should be {wanted:.3g}: sigma is `exp(logvar / 2)`."
    )


def _fair(rest: Tensor, sigma: Tensor, logvar: Tensor) -> bool:
    """Is `rest` sigma times standard noise, for small, middle and large logvar?"""
    noise = rest / sigma
    for low in (-2.5, -1.5, -0.5, 0.5):
        part = noise[(logvar >= low) & (logvar <= low + 1)]
        if not abs(part.square().mean().item() - 1) <= tolerance(sqrt(2), part.numel(), 6):
            return False
    return True


def _with_sigma(sigma: Callable[[Tensor], Tensor]) -> Answer:
    """An answer that is right but for this function of logvar in the place of sigma."""
    return lambda mu, logvar: mu + sigma(logvar) * torch.randn_like(mu)


SIGMAS: Mistakes = (
    *((_with_sigma(sigma), sentence) for sigma, sentence in OTHER_SIGMAS),
    (_with_sigma(torch.sqrt), "infinite or not a number"),
    (_with_sigma(lambda lv: (3 * lv).exp()), "it should be"),
    (lambda mu, lv: (mu + torch.randn_like(mu)) * torch.exp(lv / 2), "You multiply mu with sigma, too"),
)

standard_normal = Property("standard normal noise around mu", _standard_normal, NOISES)
right_sigma = Property("the right sigma", _sigma, SIGMAS)
