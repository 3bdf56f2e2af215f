"""Text to image: a diffusion model that reads. A caption of plain words in, pictures of it out.

A. Nichol et al., "GLIDE", arXiv 2112.10741 (the idea); R. Rombach et al., arXiv 2112.10752, section 3.3
(words by cross-attention, `nn/text.py`); J. Ho, T. Salimans, arXiv 2207.12598 (captions left out now and
then, and guidance); J. Ho et al., arXiv 2006.11239, with v-prediction (arXiv 2202.00512), as in `ddpm.py`.

    x_t   = sqrt(a) x_0 + sqrt(1 - a) eps, a = alpha_bar_t
    L     = E |v - v_net(x_t, t, caption)|^2, v = sqrt(a) eps - sqrt(1 - a) x_0
    eps_g = eps(x_t, "") + g (eps(x_t, caption) - eps(x_t, ""))

The words and their vectors are learnt here, from the captions alone, and the words travel with the weights.
Left out: a text encoder trained on other texts (CLIP, T5), a second network that enlarges the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import samplers
from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.guidance import drop_labels, guide
from course_lib.nn.text import PAD, Words
from course_lib.nn.unet import UNet
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v, random_times, v_from
from course_lib.words import encode


class TextToImage(nn.Module):
    """Batches are (pictures, tokens), see `captions`."""

    ema: tuple[str, ...] = ("words_net", "net")
    alpha_bar: Tensor

    def __init__(
        self,
        words: Sequence[str],  # the vocabulary
        length: int = 12,  # tokens of a caption, its opening included
        channels: int = 3,
        size: int = 32,  # height and width in pixels, a multiple of 2 ** len(widths)
        widths: tuple[int, ...] = (48, 64, 96),  # of the U-Net at size/2, size/4, ...
        blocks: int = 1,  # of the U-Net at each size
        embed: int = 128,  # width of the U-Net's embedding of time and caption
        text: int = 64,  # width of the vector of a word
        T: int = 1000,
        drop: float = 0.1,  # share of the captions that training leaves out
        spread: float = 0.0,  # of t in training: 0 draws all alike, else most often midway: `random_times`
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.words, self.length = tuple(words), length
        self.channels, self.size, self.drop, self.spread = channels, size, drop, spread
        self.lr, self.weight_decay = lr, weight_decay
        self.register_buffer("alpha_bar", alpha_bars(cosine_betas(T)).float())  # (T + 1,)
        self.words_net = Words(len(self.words) + 2, text)
        self.net = UNet(channels, widths, blocks, embed=embed, text=text)

    def v(self, x: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """What the network says: x (B, C, H, W), t (B,) int64, tokens (B, L) int64 -> (B, C, H, W)."""
        words, mask = self.words_net(tokens)
        return self.net(x, t, words=words, mask=mask)

    def eps(self, x: Tensor, t: Tensor, tokens: Tensor | None = None) -> Tensor:
        """The noise in x at times t in 1 .. T, shape of x; without tokens (B, L), as for empty captions."""
        tokens = self._silence(x) if tokens is None else tokens
        return eps_from_v(x, self.v(x, t, tokens), self.alpha_bar[t])

    def guided(self, x: Tensor, t: Tensor, tokens: Tensor, guidance: float) -> Tensor:
        """`eps` moved away from what it would be with an empty caption: see `guidance.guide`."""
        if guidance == 1:
            return self.eps(x, t, tokens)
        both = torch.cat([tokens, self._silence(x)])
        told, untold = self.eps(x.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return guide(told, untold, guidance)

    def _silence(self, x: Tensor) -> Tensor:
        """The empty caption for each of x (B, C, H, W): (B, length)."""
        return self.encode([""]).to(x.device).expand(len(x), -1)

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Captions -> (B, length) int64. Raises CourseError that names the words it does not know."""
        return encode(captions, self.words, self.length)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        params = self.parameters()
        return {"net": torch.optim.AdamW(params, self.lr, (0.9, 0.99), weight_decay=self.weight_decay)}

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = x (B, C, H, W) and tokens (B, L) int64."""
        x0, tokens = batch
        t = random_times(self.alpha_bar, x0, self.spread)
        a, eps = self.alpha_bar[t], torch.randn_like(x0)
        v = self.v(add_noise(x0, eps, a), t, forget(tokens, self.drop))
        yield Loss("net", F.mse_loss(v, v_from(x0, eps, a)))

    @torch.no_grad()
    def sample(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        captions: str | Sequence[str] = "",  # one for all, or n of them
        guidance: float = 2.0,  # see `guided`
        sampler: Literal["ddim", "ddpm"] = "ddim",
        steps: int | None = 30,  # None visits every t
        clip: bool = True,  # keep the guess of x_0 in [-1, 1]
    ) -> Iterator[Step]:
        """Yield the steps from noise to n pictures (n, C, size, size) in [-1, 1].

        Raises CourseError for words that training had not, and for numbers that cannot work.
        """
        told = [captions] * n if isinstance(captions, str) else list(captions)
        if len(told) != n:
            raise CourseError(f"captions must be one or {n}, one for each picture, got {len(told)}.")
        weight = self.net.enter.weight
        tokens = self.encode(told).to(weight.device)
        shape = (n, self.channels, self.size, self.size)
        x = torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return self.guided(x, t, tokens, guidance)

        if sampler == "ddim":
            yield from samplers.ddim(eps, x, self.alpha_bar, steps=steps, clip=clip)
        elif sampler == "ddpm":
            a = self.alpha_bar
            yield from samplers.ddpm(eps, x, a, steps=steps, generator=generator, clip=clip)
        else:
            raise CourseError(f'sampler must be "ddim" or "ddpm", got "{sampler}".')

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        x = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        small = cls(
            words=("big", "red", "small"), length=3, size=8, widths=(16, 16), blocks=1, embed=16, text=8,
            T=100, lr=5e-3,
        )  # fmt: skip
        return small, (x, small.encode(["red", "big red", "small", ""] * 2))


def forget(tokens: Tensor, share: float) -> Tensor:
    """A share of the captions (B, L) emptied, all words of a caption or none; their opening stays."""
    return torch.cat([tokens[:, :1], drop_labels(tokens[:, 1:], share, PAD)], 1)
