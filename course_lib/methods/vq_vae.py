"""VQ-VAE: an autoencoder whose code is made of words from a list that it learns, the codebook.

A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning", arXiv 1711.00937.

    z   = encoder(x)                      (B, d, h, w), one vector for each place
    k   = argmin_j |z - e_j|              the nearest of K codes                                    (eq. 1)
    z_q = e_k                             (eq. 2); gradients pass from z_q to z as if it were z     (3.2)
    L   = |x - decoder(z_q)|^2 + beta |z - sg[e_k]|^2           reconstruction, commitment          (eq. 3)

The codebook learns by moving averages (appendix A.1) in place of the middle term of eq. 3: N_j and m_j are
averages of how many vectors chose code j and of their sum, and e_j = m_j / N_j. A code that hardly anybody
chooses any more is put where a vector of the batch is. Both losses are means over all numbers. Left out: the
prior over the codes (a PixelCNN there), so there are no samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.method import Loss
from course_lib.nn.spatial import SpatialDecoder, SpatialEncoder


class Quantised(NamedTuple):
    """What a codebook makes of vectors (B, d, h, w)."""

    z: Tensor  # (B, d, h, w), codes; gradients pass to the vectors unchanged
    codes: Tensor  # (B, h, w) int64, which ones


class Codebook(nn.Module):
    """K vectors of d numbers. All of it is buffers: it learns by averages, not by gradients."""

    vectors: Tensor  # (K, d), e
    counts: Tensor  # (K,), N
    sums: Tensor  # (K, d), m

    def __init__(self, size: int, dim: int, decay: float = 0.99, least: float = 0.5) -> None:
        super().__init__()
        self.size, self.decay = size, decay
        self.least = least  # vectors for each batch, on average, below which a code counts as dead
        self.register_buffer("vectors", torch.randn(size, dim) / math.sqrt(dim))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.vectors.clone())

    def forward(self, z: Tensor) -> Quantised:
        codes = self.nearest(z)
        nearest = self.look_up(codes)
        return Quantised(z + (nearest - z).detach(), codes)  # the value of one, the gradient of the other

    def nearest(self, z: Tensor) -> Tensor:
        """Vectors (B, d, h, w) -> the number of the nearest code for each, (B, h, w) int64. Eq. 1."""
        rows = z.detach().to(self.vectors).movedim(1, -1)  # (B, h, w, d)
        with torch.autocast(z.device.type, enabled=False):  # bf16 would often take the second nearest
            # |z - e|^2 without |z|^2, which is the same for all codes
            distance = self.vectors.square().sum(1) - 2 * rows @ self.vectors.T
        return distance.argmin(-1)

    def look_up(self, codes: Tensor) -> Tensor:
        """Numbers (B, h, w) -> codes (B, d, h, w)."""
        return self.vectors[codes].movedim(-1, 1)

    @torch.no_grad()
    def learn(self, z: Tensor, codes: Tensor) -> None:
        """Move each code towards the mean of the vectors z (B, d, h, w) that chose it. Eqs. 6 to 8."""
        rows = z.movedim(1, -1).flatten(0, -2)  # (B h w, d)
        chosen = F.one_hot(codes.flatten(), self.size).to(rows)  # (B h w, K)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        with torch.autocast(z.device.type, enabled=False):
            self.sums.lerp_(chosen.T @ rows, 1 - self.decay)
        dead = self.counts < self.least
        picked = rows[torch.randint(0, len(rows), (self.size,), device=rows.device)]  # (K, d)
        self.counts[dead] = 1.0
        self.sums[dead] = picked[dead]
        self.vectors.copy_(self.sums / self.counts[:, None])


class VQVAE(nn.Module):
    """Pictures through a small picture of code numbers, and back."""

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "the codebook moves between the parts of a batch"

    def __init__(
        self,
        channels: int = 3,
        widths: tuple[int, ...] = (32, 64),  # channels at size/2, size/4, ...: codes at the smallest of them
        blocks: int = 2,  # residual blocks at each size, on both sides
        codes: int = 256,  # K
        dim: int = 16,  # d, numbers of a code
        beta: float = 0.25,  # weight of the commitment
        decay: float = 0.99,  # of the codebook's averages
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.beta, self.lr, self.weight_decay = beta, lr, weight_decay
        self.encoder = SpatialEncoder(channels, widths, blocks, dim)
        self.codebook = Codebook(codes, dim, decay)
        self.decoder = SpatialDecoder(channels, widths, blocks, dim)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) in [-1, 1] -> its reconstruction, same shape and range."""
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) -> code numbers (B, h, w) int64."""
        return self.codebook.nearest(self.encoder(x))

    def decode(self, codes: Tensor) -> Tensor:
        """Code numbers (B, h, w) -> pictures (B, C, H, W) in [-1, 1]."""
        return self.decoder(self.codebook.look_up(codes)).clamp(-1, 1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"vq": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, x: Tensor, step: int) -> Iterator[Loss]:
        z = self.encoder(x).to(x)  # out of bf16: which code is nearest wants more than 3 digits
        z_q, codes = self.codebook(z)
        reconstruction = F.mse_loss(self.decoder(z_q).to(x), x)
        commitment = F.mse_loss(z, z_q.detach())
        if self.training:
            self.codebook.learn(z.detach(), codes)
        logs = {
            "reconstruction": reconstruction.detach(),
            "commitment": commitment.detach(),
            "perplexity": perplexity(codes, self.codebook.size),
        }
        yield Loss("vq", reconstruction + self.beta * commitment, logs)

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(channels=1, widths=(8, 8), blocks=1, codes=16, dim=4, lr=1e-2), x


def perplexity(codes: Tensor, size: int) -> Tensor:
    """exp(entropy) of how often each of `size` codes is used, (): 1 for one alone, `size` for all equally."""
    share = codes.flatten().bincount(minlength=size).double() / codes.numel()
    return torch.special.entr(share).sum().exp()
