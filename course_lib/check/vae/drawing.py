"""Exercise 2.2: a draw from N(mu, sigma^2) that gradients pass through."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Normal

from course_lib.check.compare import same
from course_lib.check.core import Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    device_kept,
    dtype_kept,
    fresh_noise,
    input_unchanged,
    returns_tensor,
    shape,
)
from course_lib.check.vae.noise import right_sigma, standard_normal, with_noise
from course_lib.check.vae.told import posterior

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


SHARED: Mistakes = (
    (with_noise(lambda mu: torch.randn_like(mu[0])), "All rows get the same noise"),
    (with_noise(lambda mu: torch.randn_like(mu[:, :1])), "numbers of a row get the same random number"),
    (with_noise(lambda mu: torch.randn_like(mu[0, 0])), "One random number serves for the whole batch"),
    (lambda mu, lv: mu * torch.exp(lv / 2) * torch.randn_like(mu), MULTIPLIED),
    (lambda mu, lv: torch.exp(lv / 2) + mu * torch.randn_like(mu), MULTIPLIED),
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
        standard_normal,
        right_sigma,
        Property("gradient", _gradient, GRADIENTS),
        dtype_kept(),
        device_kept(),
    ),
)
