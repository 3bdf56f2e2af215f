"""Autoencoders: learn to copy a picture through a code that is too small for it.

G. E. Hinton, R. R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313
(2006). P. Baldi, K. Hornik, "Neural networks and principal component analysis", 1989: with
linear maps the best code spans the space of the leading principal components.

    z     = f(x)                 the encoder, (B, C, H, W) -> (B, d)
    x_hat = g(z)                 the decoder, (B, d) -> (B, C, H, W)
    L     = mean |x - x_hat|^2   the reconstruction error, over batch, channels and pixels

Left out: tied weights and layer-wise pre-training, which normalisation and Adam made unnecessary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.method import Loss
from course_lib.nn.conv import ConvDecoder, ConvEncoder


class LinearAutoencoder(nn.Module):
    """f and g are one matrix each. Trained to the end, its error is that of PCA with `latent` components."""

    ema: tuple[str, ...] = ()

    def __init__(
        self,
        latent: int = 32,  # d, the length of the code
        channels: int = 1,
        size: int = 28,  # height and width in pixels
        lr: float = 1e-3,
    ) -> None:
        super().__init__()
        self.latent, self.lr = latent, lr
        pixels = channels * size**2
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, pixels), nn.Unflatten(1, (channels, size, size)))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> x_hat of the same shape."""
        return self.decoder(self.encoder(x))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"ae": torch.optim.Adam(self.parameters(), self.lr)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        yield Loss("ae", F.mse_loss(self(x), x))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        return cls(latent=4, size=8), _tiny_batch()


class Autoencoder(nn.Module):
    """Convolutional encoder and decoder around a code of any length."""

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"

    def __init__(
        self,
        latent: int = 32,  # d, the length of the code
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 1),  # residual blocks at size/2 and size/4, on both sides
        squeeze: int = 16,  # channels that enter the dense layers
        hidden: int = 0,  # width of the dense layer beside the code, 0 for none
        lr: float = 5e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.latent, self.lr, self.weight_decay = latent, lr, weight_decay
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, hidden, out=latent)
        self.decoder = ConvDecoder(channels, size, widths, blocks, squeeze, hidden, code=latent)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) in [-1, 1] -> x_hat of the same shape."""
        return self.decoder(self.encoder(x))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"ae": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        yield Loss("ae", F.mse_loss(self(x), x))

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        return cls(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16), _tiny_batch()


@torch.no_grad()
def reconstruction_error(model: nn.Module, x: Tensor, *, batch: int = 500) -> Tensor:
    """Mean squared error of each picture's reconstruction, in [-1, 1] units; x (N, C, H, W) -> (N,).

    This is also the outlier score: what the autoencoder has not learnt to copy, it copies badly.
    """
    return torch.cat([(model(b) - b).square().flatten(1).mean(1) for b in x.split(batch)])


def _tiny_batch() -> Tensor:
    return torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
