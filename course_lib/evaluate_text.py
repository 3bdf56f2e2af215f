"""Does a picture show what its caption says, and is it new? Scores for text to image, and the tools for them.

The judge of words is `people_features`, trained on drawings and frozen. A share of right answers belongs
beside the share for true drawings of the same captions: where the judge errs on those, a model cannot do
better. A sample is suspected of being a copy when it is nearer to some training drawing than true drawings
are that the training did not have (N. Carlini et al., "Extracting Training Data from Diffusion Models", arXiv
2301.13188, ask the same with the nearest neighbours of each sample).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import captions, data, zoo
from course_lib.evaluate import PEOPLE_HEADS, HeldOut, Scores, people_labels
from course_lib.methods.features import FeatureNet, accuracy
from course_lib.methods.kl_autoencoder import KLAutoencoder
from course_lib.methods.latent_diffusion import LatentDiffusion
from course_lib.methods.text_to_image import TextToImage
from course_lib.methods.vq_vae import VQVAE
from course_lib.metrics import psnr

TIMES = 4  # samples of each held-out caption and style
STEPS = 30  # of the sampler


class Neighbours(NamedTuple):
    """The nearest of a set for each picture."""

    which: Tensor  # (N,) int64, its index
    distance: Tensor  # (N,) root mean squared difference of the pixels, in [-1, 1] units


@torch.no_grad()
def nearest(x: Tensor, others: Tensor, *, batch: int = 100) -> Neighbours:
    """Which of others (M, C, H, W) is nearest to each of x (N, C, H, W), pixel by pixel."""
    flat = others.flatten(1)
    found = [torch.cdist(part, flat).min(1) for part in x.flatten(1).split(batch)]
    distance = torch.cat([part.values for part in found]) / flat.shape[1] ** 0.5
    return Neighbours(torch.cat([part.indices for part in found]), distance)


def copies(made: Tensor, held_out: Tensor, train: Tensor) -> float:
    """Share of made pictures nearer to a training picture than 95 of 100 held-out ones are; all (N, C, H, W).

    About 0.05 for pictures as new as the held-out ones, 1 for copies. Raises nothing; needs 20 held-out
    pictures or more to mean much.
    """
    least = nearest(held_out, train).distance.quantile(0.05)
    return (nearest(made, train).distance < least).float().mean().item()


def words_right(judge: FeatureNet, x: Tensor, drawn: data.People) -> Scores:
    """Share of pictures x (N, 3, 32, 32) in which the judge finds the style, tone, gender word and role of
    the drawings that they were asked to be like, in the same order."""
    labels = people_labels(drawn)
    return {head: accuracy(judge, x, labels[:, k], head=k) for k, head in enumerate(PEOPLE_HEADS)}


def draw(
    model: TextToImage | LatentDiffusion, told: Sequence[str], *, guidance: float, seed: int = 0
) -> Tensor:
    """One picture of each caption, (N, C, size, size), a batch at a time."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for start in range(0, len(told), 100):
        asked = told[start : start + 100]
        run = model.latents if isinstance(model, LatentDiffusion) else model.sample
        *_, last = run(len(asked), generator=generator, captions=asked, guidance=guidance, steps=STEPS)
        parts.append(model.decode(last.x) if isinstance(model, LatentDiffusion) else last.x)  # the end only
    return torch.cat(parts)


