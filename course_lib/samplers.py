"""Samplers: from noise to pictures, one `Step` at a time.

J. Ho et al., arXiv 2006.11239 (`ddpm`); J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models",
arXiv 2010.02502 (`ddim`, `encode`); T. Karras et al., "Elucidating the Design Space of Diffusion-Based
Generative Models", arXiv 2206.00364 (`euler`, `heun`).

A sampler knows a noise schedule and a function `eps(x, t)` that says which noise is in a picture; it does not
know what kind of network is behind it. With n steps it visits n + 1 times, from t = T (or `start`) down to
t = 0, asks `eps` once at each but the last (`heun` twice), and yields n + 1 `Step`s: x_t and the guess of x_0
made from it. The sample is the last one's x. `times` is a list of your own in place of `steps` and `start`.

`euler`, `heun` and `encode` follow the probability-flow ODE, a path without any chance in it. With the
picture scaled so that only its noise grows, that path has a simple slope:

    z = x_t / sqrt(a),  sigma = sqrt((1 - a) / a),  z = x_0 + sigma eps,  dz/dsigma = eps(x_t, t)

(2206.00364 eq. 1 with their sigma as the time; DDIM eq. 14). The tangent meets sigma = 0 at the guess of x_0.

Samplers are lazy: a consumer that stops early stops the work. Grad mode and the modules behind `eps` are left
as they were, and with a `generator` of your own so is the global random state.

Left out: learned variances, and the other variance that DDPM section 3.2 tries (sigma_t^2 = beta_t); fresh
noise along the ODE's path (2206.00364 algorithm 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.method import Step
from course_lib.schedules import add_noise, eps_from_x0, posterior_mean, posterior_variance, x0_from_eps

Eps = Callable[[Tensor, Tensor], Tensor]
"""(x (B, C, H, W), t (B,) int64 in 1 .. T) -> the noise in x, shape of x."""

FAR = 1e-5  # an alpha_bar below it leaves nothing of the picture to be seen; see `heun`


@torch.no_grad()
def ddpm(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = None,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    times: Sequence[int] | None = None,  # falling from the t that x is at to 0, in place of the two above
    generator: torch.Generator | None = None,  # on x's device; None draws from the global one
    clip: bool = True,  # keep the guess of x_0 in [-1, 1]
) -> Iterator[Step]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with the guess of x_0 in its place, down to s = 0.

    DDPM algorithm 2, with the posterior's own variance (eq. 7); fewer steps take larger strides of the same
    chain. No noise is added at the end. Raises CourseError for numbers that cannot work.
    """
    table = alpha_bar.detach().cpu().double()
    times = _visits(table, steps, start, times)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        x = step_back(x, x0, table[t], table[s], generator)
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def ddim(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    times: Sequence[int] | None = None,  # falling from the t that x is at to 0, in place of the two above
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
    times = _visits(table, steps, start, times)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        sigma = eta * posterior_variance(table[t], table[s]).sqrt().item()
        kept = (1 - table[s] - sigma**2).clamp(min=0).sqrt().item()  # of the old noise
        x = table[s].sqrt().item() * x0 + kept * eps_from_x0(x, x0, table[t])
        if sigma > 0:
            x = x + sigma * noise_like(x, generator)
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def euler(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    times: Sequence[int] | None = None,  # falling from the t that x is at to 0, in place of the two above
    clip: bool = True,  # keep the guess of x_0 in [-1, 1], as in `ddim`
) -> Iterator[Step]:
    """Follow the ODE's path along its tangents: z_s = z_t + (sigma_s - sigma_t) slope.

    It is `ddim` with eta = 0, found from the other side (DDIM section 4.3). Where the guess of x_0 is
    clipped, the slope is the one that leads there. Raises CourseError for numbers that cannot work.
    """
    table = alpha_bar.detach().cpu().double()
    times = _visits(table, steps, start, times)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        slope = eps_from_x0(x, x0, table[t])
        x = add_noise(x0, slope, table[s])  # z_s = x_0 + sigma_s slope: no huge sigma_T to be subtracted
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def heun(
    eps: Eps,  # which noise is in x_t
    x: Tensor,  # x_start, (B, C, H, W): noise of N(0, I) where start is T
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 25,  # 1 .. start; None visits every t
    start: int | None = None,  # the t that x is at; None for T
    times: Sequence[int] | None = None,  # falling from the t that x is at to 0, in place of the two above
    clip: bool = True,  # keep the guesses of x_0 in [-1, 1], as in `euler`
) -> Iterator[Step]:
    """Like `euler`, but with the mean of the slopes at both ends of a step. 2206.00364 algorithm 1.

    Half the step, a quarter of the error (Euler: half). The price: `eps` is asked twice a step, n steps are
    2n - 1 calls. The last step is Euler's, as there is no slope at sigma = 0. So is one from an alpha_bar
    below `FAR`: there the path is all but straight, and the difference of two slopes, mostly the network's
    errors, would be multiplied by sigmas of thousands. Raises CourseError for numbers that cannot work.
    """
    table = alpha_bar.detach().cpu().double()
    sigmas = ((1 - table) / table).sqrt()
    times = _visits(table, steps, start, times)
    n = len(times) - 1
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = guess(eps, x, t, table[t], clip)
        yield Step(i, n, x, x0, f"t = {t}")
        slope = eps_from_x0(x, x0, table[t])
        x = add_noise(x0, slope, table[s])  # Euler's step
        if s > 0 and table[t] >= FAR:
            there = eps_from_x0(x, guess(eps, x, s, table[s], clip), table[s])
            correction = table[s].sqrt() * (sigmas[s] - sigmas[t]) / 2
            x = x + correction.item() * (there - slope)
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def encode(
    eps: Eps,  # which noise is in x_t
    x0: Tensor,  # pictures, (B, C, H, W)
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. start; None visits every t
    start: int | None = None,  # the t to go up to; None for T
    times: Sequence[int] | None = None,  # falling to 0 as in `ddim`, walked from its end
) -> Iterator[Step]:
    """The ODE's path backwards, from pictures to the x_T that `ddim` and `euler` make them of again.

    With the same `steps`, `start` or `times` and clip=False the way there and back ends near x_0, the nearer
    the more steps there are (DDIM section 5.4); a clipped way back is a little further off. No guess is
    clipped here. At t = 0, a time that no network is trained at, `eps` is asked about the first time above
    it. Raises CourseError for numbers that cannot work.
    """
    table = alpha_bar.detach().cpu().double()
    up = _visits(table, steps, start, times)[::-1]
    n, x = len(up) - 1, x0
    for i, (t, s) in enumerate(pairwise(up)):
        noise = _ask(eps, x, t or s)
        x0 = x0_from_eps(x, noise, table[t])
        yield Step(i, n, x, x0, f"t = {t}")
        x = add_noise(x0, noise, table[s])
    yield Step(n, n, x, x0, f"t = {up[-1]}")


def timesteps(
    T: int,
    steps: int | None = None,  # 1 .. start; None visits every t
    start: int | None = None,  # the first time; None for T
    spacing: Literal["even", "quadratic"] = "even",
) -> list[int]:
    """The steps + 1 times that a sampler visits, from `start` down to 0: as even as whole numbers allow, or
    like the squares, most of them near the picture (DDIM appendix D.2). Raises CourseError for numbers that
    cannot work."""
    start = T if start is None else start
    steps = start if steps is None else steps
    if not 1 <= start <= T:
        raise CourseError(f"start must be from 1 to {T}, the length of the schedule, got {start}.")
    if not 1 <= steps <= start:
        raise CourseError(f"steps must be from 1 to {start}, as many as there are times, got {steps}.")
    if spacing == "even":
        return [start * k // steps for k in range(steps, -1, -1)]
    if spacing == "quadratic":
        return [max(start * k**2 // steps**2, k) for k in range(steps, -1, -1)]  # k: no time comes twice
    raise CourseError(f'spacing must be "even" or "quadratic", got "{spacing}".')


def _visits(table: Tensor, steps: int | None, start: int | None, times: Sequence[int] | None) -> list[int]:
    """`times` if they can work, else the even ones from `start`."""
    T = len(table) - 1
    if times is None:
        return timesteps(T, steps, start)
    whole = [int(t) for t in times]
    falling = all(t > s for t, s in pairwise(whole))
    if len(whole) < 2 or not falling or whole[0] > T or whole[-1] != 0 or whole != list(times):
        raise CourseError(f"times must be whole numbers that fall from at most {T} to 0, got {list(times)}.")
    return whole


def _ask(eps: Eps, x: Tensor, t: int) -> Tensor:
    noise = eps(x, torch.full((len(x),), t, device=x.device))
    if noise.shape != x.shape:
        raise CourseError(
            f"eps(x, t) must give a tensor of the shape of x, {tuple(x.shape)}, but it gave "
            f"{tuple(noise.shape)}."
        )
    return noise


def step_back(x: Tensor, x0: Tensor, a: Tensor, a_s: Tensor, generator: torch.Generator | None) -> Tensor:
    """A draw of q(x_s | x_t, x_0), s < t, a = alpha_bar_t, a_s = alpha_bar_s; x_0 for s = 0. DDPM eq. 6."""
    mean = posterior_mean(x, x0, a, a_s)
    deviation = posterior_variance(a, a_s).sqrt().item()
    return mean + deviation * noise_like(x, generator) if deviation > 0 else mean


def guess(eps: Eps, x: Tensor, t: int, a: Tensor, clip: bool) -> Tensor:
    """The x_0 that belongs to x_t and the noise that `eps` finds in it; a = alpha_bar_t."""
    x0 = x0_from_eps(x, _ask(eps, x, t), a)
    return x0.clamp(-1, 1) if clip else x0


def noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Noise of N(0, I), of the shape, type and device of x."""
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
