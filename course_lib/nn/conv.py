"""Small convolutional encoders and decoders, shared by the methods that map pictures to codes and back.

Both work on 2x2 patches: `PixelUnshuffle` folds each 2x2 block of pixels into channels, so that the
convolutions run on a quarter of the positions, which is what makes them affordable on a laptop's CPU.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def conv_block(c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, SiLU. (B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),  # the normalisation has the bias
        nn.BatchNorm2d(c_out),
        nn.SiLU(),
    )


def up_block(c_in: int, c_out: int) -> nn.Sequential:
    """Doubles height and width by a sub-pixel convolution. (B, c_in, H, W) -> (B, c_out, 2H, 2W)."""
    return nn.Sequential(
        nn.Conv2d(c_in, 4 * c_out, 3, 1, 1, bias=False),
        nn.PixelShuffle(2),
        nn.BatchNorm2d(c_out),
        nn.SiLU(),
    )


def dense_block(n_in: int, n_out: int) -> nn.Sequential:
    """Linear layer, batch normalisation, SiLU. (B, n_in) -> (B, n_out)."""
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.SiLU())


class Residual(nn.Module):
    """x + two convolutions of x (He et al. 2015, arXiv 1512.03385, fig. 2). Shape unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            conv_block(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.net(x))


class ConvEncoder(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] -> codes (B, out)."""

    def __init__(
        self,
        channels: int = 1,  # of the picture
        size: int = 28,  # height and width of the picture in pixels, a multiple of 4
        widths: tuple[int, int] = (8, 32),  # channels at size/2 and at size/4
        blocks: tuple[int, int] = (0, 1),  # residual blocks at size/2 and at size/4
        squeeze: int = 16,  # channels kept for the dense layers: they hold most of the parameters
        hidden: int = 0,  # width of the dense layer before the code, 0 for none
        out: int = 32,  # length of the code (a variational encoder asks for twice its latent size)
    ) -> None:
        super().__init__()
        _check_size(size)
        a, b = widths
        flat = squeeze * (size // 4) ** 2
        self.net = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 4 channels, size/2, size/2)
            conv_block(4 * channels, a),  # (B, a, size/2, size/2)
            *(Residual(a) for _ in range(blocks[0])),
            conv_block(a, b, stride=2),  # (B, b, size/4, size/4)
            *(Residual(b) for _ in range(blocks[1])),
            conv_block(b, squeeze, kernel=1),  # (B, squeeze, size/4, size/4)
            nn.Flatten(),  # (B, flat)
            *([dense_block(flat, hidden)] if hidden else []),  # (B, hidden)
            nn.Linear(hidden or flat, out),  # (B, out)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ConvDecoder(nn.Module):
    """Codes (B, code) -> pictures (B, channels, size, size), near [-1, 1] but not clipped to it."""

    def __init__(
        self,
        channels: int = 1,
        size: int = 28,
        widths: tuple[int, int] = (8, 32),
        blocks: tuple[int, int] = (0, 1),
        squeeze: int = 16,
        hidden: int = 0,
        code: int = 32,  # length of the code
    ) -> None:
        super().__init__()
        _check_size(size)
        a, b = widths
        side = size // 4
        flat = squeeze * side**2
        self.net = nn.Sequential(
            *([dense_block(code, hidden)] if hidden else []),  # (B, hidden)
            nn.Linear(hidden or code, flat, bias=False),  # (B, flat)
            nn.Unflatten(1, (squeeze, side, side)),  # (B, squeeze, size/4, size/4)
            nn.BatchNorm2d(squeeze),  # over channels: over `flat` single numbers it would be far noisier
            nn.SiLU(),
            conv_block(squeeze, b),  # (B, b, size/4, size/4)
            *(Residual(b) for _ in range(blocks[1])),
            up_block(b, a),  # (B, a, size/2, size/2)
            *(Residual(a) for _ in range(blocks[0])),
            nn.Conv2d(a, 4 * channels, 3, 1, 1),  # (B, 4 channels, size/2, size/2)
            nn.PixelShuffle(2),  # (B, channels, size, size)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


def _check_size(size: int) -> None:
    if size % 4 or size < 8:
        raise ValueError(f"The picture's size must be a multiple of 4 and at least 8, got {size}: resize it.")