def held_out_words(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Pictures of the held-out captions, which training never saw as a whole: shares of right words beside
    those of the true drawings, and distances to the nearest training drawing.

    Four pictures of each of the 26 captions. The combinations are few, so both splits mean the same ones with
    other noise.
    """
    reader = cast(TextToImage, model)
    judge = cast(FeatureNet, zoo.load("people_features"))
    held, train = data.people("held_out"), data.people("train").floats
    seen = data.people("train").subset(slice(0, None, 20))
    told, wanted = captions.with_style(held) * TIMES, held.subset(torch.arange(len(held)).repeat(TIMES))
    seed = 0 if split == "test" else 1
    scores: Scores = {
        f"{head}, true drawings": v for head, v in words_right(judge, held.floats, held).items()
    }
    for guidance in (1.0, 2.0, 4.0):
        made = draw(reader, told, guidance=guidance, seed=seed)
        for head, share in words_right(judge, made, wanted).items():
            scores[f"{head}, guidance {guidance:g}"] = share
        scores[f"distance to training, guidance {guidance:g}"] = _middle(made, train)
        scores[f"copies, guidance {guidance:g}"] = copies(made, held.floats, train)
    again = draw(reader, captions.with_style(seen), guidance=2.0, seed=seed)
    scores["distance to training, captions of training"] = _middle(again, train)
    scores["distance to training, true drawings"] = _middle(held.floats, train)
    return scores


def held_out_things(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Drawings of things in a style in which training never showed them: is it the thing, and the style?

    Each picture is given the caption of the drawing that it resembles most, among all of training and of
    what was held out (see `resembles`). Four pictures of each of the 19 held-out captions; beside it, what
    the true drawings get when they are left out of the search. Both splits mean the same captions with other
    noise.
    """
    reader, seed = cast(LatentDiffusion, model), 0 if split == "test" else 1
    held, train = captions.emoji_drawings("held_out"), captions.emoji_drawings("train")
    known = train.subset(slice(0, None, 20))
    x = torch.cat([train.floats, held.floats])
    labels = [*train.captions, *held.captions]
    truth = resembles(held.floats, train.floats, train.captions)
    scores: Scores = {"thing, true drawings": _share(held.captions, truth, 1)}
    for guidance in (1.0, 2.0, 4.0):
        for name, told in (("", held.captions * TIMES), (" of training", known.captions)):
            found = resembles(draw(reader, told, guidance=guidance, seed=seed), x, labels)
            for k, word in enumerate(("style", "thing")):
                scores[f"{word}{name}, guidance {guidance:g}"] = _share(told, found, k)
    return scores


def resembles(x: Tensor, drawings: Tensor, told: Sequence[str], *, cell: int = 4) -> list[str]:
    """The caption of the drawing (M, C, H, W) nearest to each of x (N, C, H, W), both seen from afar: as
    means of cell x cell pixels, so that a shift by a pixel counts for little."""
    near = nearest(F.avg_pool2d(x, cell), F.avg_pool2d(drawings, cell))
    return [told[k] for k in near.which.tolist()]


def _share(told: Sequence[str], found: Sequence[str], part: int) -> float:
    """How many captions agree, in [0, 1]: in their style (part 0), or in what comes after it (part 1)."""
    pairs = zip(told, found, strict=True)
    return sum(a.split(" ", 1)[part] == b.split(" ", 1)[part] for a, b in pairs) / len(told)


@torch.no_grad()
def reconstruction(x: Tensor, model: nn.Module, numbers: int) -> Scores:
    """How well pictures x (N, C, H, W) come back from an autoencoder's latent, beside pictures that were
    shrunk to at most `numbers` numbers and enlarged again (bicubic). PSNR in decibels, L1 of 255."""
    side = int((numbers / x.shape[1]) ** 0.5)
    small = F.interpolate(x, size=(side, side), mode="area")
    plain = F.interpolate(small, size=x.shape[2:], mode="bicubic").clamp(-1, 1)
    scores: Scores = {}
    made = torch.cat([model(part) for part in x.split(50)])
    for name, y in (("", made), (f", shrunk to {side}x{side}", plain)):
        scores[f"PSNR{name}"] = psnr(y, x)
        scores[f"L1{name}"] = (y - x).abs().mean().item() * 127.5
    return scores


def new_things(model: nn.Module, split: HeldOut = "test") -> Scores:
    """An autoencoder on drawings of things that training never saw, in all three styles."""
    x = torch.cat([data.emoji(split, style).floats for style in captions.EMOJI_STYLES])
    coder = cast(KLAutoencoder, model)
    return reconstruction(x, coder, coder.latent * (x.shape[2] // coder.factor) ** 2)


def new_people(model: nn.Module, split: HeldOut = "test") -> Scores:
    """A VQ-VAE on drawings of people that training never saw; how many of its codes are in use."""
    x, coder = data.people(split).floats, cast(VQVAE, model)
    codes = coder.encode(x)
    bits = codes[0].numel() * math.log2(coder.codebook.size)  # of one picture; a number has 8 bits
    return reconstruction(x, coder, int(bits / 8)) | {
        "bytes": bits / 8,
        "codes in use": float(len(codes.unique())),
    }


def _middle(x: Tensor, train: Tensor) -> float:
    """Median distance to the nearest training picture."""
    return nearest(x, train).distance.median().item()
