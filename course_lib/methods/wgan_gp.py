"""The Wasserstein GAN with gradient penalty: D no longer judges, it measures how far G's samples lie off.

M. Arjovsky, S. Chintala, L. Bottou, "Wasserstein GAN", arXiv 1701.07875. The penalty in place of clipped
weights: I. Gulrajani et al., "Improved Training of Wasserstein GANs", arXiv 1704.00028.

    W(p, p_G) = max over D with slope at most 1 of E D(x) - E D(G(z))         1701.07875 eq. 2
    L_D = E D(G(z)) - E D(x) + penalty E (|grad D(x_hat)| - 1)^2              1704.00028 eq. 3
    x_hat = x + u (G(z) - x), u uniform in [0, 1]                             1704.00028, section 4
    L_G = -E D(G(z))                                                          1701.07875, algorithm 1

W is the least mean distance over which mass must be carried to turn one distribution into the other, in the
units of x. D is a *critic*: its output is any number, no probability, and its level means nothing. It has to
be good before G may trust it, so it moves n_critic times for each move of G, and -L_D without the penalty
estimates W. D must not look at its batch as a whole: the penalty asks for the slope at each x by itself.

lambda has the units of x, so it depends on how large x is. The paper's 10 is for pictures. On the ring of
`toys.ring`, which is 1.6 wide, penalty=1 finds all modes, while with 10 the distance never settles
(4,000 steps with lr 1e-3, seeds 0 and 1).

Left out: weight clipping, which 1704.00028 replaces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.gan import slope
from course_lib.nn.players import players


class WGANGP(nn.Module):
    """G and a critic D for pictures, or for points in the plane (`size=0`).

    D's last bias, the level of the critic, is a buffer and stays 0: nothing would teach it.

    Raises CourseError for a penalty below 0 and for fewer than 1 step of the critic.
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
        penalty: float = 10.0,  # lambda; for points within [-1, 1] take 1: see the head of this file
        n_critic: int = 5,  # updates of D for each of G
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.0, 0.9),  # of Adam: 1704.00028, algorithm 1
    ) -> None:
        super().__init__()
        if not 0 <= penalty < math.inf:
            raise CourseError(f"penalty must be a number of at least 0, got {penalty}.")
        if n_critic < 1 or n_critic % 1:
            raise CourseError(f"n_critic must be a whole number of at least 1, got {n_critic}.")
        self.latent, self.penalty, self.n_critic = latent, penalty, n_critic
        self.lr, self.betas = lr, betas
        self.G, self.D = players(size, channels, latent, widths, False, squeeze, blocks)
        del self.D.head.bias  # as a parameter it would get no gradient: L_D does not depend on the level
        self.D.head.register_buffer("bias", torch.zeros(1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {k: torch.optim.Adam(net.parameters(), self.lr, self.betas)
                for k, net in (("D", self.D), ("G", self.G))}  # fmt: skip

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        with torch.no_grad():  # D's step needs no gradient in G
            fake = self.G(self.noise(x))  # like x
        distance = self.D(x).mean() - self.D(fake).mean()  # estimates W once D is good
        penalty = gradient_penalty(self.D, x, fake)
        yield Loss("D", self.penalty * penalty - distance, {"distance": distance.detach()})

        if (step + 1) % self.n_critic == 0:
            yield Loss("G", -self.D(self.G(self.noise(x))).mean())

    def noise(self, x: Tensor) -> Tensor:
        """As many z ~ N(0, I) as x has samples: (B, latent)."""
        return torch.randn(len(x), self.latent, device=x.device, dtype=x.dtype)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Iterator[Step]:
        """z ~ N(0, I), then G(z): one step. The generator is on the device of the weights."""
        weight = next(self.G.parameters())
        z = torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)
        yield Step(0, 0, self.G(z))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(latent=4, size=8, widths=(4, 8), n_critic=2), x


def gradient_penalty(D: nn.Module, x: Tensor, fake: Tensor) -> Tensor:
    """E (|grad D(x_hat)| - 1)^2 at points between x and fake, both (B, ...): a scalar with a graph.

    1704.00028 eq. 3. 0 where D rises by exactly 1 per unit of distance. Draws one u for each sample.
    """
    u = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device, dtype=x.dtype)  # (B, 1, ...)
    return (slope(D, x + u * (fake - x)) - 1).square().mean()
