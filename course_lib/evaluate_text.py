"""Does a picture show what its caption says, and is it new? Scores for text to image, and the tools for them.

The judge of words is `people_features`, trained on drawings and frozen. A share of right answers belongs
beside the share for true drawings of the same captions: where the judge errs on those, a model cannot do
better. A sample is suspected of being a copy when it is nearer to some training drawing than true drawings
are that the training did not have (N. Carlini et al., "Extracting Training Data from Diffusion Models", arXiv
2301.13188, ask the same with the nearest neighbours of each sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from course_lib import captions, data, zoo
from course_lib.evaluate import PEOPLE_HEADS, HeldOut, Scores, people_labels
from course_lib.methods.features import FeatureNet, accuracy
from course_lib.methods.text_to_image import TextToImage

TIMES = 4  # samples of each held-out caption and style


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


def draw(model: TextToImage, told: Sequence[str], *, guidance: float, seed: int = 0) -> Tensor:
    """One picture of each caption, (N, C, size, size), a batch at a time."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for start in range(0, len(told), 100):
        asked = told[start : start + 100]
        *_, last = model.sample(len(asked), generator=generator, captions=asked, guidance=guidance)
        parts.append(last.x)
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


def _middle(x: Tensor, train: Tensor) -> float:
    """Median distance to the nearest training picture."""
    return nearest(x, train).distance.median().item()
