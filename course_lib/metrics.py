"""How good is a set of pictures? Distances between distributions, and error measures between pictures.

Every distance here is measured on the features of a frozen network of this course (`fashion_features`,
`people_features`), so its values compare with each other and not with those of papers, whose features differ.
Beside a score belongs its floor: the same distance for real training pictures.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.image.fid import FrechetInceptionDistance


def frechet_distance(real: Tensor, made: Tensor, features: nn.Module, *, batch: int = 500) -> float:
    """Fréchet distance between two sets of pictures: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    m and S are mean and covariance of `features` (a module with `num_features`). real (N, C, H, W), made
    (M, C, H, W) in [-1, 1]; N and M at least 2. 0 for equal distributions, in squared units of the features;
    it falls with the number of samples, so compare equal numbers. M. Heusel et al., arXiv 1706.08500.
    """
    _check_sets(real, made, least=2)
    fid = FrechetInceptionDistance(feature=features).to(real.device)
    for x in real.split(batch):
        fid.update(x, real=True)
    for x in made.split(batch):
        fid.update(x, real=False)
    return fid.compute().item()


def bits_per_dim(nats: float, dims: int) -> float:
    """A log-likelihood of a whole picture in nats, usually negative -> bits for each of its `dims` numbers.

    For pictures of 256 levels and a likelihood over these levels: 8 is what no knowledge at all costs.
    """
    return -nats / (dims * math.log(2))


class PrecisionRecall(NamedTuple):
    """Both in [0, 1]. Precision: how many made samples look real. Recall: how much of the real is covered."""

    precision: float
    recall: float


def precision_recall(real: Tensor, made: Tensor, *, k: int = 3) -> PrecisionRecall:
    """Precision and recall by nearest-neighbour manifolds; real (N, F) and made (M, F) are *features*.

    A set's manifold is the union of balls around its points, each reaching to the point's k-th neighbour.
    Precision is the share of made points inside the real manifold, recall the share of real points inside the
    made one. T. Kynkäänniemi et al., arXiv 1904.06991, eqs. 1 to 3. Time grows as N * M.
    """
    _check_sets(real, made, least=k + 1)
    return PrecisionRecall(_inside(made, real, k), _inside(real, made, k))


def _inside(points: Tensor, manifold: Tensor, k: int, *, rows: int = 500) -> float:
    """Share of `points` that lie in at least one ball of the manifold, `rows` of them at a time: 10,000
    against 10,000 keep 40 MB of distances in memory, not 800."""
    # in float32 cdist loses small distances between points far from the origin
    points, manifold = points.double(), manifold.double()
    # the k-th neighbour other than the point itself, which is at distance 0; topk is faster than kthvalue
    near = [torch.cdist(m, manifold).topk(k + 1, largest=False).values for m in manifold.split(rows)]
    radius = torch.cat(near)[:, k]  # (N,)
    inside = torch.cat([(torch.cdist(p, manifold) <= radius).any(1) for p in points.split(rows)])
    return inside.float().mean().item()


class ModeCoverage(NamedTuple):
    """covered: how many modes are. high_quality: the share of samples that lie at a mode, in [0, 1]."""

    covered: int
    high_quality: float


def mode_coverage(x: Tensor, centres: Tensor, std: float, *, least: float = 0.2) -> ModeCoverage:
    """Which modes of a mixture do samples reach? x (N, d), centres (K, d), the modes' standard deviation.

    A sample is of high quality if it lies within 3 std of its nearest centre. A mode is covered if the
    samples of high quality that are nearest to it number at least `least` of its fair share N / K. Of true
    samples in the plane 1 - e^(-9/2) = 98.9% are of high quality. After A. Srivastava et al. (VEEGAN), arXiv
    1705.07761, section 4, where one such sample is enough; `least` does not count a mode hit by chance.
    """
    _check_sets(centres, x, least=1)
    if not std > 0:
        raise ValueError(f"std must be greater than 0, got {std}.")
    distance, nearest = torch.cdist(x.double(), centres.double()).min(1)  # (N,), (N,)
    good = distance <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(centres))  # (K,)
    covered = counts >= least * len(x) / len(centres)
    return ModeCoverage(int((covered & (counts > 0)).sum()), good.double().mean().item())


@torch.no_grad()
def embed(features: nn.Module, x: Tensor, *, batch: int = 500) -> Tensor:
    """Features of many pictures, a batch at a time: (N, C, H, W) -> (N, F)."""
    return torch.cat([features(b) for b in x.split(batch)])


def psnr(x: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1]: 10 log10(4 / mean squared error)."""
    return peak_signal_noise_ratio(x, truth, data_range=2.0).item()


def _check_sets(real: Tensor, made: Tensor, *, least: int) -> None:
    for name, x in (("real", real), ("made", made)):
        if len(x) < least:
            raise ValueError(f"The {name} set has {len(x)} samples, this measure needs at least {least}.")
        if not torch.isfinite(x).all():
            raise ValueError(f"The {name} set holds NaN or infinite values: look at its pictures first.")
    if real.shape[1:] != made.shape[1:]:
        raise ValueError(f"The sets differ in shape: {tuple(real.shape[1:])} and {tuple(made.shape[1:])}.")
