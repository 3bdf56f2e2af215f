"""The noise that a page draws, repeated in numpy: a pure function of (seed, stream)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint32(0x9E3779B9)


def page_noise(seed: int, count: int, stream: int = 0) -> NDArray[np.float32]:
    """`count` draws of N(0, 1), float32, as `pageNoise` in sampling.js gives them (to 1e-6).

    Counter 0, 1, 2, ... times a constant, plus a key made of seed and stream, is hashed by the last steps of
    MurmurHash3 to a number u in [0, 1); pairs of them become pairs of normal draws (Box and Muller 1958).
    Different seeds (0 .. 2 ** 32 - 1) and streams give unrelated draws.
    """
    pairs = -(-count // 2)
    with np.errstate(over="ignore"):  # arithmetic modulo 2 ** 32 is meant
        key = _mixed(np.array([seed], np.uint32) + _GOLDEN * np.uint32(stream + 1))
        u = _mixed(np.arange(2 * pairs, dtype=np.uint32) * _GOLDEN + key).reshape(pairs, 2) / 2.0**32
    radius, angle = np.sqrt(-2 * np.log(u[:, 0] + 2.0**-32)), 2 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count].astype(np.float32)


def _mixed(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))
