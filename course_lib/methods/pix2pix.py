"""pix2pix: from a picture to the picture that belongs to it, with a discriminator that judges pairs.

P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
CVPR 2017, arXiv 1611.07004. G: a -> b, and D sees a and b together.

    L_cGAN(G, D) = E log D(a, b) + E log(1 - D(a, G(a)))     eq. 1; here the squares of LSGAN by default
    L_L1(G)      = E |b - G(a)|_1                            eq. 3, the mean over pixels
    G*           = arg min_G max_D L_cGAN + lambda L_L1      eq. 4
    PatchGAN       D gives a verdict for each patch          section 3.2.2; see nn/translators.py

D moves first, then G, as in section 3.3, where D's loss is halved. Left out: the noise z, which the authors
found G to ignore (section 3.1), and so the dropout that stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus

from course_lib.errors import CourseError
from course_lib.method import Loss
from course_lib.nn.augment import random_flip, random_shift
from course_lib.nn.colours import Colours
from course_lib.nn.translators import Norm, PatchGAN, Start, Translator

Game = Literal["least squares", "non-saturating"]


class Pix2Pix(nn.Module):
    """G and a discriminator of pairs. A batch is (a, b), aligned pixel by pixel.

    `gan=0` leaves the discriminator out of G's loss: what remains is regression, and its blur. Raises
    CourseError for an unknown game, for weights below 0 and for sizes that do not fit together.
    """

    ema: tuple[str, ...] = ("G",)
    left_out: tuple[str, ...] = ("D",)  # of a weights file: only training needs it

    def __init__(
        self,
        channels: tuple[int, int] = (3, 3),  # of a and of b
        widths: tuple[int, ...] = (24, 48, 96),  # of the generator, at size/2, size/4, ...
        blocks: int = 2,  # residual blocks at the smallest size
        norm: Norm = "none",  # of the generator: "batch" for drawings, whose pictures have one scale
        start: Start = "nothing",  # see nn/translators.py
        d_widths: tuple[int, ...] = (24, 48),  # of the discriminator
        game: Game = "least squares",
        gan: float = 1.0,  # weight of G's adversarial loss
        l1: float = 50.0,  # lambda of eq. 4
        flip: bool = False,  # pairs are mirrored at random, both alike
        shift: int = 0,  # and moved by up to so many pixels
        fill: float = 1.0,  # what enters then: the colour of the paper
        lr: float = 1e-3,  # of G
        lr_d: float = 3e-4,  # of D
        betas: tuple[float, float] = (0.5, 0.99),  # of Adam
    ) -> None:
        super().__init__()
        _check(game, {"gan": gan, "l1": l1})
        c_a, c_b = channels
        self.game, self.gan, self.l1 = game, gan, l1
        self.flip, self.shift, self.fill = flip, shift, fill
        self.lr, self.lr_d, self.betas = lr, lr_d, betas
        self.colours_A, self.colours_B = Colours(c_a), Colours(c_b)
        self.G = Translator(c_a, c_b, widths, blocks, norm, start)
        self.D = PatchGAN(c_a + c_b, d_widths)
        if norm == "batch":
            self.batch_statistics = "batch normalisation in G: a sample's gradient depends on its batch"

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "D": torch.optim.Adam(self.D.parameters(), self.lr_d, self.betas),
            "G": torch.optim.Adam(self.G.parameters(), self.lr, self.betas),
        }

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        a, b = self.moved(*batch)  # (B, C, H, W) each
        a, b = self.colours_A(a), self.colours_B(b)
        fake = self.G(a)  # (B, c_b, H, W)
        on_real, on_fake = self.D(pair(a, b)), self.D(pair(a, fake.detach()))  # (B, 1, h, w)
        judged = verdict_loss(on_real, True, self.game) + verdict_loss(on_fake, False, self.game)
        yield Loss("D", judged / 2)

        l1 = l1_loss(fake, b)  # eq. 3
        fooled = verdict_loss(self.D(pair(a, fake)), True, self.game)
        yield Loss("G", self.gan * fooled + self.l1 * l1, {"L1": l1.detach()})  # eq. 4

    def moved(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs mirrored and moved at random, a picture and its partner alike: there are more of them so."""
        both = pair(a, b)
        if self.flip:
            both = random_flip(both)
        if self.shift:
            both = random_shift(both, self.shift, self.fill)
        return both[:, : a.shape[1]], both[:, a.shape[1] :]

    @torch.no_grad()
    def translate(self, a: Tensor) -> Tensor:
        """Pictures a in [-1, 1] (B, C, H, W) -> what G takes for b. H, W: multiples of `factor`."""
        return self.colours_B.back(self.G(self.colours_A(a)))

    @property
    def factor(self) -> int:
        """Height and width of a picture must be multiples of this."""
        return self.G.factor

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        a, b = torch.rand(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(channels=(1, 3), widths=(4, 8), blocks=1, d_widths=(4, 8)), (a[:, :1], b)


def pair(a: Tensor, b: Tensor) -> Tensor:
    """What D judges: (B, c_a, H, W) and (B, c_b, H, W) one behind the other -> (B, c_a + c_b, H, W)."""
    return torch.cat([a, b], 1)


def verdict_loss(verdict: Tensor, real: bool, game: Game = "least squares") -> Tensor:
    """The mean loss of verdicts (B, 1, h, w) that should say "real", or "made": scalar.

    Least squares: the distance to 1 or 0. Non-saturating: -log D or -log(1 - D) of the logits, eq. 1.
    """
    if game == "least squares":
        return (verdict - float(real)).square().mean()
    return softplus(-verdict if real else verdict).mean()


def _check(game: str, weights: dict[str, float]) -> None:
    if game not in get_args(Game):
        raise CourseError(f"game must be one of {', '.join(get_args(Game))}, got {game!r}.")
    for name, value in weights.items():
        if not 0 <= value < math.inf:
            raise CourseError(f"{name} must be a number of at least 0, got {value}.")
