"""How good are restored pictures? Near the truth is one question, and like real pictures another.

Y. Blau, T. Michaeli, "The Perception-Distortion Tradeoff", arXiv 1711.06077: the answer with the least
squared error is the mean of all pictures that fit, and a mean of pictures looks like none of them. PSNR
measures the distortion, the Fréchet distance how real a set of pictures looks; each method here gets both.

Score functions as in `evaluate`: choices are made on "validation", the weights' figures come from "test".
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import data, restore, zoo
from course_lib.evaluate import HeldOut, Scores
from course_lib.methods.ddpm import DDPM
from course_lib.methods.features import FeatureNet, accuracy
from course_lib.methods.super_resolution import SuperResolution
from course_lib.metrics import frechet_distance, psnr

PICTURES = 500  # held-out pictures of each score
ANSWERS = 8  # of which `super_resolution` takes the mean


@torch.no_grad()
def super_resolution(model: nn.Module, split: HeldOut = "test") -> Scores:
    """PSNR in dB and Fréchet distance (of `fashion_features`) of Fashion-MNIST at 28x28 made from 14x14:
    three plain enlargements, `restore.zero_shot` with the unconditional network `ddpm_fashion`, one answer of
    this model, and the mean of ANSWERS of them. 25 steps each. Some minutes.
    """
    net = cast(SuperResolution, model)
    features = zoo.load("fashion_features")
    truth = data.fashion(split).floats[:PICTURES]
    small = net.shrink(truth)
    answers = [enlarged(net, small, seed) for seed in range(ANSWERS)]
    rows = plain_enlargements(small, net.factor) | {
        "zero-shot": zero_shot(cast(DDPM, zoo.load("ddpm_fashion")), small, net.factor),
        "network": answers[0],
        f"mean of {ANSWERS} answers": torch.stack(answers).mean(0),
    }
    scores: Scores = {}
    for name, x in rows.items():
        scores[f"{name}, PSNR"] = psnr(x, truth)
        scores[f"{name}, Fréchet distance"] = frechet_distance(truth, x, features)
    return scores


def plain_enlargements(small: Tensor, factor: int = 2) -> dict[str, Tensor]:
    """Small pictures (B, C, h, w) enlarged without any network, kept in [-1, 1]; by name."""
    modes = ("nearest", "bilinear", "bicubic")
    return {mode: F.interpolate(small, scale_factor=factor, mode=mode).clamp(-1, 1) for mode in modes}


def enlarged(net: SuperResolution, small: Tensor, seed: int = 0, *, batch: int = 250) -> Tensor:
    """One answer to each small picture, a batch at a time: (N, C, h, w) -> (N, C, factor h, factor w)."""
    generator, parts = _seeded(seed), []
    for part in small.split(batch):
        *_, last = net.enlarge(part, steps=25, generator=generator)
        parts.append(last.x)
    return torch.cat(parts)


def zero_shot(net: DDPM, small: Tensor, factor: int = 2, *, batch: int = 250) -> Tensor:
    """The same by `restore.zero_shot` with a network that was never shown a small picture."""
    generator, parts, degradation = _seeded(0), [], restore.means(factor)
    for part in small.split(batch):
        *_, last = restore.zero_shot(net.eps, part, degradation, net.alpha_bar, steps=25, generator=generator)
        parts.append(last.x.clamp(-1, 1))
    return torch.cat(parts)


@torch.no_grad()
def inpainting(
    model: nn.Module,  # a DDPM, asked without classes
    split: HeldOut = "test",
    *,
    count: int = 200,
    steps: int = 20,
    resamples: tuple[int, ...] = (1, 5),
) -> Scores:
    """The lower half of Fashion-MNIST pictures, filled by `restore.repaint` with and without resampling: the
    Fréchet distance of the whole pictures, and the share whose class `fashion_features` finds in them.

    One step is taken as one call of the network: without resampling there are as many calls as with it, in
    smaller steps, so that the comparison is about the order of the steps and not about their number.
    """
    net, features = cast(DDPM, model), cast(FeatureNet, zoo.load("fashion_features"))
    held = data.fashion(split)
    truth, y = held.floats[:count], cast(Tensor, held.y)[:count]
    known = (torch.arange(truth.shape[2]) < truth.shape[2] // 2).view(-1, 1)
    scores: Scores = {"real pictures, class found": accuracy(features, truth, y)}
    for resample in resamples:
        once = calls(steps, max(resamples)) if resample == 1 else steps
        x = filled(net, truth, known, once, resample)
        name = f"{calls(once, resample)} calls, resample = {resample}"
        scores[f"{name}, Fréchet distance"] = frechet_distance(truth, x, features)
        scores[f"{name}, class found"] = accuracy(features, x, y)
    return scores


def calls(steps: int, resample: int, jump: int = 5) -> int:
    """How often `restore.repaint` asks its network."""
    return steps + (resample - 1) * jump * len(range(1, steps - jump + 1, jump))


def filled(net: DDPM, x: Tensor, known: Tensor, steps: int, resample: int, *, batch: int = 100) -> Tensor:
    """`restore.repaint` of many pictures (N, C, H, W), a batch at a time, known (H, W) or (H, 1) -> same."""
    generator, parts = _seeded(0), []
    for part in x.split(batch):
        *_, last = restore.repaint(
            net.eps, part, known, net.alpha_bar, steps=steps, resample=resample, generator=generator
        )
        parts.append(last.x)
    return torch.cat(parts)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
