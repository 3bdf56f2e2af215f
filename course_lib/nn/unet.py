"""The network of the diffusion notebooks: a small U-Net that knows the time, and perhaps a class or words.

O. Ronneberger et al., arXiv 1505.04597 (the shape); J. Ho et al., arXiv 2006.11239, appendix B (time,
attention); P. Dhariwal, A. Nichol, arXiv 2105.05233, section 3 (time and class as scale and shift);
R. Rombach et al., arXiv 2112.10752, section 3.3 (words by cross-attention). Made for CPUs and browsers: it
works on 2x2 patches, so that the convolutions run on a quarter of the positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.nn.embeddings import sinusoidal
from course_lib.nn.text import CrossAttention


class UNet(nn.Module):
    """Noisy pictures and their times -> the noise, v, a velocity: whatever it is trained to say."""

    def __init__(
        self,
        channels: int = 1,  # of the picture, and of the answer
        widths: tuple[int, ...] = (32, 64),  # channels at size/2, size/4, ..., multiples of 8
        blocks: int = 2,  # residual blocks at each size, on the way down and on the way up
        classes: int = 0,  # number of classes; label `classes` then means "no class"
        embed: int = 128,  # width of the embedding of time and class
        attention: bool = True,  # between the positions of the smallest size
        extra: int = 0,  # channels of a second picture, of the same size, that it may look at
        text: int = 0,  # width of the vectors of words, 0 for none
    ) -> None:
        super().__init__()
        _check_widths(widths)
        self.classes, self.embed = classes, embed
        self.factor = 2 ** len(widths)  # height and width of a picture must be multiples of this
        self.time = nn.Sequential(nn.Linear(embed, embed), nn.SiLU(), nn.Linear(embed, embed))
        self.label = nn.Embedding(classes + 1, embed) if classes else None

        self.fold = nn.PixelUnshuffle(2)
        self.enter = nn.Conv2d(4 * (channels + extra), widths[0], 3, 1, 1)
        steps = list(zip(widths, widths[1:], strict=False))  # (32, 64)
        self.down = nn.ModuleList(Blocks(w, w, blocks, embed) for w in widths[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in steps)
        self.low1 = Blocks(widths[-1], widths[-1], blocks, embed)
        self.attention = Attention(widths[-1]) if attention else nn.Identity()
        self.low2 = Blocks(widths[-1], widths[-1], 1, embed)
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, 4 * a, 1), nn.PixelShuffle(2)) for a, b in steps[::-1]
        )
        self.up = nn.ModuleList(Blocks(2 * w, w, blocks, embed) for w in widths[-2::-1])
        self.leave = nn.Sequential(
            nn.GroupNorm(8, widths[0]), nn.SiLU(), zeros(nn.Conv2d(widths[0], 4 * channels, 3, 1, 1))
        )
        self.unfold = nn.PixelShuffle(2)
        # words: all of them together beside the time, and one by one at every size but the largest
        self.gist = (
            nn.Sequential(nn.Linear(text, embed), nn.SiLU(), nn.Linear(embed, embed)) if text else None
        )
        self.read_low = CrossAttention(widths[-1], text) if text else Unread()
        self.read = nn.ModuleList(
            CrossAttention(widths[i], text) if text and i else Unread() for i in reversed(range(len(steps)))
        )

    def forward(
        self,
        x: Tensor,  # (B, channels + extra, H, W), the extra channels last
        t: Tensor,  # (B,) on a scale of 0 to 1000
        y: Tensor | None = None,  # (B,) int64 in 0 .. classes; `classes`, or None for all: it is not told
        words: Tensor | None = None,  # (B, L, text), needed where the network reads
        mask: Tensor | None = None,  # (B, L) bool: which of them are words, at least one of each caption
    ) -> Tensor:
        """-> (B, channels, H, W). H and W must be multiples of 2 ** len(widths), or ValueError is raised."""
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise ValueError(
                f"Height and width must be multiples of {self.factor}, got {x.shape[2]} x {x.shape[3]}: "
                "resize or pad the pictures."
            )
        if self.gist is not None and (words is None or mask is None):
            raise ValueError("This network reads: give it words and their mask, even for an empty caption.")
        e = self._condition(t.to(x.dtype), y, words, mask)  # (B, embed)
        h = self.enter(self.fold(x))  # (B, widths[0], H/2, W/2)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            h = blocks(h, e)
            skips.append(h)
            h = shrink(h)
        h = self.read_low(self.attention(self.low1(h, e)), words, mask)  # (B, widths[-1], H/factor, W/factor)
        h = self.low2(h, e)
        for grow, blocks, read in zip(self.grow, self.up, self.read, strict=True):
            h = read(blocks(torch.cat([grow(h), skips.pop()], 1), e), words, mask)
        return self.unfold(self.leave(h))  # (B, channels, H, W)

    def _condition(self, t: Tensor, y: Tensor | None, words: Tensor | None, mask: Tensor | None) -> Tensor:
        e = self.time(sinusoidal(t, self.embed))
        if self.label is not None:
            e = e + self.label(torch.full((len(t),), self.classes, device=t.device) if y is None else y)
        if self.gist is not None and words is not None and mask is not None:
            e = e + self.gist((words * mask[:, :, None]).sum(1))
        return F.silu(e)


class Unread(nn.Module):
    """Where a network does not look at the words: the features as they are."""

    def forward(self, x: Tensor, words: Tensor | None, mask: Tensor | None) -> Tensor:
        return x


class Blocks(nn.Module):
    """`count` residual blocks in a row, the first from c_in to c_out channels."""

    def __init__(self, c_in: int, c_out: int, count: int, embed: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(c_in if i == 0 else c_out, c_out, embed) for i in range(count))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, e)
        return x


class Block(nn.Module):
    """x + two convolutions of x; what e (B, embed) says scales and shifts the features between the two.

    x (B, c_in, H, W) -> (B, c_out, H, W). It starts as the identity where c_in = c_out.
    """

    def __init__(self, c_in: int, c_out: int, embed: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.film = nn.Linear(embed, 2 * c_out)
        self.norm2 = nn.GroupNorm(8, c_out)
        self.conv2 = zeros(nn.Conv2d(c_out, c_out, 3, 1, 1))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        scale, shift = self.film(e)[:, :, None, None].chunk(2, 1)  # (B, c_out, 1, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv2(F.silu(h))


class Attention(nn.Module):
    """x + what each position gathers from all others; (B, C, H, W) -> same. arXiv 1706.03762, section 3.2."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeros(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(3, 4).unbind(1)  # (B, heads, H * W, C / heads)
        gathered = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(gathered.transpose(2, 3).reshape(b, c, h, w))


def zeros(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with all weights 0: a branch that ends in it adds nothing until it has learnt something."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _check_widths(widths: tuple[int, ...]) -> None:
    if len(widths) < 2 or any(w < 8 or w % 8 for w in widths):
        raise ValueError(f"widths must be at least two multiples of 8, got {tuple(widths)}.")
