"""How words reach a network that draws: an embedding for each word, and cross-attention that looks them up.

A. Vaswani et al., arXiv 1706.03762, section 3.2 (attention); R. Rombach et al., arXiv 2112.10752, section 3.3
(from the positions of a U-Net to the words). The embeddings are trained with the rest, from nothing. Left
out: the positions of the words and a transformer between them: captions are sets of words here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAD = 0  # the token that fills up short captions


class Words(nn.Module):
    """Tokens (B, L) int64 -> one vector for each, (B, L, width), and where there is a word, (B, L) bool."""

    def __init__(self, count: int, width: int) -> None:  # count: of tokens, PAD and START included
        super().__init__()
        self.embed = nn.Embedding(count, width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed(tokens), tokens != PAD


class CrossAttention(nn.Module):
    """x + what each position finds among the words; x (B, C, H, W) -> same.

    Queries come from the positions, keys and values from the words: softmax(Q K^T / sqrt(d)) V, arXiv
    1706.03762 eq. 1. Words where `mask` is False are not looked at; each caption needs one that is True.
    """

    def __init__(self, channels: int, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.kv = nn.Linear(width, 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)  # it adds nothing until it has learnt something
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """words (B, L, width), mask (B, L) bool."""
        b, c, h, w = x.shape
        q, k, v = self._project(x, words)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return x + self.out(found.transpose(2, 3).reshape(b, c, h, w))

    def weights(self, x: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """How much each position looks at each word: (B, heads, H, W, L), sums of 1 over the words."""
        q, k, _ = self._project(x, words)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5  # (B, heads, H * W, L)
        scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        return scores.softmax(3).unflatten(2, x.shape[2:])

    def _project(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q (B, heads, H * W, d), K and V (B, heads, L, d)."""
        q = self.q(self.norm(x)).flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
        kv = self.kv(words).unflatten(2, (2, self.heads, -1))  # (B, L, 2, heads, d)
        k, v = kv.permute(2, 0, 3, 1, 4)
        return q, k, v
