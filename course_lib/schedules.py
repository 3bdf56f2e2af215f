"""Noise schedules: how fast a picture drowns in noise, and the identities that hold at every noise level.

J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239 (DDPM below);
A. Nichol, P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672 (cosine);
T. Salimans, J. Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", arXiv 2202.00512 (v).

Time is counted as in the papers: t = 0 is the clean picture, t = 1 .. T are noisier and noisier ones, and x_T
is all but pure noise. Every table has T + 1 entries, so that `alpha_bar[t]` is the papers' alpha_bar_t, with
beta_0 = 0 and alpha_bar_0 = 1; the last step of a sampler, from t = 1 to 0, is then a step like any other.

    x_t = sqrt(a) x_0 + sqrt(1 - a) eps        a = alpha_bar_t, eps ~ N(0, I)           (DDPM eq. 4)
    v   = sqrt(a) eps - sqrt(1 - a) x_0                                                 (Salimans, appendix D)

(x_t, v) is (x_0, eps) turned by an angle, so any two of x_t, x_0, eps, v give the others. In all functions
`a` is `alpha_bar[t]`: a tensor () or (B,), one value for all pictures or one for each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_betas(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """beta_t rises evenly from `first` at t = 1 to `last` at t = T; (T + 1,) float64. DDPM section 4.

    The two ends are meant for T = 1000: with fewer steps too little noise is added in all.
    """
    betas = torch.linspace(first, last, T, dtype=torch.float64)
    return torch.cat([betas.new_zeros(1), betas])


def cosine_betas(T: int = 1000, s: float = 0.008, most: float = 0.999) -> Tensor:
    """alpha_bar_t falls as a squared cosine, so that small pictures are not lost in noise too early; (T + 1,)
    float64. Nichol eq. 17; no beta is larger than `most`, or the last ones would divide by 0."""
    angle = (torch.arange(T + 1, dtype=torch.float64) / T + s) / (1 + s) * math.pi / 2
    f = angle.cos().square()
    return torch.cat([f.new_zeros(1), (1 - f[1:] / f[:-1]).clamp(max=most)])


def alpha_bars(betas: Tensor) -> Tensor:
    """alpha_bar_t = (1 - beta_1) ... (1 - beta_t), the share of x_0's variance left at t; (T + 1,) -> same.

    It falls from exactly 1 at t = 0. DDPM eq. 4.
    """
    return (1 - betas).cumprod(0)


def snr(a: Tensor) -> Tensor:
    """Signal-to-noise ratio a / (1 - a), infinite at t = 0; any shape."""
    return a / (1 - a)


def random_times(alpha_bar: Tensor, x0: Tensor, spread: float = 0.0) -> Tensor:
    """A time to train at for each picture of x0 (B, ...): (B,) int64 in 1 .. T, alpha_bar being (T + 1,).

    All t alike for spread 0 (DDPM algorithm 1), else T times the sigmoid of a normal number of deviation
    `spread` (P. Esser et al., arXiv 2403.03206, section 3.1). At the ends there is little to learn: either
    nothing of the picture is left, or hardly any noise is there.
    """
    T, n = len(alpha_bar) - 1, len(x0)
    if not spread:
        return torch.randint(1, T + 1, (n,), device=x0.device)
    share = torch.sigmoid(spread * torch.randn(n, device=x0.device))  # in (0, 1)
    return (T * share).long().clamp(max=T - 1) + 1


def add_noise(x0: Tensor, eps: Tensor, a: Tensor) -> Tensor:
    """x_t out of x_0 and eps, both (B, ...): a draw of q(x_t | x_0) if eps is one of N(0, I). DDPM eq. 4."""
    signal, noise = _weights(a, x0)
    return signal * x0 + noise * eps


def x0_from_eps(x: Tensor, eps: Tensor, a: Tensor) -> Tensor:
    """x_0 out of x_t and eps. Divides by sqrt(a): near t = T a small error in eps becomes a large one in x_0.
    DDPM eq. 15."""
    signal, noise = _weights(a, x)
    return (x - noise * eps) / signal


def eps_from_x0(x: Tensor, x0: Tensor, a: Tensor) -> Tensor:
    """eps out of x_t and x_0, for t >= 1 (at t = 0 there is no noise to be found). DDPM eq. 4, solved."""
    signal, noise = _weights(a, x)
    return (x - signal * x0) / noise


def v_from(x0: Tensor, eps: Tensor, a: Tensor) -> Tensor:
    """v out of x_0 and eps: what a network with v-prediction is trained to say. Salimans, appendix D."""
    signal, noise = _weights(a, x0)
    return signal * eps - noise * x0


def x0_from_v(x: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """x_0 out of x_t and v; no division, so it is as exact at t = T as anywhere. Salimans, appendix D."""
    signal, noise = _weights(a, x)
    return signal * x - noise * v


def eps_from_v(x: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """eps out of x_t and v. Salimans, appendix D."""
    signal, noise = _weights(a, x)
    return noise * x + signal * v


def posterior_mean(x: Tensor, x0: Tensor, a: Tensor, a_s: Tensor) -> Tensor:
    """Mean of q(x_s | x_t, x_0): where x_s lies if x_t and x_0 are known; x and x0 (B, ...) -> same.

    a_s = alpha_bar[s] for any s < t; the paper's s is t - 1. DDPM eq. 7.
    """
    alpha = a / a_s
    of_x0 = a_s.sqrt() * (1 - alpha) / (1 - a)
    of_x = alpha.sqrt() * (1 - a_s) / (1 - a)
    return _broadcast(of_x0, x) * x0 + _broadcast(of_x, x) * x


def posterior_variance(a: Tensor, a_s: Tensor) -> Tensor:
    """Variance of q(x_s | x_t, x_0), shape of `a`; 0 for s = 0. DDPM eq. 7, there called beta tilde."""
    return (1 - a_s) / (1 - a) * (1 - a / a_s)


def _weights(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(a) and sqrt(1 - a). Rounded to x's type last: in float32, 1 - a has few digits left near t = 0."""
    return _broadcast(a.sqrt(), x), _broadcast((1 - a).sqrt(), x)


def _broadcast(a: Tensor, x: Tensor) -> Tensor:
    """() or (B,) -> a tensor that multiplies x (B, ...), of its type and on its device."""
    return a.to(x).view(-1, *[1] * (x.dim() - 1))
