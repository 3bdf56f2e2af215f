"""What stands in for an autoencoder in exercise 7.2, the right answer, and the wrong ones that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from course_lib.check.core import Mistakes
from course_lib.check.explain import Complaint, kind_of

Code = Callable[[Tensor], Tensor]


class Encoder:
    """Stands in for a trained one: pictures (B, 3, 8, 8) -> latents (B, 4, 4, 4), channels of unlike spread,
    around a mean that is not 0. Raises Complaint for what is no picture."""

    def __init__(self, generator: torch.Generator) -> None:
        spread = 1.5 + torch.randperm(4, generator=generator)
        self.weight = torch.randn(4, 12, generator=generator) * spread[:, None] / 3
        self.bias = 1 + torch.randn(4, generator=generator)

    def __call__(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise Complaint(f"`encode` takes pictures, a tensor; you give it {kind_of(x)}.")
        if x.dim() != 4 or x.shape[1] != 3:
            raise Complaint(
                f"You give `encode` something of shape {tuple(x.shape)}. It takes pictures (B, 3, H, W)."
            )
        patches = torch.nn.functional.pixel_unshuffle(x, 2)  # (B, 12, 4, 4)
        weight, bias = self.weight.to(x), self.bias.to(x)
        return torch.einsum("oc,bchw->bohw", weight, patches) + bias[:, None, None]


class Decoder:
    """Stands in for a trained one: latents (B, 4, 4, 4) -> pictures (B, 3, 8, 8), bent, so that no factor
    can be undone behind it. Raises Complaint for what is no latent."""

    def __init__(self, generator: torch.Generator) -> None:
        self.weight = torch.randn(12, 4, generator=generator) / 8

    def __call__(self, z: Tensor) -> Tensor:
        if not isinstance(z, Tensor):
            raise Complaint(f"`decode` takes latents, a tensor; you give it {kind_of(z)}.")
        if z.dim() != 4 or z.shape[1] != 4:
            raise Complaint(
                f"You give `decode` something of shape {tuple(z.shape)}. It takes latents (B, 4, h, w)."
            )
        patches = torch.einsum("oc,bchw->bohw", self.weight.to(z), z)
        return torch.nn.functional.pixel_shuffle(patches, 2).tanh()


class Scaled(Protocol):
    """What a student writes."""

    scale: Tensor

    def to_latents(self, x: Tensor) -> Tensor: ...

    def to_pictures(self, z: Tensor) -> Tensor: ...


def scaled(
    scale: Callable[[Tensor, Tensor], Tensor] = lambda z, x: z.std(correction=0),  # of latents and pictures
    to_latents: Callable[[Code, Tensor, Tensor], Tensor] = lambda encode, x, s: encode(x) / s,
    to_pictures: Callable[[Code, Tensor, Tensor], Tensor] = lambda decode, z, s: decode(z * s),
) -> type:
    """The right class, but for what is said here."""

    class ScaledLatents:
        def __init__(self, encode: Code, decode: Code, x: Tensor) -> None:
            self.encode, self.decode = encode, decode
            self.scale = scale(encode(x), x)

        def to_latents(self, x: Tensor) -> Tensor:
            return to_latents(self.encode, x, self.scale)

        def to_pictures(self, z: Tensor) -> Tensor:
            return to_pictures(self.decode, z, self.scale)

    return ScaledLatents


CHANNEL = (
    "You have one number for each channel. That would work, too, if undone channel by channel; here it is "
    "one number for all, `z.std()` without a dimension, so that the channels keep their sizes relative to "
    "each other."
)
PICTURE = (
    "You have one number for each picture. The scale will be used on other pictures, too, so it cannot "
    "belong to these: one number for all, `z.std()` without a dimension."
)
PLACE = (
    "You have one number for each channel and place. Here it is one number for all, `z.std()` without a "
    "dimension, so that channels and places keep their sizes relative to each other."
)
SCALES: Mistakes = (
    (
        scaled(lambda z, x: z.var(correction=0)),
        "That is the variance. The scale is its root, the standard deviation: divided by it, the spread "
        "becomes 1.",
    ),
    (
        scaled(lambda z, x: x.std(correction=0)),
        "You measure the pictures. Diffusion will see latents: encode the pictures first, and measure those.",
    ),
    (
        scaled(lambda z, x: 1 / z.std(correction=0)),
        "Yours is one over the standard deviation. Other libraries keep this one, and multiply; here "
        "`scale` is the standard deviation itself.",
    ),
    (
        scaled(lambda z, x: z.square().mean().sqrt()),
        "You have the root of the mean square, in which the mean of the latents counts, too. The standard "
        "deviation is measured around the mean.",
    ),
    (
        scaled(lambda z, x: z.square().mean()),
        "You have the mean square. The scale is the standard deviation.",
    ),
    (
        scaled(lambda z, x: z.abs().mean()),
        "You have the mean absolute value. The scale is the standard deviation.",
    ),
    (scaled(lambda z, x: z.abs().max()), "You have the largest value. The scale is the standard deviation."),
    (scaled(lambda z, x: z.max() - z.min()), "You have the range. The scale is the standard deviation."),
    (
        scaled(lambda z, x: z.mean()),
        "You have the mean of the latents. The scale is their standard deviation.",
    ),
    (scaled(lambda z, x: z[:1].std()), "You measure the first picture only. Measure all of x."),
    (
        scaled(lambda z, x: z.std(dim=0).mean()),
        "You take deviations along the batch first, and their mean then. That leaves out how the places and "
        "channels differ from each other: one deviation of all numbers, `z.std()`.",
    ),
    (
        scaled(lambda z, x: z.std(dim=(1, 2, 3)).mean()),
        "You take the deviation of each picture first, and their mean then. One deviation of all numbers, "
        "`z.std()`.",
    ),
    (
        scaled(lambda z, x: z.std(dim=(0, 2, 3)).mean()),
        "You take the deviation of each channel first, and their mean then. That leaves out how the means of "
        "the channels differ: one deviation of all numbers, `z.std()`.",
    ),
)
PARTS: Mistakes = (  # too many numbers
    (scaled(lambda z, x: z.std(dim=(0, 2, 3))), CHANNEL),
    (scaled(lambda z, x: z.std(dim=(0, 2, 3), keepdim=True)), CHANNEL),
    (scaled(lambda z, x: z.std(dim=(0, 2, 3)).view(-1, 1, 1)), CHANNEL),
    (scaled(lambda z, x: z.flatten(1).std(1)), PICTURE),
    (scaled(lambda z, x: z.std(dim=(1, 2, 3), keepdim=True)), PICTURE),
    (scaled(lambda z, x: z.std(dim=0)), PLACE),
)
MEAN_AWAY = (
    "You take the mean away first. Only the division is asked for: s alone says how to come back, `s * z`."
)


class Centred:
    """Takes the mean of the first pictures away, and adds it again."""

    scale: Tensor

    def __init__(self, encode: Code, decode: Code, x: Tensor) -> None:
        self.encode, self.decode = encode, decode
        self.mean, self.scale = encode(x).mean(), encode(x).std()

    def to_latents(self, x: Tensor) -> Tensor:
        return (self.encode(x) - self.mean) / self.scale

    def to_pictures(self, z: Tensor) -> Tensor:
        return self.decode(z * self.scale + self.mean)


class CentredByChannel(Centred):
    def __init__(self, encode: Code, decode: Code, x: Tensor) -> None:
        super().__init__(encode, decode, x)
        self.mean = encode(x).mean(dim=(0, 2, 3), keepdim=True)


ALREADY = "It was measured in `__init__`, on all pictures to learn from, and is not measured again."
LATENTS: Mistakes = (
    (
        scaled(to_latents=lambda encode, x, s: encode(x) * s),
        "You multiply by the scale. A spread of s becomes 1 when you divide by s; you multiply on the way "
        "back.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x)),
        "Your latents are as the encoder made them: divide by the scale.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x / s)),
        "You divide the pictures. Encode them as they are, and divide the latents.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: (encode(x) - encode(x).mean()) / s),
        MEAN_AWAY,
    ),
    (Centred, MEAN_AWAY),
    (CentredByChannel, MEAN_AWAY),
    (
        scaled(to_latents=lambda encode, x, s: (encode(x) - encode(x).mean()) / encode(x).std()),
        f"You standardise each batch by its own mean and deviation. {ALREADY}",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x) / encode(x).std()),
        f"You divide by the deviation of this batch. The scale is one number for good: {ALREADY[0].lower()}"
        f"{ALREADY[1:]}",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x) / encode(x).flatten(1).std(1).view(-1, 1, 1, 1)),
        "You divide each picture's latent by a deviation of its own. Pale pictures are then as strong as "
        "others, and nothing says afterwards how pale they were. One `scale` for all.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x) / s.sqrt()),
        "You divide by the root of the scale. The scale is a standard deviation already.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: encode(x) / s.square()),
        "You divide by the square of the scale, or twice.",
    ),
    (
        scaled(to_latents=lambda encode, x, s: (encode(x) / s).clamp(-1, 1)),
        "You clip the latents. Pictures have the range [-1, 1]; latents have none.",
    ),
)
PICTURES: Mistakes = (
    (
        scaled(to_pictures=lambda decode, z, s: decode(z / s)),
        "You divide once more on the way back. What was divided by the scale has to be multiplied by it, "
        "before decoding.",
    ),
    (
        scaled(to_pictures=lambda decode, z, s: decode(z)),
        "You decode the scaled latents as they are. The decoder has learnt latents of the encoder's size: "
        "multiply by the scale first.",
    ),
    (
        scaled(to_pictures=lambda decode, z, s: decode(z) * s),
        "You multiply the pictures. Multiply the latents, then decode.",
    ),
    (
        scaled(to_pictures=lambda decode, z, s: decode(z * z.std())),
        "You multiply by the deviation of the latents that come in. It is about 1, and says nothing: "
        "multiply by `self.scale`.",
    ),
    (
        scaled(to_pictures=lambda decode, z, s: decode(z / z.std() * s)),
        "You bring the latents that come in to a deviation of 1 first. They have the size that they have: "
        "multiply by `self.scale`, and nothing else.",
    ),
    (
        scaled(to_pictures=lambda decode, z, s: decode((z * s).clamp(-1, 1))),
        "You clip the latents. Pictures have the range [-1, 1]; latents have none.",
    ),
)
