"""Exercise 2.2: a draw from N(mu, sigma^2) that gradients pass through.

Right answers may draw their noise in any way, so it is recovered from z and tested by its statistics,
within tolerances that one right answer in a million misses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import erfc, sqrt

import torch
from torch import Tensor
from torch.distributions import Normal

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    device_kept,
    dtype_kept,
    fresh_noise,
    input_unchanged,
    returns_tensor,
    shape,
)
from course_lib.check.vae.told import posterior, tolerance

ROWS, WIDTH = 180, 24  # enough numbers for statistics


def _reparameterize(mu: Tensor, logvar: Tensor) -> Tensor:
    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)


def _guesses(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return posterior(ROWS, WIDTH, generator)


# Is there noise?

NOT_RANDOM: Mistakes = (
    (
        lambda mu, lv: mu.clone(),
        "You return mu itself. That is the mean of the distribution; add sigma times random noise.",
    ),
    (
        lambda mu, lv: mu + torch.exp(lv / 2),
        "You add sigma itself, the same at each call. Multiply it with random noise, `torch.randn_like(mu)`.",
    ),
    (
        lambda mu, lv: mu + lv.exp(),
        "You add the variance to mu. Add sigma, `exp(logvar / 2)`, times random noise.",
    ),
    (lambda mu, lv: mu + lv, "You add logvar to mu. Add sigma, `exp(logvar / 2)`, times random noise."),
)


def _random(t: Trial) -> str | None:
    mu, logvar = t.args()
    z = t.answer(t.student)
    for wrong, sentence in NOT_RANDOM:
        if same(z, wrong(mu, logvar), 1e-5, 1e-6):
            return sentence
    return None


# Noise of its own for each number


MULTIPLIED = (
    "Where mu is 0, your z is not random: the noise is multiplied with mu. Multiply it with sigma, then add "
    "mu."
)


def _each_by_itself(t: Trial) -> str | None:
    """With equal mu and logvar everywhere, equal noise shows as equal numbers, whatever sigma is."""
    equal = torch.zeros(ROWS, WIDTH)
    z, again = replace(t, draw=lambda generator: (equal.clone(), equal - 0.5)).answers(t.student, 2)
    if not z.isfinite().all():
        return None  # a matter of sigma, told below
    columns, rows = same(z, z[:1].expand_as(z), 1e-5, 1e-6), same(z, z[:, :1].expand_as(z), 1e-5, 1e-6)
    if same(z, again, 0.0, 0.0):
        return MULTIPLIED
    each = "Draw one for each number of each row: `torch.randn_like(mu)`."
    if columns and rows:
        return f"One random number serves for the whole batch. {each}"
    if columns:
        return f"All rows get the same noise, so that the pictures of a batch move together. {each}"
    if rows:
        return f"All {WIDTH} numbers of a row get the same random number. {each}"
    return None


def _with_noise(noise: Callable[[Tensor], Tensor]) -> Answer:
    """An answer that is right but for its noise, which is made from mu."""
    return lambda mu, logvar: mu + torch.exp(logvar / 2) * noise(mu)


SHARED: Mistakes = (
    (_with_noise(lambda mu: torch.randn_like(mu[0])), "All rows get the same noise"),
    (_with_noise(lambda mu: torch.randn_like(mu[:, :1])), "numbers of a row get the same random number"),
    (_with_noise(lambda mu: torch.randn_like(mu[0, 0])), "One random number serves for the whole batch"),
    (lambda mu, lv: mu * torch.exp(lv / 2) * torch.randn_like(mu), MULTIPLIED),
    (lambda mu, lv: torch.exp(lv / 2) + mu * torch.randn_like(mu), MULTIPLIED),
)


# Standard normal noise, on top of mu


def _standard_normal(t: Trial) -> str | None:
    """With logvar = 0, sigma is 1 (as are many wrong sigmas), so z - mu is the noise itself."""
    mu, logvar = t.args()
    noise = (t.answer(t.student, mu.clone(), torch.zeros_like(logvar)) - mu).detach().double()
    if not noise.isfinite().all() or not noise.any():
        return None  # a matter of sigma, told below
    return _follows_mu(mu.double(), noise) or _mean_and_spread(noise)


def _follows_mu(mu: Tensor, noise: Tensor) -> str | None:
    slope = (
        mu * noise
    ).sum() / mu.square().sum()  # of a regression of z - mu on mu: 0, as they are unrelated
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
    odd = any(abs(s - p) > tolerance(sqrt(p * (1 - p)), n) for s, p in zip(shares, wanted, strict=True))
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
    (_with_noise(torch.rand_like), UNIFORM),
    (_with_noise(lambda mu: 2 * torch.rand_like(mu) - 1), UNIFORM),
    (_with_noise(lambda mu: torch.rand_like(mu) - 0.5), UNIFORM),
    (_with_noise(lambda mu: (torch.rand_like(mu) - 0.5) * sqrt(12)), UNIFORM),
    (_with_noise(lambda mu: torch.randn_like(mu).abs()), NEVER_NEGATIVE),
    (_with_noise(lambda mu: torch.randn_like(mu).sign()), "Your noise is not normal"),
    (_with_noise(lambda mu: 2 * torch.randn_like(mu)), "has mean"),
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


# Gradients

CUT = (
    "No gradient reaches mu and logvar, so the encoder could not learn. Draw the noise alone with "
    "`torch.randn_like(mu)` and compute z from it: `torch.normal`, `.sample()`, `.detach()` and `no_grad` "
    "end the chain."
)
ONE_CUT = "No gradient reaches {}: look for `.detach()`, `.data`, `no_grad` or `torch.tensor(...)` around it."


def _gradient(t: Trial) -> str | None:
    mu, logvar = (x.detach().clone().requires_grad_() for x in t.args())
    z = t.answer(t.student, mu, logvar)
    if not z.requires_grad:
        return CUT
    weights = (torch.rand(z.shape, generator=t.generator()) + 0.5).to(z)
    found = torch.autograd.grad(z, (mu, logvar), weights, allow_unused=True)
    arrives = [g is not None and bool(g.any()) for g in found]
    if not any(arrives):
        return CUT
    if not all(arrives):
        return ONE_CUT.format("logvar" if arrives[0] else "mu")
    by_mu, by_logvar = found
    noise_part = (z - mu).detach()  # sigma eps, whose derivative by log sigma^2 is half of itself
    if same(by_mu, weights, 1e-3, 1e-3) and same(by_logvar, weights * noise_part / 2, 1e-3, 1e-3):
        return None
    return "z is right, but its gradient is not: is a part of the computation cut off with `.detach()`?"


def _without_graph(mu: Tensor, logvar: Tensor) -> Tensor:
    with torch.no_grad():
        return _reparameterize(mu, logvar)


GRADIENTS: Mistakes = (
    (lambda mu, lv: torch.normal(mu, torch.exp(lv / 2)), CUT),
    (lambda mu, lv: Normal(mu, torch.exp(lv / 2)).sample(), CUT),
    (lambda mu, lv: _reparameterize(mu, lv).detach(), CUT),
    (_without_graph, CUT),
    (lambda mu, lv: _reparameterize(mu.detach(), lv), ONE_CUT.format("mu")),
    (lambda mu, lv: _reparameterize(mu, lv.detach()), ONE_CUT.format("logvar")),
)

reparameterize = Exercise(
    id="2.2",
    title="A draw that gradients pass through",
    difficulty=2,
    minutes=6,
    hints=(
        "All chance goes into noise that knows nothing of mu and logvar. What turns a number from N(0, 1) "
        "into one from N(mu, sigma^2)?",
        "Multiply the noise with sigma, then add mu. You are given log sigma^2, and "
        "sigma = exp(1/2 log sigma^2).",
        "`eps = torch.randn_like(mu)` has its own random number for each number of mu, in the right shape, "
        "type and place. Then z is mu plus `torch.exp(logvar / 2)` times eps.",
    ),
    reference=_reparameterize,
    draw=_guesses,
    properties=(
        returns_tensor(),
        shape({(WIDTH,): "One code for each row is wanted.", (): "A draw for each number is wanted."}),
        input_unchanged(),
        Property("noise is drawn", _random, NOT_RANDOM),
        fresh_noise(),
        Property("noise for each number", _each_by_itself, SHARED),
        Property("standard normal noise around mu", _standard_normal, NOISES),
        Property("the right sigma", _sigma, SIGMAS),
        Property("gradient", _gradient, GRADIENTS),
        dtype_kept(),
        device_kept(),
    ),
)
