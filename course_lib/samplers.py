"""Samplers: from noise to pictures, one `Step` at a time.

J. Ho et al., arXiv 2006.11239 (`ddpm`); J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models",
arXiv 2010.02502 (`ddim`).

A sampler knows a noise schedule and a function `eps(x, t)` that says which noise is in a picture; it does not
know what kind of network is behind it. With n steps it visits n + 1 times, from t = T (or `start`) down to
t = 0, asks `eps` once at each but the last, and yields n + 1 `Step`s: x_t and the guess of x_0 made from it.
The sample is the last one's x.

Samplers are lazy: a consumer that stops early stops the work. Grad mode and the modules behind `eps` are left
as they were, and with a `generator` of your own so is the global random state.

Left out: learned variances, and the other variance that DDPM section 3.2 tries (sigma_t^2 = beta_t).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.method import Step
from course_lib.schedules import eps_from_x0, posterior_mean, posterior_variance, x0_from_eps

Eps = Callable[[Tensor, Tensor], Tensor]
"""(x (B, C, H, W), t (B,) int64 in 1 .. T) -> the noise in x, shape of x."""


@torch.no_grad()
def ddpm(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = None,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    generator: torch.Generator | None = None,  # on x's device; None draws from the global one
    clip: bool = True,  # keep the guess of x_0 in [-1, 1]
) -> Iterator[Step]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with the guess of x_0 in its place, down to s = 0.

    DDPM algorithm 2, with the posterior's own variance (eq. 7); fewer steps take larger strides of the same
    chain. No noise is added at the end. Raises CourseError for numbers that cannot work.
    """
    table = alpha_bar.detach().cpu().double()
    times = timesteps(len(table) - 1, steps, start)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = _guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        x = posterior_mean(x, x0, table[t], table[s])
        if s > 0:
            x = x + posterior_variance(table[t], table[s]).sqrt().item() * _noise(x, generator)
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def ddim(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    eta: float = 0.0,  # share of fresh noise: 0 is a fixed path from x_T to x_0, 1 is `ddpm`
    generator: torch.Generator | None = None,  # on x's device; needed for eta > 0 only
    clip: bool = True,  # keep the guess of x_0 in [-1, 1]
) -> Iterator[Step]:
    """Go to the guess of x_0, and back to time s with the same noise, or with some of it drawn afresh.

    DDIM eq. 12, sigma by eq. 16. Where x_0 was clipped, the noise is the one that makes x_t of the clipped
    x_0 (as in `ddpm`), not the one that `eps` gave. Raises CourseError for numbers that cannot work.
    """
    if not 0 <= eta <= 1:
        raise CourseError(f"eta must be from 0 (no fresh noise) to 1 (as much as ddpm), got {eta}.")
    table = alpha_bar.detach().cpu().double()
    times = timesteps(len(table) - 1, steps, start)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = _guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        sigma = eta * posterior_variance(table[t], table[s]).sqrt().item()
        kept = (1 - table[s] - sigma**2).clamp(min=0).sqrt().item()  # of the old noise
        x = table[s].sqrt().item() * x0 + kept * eps_from_x0(x, x0, table[t])
        if sigma > 0:
            x = x + sigma * _noise(x, generator)
    yield Step(n, n, x, x, "t = 0")


def timesteps(T: int, steps: int | None = None, start: int | None = None) -> list[int]:
    """The steps + 1 times that a sampler visits: from `start` (None: T) down to 0, as evenly as whole numbers
    allow. Raises CourseError where there are not that many."""
    start = T if start is None else start
    steps = start if steps is None else steps
    if not 1 <= start <= T:
        raise CourseError(f"start must be from 1 to {T}, the length of the schedule, got {start}.")
    if not 1 <= steps <= start:
        raise CourseError(f"steps must be from 1 to {start}, as many as there are times, got {steps}.")
    return [start * k // steps for k in range(steps, -1, -1)]


def _guess(eps: Eps, x: Tensor, t: int, a: Tensor, clip: bool) -> Tensor:
    """The x_0 that belongs to x_t and the noise that `eps` finds in it."""
    noise = eps(x, torch.full((len(x),), t, device=x.device))
    if noise.shape != x.shape:
        raise CourseError(
            f"eps(x, t) must give a tensor of the shape of x, {tuple(x.shape)}, but it gave "
            f"{tuple(noise.shape)}."
        )
    x0 = x0_from_eps(x, noise, a)
    return x0.clamp(-1, 1) if clip else x0


def _noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
