"""Encoder and decoder between a picture and a small picture of codes, for diffusion and counting in a latent.

As in R. Rombach et al., arXiv 2112.10752, appendix G, much smaller: residual blocks with group normalisation
(which looks at each picture alone) at each size, on 2x2 patches, no attention. Both are fully convolutional.
"""

from __future__ import annotations

from torch import Tensor, nn


class SpatialEncoder(nn.Sequential):
    """Pictures (B, channels, H, W) -> (B, out, H / f, W / f), f = 2 ** len(widths)."""

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: int, out: int) -> None:
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, widths[0], 3, 1, 1)]
        for i, width in enumerate(widths):
            if i:
                layers.append(nn.Conv2d(widths[i - 1], width, 3, 2, 1))
            layers += [Residual(width) for _ in range(blocks)]
        super().__init__(*layers, *_leave(widths[-1], out))


class SpatialDecoder(nn.Sequential):
    """Codes (B, code, h, w) -> pictures (B, channels, f h, f w), not clipped; f = 2 ** len(widths)."""

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: int, code: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(code, widths[-1], 3, 1, 1)]
        for i in reversed(range(len(widths))):
            layers += [Residual(widths[i]) for _ in range(blocks)]
            if i:
                layers += [nn.Conv2d(widths[i], 4 * widths[i - 1], 1), nn.PixelShuffle(2)]
        super().__init__(*layers, *_leave(widths[0], 4 * channels), nn.PixelShuffle(2))


class Residual(nn.Module):
    """x + two convolutions of x; (B, C, H, W) -> same, C a multiple of 8. It starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(last.weight)
        self.net = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def _leave(width: int, out: int) -> tuple[nn.Module, ...]:
    return nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, out, 3, 1, 1)
