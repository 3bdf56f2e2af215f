"""Debiasing variational autoencoder: a classifier whose own VAE says which training pictures are rare.

A. Amini, A. Soleimany, W. Schwarting, S. Bhatia, D. Rus, "Uncovering and Mitigating Algorithmic Bias through
Learned Latent Structure", AIES 2019, doi 10.1145/3306618.3314243.

    [logit, mu, log sigma^2] = encoder(x)              one more output than the encoder of a VAE has
    L     = L_class + y * c * (KL - log p(x | z))      y = 1 for the class of interest, 0 for the other
    W(x) ~= prod_i 1 / (Q_i(mu_i(x)) + alpha)          Q_i: histogram of the i-th number of the codes

Each epoch first computes W for all pictures of the class of interest and then draws them with these
probabilities (algorithm 1; the loop is `course_lib.bias.train_debiasing`). No labels of groups are used.
Pictures of the other class give no gradient to the VAE part: y multiplies the VAE's terms, *not* L_class.

Changed: the paper weighs an L_p error and the KL by hand (c2, c3); here both are the ELBO of `vae.py` with
its learnt sigma, in nats per pixel and channel. Left out: choosing alpha for each data set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.vae import Elbo
from course_lib.nn import likelihoods
from course_lib.nn.conv import ConvDecoder, ConvEncoder
from course_lib.nn.gaussian import kl_to_standard, reparameterize


class Seen(NamedTuple):
    """What the encoder says about pictures."""

    logit: Tensor  # (B,), above 0 for the class of interest
    mu: Tensor  # (B, d)
    logvar: Tensor  # (B, d), log sigma^2


class PlainClassifier(nn.Module):
    """An encoder with the logit alone, without a VAE: what the repairs are compared on."""

    ema: tuple[str, ...] = ("encoder",)
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"

    def __init__(
        self,
        channels: int = 3,
        size: int = 32,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (16, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 0),
        squeeze: int = 16,
        lr: float = 4e-3,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__()
        self.lr, self.weight_decay = lr, weight_decay
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, out=1)

    def logit(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] -> (B,), above 0 for the class of interest."""
        return self.encoder(x)[:, 0].to(x)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"classifier": torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = (x, y), y (B,) int64, 1 for the class of interest."""
        x, y = batch
        yield Loss("classifier", F.binary_cross_entropy_with_logits(self.logit(x), y.to(x)))

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        return cls(channels=1, size=8, widths=(4, 8), squeeze=4), _tiny_batch()


class DebiasingVAE(nn.Module):
    """A VAE of the class of interest and a classifier that share one encoder."""

    ema: tuple[str, ...] = ("encoder", "decoder")
    batch_statistics = "batch normalisation: a sample's gradient depends on its batch"

    def __init__(
        self,
        latent: int = 8,  # d, the length of the code
        channels: int = 3,
        size: int = 32,  # height and width in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and size/4
        blocks: tuple[int, int] = (0, 0),
        squeeze: int = 16,
        elbo_weight: float = 1.0,  # c, of the ELBO in nats per pixel and channel
        lr: float = 4e-3,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__()
        self.latent, self.lr, self.weight_decay = latent, lr, weight_decay
        self.scale = elbo_weight / (channels * size**2)
        self.encoder = ConvEncoder(channels, size, widths, blocks, squeeze, out=1 + 2 * latent)
        self.decoder = ConvDecoder(channels, size, widths, blocks, squeeze, code=latent)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(0.5)))  # of the Gaussian likelihood

    def see(self, x: Tensor) -> Seen:
        """Class and q(z | x) of pictures (B, C, H, W) in [-1, 1], in one pass."""
        says = self.encoder(x).to(x)  # (B, 1 + 2d)
        mu, logvar = says[:, 1:].chunk(2, dim=1)
        return Seen(says[:, 0], mu, logvar.clamp(-12, 6))

    def logit(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [-1, 1] -> (B,), above 0 for the class of interest."""
        return self.see(x).logit

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x | z), clipped to [-1, 1]: (B, d) -> (B, C, H, W)."""
        return self.decoder(z).clamp(-1, 1)

    def elbo(self, x: Tensor, mu: Tensor, logvar: Tensor) -> Elbo:
        """Both terms of the bound for pictures x with the posteriors that `see` gave them, (B,) in nats."""
        z = reparameterize(mu, logvar)  # (B, d)
        log_p = likelihoods.gaussian(x, self.decoder(z).to(x), self.log_sigma)
        return Elbo(log_p, kl_to_standard(mu, logvar).sum(1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"debiasing": torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = (x, y), y (B,) int64, 1 for the class of interest."""
        x, y = batch
        seen = self.see(x)
        loss = classification = F.binary_cross_entropy_with_logits(seen.logit, y.to(x))
        mine = y == 1
        if mine.any():
            # Picked, not multiplied by y: as part of the decoder's batch statistics the others would count.
            elbo = self.elbo(x[mine], seen.mu[mine], seen.logvar[mine]).value  # (people,)
            loss = classification - self.scale * elbo.sum() / len(x)
        yield Loss("debiasing", loss, {"classification": classification.detach()})

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Iterator[Step]:
        """z ~ N(0, I), then the mean of p(x | z): pictures of the class of interest, in one step."""
        weight = next(self.decoder.parameters())
        z = torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)
        yield Step(0, 0, self.decode(z))

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        return cls(latent=3, channels=1, size=8, widths=(4, 8), squeeze=4), _tiny_batch()


def latent_weights(mu: Tensor, *, bins: int = 10, alpha: float = 0.3) -> Tensor:
    """Probabilities that are high where codes are rare: mu (N, d) -> (N,) float64 that sum to 1.

    W = prod_i 1 / (Q_i(mu_i) + alpha), where Q_i is the share of all codes whose i-th number lies in the same
    of `bins` equal parts of its range. A small alpha favours the rare more. The numbers of a code are taken
    for independent. Raises CourseError for no codes, bins below 1 or alpha that is not positive.
    """
    if mu.dim() != 2 or not len(mu) or bins < 1 or not alpha > 0:
        raise CourseError(
            f"Weights need codes (N, d), bins of at least 1 and a positive alpha, got {tuple(mu.shape)}, "
            f"{bins} and {alpha}."
        )
    mu = mu.double()
    low, high = mu.amin(0), mu.amax(0)
    place = (mu - low) / (high - low).clamp(min=1e-12)  # (N, d) in [0, 1]
    part = (place * bins).long().clamp(max=bins - 1)  # (N, d), which part each number lies in
    counts = F.one_hot(part, bins).sum(0)  # (d, bins)
    share = counts.gather(1, part.T).T.double() / len(mu)  # (N, d): Q_i(mu_i)
    return (-torch.log(share + alpha).sum(1)).softmax(0)  # the product as a sum of logs, against underflow


def _tiny_batch() -> tuple[Tensor, Tensor]:
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return x, torch.arange(8) % 2
