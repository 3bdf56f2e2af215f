"""Denoising diffusion: learn to take a little noise out of a picture, and pictures can be made from noise.

J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239. With
a class that is told to the network, and left out now and then, as in J. Ho, T. Salimans, "Classifier-Free
Diffusion Guidance", arXiv 2207.12598.

    x_t   = sqrt(a) x_0 + sqrt(1 - a) eps, a = alpha_bar_t               the damage (DDPM eq. 4)
    L     = E |eps - eps_net(x_t, t)|^2, t uniform in 1 .. T             the simple loss (DDPM eq. 14)
    L_v   = E |v - v_net(x_t, t)|^2, v = sqrt(a) eps - sqrt(1 - a) x_0   the same with v (arXiv 2202.00512)
    eps_g = eps(x_t, no class) + g (eps(x_t, y) - eps(x_t, no class))    guidance (2207.12598 eq. 6)

The schedule and its identities are in `schedules`, the way back from noise to pictures in `samplers`. Left
out: learned variances, the weights of the variational bound (DDPM eq. 12), dropout inside the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import samplers
from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.nn.unet import UNet
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v, linear_betas, v_from


class DDPM(nn.Module):
    """Pictures from noise, with classes or without."""

    ema: tuple[str, ...] = ("net",)
    alpha_bar: Tensor

    def __init__(
        self,
        channels: int = 1,
        size: int = 28,  # height and width in pixels, a multiple of 2 ** len(widths)
        classes: int = 0,  # 0: batches are pictures; else (pictures, labels)
        widths: tuple[int, ...] = (32, 64),  # of the U-Net at size/2, size/4, ...
        blocks: int = 2,  # of the U-Net at each size
        embed: int = 128,  # width of the U-Net's embedding of time and class
        T: int = 1000,
        schedule: Literal["linear", "cosine"] = "cosine",
        predict: Literal["eps", "v"] = "v",  # what the network says
        drop: float = 0.1,  # share of the labels that training leaves out
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.channels, self.size, self.classes = channels, size, classes
        self.predict, self.drop = predict, drop
        self.lr, self.weight_decay = lr, weight_decay
        betas = linear_betas(T) if schedule == "linear" else cosine_betas(T)
        self.register_buffer("alpha_bar", alpha_bars(betas).float())  # (T + 1,)
        self.net = UNet(channels, widths, blocks, classes, embed)

    def eps(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """The noise that the network finds in x (B, C, H, W) at times t (B,) int64 in 1 .. T, shape of x.

        y (B,) int64 are labels, `classes` where the class is not told; None where it is not told at all.
        """
        answer = self.net(x, t, y)
        return answer if self.predict == "eps" else eps_from_v(x, answer, self.alpha_bar[t])

    def guided(self, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> Tensor:
        """`eps` moved away from what it would be without the class: 2207.12598 eq. 6, guidance = 1 + w.

        1 is the class as learnt, 0 no class at all, more than 1 makes pictures more typical and more alike.
        """
        if guidance == 1:
            return self.eps(x, t, y)
        none = torch.full_like(y, self.classes)
        told, untold = self.eps(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, none])).chunk(2)
        return untold + guidance * (told - untold)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"net": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: Tensor | tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = x (B, C, H, W), or (x, y) with y (B,) int64 where there are classes."""
        x0, y = batch if isinstance(batch, tuple) else (batch, None)
        t = torch.randint(1, len(self.alpha_bar), (len(x0),), device=x0.device)
        a, eps = self.alpha_bar[t], torch.randn_like(x0)
        if y is not None:
            y = y.masked_fill(torch.rand(len(y), device=y.device) < self.drop, self.classes)
        target = eps if self.predict == "eps" else v_from(x0, eps, a)
        yield Loss("net", F.mse_loss(self.net(add_noise(x0, eps, a), t, y), target))

    @torch.no_grad()
    def sample(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        label: int | Tensor | None = None,  # one class, or (n,) int64; None: every class in turn
        guidance: float = 1.0,  # see `guided`
        sampler: Literal["ddim", "ddpm"] = "ddim",
        steps: int | None = 50,  # None visits every t
        eta: float = 0.0,  # share of fresh noise in ddim
    ) -> Iterator[Step]:
        """Yield the steps from noise to n pictures (n, C, size, size) in [-1, 1].

        Label `classes` asks for pictures of no class in particular. Raises CourseError for a label that there
        is not, and for numbers that cannot work.
        """
        weight = self.net.enter.weight
        shape = (n, self.channels, self.size, self.size)
        x = torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)
        y = self._labels(n, label).to(weight.device)

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return self.guided(x, t, y, guidance)

        if sampler == "ddim":
            yield from samplers.ddim(eps, x, self.alpha_bar, steps=steps, eta=eta, generator=generator)
        elif sampler == "ddpm":
            yield from samplers.ddpm(eps, x, self.alpha_bar, steps=steps, generator=generator)
        else:
            raise CourseError(f'sampler must be "ddim" or "ddpm", got "{sampler}".')

    def _labels(self, n: int, label: int | Tensor | None) -> Tensor:
        if label is None:
            return torch.arange(n) % max(self.classes, 1)
        y = torch.as_tensor(label)
        if y.shape not in ((), (n,)):
            raise CourseError(f"label must be one number or {n}, one for each picture, got {len(y)}.")
        if y.min() < 0 or y.max() > self.classes:
            raise CourseError(f"label must be from 0 to {self.classes} (which is no class), got {label}.")
        return y.expand(n)

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        small = cls(size=8, classes=4, widths=(16, 16), blocks=1, embed=16, T=100, lr=5e-3)
        return small, (x, torch.arange(8) % 4)
