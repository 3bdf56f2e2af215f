"""KL autoencoder: a picture through a small picture of a few channels and back, made for diffusion there.

R. Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752, section
3.1 and appendix G. A variational autoencoder with so small a weight of the KL term that it is an autoencoder
whose code stays near N(0, I) and smooth.

    q(z | x) = N(mu, sigma^2), [mu, log sigma^2] = encoder(x), (B, c, h, w) each
    L = |x - x_hat| + edge |dx - dx_hat| + kl KL(q || N(0, I))         means over all numbers

dx are the differences between neighbouring pixels: with them lines stay sharp (M. Mathieu et al., arXiv
1511.05440, eq. 6). The paper has a perceptual and an adversarial loss for that, left out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from course_lib.method import Loss
from course_lib.nn.gaussian import kl_to_standard, reparameterize
from course_lib.nn.spatial import SpatialDecoder, SpatialEncoder


class KLAutoencoder(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] to latents (B, latent, H / f, W / f) and back; f = 2**len(widths)."""

    ema: tuple[str, ...] = ("encoder", "decoder")

    def __init__(
        self,
        channels: int = 3,
        latent: int = 4,  # c, channels of the latent
        widths: tuple[int, ...] = (32, 64),  # channels at size/2, size/4, ...
        blocks: int = 2,  # residual blocks at each size, on both sides
        kl: float = 1e-4,  # weight of the KL term
        edge: float = 1.0,  # weight of the differences between neighbours
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.latent, self.factor = latent, 2 ** len(widths)
        self.kl, self.edge, self.lr, self.weight_decay = kl, edge, lr, weight_decay
        self.encoder = SpatialEncoder(channels, widths, blocks, 2 * latent)
        self.decoder = SpatialDecoder(channels, widths, blocks, latent)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | x): pictures (B, C, H, W) -> mu and log sigma^2, (B, c, h, w) each."""
        mu, logvar = self.encoder(x).to(x).chunk(2, dim=1)
        return mu, logvar.clamp(-20, 6)  # so that exp() stays finite

    def encode(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) -> the means of their latents, (B, c, h, w)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, c, h, w) -> pictures (B, C, H, W) in [-1, 1]."""
        return self.decoder(z).clamp(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> its reconstruction from the mean of the latent."""
        return self.decode(self.encode(x))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"ae": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        mu, logvar = self.posterior(x)
        made = self.decoder(reparameterize(mu, logvar)).to(x)
        l1, edges, kl = (made - x).abs().mean(), edge_error(made, x), kl_to_standard(mu, logvar).mean()
        logs = {"L1": l1.detach(), "edges": edges.detach(), "kl": kl.detach()}
        yield Loss("ae", l1 + self.edge * edges + self.kl * kl, logs)

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(channels=1, latent=2, widths=(8, 8), blocks=1, lr=1e-2), x


def edge_error(made: Tensor, x: Tensor) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels, down and across; (B, C, H, W) both
    -> (). 1511.05440 eq. 6 with alpha = 1, but signed differences."""
    error = made - x
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
