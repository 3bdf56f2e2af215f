"""Diffusion on points in the plane: a small network to watch while it learns, and the exact answer beside it.

Y. Song, S. Ermon, arXiv 1907.05600, and Y. Song et al., arXiv 2011.13456 (the score); J. Ho et al., arXiv
2006.11239 (the loss); P. Vincent, "A Connection Between Score Matching and Denoising Autoencoders", 2011.

    x_t   = sqrt(a) x_0 + sqrt(1 - a) eps, a = alpha_bar_t               the damage (2006.11239 eq. 4)
    score = grad log q_t(x) = -E[eps | x_t = x] / sqrt(1 - a)            what a denoiser knows of the data
    E[x_0 | x_t = x] = (x + (1 - a) score) / sqrt(a)                     Tweedie's formula

For a finite set of points all of this is known in closed form: see `exact_eps`. That denoiser gives back the
training points and nothing else. A network of 10,000 weights cannot be so exact, and so it generalises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.adversaries import RING_STD, ring_centres
from course_lib.errors import CourseError
from course_lib.fit import warmup_cosine
from course_lib.metrics import mode_coverage
from course_lib.nn.embeddings import sinusoidal
from course_lib.samplers import ddim, timesteps
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v, eps_from_x0, v_from

NOISE: dict[str, float] = {"some noise": 0.95, "much noise": 0.2, "little noise": 0.995}  # alpha_bar of each
FIELD, ARROWS = 32, 9  # places along a side: of the density in the background, of the arrows
REACH = 0.2  # the longest arrow, in the units of the plane
NEAR, COPY = 0.06, 0.002  # so close to a point a sample is near it, or a copy; on the ring, 3 and 0.1 sigma


class PlaneDiffusion(nn.Module):
    """A denoiser for points (B, 2) that lie roughly in [-1, 1]: v-prediction, cosine schedule."""

    alpha_bar: Tensor

    def __init__(self, width: int = 64, T: int = 1000) -> None:
        super().__init__()
        self.register_buffer("alpha_bar", alpha_bars(cosine_betas(T)).float())  # (T + 1,)
        self.net = nn.Sequential(
            nn.Linear(2 + 3 * 4 + 16, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """v of x (B, 2) at times t (B,): (B, 2). x is told as waves too: fine patterns are learnt sooner."""
        angle = math.pi * torch.cat([x, 2 * x, 4 * x], dim=1)  # (B, 6)
        time = sinusoidal(t, 16)  # (B, 16)
        return self.net(torch.cat([x, angle.cos(), angle.sin(), time], dim=1))

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """The noise that the network finds in x (B, 2) at times t (B,) int64 in 1 .. T: (B, 2)."""
        return eps_from_v(x, self(x, t), self.alpha_bar[t])

    def loss(self, x0: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The simple loss of points x0 (B, 2), where the network says v: the mean of (v - v_net(x_t, t))^2.

        Half of the t lie in the first quarter, where the noise is small: shapes in the plane are fine.
        """
        T = len(self.alpha_bar) - 1
        t = 1 + (T * torch.rand(len(x0), generator=generator).square()).long()  # (B,), in 1 .. T
        a, eps = self.alpha_bar[t], torch.randn(x0.shape, generator=generator)
        return F.mse_loss(self(add_noise(x0, eps, a), t), v_from(x0, eps, a))


