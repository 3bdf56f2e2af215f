"""Denoising autoencoders: repair a damaged picture, and so learn what pictures look like.

P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and Composing Robust Features with Denoising
Autoencoders", ICML 2008; the noise types are those of its journal version (JMLR 11, 2010, section 3.3).

    x_tilde ~ q(x_tilde | x)               damage: Gaussian noise, salt and pepper, or a missing square
    L       = mean |x - g(f(x_tilde))|^2   compare with the clean picture, not with the damaged one

The best g(f(.)) is the posterior mean E[x | x_tilde]. That is why its output is a little blurred, and it is
the seed of diffusion models (notebook 06). Left out: stacking, and the emphasis on damaged pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.method import Loss
from course_lib.nn.augment import random_square
from course_lib.nn.conv import ConvDecoder, ConvEncoder


def gaussian(x: Tensor, sigma: float = 0.5, *, generator: torch.Generator | None = None) -> Tensor:
    """x + sigma * noise, for pictures in [-1, 1]. The result leaves that range and is not clipped."""
    return x + sigma * torch.randn(x.shape, generator=generator, device=x.device)


def salt_and_pepper(x: Tensor, share: float = 0.25, *, generator: torch.Generator | None = None) -> Tensor:
    """Each pixel becomes -1 or 1, with equal chance, with probability `share`."""
    u = torch.rand(x.shape, generator=generator, device=x.device)
    return x.masked_fill(u < share, 1.0).masked_fill(u < share / 2, -1.0)


def missing_square(x: Tensor, side: int = 10) -> tuple[Tensor, Tensor]:
    """Set a random square to 0, mid-grey. Returns picture and mask (B, 1, H, W), True where missing."""
    mask = random_square(x, side)
    return x.masked_fill(mask, 0.0), mask


class DenoisingAutoencoder(nn.Module):
    """One network for all three kinds of damage: each batch is split among them, with varying strength."""

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"

    def __init__(
        self,
        latent: int = 64,  # longer than for copying: the code carries the detail, the damage limits it
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),
        blocks: tuple[int, int] = (0, 1),
        squeeze: int = 16,
        hidden: int = 0,
        lr: float = 5e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.latent, self.lr, self.weight_decay = latent, lr, weight_decay
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, hidden, out=latent)
        self.decoder = ConvDecoder(channels, size, widths, blocks, squeeze, hidden, code=latent)

    def forward(self, x: Tensor) -> Tensor:
        """A damaged picture (B, C, H, W) -> its repair, of the same shape."""
        return self.decoder(self.encoder(x))

    def inpaint(self, x: Tensor, mask: Tensor) -> Tensor:
        """Fill the pixels where `mask` (B, 1, H, W) is True from the reconstruction; keep the others."""
        return torch.where(mask, self(x.masked_fill(mask, 0.0)), x)

    def damage(self, x: Tensor) -> Tensor:
        """q(x_tilde | x): a third of the batch each gets noise (sigma up to 0.7), salt and pepper (on up to
        40 % of the pixels) or a missing square (up to half as wide as the picture)."""
        a, b, c = x.tensor_split(3)
        a = a + 0.7 * torch.rand(len(a), 1, 1, 1, device=x.device) * torch.randn_like(a)
        b = salt_and_pepper(b, 0.4 * torch.rand((), device=x.device).item())
        side = int(torch.randint(2, x.shape[-1] // 2 + 1, ()))
        return torch.cat([a, b, missing_square(c, side)[0]])

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"ae": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        yield Loss("ae", F.mse_loss(self(self.damage(x)), x))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16), x
