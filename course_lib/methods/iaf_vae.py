"""Inverse autoregressive flow (IAF): a VAE whose posterior may bend and correlate.

D. P. Kingma, T. Salimans, R. Jozefowicz, X. Chen, I. Sutskever, M. Welling, "Improving Variational Inference
with Inverse Autoregressive Flow", NIPS 2016, arXiv 1606.04934. The masked networks are those of MADE, M.
Germain et al., arXiv 1502.03509 (see nn/made.py).

    mu_0, log sigma_0^2, h = encoder(x)            h, the context, is what the flow is told about x
    z_0 = mu_0 + sigma_0 * eps                     where VAE stops                     eq. 9, algorithm 1
    m_t, s_t = masked network_t(z_{t-1}, h)        entry i sees z_{t-1}[:i] only               eq. 12
    sigma_t  = sigmoid(s_t)                                                                    eq. 13
    z_t = sigma_t * z_{t-1} + (1 - sigma_t) * m_t  a gate between what was and what is new     eq. 14
    log q(z_T | x) = log N(z_0; mu_0, sigma_0^2) - sum_t sum_i log sigma_t,i                   eq. 11

Each step has a triangular Jacobian with sigma_t on its diagonal, so its log-determinant is a sum. The order
of the numbers is reversed after a step. The KL has no closed form any more: one draw estimates it. Left out:
the ladder of latents with its bidirectional inference, convolutional masks, and free bits.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.methods.vae import VAE, Elbo, Likelihood
from course_lib.nn.conv import ConvEncoder
from course_lib.nn.gaussian import log_density, log_standard, reparameterize
from course_lib.nn.made import MADE


class IAFStep(nn.Module):
    """One step of the flow, eqs. 12 to 14: (B, d), context (B, c) -> (B, d) and log |det dz'/dz|, (B,)."""

    def __init__(self, d: int, hidden: int, context: int, forget: float) -> None:
        super().__init__()
        self.made, self.forget = MADE(d, hidden, context=context), forget

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        m, s = (part.to(z) for part in self.made(z, h))
        s = s + self.forget
        gate = torch.sigmoid(s)
        return gate * z + (1 - gate) * m, F.logsigmoid(s).sum(1)


class IAF(nn.Module):
    """Several steps with the order of the numbers reversed after each: (B, d), (B, c) -> (B, d), (B,)."""

    def __init__(
        self,
        d: int,  # length of z
        steps: int = 2,
        hidden: int = 64,  # units of each masked network
        context: int = 32,  # c, the length of h
        forget: float = 2.0,  # added to s: sigmoid(2) = 0.88, so the flow starts near the identity
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(IAFStep(d, hidden, context, forget) for _ in range(steps))

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(len(z))
        for step in self.steps:
            z, change = step(z, h)
            z, log_det = z.flip(1), log_det + change  # a permutation has determinant 1 or -1
        return z, log_det


class IAFVAE(VAE):
    """A VAE whose draw goes through an inverse autoregressive flow. Prior and decoder are the VAE's."""

    ema: tuple[str, ...] = ("encoder", "flow", "decoder")

    def __init__(
        self,
        latent: int = 32,  # d, the length of the code
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 1),  # residual blocks at size/2 and size/4, on both sides
        squeeze: int = 16,  # channels that enter the dense layers
        hidden: int = 0,  # width of the dense layer beside the code, 0 for none
        flow_steps: int = 2,
        flow_hidden: int = 64,  # units of each masked network
        context: int = 32,  # length of h
        likelihood: Likelihood = "gaussian",
        sigma: float | None = None,  # of the Gaussian likelihood; None: one number, learnt with the rest
        lr: float = 3e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            latent, channels, size, widths, blocks, squeeze, hidden, likelihood, sigma, lr, weight_decay
        )
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, hidden, out=2 * latent + context)
        self.flow = IAF(latent, flow_steps, flow_hidden, context)

    def start(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the flow starts: pictures (B, C, H, W) -> mu_0 (B, d), log sigma_0^2 (B, d), h (B, c)."""
        says = self.encoder(x).to(x)
        mu, logvar, h = says.tensor_split((self.latent, 2 * self.latent), dim=1)
        return mu, logvar.clamp(-12, 6), F.silu(h)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu_0 and log sigma_0^2, (B, d) each: the Gaussian of z_0, *before* the flow. `draw` gives codes."""
        return self.start(x)[:2]

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One z ~ q(z | x) for each picture, and its log q(z | x): (B, d), (B,). Eq. 11."""
        mu, logvar, h = self.start(x)
        z0 = reparameterize(mu, logvar)  # (B, d)
        z, log_det = self.flow(z0, h)
        return z, log_density(z0, mu, logvar).sum(1) - log_det

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct from where the flow takes mu_0: (B, C, H, W) -> the same shape."""
        mu, _, h = self.start(x)
        return self.decode(self.flow(mu, h)[0])

    def elbo(self, x: Tensor) -> Elbo:
        """Both terms of the bound, the KL by the same draw: log q(z | x) - log p(z), at times negative."""
        z, log_q = self.draw(x)
        return Elbo(self.log_likelihood(x, z), log_q - log_standard(z).sum(1))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        model = cls(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16, flow_hidden=8, context=4)
        return model, VAE.tiny()[1]