def exact_eps(points: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """E[eps | x_t = x] where x_0 is one of `points`, each as likely: the best denoiser that there can be.

    points (N, ...), x (B, ...), a = alpha_bar[t] below 1, () -> shape of x. x_t then has the density
    q_t(x) = mean_i N(x; sqrt(a) p_i, (1 - a) I), so each point is to blame with the weight
    softmax_i(-|x - sqrt(a) p_i|^2 / (2 (1 - a))), and E[x_0 | x_t = x] is their mean with these weights.
    """
    weight = _log_densities(points, x, a).softmax(dim=1)  # (B, N)
    x0 = weight @ points.flatten(1).to(x)
    return eps_from_x0(x, x0.view_as(x), a)


def score(eps: Tensor, a: Tensor) -> Tensor:
    """grad log q_t(x) out of the noise that is expected in x: -eps / sqrt(1 - a), for t >= 1."""
    return -eps / (1 - a).sqrt().to(eps)


class Moment(NamedTuple):
    """One moment in the plane. Its fields are those of `widgets.PlayFrame`, in that order."""

    step: int
    samples: Tensor  # (M, 2)
    field: Tensor  # (32, 32) on [-1, 1]^2, row by row from the bottom left: q / (q + 1/4) of the exact q_t
    arrows: Tensor  # (81, 4): x, y, and the direction of the score, at most REACH long
    losses: dict[str, float]
    numbers: dict[str, str]  # to read


def watch(
    points: Tensor,  # (N, 2), to learn
    a: float = NOISE["some noise"],  # the noise level of arrows and background, as alpha_bar
    *,
    seed: int = 0,
    steps: int = 3_000,  # the learning rate falls to 0 until then
    every: int = 20,  # steps between two moments
    batch: int = 256,
    shown: int = 256,  # samples of a moment
) -> Iterator[Moment]:
    """Train a PlaneDiffusion on points and yield a moment now and then, the first one before any training.

    The samples are made by 20 steps of DDIM, from the same noise at every moment. The loss is a running mean.
    It has random numbers of its own: it may be advanced at any time and disturbs nobody's draws.
    Raises CourseError for points that cannot be learnt and for an `a` that is no noise level.
    """
    _check(points)
    if not 0 < a < 1:
        raise CourseError(f"a must lie between 0 (all noise) and 1 (no noise), got {a}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PlaneDiffusion()
    own = torch.Generator().manual_seed(seed)
    noise = torch.randn(shown, 2, generator=own)
    opt = torch.optim.AdamW(model.parameters(), 1e-2, (0.9, 0.99), weight_decay=0.0, fused=True)
    rate = warmup_cosine(steps, warmup=20)
    times = timesteps(len(model.alpha_bar) - 1, 20, spacing="quadratic")
    t = int((model.alpha_bar - a).abs()[1:].argmin()) + 1
    field = density(points, model.alpha_bar[t])
    losses: dict[str, float] = {}
    for step in range(steps + 1):
        if step % every == 0 or step == steps:
            *_, last = ddim(model.eps, noise, model.alpha_bar, times=times, clip=False)
            yield Moment(step, last.x, field, arrows(model.eps, t), losses, numbers(points, last.x))
        if step < steps:
            x0 = points[torch.randint(len(points), (batch,), generator=own)]  # (batch, 2)
            loss = train_step(model, opt, x0, rate(step), own)
            losses = {"loss": losses.get("loss", loss) * 0.95 + 0.05 * loss}


def walk(points: Tensor, *, seed: int = 0, steps: int = 50, shown: int = 256) -> Iterator[Moment]:
    """The way from noise to samples with the exact denoiser of `points`, nothing learnt: a moment for each
    step of DDIM, with the score and the density of that step's noise level. Raises CourseError as `watch`."""
    _check(points)
    # s = 0: down to a noise of 0.0016, finer than the points lie
    alpha_bar = alpha_bars(cosine_betas(s=0.0)).float()
    noise = torch.randn(shown, 2, generator=torch.Generator().manual_seed(seed))

    def eps(x: Tensor, t: Tensor) -> Tensor:
        return exact_eps(points, x, alpha_bar[t[0]])

    times = timesteps(len(alpha_bar) - 1, steps, spacing="quadratic")
    path = ddim(eps, noise, alpha_bar, times=times, clip=False)
    for step, t in zip(path, times, strict=True):
        t = max(t, 1)  # at t = 0 the density is all spikes
        level = {"noise level": f"{(1 - alpha_bar[t]).sqrt():.2f}"}
        found = level | numbers(points, step.x)
        yield Moment(step.i, step.x, density(points, alpha_bar[t]), arrows(eps, t), {}, found)


def train_step(
    model: PlaneDiffusion, opt: torch.optim.Optimizer, x0: Tensor, factor: float, generator: torch.Generator
) -> float:
    """What `fit` does at each step, without its safety nets: points x0 (B, 2) -> the loss."""
    loss = model.loss(x0, generator)
    opt.zero_grad()
    loss.backward()
    opt.param_groups[0]["lr"] = opt.defaults["lr"] * factor
    opt.step()
    return loss.item()


def density(points: Tensor, a: Tensor) -> Tensor:
    """q / (q + 1/4) of the noised points' density q_t at the places of a heat map, (32, 32) in [0, 1].

    1/4 is the density of an even spread over [-1, 1]^2: more than 1/2 is more than that.
    """
    q = _log_densities(points, _square(FIELD), a).logsumexp(dim=1) - math.log(len(points))  # (1024,)
    q = q - math.log(2 * math.pi) - torch.log(1 - a)
    return (q - math.log(0.25)).sigmoid().view(FIELD, FIELD)


@torch.no_grad()
def arrows(eps: Callable[[Tensor, Tensor], Tensor], t: int) -> Tensor:
    """The score on a grid of the plane at time t, as arrows to draw: x, y, dx, dy, (81, 4).

    They point where -eps does, as the score; a length of 1 is drawn half as long as REACH, none is longer.
    """
    x = 0.9 * _square(ARROWS)
    found = -eps(x, torch.full((len(x),), t))  # (81, 2)
    return torch.cat([x, found * REACH / (1 + found.norm(dim=1, keepdim=True))], dim=1)


def numbers(points: Tensor, samples: Tensor) -> dict[str, str]:
    """How good samples (M, 2) are: the modes covered on the ring of `toys.ring`, elsewhere the share of
    samples near a point; and how many of them are a training point, all but exactly."""
    distance = torch.cdist(samples, points).amin(1)  # (M,)
    copies = {"copies of a point": f"{(distance < COPY).float().mean():.0%}"}
    centres = ring_centres()
    if mode_coverage(points, centres, 2 * RING_STD) == (len(centres), 1.0):
        covered, share = mode_coverage(samples, centres, RING_STD)
        return {"modes covered": f"{covered} of {len(centres)}", "high quality": f"{share:.0%}", **copies}
    return {"samples near a point": f"{(distance < NEAR).float().mean():.0%}", **copies}


def _log_densities(points: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """log N(x; sqrt(a) p, (1 - a) I) for each x (B, ...) and point p (N, ...), but for a constant: (B, N)."""
    centres = (a.sqrt() * points.flatten(1)).to(x)
    distance = torch.cdist(x.flatten(1), centres, compute_mode="donot_use_mm_for_euclid_dist")
    return -distance.square() / (2 * (1 - a))


def _square(side: int) -> Tensor:
    """side * side places on [-1, 1]^2, row by row from the bottom left: (side * side, 2)."""
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _check(points: Tensor) -> None:
    if points.dim() != 2 or points.shape[1] != 2 or len(points) == 0:
        raise CourseError(f"points must have the shape (N, 2), N at least 1, got {tuple(points.shape)}.")
    if not torch.isfinite(points).all():
        raise CourseError("points holds NaN or infinite values: leave those points out.")
