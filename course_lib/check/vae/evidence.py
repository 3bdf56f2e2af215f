"""Exercise 2.3: the evidence lower bound of each picture."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    gradient_flows,
    input_unchanged,
    recognised,
    returns_tensor,
)
from course_lib.check.vae.terms import DIVERGENCE, RECONSTRUCTION, right_bound
from course_lib.check.vae.told import named, posterior

Inputs = tuple[Tensor, Tensor, float, Tensor, Tensor]  # x, x_hat, sigma, mu, logvar


def _pictures(generator: torch.Generator) -> Inputs:
    """x, x_hat (B, 2, H, W), sigma, and mu, logvar (B, d): sizes different from each other, none of them 1.

    sigma is neither 1 nor near 0.4, where the logarithms in the constant would vanish or cancel.
    """
    rows, height, width, d = (torch.randperm(4, generator=generator) + 3).tolist()
    x = torch.rand(rows, 2, height, width, generator=generator) * 1.8 - 0.9
    says = 0.5 * torch.randn(rows, 4, height, width, generator=generator)
    x_hat = (x.repeat(1, 2, 1, 1) + says).chunk(2, 1)[0]  # as a decoder gives it that says two things
    sigma = 0.55 + 0.25 * torch.rand((), generator=generator).item()
    return x, x_hat, sigma, *posterior(rows, d, generator)


def _without_kl(generator: torch.Generator) -> Inputs:
    """The same with mu = 0 and logvar = 0: what remains of the bound is the reconstruction term."""
    x, x_hat, sigma, mu, logvar = _pictures(generator)
    return x, x_hat, sigma, torch.zeros_like(mu), torch.zeros_like(logvar)


def _alone(t: Trial) -> str | None:
    alone = replace(t, draw=_without_kl)
    yours, right = alone.answer(t.student), alone.answer(t.reference)
    if same(yours, right, 1e-4, 1e-5):
        return None
    why = recognised(t, DIVERGENCE) or recognised(alone, RECONSTRUCTION)
    return f"{why} With a KL of 0: {difference(yours, right)}".strip()


def _differentiates(x: Tensor, x_hat: Tensor, sigma: float, mu: Tensor, logvar: Tensor) -> Tensor:
    bound = right_bound(x, x_hat, sigma, mu, logvar)
    (-bound.mean()).backward()
    return bound


elbo = Exercise(
    id="2.3",
    title="The evidence lower bound",
    difficulty=3,
    minutes=12,
    hints=(
        "Two terms, each a sum: one over the pixels and channels of a picture, one over the d numbers of its "
        "code. Only the batch remains. Which of your functions is the second term already?",
        "The log-density of one pixel is -(x - x_hat)^2 / (2 sigma^2) - log sigma - 1/2 log(2 pi). Compute "
        "it for all pixels at once, shape (B, C, H, W), and sum over all dimensions but the first. sigma is "
        "a float: use `math.log` and `math.pi`.",
        "`log_pixel = -(x - x_hat) ** 2 / (2 * sigma ** 2) - math.log(sigma) - math.log(2 * math.pi) / 2`. "
        "Then `log_pixel.flatten(1).sum(1)` is the first term, and `kl(mu, logvar)` is subtracted from it.",
    ),
    reference=right_bound,
    draw=_pictures,
    properties=(
        backward_left_to_caller(_differentiates),
        returns_tensor(),
        Property("the log-density alone, where the KL is 0", _alone, RECONSTRUCTION),
        close_to(*DIVERGENCE, name="the bound with its KL"),
        input_unchanged(),
        named("gradient for x_hat", gradient_flows(1)),
        named("gradient for mu", gradient_flows(3)),
        named("gradient for logvar", gradient_flows(4)),
        dtype_kept(),
        device_kept(),
    ),
)
