"""GANs on points in the plane: settings that work, settings that fail, what cures them, and a run to watch.

Everything is `methods.gan.GAN` with small dense networks (`size=0`). A failure is the recommended settings
with a few changes, and its cure takes one change back or adds one: see FAILURES and CURES.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.fit import warmup_cosine
from course_lib.methods.gan import GAN, Game, g_loss
from course_lib.metrics import mode_coverage

RING_STD = 0.02  # of each mode of `toys.ring`
REACH = 0.1  # the longest arrow, in the units of the plane


class Settings(TypedDict, total=False):
    """Arguments of `plane_gan` that differ from the recommended ones."""

    game: Game
    r1: float
    lr: float
    lr_d: float
    betas: tuple[float, float]
    d_steps: int
    smooth: float
    stddev: bool


def plane_gan(
    *,
    game: Game = "non-saturating",
    r1: float = 0.05,
    lr: float = 2e-3,
    lr_d: float | None = None,
    betas: tuple[float, float] = (0.0, 0.99),
    d_steps: int = 1,
    smooth: float = 0.0,
    stddev: bool = False,
) -> GAN:
    """A GAN for points (B, 2) that lie roughly in [-1, 1], with the recommended settings as defaults.

    On `toys.ring`: 5,000 steps of `fit` with batch=128 and lr=warmup_cosine(5_000), some 25 seconds.
    """
    return GAN(latent=2, channels=2, size=0, widths=(64, 3), game=game, r1=r1, lr=lr, lr_d=lr_d, betas=betas,
               d_steps=d_steps, smooth=smooth, stddev=stddev)  # fmt: skip


FAILURES: dict[str, Settings] = {
    "mode collapse": {"lr_d": 1e-4},  # D learns too slowly: G runs to wherever D is most content
    "mode dropping": {"r1": 0.0, "lr": 1e-4, "lr_d": 4e-3},  # D walls G in where it happens to be
    "imbalance": {"r1": 0.0, "lr": 1e-4, "lr_d": 1e-2, "game": "min-max"},  # D is sure, G is lost
    "oscillation": {"betas": (0.9, 0.999)},  # momentum: both still move where the slope pointed before
}

CURES: dict[str, Settings] = {  # the same, with one thing changed
    "mode collapse": {},
    "mode dropping": {"r1": 0.0, "lr_d": 4e-3},
    "imbalance": {"r1": 0.0, "lr_d": 1e-2, "game": "min-max"},
    "oscillation": {},
}


class Moment(NamedTuple):
    """One moment of a training in the plane. Its fields are those of `widgets.PlayFrame`, in that order."""

    step: int  # updates of D so far
    samples: Tensor  # (M, 2), from the same M draws of z at every moment
    field: Tensor  # (24, 24): D(x) in [0, 1] on [-1, 1]^2, row by row from the bottom left
    arrows: Tensor  # (40, 4): x, y, and where G's loss pushes this sample, at most REACH long
    losses: dict[str, float]  # in nats
    numbers: dict[str, str]  # to read


def watch(
    points: Tensor,  # (N, 2), to learn
    settings: Settings | None = None,  # what differs from the recommended ones
    *,
    seed: int = 0,
    steps: int = 3_000,  # the learning rate falls to 0 until then
    every: int = 10,  # steps between two moments
    batch: int = 128,
    shown: int = 256,  # samples of a moment
) -> Iterator[Moment]:
    """Train a GAN on points and yield a moment now and then, the first of them before any training.

    It has random numbers of its own: it may be advanced at any time and disturbs nobody's draws.
    Where all points lie on the ring of `toys.ring`, the numbers are the modes covered and the share of
    samples at one. Elsewhere they are the share of samples near a point and of points near a sample.
    Raises CourseError for points that cannot be learnt.
    """
    _check(points)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        gan = plane_gan(**(settings or {}))
    own = torch.Generator().manual_seed(seed)
    gan.noise = lambda x: torch.randn(len(x), gan.latent, generator=own)  # type: ignore[method-assign]
    z = torch.randn(shown, gan.latent, generator=own)
    opts, rate = gan.optimizers(), warmup_cosine(steps, warmup=1)
    losses: dict[str, float] = {}
    for step in range(steps):
        if step % every == 0:
            yield _moment(gan, points, z, step, losses)
        x = points[torch.randint(len(points), (batch,), generator=own)]  # (batch, 2)
        losses = losses | train_step(gan, opts, x, step, rate(step))
    yield _moment(gan, points, z, steps, losses)


def train_step(
    gan: GAN, opts: dict[str, torch.optim.Optimizer], x: Tensor, step: int, factor: float
) -> dict[str, float]:
    """What `fit` does at each step, without its safety nets: points x (B, 2) -> the losses by name."""
    values = {}
    for name, loss, _ in gan.losses(x, step):
        opt = opts[name]
        opt.zero_grad()
        loss.backward(inputs=opt.param_groups[0]["params"])
        opt.param_groups[0]["lr"] = opt.defaults["lr"] * factor
        opt.step()
        values[name] = loss.item()
    return values


def ring_centres(modes: int = 8, radius: float = 0.8) -> Tensor:
    """The means of the Gaussians of `toys.ring`: (modes, 2)."""
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return radius * torch.stack([angle.cos(), angle.sin()], dim=1)


def push(gan: GAN, samples: Tensor) -> Tensor:
    """Where G's loss pushes each sample, which is down its slope: (M, 2) -> (M, 2).

    In the game "feature matching", which has no loss of a single sample, uphill in D(x).
    """
    x = samples.detach().requires_grad_()
    game = "non-saturating" if gan.game == "feature matching" else gan.game
    (grad,) = torch.autograd.grad(g_loss(gan.D(x), game) * len(x), x)
    return -grad


def _moment(gan: GAN, points: Tensor, z: Tensor, step: int, losses: dict[str, float]) -> Moment:
    with torch.no_grad():
        samples = gan.G(z)  # (M, 2)
        line = torch.linspace(-1, 1, 24)
        y, x = torch.meshgrid(line, line, indexing="ij")
        field = gan.D(torch.stack([x, y], dim=-1).view(-1, 2)).sigmoid().view(24, 24)
    some = samples[:40]
    force = push(gan, some)  # (40, 2)
    arrows = torch.cat([some, force * REACH / (1 + force.norm(dim=1, keepdim=True))], dim=1)  # (40, 4)
    return Moment(step, samples, field, arrows, losses, _numbers(points, samples))


def _numbers(points: Tensor, samples: Tensor) -> dict[str, str]:
    centres = ring_centres()
    if mode_coverage(points, centres, 2 * RING_STD) == (len(centres), 1.0):
        covered, share = mode_coverage(samples, centres, RING_STD)
        return {"modes covered": f"{covered} of {len(centres)}", "high quality": f"{share:.0%}"}
    distance = torch.cdist(samples, points)  # (M, N)
    reach = _spacing(points)
    near, reached = (distance.amin(d) <= reach for d in (1, 0))  # (M,), (N,)
    return {
        "samples near a point": f"{near.float().mean():.0%}",
        "points near a sample": f"{reached.float().mean():.0%}",
    }


def _spacing(points: Tensor) -> float:
    """Within this distance 95 of 100 points have a neighbour; at least 0.03, for points of your own."""
    if len(points) == 1:
        return 0.03
    neighbour = torch.cdist(points, points).fill_diagonal_(math.inf).amin(1)  # (N,)
    return max(0.03, neighbour.quantile(0.95).item())


def dirac_path(
    r1: float,  # gamma
    *,
    lr: float = 0.1,
    steps: int = 200,
    start: tuple[float, float] = (1.0, 1.0),  # theta, psi
) -> Tensor:
    """The Dirac-GAN of L. Mescheder et al., arXiv 1801.04406, section 2: its path (steps + 1, 2).

    All data are at 0, all samples at theta, and D(x) = psi x is the logit. Both players move at once, in the
    min-max game, by gradient descent. With r1 = 0 each step moves away from the equilibrium (0, 0):
    the squared distance grows by the factor 1 + lr^2 sigmoid(psi theta)^2. With r1 = 1 it shrinks like
    e^(-t/2), t = lr times the number of steps, and without circling: both eigenvalues are -1/2.
    """
    theta, psi = torch.tensor(start, dtype=torch.float64)
    path = [torch.stack([theta, psi])]
    for _ in range(steps):
        weight = torch.sigmoid(psi * theta)  # what D takes the sample's reality for
        # theta descends on log(1 - D), psi on -log(1 - D) + r1/2 psi^2, for psi is D's slope
        theta, psi = theta + lr * psi * weight, psi - lr * (theta * weight + r1 * psi)
        path.append(torch.stack([theta, psi]))
    return torch.stack(path)


def _check(points: Tensor) -> None:
    if points.dim() != 2 or points.shape[1] != 2 or len(points) == 0:
        raise CourseError(f"points must have the shape (N, 2), N at least 1, got {tuple(points.shape)}.")
    if not torch.isfinite(points).all():
        raise CourseError("points holds NaN or infinite values: leave those points out.")
