"""Conditional variational autoencoders (CVAE): encoder and decoder are both told the class.

K. Sohn, H. Lee, X. Yan, "Learning Structured Output Representation using Deep Conditional Generative
Models", NeurIPS 2015; D. P. Kingma et al., "Semi-supervised Learning with Deep Generative Models",
arXiv 1406.5298, model M2.

    log p(x | y) >= E_q(z | x, y) log p(x | y, z) - KL(q(z | x, y) || p(z))   1406.5298 eq. 6 without log p(y)

The prior p(z) = N(0, I) does not depend on y, so z need not carry the class and is left with what varies
*within* one: cut, brightness, sleeves. Left out: a prior of each class (NeurIPS 2015, eq. 4), and data
without labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.vae import Elbo
from course_lib.nn import likelihoods
from course_lib.nn.conv import ConvDecoder, ConvEncoder
from course_lib.nn.gaussian import kl_to_standard, reparameterize


class ConditionalVAE(nn.Module):
    """The VAE of `vae.py` with Bernoulli's likelihood, where y enters both networks as a one-hot vector."""

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"

    def __init__(
        self,
        classes: int = 10,
        latent: int = 16,  # d, the length of the code
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),
        blocks: tuple[int, int] = (0, 1),
        squeeze: int = 16,
        hidden: int = 0,
        lr: float = 3e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.classes, self.latent, self.lr, self.weight_decay = classes, latent, lr, weight_decay
        self.encoder = ConvEncoder(channels + classes, size, widths, blocks, squeeze, hidden, out=2 * latent)
        self.decoder = ConvDecoder(channels, size, widths, blocks, squeeze, hidden, code=latent + classes)

    def posterior(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | x, y): x (B, C, H, W) in [-1, 1], y (B,) int64 -> mu (B, d) and log sigma^2 (B, d)."""
        planes = self._one_hot(y).to(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])  # (B, classes, H, W)
        mu, logvar = self.encoder(torch.cat([x, planes], 1)).to(x).chunk(2, dim=1)
        return mu, logvar.clamp(-12, 6)

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """The mean of p(x | y, z) in [-1, 1]: (B, d), (B,) int64 -> (B, C, H, W). No pixel noise is drawn."""
        return 2 * torch.sigmoid(self._logits(z, y)) - 1

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Reconstruct from the mean of q(z | x, y)."""
        return self.decode(self.posterior(x, y)[0], y)

    def elbo(self, x: Tensor, y: Tensor) -> Elbo:
        """Both terms of the bound of log p(x | y), the KL in closed form."""
        mu, logvar = self.posterior(x, y)
        z = reparameterize(mu, logvar)  # (B, d)
        log_p = likelihoods.bernoulli(x, self._logits(z, y).to(x))
        return Elbo(log_p, kl_to_standard(mu, logvar).sum(1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"vae": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = (x (B, C, H, W), y (B,) int64)."""
        reconstruction, kl = (term.mean() for term in self.elbo(*batch))
        yield Loss("vae", kl - reconstruction, {"kl": kl.detach(), "log p(x|z)": reconstruction.detach()})

    @torch.no_grad()
    def sample(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        label: int | Tensor | None = None,  # one class, or (n,) int64; None: every class in turn
    ) -> Iterator[Step]:
        """z ~ N(0, I), then the mean of p(x | y, z): one step. Raises CourseError for an unknown label."""
        weight = next(self.decoder.parameters())
        z = torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)
        y = torch.arange(n) % self.classes if label is None else torch.as_tensor(label)
        if y.shape not in ((), (n,)):
            raise CourseError(f"label must be one number or {n}, one for each picture, got {len(y)}.")
        if y.min() < 0 or y.max() >= self.classes:
            raise CourseError(f"label must be from 0 to {self.classes - 1}, got {label}.")
        yield Step(0, 0, self.decode(z, y.expand(n).to(weight.device)))

    def _logits(self, z: Tensor, y: Tensor) -> Tensor:
        return self.decoder(torch.cat([z, self._one_hot(y).to(z)], 1))

    def _one_hot(self, y: Tensor) -> Tensor:
        """(B,) int64 -> (B, classes)."""
        return F.one_hot(y, self.classes)

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        # black and white: grey noise cannot be learnt by heart, for its coins keep their entropy
        x = (torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5).sign()
        small = cls(classes=4, latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16)
        return small, (x, torch.arange(8) % 4)
