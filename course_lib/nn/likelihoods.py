"""How probable a picture is, given what a decoder says about it: log p(x | z), in nats.

Every function takes pictures x (B, C, H, W) in [-1, 1] and gives one number for each picture, (B,): the sum
over its pixels and channels, since given z they are independent.

Only the discretised ones speak of the pictures as they are, with 256 levels. Their values are logarithms of
probabilities, never above 0, and in bits per dimension they compare with published ones. `gaussian` is a
density: it has no upper end, and its value depends on the unit of a pixel. `bernoulli` takes a grey value
for a probability, which is exact for black and white alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256
HALF = 1 / (LEVELS - 1)  # half the distance between two neighbouring levels in [-1, 1]


def bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Each pixel is a coin: sum of y log p + (1 - y) log(1 - p), where y = (x + 1) / 2, p = sigmoid(logits).

    Source: D. P. Kingma, M. Welling, arXiv 1312.6114, appendix C.1.
    """
    y = (x + 1) / 2
    return -F.binary_cross_entropy_with_logits(logits, y, reduction="none").flatten(1).sum(1)


def gaussian(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """log N(x; mean, sigma^2 I). log_sigma: one number, or one for each pixel. 1312.6114, appendix C.2."""
    square = ((x - mean) * torch.exp(-log_sigma)).square()
    return -(square / 2 + log_sigma + math.log(2 * math.pi) / 2).flatten(1).sum(1)


def discretised_logistic(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability of the level of each pixel: the mass of a logistic distribution in the level's bin.

    P(x) = sigmoid(a) - sigmoid(b) with a, b = (x +- 1/255 - mean) / scale; the bins of -1 and 1 reach to
    infinity. Written as sigmoid(a) sigmoid(-b) (1 - exp(b - a)), whose logarithm neither cancels nor is
    log(0): it and its gradients are finite for log_scale in [-60, 60]. x must stand on the 256 levels.
    Source: T. Salimans et al., PixelCNN++, arXiv 1701.05517, eq. 2, with one component.
    """
    inverse = torch.exp(-log_scale)
    a, b = (x - mean + HALF) * inverse, (x - mean - HALF) * inverse
    below = torch.where(x > 1 - HALF, torch.zeros_like(a), F.logsigmoid(a))  # the bin of 1 has no upper end
    above = torch.where(x < HALF - 1, torch.zeros_like(b), F.logsigmoid(-b))  # the bin of -1 no lower one
    inside = (x.abs() < 1 - HALF).to(x)
    width = torch.log(-torch.expm1(-2 * HALF * inverse))
    return (below + above + inside * width).flatten(1).sum(1)


def discretised_gaussian(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """Log-probability of the level of each pixel: the mass of N(mean, sigma^2) in the level's bin.

    P(x) = Phi(a) - Phi(b) with a, b = (x +- 1/255 - mean) / sigma; the bins of -1 and 1 reach to infinity. In
    float64 inside and as log Phi(a) + log(1 - Phi(b) / Phi(a)), of the two tails the shorter one, so that it
    is finite for log_sigma in [-60, 20], and its gradients are for means up to 10^6 sigma away. x must stand
    on the 256 levels; log_sigma: one number, or any shape that broadcasts. Source: DDPM, arXiv 2006.11239,
    eq. 13.
    """
    away, inverse = x.double() - mean.double(), torch.exp(-log_sigma.double())
    a, b = (away + HALF) * inverse, (away - HALF) * inverse
    above = away > 0  # mirrored, such a bin lies in the lower tail, where log Phi has digits
    upper, lower = torch.where(above, -b, a), torch.where(above, -a, b)
    log_upper = torch.special.log_ndtr(upper)
    inside = log_upper + torch.log(-torch.expm1(torch.special.log_ndtr(lower) - log_upper))
    value = torch.where(x > 1 - HALF, torch.special.log_ndtr(-b), inside)  # the bin of 1 has no upper end
    value = torch.where(x < HALF - 1, torch.special.log_ndtr(a), value)  # the bin of -1 no lower one
    return value.flatten(1).sum(1).to(x)
