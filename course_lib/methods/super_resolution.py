"""Super-resolution by diffusion: the small picture is told to the network, and a sharp large one comes out.

C. Saharia et al., "Image Super-Resolution via Iterative Refinement" (SR3), arXiv 2104.07636.

    small = means over factor x factor pixels of x_0                   the damage
    x_t   = sqrt(a) x_0 + sqrt(1 - a) eps, a = alpha_bar_t             noise, on the large picture alone
    L     = E |v - net([x_t, up(small)], t)|^2, t uniform in 1 .. T    SR3 eq. 6; up is bicubic enlargement

Many large pictures have the same small one. A network that is trained to say one answer says their mean,
which is blurred; this one is asked for a draw out of all of them, and each draw is sharp.

As in `ddpm` the network says v and is told t. Left out: conditioning on a continuous noise level (section
2.3), noise on the small picture, with which networks are chained (section 2.4), and the deeper U-Net.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import samplers
from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.nn.unet import UNet
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v, v_from


class SuperResolution(nn.Module):
    """Small pictures -> draws of the large pictures that they may come from."""

    ema: tuple[str, ...] = ("net",)
    alpha_bar: Tensor

    def __init__(
        self,
        channels: int = 1,
        factor: int = 2,  # how much larger height and width become
        widths: tuple[int, ...] = (32, 64),  # of the U-Net at size/2, size/4, ...
        blocks: int = 2,  # of the U-Net at each size
        embed: int = 128,  # width of the U-Net's embedding of time
        T: int = 1000,
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.channels, self.factor = channels, factor
        self.lr, self.weight_decay = lr, weight_decay
        self.register_buffer("alpha_bar", alpha_bars(cosine_betas(T)).float())  # (T + 1,)
        self.net = UNet(channels, widths, blocks, embed=embed, extra=channels)

    def shrink(self, x: Tensor) -> Tensor:
        """Means over factor x factor pixels: (B, C, H, W) -> (B, C, H/factor, W/factor)."""
        return F.avg_pool2d(x, self.factor)

    def stretch(self, small: Tensor) -> Tensor:
        """Bicubic enlargement, kept in [-1, 1]: (B, C, h, w) -> (B, C, factor * h, factor * w)."""
        large = F.interpolate(small, scale_factor=self.factor, mode="bicubic", align_corners=False)
        return large.clamp(-1, 1)

    def eps(self, x: Tensor, t: Tensor, small: Tensor) -> Tensor:
        """The noise that the network finds in x (B, C, H, W) at times t (B,) int64 in 1 .. T, shape of x,
        if x is a noisy picture that shrinks to `small` (B, C, H/factor, W/factor)."""
        return eps_from_v(x, self._v(x, t, self.stretch(small)), self.alpha_bar[t])

    def _v(self, x: Tensor, t: Tensor, stretched: Tensor) -> Tensor:
        return self.net(torch.cat([x, stretched], 1), t)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"net": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: Tensor | tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = x (B, C, H, W), the large pictures, in [-1, 1]; labels beside them are left alone."""
        x0 = batch[0] if isinstance(batch, tuple) else batch
        t = torch.randint(1, len(self.alpha_bar), (len(x0),), device=x0.device)
        a, eps = self.alpha_bar[t], torch.randn_like(x0)
        v = self._v(add_noise(x0, eps, a), t, self.stretch(self.shrink(x0)))
        yield Loss("net", F.mse_loss(v, v_from(x0, eps, a)))

    @torch.no_grad()
    def enlarge(
        self,
        small: Tensor,  # (B, C, h, w) in [-1, 1]; for several answers to one picture, repeat it
        *,
        generator: torch.Generator | None = None,  # on small's device; None draws from the global one
        steps: int = 25,
        eta: float = 1.0,  # share of fresh noise: 1 is ancestral sampling, 0 a fixed path
    ) -> Iterator[Step]:
        """Yield the steps from noise to one large picture (B, C, factor * h, factor * w) for each small one.

        Raises CourseError for small pictures of the wrong shape, and for numbers that cannot work.
        """
        if small.dim() != 4 or small.shape[1] != self.channels:
            raise CourseError(
                f"small must have shape (B, {self.channels}, h, w), pictures of {self.channels} channel(s), "
                f"got {tuple(small.shape)}."
            )
        stretched = self.stretch(small)
        noise = torch.randn(stretched.shape, generator=generator, device=small.device, dtype=small.dtype)

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return eps_from_v(x, self._v(x, t, stretched), self.alpha_bar[t])

        yield from samplers.ddim(eps, noise, self.alpha_bar, steps=steps, eta=eta, generator=generator)

    @classmethod
    def tiny(cls) -> tuple[Self, Tensor]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return cls(widths=(16, 16), blocks=1, embed=16, T=100, lr=5e-3), x
