"""Gaussians with a diagonal covariance, as variational autoencoders use them.

Each is given by its mean `mu` and by `logvar`, the logarithm of its *variance*; sigma = exp(logvar / 2).
All are in nats and per dimension: sum over the last axis for the whole vector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def reparameterize(mu: Tensor, logvar: Tensor) -> Tensor:
    """z = mu + sigma * eps with eps ~ N(0, I): a draw that gradients pass through. (B, d), (B, d) -> (B, d).

    Source: D. P. Kingma, M. Welling, arXiv 1312.6114, section 2.4.
    """
    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)


def kl_to_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) in nats for each dimension, same shape as `mu`, never negative.

    Source: 1312.6114, appendix B, with the opposite sign.
    """
    # expm1(v) is exp(v) - 1 without the rounding, which near the prior is larger than the KL itself
    return (mu.square() + torch.expm1(logvar) - logvar) / 2


def log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mu, sigma^2) in nats for each dimension, same shape as `z`."""
    return -(math.log(2 * math.pi) + logvar + (z - mu).square() * torch.exp(-logvar)) / 2


def log_standard(z: Tensor) -> Tensor:
    """log N(z; 0, 1) in nats for each dimension, same shape as `z`."""
    return -(math.log(2 * math.pi) + z.square()) / 2
