"""Denoising diffusion: learn to take a little noise out of a picture, and pictures can be made from noise.

J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239. With
a class that is told to the network, and left out now and then, as in J. Ho, T. Salimans, "Classifier-Free
Diffusion Guidance", arXiv 2207.12598.

    x_t   = sqrt(a) x_0 + sqrt(1 - a) eps, a = alpha_bar_t               the damage (DDPM eq. 4)
    L     = E |eps - eps_net(x_t, t)|^2, t uniform in 1 .. T             the simple loss (DDPM eq. 14)
    L_v   = E |v - v_net(x_t, t)|^2, v = sqrt(a) eps - sqrt(1 - a) x_0   the same with v (arXiv 2202.00512)
    L_x0  = E |x_0 - x0_net(x_t, t)|^2                                   the same with x_0

Each of the three answers gives the others, and a mistake of one is a mistake of all: |eps error|^2 = snr
|x_0 error|^2 and |v error|^2 = (snr + 1) |x_0 error|^2, snr = a / (1 - a). So the losses differ in what they
weigh, eps the small t most, x_0 the large ones. The schedule and its identities are in `schedules`, the way
back from noise to pictures in `samplers`, classes in `guidance`, the bound of log p(x_0) in
`variational_bound`. Left out: learned variances, training on the bound itself, dropout inside the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import samplers
from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.guidance import drop_labels, guide
from course_lib.nn.unet import UNet
from course_lib.schedules import (
    add_noise,
    alpha_bars,
    cosine_betas,
    eps_from_v,
    eps_from_x0,
    linear_betas,
    random_times,
    v_from,
)
from course_lib.variational_bound import Bound, Variance, variational_bound

Predict = Literal["eps", "x0", "v"]
Sampler = Literal["ddim", "ddpm", "euler", "heun"]


class DDPM(nn.Module):
    """Pictures from noise, with classes or without. Raises CourseError for an unknown `predict`."""

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
        predict: Predict = "v",  # what the network says
        drop: float = 0.1,  # share of the labels that training leaves out
        spread: float = 0.0,  # of t in training: 0 draws all alike, else most often midway: `random_times`
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        if predict not in get_args(Predict):
            raise CourseError(f'predict must be "eps", "x0" or "v", got "{predict}".')
        self.channels, self.size, self.classes = channels, size, classes
        self.predict, self.drop, self.spread = predict, drop, spread
        self.lr, self.weight_decay = lr, weight_decay
        betas = linear_betas(T) if schedule == "linear" else cosine_betas(T)
        self.register_buffer("alpha_bar", alpha_bars(betas).float())  # (T + 1,)
        self.net = UNet(channels, widths, blocks, classes, embed)

    def eps(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """The noise that the network finds in x (B, C, H, W) at times t (B,) int64 in 1 .. T, shape of x.

        y (B,) int64 are labels, `classes` where the class is not told; None where it is not told at all.
        """
        answer, a = self.net(x, t, y), self.alpha_bar[t]
        if self.predict == "x0":
            return eps_from_x0(x, answer, a)
        return answer if self.predict == "eps" else eps_from_v(x, answer, a)

    def guided(self, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> Tensor:
        """`eps` moved away from what it would be without the class: see `guidance.guide`."""
        if guidance == 1:
            return self.eps(x, t, y)
        none = torch.full_like(y, self.classes)
        told, untold = self.eps(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, none])).chunk(2)
        return guide(told, untold, guidance)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"net": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: Tensor | tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = x (B, C, H, W), or (x, y) with y (B,) int64 where there are classes."""
        x0, y = batch if isinstance(batch, tuple) else (batch, None)
        t = random_times(self.alpha_bar, x0, self.spread)
        a, eps = self.alpha_bar[t], torch.randn_like(x0)
        if y is not None:
            y = drop_labels(y, self.drop, self.classes)
        target = {"eps": eps, "x0": x0, "v": v_from(x0, eps, a)}[self.predict]
        yield Loss("net", F.mse_loss(self.net(add_noise(x0, eps, a), t, y), target))

    def bound(
        self,
        x: Tensor,  # pictures on the 256 levels of [-1, 1], (B, C, size, size)
        y: Tensor | None = None,  # their classes, (B,) int64; None: the class is not told
        *,
        terms: int | None = None,  # how many times are visited for each picture; None: all T
        variance: Variance = "posterior",
        generator: torch.Generator | None = None,  # on the CPU
    ) -> Bound:
        """A lower bound of log p(x), or log p(x | y), in nats and with its terms: see `variational_bound`."""

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return self.eps(x, t, y)

        return variational_bound(eps, x, self.alpha_bar, terms=terms, variance=variance, generator=generator)

    @torch.no_grad()
    def sample(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        label: int | Tensor | None = None,  # one class, or (n,) int64; None: every class in turn
        guidance: float = 1.0,  # see `guided`
        sampler: Sampler = "ddim",
        steps: int | None = 50,  # None visits every t
        times: Sequence[int] | None = None,  # falling from T to 0, in place of steps
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

        a = self.alpha_bar
        if sampler == "ddim":
            yield from samplers.ddim(eps, x, a, steps=steps, times=times, eta=eta, generator=generator)
        elif sampler == "ddpm":
            yield from samplers.ddpm(eps, x, a, steps=steps, times=times, generator=generator)
        elif sampler == "euler":
            yield from samplers.euler(eps, x, a, steps=steps, times=times)
        elif sampler == "heun":
            yield from samplers.heun(eps, x, a, steps=steps, times=times)
        else:
            raise CourseError(f'sampler must be "ddim", "ddpm", "euler" or "heun", got "{sampler}".')

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
