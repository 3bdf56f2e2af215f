"""Exercise 2.1: how far the encoder's guess is from the prior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    close_to,
    device_kept,
    dtype_kept,
    gradient_flows,
    input_unchanged,
    returns_tensor,
)
from course_lib.check.vae.told import named, posterior, told


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) for each number, (B, d)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def kl_of_each(mu: Tensor, logvar: Tensor) -> Tensor:
    """The reference, (B,)."""
    return kl_per_dimension(mu, logvar).sum(1)


def _guesses(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """mu and logvar (B, d); B and d are different each time, never equal, and never 1."""
    rows, width = (torch.randperm(5, generator=generator)[:2] + 3).tolist()
    return posterior(rows, width, generator)


def _half_sum(inside: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """A wrong answer: half the sum over d of this expression in mu and logvar."""
    return lambda mu, logvar: 0.5 * inside(mu, logvar).sum(1)


LOG_OF_LOG = (
    "You take the logarithm of logvar, which is a logarithm already: log of sigma^2 is `logvar`, and sigma^2 "
    "is `logvar.exp()`."
)

FORMULA: Mistakes = (  # a wrong number for each picture
    (
        lambda mu, lv: 2 * kl_of_each(mu, lv),
        "You have twice the KL: the factor 1/2 before the sum is missing.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() - lv),
        "The -1 is missing, so that N(0, I) would differ from itself by 0.5 per dimension. It belongs "
        "inside the sum.",
    ),
    (
        lambda mu, lv: 0.5 * ((mu**2 + lv.exp() - lv).sum(1) - 1),
        "You subtract 1 only once for each picture. The -1 belongs inside the sum, once per dimension.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() + 1 - lv),
        "You add 1 where 1 should be subtracted.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + (2 * lv).exp() - 1 - 2 * lv),
        "You read logvar as log sigma. It is the logarithm of the variance, so sigma^2 is `logvar.exp()` and "
        "log sigma^2 is `logvar` itself.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + (2 * lv).exp() - 1 - lv),
        "You square the variance: sigma^2 is `logvar.exp()`, without a further square.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + (lv / 2).exp() - 1 - lv),
        "You put sigma where the variance sigma^2 belongs: that is `logvar.exp()`, without the half.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + (lv / 2).exp() - 1 - lv / 2),
        "You put sigma where the variance sigma^2 belongs, in both places: sigma^2 is `logvar.exp()`, and "
        "log sigma^2 is `logvar`.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() - 1 - lv / 2),
        "You subtract log sigma where log sigma^2 belongs: that is `logvar`, without the half.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() - 1 - 2 * lv),
        "You subtract logvar twice: it is the logarithm of sigma^2 already.",
    ),
    (
        _half_sum(lambda mu, lv: mu + lv.exp() - 1 - lv),
        "mu is not squared, so that a negative mean would count as a gain.",
    ),
    (
        _half_sum(lambda mu, lv: mu.abs() + lv.exp() - 1 - lv),
        "You take the absolute value of mu: square it instead.",
    ),
    (
        _half_sum(lambda mu, lv: lv + (1 + mu**2) / lv.exp() - 1),
        "That is the KL the other way round, of the prior from the guess. The formula has no division.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() - 1 + lv),
        "You add logvar where it should be subtracted.",
    ),
    (
        _half_sum(lambda mu, lv: lv.exp() - 1 - lv - mu**2),
        "You subtract the square of mu where it should be added: a guess far from 0 has a large KL.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 - lv.exp() - 1 - lv),
        "You subtract sigma^2, `logvar.exp()`, where it should be added.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv.exp() - 1),
        "The logarithm is missing: subtract `logvar`, or nothing keeps sigma from going to 0.",
    ),
    (
        _half_sum(lambda mu, lv: lv.exp() - 1 - lv),
        "The square of mu is missing, so nothing would pull the means to 0.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 - 1 - lv),
        "The variance is missing: add sigma^2, which is `logvar.exp()`.",
    ),
    (
        _half_sum(lambda mu, lv: mu**2 + lv - 1 - lv),
        "You put logvar where the variance sigma^2 belongs: that is `logvar.exp()`.",
    ),
    (_half_sum(lambda mu, lv: mu**2 + lv - 1 - lv.log()), LOG_OF_LOG),
    (_half_sum(lambda mu, lv: mu**2 + lv.exp() - 1 - lv.log()), LOG_OF_LOG),
)

MISTAKES: Mistakes = (
    (
        lambda mu, lv: -kl_of_each(mu, lv),
        "The sign is turned around: no KL is ever negative. The paper's appendix prints -KL, "
        "1/2 (1 + log sigma^2 - mu^2 - sigma^2); turn every sign inside.",
    ),
    (
        lambda mu, lv: -2 * kl_of_each(mu, lv),
        "The sign is turned around, since no KL is ever negative, and the factor 1/2 is missing.",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).sum(),
        "You sum over the batch, too, and return one number. Sum over dimension 1 only: one KL for each "
        "picture.",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).mean(),
        "You take the mean over everything and return one number. Sum over dimension 1: one KL for each "
        "picture.",
    ),
    (
        lambda mu, lv: kl_of_each(mu, lv).mean(),
        "You take the mean over the batch at the end. Leave it out: one KL for each picture, (B,).",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).mean(1),
        "You take the mean over the d dimensions. The KL of a whole code is the sum: each dimension adds its "
        "own.",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).sum(0),
        "You sum over the batch, one number for each dimension. Sum over dimension 1: one for each picture.",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).mean(0),
        "You take the mean over the batch, one number for each dimension. Sum over dimension 1: one for each "
        "picture.",
    ),
    (
        kl_per_dimension,
        "You return one number for each dimension of each picture. The sum over dimension 1 is missing.",
    ),
    (
        lambda mu, lv: kl_per_dimension(mu, lv).sum(1, keepdim=True),
        "You keep a dimension of length 1. The result has shape (B,): leave `keepdim` out.",
    ),
    *FORMULA,
)


def _closed_form(t: Trial) -> str | None:
    first, second = t.answers(t.student, 2)
    if same(first, second, 1e-6, 1e-6):
        return None
    return (
        "Two calls with the same mu and logvar give different numbers: you draw z at random. This KL has a "
        "closed form, without any draw."
    )


def _by_a_draw(mu: Tensor, logvar: Tensor) -> Tensor:
    eps = torch.randn_like(mu)
    z = mu + torch.exp(logvar / 2) * eps
    return 0.5 * (z.square() - eps.square() - logvar).sum(1)


def _zero(t: Trial) -> str | None:
    mu = torch.zeros_like(t.args()[0])
    value = t.answer(t.student, mu, mu.clone()).flatten()[0].item()
    if abs(value) < 1e-4:
        return None
    return f"Your KL of N(0, I) against itself is {value:.4g} (d = {mu.shape[1]}), it should be 0."


def _one_alone(t: Trial) -> str | None:
    alone = t.answer(t.student, *(x[:1].clone() for x in t.args()))
    if tuple(alone.shape) == (1,):
        return None
    return (
        f"For a batch of one picture your result has shape {tuple(alone.shape)}, it should be (1,): look "
        "for a `.squeeze()`, which removes the batch."
    )


kl = Exercise(
    id="2.1",
    title="The KL term",
    difficulty=2,
    minutes=8,
    hints=(
        "Everything is done number by number, and then summed. Two things to ask: what is sigma^2 if you are "
        "given its logarithm, and over which of the two dimensions goes the sum?",
        "`mu ** 2 + logvar.exp() - 1 - logvar` has shape (B, d): one number for each dimension of each "
        "picture. Check it for mu = 0 and logvar = 0, where it must be 0.",
        "Half of the sum of that over dimension 1, `.sum(dim=1)`, is one KL for each picture, shape (B,). No "
        "mean: the KL of a whole code is the sum over its dimensions.",
    ),
    reference=kl_of_each,
    draw=_guesses,
    properties=(
        returns_tensor(),
        Property("the same at each call", _closed_form, ((_by_a_draw, "you draw z at random"),)),
        told("0 for N(0, I) against itself", _zero, MISTAKES),
        close_to(*MISTAKES),
        Property(
            "one picture alone",
            _one_alone,
            ((lambda mu, lv: kl_of_each(mu, lv).squeeze(), "look for a `.squeeze()`"),),
        ),
        input_unchanged(),
        named("gradient for mu", gradient_flows(0)),
        named("gradient for logvar", gradient_flows(1)),
        dtype_kept(),
        device_kept(),
    ),
)
