"""The beta-VAE: a variational autoencoder whose KL weighs more: its code says less, and sorts it better.

I. Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR
2017. C. P. Burgess et al., "Understanding disentangling in beta-VAE", arXiv 1804.03599. The warm-up is that
of S. R. Bowman et al., "Generating Sentences from a Continuous Space", arXiv 1511.06349, section 3.1.

    L = E_q log p(x | z) - beta KL(q(z | x) || p(z))     ICLR 2017 eq. 4, to be maximised; beta = 1 is the VAE
    beta_t = beta min(1, t / warmup)                     1511.06349: the KL enters by and by

A dimension is used only where it explains more than beta times its nats; the others fall to the prior and
cost nothing. With a Gaussian likelihood and a given sigma only the product beta sigma^2 decides where the
optimum lies (multiply L by sigma^2), so sigma is stated with beta. For linear maps that is probabilistic PCA:
a direction of the data is used where its variance exceeds beta sigma^2 (J. Lucas et al., arXiv 1911.02469,
with beta = 1). A sigma that is learnt would grow with the error and undo a part of beta.

Left out: the capacity that grows in the course of training (1804.03599 eq. 8), and the losses that punish the
total correlation alone (FactorVAE, beta-TCVAE).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from torch import Tensor

from course_lib.method import Loss
from course_lib.methods.vae import VAE, Likelihood


class BetaVAE(VAE):
    """A VAE that minimises beta * KL - log p(x | z)."""

    def __init__(
        self,
        latent: int = 10,  # d, the length of the code
        channels: int = 3,
        size: int = 32,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 1),  # residual blocks at size/2 and size/4, on both sides
        squeeze: int = 16,  # channels that enter the dense layers
        hidden: int = 0,  # width of the dense layer beside the code, 0 for none
        likelihood: Likelihood = "gaussian",
        sigma: float | None = 0.3,  # of the Gaussian likelihood; None: one number, learnt with the rest
        beta: float = 4.0,  # what a nat of KL costs
        warmup: int = 0,  # steps in which beta grows from 0, 0 for none
        lr: float = 3e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            latent, channels, size, widths, blocks, squeeze, hidden, likelihood, sigma, lr, weight_decay
        )
        self.beta, self.warmup = beta, warmup

    def beta_at(self, step: int) -> float:
        """beta_t: the weight of the KL at a step of the training."""
        return self.beta * min(1.0, step / self.warmup) if self.warmup else self.beta

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        reconstruction, kl = (term.mean() for term in self.elbo(x))
        logs = {"kl": kl.detach(), "log p(x|z)": reconstruction.detach()}
        yield Loss("vae", self.beta_at(step) * kl - reconstruction, logs)

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = VAE.tiny()[1]
        return cls(latent=4, channels=1, size=8, widths=(4, 8), squeeze=4, hidden=16, beta=2.0, warmup=4), x
