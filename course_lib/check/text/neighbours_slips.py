"""Is it new, right and wrong: exercise 7.5 and the mistakes that it knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes

Near = Callable[[Tensor, Tensor], Tensor]  # (N, ...), (M, ...) -> (N,)
Line = Callable[[Tensor, Tensor, Tensor], Tensor]  # of made, held_out, train


def apart(x: Tensor, others: Tensor) -> Tensor:
    """Root mean squared differences, each with each: (N, M)."""
    return (x[:, None] - others).square().flatten(2).mean(2).sqrt()


def nearest(x: Tensor, others: Tensor) -> Tensor:
    return apart(x, others).amin(1)


def sums(x: Tensor, others: Tensor) -> Tensor:
    """As `nearest`, but for the mean."""
    return torch.cdist(x.flatten(1), others.flatten(1)).amin(1)


def share_of(mine: Tensor, theirs: Tensor) -> Tensor:
    """Of made distances below the 5% quantile of held-out ones."""
    return (mine < theirs.quantile(0.05)).float().mean()


def checked(near: Near = nearest, share: Callable[[Tensor, Tensor], Tensor] = share_of) -> Answer:
    """The right answer, but for what is said here. `near` serves for both sets; `share` is of distances."""

    def copies(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
        mine, theirs = near(made, train), near(held_out, train)
        return mine, share(mine, theirs)

    return copies


def below(line: Line) -> Answer:
    """The right answer with another threshold."""

    def copies(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
        mine = nearest(made, train)
        return mine, (mine < line(made, held_out, train)).float().mean()

    return copies


def divided(by: Callable[[Tensor, Tensor, Tensor], int]) -> Answer:
    """The right answer, but the suspicious ones are counted and divided by this."""

    def copies(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
        mine, share = checked()(made, held_out, train)
        return mine, share * len(made) / by(made, held_out, train)

    return copies


ROOT = "You forgot the root: root mean square, with the root last."
SUM = (
    "You add up over the pixels. Take the mean over all numbers of a picture, so that the distance does not "
    "grow with the size of the picture: it is then a difference of a typical pixel."
)
AXIS = (
    "You look for the nearest made picture of each training picture, the wrong axis. Asked is, for each "
    "made one, the nearest training picture."
)
AMONG_HELD_OUT = (
    "You look among the held-out drawings, too. Copies would be copies of the training pictures; the "
    "held-out ones only say how near is near."
)
NEAR: Mistakes = (
    (
        checked(lambda x, others: apart(x, others).mean(1)),
        "You take the mean distance to all training pictures. A copy is near to one of them and far from all "
        "others: take the smallest.",
    ),
    (
        checked(lambda x, others: apart(x, others).amin(0)),
        AXIS,
    ),
    (
        checked(lambda x, others: apart(x, others).amax(1)),
        "You take the farthest training picture. Take the nearest.",
    ),
    (
        checked(lambda x, others: nearest(x, others).square()),
        ROOT,
    ),
    (checked(sums), SUM),
    (
        checked(lambda x, others: sums(x, others).square()),
        f"{SUM} {ROOT}",
    ),
    (
        checked(lambda x, others: sums(x, others) / x[0].numel()),
        "You divide by the number of pixels after the root. The mean is taken under the root: divide the "
        "distance by the root of the number.",
    ),
    (
        checked(lambda x, others: sums(x, others) / (3 * 32 * 32) ** 0.5),
        "You divide by the root of 3,072 whatever the size. These pictures are smaller: D is how many "
        "numbers a picture has, `x[0].numel()`.",
    ),
    (
        checked(lambda x, others: sums(x, others) / x.shape[1] ** 0.5),
        "You divide by the root of the number of channels only. D counts rows and columns as well: it is how "
        "many numbers a picture has, `x[0].numel()`.",
    ),
    (
        checked(lambda x, others: nearest(x, others) * x.shape[1] ** 0.5),
        "You take the mean over rows and columns only. The channels are numbers of the picture, too.",
    ),
    (
        checked(lambda x, others: (x[:, None] - others).abs().flatten(2).mean(2).amin(1)),
        "You take absolute differences. Root mean square: square, mean, root.",
    ),
    (
        checked(lambda x, others: (x[:, None] - others).flatten(2).mean(2).abs().amin(1)),
        "You take the mean of the differences before you square, so that they cancel. Square first.",
    ),
    (
        checked(lambda x, others: (x[:, None] - others).abs().flatten(2).amax(2).amin(1)),
        "You take the largest difference of a pixel. Root mean square: square, mean, root.",
    ),
    (
        lambda made, held_out, train: (apart(made, train).argmin(1), torch.zeros(())),
        "Those are the numbers of the nearest pictures, from `argmin`. Asked is how far away they are: "
        "`min` or `amin`.",
    ),
    (
        lambda made, held_out, train: checked()(made, train, held_out),
        "You compare with the held-out drawings. Copies would be copies of the training pictures; the "
        "held-out ones only say how near is near.",
    ),
    (
        lambda made, held_out, train: checked()(made, held_out, torch.cat([train, held_out])),
        AMONG_HELD_OUT,
    ),
)
MIDDLE = "Your threshold is the middle of the held-out distances, median or mean. Take the 5% quantile."
MADE_AND_HELD_OUT = (
    "Your threshold says how near made pictures and held-out drawings are to each other. It is to say how "
    "near held-out drawings are to training pictures."
)
SHARES: Mistakes = (
    (
        below(lambda made, held, train: nearest(held, train).quantile(0.95)),
        "Your threshold is the 95% quantile: nearly every held-out drawing is nearer than this, though none "
        "of them can be a copy. Take the 5% quantile.",
    ),
    (
        below(lambda made, held, train: nearest(made, train).quantile(0.05)),
        "Your threshold is a quantile of the made pictures themselves, so the share is always about 5%, "
        "copies or not. It is one of the held-out drawings' distances.",
    ),
    (below(lambda made, held, train: nearest(held, train).median()), MIDDLE),
    (below(lambda made, held, train: nearest(held, train).mean()), MIDDLE),
    (
        below(lambda made, held, train: nearest(held, train).min()),
        "Your threshold is the nearest of all held-out drawings. One odd drawing would decide everything: "
        "take the 5% quantile.",
    ),
    (below(lambda made, held, train: nearest(made, held).quantile(0.05)), MADE_AND_HELD_OUT),
    (below(lambda made, held, train: nearest(held, made).quantile(0.05)), MADE_AND_HELD_OUT),
    (
        below(lambda made, held, train: nearest(train, held).quantile(0.05)),
        "Your threshold looks for the nearest held-out drawing of each training picture, the wrong way "
        "round. Asked is, for each held-out drawing, the nearest training picture.",
    ),
    (
        below(lambda made, held, train: apart(held, train).quantile(0.05)),
        "Your threshold is a quantile of all distances between held-out drawings and training pictures. Take "
        "the nearest training picture of each held-out drawing first.",
    ),
    (
        below(lambda made, held, train: torch.tensor(0.05)),
        "No made picture is below your threshold, though some are very near. Is it 0.05 itself, or 5% of a "
        "distance? Or are the held-out drawings not used? (Training pictures are at distance 0 from "
        "themselves.) It is the distance below which 5% of the held-out drawings lie.",
    ),
    (
        below(lambda made, held, train: sums(held, train).quantile(0.05)),
        "All made pictures are below your threshold, even those that are like no training picture. Are its "
        "distances divided by the root of D, as those of the made pictures are?",
    ),
    (
        checked(share=lambda mine, theirs: (mine > theirs.quantile(0.05)).float().mean()),
        "You count the pictures that are farther away. Suspicious are those that are nearer.",
    ),
    (
        divided(lambda made, held, train: 1),
        "You count them. A share is between 0 and 1: take the mean.",
    ),
    (
        divided(lambda made, held, train: len(train)),
        "You divide by the number of training pictures. It is a share of the made ones.",
    ),
    (
        divided(lambda made, held, train: len(held)),
        "You divide by the number of held-out drawings. It is a share of the made ones.",
    ),
    (
        divided(lambda made, held, train: len(made) * len(train)),
        "You count pairs of a made and a training picture. Count made pictures: those whose nearest training "
        "picture is below the line.",
    ),
    (
        checked(share=lambda mine, theirs: 100 * (mine < theirs.quantile(0.05)).float().mean()),
        "You have percent. A share is between 0 and 1.",
    ),
    (
        checked(share=lambda mine, theirs: theirs.quantile(0.05)),
        "That is the threshold. Asked is the share of the made pictures below it.",
    ),
)
