"""CycleGAN: two translators that must undo each other, from two heaps of pictures without any pairs.

J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", ICCV 2017, arXiv 1703.10593. G: A -> B with the discriminator D_B, F: B -> A with D_A.

    L_GAN(G, D_B) = E (D_B(b) - 1)^2 + E D_B(G(a))^2         eq. 1, with the squares of section 4 (LSGAN)
    L_cyc(G, F)   = E |F(G(a)) - a|_1 + E |G(F(b)) - b|_1    eq. 2
    L = L_GAN(G, D_B) + L_GAN(F, D_A) + cycle L_cyc          eq. 3; G and F want the D's to say 1
    L_identity    = E |G(b) - b|_1 + E |F(a) - a|_1          section 5.2: what is B already stays as it is
    pool            a D also sees earlier fakes              section 4, after Shrivastava et al., 1612.07828

G and F move first, with one optimizer; then the two discriminators, on the fakes that G and F made before
they moved. All |.|_1 are means over pixels. Other than in the paper, colours are brought to mean 0 and spread
1 for each kind of pictures (see nn/colours.py), and a translator adds to its input (`start="input"`), so that
it begins by keeping every colour in its rank: notebook 05 shows what happens when it begins with colours
exchanged. Left out: instance normalisation, and batches of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from course_lib.errors import CourseError
from course_lib.method import Loss
from course_lib.nn.colours import Colours
from course_lib.nn.replay import Pool
from course_lib.nn.translators import PatchGAN, Start, Translator


class CycleGAN(nn.Module):
    """Two translators and two discriminators. A batch is (a, b): pictures of two kinds, not pairs.

    Raises CourseError for weights below 0 and for sizes that do not fit together.
    """

    ema: tuple[str, ...] = ("G", "F")
    left_out: tuple[str, ...] = (
        "D_A",
        "D_B",
        "pool_A",
        "pool_B",
    )  # of a weights file: only training needs them

    def __init__(
        self,
        channels: tuple[int, int] = (3, 3),  # of A and of B
        widths: tuple[int, ...] = (24, 48, 96),  # of the translators, at size/2, size/4, ...
        blocks: int = 3,  # residual blocks at the smallest size
        start: Start = "input",  # see nn/translators.py
        soft: bool = False,  # likewise
        d_widths: tuple[int, ...] = (24, 48, 96),  # of the discriminators
        cycle: float = 1.0,  # lambda of eq. 3, in units of the colours' spread
        identity: float = 0.0,  # weight of the identity loss; the authors' 0.5 of lambda 10 is 5 here
        pool: int = 0,  # earlier fakes that each discriminator remembers
        size: int = 64,  # height and width of the pictures in training: only the pool needs to know
        lr: float = 8e-4,  # of G and F
        lr_d: float = 3e-4,  # of the discriminators
        betas: tuple[float, float] = (0.5, 0.99),  # of Adam
    ) -> None:
        super().__init__()
        _check({"cycle": cycle, "identity": identity})
        c_a, c_b = channels
        if identity and c_a != c_b:
            raise CourseError(
                f"The identity loss hands B to G as if it were A: both need as many channels, got {c_a} and "
                f"{c_b}."
            )
        self.cycle, self.identity = cycle, identity
        self.lr, self.lr_d, self.betas = lr, lr_d, betas
        self.colours_A, self.colours_B = Colours(c_a), Colours(c_b)
        self.G = Translator(c_a, c_b, widths, blocks, start=start, soft=soft)
        self.F = Translator(c_b, c_a, widths, blocks, start=start, soft=soft)
        self.D_A, self.D_B = PatchGAN(c_a, d_widths), PatchGAN(c_b, d_widths)
        self.pool_A, self.pool_B = Pool(pool, (c_a, size, size)), Pool(pool, (c_b, size, size))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        translators = [*self.G.parameters(), *self.F.parameters()]
        judges = [*self.D_A.parameters(), *self.D_B.parameters()]
        return {
            "G": torch.optim.Adam(translators, self.lr, self.betas),
            "D": torch.optim.Adam(judges, self.lr_d, self.betas),
        }

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        a, b = self.colours_A(batch[0]), self.colours_B(batch[1])  # (B, C, H, W) each
        fake_b, fake_a = self.G(a), self.F(b)
        fooled = real_loss(self.D_B(fake_b)) + real_loss(self.D_A(fake_a))  # eq. 1, G's and F's side
        cycle = l1_loss(self.F(fake_b), a) + l1_loss(self.G(fake_a), b)  # eq. 2
        loss = fooled + self.cycle * cycle
        if self.identity:  # section 5.2
            loss = loss + self.identity * (l1_loss(self.G(b), b) + l1_loss(self.F(a), a))
        yield Loss("G", loss, {"cycle": cycle.detach() / 2})

        old_b, old_a = self.pool_B(fake_b.detach()), self.pool_A(fake_a.detach())
        judged = d_loss(self.D_B(b), self.D_B(old_b)) + d_loss(self.D_A(a), self.D_A(old_a))
        yield Loss("D", judged / 2)  # halved, section 7.1: D learns more slowly than G

    @torch.no_grad()
    def translate(self, a: Tensor) -> Tensor:
        """Pictures of kind A in [-1, 1] (B, C, H, W) -> the same as kind B. H, W: multiples of `factor`."""
        return self.colours_B.back(self.G(self.colours_A(a)))

    @torch.no_grad()
    def translate_back(self, b: Tensor) -> Tensor:
        """From kind B to kind A."""
        return self.colours_A.back(self.F(self.colours_B(b)))

    @property
    def factor(self) -> int:
        """Height and width of a picture must be multiples of this."""
        return self.G.factor

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        a, b = torch.rand(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
        kwargs = dict(widths=(4, 8), blocks=1, d_widths=(4, 8), identity=0.5, pool=12, size=16)
        return cls(**kwargs), (a, b)  # type: ignore[arg-type]


def real_loss(verdict: Tensor) -> Tensor:
    """How far verdicts (B, 1, h, w) are from "real", which is 1: the mean square."""
    return (verdict - 1).square().mean()


def d_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """What a discriminator minimises: real is to get 1, fake 0. Verdicts (B, 1, h, w) -> scalar."""
    return real_loss(on_real) + on_fake.square().mean()


def _check(weights: dict[str, float]) -> None:
    for name, value in weights.items():
        if not 0 <= value < math.inf:
            raise CourseError(f"{name} must be a number of at least 0, got {value}.")
