"""How a network is told a number: as a row of waves, slow and fast."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoidal(t: Tensor, width: int, *, longest: float = 10_000.0) -> Tensor:
    """Cosines and sines of t, (B,) -> (B, width), width even; the type of t if that is a float, else float32.

    The wavelengths rise geometrically from 2 pi to nearly 2 pi `longest`, so it suits numbers of the order of
    0 to 1000: multiply a time in [0, 1] by 1000. A. Vaswani et al., arXiv 1706.03762, section 3.5.
    """
    t = t if t.is_floating_point() else t.float()
    half = width // 2
    exponents = torch.arange(half, device=t.device, dtype=t.dtype) / half
    angles = t[:, None] * torch.exp(-math.log(longest) * exponents)  # (B, width / 2)
    return torch.cat([angles.cos(), angles.sin()], 1)
