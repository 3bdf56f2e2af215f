"""Latent diffusion: text to image, in the small latent of an autoencoder instead of in pixels.

R. Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752.

    z = encoder(x) / s           s: the standard deviation of all latents' numbers       (appendix G)
    diffusion learns z as it would learn pictures, `text_to_image.py`                     (section 3.2)
    x = decoder(s z)

The division matters: the noise schedule expects numbers of size 1. The autoencoder was trained before, see
`kl_autoencoder.py`, and stays as it is: here its weights are buffers, so they travel with this model's and no
optimizer moves them. Latents are the encoder's means; guesses of them are not clipped: they have no range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn

from course_lib.errors import CourseError
from course_lib.method import Loss, Step
from course_lib.methods.kl_autoencoder import KLAutoencoder
from course_lib.methods.text_to_image import TextToImage


class LatentDiffusion(nn.Module):
    """Batches are (pictures, tokens), see `captions`. Call `use` before training."""

    ema: tuple[str, ...] = ("diffusion",)
    scale: Tensor  # (), s

    def __init__(
        self,
        words: Sequence[str],  # the vocabulary
        length: int = 12,  # tokens of a caption, its opening included
        channels: int = 3,
        size: int = 64,  # height and width in pixels, a multiple of 2 ** (len(ae_widths) + len(widths))
        latent: int = 4,  # channels of the latent
        ae_widths: tuple[int, ...] = (32, 64),  # as in KLAutoencoder
        ae_blocks: int = 2,  # as in KLAutoencoder
        widths: tuple[int, ...] = (96, 128),  # of the U-Net at half the latent's size, a quarter, ...
        blocks: int = 1,  # of the U-Net at each size
        embed: int = 128,  # width of the U-Net's embedding of time and caption
        text: int = 64,  # width of the vector of a word
        T: int = 1000,
        drop: float = 0.1,  # share of the captions that training leaves out
        spread: float = 0.0,  # of t in training, as in TextToImage
        lr: float = 2e-3,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__()
        self.autoencoder = frozen(KLAutoencoder(channels, latent, ae_widths, ae_blocks))
        self.register_buffer("scale", torch.ones(()))
        self.diffusion = TextToImage(
            words, length, latent, size // self.autoencoder.factor, widths, blocks, embed, text, T, drop,
            spread, lr, weight_decay,
        )  # fmt: skip

    @torch.no_grad()
    def use(self, autoencoder: KLAutoencoder, x: Tensor) -> None:
        """Take over a trained autoencoder, and measure the scale on pictures x (N, C, H, W).

        Raises CourseError where the two are not of the same sizes.
        """
        try:
            self.autoencoder.load_state_dict(autoencoder.state_dict())
        except RuntimeError as error:
            raise CourseError(
                "This autoencoder has other sizes than the one that LatentDiffusion was built for: give it "
                "the autoencoder's latent, ae_widths and ae_blocks."
            ) from error
        z = torch.cat([self.autoencoder.encode(part) for part in x.split(100)])
        self.scale.copy_(z.std(correction=0))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) -> scaled latents (B, c, H / f, W / f)."""
        return self.autoencoder.encode(x) / self.scale

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents (B, c, h, w) -> pictures (B, C, H, W) in [-1, 1]."""
        return self.autoencoder.decode(z * self.scale)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return self.diffusion.optimizers()

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> Iterator[Loss]:
        """batch = x (B, C, H, W) and tokens (B, L) int64."""
        x, tokens = batch
        yield from self.diffusion.losses((self.encode(x), tokens), step)

    def latents(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        captions: str | Sequence[str] = "",  # one for all, or n of them
        guidance: float = 2.0,
        sampler: Literal["ddim", "ddpm"] = "ddim",
        steps: int | None = 30,  # None visits every t
    ) -> Iterator[Step]:
        """As `sample`, but the steps hold scaled latents (n, c, h, w): `decode` those you want to see."""
        return self.diffusion.sample(
            n, generator=generator, captions=captions, guidance=guidance, sampler=sampler, steps=steps,
            clip=False,
        )  # fmt: skip

    def sample(
        self,
        n: int,  # how many pictures
        *,
        generator: torch.Generator | None = None,  # on the device of the weights
        captions: str | Sequence[str] = "",  # one for all, or n of them
        guidance: float = 2.0,
        sampler: Literal["ddim", "ddpm"] = "ddim",
        steps: int | None = 30,  # None visits every t
    ) -> Iterator[Step]:
        """Yield the steps from noise to n pictures (n, C, size, size) in [-1, 1], decoded.

        `x` is the latent as it is at this step, `x0` the guess of its end, both as the decoder shows them.
        Raises CourseError for words that training had not, and for numbers that cannot work.
        """
        path = self.latents(
            n, generator=generator, captions=captions, guidance=guidance, sampler=sampler, steps=steps
        )
        for step in path:
            guess = step.x if step.x0 is None else step.x0
            x, x0 = self.decode(torch.cat([step.x, guess])).chunk(2)
            yield Step(step.i, step.n, x, x0, step.note)

    @classmethod
    def tiny(cls) -> tuple[Self, tuple[Tensor, Tensor]]:
        x = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
        small = cls(
            words=("big", "red", "small"), length=3, channels=1, size=16, latent=2, ae_widths=(8,),
            ae_blocks=1, widths=(16, 16), blocks=1, embed=16, text=8, T=100, lr=5e-3,
        )  # fmt: skip
        return small, (x, small.diffusion.encode(["red", "big red", "small", ""] * 2))


def frozen(net: KLAutoencoder) -> KLAutoencoder:
    """The network with its parameters turned into buffers of the same names: saved, but moved by nobody."""
    for module in net.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return net
