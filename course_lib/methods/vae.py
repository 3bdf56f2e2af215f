"""Variational autoencoders (VAE): a model of the data with a hidden cause, and an encoder that guesses it.

D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv 1312.6114. The bound with k
draws is that of Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders", arXiv 1509.00519.

    p(z)     = N(0, I)                               the prior of the hidden z, (B, d)
    p(x | z) = the likelihood around decoder(z)      see nn/likelihoods.py
    q(z | x) = N(mu, sigma^2 I)                      the encoder's guess, [mu, log sigma^2] = encoder(x)
    log p(x) >= E_q log p(x | z) - KL(q || p(z))     the ELBO: 1312.6114 eq. 3, estimated by eq. 10
    log p(x) >= E log 1/k sum_i p(x, z_i) / q(z_i | x)                      1509.00519 eq. 8

All in nats for each picture; `metrics.bits_per_dim` gives bits per dimension. Left out: the wake-sleep
comparison, and the full variational treatment of the weights (appendix F).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.nn import likelihoods
from course_lib.nn.conv import ConvDecoder, ConvEncoder
from course_lib.nn.gaussian import kl_to_standard, log_density, log_standard, reparameterize

Likelihood = Literal["gaussian", "bernoulli", "discrete"]


class Elbo(NamedTuple):
    """The two terms of the bound for each picture, (B,) in nats."""

    reconstruction: Tensor  # E_q log p(x | z), by one draw of z
    kl: Tensor  # KL(q(z | x) || p(z))

    @property
    def value(self) -> Tensor:
        """(B,), a lower bound of log p(x)."""
        return self.reconstruction - self.kl


class VAE(nn.Module):
    """Gaussian posterior, convolutional encoder and decoder, three likelihoods to choose from.

    Raises CourseError for an unknown likelihood, and for a sigma that is not positive.
    """

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"
    # of the Gaussian likelihood: a parameter where it is learnt, a buffer where it is given
    log_sigma: Tensor

    def __init__(
        self,
        latent: int = 32,  # d, the length of the code
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 1),  # residual blocks at size/2 and size/4, on both sides
        squeeze: int = 16,  # channels that enter the dense layers
        hidden: int = 0,  # width of the dense layer beside the code, 0 for none
        likelihood: Likelihood = "gaussian",
        sigma: float | None = None,  # of the Gaussian likelihood; None: one number, learnt with the rest
        lr: float = 3e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        _check(likelihood, sigma)
        self.latent, self.likelihood, self.lr, self.weight_decay = latent, likelihood, lr, weight_decay
        says = 2 * channels if likelihood == "discrete" else channels  # mean and log scale, or the mean alone
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, hidden, out=2 * latent)
        self.decoder = ConvDecoder(says, size, widths, blocks, squeeze, hidden, code=latent)
        if likelihood == "gaussian":
            if sigma is None:
                self.log_sigma = nn.Parameter(torch.tensor(math.log(0.5)))
            else:
                self.register_buffer("log_sigma", torch.tensor(math.log(sigma)))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | x): pictures (B, C, H, W) in [-1, 1] -> mu (B, d) and log sigma^2 (B, d)."""
        mu, logvar = self.encoder(x).to(x).chunk(2, dim=1)  # out of bf16: the KL wants more than 3 digits
        return mu, logvar.clamp(-12, 6)  # sigma in [0.0025, 20], so that exp() stays finite

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One z ~ q(z | x) for each picture, and its log q(z | x): (B, d), (B,)."""
        mu, logvar = self.posterior(x)
        z = reparameterize(mu, logvar)
        return z, log_density(z, mu, logvar).sum(1)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats: (B, C, H, W), (B, d) -> (B,)."""
        says = self.decoder(z).to(x)
        if self.likelihood == "gaussian":
            return likelihoods.gaussian(x, says, self.log_sigma)
        if self.likelihood == "bernoulli":
            return likelihoods.bernoulli(x, says)
        mean, log_scale = says.chunk(2, dim=1)
        return likelihoods.discretised_logistic(x, mean, log_scale.clamp(min=-7))

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x | z) as a picture, clipped to [-1, 1]: (B, d) -> (B, C, H, W). No noise is drawn.

        Of the discretised likelihood it is the median, where its logistic distribution is centred.
        """
        says = self.decoder(z)
        if self.likelihood == "bernoulli":
            return 2 * torch.sigmoid(says) - 1
        mean = says.chunk(2, dim=1)[0] if self.likelihood == "discrete" else says
        return mean.clamp(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct from the mean of q(z | x): (B, C, H, W) -> the same shape."""
        return self.decode(self.posterior(x)[0])

    def elbo(self, x: Tensor) -> Elbo:
        """Both terms of the bound, the KL in closed form."""
        mu, logvar = self.posterior(x)
        z = reparameterize(mu, logvar)  # (B, d)
        return Elbo(self.log_likelihood(x, z), kl_to_standard(mu, logvar).sum(1))

    def bound(self, x: Tensor, k: int = 1) -> Tensor:
        """The importance-weighted bound of log p(x) with k draws, (B,) in nats: 1509.00519 eq. 8.

        k = 1 is the ELBO with the KL estimated by a draw; more draws bring it closer to log p(x) from below.
        Memory grows as k * B.
        """
        many = x.repeat(k, 1, 1, 1)  # (k B, C, H, W)
        z, log_q = self.draw(many)
        log_w = self.log_likelihood(many, z) + log_standard(z).sum(1) - log_q  # (k B,)
        return torch.logsumexp(log_w.view(k, len(x)), 0) - math.log(k)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"vae": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        reconstruction, kl = (term.mean() for term in self.elbo(x))
        yield Loss("vae", kl - reconstruction, {"kl": kl.detach(), "log p(x|z)": reconstruction.detach()})

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Iterator[Step]:
        """z ~ N(0, I), then the mean of p(x | z): one step. The generator is on the device of the weights."""
        weight = next(self.decoder.parameters())
        z = torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)
        yield Step(0, 0, self.decode(z))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16), x


def _check(likelihood: str, sigma: float | None) -> None:
    if likelihood not in get_args(Likelihood):
        known = ", ".join(get_args(Likelihood))
        raise CourseError(f"likelihood must be one of {known}, got {likelihood!r}.")
    if sigma is not None and not 0 < sigma < math.inf:
        raise CourseError(f"sigma must be greater than 0, or None to learn it, got {sigma}.")
