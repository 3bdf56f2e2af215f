"""One network, many jobs: a diffusion model that has only ever learnt to remove noise repairs pictures.

All that these functions know of the network is `eps(x, t)`, as the samplers do; none was trained for the job.

    denoise      t with sqrt((1 - a) / a) = sigma: then sqrt(a) noisy is an x_t               a = alpha_bar_t
    repaint      x_s = known q(x_s | x_0) + (1 - known) p(x_s | x_t)      RePaint (arXiv 2201.09865) eq. 8
    zero_shot    x_0 <- A^+ y + (I - A^+ A) x_0 in every step             DDNM (arXiv 2212.00490) algorithm 1
    interpolate  along DDIM's path to x_T, from there on a great circle   DDIM (arXiv 2010.02502) section 5.3

A. Lugmayr et al., "RePaint: Inpainting using Denoising Diffusion Probabilistic Models"; Y. Wang, J. Yu, J.
Zhang, "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model"; J. Song, C. Meng, S. Ermon.

A step of `repaint` or `zero_shot` mixes what is measured with what the network made up without asking it
whether the two go together. Resampling asks again: noise is added to what came out, and the steps are gone
through once more, now with both in the picture (RePaint section 4.2; DDNM section 3.3 calls it time-travel).

They are generators of `Step` with the manners of the samplers. Left out: noise in what was measured (DDNM+).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import samplers
from course_lib.errors import CourseError
from course_lib.latent import slerp
from course_lib.method import Step
from course_lib.samplers import Eps, guess, noise_like, step_back
from course_lib.schedules import add_noise


class Degradation(NamedTuple):
    """A linear loss A of information, and a pseudo-inverse of it: A(undo(A(x))) = A(x) for every x."""

    apply: Callable[[Tensor], Tensor]  # A: pictures (B, C, H, W) -> what is measured
    undo: Callable[[Tensor], Tensor]  # A^+: back to some pictures (B, C, H, W) that fit


def means(factor: int = 2) -> Degradation:
    """Only the means over factor x factor pixels are left: (B, C, H, W) -> (B, C, H/factor, W/factor)."""
    return Degradation(
        lambda x: F.avg_pool2d(x, factor),
        lambda y: y.repeat_interleave(factor, -2).repeat_interleave(factor, -1),
    )


def visible(known: Tensor) -> Degradation:
    """Only the pixels where `known` (bool, broadcast to pictures) is True are left; the others are 0."""
    return Degradation(lambda x: x * known, lambda y: y * known)


def denoise(
    eps: Eps,
    noisy: Tensor,  # (B, C, H, W): pictures in [-1, 1] plus noise of N(0, sigma^2)
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    sigma: float,  # standard deviation of the noise, see `matching_time`
    *,
    steps: int | None = 1,  # 1: the mean of all clean pictures; more, or None for every t: one of them
    generator: torch.Generator | None = None,  # on noisy's device; needed for more than one step
    clip: bool = True,  # keep the guess of x_0 in [-1, 1]
) -> Iterator[Step]:
    """Remove noise of a known strength: start at the t that has as much of it.

    A single step gives E[x_0 | x_t], which has the least squared error of all answers, and is soft, as means
    are. Many steps draw one picture of p(x_0 | x_t): sharp, and on average twice as far off (in squared
    error). Raises CourseError for a sigma that no t has.
    """
    t = matching_time(alpha_bar, sigma)
    x = alpha_bar[t].to(noisy).sqrt() * noisy
    steps = steps if steps is None else min(steps, t)
    yield from samplers.ddpm(eps, x, alpha_bar, steps=steps, start=t, generator=generator, clip=clip)


def matching_time(alpha_bar: Tensor, sigma: float) -> int:
    """The t in 1 .. T whose noise, beside a picture that is scaled back to full contrast, is nearest to
    sigma: sqrt((1 - a) / a). Raises CourseError where there is none within a factor of 2."""
    a = alpha_bar.detach().cpu().double()[1:]
    sigmas = ((1 - a) / a).sqrt()
    low, high = sigmas[0].item() / 2, sigmas[-1].item() * 2
    if not low <= sigma <= high:
        raise CourseError(
            f"sigma must be from {low:.2g} to {high:.2g}, the noise of this schedule's first and last steps "
            f"(pictures are in [-1, 1]), got {sigma}."
        )
    return 1 + int((sigmas / sigma).log().abs().argmin())


@torch.no_grad()
def repaint(
    eps: Eps,
    picture: Tensor,  # (B, C, H, W) in [-1, 1]; what it holds in the hole does not matter
    known: Tensor,  # bool, broadcast to `picture`: True where the picture is known, False in the hole
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. T; None visits every t
    resample: int = 5,  # how often each stretch is gone through; 1 is no resampling
    jump: int = 5,  # steps in a stretch
    generator: torch.Generator | None = None,  # on picture's device; None draws from the global one
    clip: bool = True,  # keep the guess of x_0 in [-1, 1]
) -> Iterator[Step]:
    """Fill a hole: in every step the known pixels are replaced by the picture's, with the noise of that t.

    RePaint algorithm 1 (jump = 1), with the longer stretches of appendix B. The known pixels of the last x
    are the picture's, exactly. Raises CourseError for a mask that does not fit, and for numbers that cannot
    work.
    """
    check_known(known, picture)
    table = alpha_bar.detach().cpu().double()
    moves = _moves(samplers.timesteps(len(table) - 1, steps), resample, jump)
    x, i, n = noise_like(picture, generator), 0, _calls(moves)
    for t, s in moves:
        if s > t:
            x = _noisier(x, table[t], table[s], generator)
            continue
        x0 = torch.where(known, picture, guess(eps, x, t, table[t], clip))
        yield Step(i, n, x, x0, f"t = {t}")
        around = add_noise(picture, noise_like(picture, generator), table[s])  # at s = 0 the picture itself
        x = torch.where(known, around, step_back(x, x0, table[t], table[s], generator))
        i += 1
    yield Step(n, n, x, x, "t = 0")


@torch.no_grad()
def zero_shot(
    eps: Eps,
    measured: Tensor,  # degradation.apply(the pictures): (B, ...)
    degradation: Degradation,  # such as `means(2)` or `visible(known)`
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    steps: int | None = 50,  # 1 .. T; None visits every t
    resample: int = 1,  # as in `repaint`
    jump: int = 5,  # as in `repaint`
    generator: torch.Generator | None = None,  # on measured's device; None draws from the global one
    clip: bool = True,  # keep the guess of x_0 in [-1, 1] before it is made to fit
) -> Iterator[Step]:
    """Pictures that look like the network's and whose degradation is exactly what was measured.

    DDNM algorithm 1 (and 2, where it resamples): each guess of x_0 keeps the part that A cannot see, and
    takes the part that A sees from the measurement. That may put single pixels a little outside [-1, 1].
    Raises CourseError for a measurement that is no such degradation's, and for numbers that cannot work.
    """
    fitting = degradation.undo(measured)
    _check_undo(measured, degradation.apply(fitting))
    table = alpha_bar.detach().cpu().double()
    moves = _moves(samplers.timesteps(len(table) - 1, steps), resample, jump)
    x, i, n = noise_like(fitting, generator), 0, _calls(moves)
    for t, s in moves:
        if s > t:
            x = _noisier(x, table[t], table[s], generator)
            continue
        x0 = guess(eps, x, t, table[t], clip)
        x0 = x0 + fitting - degradation.undo(degradation.apply(x0))
        yield Step(i, n, x, x0, f"t = {t}")
        x = step_back(x, x0, table[t], table[s], generator)
        i += 1
    yield Step(n, n, x, x, "t = 0")


def interpolate(
    eps: Eps,
    a: Tensor,  # (C, H, W) in [-1, 1]: where the path begins
    b: Tensor,  # (C, H, W): where it ends
    alpha_bar: Tensor,  # (T + 1,), see `schedules`
    *,
    n: int = 8,  # pictures on the path, its two ends included
    steps: int = 50,  # of the way to the noise, and of the way back
) -> Iterator[Step]:
    """Yield the steps from n noises on the great circle between those of a and b to n pictures (n, C, H, W).

    Both are encoded with `samplers.encode`; the ends come out as a and b but for the error of finite steps.
    Raises CourseError for pictures of two shapes, and for numbers that cannot work.
    """
    if a.shape != b.shape or a.dim() != 3:
        raise CourseError(
            f"a and b must be two pictures of one shape (C, H, W), got {tuple(a.shape)} and {tuple(b.shape)}."
        )
    if n < 2:
        raise CourseError(f"n must be at least 2, the two ends of the path, got {n}.")
    *_, end = samplers.encode(eps, torch.stack([a, b]), alpha_bar, steps=steps)
    share = torch.linspace(0, 1, n, device=a.device)
    path = slerp(end.x[0].flatten(), end.x[1].flatten(), share).view(n, *a.shape)
    yield from samplers.ddim(eps, path, alpha_bar, steps=steps)


def check_known(known: Tensor, picture: Tensor) -> None:
    """Raise CourseError for a mask that is not boolean or does not fit pictures (B, C, H, W)."""
    if known.dtype != torch.bool:
        raise CourseError(
            f"known must hold True and False (True where the picture is known), got {known.dtype}: "
            "compare it, as in `known > 0`."
        )
    fits = known.dim() <= picture.dim() and all(
        k in (1, p) for k, p in zip(known.shape[::-1], picture.shape[::-1], strict=False)
    )
    if not fits:
        raise CourseError(
            f"known has shape {tuple(known.shape)}, which does not fit pictures of shape "
            f"{tuple(picture.shape)}: give it shape {tuple(picture.shape[-2:])} or the pictures' own."
        )


def _check_undo(measured: Tensor, again: Tensor) -> None:
    if again.shape != measured.shape:
        raise CourseError(
            f"measured has shape {tuple(measured.shape)}, but its pictures' degradation has shape "
            f"{tuple(again.shape)}: are apply and undo a pair?"
        )
    if not torch.allclose(again, measured, atol=1e-4):
        raise CourseError(
            "No picture has these measurements: apply(undo(measured)) is not measured. Measure with the same "
            "degradation, and use a pseudo-inverse for undo."
        )


def _moves(times: list[int], resample: int, jump: int) -> list[tuple[int, int]]:
    """The way down `times` (T .. 0) as pairs (t, s), with the jumps back up (s > t) of RePaint's appendix B:
    from every jump-th time, the last but one of the way first, up by `jump` and down again."""
    n = len(times) - 1
    if resample < 1 or jump < 1 or (resample > 1 and jump >= n):
        raise CourseError(
            f"resample must be at least 1, and jump from 1 to {n - 1}, less than the number of steps, got "
            f"resample = {resample} and jump = {jump}."
        )
    up = times[::-1]  # up[k] is k steps from the end
    turns = range(1, n - jump + 1, jump)
    moves = []
    for k in range(n, 0, -1):
        moves.append((up[k], up[k - 1]))
        for _ in range((resample - 1) * (k - 1 in turns)):
            moves.append((up[k - 1], up[k - 1 + jump]))
            moves += pairwise(up[k - 1 : k + jump][::-1])
    return moves


def _calls(moves: list[tuple[int, int]]) -> int:
    return sum(s < t for t, s in moves)


def _noisier(x: Tensor, a: Tensor, a_s: Tensor, generator: torch.Generator | None) -> Tensor:
    """A draw of q(x_s | x_t), s > t: x_t is to x_s what x_0 is to x_t. RePaint eq. 1, over several steps."""
    return add_noise(x, noise_like(x, generator), a_s / a)
