"""The variational bound of a diffusion model: how many nats, and bits, a picture costs, time by time.

J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239.

    -log p(x_0) <= L_T + sum over t = 2 .. T of L_{t-1} + L_0                                        (eq. 5)
    L_T     = KL(q(x_T | x_0) || N(0, I))                        what is left of the picture at the end
    L_{t-1} = E KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))    the step back, known against guessed
    L_0     = E -log p(x_0 | x_1)                                the level of each pixel at last     (eq. 13)

p(x_{t-1} | x_t) = N(mean, sigma_t^2 I), the mean that of q(x_{t-1} | x_t, x_0) with the guess of x_0 in its
place, sigma_t fixed: section 3.2 has two choices, the posterior's own variance ("beta tilde" there, what
`samplers.ddpm` draws with) and beta_t. L_0 speaks of the 256 levels, so the bound is one of a
log-probability of pictures as they are, and in bits per dimension it compares with other models'. Left out:
learned variances.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.nn.likelihoods import HALF, discretised_gaussian
from course_lib.samplers import Eps
from course_lib.schedules import add_noise, posterior_mean, posterior_variance, x0_from_eps

Variance = Literal["posterior", "beta"]


class Bound(NamedTuple):
    """The terms of the bound for each of B pictures, in nats.

    Where not every t was visited, the times 1 .. T are cut into K runs, and each picture has one t out of
    each: `terms[:, k]` stands for the `counts[k]` terms of its run.
    """

    prior: Tensor  # L_T, (B,)
    terms: Tensor  # L_{t-1} at t, (B, K); where t = 1 it is L_0
    t: Tensor  # which t, (B, K) int64, rising from left to right
    counts: Tensor  # how many times each stands for, (K,) int64, T in all

    @property
    def value(self) -> Tensor:
        """(B,), a lower bound of log p(x), or an unbiased estimate of it; as of a VAE's `Elbo`."""
        return -(self.prior + (self.terms * self.counts).sum(1))


@torch.no_grad()
def variational_bound(
    eps: Eps,  # which noise is in x_t
    x0: Tensor,  # pictures on the 256 levels of [-1, 1], (B, C, H, W)
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    terms: int | None = None,  # K, how many times are visited for each picture; None: all T
    variance: Variance = "posterior",  # sigma_t^2
    clip: bool = True,  # keep the guess of x_0 in [-1, 1], as the samplers do
    generator: torch.Generator | None = None,  # on the CPU; None draws from the global one
) -> Bound:
    """The bound of log p(x_0), its expectation over x_t by one draw for each t. K calls of `eps`.

    With fewer terms the estimate stays unbiased: each picture has one t, all equally likely, out of each of K
    runs, which are short where t is small, for there the terms are large and differ most. Raises CourseError
    for pictures that are not on the levels and for a number of terms that cannot be.
    """
    _check_levels(x0)
    table = alpha_bar.detach().cpu().double()
    edges = runs(len(table) - 1, terms)
    values, times = [], []
    for low, high in pairwise(edges):
        t = torch.randint(low + 1, high + 1, (len(x0),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        x = add_noise(x0, noise, table[t])
        guess = x0_from_eps(x, eps(x, t.to(x0.device)), table[t])
        guess = guess.clamp(-1, 1) if clip else guess
        values.append(_term(x0, x, guess, table, t, step_variance(table, t, variance)).cpu())
        times.append(t)
    counts = torch.tensor(edges).diff()
    return Bound(prior_kl(x0, table[-1]).cpu(), torch.stack(values, 1), torch.stack(times, 1), counts)


def _term(x0: Tensor, x: Tensor, guess: Tensor, table: Tensor, t: Tensor, sigma2: Tensor) -> Tensor:
    """L_{t-1} with one draw of x_t, (B,); t (B,) is 1 for all pictures or for none. sigma2 (B,)."""
    a, a_s = table[t], table[t - 1]
    mean = posterior_mean(x, guess, a, a_s)
    if t[0] > 1:
        return gaussian_kl(posterior_mean(x, x0, a, a_s), posterior_variance(a, a_s), mean, sigma2)
    log_sigma = (sigma2.log() / 2).to(x0).view(-1, *[1] * (x0.dim() - 1))
    return -discretised_gaussian(x0, mean, log_sigma)


def prior_kl(x0: Tensor, a: Tensor) -> Tensor:
    """L_T = KL(N(sqrt(a) x_0, (1 - a) I) || N(0, I)) in nats, a = alpha_bar_T (): (B, C, H, W) -> (B,)."""
    square = x0.flatten(1).double().square().sum(1)
    return (a * square - x0[0].numel() * (a + torch.log1p(-a))).to(x0) / 2


def gaussian_kl(mean: Tensor, variance: Tensor, other: Tensor, other_variance: Tensor) -> Tensor:
    """KL(N(mean, variance I) || N(other, other_variance I)) in nats; means (B, ...), variances (B,) -> (B,).

    (|mean - other|^2 / s^2 + n (v / s^2 - 1 - log(v / s^2))) / 2 for n numbers, variances v and s^2.
    """
    ratio = variance / other_variance
    square = (mean - other).flatten(1).square().sum(1) / other_variance.to(mean)
    return (square + mean[0].numel() * (ratio - 1 - ratio.log()).to(mean)) / 2


def step_variance(table: Tensor, t: Tensor, variance: Variance = "posterior") -> Tensor:
    """sigma_t^2 of p(x_{t-1} | x_t), t (B,) in 1 .. T -> (B,) float64; the table is `alpha_bar`, (T + 1,).

    At t = 1 the posterior has no variance at all, and the levels need some: there, as in the code of DDPM's
    authors, it is that of t = 2. Raises CourseError for another kind of variance.
    """
    table = table.double()
    if variance == "beta":
        return 1 - table[t] / table[t - 1]
    if variance != "posterior":
        raise CourseError(f'variance must be "posterior" or "beta", got "{variance}".')
    t = t.clamp(min=2)
    return posterior_variance(table[t], table[t - 1])


def runs(T: int, terms: int | None = None) -> list[int]:
    """The times 1 .. T cut into `terms` runs, as terms + 1 edges: run k is edges[k] + 1 .. edges[k + 1].

    The lengths grow evenly on a logarithmic scale, as far as whole numbers allow; the first is t = 1 alone.
    None: T runs of one. Raises CourseError where there are not that many.
    """
    terms = T if terms is None else terms
    if not 2 <= terms <= T:
        raise CourseError(f"terms must be from 2 to {T}, as many as there are times, got {terms}.")
    edges = [0, 1]
    while (left := terms + 1 - len(edges)) > 0:
        ideal = round(edges[-1] * (T / edges[-1]) ** (1 / left))
        edges.append(min(max(ideal, edges[-1] + 1), T - left + 1))
    return edges


def _check_levels(x0: Tensor) -> None:
    steps = (x0 + 1) / (2 * HALF)  # 0 .. 255
    if x0.abs().max() > 1 or (steps - steps.round()).abs().max() > 1e-2:
        raise CourseError(
            "x0 must hold the 256 levels of [-1, 1], as data.to_floats gives them: for other values the bits "
            "per dimension mean nothing."
        )
