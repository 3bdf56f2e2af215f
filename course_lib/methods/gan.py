"""Generative adversarial networks (GAN): one network invents, the other tells inventions from real data.

I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, arXiv 1406.2661.

    min_G max_D V(D, G) = E log D(x) + E log(1 - D(G(z)))         eq. 1; D maximises V in both games
    D*(x) = p(x) / (p(x) + p_G(x))                                eq. 2: 1/2 where G has caught up
    V(D*, G) = -2 log 2 + 2 JSD(p, p_G)                           eq. 6: so the best D loses at most 2 log 2
    "min-max":         G minimises E log(1 - D(G(z)))             eq. 1: no slope while D is sure of itself
    "non-saturating":  G minimises -E log D(G(z))                 section 3, the remark on eq. 1

D gives the logit; the probability is sigmoid(D(x)), and log sigmoid(a) = -softplus(-a). What later papers
changed is an option each, and each is one visible block below:

    "feature matching"  G minimises |E f(x) - E f(G(z))|^2        T. Salimans et al., arXiv 1606.03498, 3.1
    smooth              "real" counts as 1 - smooth               the same, 3.4: one-sided label smoothing
    stddev              D sees how much a batch varies            the same, 3.2; see nn/players.py
    r1                  + r1/2 E |grad_x D(x)|^2 on real x        L. Mescheder et al., arXiv 1801.04406, eq. 9
    flip, shift         D sees everything moved at random         S. Zhao et al., arXiv 2006.10738, sec. 3.2

Left out: historical averaging and virtual batch normalisation (1606.03498, 3.3 and 3.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.nn.augment import random_flip, random_shift
from course_lib.nn.players import players

Game = Literal["min-max", "non-saturating", "feature matching"]


class GAN(nn.Module):
    """G and D for pictures, or for points in the plane (`size=0`), with one optimizer each.

    Raises CourseError for an unknown game, for numbers out of range, and for points to be mirrored or moved.
    """

    ema: tuple[str, ...] = ("G",)
    batch_statistics = "batch normalisation in G: a sample's gradient depends on its batch"

    def __init__(
        self,
        latent: int = 64,  # length of z
        channels: int = 1,  # of the pictures, or the number of coordinates of a point
        size: int = 28,  # height and width in pixels, a multiple of 4; 0: the data are points (B, channels)
        widths: tuple[int, int] = (32, 64),  # pictures: channels at size/2 and size/4; points: width, layers
        squeeze: int = 0,  # pictures: channels of G's first layer, 0 for as many as at size/4
        blocks: int = 0,  # pictures: residual blocks at size/4, in both players
        game: Game = "non-saturating",  # what G minimises
        smooth: float = 0.0,  # one-sided label smoothing: "real" counts as 1 - smooth
        stddev: bool = False,  # D sees how much a batch varies
        r1: float = 0.0,  # gamma, the weight of the gradient penalty, 0 for none
        r1_every: int = 1,  # the penalty is asked for at every so many steps, and weighs so much more
        flip: bool = False,  # D sees real and made pictures mirrored at random
        shift: int = 0,  # and moved by up to so many pixels
        fill: float = -1.0,  # what enters when they are moved: the colour of the background
        d_steps: int = 1,  # k of algorithm 1: updates of D for each of G
        lr: float = 1e-3,  # of G
        lr_d: float | None = None,  # of D; None: the same
        betas: tuple[float, float] = (0.5, 0.99),  # of Adam
    ) -> None:
        super().__init__()
        _check(game, smooth, r1, {"r1_every": (r1_every, 1), "d_steps": (d_steps, 1), "shift": (shift, 0)})
        if size == 0 and (flip or shift):
            raise CourseError(
                "flip and shift move pictures: leave them out where the data are points (size=0)."
            )
        self.latent, self.game, self.smooth = latent, game, smooth
        self.r1, self.r1_every, self.d_steps = r1, r1_every, d_steps
        self.flip, self.shift, self.fill = flip, shift, fill
        self.lr, self.lr_d, self.betas = lr, lr if lr_d is None else lr_d, betas
        self.G, self.D = players(size, channels, latent, widths, stddev, squeeze, blocks)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "D": torch.optim.Adam(self.D.parameters(), self.lr_d, self.betas),
            "G": torch.optim.Adam(self.G.parameters(), self.lr, self.betas),
        }

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        with torch.no_grad():  # D's step needs no gradient in G
            fake = self.G(self.noise(x))
        real = self.seen(x)
        on_real, on_fake = self.D(real), self.D(self.seen(fake))  # (B,), (B,)
        loss = d_loss(on_real, on_fake, self.smooth)
        logs = {"D(x)": on_real.sigmoid().mean().detach(), "D(G(z))": on_fake.sigmoid().mean().detach()}
        if self.r1 and step % self.r1_every == 0:  # R1
            penalty = self.r1 / 2 * slope(self.D, real).square().mean()
            loss = loss + self.r1_every * penalty
        yield Loss("D", loss, logs)

        if (step + 1) % self.d_steps:  # D moves d_steps times for each move of G
            return
        fake = self.seen(self.G(self.noise(x)))
        if self.game == "feature matching":
            f_real, f_fake = self.D.features(real).detach(), self.D.features(fake)  # (B, F)
            yield Loss("G", (f_real.mean(0) - f_fake.mean(0)).square().sum())
        else:
            yield Loss("G", g_loss(self.D(fake), self.game))

    def noise(self, x: Tensor) -> Tensor:
        """As many z ~ N(0, I) as x has samples: (B, latent)."""
        return torch.randn(len(x), self.latent, device=x.device, dtype=x.dtype)

    def seen(self, x: Tensor) -> Tensor:
        """x as D sees it: mirrored and moved, each sample on its own. D can no longer learn them by heart."""
        if self.flip:
            x = random_flip(x)
        return random_shift(x, self.shift, self.fill) if self.shift else x

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Iterator[Step]:
        """z ~ N(0, I), then G(z): one step. The generator is on the device of the weights."""
        weight = next(self.G.parameters())
        z = torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)
        yield Step(0, 0, self.G(z))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(latent=4, size=8, widths=(4, 8), smooth=0.1, stddev=True, r1=1.0, flip=True, shift=1), x


def d_loss(on_real: Tensor, on_fake: Tensor, smooth: float = 0.0) -> Tensor:
    """-V(D, G), what D minimises: logits (B,), (B,) -> scalar in nats. 2 log 2 where D says 1/2 to all.

    With `smooth`, a real sample is to get the probability 1 - smooth: 1606.03498, section 3.4.
    """
    real = (1 - smooth) * softplus(-on_real) + smooth * softplus(on_real)  # -(1-s) log D - s log(1 - D)
    return real.mean() + softplus(on_fake).mean()  # -log(1 - D(G(z)))


def g_loss(on_fake: Tensor, game: Game = "non-saturating") -> Tensor:
    """What G minimises: logits (B,) -> scalar in nats."""
    if game == "min-max":
        return -softplus(on_fake).mean()  # log(1 - D(G(z)))
    return softplus(-on_fake).mean()  # -log D(G(z))


def slope(D: nn.Module, x: Tensor) -> Tensor:
    """|grad_x D(x)| for each sample: x (B, ...) -> (B,), with a graph, so that it can be a loss for D.

    One gradient of the sum of all logits gives all slopes, for no logit depends on another sample. Where D
    looks at its batch (`stddev`) one does: the slope then also holds what x changes in the others' logits.
    """
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # like x
    return grad.flatten(1).norm(dim=1)


def _check(game: str, smooth: float, r1: float, counts: dict[str, tuple[int, int]]) -> None:
    if game not in get_args(Game):
        raise CourseError(f"game must be one of {', '.join(get_args(Game))}, got {game!r}.")
    if not 0 <= smooth < 0.5:
        raise CourseError(f"smooth must be at least 0 and less than 0.5, got {smooth}.")
    if not 0 <= r1 < math.inf:
        raise CourseError(f"r1 must be a number of at least 0 (no penalty), got {r1}.")
    for name, (value, least) in counts.items():
        if value < least or value % 1:
            raise CourseError(f"{name} must be a whole number of at least {least}, got {value}.")
