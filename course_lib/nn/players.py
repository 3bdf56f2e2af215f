"""The two players of a GAN: generators and discriminators for points in the plane and for small pictures.

The convolutional ones follow A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with
Deep Convolutional Generative Adversarial Networks" (DCGAN), arXiv 1511.06434, section 3: strides instead of
pooling, batch normalisation and ReLU in G, leaky ReLU in D, tanh at the end of G, no dense layer between
convolutions. Other than there D has no batch normalisation: it would tie the pictures of a batch together,
and the gradient penalties of today's GANs ask for the slope of D at each picture by itself. Kernels are 4
pixels wide, twice the stride, and not 5; first weights are torch's, not draws from N(0, 0.02^2). Residual
blocks (arXiv 1512.03385) at the smallest size are ours to add: they deepen both players for little time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.nn.conv import Residual, conv_block

SLOPE = 0.2  # of the leaky ReLU below 0: 1511.06434, section 4


def players(
    size: int,  # height and width of the pictures in pixels, a multiple of 4; 0: the data are points
    channels: int,  # of the pictures, or the number of coordinates of a point
    latent: int,  # length of z
    widths: tuple[int, int],  # pictures: channels at size/2 and size/4; points: width and number of layers
    stddev: bool,  # D also sees how much its batch varies
    squeeze: int = 0,  # pictures: channels of G's first layer, which has most of the weights; 0: as at size/4
    blocks: int = 0,  # pictures: residual blocks at size/4, in both players
) -> tuple[nn.Module, Discriminator]:
    """G: z (B, latent) -> x, and D: x -> logit (B,). Raises CourseError for sizes that cannot be built."""
    _check(size, channels, latent, widths, squeeze, blocks)
    if size == 0:
        return point_generator(latent, channels, widths), Discriminator(
            point_body(channels, widths), widths[0], stddev
        )
    body = picture_body(channels, widths, blocks)
    D = Discriminator(body, widths[1] * (size // 4) ** 2, stddev)
    return picture_generator(latent, channels, size, widths, squeeze, blocks), D


def point_generator(latent: int, dims: int, widths: tuple[int, int]) -> nn.Sequential:
    """z (B, latent) -> points (B, dims), without bounds."""
    hidden, layers = widths
    return nn.Sequential(*_dense(latent, hidden, layers, nn.ReLU()), nn.Linear(hidden, dims))


def point_body(dims: int, widths: tuple[int, int]) -> nn.Sequential:
    """Points (B, dims) -> features (B, hidden)."""
    hidden, layers = widths
    return nn.Sequential(*_dense(dims, hidden, layers, nn.LeakyReLU(SLOPE)))


def picture_generator(
    latent: int, channels: int, size: int, widths: tuple[int, int], squeeze: int = 0, blocks: int = 0
) -> nn.Sequential:
    """z (B, latent) -> pictures (B, channels, size, size) in [-1, 1]."""
    a, b = widths
    c = squeeze or b
    return nn.Sequential(
        nn.Linear(latent, c * (size // 4) ** 2, bias=False),  # the normalisation has the bias
        nn.Unflatten(1, (c, size // 4, size // 4)),  # (B, c, size/4, size/4)
        nn.BatchNorm2d(c),
        nn.ReLU(),
        *([conv_block(c, b)] if squeeze else []),  # (B, b, size/4, size/4)
        *(Residual(b) for _ in range(blocks)),
        nn.ConvTranspose2d(b, a, 4, 2, 1, bias=False),  # (B, a, size/2, size/2)
        nn.BatchNorm2d(a),
        nn.ReLU(),
        nn.ConvTranspose2d(a, channels, 4, 2, 1),  # (B, channels, size, size)
        nn.Tanh(),
    )


def picture_body(channels: int, widths: tuple[int, int], blocks: int = 0) -> nn.Sequential:
    """Pictures (B, channels, size, size) in [-1, 1] -> features (B, b (size/4)^2)."""
    a, b = widths
    return nn.Sequential(
        nn.Conv2d(channels, a, 4, 2, 1),  # (B, a, size/2, size/2)
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(a, b, 4, 2, 1),  # (B, b, size/4, size/4)
        nn.LeakyReLU(SLOPE),
        *(PlainResidual(b) for _ in range(blocks)),
        nn.Flatten(),
    )


class PlainResidual(nn.Module):
    """x + two convolutions of x, then leaky ReLU, without normalisation: each picture by itself. Shape
    unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x + self.net(x), SLOPE)


class Discriminator(nn.Module):
    """One number for each x: above 0 for "real". `body` gives the features, one dense layer the logit.

    With `stddev` a last feature tells how much the batch varies. A generator that collapses gives batches
    without variety, which D then sees (T. Salimans et al., arXiv 1606.03498, section 3.2, in the simpler form
    of T. Karras et al., arXiv 1710.10196, section 3).
    """

    def __init__(self, body: nn.Module, features: int, stddev: bool = False) -> None:
        super().__init__()
        self.body, self.stddev = body, stddev
        self.head = nn.Linear(features + stddev, 1)

    def features(self, x: Tensor) -> Tensor:
        """x -> (B, F), before the last layer: what feature matching compares."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)  # (B, F)
        if self.stddev:
            h = torch.cat([h, batch_stddev(h)], dim=1)  # (B, F + 1)
        return self.head(h).squeeze(1).to(x)  # (B,), out of bf16: a loss wants more than 3 digits


def batch_stddev(h: Tensor) -> Tensor:
    """The standard deviation over the batch, averaged over the features: (B, F) -> (B, 1), all rows equal.

    1710.10196, section 3. A batch without variety, and a batch of one, gives 1e-4.
    """
    # 1e-8 under the root: its slope at 0 is infinite, and a collapsed batch is at 0
    return (h.var(0, correction=0) + 1e-8).sqrt().mean().expand(len(h), 1)


def _check(size: int, channels: int, latent: int, widths: tuple[int, int], squeeze: int, blocks: int) -> None:
    if size and (size % 4 or size < 8):
        raise CourseError(
            f"The picture's size must be a multiple of 4 and at least 8, got {size}: resize it."
        )
    if len(widths) != 2:
        raise CourseError(f"widths must be two numbers, got {widths}.")
    counts = {"channels": channels, "latent": latent, "widths[0]": widths[0], "widths[1]": widths[1]}
    for name, value in counts.items():
        if value < 1 or value % 1:
            raise CourseError(f"{name} must be a whole number of at least 1, got {value}.")
    for name, value in (("squeeze", squeeze), ("blocks", blocks)):
        if value < 0 or value % 1:
            raise CourseError(f"{name} must be a whole number of at least 0, got {value}.")
        if value and size == 0:
            raise CourseError(f"{name} is for pictures: leave it out where the data are points (size=0).")


def _dense(n_in: int, hidden: int, layers: int, activation: nn.Module) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for k in range(layers):
        blocks += [nn.Linear(hidden if k else n_in, hidden), activation]
    return blocks
